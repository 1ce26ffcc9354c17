package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/result"
)

var errRefused = errors.New("refused")

// patience is for what comes at once unless there is a bug.
const patience = 10 * time.Second

// toldEvents is an observer that keeps what it is told. Its methods may be called once
// a flush has said that all is told.
type toldEvents struct{ events []Event }

func (r *toldEvents) observe(e Event) { r.events = append(r.events, e) }

func (r *toldEvents) kinds() []EventKind {
	var kinds []EventKind
	for _, e := range r.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// lost is how many events were said to be lost.
func (r *toldEvents) lost() int {
	n := 0
	for _, e := range r.events {
		n += e.Lost
	}
	return n
}

func TestEventsArriveInOrderAndWhole(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var told toldEvents
		w := newWatch("fetch", told.observe)
		var want []Event
		for i := range 3000 { // the ring grows and wraps
			e := Event{
				Kind: JobRetried, Time: time.Now(), Job: uint64(i + 1), Worker: i, Attempt: i + 1,
				Err: errRefused, Wait: time.Duration(i), Run: time.Duration(2 * i),
			}
			w.note(e)
			e.Pool = "fetch"
			want = append(want, e)
			if i%7 == 0 {
				time.Sleep(time.Millisecond) // the observer catches up
			}
		}
		require.True(t, w.flush(time.Second))
		assert.Equal(t, want, told.events)
	})
}

// A ring that wraps around while it is full to the brim keeps the order.
func TestRingOfEventsGrowsInOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var told toldEvents
		gate := make(chan struct{})
		w := newWatch("", func(e Event) { <-gate; told.observe(e) })
		next := uint64(0)
		for range 400 {
			for range 10 {
				next++
				w.note(Event{Job: next})
			}
			for range 3 { // so that the head moves while the ring fills
				gate <- struct{}{}
			}
		}
		close(gate)
		require.True(t, w.flush(time.Second))
		require.Len(t, told.events, int(next))
		for i, e := range told.events {
			require.Equal(t, uint64(i+1), e.Job)
		}
	})
}

// Whoever is faster, submitter or worker: of each job, JobQueued comes first, once,
// and at the time at which it was queued.
func TestFirstEventOfAJobIsItsQueueing(t *testing.T) {
	const jobs = 1000 // with three events each they all find room
	var told toldEvents
	w := newWatch("", told.observe)
	queued := time.Now()
	var all sync.WaitGroup
	for id := uint64(1); id <= jobs; id++ {
		var announced bool
		start := make(chan struct{})
		at := queued.Add(time.Duration(id))
		all.Go(func() {
			<-start
			w.noteJob(&announced, at, Event{Kind: JobQueued, Time: at, Job: id, Worker: -1})
		})
		all.Go(func() {
			<-start
			w.noteJob(&announced, at, Event{Kind: JobStarted, Time: at.Add(1), Job: id, Worker: 3, Attempt: 1})
			w.noteJob(&announced, at, Event{Kind: JobFinished, Time: at.Add(2), Job: id, Worker: 3, Attempt: 1, Status: result.Succeeded})
		})
		close(start)
	}
	all.Wait()
	require.True(t, w.flush(patience))

	of := make(map[uint64][]Event)
	for _, e := range told.events {
		of[e.Job] = append(of[e.Job], e)
	}
	require.Len(t, of, jobs)
	for id, got := range of {
		at := queued.Add(time.Duration(id))
		require.Equal(t, []Event{
			{Kind: JobQueued, Time: at, Job: id, Worker: -1},
			{Kind: JobStarted, Time: at.Add(1), Job: id, Worker: 3, Attempt: 1},
			{Kind: JobFinished, Time: at.Add(2), Job: id, Worker: 3, Attempt: 1, Status: result.Succeeded},
		}, got)
	}
}

