package pool_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// doubling waits for 1 s, 2 s, 4 s, 4 s, ... between calls.
func doubling(attempts int) pool.RetryPolicy {
	return pool.RetryPolicy{Attempts: attempts, Base: time.Second, Cap: 4 * time.Second, Steady: 1}
}

// A failed call is made again whichever method it came from, and the pauses double up
// to the cap.
func TestRetryInEveryMethod(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(4), pool.Retry(doubling(5)))
		defer p.Close()
		const enough, once = 11 * time.Second, time.Second // 1 + 2 + 4 + 4
		took := func(want time.Duration, f func()) {
			t.Helper()
			begin := time.Now()
			f()
			assert.Equal(t, want, time.Since(begin))
		}
		took(enough, func() {
			v, err := p.Do(t.Context(), flaky(4, 0))
			assert.NoError(t, err)
			assert.Equal(t, 5, v)
		})
		took(enough, func() {
			_, err := p.Do(t.Context(), flaky(9, 0))
			assert.Equal(t, errBoom, err, "the error of the function, as it is")
		})
		took(enough, func() {
			vs, err := p.Map(t.Context(), []task{flaky(4, 0), flaky(0, 0), flaky(1, 0)})
			assert.NoError(t, err)
			assert.Equal(t, []int{5, 1, 2}, vs)
		})
		took(once, func() {
			one := 1
			vs, err := p.Map(t.Context(), []task{flaky(one, 0), flaky(one, 0)})
			assert.NoError(t, err)
			assert.Equal(t, []int{2, 2}, vs)
		})
		took(enough, func() {
			j := submit(t, p, flaky(4, 0))
			v, err := j.Wait(t.Context())
			assert.NoError(t, err)
			assert.Equal(t, 5, v)
			r, _ := j.Result()
			assert.Equal(t, 5, r.Attempt)
			assert.Equal(t, enough, r.Timing.Run)
		})
		took(enough, func() {
			attempts := map[int]int{}
			for r := range p.Stream(t.Context(), slices.Values([]task{flaky(4, 0), flaky(0, 0), flaky(9, 0)})) {
				attempts[r.Index] = r.Attempt
				assert.Equal(t, r.Index == 2, r.Err != nil)
			}
			assert.Equal(t, map[int]int{0: 5, 1: 1, 2: 5}, attempts)
		})
		took(enough, func() { // in the share of another call
			_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
				v, err := p.Do(ctx, flaky(4, 0))
				assert.Equal(t, 5, v)
				return v, err
			})
			assert.NoError(t, err)
		})
	})
}

// hurry is an error that says how long to wait, as those of other packages do.
type hurry struct{ after time.Duration }

func (h hurry) Error() string             { return "hurry" }
func (h hurry) RetryAfter() time.Duration { return h.after }

// What is made again, and when.
func TestWhatIsRetried(t *testing.T) {
	never := doubling(2)
	never.If = func(error) bool { return false }
	always := doubling(2)
	always.If = func(error) bool { return true }
	for name, tt := range map[string]struct {
		policy pool.RetryPolicy
		err    error
		calls  int
		took   time.Duration
	}{
		"any error":            {doubling(2), errBoom, 2, time.Second},
		"one attempt":          {doubling(1), errBoom, 1, 0},
		"canceled":             {doubling(2), fmt.Errorf("x: %w", context.Canceled), 1, 0},
		"canceled, with If":    {always, context.Canceled, 2, time.Second},
		"deadline":             {doubling(2), context.DeadlineExceeded, 2, time.Second},
		"If says no":           {never, errBoom, 1, 0},
		"permanent":            {doubling(2), pool.Permanent(errBoom), 1, 0},
		"permanent inside":     {always, fmt.Errorf("x: %w", pool.Permanent(errBoom)), 1, 0},
		"after":                {doubling(2), pool.RetryAfter(errBoom, time.Hour), 2, time.Hour},
		"after, at once":       {doubling(2), pool.RetryAfter(errBoom, -time.Hour), 2, 0},
		"after, of others":     {doubling(2), fmt.Errorf("x: %w", hurry{time.Minute}), 2, time.Minute},
		"after, the outermost": {doubling(2), pool.RetryAfter(hurry{time.Minute}, time.Hour), 2, time.Hour},
		"after, and permanent": {doubling(2), pool.Permanent(pool.RetryAfter(errBoom, time.Hour)), 1, 0},
		"permanent, and after": {doubling(2), pool.RetryAfter(pool.Permanent(errBoom), time.Hour), 1, 0},
		"after, If says no":    {never, pool.RetryAfter(errBoom, time.Hour), 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				calls := 0
				p := pool.New(func(context.Context, int) (int, error) { calls++; return calls, tt.err },
					pool.Workers(1), pool.Retry(tt.policy))
				begin := time.Now()
				j := submit(t, p, 1)
				_, err := j.Wait(t.Context())
				assert.Equal(t, tt.err, err)
				assert.Equal(t, tt.calls, calls)
				assert.Equal(t, tt.took, time.Since(begin))
				r, _ := j.Result()
				assert.Equal(t, tt.calls, r.Attempt)
				assert.EqualValues(t, tt.calls-1, p.Stats().Retried)
				assert.NoError(t, p.Close())
			})
		})
	}
}

