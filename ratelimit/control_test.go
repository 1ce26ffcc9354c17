package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// "The tokens in the bucket stay": a change of the limit or the burst neither makes nor takes
// any, but those above a smaller burst.
func TestChangesKeepTheTokens(t *testing.T) {
	start := time.Now()
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	l := ratelimit.NewLimiter(10, 10)
	require.True(t, l.AllowN(at(0), 7))
	l.SetLimitAt(at(0.25), 2) // 3 and 2.5
	assert.InDelta(t, 5.5, l.TokensAt(at(0.25)), 1e-9)
	assert.InDelta(t, 6.5, l.TokensAt(at(0.75)), 1e-9)
	l.SetBurstAt(at(0.75), 20)
	assert.InDelta(t, 6.5, l.TokensAt(at(0.75)), 1e-9, "a larger burst is filled with time")
	assert.InDelta(t, 20, l.TokensAt(at(100)), 1e-9)
	require.True(t, l.AllowN(at(100), 20))
	assert.InDelta(t, 6, l.TokensAt(at(103)), 1e-9)
	l.SetBurstAt(at(103), 4)
	assert.InDelta(t, 4, l.TokensAt(at(103)), 1e-9)
	l.SetLimitAt(at(103), 0)
	assert.True(t, l.AllowN(at(103), 3))
	assert.InDelta(t, 1, l.TokensAt(at(1e6)), 1e-9)
	l.SetLimitAt(at(1e6), 1)
	assert.InDelta(t, 3, l.TokensAt(at(1e6+2)), 1e-9)
	l.SetLimitAt(at(1e6+2), ratelimit.Inf)
	assert.True(t, l.AllowN(at(1e6+2), 1000))
	l.SetLimitAt(at(1e6+2), 1)
	assert.InDelta(t, 4, l.TokensAt(at(1e6+2)), 1e-9, "full after Inf")
	assert.InDelta(t, 1, float64(l.Limit()), 0)
	assert.Equal(t, 4, l.Burst())
}

// What is reserved stays owed when the limit changes.
func TestChangesKeepTheDebt(t *testing.T) {
	start := time.Now()
	l := ratelimit.NewLimiter(1, 2)
	for range 5 {
		require.True(t, l.ReserveN(start, 1).OK())
	}
	l.SetLimitAt(start, 3)
	assert.InDelta(t, -3, l.TokensAt(start), 1e-9)
	l.SetBurstAt(start, 9)
	assert.InDelta(t, -3, l.TokensAt(start), 1e-9)
	assert.InDelta(t, 0, l.TokensAt(start.Add(time.Second)), 1e-9)
}

// "SetLimit, SetBurst, Pause and Refund take effect at once for callers that are waiting."
func TestWaitersAreRetimed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(l *ratelimit.Limiter)
		want   []string
	}{
		"nothing":     {func(*ratelimit.Limiter) {}, []string{"two 2s", "one 3s"}},
		"faster":      {func(l *ratelimit.Limiter) { l.SetLimit(2) }, []string{"two 1.5s", "one 2s"}},
		"slower":      {func(l *ratelimit.Limiter) { l.SetLimit(0.5) }, []string{"two 3s", "one 5s"}},
		"infinite":    {func(l *ratelimit.Limiter) { l.SetLimit(ratelimit.Inf) }, []string{"two 1s", "one 1s"}},
		"more burst":  {func(l *ratelimit.Limiter) { l.SetBurst(9) }, []string{"two 2s", "one 3s"}},
		"less burst":  {func(l *ratelimit.Limiter) { l.SetBurst(1) }, []string{"two 1s burst", "one 1s"}},
		"refund":      {func(l *ratelimit.Limiter) { l.Refund(1) }, []string{"two 1s", "one 2s"}},
		"pause":       {func(l *ratelimit.Limiter) { l.Pause(time.Now().Add(9 * time.Second)) }, []string{"two 10s", "one 10s"}},
		"short pause": {func(l *ratelimit.Limiter) { l.Pause(time.Now().Add(time.Second / 2)) }, []string{"two 2s", "one 3s"}},
		"debt":        {func(l *ratelimit.Limiter) { l.Settle(1, 3) }, []string{"two 4s", "one 5s"}},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				l := ratelimit.NewLimiter(1, 3)
				require.True(t, l.AllowN(time.Now(), 3))
				q := newQueue(t)
				q.wait("two", func() error { return l.WaitN(t.Context(), 2) })
				q.wait("one", func() error { return l.Wait(t.Context()) })
				time.Sleep(time.Second)
				test.change(l)
				time.Sleep(time.Minute)
				assert.ElementsMatch(t, test.want, q.served())
			})
		})
	}
}

