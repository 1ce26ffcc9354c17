package ratelimit_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// What x/time/rate lets through, we do: times in tenths of a second.
func TestAllowIsThatOfATokenBucket(t *testing.T) {
	type call struct {
		at   int
		n    int
		want bool
	}
	for name, test := range map[string]struct {
		limit ratelimit.Limit
		burst int
		calls []call
	}{
		"burst 1":      {10, 1, []call{{0, 1, true}, {0, 1, false}, {0, 1, false}, {1, 1, true}, {1, 1, false}, {2, 1, true}, {2, 1, false}}},
		"burst 3":      {10, 3, []call{{0, 1, true}, {0, 1, true}, {0, 1, true}, {0, 1, false}, {1, 1, true}, {2, 1, true}, {4, 1, true}, {5, 1, true}, {5, 1, true}, {5, 1, false}}},
		"many":         {10, 3, []call{{0, 2, true}, {0, 2, false}, {0, 1, true}, {1, 4, false}, {9, 3, true}, {9, 0, true}}},
		"before":       {10, 1, []call{{10, 1, true}, {5, 1, false}, {0, 1, false}, {11, 1, true}}},
		"never unused": {10, 2, []call{{-10000, 2, true}, {-10000, 1, false}, {0, 2, true}}},
		"Inf":          {ratelimit.Inf, 0, []call{{0, 1, true}, {0, 1000, true}, {-5, 1, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			l := ratelimit.NewLimiter(test.limit, test.burst)
			for i, c := range test.calls {
				assert.Equal(t, c.want, l.AllowN(start.Add(time.Duration(c.at)*100*time.Millisecond), c.n), "call %d", i)
			}
		})
	}
}

// "For a call with an earlier time, tokens taken at later times are already gone" (golang/go#56287,
// golang/go#71360): two clocks that differ get no more than one.
func TestAClockThatStepsBackGetsNothingTwice(t *testing.T) {
	start := time.Now()
	l := ratelimit.NewLimiter(1, 10)
	require.True(t, l.AllowN(start.Add(time.Hour), 10))
	for i := range 1000 {
		require.False(t, l.AllowN(start.Add(time.Duration(i%2)*time.Hour), 1))
	}
	assert.True(t, l.AllowN(start.Add(time.Hour+time.Second), 1))
}

// Times that have nothing to do with the clock of the machine, far apart and without a
// monotonic reading.
func TestTimesOfAnyAge(t *testing.T) {
	for _, limit := range []ratelimit.Limit{ratelimit.Every(time.Second), 999_999_937} {
		for _, year := range []int{1900, 1970, 2024, 2100} {
			l := ratelimit.NewLimiter(limit, 2)
			then := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			for i := range 3 {
				assert.Equal(t, i < 2, l.AllowN(then, 1), "year %d", year)
			}
			assert.True(t, l.AllowN(then.Add(time.Second), 1))
			assert.False(t, l.AllowN(then.Add(-time.Hour), 1))
			assert.True(t, l.AllowN(then.AddDate(90, 0, 0), 2))
		}
	}
}

// "A limit ... below zero counts as zero", NaN panics, and nothing overflows.
func TestBadNumbers(t *testing.T) {
	start := time.Now()
	never := map[string]*ratelimit.Limiter{
		"zero value":     new(ratelimit.Limiter),
		"zero burst":     ratelimit.NewLimiter(10, 0),
		"negative burst": ratelimit.NewLimiter(10, math.MinInt),
	}
	for name, l := range never {
		assert.False(t, l.Allow(), name)
		assert.False(t, l.AllowN(start.Add(100*time.Hour), 1), name)
		assert.True(t, l.AllowN(start, 0), name)
		assert.False(t, l.Reserve().OK(), name)
		assert.ErrorIs(t, l.Wait(t.Context()), ratelimit.ErrBurst, name)
		assert.False(t, l.Take(1).Allowed, name)
		assert.Zero(t, l.Tokens(), name)
		l.Refund(5)
		assert.False(t, l.Allow(), name)
	}
	for name, limit := range map[string]ratelimit.Limit{
		"zero": 0, "negative": -3, "minus infinity": ratelimit.Limit(math.Inf(-1)), "tiny": math.SmallestNonzeroFloat64, "one in 300 years": 1e-10,
	} {
		l := ratelimit.NewLimiter(limit, 2)
		assert.True(t, l.AllowN(start, 1), name)
		assert.True(t, l.AllowN(start.Add(time.Hour), 1), name)
		assert.False(t, l.AllowN(start.Add(math.MaxInt64), 1), name)
		assert.False(t, l.Reserve().OK(), name)
		l.Refund(1)
		assert.True(t, l.AllowN(start, 1), name)
	}
	for name, limit := range map[string]ratelimit.Limit{"Inf": ratelimit.Inf, "infinity": ratelimit.Limit(math.Inf(1)), "Every(0)": ratelimit.Every(0), "Every(-1)": ratelimit.Every(-1)} {
		l := ratelimit.NewLimiter(limit, 0)
		assert.True(t, l.AllowN(start, math.MaxInt), name)
		assert.True(t, l.Allow(), name)
		assert.Zero(t, l.ReserveN(start, 5).DelayFrom(start), name)
		assert.NoError(t, l.WaitN(t.Context(), math.MaxInt), name)
	}
	most := int(min(math.MaxInt, int64(1<<40))) // an int may have 32 bits
	for name, l := range map[string]*ratelimit.Limiter{
		"fast":         ratelimit.NewLimiter(1e18, math.MaxInt),
		"faster":       ratelimit.NewLimiter(1e300, math.MaxInt),
		"slow":         ratelimit.NewLimiter(1e-9, math.MaxInt),
		"ten a second": ratelimit.NewLimiter(10, math.MaxInt),
	} {
		assert.True(t, l.AllowN(start, most), name)
		assert.False(t, l.AllowN(start, 1), name)
		assert.Equal(t, most == math.MaxInt && name != "slow", l.AllowN(start.Add(math.MaxInt64), math.MaxInt), name)
		assert.Equal(t, math.MaxInt, l.Burst(), name)
	}
	// 1e18 a second are a thousand million in a nanosecond.
	l := ratelimit.NewLimiter(1e18, 2e9)
	assert.True(t, l.AllowN(start, 2e9))
	assert.False(t, l.AllowN(start.Add(1), 1e9+1))
	assert.True(t, l.AllowN(start.Add(1), 1e9))

	nan := ratelimit.Limit(math.NaN())
	assert.PanicsWithValue(t, "ratelimit: NewLimiter: the limit is not a number", func() { ratelimit.NewLimiter(nan, 1) })
	assert.PanicsWithValue(t, "ratelimit: NewKeyed: the limit is not a number", func() { ratelimit.NewKeyed[int](nan, 1) })
	assert.PanicsWithValue(t, "ratelimit: SetLimit: the limit is not a number", func() { l.SetLimit(nan) })
	for name, call := range map[string]func(){
		"AllowN":       func() { l.AllowN(start, -1) },
		"ReserveN":     func() { l.ReserveN(start, -1) },
		"WaitN":        func() { _ = l.WaitN(t.Context(), -1) },
		"WaitPriority": func() { _ = l.WaitPriority(t.Context(), -1, 0) },
		"Take":         func() { l.Take(-1) },
		"Refund":       func() { l.Refund(-1) },
		"Settle":       func() { l.Settle(1, -1) },
	} {
		assert.PanicsWithValue(t, "ratelimit: "+name+": negative n", call)
	}
	assert.PanicsWithValue(t, "ratelimit: Settle: negative n", func() { l.Settle(-1, 1) })
}

// The zero value becomes a limiter with SetLimit and SetBurst, and is empty then.
func TestZeroValue(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var l ratelimit.Limiter
		assert.Zero(t, l.Limit())
		assert.Zero(t, l.Burst())
		l.SetLimit(1)
		l.SetBurst(2)
		assert.False(t, l.Allow())
		time.Sleep(time.Second)
		assert.True(t, l.Allow())
		var paused ratelimit.Limiter
		paused.Pause(time.Now().Add(time.Second))
		paused.SetLimit(ratelimit.Inf)
		assert.False(t, paused.Allow())
		time.Sleep(time.Second)
		assert.True(t, paused.Allow())
		var indebted ratelimit.Limiter
		indebted.Settle(0, 3)
		indebted.SetLimit(1)
		indebted.SetBurst(1)
		assert.InDelta(t, -3, indebted.Tokens(), 1e-9)
	})
}