// "Calls that panicked or called runtime.Goexit are never repeated."
func TestPanicsAreNotRetried(t *testing.T) {
	policy := doubling(9)
	policy.If = func(error) bool { return true }
	for name, end := range map[string]func(){
		"panic":      func() { panic(errBoom) },
		"after":      func() { panic(pool.RetryAfter(errBoom, 0)) },
		"Goexit":     runtime.Goexit,
		"only later": nil,
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				calls := 0
				p := newTasks(pool.Workers(1), pool.Retry(policy))
				j := submit(t, p, func(context.Context) (int, error) {
					if calls++; end == nil && calls == 1 {
						return 0, errBoom
					} else if end == nil {
						panic("the second call")
					}
					end()
					return 0, nil
				})
				_, err := j.Wait(t.Context())
				assert.Error(t, err)
				want := 1
				if end == nil {
					want = 2
				}
				assert.Equal(t, want, calls)
				r, _ := j.Result()
				assert.Equal(t, want, r.Attempt)
				assert.NoError(t, p.Close())
			})
		})
	}
}

// "Random between 0 and a bound that doubles from call to call", or between a share of
// the bound and the bound.
func TestPausesAreWithinTheirBounds(t *testing.T) {
	for _, share := range []float64{0, 0.5} {
		testkit.Bubble(t, func(t *testing.T) {
			var pauses [4][]time.Duration
			p := newTasks(pool.Workers(200), pool.Observe(func(e pool.Event) {
				if e.Kind == pool.JobRetried {
					pauses[e.Attempt] = append(pauses[e.Attempt], e.Wait)
				}
			}), pool.Retry(pool.RetryPolicy{Attempts: 4, Steady: share})) // from 100 ms on
			for range 200 {
				submit(t, p, flaky(9, 0))
			}
			assert.NoError(t, p.Shutdown(t.Context()))
			for i, bound := range []time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond} {
				if i == 0 {
					continue
				}
				least := time.Duration(share * float64(bound))
				assert.Len(t, pauses[i], 200)
				assert.GreaterOrEqual(t, slices.Min(pauses[i]), least)
				assert.LessOrEqual(t, slices.Max(pauses[i]), bound)
				// With 200 of them, one is in each tenth at the ends but once in a billion.
				assert.Less(t, slices.Min(pauses[i]), least+(bound-least)/10)
				assert.Greater(t, slices.Max(pauses[i]), bound-(bound-least)/10)
			}
		})
	}
}