func TestFirstEventOfAWorkerIsItsStart(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var told toldEvents
		w := newWatch("", told.observe)
		now := time.Now()

		var late bool
		w.noteWorker(&late, Event{Kind: WorkerStopped, Time: now, Worker: 2, Err: errRefused})
		w.noteWorker(&late, Event{Kind: WorkerStarted, Time: now, Worker: 2})

		var early bool
		w.noteWorker(&early, Event{Kind: WorkerStarted, Time: now, Worker: 0})
		w.noteWorker(&early, Event{Kind: WorkerHalted, Time: now.Add(1), Worker: 0})
		w.noteWorker(&early, Event{Kind: WorkerStopped, Time: now.Add(2), Worker: 0})

		require.True(t, w.flush(time.Second))
		assert.Equal(t, []Event{
			{Kind: WorkerStarted, Time: now, Worker: 2},
			{Kind: WorkerStopped, Time: now, Worker: 2, Err: errRefused},
			{Kind: WorkerStarted, Time: now, Worker: 0},
			{Kind: WorkerHalted, Time: now.Add(1), Worker: 0},
			{Kind: WorkerStopped, Time: now.Add(2), Worker: 0},
		}, told.events)
	})
}

// "It does not wait for the observer", and nothing goes missing silently.
func TestSlowObserverLosesTheNewestEvents(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var told toldEvents
		gate := make(chan struct{})
		w := newWatch("", func(e Event) { <-gate; told.observe(e) })

		w.note(Event{Job: 1})
		synctest.Wait() // the observer has it in hand
		for i := range maxEvents + 100 {
			w.note(Event{Job: uint64(i + 2)})
		}
		lost, panics := w.troubles()
		assert.Equal(t, 100, lost)
		assert.Zero(t, panics)

		gate <- struct{}{}
		synctest.Wait() // one place is free
		w.note(Event{Job: 7001})
		w.note(Event{Job: 7002})

		close(gate)
		require.True(t, w.flush(time.Second))
		w.note(Event{Job: 7003})
		w.note(Event{Job: 7004})
		require.True(t, w.flush(time.Second))

		require.Len(t, told.events, 1+maxEvents+3)
		for i, e := range told.events[:1+maxEvents] {
			require.Equal(t, Event{Job: uint64(i + 1)}, e)
		}
		assert.Equal(t, []Event{{Job: 7001, Lost: 100}, {Job: 7003, Lost: 1}, {Job: 7004}}, told.events[1+maxEvents:])
		lost, _ = w.troubles()
		assert.Equal(t, 101, lost)
	})
}

func TestDeliveredAndLostAreWhatWasNoted(t *testing.T) {
	const noters, each = 8, 5000
	var told toldEvents
	w := newWatch("", func(e Event) {
		told.observe(e)
		if len(told.events)%64 == 0 {
			runtime.Gosched() // slower than those who note
		}
	})
	var all sync.WaitGroup
	for n := range noters {
		all.Go(func() {
			for i := range each {
				w.note(Event{Worker: n, Job: uint64(i + 1)})
			}
		})
	}
	all.Wait()
	require.True(t, w.flush(patience))
	w.note(Event{Worker: noters}) // tells of the losses at the end
	require.True(t, w.flush(patience))

	assert.Equal(t, noters*each+1, len(told.events)+told.lost())
	lost, _ := w.troubles()
	assert.Equal(t, lost, told.lost())
	last := make(map[int]uint64)
	for _, e := range told.events[:len(told.events)-1] {
		require.Greater(t, e.Job, last[e.Worker], "the order of each")
		last[e.Worker] = e.Job
	}
}

