package pool_test

import (
	"context"
	"runtime"
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

// stumble does one of many things, by the dice.
func stumble(ctx context.Context, throw func(int) int) error {
	switch throw(12) {
	case 0:
		return errBoom
	case 1:
		panic(errBoom)
	case 2:
		runtime.Goexit()
	case 3, 4:
		time.Sleep(time.Duration(throw(3)) * time.Second)
	case 5: // it does not heed its context
		<-ctx.Done()
	}
	return nil
}

// "Release() is called once for each Wait that has returned nil."
func TestEachWaitOfALimitIsReleasedOnce(t *testing.T) {
	for seed := range uint64(40) {
		testkit.Bubble(t, func(t *testing.T) {
			throw := testkit.NewDice(seed, 18).Shared()
			first, last := testkit.NewTurnstile(t), testkit.NewTurnstile(t)
			trouble := waiterFunc(func(ctx context.Context) error { return stumble(ctx, throw) })
			opts := []pool.Option{
				pool.Workers(1 + throw(4)), pool.Limit(first, trouble, last),
				pool.Timeout(2 * time.Second), pool.Retry(pool.RetryPolicy{Attempts: 1 + throw(3), Base: time.Second}),
			}
			fn := func(ctx context.Context, i int) (int, error) {
				assert.Positive(t, first.Inside.Load())
				assert.Positive(t, last.Inside.Load())
				return i, stumble(ctx, throw)
			}
			p := pool.New(fn, opts...)
			if seed%2 == 1 {
				p = pool.NewStateful(func(ctx context.Context, _ int) (int, error) { return 0, stumble(ctx, throw) },
					func(ctx context.Context, _, i int) (int, error) {
						i, err := fn(ctx, i)
						return i, pool.Discard(err)
					}, nil, opts...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			numbers := []int{0, 1, 2, 3, 4, 5, 6, 7}
			for range 20 {
				go func() {
					ctx, cancel := context.WithTimeout(ctx, time.Duration(throw(20))*time.Second)
					defer cancel()
					switch throw(4) {
					case 0:
						_, _ = p.Do(ctx, 1)
					case 1:
						if j, err := p.Submit(ctx, 1); err == nil {
							_, _ = j.Wait(ctx)
							j.Cancel(errBoom)
						}
					case 2:
						_, _ = p.Map(ctx, numbers)
					case 3:
						for range p.Stream(ctx, slices.Values(numbers)) {
							if throw(10) == 0 {
								break
							}
						}
					}
				}()
				if throw(4) == 0 {
					time.Sleep(time.Second)
					_ = p.HaltNow(0)
				}
			}
			<-ctx.Done()
			_ = p.Close() // which may have an error of a state
			synctest.Wait()
			assert.Positive(t, first.Waits.Load())
			assert.Zero(t, first.Inside.Load())
			assert.Zero(t, last.Inside.Load())
		})
	}
}

// A limit that is told of refused calls is told at once, also of those that a later limit
// panics about.
func TestALimitIsReleasedWhenALaterOneRefuses(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, refusal := range []func() error{
			func() error { return errBoom },
			func() error { panic(errBoom) },
		} {
			limit := testkit.NewTurnstile(t)
			p := newTasks(pool.Limit(limit, waiterFunc(func(context.Context) error {
				assert.EqualValues(t, 1, limit.Inside.Load())
				return refusal()
			})))
			for name, run := range through {
				run(t.Context(), p, give(1))
				assert.Zero(t, limit.Inside.Load(), name)
			}
			_, err := submit(t, p, give(1)).Wait(t.Context())
			require.ErrorIs(t, err, errBoom)
			assert.Zero(t, limit.Inside.Load())
			require.NoError(t, p.Close())
		}
	})
}

// A limit whose Release panics breaks the call, and no other limit.
func TestALimitIsReleasedThoughAnotherPanics(t *testing.T) {
	first := testkit.NewTurnstile(t)
	p := newTasks(pool.Limit(first, brokenTurnstile{}))
	defer p.Close()
	_, err := p.Do(t.Context(), give(1))
	var caught *result.PanicError
	require.ErrorAs(t, err, &caught)
	assert.Equal(t, "release", caught.Value)
	assert.Zero(t, first.Inside.Load())
}

type brokenTurnstile struct{}

func (brokenTurnstile) Wait(context.Context) error { return nil }
func (brokenTurnstile) Release()                   { panic("release") }
