package pool_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
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

// "Errors and panics of close are told to the observer (WorkerStopped), and Pool.Close
// returns the first one."
func TestCloseOfAStateThatFails(t *testing.T) {
	fails := map[string]struct {
		close func() error
		check func(t *testing.T, err error)
	}{
		"error": {
			func() error { return errBoom },
			func(t *testing.T, err error) { t.Helper(); assert.ErrorIs(t, err, errBoom) },
		},
		"panic": {
			func() error { panic("boom") },
			func(t *testing.T, err error) {
				t.Helper()
				var caught *result.PanicError
				require.ErrorAs(t, err, &caught)
				assert.Equal(t, "boom", caught.Value)
				assert.Contains(t, string(caught.Stack), "stateful_test.go")
			},
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var stopped []pool.Event
				observe := func(e pool.Event) {
					if e.Kind == pool.WorkerStopped {
						stopped = append(stopped, e)
					}
				}
				ds := devices{closing: func(d *device) error {
					if d.worker == 1 {
						return nil
					}
					return fail.close()
				}}
				p := ds.pool(pool.Workers(3), pool.Observe(observe))
				occupy(t, p, 3)
				assert.NoError(t, p.Halt(2))
				synctest.Wait()
				require.Len(t, stopped, 1)
				assert.Equal(t, 2, stopped[0].Worker)
				fail.check(t, stopped[0].Err)
				_, err := p.Do(t.Context(), number)
				assert.NoError(t, err, "the pool goes on")
				fail.check(t, p.Close())
				require.Len(t, stopped, 3)
				for _, e := range stopped {
					if e.Worker == 1 {
						assert.NoError(t, e.Err)
					} else {
						fail.check(t, e.Err)
					}
				}
				assert.Len(t, ds.closed(), 3)
				ds.check(t)
			})
		})
	}
}

// "Pool.Close returns the first one", by time, also when the pool ended in
// another way, and each time that it is asked.
func TestFirstErrorOfCloseIsKept(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(d *device) error { return fmt.Errorf("no %d", d.worker) }}
		p := ds.pool(pool.Workers(3))
		occupy(t, p, 3)
		for _, w := range []int{1, 0, 2} {
			assert.NoError(t, p.Halt(w))
			synctest.Wait()
		}
		assert.EqualError(t, p.Close(), "no 1")
		assert.Equal(t, []int{0, 1, 2}, slices.Sorted(slices.Values(ds.closed())))
		ds.check(t)
	})
}

// "The pool sets no time limit for open and close": Close waits for a slow close, and
// Halt and Resize do not.
func TestCloseOfAStateThatIsSlow(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Hour); return nil }}
		p := ds.pool(pool.Workers(4))
		occupy(t, p, 4)
		begin := time.Now()
		assert.NoError(t, p.Halt(0))
		assert.NoError(t, p.Resize(2))
		assert.Zero(t, time.Since(begin))
		synctest.Wait()
		assert.Len(t, ds.closed(), 2, "being closed")
		assert.NoError(t, p.Close())
		assert.Equal(t, time.Hour, time.Since(begin), "all at once")
		assert.Len(t, ds.closed(), 4)
		ds.check(t)
	})
}

// "Nothing of the pool runs after Close has returned, nor after Shutdown has": a close
// of a state belongs to the pool.
func TestShutdownWaitsForSlowClose(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var closed atomic.Bool
		ds := devices{closing: func(*device) error {
			time.Sleep(time.Minute)
			closed.Store(true)
			return nil
		}}
		p := ds.pool(pool.Workers(1))
		occupy(t, p, 1)
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.True(t, closed.Load())
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// A number is used again only when the state of the worker that had it is closed, so
// that it may name something that exists once.
func TestNumberIsFreeWhenItsStateIsClosed(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Minute); return nil }}
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		assert.NoError(t, p.Halt(0))
		assert.NoError(t, p.Halt(1))
		synctest.Wait()
		assert.NoError(t, p.Resize(2))
		nap := func(context.Context, *device) (int, error) { time.Sleep(time.Hour); return 0, nil }
		_, err := p.Map(t.Context(), []deed{nap, nap})
		assert.NoError(t, err)
		ds.check(t)
		assert.Len(t, ds.opened(), 4)
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), 4)
		ds.check(t)
	})
}

// IdleTimeout stops workers "as long as there are more than keep", also while the
// states of others are still being closed.
func TestIdleTimeoutKeepsStates(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(4), pool.IdleTimeout(time.Minute, 1))
		occupy(t, p, 4)
		time.Sleep(time.Hour)
		assert.Len(t, ds.closed(), 3, "one is kept")
		_, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.Len(t, ds.opened(), 4, "and its state used again")
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// A close that ends its goroutine, as t.FailNow does, costs the pool nothing but that.
func TestCloseOfAStateThatCallsGoexit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { runtime.Goexit(); return nil }}
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		assert.NoError(t, p.Halt(0))
		synctest.Wait()
		assert.Equal(t, 1, p.Stats().Workers)
		assert.Zero(t, p.Stats().Busy)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := p.Do(ctx, number)
		assert.NoError(t, err)
		_ = p.Close() // the doc does not say whether a Goexit is an error
		assert.Len(t, ds.closed(), 2)
		ds.check(t)
	})
}