// An observer that does the worst it can, one event after another, is still called
// for each of them and by one goroutine at a time.
func TestObserverThatFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fail   func(n int)
		panics func(n int) bool
	}{
		{"panics always", func(int) { panic("bug") }, func(int) bool { return true }},
		{"exits always", func(int) { runtime.Goexit() }, func(int) bool { return false }},
		{"in turn", func(n int) {
			switch n % 3 {
			case 0:
				panic(errRefused)
			case 1:
				runtime.Goexit()
			}
		}, func(n int) bool { return n%3 == 0 }},
		{"panics with nil", func(int) { panic(nil) }, func(int) bool { return true }}, //nolint:govet // on purpose
		{"panics while it exits", func(int) {
			defer panic("bug")
			runtime.Goexit()
		}, func(int) bool { return true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				const events = 300
				var told toldEvents
				var inside, twice atomic.Int64
				w := newWatch("", func(e Event) {
					if inside.Add(1) > 1 {
						twice.Add(1)
					}
					defer inside.Add(-1)
					told.observe(e)
					time.Sleep(time.Millisecond)
					tt.fail(len(told.events) - 1)
				})
				wantPanics := 0
				for i := range events {
					w.note(Event{Job: uint64(i + 1)})
					if tt.panics(i) {
						wantPanics++
					}
				}
				require.True(t, w.flush(time.Second))
				require.Len(t, told.events, events)
				for i, e := range told.events {
					require.Equal(t, Event{Job: uint64(i + 1)}, e)
				}
				assert.Zero(t, twice.Load())
				lost, panics := w.troubles()
				assert.Zero(t, lost)
				assert.Equal(t, wantPanics, panics)
			})
		})
	}
}

func TestObserverMayNoteEvents(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var told toldEvents
		var w *watch
		w = newWatch("", func(e Event) {
			told.observe(e)
			if e.Kind < JobFinished {
				w.note(Event{Kind: e.Kind + 1})
			}
			w.troubles()
		})
		w.note(Event{Kind: JobQueued})
		synctest.Wait()
		assert.Equal(t, []EventKind{JobQueued, JobStarted, JobRetried, JobFinished}, told.kinds())
	})
}

func TestFlush(t *testing.T) {
	// flushed returns what flush says and how long it took, in the bubble's time.
	flushed := func(w *watch, d time.Duration) (bool, time.Duration) {
		start := time.Now()
		return w.flush(d), time.Since(start)
	}
	slow := func(Event) { time.Sleep(30 * time.Millisecond) }

	t.Run("nothing noted", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			ok, took := flushed(newWatch("", slow), 0)
			assert.True(t, ok)
			assert.Zero(t, took)
		})
	})
	t.Run("all delivered", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			w := newWatch("", slow)
			w.note(Event{})
			w.note(Event{})
			w.note(Event{})
			ok, took := flushed(w, 100*time.Millisecond)
			assert.True(t, ok)
			assert.Equal(t, 90*time.Millisecond, took)
			ok, took = flushed(w, time.Second)
			assert.True(t, ok, "still")
			assert.Zero(t, took)
		})
	})
	t.Run("in time not", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			w := newWatch("", slow)
			w.note(Event{})
			w.note(Event{})
			ok, took := flushed(w, 40*time.Millisecond)
			assert.False(t, ok)
			assert.Equal(t, 40*time.Millisecond, took)
			ok, took = flushed(w, time.Second)
			assert.True(t, ok, "later")
			assert.Equal(t, 20*time.Millisecond, took)
		})
	})
	t.Run("observer that never returns", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			gate := make(chan struct{})
			defer close(gate)
			w := newWatch("", func(Event) { <-gate })
			w.note(Event{})
			for range 3 {
				ok, took := flushed(w, time.Minute)
				assert.False(t, ok)
				assert.Equal(t, time.Minute, took)
			}
			assert.Empty(t, w.flushes, "who has given up is forgotten")
		})
	})
	t.Run("by the observer", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			var w *watch
			says := true
			w = newWatch("", func(Event) { says = w.flush(time.Second) })
			w.note(Event{})
			ok, took := flushed(w, time.Minute)
			assert.True(t, ok)
			assert.Equal(t, time.Second, took)
			assert.False(t, says)
		})
	})
	t.Run("does not wait for what comes later", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			var w *watch
			var enough atomic.Bool
			w = newWatch("", func(Event) { // never without a next event
				time.Sleep(10 * time.Millisecond)
				if !enough.Load() {
					w.note(Event{})
				}
			})
			w.note(Event{})
			w.note(Event{})
			ok, took := flushed(w, time.Second)
			assert.True(t, ok)
			assert.Equal(t, 20*time.Millisecond, took)
			enough.Store(true)
			assert.True(t, w.flush(time.Second))
		})
	})
	t.Run("several at once", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			w := newWatch("", slow)
			var all sync.WaitGroup
			for i := range 5 {
				w.note(Event{})
				for _, d := range []time.Duration{10 * time.Millisecond, time.Second} {
					all.Go(func() {
						ok, took := flushed(w, d)
						assert.Equal(t, d == time.Second, ok)
						assert.Equal(t, min(d, time.Duration(i+1)*30*time.Millisecond), took)
					})
				}
				synctest.Wait()
			}
			all.Wait()
		})
	})
}

