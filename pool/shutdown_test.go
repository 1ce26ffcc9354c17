package pool_test

import (
	"context"
	"errors"
	"fmt"
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

// "Shutdown stops the intake and waits until everything accepted has ended: jobs in the
// queue are still run, and calls of Do, Map and Stream finish."
func TestShutdownLetsAllFinish(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ended atomic.Int64
		p := pool.New(func(ctx context.Context, d time.Duration) (time.Duration, error) {
			defer ended.Add(1)
			return sleepers(ctx, d)
		}, pool.Workers(2))
		ins := slices.Repeat([]time.Duration{time.Second}, 5)
		var jobs []*pool.Job[time.Duration]
		for _, in := range ins {
			jobs = append(jobs, submit(t, p, in))
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := p.Do(t.Context(), time.Second)
			assert.NoError(t, err)
		})
		wg.Go(func() {
			_, err := p.Map(t.Context(), ins)
			assert.NoError(t, err)
		})
		wg.Go(func() {
			for r := range p.Stream(t.Context(), slices.Values(ins)) {
				assert.NoError(t, r.Err)
			}
		})
		synctest.Wait()
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.EqualValues(t, 3*len(ins)+1, ended.Load())
		for _, j := range jobs {
			assert.Equal(t, result.Succeeded, j.Status())
		}
		wg.Wait()
	})
}

// "When ctx ends first, what is left is canceled with ctx's cause: jobs in the queue
// end without being started, and the contexts of the calls under way end. Shutdown
// returns ctx's cause."
func TestShutdownDeadlineCancelsWhatIsLeft(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		slow := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			assert.Equal(t, errBoom, context.Cause(ctx))
			time.Sleep(99 * time.Millisecond) // "the calls get 100 ms to return"
			return 0, ctx.Err()
		}
		running := submit(t, p, slow)
		queued := submit(t, p, give(1))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errBoom)
		defer cancel()
		begin := time.Now()
		assert.Equal(t, errBoom, p.Shutdown(ctx))
		assert.Equal(t, time.Minute+99*time.Millisecond, time.Since(begin))
		assertCanceled(t, running, errBoom)
		assertCanceled(t, queued, errBoom)
		r, _ := queued.Result()
		assert.Zero(t, r.Attempt)
	})
}

// "... or, if some calls still run because their function does not heed its context, a
// *StuckError that wraps it."
func TestShutdownSaysWhatIsStuck(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(5))
		gate := make(chan struct{})
		for range 3 {
			submit(t, p, block(gate))
		}
		submit(t, p, heed)
		go p.Do(t.Context(), block(gate)) //nolint:errcheck // is stuck as well
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		begin := time.Now()
		err := p.Shutdown(ctx)
		assert.Equal(t, time.Second+100*time.Millisecond, time.Since(begin))
		var stuck *pool.StuckError
		require.ErrorAs(t, err, &stuck)
		assert.Len(t, stuck.Calls, 4)
		assert.Equal(t, errBoom, stuck.Err)
		assert.ErrorIs(t, err, errBoom)
		direct := 0
		for _, c := range stuck.Calls {
			if c.Job == 0 {
				direct = c.Worker
				assert.Zero(t, c.Age)
				continue
			}
			assert.LessOrEqual(t, c.Job, uint64(3))
			assert.Equal(t, 1100*time.Millisecond, c.Age)
		}
		require.ErrorContains(t, err, "pool: 4 calls still run although their context has ended (")
		require.ErrorContains(t, err, "job 3 for 1.1s")
		require.ErrorContains(t, err, fmt.Sprintf("worker %d", direct))
		require.ErrorContains(t, err, "): boom")

		again, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		assert.ErrorAs(t, p.Shutdown(again), &stuck, "it may be called again")
		assert.Len(t, stuck.Calls, 4)
		assert.ErrorIs(t, stuck, context.DeadlineExceeded)
		close(gate)
		assert.NoError(t, p.Shutdown(t.Context()), "and now they are through")
		assert.NoError(t, p.Close())
	})
}