// golang/go#34861, golang/go#46579: a limit that no float64 can say exactly is met to the
// nanosecond.
func TestLimitsAreExact(t *testing.T) {
	for _, test := range []struct {
		limit ratelimit.Limit
		after time.Duration
	}{
		{10.0 / 13, 1300 * time.Millisecond},
		{1.0 / 3, 3 * time.Second},
		{ratelimit.Every(3 * time.Second), 3 * time.Second},
		{ratelimit.Every(time.Hour + 1), time.Hour + 1},
		{ratelimit.Every(25*24*time.Hour + 3), 25*24*time.Hour + 3},
		{0.1, 10 * time.Second},
		{3, 333333334},
		{1e9, 1},
	} {
		start := time.Now()
		l := ratelimit.NewLimiter(test.limit, 1)
		require.True(t, l.AllowN(start, 1))
		assert.False(t, l.AllowN(start.Add(test.after-1), 1), "%v", test.limit)
		assert.True(t, l.AllowN(start.Add(test.after), 1), "%v", test.limit)
	}
}

func TestEvery(t *testing.T) {
	assert.InDelta(t, 10, float64(ratelimit.Every(100*time.Millisecond)), 1e-9)
	assert.InDelta(t, float64(ratelimit.Inf), float64(ratelimit.Every(0)), 0)
}

// A limiter that nobody has asked for centuries, or that is asked all the time for years.
func TestLongLives(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, limit := range []ratelimit.Limit{1, 3, 999_999_937} {
			l := ratelimit.NewLimiter(limit, 5) // the clock of a bubble ends in 2262
			for range 6 {
				assert.True(t, l.AllowN(time.Now(), 5))
				assert.False(t, l.Allow())
				assert.NoError(t, l.Wait(t.Context()))
				time.Sleep(10 * 365 * 24 * time.Hour)
			}
		}
	})
}