// The bubble fails if a goroutine is left when it ends.
func TestIdleWatchHasNoGoroutineAndLittleMemory(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		w := newWatch("", func(Event) { <-gate })
		for range maxEvents {
			w.note(Event{Err: errRefused})
		}
		assert.True(t, w.running)
		assert.Len(t, w.buf, maxEvents)
		close(gate)
		synctest.Wait()
		assert.False(t, w.running)
		assert.Empty(t, w.buf)

		for range minEvents {
			w.note(Event{Err: errRefused})
		}
		synctest.Wait()
		assert.Equal(t, make([]Event, minEvents), w.buf, "keeps its first room, and nothing in it")
	})
}

func TestEventKindsHaveNames(t *testing.T) {
	for i, want := range []string{
		"job queued", "job started", "job retried", "job finished", "job dropped",
		"worker started", "worker halted", "worker stopped", "queue full", "event kind 9",
	} {
		assert.Equal(t, want, EventKind(i).String())
	}
	assert.Equal(t, "event kind 255", EventKind(255).String())
}

// shownEvents are events and how they look, as text and as a line of a log.
var shownEvents = []struct {
	event     Event
	text, log string
}{
	{
		Event{Kind: JobQueued, Job: 7, Worker: -1},
		`job queued job=7`,
		`level=DEBUG msg="job queued" job=7`,
	},
	{
		Event{Kind: JobStarted, Pool: "fetch", Job: 7, Worker: 0, Attempt: 1},
		`job started pool=fetch job=7 worker=0 attempt=1`,
		`level=DEBUG msg="job started" pool=fetch job=7 worker=0 attempt=1`,
	},
	{
		Event{Kind: JobRetried, Job: 7, Worker: 2, Attempt: 1, Wait: 80 * time.Millisecond, Err: errors.New("connection\nrefused")},
		`job retried job=7 worker=2 attempt=1 wait=80ms err="connection\nrefused"`,
		`level=INFO msg="job retried" job=7 worker=2 attempt=1 wait=80ms err="connection\nrefused"`,
	},
	{
		Event{Kind: JobFinished, Job: 7, Worker: 2, Attempt: 2, Status: result.Succeeded, Wait: time.Second, Run: time.Minute},
		`job finished job=7 worker=2 attempt=2 status=succeeded wait=1s run=1m0s`,
		`level=DEBUG msg="job finished" job=7 worker=2 attempt=2 status=succeeded wait=1s run=1m0s`,
	},
	{
		Event{Kind: JobFinished, Job: 7, Worker: 2, Attempt: 3, Status: result.Failed, Err: errRefused},
		`job finished job=7 worker=2 attempt=3 status=failed err=refused`,
		`level=WARN msg="job finished" job=7 worker=2 attempt=3 status=failed err=refused`,
	},
	{
		Event{Kind: JobFinished, Job: 7, Worker: 2, Attempt: 1, Status: result.Panicked, Err: &result.PanicError{Value: "bug", Stack: []byte("main.go:1")}},
		`job finished job=7 worker=2 attempt=1 status=panicked err="panic: bug"`,
		`level=ERROR msg="job finished" job=7 worker=2 attempt=1 status=panicked err="panic: bug" stack=main.go:1`,
	},
	{
		Event{Kind: JobFinished, Job: 7, Worker: -1, Status: result.Canceled, Err: context.Canceled},
		`job finished job=7 status=canceled err="context canceled"`,
		`level=INFO msg="job finished" job=7 status=canceled err="context canceled"`,
	},
	{
		Event{Kind: JobDropped, Job: 7, Worker: -1, Status: result.Canceled, Err: ErrFull},
		`job dropped job=7 status=canceled err="pool: queue is full"`,
		`level=WARN msg="job dropped" job=7 status=canceled err="pool: queue is full"`,
	},
	{
		Event{Kind: WorkerStarted, Worker: 3, Pool: "a b"},
		`worker started pool="a b" worker=3`,
		`level=DEBUG msg="worker started" pool="a b" worker=3`,
	},
	{
		Event{Kind: WorkerHalted, Worker: 3},
		`worker halted worker=3`,
		`level=INFO msg="worker halted" worker=3`,
	},
	{
		Event{Kind: WorkerStopped, Worker: 3},
		`worker stopped worker=3`,
		`level=DEBUG msg="worker stopped" worker=3`,
	},
	{
		Event{Kind: WorkerStopped, Worker: 3, Err: errRefused},
		`worker stopped worker=3 err=refused`,
		`level=WARN msg="worker stopped" worker=3 err=refused`,
	},
	{
		Event{Kind: WorkerStopped, Worker: 3, Err: errors.New("red\x1b")},
		`worker stopped worker=3 err="red\x1b"`,
		`level=WARN msg="worker stopped" worker=3 err="red\x1b"`,
	},
	{
		Event{Kind: QueueFull, Worker: -1},
		`queue full`,
		`level=WARN msg="queue full"`,
	},
	{
		Event{Kind: JobQueued, Job: 8, Worker: -1, Lost: 5},
		`job queued job=8 lost=5`,
		`level=WARN msg="job queued" job=8 lost=5`,
	},
	{
		Event{Kind: JobFinished, Worker: -1, Status: result.Panicked, Lost: 5, Err: errors.New("")},
		`job finished status=panicked err="" lost=5`,
		`level=ERROR msg="job finished" status=panicked err="" lost=5`,
	},
	{
		Event{Kind: 200, Worker: -1},
		`event kind 200`,
		`level=DEBUG msg="event kind 200"`,
	},
}

