package pool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// diary is an observer that keeps all events.
type diary struct {
	mu     sync.Mutex
	events []pool.Event
}

func (d *diary) note(e pool.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// of returns the events of one job without their time, or those of all workers and
// of the pool for job 0.
func (d *diary) of(job uint64) []pool.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []pool.Event
	for _, e := range d.events {
		if e.Job == job {
			e.Time = time.Time{}
			found = append(found, e)
		}
	}
	return found
}

func (d *diary) count(kind pool.EventKind) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, e := range d.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// check checks the order of the events of a pool that has ended: "Of one job,
// JobQueued comes first and JobFinished or JobDropped last; of one worker,
// WorkerStarted comes first and WorkerStopped last." Nothing may have been lost.
func (d *diary) check(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	jobs, workers := map[uint64][]pool.Event{}, map[int][]pool.Event{}
	for _, e := range d.events {
		require.Zero(t, e.Lost, "%v", e)
		require.False(t, e.Time.IsZero(), "%v", e)
		switch e.Kind {
		case pool.WorkerStarted, pool.WorkerHalted, pool.WorkerStopped:
			workers[e.Worker] = append(workers[e.Worker], e)
		case pool.QueueFull:
		default:
			require.NotZero(t, e.Job, "%v", e)
			jobs[e.Job] = append(jobs[e.Job], e)
		}
	}
	for _, es := range jobs {
		for i, e := range es {
			first, last := e.Kind == pool.JobQueued, e.Kind == pool.JobFinished || e.Kind == pool.JobDropped
			require.Equal(t, i == 0, first, "event %d of %v", i, es)
			require.Equal(t, i == len(es)-1, last, "event %d of %v", i, es)
			require.Equal(t, last, e.Status.Terminal(), "status of event %d of %v", i, es)
			if i > 0 {
				require.False(t, e.Time.Before(es[i-1].Time), "time of event %d of %v", i, es)
			}
			if e.Kind == pool.JobStarted {
				require.Equal(t, 1, i, "a job starts once, whatever is retried: %v", es)
				require.Equal(t, 1, e.Attempt, "%v", es)
			}
		}
	}
	for id, es := range workers {
		up := false
		for i, e := range es {
			switch e.Kind {
			case pool.WorkerStarted:
				require.False(t, up, "worker %d starts twice: event %d of %v", id, i, es)
				up = true
			case pool.WorkerStopped:
				require.True(t, up, "worker %d stops twice: event %d of %v", id, i, es)
				up = false
			default: // that it is halted
			}
		}
		require.False(t, up, "worker %d has not stopped: %v", id, es)
	}
}

// flaky is a task that takes d and fails the first n times.
func flaky(n int, d time.Duration) task {
	var calls atomic.Int64
	return func(context.Context) (int, error) {
		time.Sleep(d)
		if c := int(calls.Add(1)); c > n {
			return c, nil
		}
		return 0, errBoom
	}
}

// The fields of each event of a job that is retried, and how they fit its result.
func TestEventsOfAJobThatIsRetried(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var d diary
		p := newTasks(pool.Workers(1), pool.Name("mill"), pool.Observe(d.note),
			pool.Retry(pool.RetryPolicy{Attempts: 3, Base: time.Second, Steady: 1}))
		submit(t, p, flaky(0, time.Minute))
		j := submit(t, p, flaky(1, time.Hour))
		_, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.NoError(t, p.Close())
		d.check(t)
		assert.Equal(t, []pool.Event{
			{Kind: pool.JobQueued, Pool: "mill", Job: 2, Worker: -1},
			{Kind: pool.JobStarted, Pool: "mill", Job: 2, Attempt: 1},
			{Kind: pool.JobRetried, Pool: "mill", Job: 2, Attempt: 1, Err: errBoom, Wait: time.Second},
			{Kind: pool.JobFinished, Pool: "mill", Job: 2, Attempt: 2, Status: result.Succeeded,
				Wait: time.Minute, Run: 2*time.Hour + time.Second},
		}, d.of(2))
		assert.Equal(t, []pool.Event{
			{Kind: pool.WorkerStarted, Pool: "mill"},
			{Kind: pool.WorkerStopped, Pool: "mill"},
		}, d.of(0))

		// Time is when it happened.
		r, _ := j.Result()
		for _, e := range d.events {
			switch {
			case e.Job != 2:
			case e.Kind == pool.JobQueued:
				assert.Equal(t, r.Timing.Queued, e.Time)
			case e.Kind == pool.JobStarted:
				assert.Equal(t, r.Timing.Started(), e.Time)
			case e.Kind == pool.JobFinished:
				assert.Equal(t, r.Timing.Finished(), e.Time)
			}
		}
	})
}

