package pool_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// "If open fails or panics, the current input fails with that, and the next call tries
// again." A Goexit is no worse.
func TestOpenThatFails(t *testing.T) {
	fails := map[string]struct {
		open  func() error
		check func(t *testing.T, err error)
	}{
		"error": {
			func() error { return errBoom },
			func(t *testing.T, err error) {
				t.Helper()
				require.ErrorIs(t, err, errBoom)
				assert.ErrorContains(t, err, "worker 0", "it is told from an error of the function")
			},
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
		"panic with nil": {
			func() error { panic(nil) }, //nolint:govet // that is what is tried
			func(t *testing.T, err error) {
				t.Helper()
				var none *runtime.PanicNilError
				assert.ErrorAs(t, err, &none)
			},
		},
		"Goexit": {
			func() error { runtime.Goexit(); return nil },
			func(t *testing.T, err error) { t.Helper(); assert.ErrorIs(t, err, pool.ErrGoexit) },
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				down := true
				tries := 0
				ds := devices{opening: func(context.Context, int) error {
					tries++
					if down {
						return fail.open()
					}
					return nil
				}}
				p := ds.pool(pool.Workers(1))
				for i := range 3 {
					j := submit(t, p, func(context.Context, *device) (int, error) {
						assert.Fail(t, "called without a state")
						return 0, nil
					})
					_, err := j.Wait(t.Context())
					fail.check(t, err)
					assert.Equal(t, i+1, tries)
				}
				exited := !onItsOwn(func() {
					_, err := p.Do(t.Context(), number)
					fail.check(t, err)
				})
				assert.Equal(t, name == "Goexit", exited)
				assert.Equal(t, 4, tries)
				down = false
				_, err := submit(t, p, number).Wait(t.Context())
				assert.NoError(t, err)
				_, err = p.Do(t.Context(), number)
				assert.NoError(t, err)
				assert.Equal(t, 5, tries)
				s := p.Stats()
				assert.EqualValues(t, 4, s.Accepted)
				assert.EqualValues(t, 1, s.Succeeded)
				assert.EqualValues(t, 3, s.Failed+s.Panicked+s.Canceled)
				assert.Zero(t, s.Busy)
				assert.NoError(t, p.Close())
				assert.Equal(t, []int{0}, ds.closed(), "what was never open is not closed")
				ds.check(t)
			})
		})
	}
}

// One input of a Stream fails with open, and the others go on; a Map fails with it.
func TestOpenThatFailsInMapAndStream(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		tries := 0
		ds := devices{opening: func(context.Context, int) error {
			if tries++; tries <= 2 {
				return errBoom
			}
			return nil
		}}
		p := ds.pool(pool.Workers(1))
		_, err := p.Map(t.Context(), slices.Repeat([]deed{number}, 10))
		assert.ErrorIs(t, err, errBoom)
		failed := 0
		for r := range p.Stream(t.Context(), slices.Values(slices.Repeat([]deed{number}, 10))) {
			if r.Err != nil {
				assert.ErrorIs(t, r.Err, errBoom)
				failed++
			}
		}
		assert.Equal(t, 1, failed)
		assert.Equal(t, 3, tries)
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// "The context of open is that of the call, without its Timeout": it has the
// caller's values, ends with the caller, and takes nothing from the time of the call.
func TestContextOfOpen(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{opening: func(ctx context.Context, _ int) error {
			_, limited := ctx.Deadline()
			assert.False(t, limited)
			assert.Equal(t, 42, ctx.Value(key{}))
			time.Sleep(time.Hour)
			return ctx.Err()
		}}
		p := ds.pool(pool.Workers(1), pool.Timeout(time.Second))
		do := func(ctx context.Context, _ *device) (int, error) {
			deadline, limited := ctx.Deadline()
			assert.True(t, limited)
			assert.Equal(t, time.Second, time.Until(deadline), "the call has all of its time")
			return 1, ctx.Err()
		}
		ctx := context.WithValue(t.Context(), key{}, 42)
		for range 2 {
			v, err := p.Do(ctx, do)
			assert.NoError(t, err)
			assert.Equal(t, 1, v)
			j, err := p.Submit(ctx, do)
			require.NoError(t, err)
			v, err = j.Wait(ctx)
			assert.NoError(t, err)
			assert.Equal(t, 1, v)
			assert.NoError(t, p.Halt(0))
			synctest.Wait()
			assert.NoError(t, p.Resize(1))
		}
		assert.Len(t, ds.opened(), 2)
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// What ends a call's context ends an open that heeds it, and there is no state then.
func TestOpenIsCanceledWithItsCall(t *testing.T) {
	ends := map[string]func(t *testing.T, p *pool.Pool[deed, int], j *pool.Job[int]) error{
		"Cancel": func(t *testing.T, _ *pool.Pool[deed, int], j *pool.Job[int]) error {
			t.Helper()
			j.Cancel(errBoom)
			return errBoom
		},
		"HaltNow": func(t *testing.T, p *pool.Pool[deed, int], _ *pool.Job[int]) error {
			t.Helper()
			assert.NoError(t, p.HaltNow(0))
			return pool.ErrHalted
		},
		"Close": func(t *testing.T, p *pool.Pool[deed, int], _ *pool.Job[int]) error {
			t.Helper()
			assert.NoError(t, p.Close())
			return pool.ErrClosed
		},
		"Shutdown": func(t *testing.T, p *pool.Pool[deed, int], _ *pool.Job[int]) error {
			t.Helper()
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
			defer cancel()
			assert.Equal(t, errBoom, p.Shutdown(ctx))
			return errBoom
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				ds := devices{opening: func(ctx context.Context, _ int) error {
					<-ctx.Done()
					return context.Cause(ctx)
				}}
				p := ds.pool(pool.Workers(1))
				j := submit(t, p, number)
				synctest.Wait()
				assert.Equal(t, 1, p.Stats().Busy)
				cause := end(t, p, j)
				_, err := j.Wait(t.Context())
				assert.ErrorIs(t, err, cause)
				assert.NoError(t, p.Close())
				assert.Empty(t, ds.closed())
				ds.check(t)
			})
		})
	}
}

