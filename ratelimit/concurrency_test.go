package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// fixed is a limit that does not move.
func fixed(n int) *ratelimit.Concurrency {
	return ratelimit.NewConcurrency(ratelimit.Between(n, n), ratelimit.AIMD(0))
}

func TestConcurrencyNeverExceedsItsLimit(t *testing.T) {
	c := fixed(3)
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				p, err := c.Acquire(t.Context())
				if !assert.NoError(t, err) {
					return
				}
				now := running.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				running.Add(-1)
				p.Release(ratelimit.Success)
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, most.Load(), int64(3))
	got := c.Snapshot()
	assert.Equal(t, uint64(16*200), got.Success)
	assert.Zero(t, got.InFlight)
	assert.Zero(t, got.Waiting)
}

func TestConcurrencyServesInOrderAndNobodyGoesAhead(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := fixed(1)
		first, ok := c.TryAcquire()
		require.True(t, ok)
		var order []int
		for i := range 5 {
			go func() {
				p, err := c.Acquire(t.Context())
				assert.NoError(t, err)
				order = append(order, i) // one at a time, as the limit is 1
				time.Sleep(time.Second)
				p.Release(ratelimit.Success)
			}()
			synctest.Wait()
		}
		first.Release(ratelimit.Success)
		_, ok = c.TryAcquire()
		assert.False(t, ok, "a place that is free belongs to who waits")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4}, order)
	})
}

func TestConcurrencyCancelLeavesTheLineAsIfItHadNeverBeenThere(t *testing.T) {
	for name, canceled := range map[string]int{"head": 0, "middle": 1, "tail": 2} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				c := fixed(1)
				first, _ := c.TryAcquire()
				gaveUp := errors.New("gave up")
				var order []int
				var cancels []context.CancelCauseFunc
				for i := range 3 {
					ctx, cancel := context.WithCancelCause(t.Context())
					cancels = append(cancels, cancel)
					go func() {
						p, err := c.Acquire(ctx)
						if i == canceled {
							assert.ErrorIs(t, err, gaveUp)
							assert.Zero(t, p)
							return
						}
						assert.NoError(t, err)
						order = append(order, i)
						p.Release(ratelimit.Success)
					}()
					synctest.Wait()
				}
				cancels[canceled](gaveUp)
				synctest.Wait()
				assert.Equal(t, 2, c.Snapshot().Waiting)
				assert.Equal(t, 1, c.InFlight())
				first.Release(ratelimit.Success)
				synctest.Wait()
				want := []int{0, 1, 2}
				assert.Equal(t, append(want[:canceled:canceled], want[canceled+1:]...), order)
				assert.Zero(t, c.InFlight())
				for _, cancel := range cancels {
					cancel(nil)
				}
			})
		})
	}
}

func TestConcurrencyCancelAndGrantHaveOneWinner(t *testing.T) {
	c := fixed(1)
	for range 2000 {
		first, ok := c.TryAcquire()
		require.True(t, ok)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if p, err := c.Acquire(ctx); err == nil {
				p.Release(ratelimit.Success)
			} else {
				assert.ErrorIs(t, err, context.Canceled)
				assert.Zero(t, p)
			}
		})
		wg.Go(cancel)
		wg.Go(func() { first.Release(ratelimit.Success) })
		wg.Wait()
		require.Zero(t, c.InFlight())
		require.Zero(t, c.Snapshot().Waiting)
	}
}

