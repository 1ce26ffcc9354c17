package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/result"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Time is virtual, so that all of the output is known beforehand.
func TestGolden(t *testing.T) {
	inFolder(t, map[string]string{"a b.txt": "one two\nthree\n", "esc\x1b.txt": "x"})
	golden, err := filepath.Abs(filepath.Join(cwd, "testdata"))
	require.NoError(t, err)
	const input = `# a comment

sleep 2s
hash a b.txt
count "a b.txt"
  count 'missing'
sleep 5s
copy a b
sleep 1s
`
	for file, args := range map[string][]string{"table.txt": nil, "report.json": {"-json"}} {
		t.Run(file, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				got := command(t, input, append(args, "-workers", "1", "-timeout", "3s", "-retry", "2")...)
				assert.Equal(t, exitFailed, got.status)
				assert.Contains(t, got.stderr, `jobqueue: line 8: no such task: "copy"; want sleep, hash or count`+"\n")
				assert.Equal(t, 2, strings.Count(got.stderr, "failed, again in "), got.stderr)
				assert.Contains(t, got.stderr, "jobqueue: job 4: count 'missing': failed after 0s: no such file or directory\n")
				if *update {
					require.NoError(t, os.WriteFile(filepath.Join(golden, file), []byte(got.stdout), 0o644))
				}
				want, err := os.ReadFile(filepath.Join(golden, file))
				require.NoError(t, err)
				assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got.stdout)
			})
		})
	}
}

func TestCommandLine(t *testing.T) {
	for name, tt := range map[string]struct {
		args   []string
		stderr string
	}{
		"workers 0":    {[]string{"-workers", "0"}, "-workers must be at least 1, not 0"},
		"queue 0":      {[]string{"-queue=0"}, "-queue must be at least 1, not 0"},
		"full":         {[]string{"-full", "wait"}, `-full must be one of block, caller, drop, reject, not "wait"`},
		"timeout":      {[]string{"-timeout", "-1s"}, "-timeout must not be negative: -1s"},
		"retry":        {[]string{"-retry", "-1"}, "-retry must not be negative: -1"},
		"drain":        {[]string{"-drain", "-1s"}, "-drain must not be negative: -1s"},
		"unknown flag": {[]string{"-nope"}, "not defined: -nope"},
		"an argument":  {[]string{"sleep", "2s"}, "no arguments beside flags"},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, "", tt.args...)
			assert.Equal(t, exitUsage, got.status)
			assert.Contains(t, got.stderr, tt.stderr)
			assert.Empty(t, got.stdout)
		})
	}
	assert.Equal(t, outcome{exitOK, usage, ""}, command(t, "", "-h"))
	assert.Equal(t, exitOK, command(t, "", "-jobs", "").status)
	got := command(t, "sleep no", "-jobs", "sleep 1ms;sleep 2ms")
	assert.Equal(t, exitOK, got.status, "beside -jobs a pipe is not read: %s", got.stderr)
}

// Jobs run while their producer thinks, and nobody waits for it to end.
func TestSlowProducer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{})
		r.lines("sleep 1s")
		time.Sleep(time.Minute)
		assert.Contains(t, r.stderr.String(), "job 1: sleep 1s: succeeded in 1s\n")
		r.lines("sleep 2s")
		got := r.close()
		assert.Equal(t, exitOK, got.status)
		assert.Contains(t, got.stdout, "\n2 jobs in 1m2s: succeeded 2\nwait p50 0s,")
	})
}

func TestReadErrorIsABadLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{})
		r.lines("sleep 1s")
		r.stdin.CloseWithError(&os.PathError{Op: "read", Path: "stdin", Err: os.ErrDeadlineExceeded})
		got := r.outcome()
		assert.Equal(t, exitFailed, got.status)
		assert.Contains(t, got.stderr, "jobqueue: standard input: i/o timeout\n")
		assert.Contains(t, got.stdout, "succeeded 1, bad lines 1\n")
	})
}

