package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// The program is run as it is, gets more than it can take from 64 connections, and is stopped in the middle.
func TestNoJobIsLostOverASIGTERM(t *testing.T) {
	program := filepath.Join(t.TempDir(), "jobserver")
	build, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "..").CombinedOutput() //nolint:gosec // this repository
	require.NoError(t, err, "%s", build)

	var out strings.Builder
	err = run(options{
		serve: program, connections: 64, requests: 1_000_000, atMost: 20 * time.Second,
		term: 500 * time.Millisecond, body: "name=load&delay=5ms",
	}, &out)
	require.NoError(t, err, "%s", &out)
	// More were taken than wait in the queue, some turned away, and some came when the server was draining.
	for _, outcome := range []string{" Accepted", " Too Many Requests", " Service Unavailable"} {
		assert.Contains(t, out.String(), outcome)
	}
	assert.Contains(t, out.String(), "unended=0 left=0")
}

func TestALedgerThatDoesNotAddUp(t *testing.T) {
	whole := func() *ledger {
		return &ledger{sent: 4, broken: 1, statuses: map[int]int{202: 2, 429: 1}, locations: []string{"/work/1", "/work/2"}}
	}
	require.NoError(t, whole().check())
	for name, spoil := range map[string]func(l *ledger){
		"a request without an outcome": func(l *ledger) { l.sent++ },
		"two outcomes of one request":  func(l *ledger) { l.statuses[429]++ },
		"one job for two answers":      func(l *ledger) { l.locations[1] = "/work/1" },
		"an answer without a job":      func(l *ledger) { l.locations = l.locations[:1] },
		"no job":                       func(l *ledger) { l.statuses, l.locations = map[int]int{429: 3}, nil },
		"no request":                   func(l *ledger) { *l = ledger{} },
	} {
		l := whole()
		spoil(l)
		assert.Error(t, l.check(), name)
	}
}

// With ?wait= the answer has the job's end.
func TestAJobThatWasWaitedForIsTaken(t *testing.T) {
	l := &ledger{sent: 2, statuses: map[int]int{200: 1, 202: 1}, locations: []string{"/work/1", "/work/2"}}
	require.NoError(t, l.check())
	assert.Equal(t, 2, l.taken())
	l.locations[1] = "/work/1"
	assert.Error(t, l.check())
}

func TestALoadOnNothingFails(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nowhere := "http://" + listener.Addr().String() + "/work"
	require.NoError(t, listener.Close())
	o := options{url: nowhere, rounds: 2, connections: 2, requests: 10, atMost: time.Minute, body: "name=a"}
	dialErr, ok := errors.AsType[*net.OpError](run(o, io.Discard))
	require.True(t, ok, "the error says why")
	assert.Equal(t, "dial", dialErr.Op)
	o.against = nowhere
	assert.Error(t, run(o, io.Discard))
}

func TestALoadOfNothingIsAWrongUsage(t *testing.T) {
	const usage = "want at least 1 of -c, -n and -rounds"
	for _, o := range []options{
		{connections: -1, requests: 1}, {connections: 1}, {connections: 1, requests: 1, against: "http://127.0.0.1:1"},
	} {
		assert.EqualError(t, run(o, io.Discard), usage)
	}
}

func TestAServerThatLosesJobs(t *testing.T) {
	l := &ledger{sent: 3, broken: 1, statuses: map[int]int{202: 2}, locations: []string{"/work/1", "/work/2"}}
	const good = `{"id":1,"status":"succeeded"}` + "\n" + `{"id":2,"status":"failed"}` + "\n"
	const line = "report accepted=2 succeeded=1 failed=1 panicked=0 canceled=0 unended=0 left=0"
	check := func(line, ends string) error {
		r, err := readReport(line)
		require.NoError(t, err)
		if err := r.check(l); err != nil {
			return err
		}
		all, err := readEnds(strings.NewReader(ends))
		if err != nil {
			return err
		}
		return checkEnds(all, l, r)
	}
	require.NoError(t, check(line, good))
	require.NoError(t, check(strings.NewReplacer("accepted=2", "accepted=3", "failed=1", "failed=2").Replace(line),
		good+`{"id":3,"status":"failed"}`), "it may have taken what was broken off")
	for name, bad := range map[string][2]string{
		"has forgotten one":    {line, `{"id":1,"status":"succeeded"}`},
		"has another one":      {line, strings.Replace(good, `"id":2`, `"id":3`, 1)},
		"has one twice":        {line, good + `{"id":2,"status":"failed"}`},
		"has not ended one":    {line, strings.Replace(good, "failed", "running", 1)},
		"counts one too many":  {strings.NewReplacer("accepted=2", "accepted=3", "failed=1", "failed=2").Replace(line), good},
		"counts one wrong":     {strings.NewReplacer("succeeded=1", "succeeded=2", "failed=1", "failed=0").Replace(line), good},
		"counts one too few":   {strings.NewReplacer("accepted=2", "accepted=1", "failed=1", "failed=0").Replace(line), good},
		"has one that lives":   {strings.Replace(line, "unended=0", "unended=1", 1), good},
		"has taken too many":   {"report accepted=4 succeeded=4 failed=0 panicked=0 canceled=0 unended=0 left=0", good},
		"has ends that miss":   {strings.NewReplacer("failed=1", "failed=0").Replace(line), good},
		"writes what is none":  {line, good + "x"},
		"knows only one of it": {line, `{"id":2,"status":"failed"}`},
	} {
		assert.Error(t, check(bad[0], bad[1]), name)
	}
	_, err := readReport("panic: ...")
	assert.Error(t, err)
}

func TestAnswersAreRead(t *testing.T) {
	read := func(text string) (answer, error) {
		w := &wire{in: bufio.NewReader(strings.NewReader(text))}
		return w.read()
	}
	a, err := read("HTTP/1.1 202 Accepted\r\nLocation: /work/7\r\nContent-Length: 2\r\n\r\n{}")
	require.NoError(t, err)
	assert.Equal(t, answer{status: 202, location: "/work/7"}, a)
	a, err = read("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	require.NoError(t, err)
	assert.Equal(t, answer{status: 503, last: true}, a)
	for _, bad := range []string{
		"", "HTTP/1.1 20", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 x OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
	} {
		_, err := read(bad)
		assert.Error(t, err, "%q", bad)
	}
}

func TestAnAnswerMayWaitForTheJob(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		go func() {
			_, _ = server.Read(make([]byte, 1))
			time.Sleep(30 * time.Second) // the longest ?wait=
			_, _ = io.WriteString(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}()
		w := &wire{client, bufio.NewReader(client), []byte("x")}
		a, err := w.post()
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, a.status)
	})
}

// A server that hangs up without an answer breaks each request off, and all of them are counted.
func TestRequestsThatAreBrokenOffAreCounted(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
	}()
	l, err := send(t.Context(), options{connections: 3, requests: 20, body: "name=a"}, "http://"+listener.Addr().String()+"/work")
	require.NoError(t, err)
	assert.Equal(t, 20, l.sent)
	assert.Equal(t, 20, l.broken)
	assert.Zero(t, l.taken())
	assert.EqualError(t, l.check(), "no job was taken")
	assert.Contains(t, l.String(), "20 broken off")

	_, err = send(t.Context(), options{connections: 1, requests: 1}, "ftp://127.0.0.1")
	assert.Error(t, err)
	none := options{serve: filepath.Join(t.TempDir(), "none"), connections: 1, requests: 1}
	assert.ErrorIs(t, run(none, io.Discard), os.ErrNotExist)
	_, err = readEndsOf(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestMedian(t *testing.T) {
	assert.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	assert.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 0)
}