// What the last event of a job says is what its handle says.
func TestLastEventTellsTheEnd(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var d diary
		p := newTasks(pool.Workers(1), pool.Observe(d.note))
		jobs := []*pool.Job[int]{
			submit(t, p, give(1)),
			submit(t, p, func(context.Context) (int, error) { return 0, errBoom }),
			submit(t, p, func(context.Context) (int, error) { panic(errBoom) }),
			submit(t, p, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }),
			submit(t, p, heed), // is canceled while it runs
			submit(t, p, heed), // while it waits
			submit(t, p, heed), // runs when the pool is closed
			submit(t, p, heed), // waits
		}
		jobs[5].Cancel(errBoom)
		synctest.Wait()
		jobs[4].Cancel(errBoom)
		synctest.Wait()
		assert.NoError(t, p.Close())
		d.check(t)
		for i, j := range jobs {
			r, ok := j.Result()
			require.True(t, ok)
			es := d.of(j.ID())
			last := es[len(es)-1]
			assert.Equal(t, pool.Event{
				Kind: pool.JobFinished, Job: j.ID(), Worker: r.Worker, Attempt: r.Attempt,
				Status: r.Status(), Err: r.Err, Wait: r.Timing.Wait, Run: r.Timing.Run,
			}, last, "job %d", i)
			want := 3
			if r.Attempt == 0 {
				want = 2 // it never started
				assert.Equal(t, -1, last.Worker, "job %d", i)
			}
			assert.Len(t, es, want, "job %d: %v", i, es)
		}
	})
}

// Do, Map and Stream are no jobs and have no events of their own.
func TestCallsThatAreNoJobsAreNotTold(t *testing.T) {
	var d diary
	p := pool.New(same, pool.Workers(2), pool.Observe(d.note), pool.Retry(pool.RetryPolicy{Attempts: 2}))
	for range 10 {
		_, err := p.Do(t.Context(), 1)
		assert.NoError(t, err)
		_, err = p.Map(t.Context(), make([]int, 100))
		assert.NoError(t, err)
		assert.Equal(t, 100, drain(p.Stream(t.Context(), slices.Values(make([]int, 100)))))
	}
	assert.NoError(t, p.Close())
	d.check(t)
	for _, e := range d.events {
		assert.Contains(t, []pool.EventKind{pool.WorkerStarted, pool.WorkerStopped}, e.Kind, "%v", e)
	}
}

