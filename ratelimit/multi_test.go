package ratelimit_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// "What it denies takes nothing from any of them."
func TestMultiIsAllOrNothing(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		second := ratelimit.NewLimiter(10, 10)
		minute := ratelimit.NewLimiter(ratelimit.Every(time.Minute/15), 15)
		m := ratelimit.Multi(second, minute)
		require.True(t, m.AllowN(time.Now(), 10))
		assert.False(t, m.Allow())
		assert.InDelta(t, 5, minute.Tokens(), 1e-9)
		time.Sleep(time.Second)
		assert.False(t, m.AllowN(time.Now(), 6))
		assert.InDelta(t, 10, second.Tokens(), 1e-9)
		assert.Equal(t, ratelimit.Decision{Limit: 10, Remaining: 5, RetryAfter: 3 * time.Second, ResetAfter: 39 * time.Second}, m.Take(6))
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 10, ResetAfter: 59 * time.Second}, m.Take(5))
		assert.True(t, m.AllowN(time.Now(), 0))

		before := second.Tokens()
		r := m.ReserveN(time.Now(), 2)
		assert.Equal(t, 7*time.Second, r.Delay())
		r.Cancel()
		assert.InDelta(t, 0.25, minute.Tokens(), 1e-9)
		assert.InDelta(t, before, second.Tokens(), 1e-9)
		assert.False(t, m.ReserveN(time.Now(), 11).OK())
		assert.InDelta(t, 0.25, minute.Tokens(), 1e-9)
	})
}

// Goroutines that race for several limits in all orders: no deadlock, nothing lost.
func TestMultiUnderRaces(t *testing.T) {
	a := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 500)
	b := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 300)
	w := ratelimit.NewWindow(400, time.Hour)
	var count [3]atomic.Int64
	var wg sync.WaitGroup
	for i, m := range []*ratelimit.MultiLimiter{ratelimit.Multi(a, b, w), ratelimit.Multi(w, a), ratelimit.Multi(b, a)} {
		for range 2 {
			wg.Go(func() {
				for range 1000 {
					if m.Allow() {
						count[i].Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	all, wa, ba := int(count[0].Load()), int(count[1].Load()), int(count[2].Load())
	assert.InDelta(t, 500-all-wa-ba, a.Tokens(), 1e-2)
	assert.InDelta(t, 300-all-ba, b.Tokens(), 1e-2)
	assert.Equal(t, 400-all-wa, w.Take(0).Remaining)
	assert.LessOrEqual(t, min(500-all-wa-ba, max(300-all-ba, 400-all-wa)), 0, "something was left over")
}

// Wait takes from all at one instant, in the order of coming, under a deadline.
func TestMultiWait(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		a := ratelimit.NewLimiter(1, 3)
		w := ratelimit.NewWindow(4, 10*time.Second)
		m := ratelimit.Multi(a, w)
		q := newQueue(t)
		for i := range 7 {
			q.wait(fmt.Sprint(i), func() error { return m.Wait(t.Context()) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := m.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var wait *ratelimit.WaitError
		require.ErrorAs(t, err, &wait)
		assert.Equal(t, 9*time.Second, wait.RetryAfter, "it cannot know that one in the other line will be let through before")
		assert.ErrorIs(t, m.WaitN(t.Context(), 4), ratelimit.ErrBurst)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"0 0s", "1 0s", "2 0s", "3 1s", "4 10s", "5 10s", "6 10s"}, q.served())
	})
}

// "Who waits for the limit of one key does not hold up those who wait for others under a
// limit that they share."
func TestMultiTiersOfKeys(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		all := ratelimit.NewLimiter(10, 10)
		users := ratelimit.NewKeyed[string](1, 1)
		q := newQueue(t)
		wait := func(name, user string) {
			q.wait(name, func() error { return ratelimit.Multi(users.At(user), all).Wait(t.Context()) })
		}
		for i := range 3 {
			wait(fmt.Sprint("a", i), "a")
		}
		wait("b0", "b")
		wait("c0", "c")
		assert.False(t, ratelimit.Multi(users.At("a"), all).Allow())
		assert.True(t, ratelimit.Multi(users.At("d"), all).Allow())
		assert.InDelta(t, 6, all.Tokens(), 1e-9)
		assert.False(t, ratelimit.Multi(users.At("d"), all).Allow())
		assert.InDelta(t, 6, all.Tokens(), 1e-9, "nothing is taken of all")
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"a0 0s", "b0 0s", "c0 0s", "a1 1s", "a2 2s"}, q.served())

		require.True(t, all.AllowN(time.Now(), 10))
		q.start, q.log = time.Now(), nil
		wait("e0", "e")
		wait("f0", "f")
		wait("e1", "e")
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"e0 100ms", "f0 200ms", "e1 1.1s"}, q.served())
	})
}

