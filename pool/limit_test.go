package pool_test

import (
	"context"
	"slices"
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

// "Timeout ends the context of each call d after the call started. context.Cause then
// names the timeout."
func TestTimeoutEndsTheContextOfACall(t *testing.T) {
	run := map[string]func(ctx context.Context, p *pool.Pool[task, int], do task) error{
		"Do": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
			_, err := p.Do(ctx, do)
			return err
		},
		"Submit": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
			j, err := p.Submit(ctx, do)
			if err == nil {
				_, err = j.Wait(ctx)
				assert.Equal(t, result.Failed, j.Status(), "the call had its time: it was not canceled")
			}
			return err
		},
		"Map": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
			_, err := p.Map(ctx, []task{do})
			return err
		},
		"Stream": func(ctx context.Context, p *pool.Pool[task, int], do task) (err error) {
			for r := range p.Stream(ctx, slices.Values([]task{do})) {
				err = r.Err
			}
			return err
		},
	}
	for name, run := range run {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Timeout(5 * time.Second))
				defer p.Close()
				err := run(t.Context(), p, func(ctx context.Context) (int, error) {
					begin := time.Now()
					deadline, ok := ctx.Deadline()
					assert.True(t, ok)
					assert.Equal(t, 5*time.Second, time.Until(deadline))
					<-ctx.Done()
					assert.Equal(t, 5*time.Second, time.Since(begin))
					assert.Equal(t, context.DeadlineExceeded, ctx.Err())
					cause := context.Cause(ctx)
					assert.ErrorIs(t, cause, context.DeadlineExceeded)
					assert.ErrorContains(t, cause, "pool: ")
					assert.ErrorContains(t, cause, "timeout of 5s")
					return 0, cause
				})
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.NotErrorIs(t, err, context.Canceled)
			})
		})
	}
}

// "Waiting in the queue and for a limit does not count."
func TestTimeoutCountsFromTheStart(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		limit := waiterFunc(func(context.Context) error {
			time.Sleep(time.Minute)
			return nil
		})
		p := pool.New(sleepers, pool.Workers(1), pool.Timeout(time.Second+1), pool.Limit(limit))
		defer p.Close()
		var jobs []*pool.Job[time.Duration]
		for range 5 {
			jobs = append(jobs, submit(t, p, time.Second))
		}
		for i, j := range jobs {
			_, err := j.Wait(t.Context())
			assert.NoError(t, err, "job %d", i)
		}
	})
}

// A call that returns in time is not touched by the timeout, and neither is one
// that does not look.
func TestTimeoutIsUpToTheFunction(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Timeout(time.Second))
		defer p.Close()
		v, err := p.Do(t.Context(), func(context.Context) (int, error) {
			time.Sleep(time.Minute)
			return 7, nil
		})
		assert.NoError(t, err)
		assert.Equal(t, 7, v)
	})
}

// The caller's own, nearer, deadline counts as what it is.
func TestNearerDeadlineOfTheCaller(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Timeout(time.Minute))
		defer p.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		_, err := p.Do(ctx, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		assert.Same(t, errBoom, err)
	})
}

// "Limit makes each call wait for all limits, in the given order, before it starts."
func TestLimitsAreWaitedForInOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var order []string
		limit := func(name string) pool.Waiter {
			return waiterFunc(func(ctx context.Context) error {
				order = append(order, name)
				assert.Equal(t, "lent", ctx.Value(key{}))
				return nil
			})
		}
		p := newTasks(pool.Workers(1), pool.Limit(limit("a"), limit("b")))
		defer p.Close()
		call := func(context.Context) (int, error) {
			order = append(order, "call")
			return 0, nil
		}
		ctx := context.WithValue(t.Context(), key{}, "lent")
		for name, run := range through {
			order = nil
			run(ctx, p, call)
			assert.Equal(t, []string{"a", "b", "call"}, order, name)
		}
		order = nil
		j, err := p.Submit(ctx, call)
		require.NoError(t, err)
		<-j.Done()
		assert.Equal(t, []string{"a", "b", "call"}, order, "Submit")
	})
}

