package pool_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
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

// However a call ends when its time is over, that is what its input has come to, and
// not that it was canceled.
func TestEndsBehindTheTimeout(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1), pool.Timeout(time.Second))
				for range 3 {
					j := submit(t, p, func(ctx context.Context) (int, error) {
						<-ctx.Done()
						assert.ErrorContains(t, context.Cause(ctx), "timeout of 1s")
						return e.do(ctx)
					})
					_, err := j.Wait(t.Context())
					e.check(t, err)
					assert.Equal(t, e.status, j.Status())
					r, _ := j.Result()
					assert.Equal(t, time.Second, r.Timing.Run)
				}
				assert.NoError(t, p.Close())
			})
		})
	}
}

// So it is with one that was canceled, halted or cut by the end of the pool, but that
// an error which says that it was canceled says why.
func TestEndsBehindACancel(t *testing.T) {
	errCut := errors.New("cut")
	cuts := map[string]struct {
		cut   func(p *pool.Pool[task, int], j *pool.Job[int])
		cause error
	}{
		"Cancel":  {func(_ *pool.Pool[task, int], j *pool.Job[int]) { j.Cancel(errCut) }, errCut},
		"HaltNow": {func(p *pool.Pool[task, int], _ *pool.Job[int]) { _ = p.HaltNow(0) }, pool.ErrHalted},
		"Shutdown": {func(p *pool.Pool[task, int], _ *pool.Job[int]) {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(errCut)
			_ = p.Shutdown(ctx)
		}, errCut},
	}
	for name, c := range cuts {
		for _, e := range endings {
			t.Run(name+"/"+e.name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					p := newTasks(pool.Workers(1))
					j := submit(t, p, func(ctx context.Context) (int, error) {
						<-ctx.Done()
						assert.Equal(t, c.cause, context.Cause(ctx))
						return e.do(ctx)
					})
					synctest.Wait()
					c.cut(p, j)
					_, err := j.Wait(t.Context())
					assert.Equal(t, e.status, j.Status())
					if e.status == result.Canceled {
						assert.ErrorIs(t, err, context.Canceled)
						assert.ErrorIs(t, err, c.cause)
					} else {
						e.check(t, err)
					}
					assert.NoError(t, p.Close())
				})
			})
		}
	}
}

// What ends first a job's context, of Cancel, HaltNow, the Timeout and the end of the
// pool, is the cause that it keeps.
func TestFirstCauseCounts(t *testing.T) {
	cuts := map[string]struct {
		cut   func(p *pool.Pool[task, int], j *pool.Job[int])
		cause error
	}{
		"Cancel":    {func(_ *pool.Pool[task, int], j *pool.Job[int]) { j.Cancel(errBoom) }, errBoom},
		"Cancel(0)": {func(_ *pool.Pool[task, int], j *pool.Job[int]) { j.Cancel(nil) }, context.Canceled},
		"HaltNow":   {func(p *pool.Pool[task, int], _ *pool.Job[int]) { _ = p.HaltNow(0) }, pool.ErrHalted},
		"Timeout":   {func(*pool.Pool[task, int], *pool.Job[int]) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
		"Close":     {func(p *pool.Pool[task, int], _ *pool.Job[int]) { go p.Close() }, pool.ErrClosed}, //nolint:errcheck // nil
	}
	for first, a := range cuts {
		for second, b := range cuts {
			t.Run(first+" then "+second, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					p := newTasks(pool.Workers(1), pool.Timeout(time.Minute))
					gate := make(chan struct{})
					j := submit(t, p, func(ctx context.Context) (int, error) {
						<-gate
						assert.ErrorIs(t, context.Cause(ctx), a.cause)
						return 0, ctx.Err()
					})
					synctest.Wait()
					a.cut(p, j)
					synctest.Wait()
					b.cut(p, j)
					synctest.Wait()
					assert.Equal(t, result.Running, j.Status())
					close(gate)
					_, err := j.Wait(t.Context())
					assert.ErrorIs(t, err, a.cause)
					if first == "Timeout" {
						assert.NotErrorIs(t, err, context.Canceled)
					} else {
						assert.ErrorIs(t, err, context.Canceled)
					}
					assert.NoError(t, p.Close())
				})
			})
		}
	}
}

