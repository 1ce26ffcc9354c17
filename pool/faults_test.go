package pool_test

import (
	"context"
	"errors"
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

// What users hand in can fail in many ways, and for each of them the package says what
// happens. Those that are not here stand with what they are about:
//
//   - a function that panics with nil, an error, a runtime error or in a deferred call, or
//     calls Goexit: endings, in TestEndOfDo and those behind it;
//   - that asks its pool to shut down, halts its own worker or resizes the pool to 1:
//     TestShutdownInsideACall, TestControlInsideACall;
//   - a source that panics, or yields after false: TestStreamOfASourceThatPanics,
//     TestStreamOfASourceThatDoesNotStop;
//   - a body that panics: TestLoopThatIsLeftWaitsForItsCalls;
//   - an observer that panics, calls Goexit, is slow or never returns: TestObserverDoesNoHarm,
//     TestObserverThatFailsIsToldAll.

// handIn are the ways for one input to come to a pool; each returns what became of it.
var handIn = map[string]func(ctx context.Context, p *pool.Pool[task, int], do task) error{
	"Do": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
		_, err := p.Do(ctx, do)
		return err
	},
	"Submit": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
		j, err := p.Submit(ctx, do)
		if err == nil {
			_, err = j.Wait(context.Background())
		}
		return err
	},
	"Map": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
		_, err := p.Map(ctx, []task{do})
		return err
	},
	"Stream": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
		err := errors.New("no result")
		for r := range p.Stream(ctx, slices.Values([]task{do})) {
			err = r.Err
		}
		return err
	},
}

// eachWay runs a test for each way, and sees to it that the pool goes on behind it.
func eachWay(t *testing.T, opts func() []pool.Option, test func(t *testing.T, way string, p *pool.Pool[task, int])) {
	t.Helper()
	for way := range handIn {
		t.Run(way, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(append(opts(), pool.Workers(1))...)
				test(t, way, p)
				_, err := p.Do(t.Context(), give(1))
				if !errors.Is(err, pool.ErrClosed) {
					assert.NoError(t, err, "the pool goes on")
				}
				assert.NoError(t, p.Close())
			})
		})
	}
}

func noOptions() []pool.Option { return nil }

// "A panic of a limit is that of the input", which was never called, and a limit that calls
// Goexit ends what a function would that does.
func TestLimitThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		fails func() error
		want  func(t *testing.T, err error)
		exits bool
	}{
		"refuses": {
			func() error { return errBoom },
			func(t *testing.T, err error) { t.Helper(); assert.Same(t, errBoom, err) }, false,
		},
		"panics": {
			func() error { panic(errBoom) },
			func(t *testing.T, err error) {
				t.Helper()
				var caught *result.PanicError
				assert.ErrorAs(t, err, &caught)
				assert.ErrorIs(t, err, errBoom)
			}, false,
		},
		"calls Goexit": {
			func() error { runtime.Goexit(); return nil },
			func(t *testing.T, err error) { t.Helper(); assert.ErrorIs(t, err, pool.ErrGoexit) }, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			failed := false
			limit := waiterFunc(func(context.Context) error {
				if failed {
					return nil
				}
				failed = true
				return c.fails()
			})
			opts := func() []pool.Option {
				failed = false
				return []pool.Option{pool.Limit(limit)}
			}
			eachWay(t, opts, func(t *testing.T, way string, p *pool.Pool[task, int]) {
				called := false
				returned := onItsOwn(func() {
					c.want(t, handIn[way](t.Context(), p, func(context.Context) (int, error) { called = true; return 1, nil }))
				})
				assert.Equal(t, !c.exits || way == "Submit" || way == "Stream", returned, "Do and Map run on their caller's goroutine")
				assert.False(t, called)
			})
		})
	}
}

// endless is a context that cannot end, as context.Background is, but of a type of the user's.
type endless struct{ context.Context }

func (endless) Done() <-chan struct{}       { return nil }
func (endless) Err() error                  { return nil }
func (endless) Deadline() (time.Time, bool) { return time.Time{}, false }

// A context whose Done is nil does not end; the context of the call has a Done, which ends with it.
func TestContextWithoutADone(t *testing.T) {
	eachWay(t, noOptions, func(t *testing.T, way string, p *pool.Pool[task, int]) {
		for _, ctx := range []context.Context{context.Background(), endless{context.Background()}} {
			var done <-chan struct{}
			assert.NoError(t, handIn[way](ctx, p, func(ctx context.Context) (int, error) {
				done = ctx.Done()
				assert.NotNil(t, done)
				select {
				case <-done:
					assert.Fail(t, "it has ended with the call under way")
				default:
				}
				return 1, nil
			}), way)
			<-done
		}
	})
}

// "If the context has already ended, no input is taken", and its cause is the error.
func TestContextThatHasEndedTakesNothing(t *testing.T) {
	eachWay(t, noOptions, func(t *testing.T, way string, p *pool.Pool[task, int]) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errBoom)
		called := false
		err := handIn[way](ctx, p, func(context.Context) (int, error) { called = true; return 1, nil })
		assert.Equal(t, errBoom, err)
		assert.False(t, called)
		assert.Zero(t, p.Stats().Accepted)
	})
}

// The cause with which a context ends is that of the call's, but for a job, which does not depend on it.
func TestCauseReachesTheCall(t *testing.T) {
	eachWay(t, noOptions, func(t *testing.T, way string, p *pool.Pool[task, int]) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errBoom) })
		err := handIn[way](ctx, p, func(ctx context.Context) (int, error) {
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case <-time.After(time.Hour):
				return 1, nil
			}
		})
		if way == "Submit" {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, errBoom)
		}
	})
}

// "A function that does not return holds its worker": neither the end of its context nor a
// timeout, HaltNow or Shutdown ends the call, and who has asked for it on its own goroutine,
// or waits for its result, waits. Shutdown says so.
func TestFunctionThatNeverReturns(t *testing.T) {
	eachWay(t, func() []pool.Option { return []pool.Option{pool.Timeout(time.Minute)} }, func(t *testing.T, way string, p *pool.Pool[task, int]) {
		gate := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- handIn[way](ctx, p, block(gate)) }()
		synctest.Wait()
		cancel()
		time.Sleep(time.Hour)
		require.NoError(t, p.HaltNow(0))
		synctest.Wait()
		assert.Empty(t, done, "it still runs")
		short, stop := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer stop()
		var stuck *pool.StuckError
		require.ErrorAs(t, p.Shutdown(short), &stuck)
		assert.ErrorIs(t, stuck, errBoom)
		assert.Len(t, stuck.Calls, 1)
		close(gate)
		<-done //nolint:errcheck // it was done with its work, or canceled
	})
}

// A function that closes its pool must not wait for it; its context ends with ErrClosed.
func TestFunctionThatClosesItsPool(t *testing.T) {
	eachWay(t, noOptions, func(t *testing.T, way string, p *pool.Pool[task, int]) {
		err := handIn[way](t.Context(), p, func(ctx context.Context) (int, error) {
			go p.Close() //nolint:errcheck // it has nothing to close
			<-ctx.Done()
			assert.ErrorIs(t, context.Cause(ctx), pool.ErrClosed)
			return 0, context.Cause(ctx)
		})
		assert.ErrorIs(t, err, pool.ErrClosed)
	})
}