func TestFull(t *testing.T) {
	const input = "sleep 1s\nsleep 2s\nsleep 3s\nsleep 4s\n"
	for policy, want := range map[string]struct {
		status int
		stdout string
		stderr string
	}{
		"block":  {exitOK, "4 jobs in 10s: succeeded 4\n", "the queue is full\n"},
		"reject": {exitFailed, "2 jobs in 3s: succeeded 2, tasks not taken 2\n", "line 4: not taken: pool: queue is full: sleep 4s\n"},
		"drop":   {exitFailed, "4 jobs in 5s: succeeded 2, dropped 2\n", "job 3: sleep 3s: dropped to make room\n"},
		"caller": {exitOK, "4 jobs in ", "the queue is full\n"},
	} {
		t.Run(policy, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := begin(t, console{}, "-full", policy, "-workers", "1", "-queue", "1")
				r.lines(strings.Split(strings.TrimSpace(input), "\n")...)
				got := r.close()
				assert.Equal(t, want.status, got.status)
				assert.Contains(t, got.stdout, want.stdout)
				assert.Contains(t, got.stderr, want.stderr)
			})
		})
	}
}

func TestByFile(t *testing.T) {
	inFolder(t, map[string]string{"big": strings.Repeat("text\n", 1<<20)})
	got := command(t, strings.Repeat("hash big\ncount ./big\n", 4), "-by-file", "-workers", "4", "-json")
	require.Equal(t, exitOK, got.status, got.stderr)
	var r report
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	require.Len(t, r.Jobs, 8)
	for i, j := range r.Jobs[1:] {
		assert.False(t, j.Started.Before(r.Jobs[i].Ended), "job %d", j.ID)
	}
}

func TestInterrupt(t *testing.T) {
	for name, tt := range map[string]struct {
		args  []string
		again bool
		want  string
	}{
		"once":  {nil, false, "3 jobs in 7s: succeeded 3, tasks not taken 2\n"},
		"twice": {nil, true, "3 jobs in 2s: succeeded 0, canceled 3, tasks not taken 2\n"},
		"drain": {[]string{"-drain", "4s"}, false, "3 jobs in 5s: succeeded 1, canceled 2, tasks not taken 2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := begin(t, console{}, append(tt.args, "-workers", "2", "-queue", "1")...)
				r.lines("sleep 4s", "sleep 6s", "sleep 3s", "sleep 1h", "sleep 1h")
				time.Sleep(time.Second)
				r.signal(os.Interrupt)
				assert.Contains(t, r.stderr.String(), "interrupted; once more cancels the jobs that are left: 3 jobs to end within ")
				if tt.again {
					time.Sleep(time.Second)
					r.signal(os.Interrupt)
				}
				got := r.outcome()
				assert.Equal(t, exitInterrupted, got.status)
				assert.Contains(t, got.stdout, tt.want)
				assert.Contains(t, got.stdout, "\ninterrupted\n")
			})
		})
	}
}

// What was read after an interruption is not taken, and not even read in a pipe.
func TestInterruptEndsTheReading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{})
		r.lines("sleep 4s")
		r.signal(os.Interrupt)
		r.lines("sleep 1s")
		got := r.outcome()
		assert.Contains(t, got.stdout, "\n1 job in 4s: succeeded 1\n")
	})
}

func TestContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errInterrupted) })
		var stdout, stderr buffer
		status := run(ctx, []string{"-jobs", "sleep 1h;sleep 1h", "-workers", "1"}, console{stdout: &stdout, stderr: &stderr})
		assert.Equal(t, exitFailed, status)
		assert.Contains(t, stdout.String(), "2 jobs in 1s: succeeded 0, canceled 2\n")
		assert.Contains(t, stderr.String(), "job 2: sleep 1h: canceled: interrupted\n")
	})
}