func TestConcurrencyTakesNothingForAContextThatHasEnded(t *testing.T) {
	c := fixed(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Acquire(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, c.InFlight())
}

func TestPermitIsReleasedOnce(t *testing.T) {
	c := fixed(2)
	p, _ := c.TryAcquire()
	copied := p
	p.Release(ratelimit.Success)
	assert.PanicsWithValue(t, "ratelimit: Permit.Release: released before", func() { copied.Release(ratelimit.Success) })
	again, _ := c.TryAcquire() // in the same place
	assert.PanicsWithValue(t, "ratelimit: Permit.Release: released before", func() { p.Release(ratelimit.Success) })
	assert.PanicsWithValue(t, "ratelimit: Permit.Start: released before", func() { p.Start() })
	assert.Equal(t, 1, c.InFlight())
	assert.PanicsWithValue(t, "ratelimit: Permit.Release: unknown outcome", func() { again.Release(3) })
	again.Release(ratelimit.Ignore)
	assert.Zero(t, c.InFlight())
	assert.PanicsWithValue(t, "ratelimit: Permit.Release: no permit was given", func() {
		ratelimit.Permit{}.Release(ratelimit.Success)
	})
}

func TestConcurrencyOptionsThatMakeNoSensePanic(t *testing.T) {
	for want, opts := range map[string][]ratelimit.ConcurrencyOption{
		"ratelimit: Between(0, 5): want 1 <= lowest <= highest":   {ratelimit.Between(0, 5)},
		"ratelimit: Between(5, 4): want 1 <= lowest <= highest":   {ratelimit.Between(5, 4)},
		"ratelimit: Between given twice":                          {ratelimit.Between(1, 2), ratelimit.Between(1, 2)},
		"ratelimit: StartAt(0): want at least 1":                  {ratelimit.StartAt(0)},
		"ratelimit: StartAt(9): want between 1 and 8":             {ratelimit.Between(1, 8), ratelimit.StartAt(9)},
		"ratelimit: StartAt(1): want between 2 and 8":             {ratelimit.StartAt(1), ratelimit.Between(2, 8)},
		"ratelimit: AIMD(-1ns): want at least 0":                  {ratelimit.AIMD(-1)},
		"ratelimit: Gradient: tolerance 0.9: want at least 1":     {ratelimit.Gradient(0.9, 1)},
		"ratelimit: Gradient: tolerance NaN: want at least 1":     {ratelimit.Gradient(math.NaN(), 1)},
		"ratelimit: Gradient: tolerance +Inf: want at least 1":    {ratelimit.Gradient(math.Inf(1), 1)},
		"ratelimit: Gradient: a probe every 0s: want more than 0": {ratelimit.Gradient(2, 0)},
		"ratelimit: Gradient and AIMD exclude each other":         {ratelimit.AIMD(0), ratelimit.Gradient(2, 1)},
		"ratelimit: Classify: nil function":                       {ratelimit.Classify(nil)},
	} {
		assert.PanicsWithValue(t, want, func() { ratelimit.NewConcurrency(opts...) })
	}
	assert.Equal(t, 4, ratelimit.NewConcurrency(ratelimit.Between(2, 4), ratelimit.AIMD(0)).Limit())
	assert.Equal(t, 20, ratelimit.NewConcurrency(ratelimit.Between(20, 40), ratelimit.AIMD(0)).Limit())
}

func TestOutcomeOf(t *testing.T) {
	for err, want := range map[error]ratelimit.Outcome{
		nil:                      ratelimit.Success,
		context.DeadlineExceeded: ratelimit.Dropped,
		os.ErrDeadlineExceeded:   ratelimit.Dropped,
		tooManyError{}:           ratelimit.Dropped,
		context.Canceled:         ratelimit.Ignore,
		os.ErrNotExist:           ratelimit.Ignore,
	} {
		assert.Equal(t, want, ratelimit.OutcomeOf(err), "%v", err)
	}
	assert.Equal(t, ratelimit.Dropped, ratelimit.OutcomeOf(errors.Join(os.ErrClosed, tooManyError{})))
}

type tooManyError struct{}

func (tooManyError) Error() string             { return "429" }
func (tooManyError) RetryAfter() time.Duration { return time.Second }

func TestOutcomeString(t *testing.T) {
	assert.Equal(t, "success", ratelimit.Success.String())
	assert.Equal(t, "dropped", ratelimit.Dropped.String())
	assert.Equal(t, "ignore", ratelimit.Ignore.String())
	assert.Equal(t, "unknown outcome", ratelimit.Outcome(9).String())
}

func TestConcurrencyAllocatesNothing(t *testing.T) {
	for name, c := range map[string]*ratelimit.Concurrency{
		"gradient": ratelimit.NewConcurrency(), "aimd": ratelimit.NewConcurrency(ratelimit.AIMD(0)),
	} {
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			p, err := c.Acquire(t.Context())
			if err != nil {
				panic(err)
			}
			p.Release(ratelimit.Success)
			p, _ = c.TryAcquire()
			p.Release(ratelimit.Ignore)
		}), name)
	}
}

// The place of a call that has ended is used again.
func TestConcurrencyNeedsNoMoreRoomWithTime(t *testing.T) {
	const calls = 100_000
	c := fixed(4)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		p, _ := c.TryAcquire()
		p.Release(ratelimit.Success)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(calls), "bytes, of which a place needs more than one")
}

func BenchmarkConcurrency(b *testing.B) {
	b.Run("one at a time", func(b *testing.B) {
		c := ratelimit.NewConcurrency()
		for b.Loop() {
			p, _ := c.Acquire(b.Context())
			p.Release(ratelimit.Success)
		}
	})
	b.Run("in line", func(b *testing.B) {
		c := fixed(1)
		b.SetParallelism(8)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				p, _ := c.Acquire(b.Context())
				p.Release(ratelimit.Success)
			}
		})
	})
}
