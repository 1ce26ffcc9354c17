package pool_test

import (
	"context"
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
)

// countdown is a pool whose function asks the pool for a smaller number, by way of
// the given method, until it is down at 0.
func countdown(ask func(ctx context.Context, p *pool.Pool[int, int], n int) (int, error), opts ...pool.Option) *pool.Pool[int, int] {
	var p *pool.Pool[int, int]
	p = pool.New(func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		below, err := ask(ctx, p, n-1)
		return below + 1, err
	}, opts...)
	return p
}

var asking = map[string]func(ctx context.Context, p *pool.Pool[int, int], n int) (int, error){
	"Do": func(ctx context.Context, p *pool.Pool[int, int], n int) (int, error) { return p.Do(ctx, n) },
	"Map": func(ctx context.Context, p *pool.Pool[int, int], n int) (int, error) {
		outs, err := p.Map(ctx, []int{0, n, 0})
		if err != nil {
			return 0, err
		}
		return slices.Max(outs), nil
	},
	"Submit and Wait": func(ctx context.Context, p *pool.Pool[int, int], n int) (int, error) {
		j, err := p.Submit(ctx, n)
		if err != nil {
			return 0, err
		}
		return j.Wait(ctx)
	},
	"Stream": func(ctx context.Context, p *pool.Pool[int, int], n int) (most int, err error) {
		for r := range p.Stream(ctx, slices.Values([]int{0, n, 0})) {
			if r.Err != nil {
				return 0, r.Err
			}
			most = max(most, r.Value)
		}
		return most, nil
	},
}

// "If no worker is free, Do, Map and Stream then run within the share of the calling
// call, and Job.Wait runs the job that it waits for, so none of them waits for a worker
// that cannot come": at any depth, with any number of workers.
func TestNestedUseDoesNotDeadlock(t *testing.T) {
	for name, ask := range asking {
		for _, workers := range []int{1, 2, 4} {
			depth := 1000
			if name == "Stream" {
				depth = 50 // each has goroutines of its own
			}
			t.Run(name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					p := countdown(ask, pool.Workers(workers))
					for _, start := range []func(ctx context.Context, p *pool.Pool[int, int], n int) (int, error){
						asking["Do"], asking["Map"], asking["Stream"], asking["Submit and Wait"],
					} {
						got, err := start(t.Context(), p, depth)
						assert.NoError(t, err)
						assert.Equal(t, depth, got)
					}
					assert.NoError(t, p.Close())
				})
			})
		}
	}
}

// Many chains at once, which take each other's workers.
func TestNestedUseFromManyGoroutines(t *testing.T) {
	checkLeaks(t)
	for name, ask := range asking {
		p := countdown(ask, pool.Workers(2))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					got, err := p.Do(t.Context(), 15)
					assert.NoError(t, err, name)
					assert.Equal(t, 15, got, name)
				}
			})
		}
		wg.Wait()
		closing(t, p)
	}
}

// "If a call uses the pool from several goroutines, they take turns."
func TestNestedCallsTakeTurns(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		var g gauge
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					v, err := p.Do(ctx, func(context.Context) (int, error) {
						g.enter()
						defer g.leave()
						time.Sleep(time.Second)
						return i, nil
					})
					assert.NoError(t, err)
					assert.Equal(t, i, v)
				})
			}
			wg.Wait()
			return 0, nil
		})
		assert.NoError(t, err)
		assert.EqualValues(t, 1, g.peak.Load(), "in one share at once")
		assert.EqualValues(t, 10, g.total.Load())
	})
}