// A nested call that fails is an error to the one that asks, and nothing worse: a
// panic has the stack of where it was, and a Goexit ends those whose goroutine it is.
func TestFailureInsideACall(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1))
				asks := map[string]func(ctx context.Context) error{
					"Do":  func(ctx context.Context) error { _, err := p.Do(ctx, e.do); return err },
					"Map": func(ctx context.Context) error { _, err := p.Map(ctx, []task{e.do}); return err },
					"Wait": func(ctx context.Context) error {
						_, err := submit(t, p, e.do).Wait(ctx)
						return err
					},
				}
				for name, ask := range asks {
					outer := submit(t, p, func(ctx context.Context) (int, error) {
						e.check(t, ask(ctx))
						return 42, nil
					})
					v, err := outer.Wait(t.Context())
					if e.exits {
						assert.ErrorIs(t, err, pool.ErrGoexit, name)
					} else {
						assert.NoError(t, err, name)
						assert.Equal(t, 42, v, name)
					}
				}
				v, err := submit(t, p, give(3)).Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 3, v)
				assert.Zero(t, p.Stats().Busy)
				assert.NoError(t, p.Close())
			})
		})
	}
}

// A panic at depth 1,000 is the error of the call at that depth, and can be handed up.
func TestPanicAtDepth(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for name, ask := range asking {
			if name == "Stream" {
				continue // each has goroutines of its own
			}
			var p *pool.Pool[int, int]
			p = pool.New(func(ctx context.Context, n int) (int, error) {
				switch n {
				case 0:
					return 0, nil
				case 1:
					panic(errBoom)
				}
				return ask(ctx, p, n-1)
			}, pool.Workers(1))
			_, err := ask(t.Context(), p, 1000)
			var caught *result.PanicError
			require.ErrorAs(t, err, &caught, name)
			assert.ErrorIs(t, err, errBoom, name)
			assert.NoError(t, p.Close())
		}
	})
}

// "Wait does not wait for a job that may not start yet because of a Key, a Weight or
// After": a call that waits for a job with its own key would wait for itself. With a
// key for each depth, a priority or weights for which there is room, it goes on.
func TestNestedWaitForJobsWithOptions(t *testing.T) {
	const depth = 1000
	cases := map[string]struct {
		opts  func(n int) []pool.JobOption
		stops int // the depth at which it would deadlock
	}{
		"own key":         {func(int) []pool.JobOption { return []pool.JobOption{pool.Key("k")} }, depth - 1},
		"two keys":        {func(n int) []pool.JobOption { return []pool.JobOption{pool.Key(n % 2)} }, depth - 2},
		"a key for each":  {func(n int) []pool.JobOption { return []pool.JobOption{pool.Key(n)} }, 0},
		"priority":        {func(n int) []pool.JobOption { return []pool.JobOption{pool.Priority(n)} }, 0},
		"light":           {func(int) []pool.JobOption { return []pool.JobOption{pool.Weight(1)} }, 0},
		"heavy":           {func(int) []pool.JobOption { return []pool.JobOption{pool.Weight(10)} }, depth - 200},
		"of all capacity": {func(int) []pool.JobOption { return []pool.JobOption{pool.Weight(2000)} }, depth - 1},
		"delay":           {func(int) []pool.JobOption { return []pool.JobOption{pool.After(time.Second)} }, depth - 1},
		"no delay":        {func(int) []pool.JobOption { return []pool.JobOption{pool.After(-time.Second)} }, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				stopped := -1
				var p *pool.Pool[int, int]
				p = pool.New(func(ctx context.Context, n int) (int, error) {
					if n == 0 {
						stopped = 0
						return 0, nil
					}
					j, err := p.Submit(ctx, n-1, c.opts(n-1)...)
					if err != nil {
						return 0, err
					}
					v, err := j.Wait(ctx)
					if err == pool.ErrWouldDeadlock { //nolint:errorlint // as it is
						if stopped < 0 {
							stopped = n
						}
						j.Cancel(errBoom) // it stays in the queue: to wait for it is the error
						assertCanceled(t, j, errBoom)
						return 0, nil
					}
					return v + 1, err
				}, pool.Workers(1), pool.Capacity(2000))
				j, err := p.Submit(t.Context(), depth-1, c.opts(depth-1)...)
				require.NoError(t, err)
				_, err = j.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, c.stops, stopped)
				s := p.Stats()
				assert.Zero(t, s.Queued+s.Running)
				assert.NoError(t, p.Shutdown(t.Context()))
			})
		})
	}
}

