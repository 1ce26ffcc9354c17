package ratelimit_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/result"
)

func aSecond(_ context.Context, n int) (int, error) {
	time.Sleep(time.Second)
	return n, nil
}

// With Limit beside Call, the wait for the permit is Wait, and without it Run.
func TestGuardedAsTheLimitOfAStage(t *testing.T) {
	for name, test := range map[string]struct {
		limit bool
		run   time.Duration // of the last of six calls, two at a time
	}{
		"with Limit": {true, time.Second}, "Call alone": {false, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				c := fixed(2)
				g := ratelimit.Guard(c, aSecond)
				opts := []pipeline.StageOption{pipeline.Workers(6), pipeline.Ordered()}
				if test.limit {
					opts = append(opts, pipeline.Limit(g))
				}
				start := time.Now()
				var last result.Result[int]
				stage := pipeline.Map(pipeline.FromSlice([]int{0, 1, 2, 3, 4, 5}), g.Call, opts...)
				var longest time.Duration
				for last = range stage.Results(t.Context()) {
					require.NoError(t, last.Err)
					longest = max(longest, last.Timing.Run)
				}
				assert.Equal(t, 3*time.Second, time.Since(start))
				assert.Equal(t, test.run, longest)
				assert.Zero(t, c.InFlight())
				assert.Equal(t, uint64(6), c.Snapshot().Success)
			})
		})
	}
}

func TestGuardedAsTheLimitOfAPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := fixed(2)
		g := ratelimit.Guard(c, aSecond)
		p := pool.New(g.Call, pool.Workers(6), pool.Limit(g), pool.Timeout(time.Minute))
		start := time.Now()
		for r := range p.Stream(t.Context(), func(yield func(int) bool) {
			for i := range 6 {
				if !yield(i) {
					return
				}
			}
		}) {
			assert.NoError(t, r.Err)
			assert.Equal(t, time.Second, r.Timing.Run)
		}
		assert.Equal(t, 3*time.Second, time.Since(start))
		require.NoError(t, p.Close())
		assert.Zero(t, c.InFlight())
	})
}

// What a call waits for behind its permit is not time that the server takes.
func TestGuardedDoesNotTakeOtherLimitsForLatency(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := ratelimit.NewConcurrency()
		g := ratelimit.Guard(c, aSecond)
		rate := ratelimit.NewLimiter(ratelimit.Every(500*time.Millisecond), 1)
		numbers := func(yield func(int) bool) {
			for i := 0; i < 40 && yield(i); i++ {
			}
		}
		require.NoError(t, pipeline.Map(pipeline.From(numbers), g.Call, pipeline.Workers(4), pipeline.Limit(g, rate)).Run(t.Context()))
		assert.Equal(t, time.Second, c.Snapshot().Base)
	})
}

func TestGuardedRunThatEndsKeepsNoPermit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := fixed(3)
		g := ratelimit.Guard(c, aSecond)
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		numbers := func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
			}
		}
		err := pipeline.Map(pipeline.From(numbers), g.Call, pipeline.Workers(8), pipeline.Limit(g)).Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Zero(t, c.InFlight())
	})
}

func TestGuardedWaitWithoutACallLastsUntilTheContextEnds(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := fixed(2)
		g := ratelimit.Guard(c, aSecond)
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, g.Wait(ctx))
		require.NoError(t, g.Wait(context.WithoutCancel(ctx)))
		assert.Equal(t, 2, c.InFlight())
		cancel()
		synctest.Wait()
		assert.Equal(t, 1, c.InFlight())
		_, err := g.Call(t.Context(), 1) // takes over the other one
		require.NoError(t, err)
		assert.Zero(t, c.InFlight())
		assert.ErrorIs(t, g.Wait(ctx), context.Canceled)
	})
}

// refusing is a limit that refuses every fifth call.
type refusing struct{ n atomic.Int64 }

var errRefused = errors.New("refused")

func (r *refusing) Wait(context.Context) error {
	if r.n.Add(1)%5 == 0 {
		return errRefused
	}
	return nil
}

// hits is a function with a cache around it, which holds all even numbers.
func hits(g *ratelimit.Guarded[int, int]) func(context.Context, int) (int, error) {
	return func(ctx context.Context, n int) (int, error) {
		if n%2 == 0 {
			return n, nil
		}
		return g.Call(ctx, n)
	}
}