// "A context lends a share only while its call runs": those of a job, too, even if the share is in use when the job ends.
func TestJobThatIsOverLendsNoShare(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		spawn, first, last, end := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
		var outside, inside atomic.Bool
		note := func(runs *atomic.Bool) task {
			return func(context.Context) (int, error) { runs.Store(true); <-end; return 0, nil }
		}
		var calls sync.WaitGroup
		do := func(ctx context.Context, in task) {
			calls.Go(func() {
				_, err := p.Do(ctx, in)
				assert.NoError(t, err)
			})
		}
		j := submit(t, p, func(ctx context.Context) (int, error) {
			<-spawn
			ctx = context.WithoutCancel(ctx)
			do(ctx, block(first)) // in the share
			time.Sleep(time.Nanosecond)
			do(ctx, note(&inside)) // waits for it
			<-last
			return 0, nil
		})
		synctest.Wait()
		do(t.Context(), note(&outside))
		synctest.Wait()
		close(spawn)
		time.Sleep(time.Second)
		close(last)
		synctest.Wait()
		require.True(t, j.Status().Terminal())
		require.True(t, outside.Load(), "it is the next call of the worker")
		close(first)
		synctest.Wait()
		assert.False(t, inside.Load(), "it runs in the share of a job that is over, beside the next call of the worker")
		close(end)
		calls.Wait()
		assert.True(t, inside.Load())
		require.NoError(t, p.Close())
	})
}

// A nested call uses a worker that is free instead of the share: so a call can
// spread its work over the pool.
func TestNestedMapSpreadsOverFreeWorkers(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var p *pool.Pool[int, int]
		p = pool.New(func(ctx context.Context, depth int) (int, error) {
			if depth == 0 {
				time.Sleep(time.Second)
				return 1, nil
			}
			outs, err := p.Map(ctx, slices.Repeat([]int{depth - 1}, 12))
			return len(outs), err
		}, pool.Workers(4))
		defer p.Close()
		begin := time.Now()
		_, err := p.Do(t.Context(), 1)
		assert.NoError(t, err)
		// Four at once: the caller's share counts only while no other worker is free.
		assert.LessOrEqual(t, time.Since(begin), 4*time.Second)
	})
}

// Two pools that use each other: the context carries the shares of both.
func TestNestedUseAcrossTwoPools(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var a, b *pool.Pool[int, int]
		a = pool.New(func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			v, err := b.Do(ctx, n-1)
			return v + 1, err
		}, pool.Workers(1))
		b = pool.New(func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			v, err := a.Do(ctx, n-1)
			return v + 1, err
		}, pool.Workers(1))
		v, err := a.Do(t.Context(), 100)
		assert.NoError(t, err)
		assert.Equal(t, 100, v)
		assert.NoError(t, a.Close())
		assert.NoError(t, b.Close())
	})
}

// "Inside a call of the same pool, with that call's context, Submit does not wait for
// room: it returns an error that matches ErrWouldDeadlock and ErrFull."
func TestNestedSubmitOnFullQueue(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(2))
		defer p.Close()
		other := newTasks(pool.Workers(1), pool.Queue(1))
		defer other.Close()
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			for i := 0; ; i++ {
				// A worker may have taken one of them to wait for its turn with it.
				if _, err := p.Submit(ctx, give(0)); err != nil || i > 3 {
					assert.ErrorIs(t, err, pool.ErrWouldDeadlock)
					assert.ErrorIs(t, err, pool.ErrFull)
					assert.EqualError(t, err, "pool: queue is full, and waiting for room inside the pool's own function would deadlock")
					break
				}
				synctest.Wait()
			}
			_, err := p.TrySubmit(give(0))
			assert.ErrorIs(t, err, pool.ErrFull)
			_, err = submit(t, other, give(0)).Wait(ctx)
			return 0, err
		})
		assert.NoError(t, err)
	})
}

// A job belongs to nobody's call but its own: it does not run in the share of the
// call that has submitted it, unless that waits for it.
func TestJobSubmittedInACallRunsOnItsOwn(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		var j *pool.Job[int]
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			var err error
			j, err = p.Submit(ctx, func(ctx context.Context) (int, error) {
				assert.NoError(t, ctx.Err(), "the call that submitted it is over")
				return p.Do(ctx, give(42))
			})
			return 0, err
		})
		assert.NoError(t, err)
		v, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 42, v)
	})
}

// Shutdown inside a call "would wait for itself: it stops the intake and returns
// ErrWouldDeadlock".
func TestShutdownInsideACall(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		after := submit(t, p, func(ctx context.Context) (int, error) {
			assert.ErrorIs(t, p.Shutdown(ctx), pool.ErrWouldDeadlock)
			_, err := p.Submit(ctx, give(1))
			assert.ErrorIs(t, err, pool.ErrClosed)
			return 1, nil
		})
		assert.NoError(t, p.Shutdown(t.Context()))
		v, err := after.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 1, v)
	})
}
