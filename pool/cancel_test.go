package pool_test

import (
	"context"
	"errors"
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

// "The error of a job that ends canceled matches both the cause and context.Canceled
// with errors.Is."
func assertCanceled(t *testing.T, j *pool.Job[int], cause error) {
	t.Helper()
	r, ok := j.Result()
	require.True(t, ok, "it has ended")
	assert.Equal(t, result.Canceled, j.Status())
	assert.Equal(t, result.Canceled, r.Status())
	assert.ErrorIs(t, r.Err, context.Canceled)
	assert.ErrorIs(t, r.Err, cause)
	assert.ErrorContains(t, r.Err, cause.Error(), "the message says why")
	_, err := j.Wait(t.Context())
	assert.Equal(t, r.Err, err)
}

// "A job in the queue never starts and has ended when Cancel returns."
func TestCancelQueuedJob(t *testing.T) {
	for _, cause := range []error{nil, errBoom, context.Canceled, context.DeadlineExceeded} {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1))
			gate := make(chan struct{})
			submit(t, p, block(gate))
			j := submit(t, p, func(context.Context) (int, error) {
				assert.Fail(t, "called")
				return 0, nil
			})
			early := j.Done()
			synctest.Wait()
			j.Cancel(cause)
			<-early
			if cause == nil {
				cause = context.Canceled // "nil stands for context.Canceled"
			}
			assertCanceled(t, j, cause)
			r, _ := j.Result()
			assert.Zero(t, r.Attempt)
			assert.Equal(t, -1, r.Worker)
			j.Cancel(errors.New("too late"))
			assertCanceled(t, j, cause)
			close(gate)
			assert.NoError(t, p.Shutdown(t.Context()))
		})
	}
}

// "For a running job, the context of its call ends, and the function decides how the
// job ends."
func TestCancelRunningJob(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		returns := func(f func(ctx context.Context) (int, error)) *pool.Job[int] {
			j := submit(t, p, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				assert.Equal(t, context.Canceled, ctx.Err())
				assert.Equal(t, errBoom, context.Cause(ctx))
				return f(ctx)
			})
			synctest.Wait()
			assert.Equal(t, result.Running, j.Status())
			j.Cancel(errBoom)
			j.Cancel(errors.New("second")) // "of several causes the first one counts"
			synctest.Wait()
			return j
		}
		assertCanceled(t, returns(func(ctx context.Context) (int, error) { return 0, ctx.Err() }), errBoom)
		assertCanceled(t, returns(func(ctx context.Context) (int, error) { return 0, context.Cause(ctx) }), errBoom)

		v, err := returns(func(context.Context) (int, error) { return 7, nil }).Wait(t.Context())
		assert.NoError(t, err, "it was done with its work")
		assert.Equal(t, 7, v)

		other := errors.New("disk full")
		j := returns(func(context.Context) (int, error) { return 0, other })
		_, err = j.Wait(t.Context())
		assert.ErrorIs(t, err, other)
		assert.NotErrorIs(t, err, context.Canceled, "it failed for another reason")
		assert.Equal(t, result.Failed, j.Status())
	})
}

// A job that does not look at its context runs on, and its worker is held.
func TestCancelOfAFunctionThatDoesNotHeed(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		gate := make(chan struct{})
		j := submit(t, p, block(gate))
		synctest.Wait()
		j.Cancel(nil)
		synctest.Wait()
		assert.Equal(t, result.Running, j.Status())
		close(gate)
		synctest.Wait()
		assert.Equal(t, result.Succeeded, j.Status())
	})
}

// A function that asks only after it was canceled finds its context ended, however
// it asks.
func TestCancelIsSeenByWhoLooksLater(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks()
		defer p.Close()
		looks := []func(ctx context.Context) bool{
			func(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) },
			func(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errBoom) },
			func(ctx context.Context) bool { <-ctx.Done(); return true },
			func(ctx context.Context) bool {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				return errors.Is(ctx.Err(), context.Canceled) && errors.Is(context.Cause(ctx), errBoom)
			},
			func(ctx context.Context) bool {
				ctx, cancel := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Hour)
				defer cancel()
				<-ctx.Done()
				return errors.Is(context.Cause(ctx), errBoom)
			},
			func(ctx context.Context) bool {
				ran := make(chan struct{})
				context.AfterFunc(ctx, func() { close(ran) })
				<-ran
				return true
			},
			func(ctx context.Context) bool { return context.WithoutCancel(ctx).Err() == nil },
		}
		for i, look := range looks {
			gate := make(chan struct{})
			j := submit(t, p, func(ctx context.Context) (int, error) {
				<-gate
				assert.True(t, look(ctx), "look %d", i)
				return 1, nil
			})
			synctest.Wait()
			j.Cancel(errBoom)
			close(gate)
			_, err := j.Wait(t.Context())
			assert.NoError(t, err)
		}
	})
}

// A Cancel that races with the start or the end leaves one end, and one that fits:
// canceled, if and only if the function did not return its value.
func TestCancelRacesWithStartAndEnd(t *testing.T) {
	checkLeaks(t)
	const rounds = 3000
	p := newTasks(pool.Workers(2), pool.Queue(2*rounds))
	counts := map[result.Status]int{}
	for i := range rounds {
		var calls atomic.Int64
		j := submit(t, p, func(ctx context.Context) (int, error) {
			calls.Add(1)
			return i, ctx.Err()
		})
		var wg sync.WaitGroup
		wg.Go(func() { j.Cancel(errBoom) })
		v, err := j.Wait(t.Context())
		wg.Wait()
		counts[j.Status()]++
		switch j.Status() {
		case result.Succeeded:
			assert.NoError(t, err)
			assert.Equal(t, i, v)
			assert.EqualValues(t, 1, calls.Load())
		case result.Canceled:
			assert.ErrorIs(t, err, errBoom)
			r, _ := j.Result()
			assert.EqualValues(t, r.Attempt, calls.Load(), "calls")
		default:
			assert.Fail(t, "odd end", "%v %v", j.Status(), err)
		}
	}
	closing(t, p)
	t.Log(counts)
}
