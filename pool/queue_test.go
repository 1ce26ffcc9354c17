package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// fill makes the one worker of p busy until the gate is closed, and its queue full
// with depth jobs.
func fill(t *testing.T, p *pool.Pool[task, int], gate <-chan struct{}, depth int) []*pool.Job[int] {
	t.Helper()
	j := submit(t, p, block(gate))
	synctest.Wait()
	require.Equal(t, result.Running, j.Status())
	jobs := make([]*pool.Job[int], depth)
	for i := range jobs {
		var err error
		jobs[i], err = p.TrySubmit(give(i))
		require.NoError(t, err, "job %d of %d that fit the queue", i+1, depth)
	}
	return jobs
}

// "Queue sets how many jobs may wait for a worker. When the queue is full, Submit waits
// and TrySubmit returns ErrFull."
func TestQueueHoldsAsManyAsItSays(t *testing.T) {
	for _, depth := range []int{1, 2, 7, 100, 1024} {
		testkit.Bubble(t, func(t *testing.T) {
			opts := []pool.Option{pool.Workers(1), pool.Queue(depth)}
			if depth == 1024 {
				opts = opts[:1] // the default
			}
			p := newTasks(opts...)
			gate := make(chan struct{})
			jobs := fill(t, p, gate, depth)
			j, err := p.TrySubmit(give(0))
			assert.ErrorIs(t, err, pool.ErrFull)
			assert.Nil(t, j)

			gotIn := make(chan *pool.Job[int], 1)
			go func() {
				j, err := p.Submit(t.Context(), give(42))
				assert.NoError(t, err)
				gotIn <- j
			}()
			synctest.Wait()
			assert.Empty(t, gotIn, "Submit waits while the queue is full")
			close(gate)
			j = <-gotIn
			v, err := j.Wait(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, 42, v)
			for i, j := range jobs {
				v, err := j.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, i, v)
			}
			assert.NoError(t, p.Close())
		})
	}
}

// Room is used at once: a job that gets a worker lets the next submitter in, long
// before it ends.
func TestRoomInTheQueueIsUsedAtOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1), pool.Queue(1))
		defer p.Close()
		begin := time.Now()
		for i := range 5 { // one runs and one waits
			submit(t, p, time.Second)
			assert.Equal(t, time.Duration(max(i-1, 0))*time.Second, time.Since(begin), "job %d", i)
			synctest.Wait()
		}
	})
}

// "Waiting callers are served in turn."
func TestSubmittersAreServedInTurn(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		defer p.Close()
		gate := make(chan struct{})
		fill(t, p, gate, 1)
		var order []int // written by the calls, of which there is one at a time
		for i := range 20 {
			go func() {
				_, err := p.Submit(t.Context(), func(context.Context) (int, error) {
					order = append(order, i)
					time.Sleep(time.Second)
					return 0, nil
				})
				assert.NoError(t, err)
			}()
			synctest.Wait()
		}
		close(gate)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, order)
	})
}

// A submitter that gives up leaves the line: those behind it move up, and nothing
// of it is run.
func TestSubmitterThatGivesUpLeavesTheLine(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		defer p.Close()
		gate := make(chan struct{})
		fill(t, p, gate, 1)
		var order []int
		cancels := make([]context.CancelCauseFunc, 5)
		errs := make([]error, 5)
		for i := range cancels {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancels[i] = cancel
			go func() {
				_, errs[i] = p.Submit(ctx, func(context.Context) (int, error) {
					order = append(order, i)
					return 0, nil
				})
			}()
			synctest.Wait()
		}
		for _, i := range []int{2, 0, 4} { // in the middle, first, last
			cancels[i](errBoom)
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		assert.Equal(t, []error{errBoom, nil, errBoom, nil, errBoom}, errs, "the error is the cause, as it is")
		assert.Equal(t, []int{1, 3}, order)
		cancels[1](nil)
		cancels[3](nil)
	})
}

// TrySubmit does not overtake those that wait for room.
func TestTrySubmitDoesNotOvertake(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		defer p.Close()
		gate, next := make(chan struct{}), make(chan struct{})
		submit(t, p, block(gate))
		synctest.Wait()
		submit(t, p, block(next))
		go p.Submit(t.Context(), give(1)) //nolint:errcheck // it takes the room
		synctest.Wait()
		close(gate)
		synctest.Wait()
		_, err := p.TrySubmit(give(2))
		assert.ErrorIs(t, err, pool.ErrFull, "the room belongs to the one that waited")
		close(next)
		synctest.Wait()
		_, err = p.TrySubmit(give(3))
		assert.NoError(t, err)
	})
}

// "If the context has already ended, no input is taken."
func TestEndedContextTakesNothing(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errBoom)
		never := func(context.Context) (int, error) {
			assert.Fail(t, "called")
			return 0, nil
		}
		_, err := p.Do(ctx, never)
		assert.Same(t, errBoom, err)
		j, err := p.Submit(ctx, never)
		assert.Same(t, errBoom, err)
		assert.Nil(t, j)
		outs, err := p.Map(ctx, []task{never})
		assert.Same(t, errBoom, err)
		assert.Nil(t, outs)
		_, err = p.Map(ctx, nil)
		assert.Same(t, errBoom, err)
		for r := range p.Stream(ctx, func(yield func(task) bool) {
			assert.Fail(t, "the source was started")
			yield(never)
		}) {
			assert.Equal(t, result.Result[int]{Err: errBoom, Worker: -1}, r)
			err = r.Err
		}
		assert.Same(t, errBoom, err)
		assert.NoError(t, p.Close())
	})
}

// Jobs of one submitter start in the order in which they were submitted.
func TestJobsStartInOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var order []int
		p := pool.New(func(_ context.Context, i int) (int, error) {
			order = append(order, i)
			return i, nil
		}, pool.Workers(1), pool.Queue(10))
		want := make([]int, 500)
		for i := range want {
			want[i] = i
			submit(t, p, i)
		}
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, want, order)
	})
}
