package main

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHalt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{}, "-workers", "3")
		r.lines("sleep 2s", "sleep 3s", "sleep 4s", "sleep 5s")
		r.lines(":halt 1", ":haltnow 2", ":workers", ":jobs")
		time.Sleep(time.Second)
		r.lines(":halt 7", ":halt x")
		got := r.close()
		assert.Equal(t, exitFailed, got.status)
		assert.Contains(t, got.stderr, "jobqueue: worker 1: halted\n")
		assert.Contains(t, got.stderr, "jobqueue: worker 1: halting, since 0s on job 2: sleep 3s\n")
		assert.Contains(t, got.stderr, "jobqueue: worker 2: stopped\n")
		assert.Contains(t, got.stderr, "jobqueue: job 4: queued for 0s: sleep 5s\n")
		assert.Contains(t, got.stderr, "jobqueue: line 9: :halt 7: pool: Halt(7): no such worker\n")
		assert.Contains(t, got.stderr, "jobqueue: line 10: :halt x: want the number of a worker, or all, not \"x\"\n")
		assert.Contains(t, got.stdout, "canceled: pool: worker halted\n")
		assert.Contains(t, got.stdout, "s: succeeded 3, canceled 1, bad lines 2\n")
	})
}

// Halting all of them holds the queue until there are workers again, or nobody can
// ask for them any more.
func TestHaltAll(t *testing.T) {
	for name, more := range map[string][]string{"resized": {":resize 2"}, "end of input": nil} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := begin(t, console{}, "-workers", "2")
				r.lines("sleep 1s", "sleep 1s", "sleep 1s", ":halt all", ":workers")
				time.Sleep(10 * time.Second)
				r.lines(":workers", ":jobs")
				assert.Contains(t, r.stderr.String(), "jobqueue: no workers\njobqueue: job 3: queued for 10s: sleep 1s\n")
				r.lines(more...)
				got := r.close()
				assert.Equal(t, exitOK, got.status)
				assert.Contains(t, got.stdout, "3 jobs in 11s: succeeded 3\n")
			})
		})
	}
}

func TestHaltSignal(t *testing.T) {
	if len(haltSignals) == 0 {
		t.Skip("none here")
	}
	usr1 := haltSignals[0]
	bubble(t, func(t *testing.T) {
		r := begin(t, console{}, "-workers", "3")
		r.lines("sleep 10s", "sleep 10s", "sleep 10s")
		r.signal(usr1)
		assert.Contains(t, r.stderr.String(), "worker 2: halted\n")
		r.signal(usr1)
		assert.Contains(t, r.stderr.String(), "worker 1: halted\n", "the next one, though 2 is not done yet")
		time.Sleep(11 * time.Second)
		r.lines(":halt 0")
		r.signal(usr1)
		assert.Contains(t, r.stderr.String(), "there is no worker to halt\n")
		r.lines("sleep 1s")
		require.NoError(t, r.stdin.Close())
		synctest.Wait()
		r.signal(usr1)
		assert.Contains(t, r.stderr.String(), "the last worker stays")
		got := r.outcome()
		assert.Equal(t, exitOK, got.status)
		assert.Contains(t, got.stdout, "4 jobs in 12s: succeeded 4\n")
	})
}

// A worker that was to stop is kept by a resize, and not told of at the end.
func TestResizeKeepsAWorkerThatWasHalted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{}, "-workers", "1")
		r.lines("sleep 1s", ":halt 0", ":resize 1", "sleep 1s")
		got := r.close()
		assert.Equal(t, exitOK, got.status)
		assert.NotContains(t, got.stderr, "stopped")
	})
}

func TestPauseAndKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{}, "-workers", "1")
		r.lines("p", "sleep 1s", "sleep 1s")
		time.Sleep(5 * time.Second)
		assert.Contains(t, r.stderr.String(), "paused\n")
		assert.NotContains(t, r.stderr.String(), "started")
		r.lines("+", "p") // both run at once
		time.Sleep(1500 * time.Millisecond)
		r.lines("-", "0", "sleep 1s", "h", "+", "?", ":pause now", ":dance", "x", ":resize 99999")
		got := r.close()
		assert.Equal(t, exitFailed, got.status)
		for _, line := range []string{
			"2 workers", "resumed", "1 worker", "worker 0: halted",
			"line 12: :pause now: it takes no argument: \"now\"", "line 13: no such command: :dance; try :help",
			"line 14: no such command: x; try :help", "line 15: :resize 99999: want a number from 0 to 10,000, not \"99999\"",
		} {
			assert.Contains(t, r.stderr.String(), "jobqueue: "+line+"\n")
		}
		assert.Contains(t, got.stderr, "jobqueue: :halt N|all")
		assert.Contains(t, got.stdout, "3 jobs in 7.5s: succeeded 3, bad lines 4\n")
	})
}

func TestPauseEndsWithTheInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		got := command(t, ":pause\nsleep 1s\nsleep 2s\nsleep 3s\n", "-queue", "1", "-workers", "1")
		assert.Equal(t, exitOK, got.status)
		assert.Contains(t, got.stderr, "no more commands can come: resumed\n")
		assert.Contains(t, got.stdout, "3 jobs in 6s: succeeded 3\n")
	})
}

// A queue that is full does not keep the command from being heard that would drain it.
func TestCommandsOvertakeAFullQueue(t *testing.T) {
	for _, policy := range []string{"block", "caller"} {
		t.Run(policy, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := begin(t, console{}, "-queue", "1", "-workers", "1", "-full", policy)
				r.lines(":pause", "sleep 1s", "sleep 1s", "sleep 1s", "sleep 1s", ":jobs")
				assert.Contains(t, r.stderr.String(), "in front of the queue\n")
				r.lines(":resume")
				got := r.close()
				assert.Equal(t, exitOK, got.status)
				assert.Contains(t, got.stdout, "4 jobs in 4s: succeeded 4\n")
			})
		})
	}
}

func TestCancelAndStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{}, "-workers", "1")
		r.lines("sleep 1s", "sleep 1h", "sleep 1h", ":cancel 2")
		time.Sleep(2 * time.Second)
		r.lines(":cancel 3", ":cancel 1", ":cancel 9", ":cancel x", "q")
		got := r.outcome()
		assert.Equal(t, exitFailed, got.status)
		assert.Contains(t, got.stderr, "job 2: sleep 1h: canceled: by command\n")
		assert.Contains(t, got.stderr, "line 6: :cancel 1: it has succeeded already\n")
		assert.Contains(t, got.stderr, "line 7: :cancel 9: no such job\n")
		assert.Contains(t, got.stderr, "line 8: :cancel x: want the number of a job, not \"x\"\n")
		assert.Contains(t, got.stdout, "3 jobs in 2s: succeeded 1, canceled 2, bad lines 3\n")
	})
}

// While jobs are being finished, who types can still look on and hasten the end.
func TestCommandsWhileFinishing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := begin(t, console{typed: true}, "-workers", "2")
		r.lines("sleep 8s", "sleep 9s")
		r.signal(os.Interrupt)
		r.lines(":pause", "sleep 1s", ":cancel 2", ":jobs")
		got := r.outcome()
		assert.Equal(t, exitInterrupted, got.status)
		assert.Contains(t, got.stderr, "no pause: the jobs that are left are being finished\n")
		assert.Contains(t, got.stderr, "job 1: running for 0s: sleep 8s\n")
		assert.Contains(t, got.stdout, "2 jobs in 8s: succeeded 1, canceled 1, tasks not taken 1\n")
	})
}