// Permits whose calls are refused by another limit, or that the function does not use, come
// back at once: a context that lives for days does not end for them.
func TestGuardedLosesNoPermitThatIsNotUsed(t *testing.T) {
	const n = 100
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	for name, test := range map[string]struct {
		fn   func(*ratelimit.Guarded[int, int]) func(context.Context, int) (int, error)
		and  []pool.Waiter
		want int
	}{
		"a later limit refuses": {
			func(g *ratelimit.Guarded[int, int]) func(context.Context, int) (int, error) { return g.Call },
			[]pool.Waiter{&refusing{}}, n - n/5,
		},
		"the function does not call": {hits, nil, n},
		"both":                       {hits, []pool.Waiter{&refusing{}}, n - n/5},
	} {
		t.Run("pipeline: "+name, func(t *testing.T) {
			for _, workers := range []pipeline.StageOption{pipeline.Named("fused"), pipeline.Workers(4)} {
				testkit.Bubble(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					defer cancel()
					c := fixed(2)
					g := ratelimit.Guard(c, aSecond)
					got, err := pipeline.Map(pipeline.FromSlice(numbers), test.fn(g), workers,
						pipeline.Limit(append([]pool.Waiter{g}, test.and...)...), pipeline.OnError(pipeline.Skip)).Collect(ctx)
					require.NoError(t, err)
					assert.Len(t, got, test.want)
					assert.Zero(t, c.InFlight())
				})
			}
		})
		t.Run("pool: "+name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				c := fixed(2)
				g := ratelimit.Guard(c, aSecond)
				p := pool.New(test.fn(g), pool.Workers(4), pool.Limit(append([]pool.Waiter{g}, test.and...)...))
				fine := 0
				for r := range p.Stream(ctx, slices.Values(numbers)) {
					if r.Err == nil {
						fine++
					} else {
						assert.ErrorIs(t, r.Err, errRefused)
					}
				}
				assert.Equal(t, test.want, fine)
				assert.Zero(t, c.InFlight())
				var jobs []*pool.Job[int]
				for i := range n {
					j, err := p.Submit(ctx, i)
					require.NoError(t, err)
					jobs = append(jobs, j)
				}
				for _, j := range jobs {
					if _, err := j.Wait(ctx); err != nil {
						assert.ErrorIs(t, err, errRefused)
					}
				}
				assert.Zero(t, c.InFlight())
				require.NoError(t, p.Close())
			})
		})
	}
}

// A permit that a call did not use teaches the limit nothing.
func TestGuardedReleaseWithoutACallIsIgnored(t *testing.T) {
	c := fixed(2)
	g := ratelimit.Guard(c, func(_ context.Context, n int) (int, error) { return n, nil })
	require.NoError(t, g.Wait(t.Context()))
	require.NoError(t, g.Wait(t.Context()))
	_, err := g.Call(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, 1, c.InFlight())
	g.Release() // of the one that called
	assert.Equal(t, 1, c.InFlight(), "the other one may still call")
	g.Release()
	assert.Zero(t, c.InFlight())
	got := c.Snapshot()
	assert.Equal(t, []uint64{1, 0, 1}, []uint64{got.Success, got.Dropped, got.Ignored})
	assert.PanicsWithValue(t, "ratelimit: Guarded.Release: not one for each Wait", g.Release)
}

// While a retry pauses, another call has the permit.
func TestGuardedHoldsNoPermitInThePauseOfARetry(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := fixed(1)
		g := ratelimit.Guard(c, func(context.Context, int) (int, error) { return 0, errRefused })
		var least atomic.Int64
		least.Store(1)
		time.AfterFunc(30*time.Second, func() { least.Store(int64(c.InFlight())) })
		p := pool.New(g.Call, pool.Workers(1), pool.Limit(g), pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Minute, Steady: 1}))
		_, err := p.Do(t.Context(), 1)
		require.ErrorIs(t, err, errRefused)
		assert.Zero(t, least.Load())
		require.NoError(t, p.Close())
	})
}

