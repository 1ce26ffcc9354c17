package pool_test

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

type key struct{}

// through runs a task by each of the methods whose calls have the caller's context,
// and waits for its end.
var through = map[string]func(ctx context.Context, p *pool.Pool[task, int], do task){
	"Do":  func(ctx context.Context, p *pool.Pool[task, int], do task) { p.Do(ctx, do) },          //nolint:errcheck // tasks assert
	"Map": func(ctx context.Context, p *pool.Pool[task, int], do task) { p.Map(ctx, []task{do}) }, //nolint:errcheck // tasks assert
	"Stream": func(ctx context.Context, p *pool.Pool[task, int], do task) {
		drain(p.Stream(ctx, slices.Values([]task{do})))
	},
}

// "The calls of Do, Map and Stream get the context of the method."
func TestCallsHaveTheContextOfTheCaller(t *testing.T) {
	for name, run := range through {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks()
				defer p.Close()
				ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "lent"))
				ctx, stop := context.WithTimeout(ctx, time.Minute)
				defer stop()
				called := false
				run(ctx, p, func(inner context.Context) (int, error) {
					called = true
					assert.Equal(t, "lent", inner.Value(key{}))
					assert.Nil(t, inner.Value("other"))
					want, _ := ctx.Deadline()
					deadline, ok := inner.Deadline()
					assert.True(t, ok)
					assert.Equal(t, want, deadline)
					assert.NoError(t, inner.Err())
					assert.NoError(t, context.Cause(inner))
					cancel(errBoom)
					<-inner.Done()
					assert.Equal(t, context.Canceled, inner.Err())
					assert.Equal(t, errBoom, context.Cause(inner))
					return 0, nil
				})
				assert.True(t, called)
			})
		})
	}
}

// The same without a look at Done, whose channel is made only for those who ask.
func TestErrAndCauseNeedNoDone(t *testing.T) {
	for name, run := range through {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks()
				defer p.Close()
				ctx, cancel := context.WithCancelCause(t.Context())
				run(ctx, p, func(inner context.Context) (int, error) {
					cancel(errBoom)
					assert.Equal(t, context.Canceled, inner.Err())
					assert.Equal(t, errBoom, context.Cause(inner))
					return 0, nil
				})
			})
		})
	}
}

// Close ends the contexts of all calls, with ErrClosed as the cause.
func TestCloseEndsContexts(t *testing.T) {
	run := map[string]func(ctx context.Context, p *pool.Pool[task, int], do task){
		"Submit": func(ctx context.Context, p *pool.Pool[task, int], do task) {
			if j, err := p.Submit(ctx, do); err == nil {
				<-j.Done()
			}
		},
	}
	maps.Copy(run, through)
	for name, run := range run {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks()
				ended := false
				go run(t.Context(), p, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					assert.Equal(t, context.Canceled, ctx.Err())
					assert.Equal(t, pool.ErrClosed, context.Cause(ctx))
					ended = true
					return 0, ctx.Err()
				})
				synctest.Wait()
				assert.NoError(t, p.Close())
				assert.True(t, ended)
			})
		})
	}
}

// Submit's context "bounds the wait for room in the queue and provides the job's
// values": its end and its deadline are not the job's.
func TestJobOutlivesItsSubmitter(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		gate := make(chan struct{})
		submit(t, p, block(gate))

		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "lent"))
		ctx, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		j, err := p.Submit(ctx, func(ctx context.Context) (int, error) {
			assert.NoError(t, context.Cause(ctx), "before anything else has been asked")
			assert.Equal(t, "lent", ctx.Value(key{}))
			_, limited := ctx.Deadline()
			assert.False(t, limited)
			derived, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			assert.NoError(t, derived.Err())
			assert.Equal(t, "lent", derived.Value(key{}))
			<-derived.Done()
			assert.Equal(t, context.DeadlineExceeded, derived.Err())
			assert.NoError(t, ctx.Err())
			return 42, nil
		})
		assert.NoError(t, err)
		cancel(errBoom)
		time.Sleep(time.Hour)
		close(gate)
		v, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 42, v)
	})
}

// What derives from the context of a call ends with the call, so that nothing that
// a function has left behind stays.
func TestContextEndsWithItsCall(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks()
		defer p.Close()
		do := func(told *atomic.Int64) task {
			return func(ctx context.Context) (int, error) {
				context.AfterFunc(ctx, func() { told.Add(1) })
				ctx, cancel := context.WithCancel(ctx)
				_ = cancel // forgotten
				context.AfterFunc(ctx, func() { told.Add(10) })
				return 0, nil
			}
		}
		for name, run := range through {
			var told atomic.Int64
			run(t.Context(), p, do(&told))
			synctest.Wait()
			assert.Contains(t, []int64{11}, told.Load(), name)
		}
		var told atomic.Int64
		_, err := submit(t, p, do(&told)).Wait(t.Context())
		assert.NoError(t, err)
		synctest.Wait()
		assert.EqualValues(t, 11, told.Load(), "Submit")
	})
}

// The function's context follows a caller's context of any make.
func TestContextOfForeignMake(t *testing.T) {
	for name, run := range through {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks()
				defer p.Close()
				ctx := &foreign{Context: context.WithoutCancel(t.Context()), done: make(chan struct{})}
				run(ctx, p, func(inner context.Context) (int, error) {
					assert.NoError(t, inner.Err())
					ctx.err = errBoom
					close(ctx.done)
					<-inner.Done()
					assert.Equal(t, errBoom, inner.Err())
					return 0, inner.Err()
				})
			})
		})
	}
}

// foreign is a context that package context knows nothing of.
type foreign struct {
	context.Context //nolint:containedctx // it is one
	done            chan struct{}
	err             error
}

func (f *foreign) Done() <-chan struct{} { return f.done }

func (f *foreign) Err() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}
