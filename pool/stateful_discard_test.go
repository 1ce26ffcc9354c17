package pool_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// discard is a deed that finds its state broken.
func discard(context.Context, *device) (int, error) { return 0, pool.Discard(errBoom) }

func TestDiscardReadsLikeItsError(t *testing.T) {
	err := pool.Discard(errBoom)
	assert.EqualError(t, err, errBoom.Error())
	assert.ErrorIs(t, err, errBoom)
	assert.NoError(t, pool.Discard(nil))
}

// "It is closed as soon as the call has returned, and the next one that the worker makes
// opens another", whichever way the calls come.
func TestDiscardedStateIsReplaced(t *testing.T) {
	ways := map[string]func(t *testing.T, p *pool.Pool[deed, int], do deed) error{
		"Do": func(t *testing.T, p *pool.Pool[deed, int], do deed) error {
			t.Helper()
			_, err := p.Do(t.Context(), do)
			return err
		},
		"Submit": func(t *testing.T, p *pool.Pool[deed, int], do deed) error {
			t.Helper()
			_, err := submit(t, p, do).Wait(t.Context())
			return err
		},
		"Map": func(t *testing.T, p *pool.Pool[deed, int], do deed) error {
			t.Helper()
			_, err := p.Map(t.Context(), []deed{number, do})
			return err
		},
		"Stream": func(t *testing.T, p *pool.Pool[deed, int], do deed) (err error) {
			t.Helper()
			for r := range p.Stream(t.Context(), func(yield func(deed) bool) { yield(do) }) {
				err = errors.Join(err, r.Err)
			}
			return err
		},
	}
	wrapped := func(context.Context, *device) (int, error) {
		return 0, fmt.Errorf("sending: %w", pool.Discard(errBoom))
	}
	for name, run := range ways {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var ds devices
				p := ds.pool(pool.Workers(1))
				assert.NoError(t, run(t, p, number))
				for i, do := range []deed{discard, wrapped} {
					assert.ErrorIs(t, run(t, p, do), errBoom)
					assert.Len(t, ds.opened(), i+1)
					assert.Len(t, ds.closed(), i+1, "at once, and not when it is needed next")
					assert.NoError(t, run(t, p, number))
					assert.Len(t, ds.opened(), i+2)
				}
				assert.NoError(t, run(t, p, number))
				assert.NoError(t, p.Close())
				assert.Len(t, ds.opened(), 3)
				assert.Len(t, ds.closed(), 3)
				ds.check(t)
			})
		})
	}
}

// "... a Retry of the same input included".
func TestRetryOfACallThatDiscardedItsState(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(1), pool.Retry(pool.RetryPolicy{Attempts: 3, Base: time.Second}))
		var had []*device
		j := submit(t, p, func(_ context.Context, d *device) (int, error) {
			if had = append(had, d); len(had) < 3 {
				return 0, pool.Discard(errBoom)
			}
			return 7, nil
		})
		v, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 7, v)
		assert.Len(t, had, 3)
		assert.NotSame(t, had[0], had[1])
		assert.NotSame(t, had[1], had[2])
		assert.Len(t, ds.closed(), 2)
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// Only the state of the worker whose call says so.
func TestDiscardLeavesTheOtherStates(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(2))
		gate := make(chan struct{})
		other := submit(t, p, func(_ context.Context, d *device) (int, error) {
			<-gate
			return d.worker, nil
		})
		synctest.Wait()
		_, err := p.Do(t.Context(), discard)
		assert.ErrorIs(t, err, errBoom)
		close(gate)
		kept, err := other.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, []int{1 - kept}, ds.closed())
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// "A call within the share of another one uses the same state, which is then closed when that
// other one has returned, too", even if that one panics.
func TestDiscardWithinAShare(t *testing.T) {
	for _, end := range []string{"return", "panic", "Goexit"} {
		t.Run(end, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var ds devices
				p := ds.pool(pool.Workers(1))
				j := submit(t, p, func(ctx context.Context, d *device) (int, error) {
					d.lend(func() {
						_, err := p.Do(ctx, discard)
						assert.ErrorIs(t, err, errBoom)
						assert.Empty(t, ds.closed())
						_, err = p.Do(ctx, number)
						assert.NoError(t, err, "the state is still there for others in the share")
					})
					switch end {
					case "panic":
						panic("boom")
					case "Goexit":
						runtime.Goexit()
					}
					return 0, nil
				})
				_, err := j.Wait(t.Context())
				assert.Equal(t, end == "return", err == nil, err)
				assert.Len(t, ds.closed(), 1)
				_, err = p.Do(t.Context(), number)
				assert.NoError(t, err)
				assert.Len(t, ds.opened(), 2)
				assert.NoError(t, p.Close())
				ds.check(t)
			})
		})
	}
}

// "What close returns is kept for Close", and changes nothing for the input.
func TestCloseOfADiscardedStateThatFails(t *testing.T) {
	errClose := errors.New("cannot be closed")
	for name, closing := range map[string]func(*device) error{
		"error":  func(*device) error { return errClose },
		"panic":  func(*device) error { panic(errClose) },
		"Goexit": func(*device) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				ds := devices{closing: closing}
				p := ds.pool(pool.Workers(1))
				j := submit(t, p, discard)
				_, err := j.Wait(t.Context())
				assert.ErrorIs(t, err, errBoom)
				assert.NotErrorIs(t, err, errClose)
				assert.Equal(t, result.Failed, j.Status())
				_, err = p.Do(t.Context(), number)
				assert.NoError(t, err)
				err = p.Close()
				if name == "Goexit" {
					assert.ErrorIs(t, err, pool.ErrGoexit)
				} else {
					assert.ErrorIs(t, err, errClose)
				}
				assert.Len(t, ds.closed(), 2)
				ds.check(t)
			})
		})
	}
}

// "In a pool without states Discard has no effect."
func TestDiscardWithoutStates(t *testing.T) {
	p := pool.New(func(context.Context, int) (int, error) { return 0, pool.Discard(errBoom) }, pool.Workers(1))
	for range 2 {
		_, err := p.Do(t.Context(), 1)
		assert.ErrorIs(t, err, errBoom)
	}
	assert.NoError(t, p.Close())
}