// An open that does not heed its context and succeeds behind the end of the pool
// has its state closed, and Close waits for both.
func TestOpenThatEndsAfterTheEndOfThePool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{opening: func(context.Context, int) error {
			time.Sleep(time.Hour)
			return nil
		}}
		p := ds.pool(pool.Workers(1))
		j := submit(t, p, number)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var stuck *pool.StuckError
		require.ErrorAs(t, p.Shutdown(ctx), &stuck)
		assert.Equal(t, []pool.StuckCall{{Worker: 0, Job: j.ID(), Age: stuck.Calls[0].Age}}, stuck.Calls)
		begin := time.Now()
		assert.NoError(t, p.Close())
		assert.Greater(t, time.Since(begin), 59*time.Minute)
		assert.Equal(t, []int{0}, ds.closed())
		ds.check(t)
	})
}

// A worker that was halted during open makes the call in hand, and then its state is
// closed.
func TestHaltDuringOpen(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{opening: func(context.Context, int) error {
			time.Sleep(time.Minute)
			return nil
		}}
		p := ds.pool(pool.Workers(2))
		j := submit(t, p, number)
		synctest.Wait()
		var busy int
		for _, w := range p.Workers() {
			if w.State == pool.WorkerBusy {
				busy = w.ID
			}
		}
		assert.NoError(t, p.Halt(busy))
		v, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, busy, v)
		synctest.Wait()
		assert.Equal(t, []int{busy}, ds.closed())
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// "A state is used by one call at a time. Where a call uses its own pool, the calls
// within its share use the same state."
func TestStateWithinAShare(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(1))
		var dive func(depth int) deed
		dive = func(depth int) deed {
			return func(ctx context.Context, d *device) (v int, err error) {
				if depth == 0 {
					return 0, nil
				}
				d.lend(func() {
					switch depth % 3 {
					case 0:
						v, err = p.Do(ctx, dive(depth-1))
					case 1:
						var outs []int
						outs, err = p.Map(ctx, []deed{number, dive(depth - 1)})
						v = slices.Max(append(outs, 0))
					default:
						var j *pool.Job[int]
						if j, err = p.Submit(ctx, dive(depth-1)); err == nil {
							v, err = j.Wait(ctx)
						}
					}
				})
				return v + 1, err
			}
		}
		v, err := p.Do(t.Context(), dive(1000))
		assert.NoError(t, err)
		assert.Equal(t, 1000, v)
		assert.Equal(t, []int{0}, ds.opened(), "all in the share of one worker")
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// A nested call that finds a worker free has that one's state.
func TestStateOfNestedCallOnAnotherWorker(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		same, err := p.Do(t.Context(), func(ctx context.Context, d *device) (int, error) {
			other, err := p.Do(ctx, number) // not lent: the other call has a state of its own
			if other == d.worker {
				return 1, err
			}
			return 0, err
		})
		assert.NoError(t, err)
		assert.Zero(t, same)
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// An open that fails in a nested call fails that call only.
func TestOpenThatFailsInNestedCall(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		opens := 0
		ds := devices{opening: func(context.Context, int) error {
			if opens++; opens == 2 {
				return errBoom
			}
			return nil
		}}
		p := ds.pool(pool.Workers(2))
		_, err := p.Do(t.Context(), func(ctx context.Context, _ *device) (int, error) {
			_, err := p.Do(ctx, number)
			assert.ErrorIs(t, err, errBoom)
			_, err = p.Do(ctx, number)
			return 0, err
		})
		assert.NoError(t, err)
		assert.Equal(t, 3, opens)
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), 2)
		ds.check(t)
	})
}

// An open that uses its pool, with the context that it got, cannot have a state for
// that: it is told so, or each state that it takes to answer is closed.
func TestOpenThatUsesItsPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var p *pool.Pool[deed, int]
		inside := false
		ds := devices{opening: func(ctx context.Context, _ int) error {
			if inside {
				return nil
			}
			inside = true
			_, err := p.Do(ctx, number)
			if err != nil {
				assert.ErrorIs(t, err, pool.ErrWouldDeadlock)
			}
			return nil
		}}
		p = ds.pool(pool.Workers(1))
		_, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), len(ds.opened()))
		ds.check(t)
	})
}
