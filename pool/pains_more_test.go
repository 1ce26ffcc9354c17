package pool_test

import (
	"context"
	"errors"
	"fmt"
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

// More of what users of other libraries have reported, above all what they asked for and
// did not get: see pains_test.go.

// conc #107: whoever waits for a worker cannot give up without canceling what the workers
// do, since the pool knows a context for all of it only. Here a caller's deadline ends its
// own waiting, and nothing else.
func TestConc107GivingUpTheWaitDisturbsNobody(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1), pool.Queue(1))
		busy, queued := submit(t, p, time.Minute), submit(t, p, time.Minute)
		for name, wait := range map[string]func(context.Context) error{
			"Submit": func(ctx context.Context) error { _, err := p.Submit(ctx, 0); return err },
			"Do":     func(ctx context.Context) error { _, err := p.Do(ctx, 0); return err },
			"Map":    func(ctx context.Context) error { _, err := p.Map(ctx, []time.Duration{0}); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			begin := time.Now()
			require.ErrorIs(t, wait(ctx), context.DeadlineExceeded, name)
			assert.Equal(t, time.Second, time.Since(begin), name)
			cancel()
		}
		require.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, []result.Status{result.Succeeded, result.Succeeded}, []result.Status{busy.Status(), queued.Status()})
	})
}

// pond #61: when the parent context of the pool ends with tasks in the queue, stopping the
// pool blocks for ever. Here the backlog ends as canceled, and the pool can be stopped.
func TestPond61ACanceledParentEndsTheBacklog(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := newTasks(pool.Workers(1), pool.Queue(5), pool.Context(ctx))
		running := submit(t, p, heed)
		synctest.Wait()
		waiting := submit(t, p, heed)
		cancel(errBoom)
		synctest.Wait()
		assert.Equal(t, result.Canceled, waiting.Status(), "without anybody stopping the pool")
		require.NoError(t, p.Close())
		assert.Equal(t, []result.Status{result.Canceled, result.Canceled}, []result.Status{running.Status(), waiting.Status()})
		r, ok := waiting.Result()
		require.True(t, ok)
		assert.Zero(t, r.Attempt)
		assert.ErrorIs(t, r.Err, errBoom)
	})
}

// pond #129: the panic of a task that was submitted and forgotten leaves no trace. Here
// nobody has to wait for the job to learn of it: the counts tell, and the observer has it
// with its stack.
func TestPond129PanicOfAForgottenJobLeavesATrace(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var told []pool.Event
		p := newTasks(pool.Workers(1), pool.Observe(func(e pool.Event) {
			if e.Kind == pool.JobFinished {
				told = append(told, e)
			}
		}))
		_, err := p.TrySubmit(func(context.Context) (int, error) { panic(errBoom) })
		require.NoError(t, err)
		require.NoError(t, p.Shutdown(t.Context()))
		assert.EqualValues(t, 1, p.Stats().Panicked)
		require.Len(t, told, 1)
		assert.Equal(t, result.Panicked, told[0].Status)
		caught, ok := errors.AsType[*result.PanicError](told[0].Err)
		require.True(t, ok)
		assert.ErrorIs(t, caught, errBoom)
		assert.Contains(t, string(caught.Stack), "TestPond129")
	})
}

// pond #56: tasks that wait for tasks of the same pool occupy all its workers, and wait for
// each other. Here a call that waits runs what it waits for itself, at any depth.
func TestPond56TasksThatWaitForTasksComeToAnEnd(t *testing.T) {
	type sum func(context.Context, int) (int, error)
	testkit.Bubble(t, func(t *testing.T) {
		for name, ask := range map[string]func(p *pool.Pool[int, int]) sum{
			"Do": func(p *pool.Pool[int, int]) sum { return p.Do },
			"Map": func(p *pool.Pool[int, int]) sum {
				return func(ctx context.Context, n int) (int, error) {
					outs, err := p.Map(ctx, []int{n})
					if err != nil {
						return 0, err
					}
					return outs[0], nil
				}
			},
			"Wait": func(p *pool.Pool[int, int]) sum {
				return func(ctx context.Context, n int) (int, error) {
					j, err := p.Submit(ctx, n)
					if err != nil {
						return 0, err
					}
					return j.Wait(ctx)
				}
			},
		} {
			var more sum
			p := pool.New(func(ctx context.Context, n int) (int, error) {
				if n == 0 {
					return 0, nil
				}
				below, err := more(ctx, n-1)
				return below + n, err
			}, pool.Workers(2))
			more = ask(p)
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					got, err := p.Do(t.Context(), 20)
					assert.NoError(t, err, name)
					assert.Equal(t, 210, got, name)
				})
			}
			wg.Wait()
			assert.NoError(t, p.Close())
		}
	})
}

// golang/go #72101: whoever wants to run all and report every error at the end has to
// collect them by hand. Here they are in the results, and each says whose it is.
func TestGo72101EveryErrorCanBeReportedAtTheEnd(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(func(_ context.Context, v int) (int, error) {
			if v%3 == 0 {
				return 0, fmt.Errorf("input %d: %w", v, errBoom)
			}
			return v, nil
		}, pool.Workers(4))
		defer p.Close()
		ok, failed := result.Partition(p.Stream(t.Context(), slices.Values([]int{0, 1, 2, 3, 4, 5, 6})))
		assert.Equal(t, []int{1, 2, 4, 5}, ok)
		var errs []error
		for _, r := range failed {
			errs = append(errs, r.Err)
		}
		assert.EqualError(t, errors.Join(errs...), "input 0: boom\ninput 3: boom\ninput 6: boom")
	})
}