// "Callers that wait for more than the new burst get ErrBurst", even from the middle of the line, and
// also who waits for several limits and leaves at the same time.
func TestASmallerBurstSendsAway(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 3)
		require.True(t, l.AllowN(time.Now(), 3))
		q := newQueue(t)
		q.wait("one", func() error { return l.Wait(t.Context()) })
		q.wait("three", func() error { return l.WaitN(t.Context(), 3) })
		l.SetBurst(2)
		assert.Equal(t, []string{"three 0s burst"}, q.served())
	})
	for range 300 {
		l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 2)
		require.True(t, l.AllowN(time.Now(), 2))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- ratelimit.Multi(l).WaitN(ctx, 2) }()
		go cancel()
		l.Refund(2)
		l.SetBurst(1)
		if err := <-done; err != nil { // any of the three may win; none may hang
			assert.True(t, errors.Is(err, context.Canceled) || errors.Is(err, ratelimit.ErrBurst), "%v", err)
		}
	}
}

// "A pause can only be extended", holds for all, also without a limit, and takes nothing.
func TestPause(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 5)
		inf := ratelimit.NewLimiter(ratelimit.Inf, 0)
		require.True(t, l.AllowN(time.Now(), 4))
		for _, l := range []*ratelimit.Limiter{l, inf} {
			l.Pause(time.Now().Add(2 * time.Second))
			l.Pause(time.Now().Add(time.Second))
			l.Pause(time.Now().Add(-time.Second))
			assert.False(t, l.Allow())
			d := l.Take(1)
			assert.False(t, d.Allowed)
			assert.Equal(t, 2*time.Second, d.RetryAfter)
			assert.Zero(t, d.Remaining)
			assert.Equal(t, 2*time.Second, l.Reserve().Delay(), "a reservation is for after the pause")
			l.Refund(1)
			assert.False(t, l.Allow(), "a refund ends no pause")
		}
		q := newQueue(t)
		q.wait("inf", func() error { return inf.WaitN(t.Context(), math.MaxInt) })
		time.Sleep(2*time.Second - 1)
		synctest.Wait()
		assert.False(t, inf.Allow())
		assert.False(t, l.Allow())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, []string{"inf 2s"}, q.served())
		assert.True(t, inf.Allow())
		assert.True(t, l.AllowN(time.Now(), 3))
		assert.False(t, l.Allow())
	})
}

// "The bucket never holds more than the burst."
func TestRefundFillsAtMost(t *testing.T) {
	start := time.Now()
	l := ratelimit.NewLimiter(1, 5)
	l.Refund(3)
	require.True(t, l.AllowN(start, 5))
	l.Refund(3)
	assert.InDelta(t, 3, l.TokensAt(start), 1e-6)
	l.Refund(math.MaxInt)
	l.Refund(math.MaxInt)
	assert.True(t, l.AllowN(start, 5))
	assert.False(t, l.AllowN(start, 1))
}

// "Missing tokens are a debt that later events wait for."
func TestSettle(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(10, 100)
		require.True(t, l.AllowN(time.Now(), 50))
		l.Settle(50, 30)
		assert.InDelta(t, 70, l.Tokens(), 1e-9)
		l.Settle(0, 170)
		assert.InDelta(t, -100, l.Tokens(), 1e-9)
		begin := time.Now()
		require.NoError(t, l.WaitN(t.Context(), 20))
		assert.Equal(t, 12*time.Second, time.Since(begin))
		l.Settle(0, math.MaxInt)
		l.Settle(0, math.MaxInt)
		assert.Less(t, l.Tokens(), -1e9, "a debt does not overflow")
		assert.False(t, l.Allow())
	})
}

// All that a Take says, at one instant.
func TestTake(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(2, 10)
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 10, Remaining: 6, ResetAfter: 2 * time.Second}, l.Take(4))
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 10, Remaining: 0, ResetAfter: 5 * time.Second}, l.Take(6))
		assert.Equal(t, ratelimit.Decision{Limit: 10, RetryAfter: 1500 * time.Millisecond, ResetAfter: 5 * time.Second}, l.Take(3))
		assert.Equal(t, ratelimit.Decision{Limit: 10, RetryAfter: ratelimit.InfDuration, ResetAfter: 5 * time.Second}, l.Take(11))
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 10, ResetAfter: 5 * time.Second}, l.Take(0))
		time.Sleep(750 * time.Millisecond)
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 10, ResetAfter: 4750 * time.Millisecond}, l.Take(1))
		l.Pause(time.Now().Add(time.Minute))
		assert.Equal(t, ratelimit.Decision{Limit: 10, RetryAfter: time.Minute, ResetAfter: time.Minute}, l.Take(3))

		inf := ratelimit.NewLimiter(ratelimit.Inf, 3)
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 3, Remaining: math.MaxInt}, inf.Take(5))
		zero := ratelimit.NewLimiter(0, 2)
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 2, Remaining: 1, ResetAfter: ratelimit.InfDuration}, zero.Take(1))
		assert.Equal(t, ratelimit.Decision{Limit: 2, Remaining: 1, RetryAfter: ratelimit.InfDuration, ResetAfter: ratelimit.InfDuration}, zero.Take(2))
	})
}