// "Close cancels what is left" and waits for a function that returns long after the
// deadline of a Shutdown, which has told of each that is stuck, however it runs.
func TestFunctionThatReturnsLongAfterTheDeadline(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const n = 15
		p := newTasks(pool.Workers(n+1), pool.Queue(n))
		long := func(context.Context) (int, error) {
			time.Sleep(10 * time.Hour)
			return 1, nil
		}
		var jobs []*pool.Job[int]
		for range n {
			jobs = append(jobs, submit(t, p, long))
			time.Sleep(time.Second)
		}
		mapped := make(chan error, 1)
		go func() {
			_, err := p.Map(t.Context(), []task{long})
			mapped <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errBoom)
		defer cancel()
		err := p.Shutdown(ctx)
		var stuck *pool.StuckError
		require.ErrorAs(t, err, &stuck)
		assert.Same(t, errBoom, stuck.Err)
		require.Len(t, stuck.Calls, n+1)
		assert.True(t, slices.IsSortedFunc(stuck.Calls, func(a, b pool.StuckCall) int { return a.Worker - b.Worker }))
		ages := map[uint64]time.Duration{}
		for _, c := range stuck.Calls {
			ages[c.Job] = c.Age
		}
		want := map[uint64]time.Duration{0: 0}
		for i, j := range jobs {
			want[j.ID()] = time.Hour + 100*time.Millisecond + time.Duration(n-i)*time.Second
			assert.Equal(t, result.Running, j.Status())
		}
		assert.Equal(t, want, ages)
		assert.ErrorContains(t, err, "job 10 for 1h0m6.1s, ...): boom", "the first ten of them")
		begin := time.Now()
		assert.NoError(t, p.Close())
		assert.Greater(t, time.Since(begin), 8*time.Hour)
		for _, j := range jobs {
			_, err := j.Wait(t.Context())
			assert.NoError(t, err, "it was done with its work")
		}
		<-mapped //nolint:errcheck // of no interest here
	})
}

// A job in the queue is canceled whatever keeps it there, and leaves its place: the
// next one with its key starts, its weight is free and its room in the queue as well.
func TestCancelOfJobThatMayNotStart(t *testing.T) {
	options := map[string][]pool.JobOption{
		"key":      {pool.Key("k")},
		"weight":   {pool.Weight(3)},
		"delay":    {pool.After(time.Hour)},
		"priority": {pool.Priority(-1)},
		"all":      {pool.Key("k"), pool.Weight(3), pool.After(time.Hour), pool.Priority(2)},
	}
	for name, opts := range options {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(2), pool.Queue(2), pool.Capacity(3))
				gate := make(chan struct{})
				for range 2 {
					_, err := p.Submit(t.Context(), block(gate))
					require.NoError(t, err)
				}
				synctest.Wait()
				never := func(context.Context) (int, error) {
					assert.Fail(t, "called")
					return 0, nil
				}
				for range 3 {
					a, err := p.Submit(t.Context(), never, opts...)
					require.NoError(t, err)
					b, err := p.Submit(t.Context(), never, opts...)
					require.NoError(t, err)
					_, err = p.TrySubmit(never)
					assert.ErrorIs(t, err, pool.ErrFull)
					a.Cancel(errBoom)
					b.Cancel(nil)
					a.Cancel(nil)
					assertCanceled(t, a, errBoom)
					assertCanceled(t, b, context.Canceled)
					assert.Zero(t, p.Stats().Queued)
				}
				last, err := p.Submit(t.Context(), give(7), opts...)
				require.NoError(t, err)
				close(gate)
				v, err := last.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 7, v)
				synctest.Wait()
				s := p.Stats()
				assert.EqualValues(t, 6, s.Canceled)
				assert.EqualValues(t, 3, s.Succeeded)
				assert.NoError(t, p.Shutdown(t.Context()))
			})
		})
	}
}

// A running job that heeds nothing keeps its key and its weight when it is canceled,
// until it ends, however it does.
func TestCanceledJobKeepsItsKeyUntilItEnds(t *testing.T) {
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(3), pool.Capacity(2))
				gate := make(chan struct{})
				first, err := p.Submit(t.Context(), func(ctx context.Context) (int, error) {
					<-gate
					return e.do(ctx)
				}, pool.Key("k"), pool.Weight(2))
				require.NoError(t, err)
				second, err := p.Submit(t.Context(), give(2), pool.Key("k"))
				require.NoError(t, err)
				third, err := p.Submit(t.Context(), give(3), pool.Weight(1))
				require.NoError(t, err)
				synctest.Wait()
				first.Cancel(errBoom)
				synctest.Wait()
				assert.Equal(t, result.Queued, second.Status())
				assert.Equal(t, result.Queued, third.Status())
				close(gate)
				v, err := second.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 2, v)
				v, err = third.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 3, v)
				assert.NoError(t, p.Close())
			})
		})
	}
}

