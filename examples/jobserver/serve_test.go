package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/result"
)

func TestDrainFinishesWhatWasTaken(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for range 3 {
			post(t, s, "name=a&delay=2s")
		}
		drained := make(chan report)
		go func() {
			rep, err := s.drain(t.Context())
			assert.NoError(t, err)
			drained <- rep
		}()
		synctest.Wait()
		w := call(t, s, http.MethodPost, "/work", "name=b&delay=1s")
		assertProblem(t, w, http.StatusServiceUnavailable)
		assert.NotEmpty(t, w.Header().Get("Retry-After"))
		assertProblem(t, call(t, s, http.MethodPost, "/work", "name="), http.StatusServiceUnavailable) // whatever is asked
		assertProblem(t, call(t, s, http.MethodGet, "/readyz", ""), http.StatusServiceUnavailable)
		assert.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/healthz", "").Code)
		assertProblem(t, call(t, s, http.MethodPost, "/pool/pause", ""), http.StatusConflict)
		assert.Equal(t, result.Succeeded, get(t, s, "/work/1?wait=5s").Status, "clients can ask meanwhile")

		rep := <-drained
		assert.Equal(t, "report accepted=3 succeeded=3 failed=0 panicked=0 canceled=0 unended=0 left=0", rep.String())
	}, "-max_workers", "1")
}

func TestDrainReportsWhatWasLeft(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		for range 4 {
			post(t, s, "name=a&delay=4s")
		}
		call(t, s, http.MethodDelete, "/work/4", "") // which the drain did not leave
		start := time.Now()
		rep, err := s.drain(t.Context())
		require.ErrorIs(t, err, errDeadline)
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.Equal(t, []uint64{2, 3}, rep.Left)
		assert.Equal(t, "report accepted=4 succeeded=1 failed=0 panicked=0 canceled=3 unended=0 left=2", rep.String())
	}, "-max_workers", "1", "-drain", "5s")
}

func TestDrainEndsStreamsAndPauses(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stop := follow(t, s)
		s.pool.Pause()
		post(t, s, "name=a&delay=2s")
		rep, err := s.drain(t.Context())
		require.NoError(t, err)
		assert.Equal(t, uint64(1), rep.Stats.Succeeded)
		synctest.Wait()
		all := stop()
		assert.Equal(t, "end", all[len(all)-1].event)
	})
}

// process is a server behind a real listener, in this process.
type process struct {
	base           string
	status         chan int
	stdout, stderr strings.Builder
}

// start runs the program until ctx ends.
func start(ctx context.Context, t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{status: make(chan int, 1)}
	read, write := io.Pipe()
	go func() {
		p.status <- run(ctx, append([]string{"-port", "0", "-admin-token", ""}, args...), write, &p.stderr)
		_ = write.Close()
	}()
	lines := bufio.NewReader(read)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	p.base = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&p.stdout, lines)
	}()
	t.Cleanup(func() { <-done })
	return p
}

func TestRunServesAndDrains(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := start(ctx, t, "-min-delay", "0s", "-log", "debug")
	response, err := http.Post(p.base+"/work?wait=5s", formType, strings.NewReader("name=a&delay=1ms")) //nolint:noctx // a test's
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Contains(t, string(body), `"result":"slept 1ms"`)
	http.DefaultClient.CloseIdleConnections()
	cancel()
	assert.Equal(t, exitOK, <-p.status)
	assert.Contains(t, p.stderr.String(), `msg="job finished" pool=jobserver job=1`)
}

func TestASlowClientIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the timeout of a request")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := start(ctx, t)
	var clients sync.WaitGroup
	for _, request := range []string{
		"POST /work HTTP/1.1\r\nHost: localhost\r\nX-",
		"POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\nContent-Length: 17\r\n\r\nname=a&",
		"POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nname=a&",
	} {
		clients.Go(func() {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(p.base, "http://"))
			if !assert.NoError(t, err) {
				return
			}
			defer conn.Close()
			_, err = io.WriteString(conn, request)
			assert.NoError(t, err)
			begin := time.Now()
			assert.NoError(t, conn.SetReadDeadline(begin.Add(2*readTimeout)))
			answer, err := io.ReadAll(conn)
			assert.NoError(t, err, "closed by the server")
			assert.NotContains(t, string(answer), " 202 ")
			assert.InDelta(t, readTimeout.Seconds(), time.Since(begin).Seconds(), 2)
		})
	}
	clients.Wait()
	cancel()
	assert.Equal(t, exitOK, <-p.status)
}