// "If it returns anything else, no call runs any more": not even one that a job has begun during the Shutdown, with its
// context, and left running.
func TestShutdownWaitsForCallsThatJobsLeave(t *testing.T) {
	for name, begin := range map[string]func(ctx context.Context, p *pool.Pool[task, int], in task) error{
		"Do": func(ctx context.Context, p *pool.Pool[task, int], in task) error {
			_, err := p.Do(ctx, in)
			return err
		},
		"Map": func(ctx context.Context, p *pool.Pool[task, int], in task) error {
			_, err := p.Map(ctx, []task{in})
			return err
		},
		"Do in Do": func(ctx context.Context, p *pool.Pool[task, int], in task) error {
			_, err := p.Do(ctx, func(ctx context.Context) (int, error) {
				go p.Do(context.WithoutCancel(ctx), in) //nolint:errcheck // it succeeds
				time.Sleep(time.Nanosecond)
				return 0, nil
			})
			return err
		},
	} {
		for _, stuck := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stuck %t", name, stuck), func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					p := newTasks(pool.Workers(1))
					end := make(chan struct{})
					var runs atomic.Bool
					submit(t, p, func(ctx context.Context) (int, error) {
						time.Sleep(time.Second)
						go func() {
							assert.NoError(t, begin(context.WithoutCancel(ctx), p, func(context.Context) (int, error) {
								runs.Store(true)
								<-end
								runs.Store(false)
								return 0, nil
							}))
						}()
						time.Sleep(2 * time.Nanosecond)
						return 0, nil
					})
					ctx, cancel := context.WithCancelCause(t.Context())
					if stuck {
						time.AfterFunc(time.Minute, func() { cancel(errBoom) })
						assert.ErrorAs(t, p.Shutdown(ctx), new(*pool.StuckError))
						require.True(t, runs.Load())
					}
					time.AfterFunc(time.Hour, func() { close(end) })
					if stuck {
						assert.NoError(t, p.Close())
					} else {
						assert.NoError(t, p.Shutdown(ctx))
					}
					assert.False(t, runs.Load(), "a call still runs")
					cancel(nil)
				})
			})
		}
	}
}

// The errors that name the pool: there may be several.
func TestErrorsNameThePool(t *testing.T) {
	for name, prefix := range map[string]string{"": "pool", "mill": `pool "mill"`} {
		testkit.Bubble(t, func(t *testing.T) {
			opts := []pool.Option{pool.Workers(1), pool.Timeout(time.Second)}
			if name != "" {
				opts = append(opts, pool.Name(name))
			}
			p := pool.NewStateful(func(context.Context, int) (int, error) { return 0, errBoom }, func(context.Context, int, int) (int, error) { return 0, nil }, nil, opts...)
			_, err := p.Do(t.Context(), 1)
			assert.EqualError(t, err, prefix+": open the state of worker 0: boom")
			assert.NoError(t, p.Close())

			q := newTasks(opts...)
			_, err = q.Do(t.Context(), func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) })
			assert.EqualError(t, err, prefix+": call exceeded its timeout of 1s")
			gate := make(chan struct{})
			submit(t, q, block(gate))
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
			defer cancel()
			synctest.Wait()
			err = q.Shutdown(ctx)
			assert.EqualError(t, err, prefix+": 1 call still runs although its context has ended (job 1 for 1.1s): boom")
			stuck, ok := errors.AsType[*pool.StuckError](err)
			require.True(t, ok)
			assert.Equal(t, name, stuck.Pool)
			stuck.Calls = nil
			assert.EqualError(t, err, prefix+": a Stream has not ended although its context has: boom")
			close(gate)
			assert.NoError(t, q.Close())
		})
	}
}

// "Close stops the intake, cancels what is left with ErrClosed as the cause, and
// waits until every goroutine of the pool has ended."
func TestCloseCancelsAndWaits(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		var ended atomic.Bool
		running := submit(t, p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Hour) // "Close waits for a function that does not heed its context"
			ended.Store(true)
			return 0, ctx.Err()
		})
		queued := submit(t, p, give(1))
		synctest.Wait()
		var wg sync.WaitGroup
		for range 3 { // "also when called again"
			wg.Go(func() {
				assert.NoError(t, p.Close())
				assert.True(t, ended.Load())
			})
		}
		wg.Wait()
		assertCanceled(t, running, pool.ErrClosed)
		assertCanceled(t, queued, pool.ErrClosed)
		assert.NoError(t, p.Close())
	})
}

// Shutdown "may be called again, and together with Close": Close cuts it short.
func TestCloseCutsShutdownShort(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		j := submit(t, p, heed)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { assert.NoError(t, p.Shutdown(t.Context())) })
		}
		synctest.Wait()
		assert.Equal(t, result.Running, j.Status())
		assert.NoError(t, p.Close())
		wg.Wait()
		assertCanceled(t, j, pool.ErrClosed)
	})
}

// "All other callers, including those that submit or wait for room, get ErrClosed."
func TestSubmitterThatWaitsIsTurnedAway(t *testing.T) {
	for _, stop := range []func(p *pool.Pool[task, int]) error{
		(*pool.Pool[task, int]).Close,
		func(p *pool.Pool[task, int]) error { return p.Shutdown(context.Background()) },
	} {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1), pool.Queue(1))
			gate := make(chan struct{})
			jobs := fill(t, p, gate, 1)
			var turned atomic.Int64
			for range 5 {
				go func() {
					j, err := p.Submit(t.Context(), give(1))
					assert.ErrorIs(t, err, pool.ErrClosed)
					assert.Nil(t, j)
					turned.Add(1)
				}()
			}
			synctest.Wait()
			stopped := make(chan error, 1)
			go func() { stopped <- stop(p) }()
			synctest.Wait()
			assert.EqualValues(t, 5, turned.Load(), "while a call still runs")
			assert.Empty(t, stopped)
			close(gate)
			assert.NoError(t, <-stopped)
			assert.True(t, jobs[0].Status().Terminal())
		})
	}
}