// ... and it is told that its worker has stopped.
func TestCloseOfAStateThatCallsGoexitIsTold(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		stopped := 0
		ds := devices{closing: func(*device) error { runtime.Goexit(); return nil }}
		p := ds.pool(pool.Workers(1), pool.Observe(func(e pool.Event) {
			if e.Kind == pool.WorkerStopped {
				stopped++
			}
		}))
		occupy(t, p, 1)
		_ = p.Close()
		assert.Equal(t, 1, stopped)
		ds.check(t)
	})
}

// "No input waits while a worker is free", nor while the state of one that was halted
// is being closed, which is no call.
func TestSlowCloseHoldsUpNobody(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Hour); return nil }}
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		assert.NoError(t, p.Halt(0))
		synctest.Wait()
		s := p.Stats()
		assert.Equal(t, 1, s.Workers)
		assert.Equal(t, 1, s.Idle)
		assert.Zero(t, s.Busy, "nobody makes a call")
		begin := time.Now()
		w, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.Equal(t, 1, w)
		assert.Zero(t, time.Since(begin), "worker 1 was idle")
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// "Nothing of the pool runs after Close has returned, nor after Shutdown has, unless it
// returns a *StuckError": so it does of a state that is slow to close.
func TestShutdownSaysThatACloseIsStuck(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Hour); return nil }}
		p := ds.pool(pool.Workers(1))
		occupy(t, p, 1)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		begin := time.Now()
		err := p.Shutdown(ctx)
		assert.Equal(t, time.Second+100*time.Millisecond, time.Since(begin))
		assert.ErrorIs(t, err, errBoom)
		var stuck *pool.StuckError
		if assert.ErrorAs(t, err, &stuck) {
			assert.Equal(t, []pool.StuckCall{{Worker: 0, Closing: true}}, stuck.Calls)
		}
		assert.NoError(t, p.Close())
		assert.Equal(t, time.Hour, time.Since(begin))
		ds.check(t)
	})
}

// A call that waits for the share of a job which is over does not open the state of its worker, which has stopped.
func TestStateOfAWorkerThatHasStoppedIsNotOpenedAgain(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var opened, closed atomic.Int64
		p := pool.NewStateful(
			func(context.Context, int) (int, error) { opened.Add(1); return 0, nil },
			func(ctx context.Context, _ int, do task) (int, error) { return do(ctx) },
			func(int) error { closed.Add(1); return nil }, pool.Workers(1))
		first, late := make(chan struct{}), make(chan error, 1)
		submit(t, p, func(ctx context.Context) (int, error) {
			ctx = context.WithoutCancel(ctx)
			go p.Do(ctx, block(first)) //nolint:errcheck // it is what the other one waits for
			time.Sleep(time.Nanosecond)
			go func() {
				_, err := p.Do(ctx, give(1))
				late <- err
			}()
			time.Sleep(time.Nanosecond)
			return 0, p.Halt(0)
		})
		time.Sleep(time.Second)
		close(first)
		synctest.Wait()
		require.NoError(t, p.Close())
		assert.Equal(t, pool.ErrClosed, <-late, "there was no worker for it")
		assert.EqualValues(t, 1, opened.Load())
		assert.EqualValues(t, 1, closed.Load())
	})
}

// Shutdown lets calls finish that a job has left waiting for a worker, while the state of another one is being closed.
func TestCallsInLineFinishBesideASlowClose(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.NewStateful(
			func(context.Context, int) (int, error) { return 0, nil },
			func(ctx context.Context, _ int, do task) (int, error) { return do(ctx) },
			func(int) error { time.Sleep(time.Hour); return nil },
			pool.Workers(2), pool.IdleTimeout(time.Second, 0))
		var calls atomic.Int64
		submit(t, p, func(ctx context.Context) (int, error) {
			time.Sleep(time.Minute) // the other worker is closing its state, and Shutdown has begun
			ctx = context.WithoutCancel(ctx)
			for range 3 {
				go func() {
					_, err := p.Do(ctx, func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, nil })
					assert.NoError(t, err)
					calls.Add(1)
				}()
			}
			time.Sleep(time.Nanosecond)
			return 0, nil
		})
		submit(t, p, give(0))
		time.Sleep(30 * time.Second)
		require.NoError(t, p.Shutdown(t.Context()))
		synctest.Wait()
		assert.EqualValues(t, 3, calls.Load())
	})
}