func TestGuardedReleasesWhateverTheFunctionDoes(t *testing.T) {
	c := fixed(1)
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		fn   func(context.Context, int) (int, error)
		want ratelimit.ConcurrencySnapshot
	}{
		"value":  {func(context.Context, int) (int, error) { return 1, nil }, ratelimit.ConcurrencySnapshot{Success: 1}},
		"error":  {func(context.Context, int) (int, error) { return 0, broken }, ratelimit.ConcurrencySnapshot{Ignored: 1}},
		"late":   {func(context.Context, int) (int, error) { return 0, context.DeadlineExceeded }, ratelimit.ConcurrencySnapshot{Dropped: 1}},
		"panic":  {func(context.Context, int) (int, error) { panic("oh") }, ratelimit.ConcurrencySnapshot{Ignored: 1}},
		"goexit": {func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil }, ratelimit.ConcurrencySnapshot{Ignored: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.Snapshot()
			g := ratelimit.Guard(c, test.fn)
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { _ = recover() }()
				_, _ = g.Call(t.Context(), 1)
			})
			wg.Wait()
			got := c.Snapshot()
			assert.Zero(t, got.InFlight)
			assert.Equal(t, test.want.Success, got.Success-before.Success)
			assert.Equal(t, test.want.Ignored, got.Ignored-before.Ignored)
			assert.Equal(t, test.want.Dropped, got.Dropped-before.Dropped)
		})
	}
}

// The function of the user has a bug; the permit comes back nevertheless.
func TestGuardedReleasesIfClassifyTellsNoOutcome(t *testing.T) {
	c := ratelimit.NewConcurrency(ratelimit.Classify(func(error) ratelimit.Outcome { return ratelimit.Dropped + 1 }))
	g := ratelimit.Guard(c, func(context.Context, int) (int, error) { return 1, nil })
	assert.PanicsWithValue(t, "ratelimit: Guarded.Call: Classify told an unknown outcome", func() { _, _ = g.Call(t.Context(), 1) })
	got := c.Snapshot()
	assert.Zero(t, got.InFlight)
	assert.Equal(t, uint64(1), got.Ignored)
}

// Callers that race, some of which have no Wait before their Call, or no Call after their Wait.
func TestGuardedUnderRaces(t *testing.T) {
	const limit = 3
	c := fixed(limit)
	var running, calls atomic.Int64
	g := ratelimit.Guard(c, func(context.Context, int) (int, error) {
		if n := running.Add(1); n > limit {
			assert.Fail(t, "too many at once", "%d", n)
		}
		runtime.Gosched()
		running.Add(-1)
		return 0, nil
	})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(t.Context())
				if (worker+i)%3 > 0 {
					assert.NoError(t, g.Wait(ctx))
				}
				if (worker+i)%3 < 2 {
					_, err := g.Call(ctx, i)
					assert.NoError(t, err)
					calls.Add(1)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	assert.Eventually(t, func() bool { return c.InFlight() == 0 }, time.Minute, time.Millisecond, "the last contexts have ended")
	assert.Equal(t, uint64(calls.Load()), c.Snapshot().Success)
}

func TestGuardRefusesNil(t *testing.T) {
	assert.PanicsWithValue(t, "ratelimit: Guard: nil Concurrency", func() { ratelimit.Guard(nil, aSecond) })
	assert.PanicsWithValue(t, "ratelimit: Guard: nil function", func() {
		ratelimit.Guard[int, int](ratelimit.NewConcurrency(), nil)
	})
}

// counted is a context that counts who watches over it.
type counted struct {
	context.Context
	done     chan struct{}
	watchers int
}

func (c *counted) Done() <-chan struct{} { return c.done }

func (c *counted) AfterFunc(func()) (stop func() bool) {
	c.watchers++
	return func() bool { c.watchers--; return true }
}

// A run of days has one context: what a call leaves with it would add up.
func TestGuardedLeavesNothingWithTheContext(t *testing.T) {
	ctx := &counted{Context: context.Background(), done: make(chan struct{})}
	g := ratelimit.Guard(ratelimit.NewConcurrency(), func(context.Context, int) (int, error) { return 0, nil })
	for range 10 {
		require.NoError(t, g.Wait(ctx))
		assert.Equal(t, 1, ctx.watchers)
		_, err := g.Call(ctx, 1)
		require.NoError(t, err)
		assert.Zero(t, ctx.watchers)
	}
}