// Of Cancels that race with each other, with the start and with the end of a job, one
// comes first, and all that can be asked says the same: Status, Result, Wait, Done,
// the list of jobs, the counts and the events.
func TestCancelHasOneOutcome(t *testing.T) {
	checkLeaks(t)
	rounds := many(3000)
	var started, finished, dropped atomic.Int64
	p := newTasks(pool.Workers(2), pool.Queue(rounds+1), pool.Track(rounds+1), pool.Capacity(2), pool.Observe(func(e pool.Event) {
		switch e.Kind {
		case pool.JobStarted:
			started.Add(1)
		case pool.JobFinished:
			finished.Add(1)
		case pool.JobDropped:
			dropped.Add(1)
		default:
		}
	}))
	causes := []error{nil, errBoom, errors.New("other")}
	options := [][]pool.JobOption{nil, {pool.Key("k")}, {pool.Weight(2)}, {pool.After(time.Microsecond)}}
	counts := map[result.Status]uint64{}
	for i := range rounds {
		j, err := p.Submit(t.Context(), func(ctx context.Context) (int, error) {
			if i%2 == 0 {
				runtime.Gosched()
			}
			return 1, ctx.Err()
		}, options[i%len(options)]...)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for _, cause := range causes {
			wg.Go(func() {
				j.Cancel(cause)
				status := j.Status()
				assert.NotEqual(t, result.Queued, status, "a queued one has ended when Cancel returns")
				if r, ok := j.Result(); status.Terminal() {
					assert.True(t, ok)
					assert.Equal(t, status, r.Status())
				}
			})
		}
		var seen [4]result.Result[int]
		for n := range seen {
			wg.Go(func() {
				if n%2 == 0 {
					<-j.Done()
					assert.True(t, j.Status().Terminal(), "Done is closed")
				}
				v, err := j.Wait(context.Background())
				r, ok := j.Result()
				assert.True(t, ok)
				assert.Equal(t, r.Value, v)
				assert.Equal(t, r.Err, err)
				assert.Equal(t, r.Status(), j.Status())
				seen[n] = r
			})
		}
		wg.Wait()
		for _, r := range seen {
			assert.Equal(t, seen[0], r)
		}
		same := 0
		for _, cause := range causes[1:] {
			if errors.Is(seen[0].Err, cause) {
				same++
			}
		}
		assert.LessOrEqual(t, same, 1, "one cause")
		if seen[0].Err != nil {
			assert.Equal(t, result.Canceled, j.Status())
		}
		counts[j.Status()]++
	}
	for _, info := range p.Jobs() {
		j, ok := p.Job(info.ID)
		require.True(t, ok)
		r, _ := j.Result()
		assert.Equal(t, r.Status(), info.Status)
		assert.Equal(t, r.Err, info.Err)
		assert.Equal(t, r.Attempt, info.Attempt)
		assert.Equal(t, r.Worker, info.Worker)
	}
	s := p.Stats()
	assert.EqualValues(t, rounds, s.Accepted)
	assert.Equal(t, counts[result.Succeeded], s.Succeeded)
	assert.Equal(t, counts[result.Canceled], s.Canceled)
	assert.Zero(t, s.Failed+s.Panicked+s.Dropped)
	closing(t, p)
	if p.Stats().EventsLost == 0 {
		assert.EqualValues(t, rounds, finished.Load())
		assert.Zero(t, dropped.Load())
	}
	t.Log(counts)
}

// Two calls that are canceled by what ends at the same moment as they do.
func TestHaltNowRacesWithTheEnd(t *testing.T) {
	checkLeaks(t)
	rounds := many(2000)
	p := newTasks(pool.Workers(2), pool.Queue(8))
	for range rounds {
		j := submit(t, p, func(ctx context.Context) (int, error) { return 1, ctx.Err() })
		var wg sync.WaitGroup
		wg.Go(func() { _ = p.HaltNow(0) })
		wg.Go(func() { _ = p.HaltNow(1) })
		wg.Wait()
		require.NoError(t, p.Resize(2))
		v, err := j.Wait(t.Context())
		if err != nil {
			assert.ErrorIs(t, err, pool.ErrHalted)
			assert.Equal(t, result.Canceled, j.Status())
		} else {
			assert.Equal(t, 1, v)
		}
	}
	s := p.Stats()
	assert.EqualValues(t, rounds, s.Succeeded+s.Canceled)
	assert.Equal(t, 2, s.Workers)
	closing(t, p)
}

// "Job.Wait runs the job that it waits for, so none of them waits for a worker that
// cannot come": also one that a goroutine of the queue has taken, and for which that
// waits for a worker.
func TestNestedWaitForJobThatWasTaken(t *testing.T) {
	options := map[string][]pool.JobOption{
		"none":     nil,
		"key":      {pool.Key("k")},
		"weight":   {pool.Weight(1)},
		"priority": {pool.Priority(1)},
		"delay":    {pool.After(1)},
	}
	for name, opts := range options {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1), pool.Capacity(1))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				v, err := p.Do(ctx, func(ctx context.Context) (int, error) {
					j, err := p.Submit(ctx, give(7), opts...)
					if err != nil {
						return 0, err
					}
					time.Sleep(time.Second) // a goroutine of the queue takes it
					return j.Wait(ctx)
				})
				assert.NoError(t, err, "it waits for itself")
				assert.Equal(t, 7, v)
				assert.NoError(t, p.Close())
			})
		})
	}
}
