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

// Map gives its slot to those in line between two elements. If its context ends
// while it waits to get the slot back, elements have not been started, and nobody
// else may be there to say so.
func TestMapThatIsCanceledWhileItLetsOthersRunSaysSo(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1))
		defer p.Close()
		ctx, cancel := context.WithCancelCause(t.Context())
		mapped := make(chan error)
		go func() {
			_, err := p.Map(ctx, []time.Duration{1e9, 1e9, 1e9})
			mapped <- err
		}()
		synctest.Wait()
		go p.Do(t.Context(), 10*time.Second) //nolint:errcheck // takes the slot after the first element
		time.Sleep(2 * time.Second)
		cancel(errBoom)
		assert.ErrorIs(t, <-mapped, errBoom)
	})
}

// A panic in a deferred function of a call that is being ended by Goexit is
// recovered, but the goroutine ends all the same.
func TestPanicDuringGoexitDoesNotLoseTheWorker(t *testing.T) {
	p := newTasks(pool.Workers(1))
	j := submit(t, p, func(context.Context) (int, error) {
		defer func() { panic("in deferred") }()
		runtime.Goexit()
		return 0, nil
	})
	_, err := j.Wait(t.Context())
	assert.Error(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	v, err := p.Do(ctx, give(1))
	require.NoError(t, err, "the worker is lost")
	assert.Equal(t, 1, v)
	closing(t, p)
}

// A canceled job whose function then panics has panicked.
func TestPanicOfCanceledJobIsAPanic(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		j := submit(t, p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			panic(fmt.Errorf("cleanup: %w", ctx.Err()))
		})
		synctest.Wait()
		j.Cancel(errBoom)
		_, err := j.Wait(t.Context())
		var caught *result.PanicError
		assert.ErrorAs(t, err, &caught)
		assert.Equal(t, result.Panicked, j.Status())
	})
}

// "An error returned by the function is the error of its input, unchanged": what a
// canceled function says beyond ctx.Err is kept.
func TestErrorOfCanceledJobIsKept(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		errCleanup := errors.New("half of it is written")
		j := submit(t, p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, errors.Join(errCleanup, ctx.Err())
		})
		synctest.Wait()
		j.Cancel(errBoom)
		_, err := j.Wait(t.Context())
		assert.ErrorIs(t, err, errCleanup)
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, errBoom)
	})
}

// Close cancels what waits for a worker: it must not be called any more.
func TestDoThatWaitsIsNotCalledAfterClose(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		submit(t, p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // cleans up
			return 0, ctx.Err()
		})
		synctest.Wait()
		var called atomic.Bool
		waited := make(chan error, 1)
		begin := time.Now()
		go func() {
			_, err := p.Do(t.Context(), func(context.Context) (int, error) {
				called.Store(true)
				return 0, nil
			})
			assert.Zero(t, time.Since(begin), "it waited for a worker although the pool was closed")
			waited <- err
		}()
		synctest.Wait()
		assert.NoError(t, p.Close())
		assert.ErrorIs(t, <-waited, pool.ErrClosed)
		assert.False(t, called.Load())
	})
}

// The context of a caller that waits in line ends, and then a slot becomes free:
// the call must not start any more.
func TestDoIsNotCalledIfItsContextEndedWhileItWaited(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		var late atomic.Int64
		for range 500 { // which of the two the caller sees first is a matter of chance
			gate := make(chan struct{})
			go p.Do(t.Context(), block(gate)) //nolint:errcheck // it only holds the slot
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			go p.Do(ctx, func(context.Context) (int, error) { //nolint:errcheck // whether it is called is the point
				late.Add(1)
				return 0, nil
			})
			synctest.Wait()
			cancel()
			close(gate)
			synctest.Wait()
		}
		assert.Zero(t, late.Load(), "calls started after their context had ended")
	})
}

// What asks with the context of a call that has ended waits like anybody else: until
// its own context ends.
func TestWaitWithContextOfEndedCallCanBeCanceled(t *testing.T) {
	for range 20 { // the outcome must not be a matter of chance
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1))
			var kept context.Context
			_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
				kept = context.WithoutCancel(ctx) //nolint:fatcontext // as for work that is done in the background
				return 0, nil
			})
			require.NoError(t, err)
			submit(t, p, func(context.Context) (int, error) {
				time.Sleep(time.Minute)
				return 0, nil
			})
			synctest.Wait()
			ctx, cancel := context.WithTimeout(kept, time.Second)
			defer cancel()
			begin := time.Now()
			_, err = p.Do(ctx, give(1))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(begin))
			assert.NoError(t, p.Close())
		})
		if t.Failed() {
			return
		}
	}
}

// A context can outlive its call. What asks with it then is no part of that call,
// whose slot others have.
func TestContextThatOutlivesItsCallLendsNoSlot(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		var kept context.Context
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			kept = context.WithoutCancel(ctx) //nolint:fatcontext // as for work that is done in the background
			return 0, nil
		})
		require.NoError(t, err)

		var g gauge
		busy := func(context.Context) (int, error) {
			g.enter()
			defer g.leave()
			time.Sleep(time.Second)
			return 0, nil
		}
		var wg sync.WaitGroup
		wg.Go(func() { p.Do(t.Context(), busy) }) //nolint:errcheck // counted inside
		synctest.Wait()
		wg.Go(func() { p.Do(kept, busy) }) //nolint:errcheck // counted inside
		wg.Wait()
		assert.EqualValues(t, 1, g.peak.Load(), "calls at once")
	})
}