// "Each call gets the whole Timeout and waits for each Limit."
func TestRetryWithTimeoutAndLimit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var waits atomic.Int64
		p := newTasks(pool.Workers(1), pool.Retry(doubling(3)), pool.Timeout(time.Minute),
			pool.Limit(waiterFunc(func(context.Context) error {
				waits.Add(1)
				time.Sleep(time.Hour)
				return nil
			})))
		var lasted []time.Duration
		j := submit(t, p, func(ctx context.Context) (int, error) {
			begin := time.Now()
			<-ctx.Done()
			lasted = append(lasted, time.Since(begin))
			return 0, context.Cause(ctx)
		})
		_, err := j.Wait(t.Context())
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []time.Duration{time.Minute, time.Minute, time.Minute}, lasted)
		assert.EqualValues(t, 3, waits.Load())
		r, _ := j.Result()
		assert.Equal(t, result.Failed, r.Status())
		assert.Equal(t, time.Hour, r.Timing.Wait, "for the limit, the first time")
		assert.Equal(t, 2*time.Hour+3*time.Minute+3*time.Second, r.Timing.Run)
		assert.NoError(t, p.Close())
	})
}

// "The end of the call's context cuts a pause short", whatever ends it.
func TestEndInThePause(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(p *pool.Pool[task, int], j *pool.Job[int])
		want error
	}{
		"Cancel":  {func(_ *pool.Pool[task, int], j *pool.Job[int]) { j.Cancel(errors.ErrUnsupported) }, errors.ErrUnsupported},
		"HaltNow": {func(p *pool.Pool[task, int], _ *pool.Job[int]) { _ = p.HaltNow(0) }, pool.ErrHalted},
		"Close":   {func(p *pool.Pool[task, int], _ *pool.Job[int]) { _ = p.Close() }, pool.ErrClosed},
		"Shutdown": {func(p *pool.Pool[task, int], _ *pool.Job[int]) {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(errors.ErrUnsupported)
			_ = p.Shutdown(ctx)
		}, errors.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var d diary
				calls := 0
				p := newTasks(pool.Workers(1), pool.Retry(doubling(3)), pool.Observe(d.note))
				j := submit(t, p, func(context.Context) (int, error) { calls++; return 0, errBoom })
				synctest.Wait()
				begin := time.Now()
				tt.end(p, j)
				_, err := j.Wait(t.Context())
				assert.Zero(t, time.Since(begin))
				assert.ErrorIs(t, err, tt.want)
				assert.ErrorIs(t, err, context.Canceled)
				assert.ErrorIs(t, err, errBoom, "what the last call said")
				assert.Equal(t, result.Canceled, j.Status())
				assert.Equal(t, 1, calls)
				assert.NoError(t, p.Close())
				d.check(t)
			})
		})
	}
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Retry(doubling(3)))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second/2, errors.ErrUnsupported)
		defer cancel()
		begin := time.Now()
		_, err := p.Do(ctx, flaky(9, 0))
		assert.ErrorIs(t, err, errors.ErrUnsupported)
		assert.ErrorIs(t, err, errBoom)
		assert.Equal(t, time.Second/2, time.Since(begin))
		assert.NoError(t, p.Close())
	})
}

// Shutdown lets the calls be made that are to be made again.
func TestShutdownWaitsForRetries(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Retry(doubling(3)))
		first, second := submit(t, p, flaky(2, 0)), submit(t, p, flaky(1, 0))
		begin := time.Now()
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, result.Succeeded, first.Status())
		assert.Equal(t, result.Succeeded, second.Status())
		assert.Equal(t, 4*time.Second, time.Since(begin), "the worker is held for the pauses")
		assert.EqualValues(t, 3, p.Stats().Retried)
	})
}

// "With 0.1, a server that is down gets, in the long run, a tenth more calls than
// usual": beyond a reserve of 10.
func TestBudgetOfAPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		policy := doubling(3)
		policy.Budget = 0.1
		for range 2 { // each pool has its own
			var calls atomic.Int64
			p := pool.New(func(context.Context, int) (int, error) { calls.Add(1); return 0, errBoom },
				pool.Workers(10), pool.Retry(policy))
			for i := range 1000 {
				switch i % 3 {
				case 0:
					submit(t, p, i)
				case 1:
					_, _ = p.Do(t.Context(), i)
				case 2:
					assert.Equal(t, 1, drain(p.Stream(t.Context(), slices.Values([]int{i}))))
				}
			}
			assert.NoError(t, p.Shutdown(t.Context()))
			assert.EqualValues(t, 1000+10+100, calls.Load())
		}
	})
}