// textLogger returns a logger to b that leaves out times that are not the event's.
func textLogger(b *strings.Builder, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level, AddSource: true,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
}

func TestEventsAsText(t *testing.T) {
	for _, tt := range shownEvents {
		tt.event.Time = time.Now()
		assert.Equal(t, tt.text, tt.event.String())
		assert.Equal(t, tt.text, fmt.Sprint(tt.event), "by value")
	}
}

// "MarshalJSON returns the event as a JSON object with lower-case names, the error as its
// text and durations in seconds. It leaves out the fields that are not set."
func TestEventsAsJSON(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for want, e := range map[string]Event{
		`{"kind":"queue full"}`: {Kind: QueueFull, Worker: -1},
		`{"kind":"job finished","time":"2026-05-04T03:02:01Z","pool":"fetch","job":7,"worker":0,"attempt":2,"status":"failed","err":"refused","wait_seconds":1.5,"run_seconds":60,"lost":3}`: {
			Kind: JobFinished, Time: at, Pool: "fetch", Job: 7, Attempt: 2, Status: result.Failed, Err: errRefused,
			Wait: 1500 * time.Millisecond, Run: time.Minute, Lost: 3,
		},
		`{"kind":"job dropped","job":7,"status":"canceled","err":"pool: dropped from a full queue"}`: {
			Kind: JobDropped, Job: 7, Worker: -1, Status: result.Canceled, Err: ErrDropped,
		},
	} {
		b, err := json.Marshal(e)
		assert.NoError(t, err)
		assert.Equal(t, want, string(b))
	}
	for kind := JobQueued; kind <= QueueFull; kind++ {
		text, err := kind.MarshalText()
		assert.NoError(t, err)
		assert.Equal(t, kind.String(), string(text))
	}
	_, err := json.Marshal(Event{Kind: QueueFull + 1})
	assert.ErrorContains(t, err, "pool: cannot marshal unknown event kind 9")
}

