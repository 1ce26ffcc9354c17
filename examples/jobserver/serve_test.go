package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pool"
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
		assertProblem(t, call(t, s, http.MethodPost, "/pool/resize?workers=3", ""), http.StatusConflict)
	}, "-max_workers", "1")
}

func TestARequestThatComesAgainIsAnsweredWhileDraining(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		const body = "name=a&delay=2s"
		post(t, s, body, header("Idempotency-Key", "k"))
		drained := make(chan error)
		go func() {
			_, err := s.drain(t.Context())
			drained <- err
		}()
		synctest.Wait()
		w := call(t, s, http.MethodPost, "/work?wait=5s", body, header("Idempotency-Key", "k"))
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, "slept 2s", decode[jobView](t, w).Result)
		w = call(t, s, http.MethodPost, "/work", body, header("Idempotency-Key", "new"))
		assertProblem(t, w, http.StatusServiceUnavailable)
		assert.NotEmpty(t, w.Header().Get("Retry-After"))
		require.NoError(t, <-drained)
	})
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

// At the deadline the job is between two calls.
func TestDrainReportsAJobThatWaitsForItsNextAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		post(t, s, "name=a&delay=1s&kind=fail")
		rep, err := s.drain(t.Context())
		require.ErrorIs(t, err, errDeadline)
		assert.Equal(t, []uint64{1}, rep.Left)
		assert.Equal(t, uint64(1), rep.Stats.Canceled)
	}, "-drain", "1050ms")
}

// The report decides on the exit status: should the pool ever say that all is done, and a job of the book has not ended,
// that is an error.
func TestDrainBelievesTheBookOverThePool(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		other := newTestServer(t)
		other.pool.Pause()
		s.book.records[7] = other.book.find(post(t, other, "name=a&delay=1s").ID)
		rep, err := s.drain(t.Context())
		require.ErrorIs(t, err, errDeadline)
		assert.Equal(t, []uint64{7}, rep.Left)
	})
}

func TestDrainFinishesJobsThatHaveNoWorkers(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		require.Equal(t, http.StatusOK, call(t, s, http.MethodPost, "/pool/resize?workers=0", "").Code)
		post(t, s, "name=a&delay=1s")
		post(t, s, "name=b&delay=1s")
		rep, err := s.drain(t.Context())
		require.NoError(t, err)
		assert.Equal(t, uint64(2), rep.Stats.Succeeded)
	})
}

func TestAReportCountsWhatHasNotEnded(t *testing.T) {
	rep := report{Stats: pool.Stats{Accepted: 9, Succeeded: 1, Failed: 1, Panicked: 1, Canceled: 1, Queued: 3, Running: 2}, Left: []uint64{7}}
	assert.Equal(t, "report accepted=9 succeeded=1 failed=1 panicked=1 canceled=1 unended=5 left=1", rep.String())
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

func TestAStreamTellsTheEndOfEachJobOfTheDrain(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stop := follow(t, s)
		for range 20 {
			post(t, s, "name=a&delay=2s")
		}
		_, err := s.drain(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		finished := 0
		for _, m := range stop() {
			if m.event == "pool" && strings.Contains(m.data, `"kind":"job finished"`) {
				finished++
			}
		}
		assert.Equal(t, 20, finished)
	}, "-max_workers", "20")
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

func TestRunFailsIfJobsAreLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := start(ctx, t, "-drain", "0s")
	response, err := http.Post(p.base+"/work", formType, strings.NewReader("name=a&delay=10s")) //nolint:noctx // a test's
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	http.DefaultClient.CloseIdleConnections()
	cancel()
	assert.Equal(t, exitFailed, <-p.status)
	assert.Contains(t, p.stderr.String(), "jobserver: "+errDeadline.Error()+"\n")
}

func TestTheLedgerHasEachJob(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	ctx, cancel := context.WithCancel(t.Context())
	p := start(ctx, t, "-min-delay", "0s", "-ledger", path)
	for range 3 {
		response, err := http.Post(p.base+"/work", formType, strings.NewReader("name=a&delay=0s")) //nolint:noctx // a test's
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	assert.Equal(t, exitOK, <-p.status)
	file, err := os.Open(path) //nolint:gosec // the test's own
	require.NoError(t, err)
	defer file.Close()
	lines := json.NewDecoder(file)
	for id := range uint64(3) {
		var v jobView
		require.NoError(t, lines.Decode(&v))
		assert.Equal(t, id+1, v.ID)
		assert.Equal(t, result.Succeeded, v.Status)
	}
	assert.False(t, lines.More())
}

func TestALedgerThatCannotBeMadeIsAWrongUsage(t *testing.T) {
	var out, errs strings.Builder
	path := filepath.Join(t.TempDir(), "nowhere", "ledger")
	assert.Equal(t, exitUsage, run(t.Context(), []string{"-port", "0", "-ledger", path}, &out, &errs))
	assert.Contains(t, errs.String(), "nowhere")
	assert.Empty(t, out.String(), "it has not listened")
}

func TestALedgerThatCannotBeWrittenIsAnError(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("there is no device that is always full")
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := start(ctx, t, "-ledger", full)
	response, err := http.Post(p.base+"/work?wait=5s", formType, strings.NewReader("name=a&delay=1s")) //nolint:noctx // a test's
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	http.DefaultClient.CloseIdleConnections()
	cancel()
	assert.Equal(t, exitFailed, <-p.status)
	assert.Contains(t, p.stderr.String(), full)
}