// Whatever is done with a pool, the events are in order and add up to its Stats.
func TestEventsAddUpToStats(t *testing.T) {
	for _, policy := range []pool.Policy{pool.Block, pool.Reject, pool.DropOldest, pool.CallerRuns} {
		t.Run(policy.String(), func(t *testing.T) {
			checkLeaks(t)
			var d diary
			p := newTasks(pool.Workers(3), pool.Queue(4), pool.Observe(d.note), pool.WhenFull(policy), pool.Track(5),
				pool.Capacity(3),
				pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Microsecond}))
			tasks := []task{
				give(1),
				func(context.Context) (int, error) { return 0, errBoom },
				func(context.Context) (int, error) { panic(errBoom) },
				func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
				func(context.Context) (int, error) { runtime.Gosched(); return 1, nil },
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for i := range 100 {
						onItsOwn(func() { // which CallerRuns may end
							var opts []pool.JobOption
							switch rand.IntN(4) {
							case 0:
								opts = append(opts, pool.Key(rand.IntN(2)), pool.Priority(rand.IntN(3)))
							case 1:
								opts = append(opts, pool.Weight(1+rand.Int64N(3)))
							}
							j, err := p.Submit(t.Context(), tasks[rand.IntN(len(tasks))], opts...)
							if err == nil && rand.IntN(5) == 0 {
								j.Cancel(nil)
							}
						})
						if i%20 == 0 {
							_ = p.Halt(rand.IntN(3))
							assert.NoError(t, p.Resize(1+rand.IntN(3)))
						}
					}
				})
			}
			wg.Wait()
			closing(t, p)
			d.check(t)

			s := p.Stats()
			assert.Zero(t, s.Queued+s.Running+s.Busy)
			assert.EqualValues(t, d.count(pool.JobQueued), s.Accepted)
			assert.EqualValues(t, d.count(pool.JobFinished), s.Accepted-s.Dropped)
			assert.EqualValues(t, d.count(pool.JobDropped), s.Dropped)
			assert.GreaterOrEqual(t, uint64(d.count(pool.JobRetried)), s.Retried, "one whose pause is cut is not made")
			by := map[result.Status]uint64{}
			for _, e := range d.events {
				if e.Kind == pool.JobFinished {
					by[e.Status]++
				}
			}
			assert.Equal(t, []uint64{by[result.Succeeded], by[result.Failed], by[result.Panicked], by[result.Canceled]},
				[]uint64{s.Succeeded, s.Failed, s.Panicked, s.Canceled})
		})
	}
}

// "An observer that is slow or panics does no harm."
func TestObserverDoesNoHarm(t *testing.T) {
	var p *pool.Pool[task, int]
	for name, tt := range map[string]struct {
		observe func(gate <-chan struct{})
		panics  bool
	}{
		"panics":              {func(<-chan struct{}) { panic(errBoom) }, true},
		"panics with nothing": {func(<-chan struct{}) { panic(nil) }, true}, //nolint:govet // that is the point
		"ends its goroutine":  {func(<-chan struct{}) { runtime.Goexit() }, false},
		"is slow":             {func(<-chan struct{}) { time.Sleep(time.Minute) }, false},
		"never returns":       {func(gate <-chan struct{}) { <-gate }, false},
		"closes the pool":     {func(<-chan struct{}) { _ = p.Close() }, false},
		"shuts it down":       {func(<-chan struct{}) { _ = p.Shutdown(context.Background()) }, false},
		"submits jobs": {func(<-chan struct{}) {
			_, _ = p.Submit(context.Background(), give(0))
			_, _ = p.TrySubmit(give(0))
		}, false},
		"calls": {func(<-chan struct{}) { _, _ = p.Do(context.Background(), give(0)) }, false},
		"asks":  {func(<-chan struct{}) { _, _, _ = p.Stats(), p.Workers(), p.Jobs() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				gate, told := make(chan struct{}), new(atomic.Int64)
				p = newTasks(pool.Workers(1), pool.Track(1), pool.Observe(func(pool.Event) {
					told.Add(1)
					tt.observe(gate)
				}))
				p.Pause() // so that the observer closes it behind Submit
				j, err := p.Submit(t.Context(), give(42))
				p.Resume()
				begin := time.Now()
				if err == nil {
					v, err := j.Wait(t.Context())
					if !errors.Is(err, pool.ErrClosed) {
						assert.NoError(t, err)
						assert.Equal(t, 42, v)
					}
				}
				assert.Zero(t, time.Since(begin), "the observer holds up a job")
				assert.NoError(t, p.Close())
				assert.LessOrEqual(t, time.Since(begin), 100*time.Millisecond)
				again := time.Now()
				assert.NoError(t, p.Close())
				assert.LessOrEqual(t, time.Since(again), 100*time.Millisecond)
				assert.Equal(t, tt.panics, p.Stats().ObserverPanics > 0)
				close(gate)
				time.Sleep(time.Hour) // until the slow one has been told all
				assert.Positive(t, told.Load())
			})
		})
	}
}

// An observer that fails is told the next event all the same.
func TestObserverThatFailsIsToldAll(t *testing.T) {
	for name, misbehave := range map[string]func(){
		"panic":  func() { panic("no") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			p := newTasks(pool.Workers(2), pool.Observe(func(e pool.Event) { d.note(e); misbehave() }))
			for i := range 100 {
				_, err := submit(t, p, give(i)).Wait(t.Context())
				assert.NoError(t, err)
			}
			closing(t, p)
			d.check(t)
			assert.Equal(t, 100, d.count(pool.JobFinished))
			if name == "panic" {
				assert.Equal(t, len(d.events), p.Stats().ObserverPanics)
			}
		})
	}
}