// "If a limit returns an error, the input fails with it and the function is not called."
func TestErrorOfALimit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		refuse := waiterFunc(func(context.Context) error { return errBoom })
		never := waiterFunc(func(context.Context) error {
			assert.Fail(t, "waited for although an earlier one refused")
			return nil
		})
		p := newTasks(pool.Workers(2), pool.Limit(refuse, never))
		defer p.Close()
		do := func(context.Context) (int, error) {
			assert.Fail(t, "called")
			return 0, nil
		}
		_, err := p.Do(t.Context(), do)
		assert.Same(t, errBoom, err)
		_, err = p.Map(t.Context(), []task{do, do, do})
		assert.Same(t, errBoom, err)

		j := submit(t, p, do)
		<-j.Done()
		r, _ := j.Result()
		assert.Same(t, errBoom, r.Err)
		assert.Zero(t, r.Attempt)
		assert.Equal(t, -1, r.Worker)
		n := 0
		for r := range p.Stream(t.Context(), slices.Values([]task{do, do, do})) {
			assert.Same(t, errBoom, r.Err)
			assert.Zero(t, r.Attempt)
			assert.Equal(t, -1, r.Worker)
			n++
		}
		assert.Equal(t, 3, n)
	})
}

// "The worker is held meanwhile, and the time counts as Wait", not as Run.
func TestLimitHoldsTheWorkerAndCountsAsWait(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var g gauge
		limit := waiterFunc(func(context.Context) error {
			g.enter()
			defer g.leave()
			time.Sleep(2 * time.Second)
			return nil
		})
		p := pool.New(sleepers, pool.Workers(2), pool.Limit(limit))
		defer p.Close()
		var jobs []*pool.Job[time.Duration]
		for range 4 {
			jobs = append(jobs, submit(t, p, time.Second))
		}
		for i, j := range jobs {
			_, err := j.Wait(t.Context())
			assert.NoError(t, err)
			r, _ := j.Result()
			assert.Equal(t, time.Duration(i/2)*3*time.Second+2*time.Second, r.Timing.Wait, "job %d", i)
			assert.Equal(t, time.Second, r.Timing.Run, "job %d", i)
		}
		for r := range p.Stream(t.Context(), slices.Values([]time.Duration{time.Second, time.Second})) {
			assert.Equal(t, 2*time.Second, r.Timing.Wait)
			assert.Equal(t, time.Second, r.Timing.Run)
		}
		assert.EqualValues(t, 2, g.peak.Load(), "waiting at once")
	})
}

// A limit that panics is that input's panic, and harms nothing else.
func TestPanicOfALimit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var once sync.Once
		limit := waiterFunc(func(context.Context) (err error) {
			once.Do(func() { panic("limit") })
			return nil
		})
		var caught *result.PanicError
		for name, run := range through {
			once = sync.Once{}
			p := newTasks(pool.Workers(1), pool.Limit(limit))
			run(t.Context(), p, give(1))
			v, err := p.Do(t.Context(), give(2))
			assert.NoError(t, err, name)
			assert.Equal(t, 2, v, name)
			assert.NoError(t, p.Close())
		}
		once = sync.Once{}
		p := newTasks(pool.Workers(1), pool.Limit(limit))
		_, err := submit(t, p, give(1)).Wait(t.Context())
		assert.ErrorAs(t, err, &caught)
		v, err := submit(t, p, give(2)).Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 2, v)
		assert.NoError(t, p.Close())
	})
}

// A limit heeds its context: a job that is canceled meanwhile is never called.
func TestCancelWhileALimitIsWaitedFor(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		limit := waiterFunc(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		p := newTasks(pool.Limit(limit))
		defer p.Close()
		j := submit(t, p, give(1))
		time.Sleep(3 * time.Second)
		j.Cancel(errBoom)
		synctest.Wait()
		assertCanceled(t, j, errBoom)
		r, _ := j.Result()
		assert.Zero(t, r.Attempt)
		assert.Equal(t, 3*time.Second, r.Timing.Wait)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Do(ctx, give(1))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