// A key for which there is no room is denied for as long as by the Keyed itself.
func TestMultiSaysWhenThereIsRoomForAKey(t *testing.T) {
	for _, policy := range []ratelimit.FullPolicy{ratelimit.Deny, ratelimit.Evict} {
		testkit.Bubble(t, func(t *testing.T) {
			k := ratelimit.NewKeyed[string](1, 1, ratelimit.MaxKeys(1), ratelimit.WhenFull(policy))
			k.Pause("a", time.Now().Add(time.Hour))
			alone, d := k.Take("b", 1), ratelimit.Multi(k.At("b")).Take(1)
			assert.False(t, d.Allowed, policy)
			assert.Positive(t, d.RetryAfter, policy)
			assert.Equal(t, alone.RetryAfter, d.RetryAfter, policy)
			var full *ratelimit.WaitError
			require.ErrorAs(t, ratelimit.Multi(k.At("b")).Wait(t.Context()), &full, policy)
			assert.Equal(t, alone.RetryAfter, full.RetryAfter, policy)
		})
	}
}

// Who leaves is as if it had never come; a pause of one limit holds for all.
func TestMultiCancelAndPause(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		a, b := ratelimit.NewLimiter(1, 1), ratelimit.NewLimiter(2, 1)
		m := ratelimit.Multi(a, b)
		require.True(t, m.Allow())
		ctx, cancel := context.WithCancel(t.Context())
		q := newQueue(t)
		q.wait("gone", func() error { return m.Wait(ctx) })
		q.wait("next", func() error { return m.Wait(t.Context()) })
		q.wait("b", func() error { return b.Wait(t.Context()) })
		cancel()
		assert.Equal(t, []string{"gone 0s canceled"}, q.served())
		b.Pause(time.Now().Add(3 * time.Second))
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"gone 0s canceled", "b 3s", "next 3.5s"}, q.served())
		q.start, q.log = time.Now(), nil
		require.True(t, m.Allow())
		q.wait("failed", func() error { return m.Wait(t.Context()) })
		a.SetBurst(0)
		assert.Equal(t, []string{"failed 0s burst"}, q.served())
	})
}

// What one who waits was offered is gone when it comes to take it: it is offered again.
func TestMultiWaitIsOfferedAgain(t *testing.T) {
	for range 50 { // which goroutine runs first at an instant is not said
		testkit.Bubble(t, func(t *testing.T) {
			a, b := ratelimit.NewLimiter(1, 1), ratelimit.NewLimiter(1000, 1)
			m := ratelimit.Multi(a, b)
			require.True(t, m.Allow())
			q := newQueue(t)
			q.wait("first", func() error { return m.Wait(t.Context()) })
			q.wait("second", func() error { return m.Wait(t.Context()) })
			time.Sleep(time.Second)
			taken := a.Tokens() < 1 // first has come before
			a.Settle(0, 1)
			time.Sleep(time.Minute)
			want := []string{"first 2s", "second 3s"}
			if taken {
				want = []string{"first 1s", "second 3s"}
			}
			assert.Equal(t, want, q.served())
		})
	}
}

func TestMultiBadArguments(t *testing.T) {
	assert.PanicsWithValue(t, "ratelimit: Multi: no limits", func() { ratelimit.Multi() })
	assert.PanicsWithValue(t, "ratelimit: Multi: nil limit", func() { ratelimit.Multi(nil) })
	assert.PanicsWithValue(t, "ratelimit: Multi: nil limit", func() { ratelimit.Multi((*ratelimit.Limiter)(nil)) })
	l := ratelimit.NewLimiter(1, 4)
	require.True(t, ratelimit.Multi(l, l).Allow())
	assert.InDelta(t, 3, l.Tokens(), 0.1, "one that is given twice counts once")
	full := ratelimit.NewKeyed[int](ratelimit.Every(time.Hour), 1, ratelimit.MaxKeys(1), ratelimit.WhenFull(ratelimit.Deny))
	require.True(t, full.Allow(1))
	m := ratelimit.Multi(full.At(2), l)
	assert.False(t, m.Allow())
	assert.False(t, m.Reserve().OK())
	assert.ErrorIs(t, m.Wait(t.Context()), ratelimit.ErrFull)
	assert.InDelta(t, 3, l.Tokens(), 0.1)
}

