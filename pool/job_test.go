package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

func isDone(j *pool.Job[int]) bool {
	select {
	case <-j.Done():
		return true
	default:
		return false
	}
}

// A job is queued, then running, then at its end. Done is asked for early on one
// job and late on the other, which makes the channel at different times.
func TestJobGoesThroughItsStates(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		first, second := make(chan struct{}), make(chan struct{})
		submit(t, p, block(first))
		j := submit(t, p, func(context.Context) (int, error) {
			<-second
			return 42, nil
		})
		synctest.Wait()
		assert.Equal(t, result.Queued, j.Status())
		assert.False(t, isDone(j))
		_, ok := j.Result()
		assert.False(t, ok)

		close(first)
		synctest.Wait()
		assert.Equal(t, result.Running, j.Status())
		assert.False(t, isDone(j))
		r, ok := j.Result()
		assert.False(t, ok)
		assert.Zero(t, r)

		close(second)
		synctest.Wait()
		assert.Equal(t, result.Succeeded, j.Status())
		assert.True(t, isDone(j))
		r, ok = j.Result()
		assert.True(t, ok)
		assert.Equal(t, 42, r.Value)
		assert.Equal(t, 1, r.Attempt)
		assert.Equal(t, 0, r.Worker)

		late := submit(t, p, give(1))
		synctest.Wait()
		assert.True(t, isDone(late), "Done that is asked for after the end")
	})
}

// "ID returns the job's number in its pool, counted from 1 in the order of submission."
func TestJobIDs(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p, other := newTasks(), newTasks()
		defer p.Close()
		defer other.Close()
		for i := range uint64(10) {
			assert.Equal(t, i+1, submit(t, p, give(0)).ID())
		}
		assert.Equal(t, uint64(1), submit(t, other, give(0)).ID())
	})
}

// "If ctx ends first, Wait returns ctx's cause; the job goes on."
func TestWaitEndsWithItsContext(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1))
		defer p.Close()
		for _, j := range []*pool.Job[time.Duration]{submit(t, p, time.Minute), submit(t, p, time.Minute)} {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
			begin := time.Now()
			v, err := j.Wait(ctx)
			assert.Same(t, errBoom, err)
			assert.Zero(t, v)
			assert.Equal(t, time.Second, time.Since(begin))
			assert.False(t, j.Status().Terminal())
			_, err = j.Wait(ctx)
			assert.Same(t, errBoom, err, "with a context that has ended already")

			v, err = j.Wait(t.Context())
			assert.NoError(t, err, "the job went on")
			assert.Equal(t, time.Minute, v)
			v, err = j.Wait(ctx)
			assert.NoError(t, err, "what has ended needs no waiting")
			assert.Equal(t, time.Minute, v)
			cancel()
		}
	})
}

// "Its methods may be called from any goroutine at any time."
func TestJobIsSharedByManyGoroutines(t *testing.T) {
	checkLeaks(t)
	p := newTasks(pool.Workers(2))
	defer closing(t, p)
	for round := range 200 {
		gate := make(chan struct{})
		j := submit(t, p, func(ctx context.Context) (int, error) {
			select {
			case <-gate:
				return round, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		})
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if i == 5 && round%2 == 0 {
					j.Cancel(errBoom)
				}
				if i%2 == 0 {
					<-j.Done()
				}
				v, err := j.Wait(t.Context())
				r, ok := j.Result()
				assert.True(t, ok)
				assert.Equal(t, r.Value, v)
				assert.Equal(t, r.Err, err)
				assert.True(t, j.Status().Terminal())
			})
		}
		close(gate)
		wg.Wait()
	}
}

// TrySubmit has no context: "The call's context carries none of the submitter's values."
func TestTrySubmitLendsNoValues(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks()
		defer p.Close()
		j, err := p.TrySubmit(func(ctx context.Context) (int, error) {
			_, limited := ctx.Deadline()
			assert.False(t, limited)
			assert.NoError(t, ctx.Err())
			assert.Nil(t, ctx.Value(key{}))
			return 1, nil
		})
		require.NoError(t, err)
		v, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 1, v)
	})
}