// "Up to 4,096 events wait for it, and beyond that events are lost, which the next one
// reports."
func TestEventsThatAreLostAreCounted(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		var d diary
		p := newTasks(pool.Workers(1), pool.Queue(10_000), pool.Observe(func(e pool.Event) { <-gate; d.note(e) }))
		const jobs = 3000
		for range jobs {
			submit(t, p, give(0))
		}
		synctest.Wait()
		lost := p.Stats().EventsLost
		assert.InDelta(t, 3*jobs+1-4096, lost, 1, "beside those that wait, the observer has one in hand")
		close(gate)
		synctest.Wait()
		submit(t, p, give(0))
		assert.NoError(t, p.Shutdown(t.Context()))
		told := 0
		for _, e := range d.events {
			told += e.Lost
		}
		assert.Equal(t, lost, told)
		assert.Equal(t, lost, p.Stats().EventsLost)
		assert.Len(t, d.events, 3*(jobs+1)+2-lost)
	})
}

// The life of workers, and what they are told to do.
func TestEventsOfWorkers(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var d diary
		p := newTasks(pool.Workers(2), pool.Observe(d.note), pool.IdleTimeout(time.Minute, 0))
		first := submit(t, p, heed)
		synctest.Wait()
		w := p.Workers()[0].ID
		assert.NoError(t, p.Halt(w))
		assert.NoError(t, p.Halt(w), "to halt it again does nothing")
		synctest.Wait()
		kinds := func() (ks []string) {
			for _, e := range d.of(0) {
				ks = append(ks, fmt.Sprint(e.Kind, " ", e.Worker))
			}
			return ks
		}
		assert.Equal(t, []string{"worker started 0", "worker halted 0"}, kinds())
		first.Cancel(nil)
		synctest.Wait()
		assert.Equal(t, []string{"worker started 0", "worker halted 0", "worker stopped 0"}, kinds())

		submit(t, p, give(1))
		time.Sleep(2 * time.Minute) // it stops because it is idle, and was not halted
		assert.Equal(t, []string{"worker started 1", "worker stopped 1"}, kinds()[3:])
		submit(t, p, give(1))
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, []string{"worker started 1", "worker stopped 1"}, kinds()[5:])
		d.check(t)
	})
}

// "WorkerStopped: of closing its state".
func TestEventOfAStateThatDoesNotClose(t *testing.T) {
	var d diary
	p := pool.NewStateful(func(context.Context, int) (int, error) { return 1, nil },
		func(_ context.Context, s, in int) (int, error) { return s + in, nil },
		func(int) error { return errBoom }, pool.Workers(1), pool.Observe(d.note))
	_, err := p.Do(t.Context(), 1)
	assert.NoError(t, err)
	assert.ErrorIs(t, p.Close(), errBoom)
	d.check(t)
	es := d.of(0)
	assert.ErrorIs(t, es[len(es)-1].Err, errBoom)
}

// LogTo from outside: what a pool logs, by level.
func TestLogOfAPool(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := newTasks(pool.Workers(1), pool.Name("mill"), pool.Observe(pool.LogTo(log)))
	for _, do := range []task{give(1), func(context.Context) (int, error) { return 0, errBoom }, func(context.Context) (int, error) { panic(1) }} {
		submit(t, p, do)
	}
	closing(t, p)
	var lines []string
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		assert.Equal(t, "mill", m["pool"])
		lines = append(lines, fmt.Sprint(m["level"], " ", m["msg"], " ", m["status"]))
	}
	for _, want := range []string{
		"DEBUG job queued <nil>", "DEBUG job started <nil>", "DEBUG job finished succeeded",
		"WARN job finished failed", "ERROR job finished panicked",
		"DEBUG worker started <nil>", "DEBUG worker stopped <nil>",
	} {
		assert.Contains(t, lines, want)
	}
}