// So it is for one that waits to run its job itself, whatever the pool ends for.
func TestSubmitterThatWaitsToRunItsJobIsTurnedAway(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(pool.CallerRuns))
		submit(t, p, heed)
		synctest.Wait()
		submit(t, p, give(1)) // fills the queue
		turned := make(chan error, 1)
		go func() {
			_, err := p.Submit(t.Context(), give(2))
			turned <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
		assert.Equal(t, pool.ErrClosed, <-turned)
	})
}

// "Later calls get ErrClosed", whichever, and as often as they like.
func TestUseAfterClose(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, used := range []bool{false, true} {
			p := newTasks(pool.Queue(1))
			if used {
				_, err := submit(t, p, give(1)).Wait(t.Context())
				require.NoError(t, err)
			}
			require.NoError(t, p.Close())
			for range 3 {
				_, err := p.Do(t.Context(), give(1))
				assert.Equal(t, pool.ErrClosed, err)
				_, err = p.Submit(t.Context(), give(1))
				assert.Equal(t, pool.ErrClosed, err)
				_, err = p.TrySubmit(give(1))
				assert.Equal(t, pool.ErrClosed, err)
				_, err = p.Map(t.Context(), []task{give(1)})
				assert.Equal(t, pool.ErrClosed, err)
				_, err = p.Map(t.Context(), nil)
				assert.Equal(t, pool.ErrClosed, err)
				rs := slices.Collect(p.Stream(t.Context(), slices.Values([]task{give(1)})))
				assert.Equal(t, []result.Result[int]{{Err: pool.ErrClosed, Worker: -1}}, rs)
				assert.NoError(t, p.Shutdown(t.Context()))
				assert.NoError(t, p.Close())
			}
		}
	})
}

// "Nothing of the pool runs after Close has returned", however calls and Close race,
// and whatever was accepted has ended.
func TestCloseRacesWithEverything(t *testing.T) {
	checkLeaks(t)
	for range 100 {
		var running, accepted, ended atomic.Int64
		p := pool.New(func(_ context.Context, v int) (int, error) {
			running.Add(1)
			defer running.Add(-1)
			return v, nil
		}, pool.Workers(2), pool.Queue(4))
		ctx := t.Context()
		refused := func(err error) bool {
			assert.True(t, err == nil || errors.Is(err, pool.ErrClosed), "%v", err)
			return err != nil
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			var jobs []*pool.Job[int]
			for i := 0; ; i++ {
				j, err := p.Submit(ctx, i)
				if refused(err) {
					break
				}
				accepted.Add(1)
				jobs = append(jobs, j)
			}
			for _, j := range jobs {
				_, err := j.Wait(ctx)
				refused(err)
				ended.Add(1)
			}
		})
		wg.Go(func() {
			for i := 0; ; i++ {
				if _, err := p.Do(ctx, i); refused(err) {
					return
				}
			}
		})
		wg.Go(func() {
			for {
				if _, err := p.Map(ctx, make([]int, 10)); refused(err) {
					return
				}
			}
		})
		wg.Go(func() {
			for closed := false; !closed; {
				for r := range p.Stream(ctx, slices.Values(make([]int, 10))) {
					closed = refused(r.Err) || closed
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				_, err := p.Do(ctx, 0)
				refused(err)
			}
			assert.NoError(t, p.Close())
			assert.Zero(t, running.Load(), "calls after Close")
		})
		wg.Wait()
		assert.Equal(t, accepted.Load(), ended.Load())
	}
}

// "Jobs in the queue end", whoever ends them: Close waits for what the end of the pool's
// context, another Close or a Cancel is about to end.
func TestCloseWaitsForJobsThatOthersEnd(t *testing.T) {
	const n = 20_000
	ends := map[string]func(p *pool.Pool[task, int], cancel func(), jobs []*pool.Job[int]){
		"context": func(_ *pool.Pool[task, int], cancel func(), _ []*pool.Job[int]) { cancel() },
		"close":   func(p *pool.Pool[task, int], _ func(), _ []*pool.Job[int]) { go func() { _ = p.Close() }() },
		"cancel": func(_ *pool.Pool[task, int], _ func(), jobs []*pool.Job[int]) {
			go func() {
				for _, j := range jobs {
					j.Cancel(nil)
				}
			}()
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			for range many(10) + 1 {
				ctx, cancel := context.WithCancel(context.Background())
				p := newTasks(pool.Workers(1), pool.Queue(n), pool.Context(ctx))
				p.Pause()
				var jobs []*pool.Job[int]
				for range n {
					j, err := p.TrySubmit(give(1))
					require.NoError(t, err)
					jobs = append(jobs, j)
				}
				end(p, cancel, jobs)
				for !jobs[0].Status().Terminal() { // it has begun
					runtime.Gosched()
				}
				require.NoError(t, p.Close())
				left := slices.IndexFunc(jobs, func(j *pool.Job[int]) bool { return !j.Status().Terminal() })
				cancel()
				require.Equal(t, -1, left, "a job that has not ended, and Close has returned")
			}
		})
	}
}