func TestLogTo(t *testing.T) {
	for _, tt := range shownEvents {
		var b strings.Builder
		tt.event.Time = time.Now()
		LogTo(textLogger(&b, slog.LevelDebug))(tt.event)
		assert.Equal(t, tt.log+"\n", b.String())
	}
	assert.PanicsWithValue(t, "pool: LogTo: nil logger", func() { LogTo(nil) })
}

// A panic's err is its message, and its stack an attribute of its own, whatever the
// handler makes of errors.
func TestLogOfAPanicHasItsStack(t *testing.T) {
	e := Event{
		Kind: JobFinished, Job: 7, Status: result.Panicked,
		Err: fmt.Errorf("open: %w", &result.PanicError{Value: "bug", Stack: []byte("main.go:1\nmain.go:2")}),
	}
	for name, handler := range map[string]func(io.Writer, *slog.HandlerOptions) slog.Handler{
		`err="open: panic: bug" stack="main.go:1\nmain.go:2"`:     func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
		`"err":"open: panic: bug","stack":"main.go:1\nmain.go:2"`: func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) },
	} {
		var b strings.Builder
		log := slog.New(handler(&b, nil))
		LogTo(log)(e)
		assert.Contains(t, b.String(), name)
		b.Reset()
		log.Info("seen", "event", e)
		assert.Contains(t, strings.ReplaceAll(b.String(), "event.", ""), name, "as a value")
	}
	assert.Equal(t, `job finished job=7 worker=0 status=panicked err="open: panic: bug"`, e.String(), "on one line")
}

func TestLogToHeedsTheLoggersLevel(t *testing.T) {
	var b strings.Builder
	log := LogTo(textLogger(&b, slog.LevelWarn).With("service", "x").WithGroup("pool"))
	for _, tt := range shownEvents {
		log(tt.event)
	}
	for line := range strings.Lines(b.String()) {
		assert.Regexp(t, `^level=(WARN|ERROR) msg=".*" service=x`, line)
	}
	assert.Contains(t, b.String(), "service=x pool.job=7 pool.worker=2 pool.attempt=3")
	assert.Equal(t, 8, strings.Count(b.String(), "\n"))
}

func TestLogToUsesTheTimeOfTheEvent(t *testing.T) {
	var b strings.Builder
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	LogTo(slog.New(slog.NewTextHandler(&b, nil)))(Event{Kind: QueueFull, Time: at, Worker: -1})
	assert.Equal(t, "time=2026-05-04T03:02:01.000Z level=WARN msg=\"queue full\"\n", b.String())
}

func TestEventAsLogValue(t *testing.T) {
	var b strings.Builder
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for kind := JobQueued; kind <= QueueFull; kind++ {
		b.Reset()
		textLogger(&b, slog.LevelInfo).Handler().WithAttrs([]slog.Attr{slog.Any("event", Event{
			Kind: kind, Time: at, Pool: "fetch", Job: 7, Worker: 0, Status: result.Failed, Err: errRefused,
		})}).Handle(t.Context(), slog.Record{Level: slog.LevelInfo, Message: "seen"}) //nolint:errcheck // a Builder takes all

		status := ""
		if kind == JobFinished || kind == JobDropped {
			status = " event.status=failed"
		}
		assert.Equal(t, fmt.Sprintf("level=INFO msg=seen event.kind=%q event.time=2026-05-04T03:02:01.000Z"+
			" event.pool=fetch event.job=7 event.worker=0%s event.err=refused\n", kind, status), b.String())
	}
}