// pond #106: there is no place for what each worker needs for itself, such as a connection,
// and workers come and go. Here it is opened before the first call of a worker, handed to
// each, and closed behind the last one.
func TestPond106EachWorkerKeepsItsOwnConnection(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		type connection struct{ worker, calls int }
		var mu sync.Mutex
		var opened, closed []*connection
		p := pool.NewStateful(
			func(_ context.Context, worker int) (*connection, error) {
				c := &connection{worker: worker}
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, c)
				return c, nil
			},
			func(_ context.Context, c *connection, _ int) (int, error) {
				time.Sleep(time.Second)
				c.calls++ // under race: nobody else has it
				return c.worker, nil
			},
			func(c *connection) error {
				mu.Lock()
				defer mu.Unlock()
				closed = append(closed, c)
				return nil
			},
			pool.Workers(3))
		for r := range p.Stream(t.Context(), slices.Values(make([]int, 30))) {
			assert.NoError(t, r.Err)
			assert.Equal(t, r.Worker, r.Value, "the connection of another worker")
		}
		require.NoError(t, p.Close())
		assert.Len(t, opened, 3)
		assert.ElementsMatch(t, opened, closed)
		calls := 0
		for _, c := range opened {
			calls += c.calls
		}
		assert.Equal(t, 30, calls)
	})
}

// tunny #28: a function cannot tell which worker calls it, and so cannot take that worker's
// part of what may not be shared. Here it can ask, and no two calls at a time get the same
// answer.
func TestTunny28ACallKnowsItsWorker(t *testing.T) {
	checkLeaks(t)
	const workers = 3
	var inUse [workers]atomic.Bool
	p := pool.New(func(ctx context.Context, _ int) (int, error) {
		call, ok := pool.CallOf(ctx)
		if !ok || call.Worker < 0 || call.Worker >= workers {
			return 0, fmt.Errorf("worker %d, %v", call.Worker, ok)
		}
		if inUse[call.Worker].Swap(true) {
			return 0, fmt.Errorf("worker %d makes two calls at once", call.Worker)
		}
		defer inUse[call.Worker].Store(false)
		return call.Worker, nil
	}, pool.Workers(workers))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				_, err := p.Do(t.Context(), i)
				assert.NoError(t, err)
				_, err = p.Map(t.Context(), make([]int, 5))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	closing(t, p)
}

// pond #116: events of one key have to be processed in their order, as a partition of a
// Kafka topic is, and the pool mixes them. Here jobs of a key run one at a time, in order,
// and those of other keys do not wait for them.
func TestPond116EventsOfAKeyKeepTheirOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		type event struct {
			key string
			n   int
		}
		var mu sync.Mutex
		seen := map[string][]int{}
		p := pool.New(func(_ context.Context, e event) (int, error) {
			time.Sleep(time.Duration(10-e.n%10) * time.Millisecond) // later ones are faster
			mu.Lock()
			defer mu.Unlock()
			seen[e.key] = append(seen[e.key], e.n)
			return 0, nil
		}, pool.Workers(8))
		begin := time.Now()
		for n := range 50 {
			for _, key := range []string{"a", "b", "c", "d"} {
				_, err := p.Submit(t.Context(), event{key, n}, pool.Key(key))
				require.NoError(t, err)
			}
		}
		require.NoError(t, p.Shutdown(t.Context()))
		inOrder := slices.Collect(func(yield func(int) bool) {
			for n := range 50 {
				if !yield(n) {
					return
				}
			}
		})
		assert.Equal(t, map[string][]int{"a": inOrder, "b": inOrder, "c": inOrder, "d": inOrder}, seen)
		assert.Equal(t, 50*55*time.Millisecond/10, time.Since(begin), "no key waits for another one")
	})
}

// pond #50: a task that is urgent stands behind all that were submitted before, and two
// pools, one for each class, do not share their workers. Here it overtakes.
func TestPond50AnUrgentJobOvertakes(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1))
		submit(t, p, time.Second)
		synctest.Wait()
		usual := submit(t, p, time.Second)
		urgent, err := p.Submit(t.Context(), time.Second, pool.Priority(1))
		require.NoError(t, err)
		require.NoError(t, p.Shutdown(t.Context()))
		first, _ := urgent.Result()
		second, _ := usual.Result()
		assert.Equal(t, []time.Duration{time.Second, 2 * time.Second}, []time.Duration{first.Timing.Wait, second.Timing.Wait})
	})
}

// ants #59 asks for a queue by priority. The usual one starves what is not urgent as long as
// urgent work keeps coming; here a priority is worth a head start of a fixed time.
func TestAnts59UrgentWorkDoesNotStarveTheRest(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1), pool.Aging(10*time.Second))
		defer p.Close()
		submit(t, p, time.Second)
		synctest.Wait()
		usual := submit(t, p, time.Second)
		for range 30 { // an urgent one each second, as fast as the worker works
			_, err := p.Submit(t.Context(), time.Second, pool.Priority(1))
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		r, ok := usual.Result()
		require.True(t, ok, "it has waited for 30 s")
		assert.InDelta(t, 10, r.Timing.Wait.Seconds(), 1.5)
	})
}