func TestMultiNegativeN(t *testing.T) {
	l := ratelimit.NewLimiter(1, 4)
	m := ratelimit.Multi(l)
	for name, call := range map[string]func(){
		"AllowN":       func() { m.AllowN(time.Now(), -1) },
		"Take":         func() { m.Take(-1) },
		"ReserveN":     func() { m.ReserveN(time.Now(), -1) },
		"WaitN":        func() { _ = m.WaitN(t.Context(), -1) },
		"WaitPriority": func() { _ = m.WaitPriority(t.Context(), -1, 1) },
	} {
		assert.PanicsWithValue(t, "ratelimit: "+name+": negative n", call)
	}
	assert.InDelta(t, 4, l.Tokens(), 0.1)
}

// A zero Limiter lets nothing happen, here as well.
func TestMultiOfAZeroLimiter(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var zero ratelimit.Limiter
		m := ratelimit.Multi(ratelimit.NewLimiter(1, 1), &zero)
		assert.False(t, m.Allow())
		assert.False(t, m.Take(1).Allowed)
		assert.ErrorIs(t, m.Wait(t.Context()), ratelimit.ErrBurst)
		zero.SetBurst(1)
		zero.SetLimit(1)
		require.NoError(t, m.Wait(t.Context()))
	})
}

// "Its time is that of the slowest", whichever that is, and each is booked for it.
func TestMultiReservesForTheSlowest(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		slow, fast := ratelimit.NewLimiter(0.1, 1), ratelimit.NewLimiter(1, 1)
		for name, m := range map[string]*ratelimit.MultiLimiter{
			"first": ratelimit.Multi(slow, fast), "second": ratelimit.Multi(fast, slow),
		} {
			before := slow.Tokens()
			r := m.Reserve()
			require.True(t, r.OK(), name)
			assert.Equal(t, time.Duration((1-before)*float64(10*time.Second)), r.Delay(), name)
			assert.False(t, fast.Allow() && r.Delay() > 0, name)
		}
		assert.InDelta(t, -1, slow.Tokens(), 1e-9)
		// Both are booked for 10 s, and the next event of fast is a second behind.
		assert.Equal(t, 11*time.Second, fast.Reserve().Delay())
	})
}

// A key that a Multi has used is forgotten like any other, also if another had no room.
func TestMultiLeavesItsKeys(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		full := ratelimit.NewKeyed[string](ratelimit.Every(time.Hour), 1, ratelimit.MaxKeys(1), ratelimit.WhenFull(ratelimit.Deny))
		require.True(t, full.Allow("other"))
		all := ratelimit.NewLimiter(1000, 1000)
		for name, use := range map[string]func(at *ratelimit.KeyLimit[string]){
			"Allow":   func(at *ratelimit.KeyLimit[string]) { assert.True(t, ratelimit.Multi(at, all).Allow()) },
			"Take":    func(at *ratelimit.KeyLimit[string]) { assert.True(t, ratelimit.Multi(all, at).Take(1).Allowed) },
			"Wait":    func(at *ratelimit.KeyLimit[string]) { assert.NoError(t, ratelimit.Multi(all, at).Wait(t.Context())) },
			"Reserve": func(at *ratelimit.KeyLimit[string]) { assert.True(t, ratelimit.Multi(all, at).Reserve().OK()) },
			"no room": func(at *ratelimit.KeyLimit[string]) {
				d := ratelimit.Multi(at, full.At("a")).Take(1)
				assert.False(t, d.Allowed)
				assert.Equal(t, time.Hour, d.RetryAfter.Round(time.Hour))
			},
		} {
			one := ratelimit.NewKeyed[string](1, 1, ratelimit.MaxKeys(1), ratelimit.WhenFull(ratelimit.Deny))
			use(one.At("a"))
			time.Sleep(time.Second + 1)
			assert.True(t, one.Allow("b"), "%s: a is still there", name)
		}
	})
}