// "No input waits while a worker is free", also not one that asks from inside a
// call while that call's share is taken.
func TestNestedCallTakesAWorkerThatBecomesFree(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		defer p.Close()
		nap := func(d time.Duration) task {
			return func(context.Context) (int, error) { time.Sleep(d); return 0, nil }
		}
		go p.Do(t.Context(), nap(time.Second)) //nolint:errcheck // holds the other worker for a while
		synctest.Wait()
		begin := time.Now()
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			var wg sync.WaitGroup
			wg.Go(func() { p.Do(ctx, nap(10*time.Second)) }) //nolint:errcheck // takes the share
			synctest.Wait()
			wg.Go(func() { p.Do(ctx, nap(time.Second)) }) //nolint:errcheck // can run from second 1 to 2
			wg.Wait()
			return 0, nil
		})
		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, time.Since(begin))
	})
}

// Wait inside a call returns when the job has ended, whoever ran it, also while
// the call's share is taken.
func TestNestedWaitReturnsWhenTheJobEnds(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			var wg sync.WaitGroup
			wg.Go(func() {
				p.Do(ctx, func(context.Context) (int, error) { //nolint:errcheck // takes the share
					time.Sleep(10 * time.Second)
					return 0, nil
				})
			})
			synctest.Wait()
			j := submit(t, p, give(1))
			begin := time.Now()
			wg.Go(func() {
				_, err := j.Wait(ctx)
				assert.ErrorIs(t, err, errBoom)
				assert.Zero(t, time.Since(begin), "Wait returned late")
			})
			synctest.Wait()
			j.Cancel(errBoom)
			wg.Wait()
			return 0, nil
		})
		require.NoError(t, err)
	})
}

// "If ctx ends first, Wait returns ctx's cause; the job goes on": a context that has
// ended already does not have Wait run the job.
func TestNestedWaitWithEndedContextReturnsAtOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		for range 50 { // the outcome must not be a matter of chance
			_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
				j := submit(t, p, func(context.Context) (int, error) {
					time.Sleep(time.Hour)
					return 0, nil
				})
				ended, cancel := context.WithCancelCause(ctx)
				cancel(errBoom)
				begin := time.Now()
				_, err := j.Wait(ended)
				assert.Zero(t, time.Since(begin), "it ran the job")
				j.Cancel(nil)
				return 0, err
			})
			if !assert.ErrorIs(t, err, errBoom) {
				return
			}
		}
	})
}

// Jobs that a call has waited for, and so has run itself, do not wait for a worker
// any more: the queue is as long as those that do.
func TestNestedSubmitAndWaitDoesNotFillTheQueue(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(2))
		defer p.Close()
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			for i := range 10 {
				j, err := p.Submit(ctx, give(i))
				if err != nil {
					return 0, fmt.Errorf("submit %d: %w", i, err)
				}
				if _, err := j.Wait(ctx); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		assert.NoError(t, err)
	})
}

// A canceled job has ended: it leaves its place in the queue at once.
func TestCanceledJobLeavesTheQueue(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		defer p.Close()
		submit(t, p, heed)
		synctest.Wait()
		for i := range 10 {
			j, err := p.TrySubmit(give(1))
			require.NoError(t, err, "job %d", i)
			j.Cancel(nil)
		}
	})
}

// Beyond the queue there waits only what a worker has in hand: a chunk at most.
func TestQueueBoundsAllThatWait(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const depth, chunk = 64, 64
		p := newTasks(pool.Workers(1), pool.Queue(depth))
		gate := make(chan struct{})
		for range 1000 {
			submit(t, p, give(0)) // so that the worker takes many at once
		}
		synctest.Wait()
		slow := submit(t, p, block(gate))
		for range depth - 1 {
			submit(t, p, give(0))
		}
		synctest.Wait()
		require.Equal(t, result.Running, slow.Status())
		waiting := depth - 1
		for {
			if _, err := p.TrySubmit(give(0)); err != nil {
				break
			}
			waiting++
		}
		assert.GreaterOrEqual(t, waiting, depth)
		assert.LessOrEqual(t, waiting, depth+chunk-1)
		close(gate)
		assert.NoError(t, p.Close())
	})
}

// A pool that drains lets what it has accepted use it to the end.
func TestDrainingPoolServesItsOwnCalls(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		gate := make(chan struct{})
		j := submit(t, p, func(ctx context.Context) (int, error) {
			<-gate
			v, err := p.Do(ctx, give(1))
			if err != nil {
				return 0, err
			}
			vs, err := p.Map(ctx, []task{give(v + 1), give(v + 2)})
			if err != nil {
				return 0, err
			}
			return vs[0] + vs[1], nil
		})
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- p.Shutdown(t.Context()) }()
		synctest.Wait()
		_, err := p.Do(t.Context(), give(1))
		assert.ErrorIs(t, err, pool.ErrClosed, "the intake is over for others")
		close(gate)
		v, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 5, v)
		assert.NoError(t, <-down)
	})
}

// "... and with ErrClosed if the pool is closed", whether its elements run or wait
// for a worker. The function says context.Canceled, which is a consequence.
func TestMapStopsWhenThePoolIsClosed(t *testing.T) {
	for _, others := range []int{0, 1, 2, 0, 1, 2} { // with two running, Map waits
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(2))
			for range others {
				submit(t, p, heed)
			}
			synctest.Wait()
			done := make(chan error, 1)
			go func() {
				outs, err := p.Map(t.Context(), slices.Repeat([]task{heed}, 10))
				assert.Nil(t, outs)
				done <- err
			}()
			synctest.Wait()
			assert.NoError(t, p.Close())
			assert.ErrorIs(t, <-done, pool.ErrClosed)
		})
	}
}