// A call that does not heed its context keeps nobody from seeing the table.
func TestStuckCall(t *testing.T) {
	for _, policy := range []string{"block", "caller"} {
		t.Run(policy, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				free := make(chan struct{})
				var stdout, stderr buffer
				opts, err := parseArgs([]string{"-jobs", "sleep 1s;sleep 2s;sleep 3s", "-workers", "2", "-queue", "1", "-full", policy})
				require.NoError(t, err)
				signals := make(chan os.Signal, 2)
				time.AfterFunc(time.Second, func() {
					signals <- os.Interrupt
					signals <- os.Interrupt
				})
				s := newSession(opts, console{stdout: &stdout, stderr: &stderr, signals: signals}, func(context.Context, task) (string, error) {
					<-free
					return "", nil
				})
				assert.Equal(t, exitInterrupted, s.run(t.Context()))
				assert.Contains(t, stderr.String(), "jobqueue: pool: 2 calls still run although their context has ended (job ")
				assert.Regexp(t, `, unfinished [23](, tasks not taken 1)?\n`, stdout.String())
				running := ` 1  sleep 1s`
				if policy == "caller" { // who may run the last job before a worker has come for the first
					running = ` \d  sleep \ds`
				}
				assert.Regexp(t, `(?m)^`+running+` +running +\d +1 +0s  1\.1s$`, stdout.String())
				close(free)
				synctest.Wait()
			})
		})
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestClosedAndFullOutput(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		jobs   string
		status int
		stderr string
	}{
		"closed":                {os.ErrClosed, "sleep 0", exitFailed, "jobqueue: write: file already closed\n"},
		"reader gone":           {errPipe, "sleep 0", exitOK, ""},
		"reader gone and a job": {errPipe, "hash none", exitFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr buffer
			assert.Equal(t, tt.status, run(t.Context(), []string{"-jobs", tt.jobs}, console{stdout: brokenWriter{tt.err}, stderr: &stderr}))
			lines := slices.DeleteFunc(strings.SplitAfter(stderr.String(), "\n"), func(l string) bool { return strings.Contains(l, "job 1:") })
			assert.Equal(t, tt.stderr, strings.Join(lines, ""))
		})
	}
	// Nor does it matter whether anybody reads the messages.
	var stdout buffer
	assert.Equal(t, exitOK, run(t.Context(), []string{"-jobs", "sleep 0"}, console{stdout: &stdout, stderr: brokenWriter{errPipe}}))
	assert.Contains(t, stdout.String(), "succeeded 1\n")
}

// What a task says must not steer the terminal.
func TestControlCharacters(t *testing.T) {
	got := command(t, "hash \x1b[2Jno\r\nfoo\x07\nhash \xff\n")
	for _, text := range []string{got.stdout, got.stderr} {
		assert.NotContains(t, text, "\x1b")
		assert.NotContains(t, text, "\x07")
		assert.NotContains(t, text, "\xff")
	}
	assert.Contains(t, got.stdout, `1  hash \x1b[2Jno  failed`)
}

// The events of many jobs find their tasks, however fast these are.
func TestManyJobs(t *testing.T) {
	got := command(t, strings.Repeat("sleep 0\nsleep 1us\n", 500), "-workers", "4", "-json")
	require.Equal(t, exitOK, got.status)
	var r report
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r))
	require.Len(t, r.Jobs, 1000)
	for i, j := range r.Jobs {
		want := []string{"sleep 0", "sleep 1us"}[i%2]
		assert.Equal(t, uint64(i+1), j.ID)
		assert.Equal(t, want, j.Task)
		assert.Equal(t, result.Succeeded, j.Status)
	}
	for line := range strings.Lines(got.stderr) {
		if id, rest, ok := strings.Cut(strings.TrimPrefix(line, "jobqueue: job "), ": "); ok && strings.HasPrefix(line, "jobqueue: job ") {
			odd := strings.HasSuffix(id, "1") || strings.HasSuffix(id, "3") || strings.HasSuffix(id, "5") || strings.HasSuffix(id, "7") || strings.HasSuffix(id, "9")
			assert.Equal(t, odd, strings.HasPrefix(rest, "sleep 0"), line)
		}
	}
}
