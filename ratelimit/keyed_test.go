package ratelimit_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// Each key has what a Limiter of its own would have, whatever is forgotten meanwhile.
func TestKeyedIsALimiterForEachKey(t *testing.T) {
	for _, r := range []rate{per(10, 1), per(3, 1), per(999_999_937, 1), every(time.Minute)} {
		for _, back := range []bool{false, true} {
			testkit.Bubble(t, func(t *testing.T) {
				const burst, keys = 5, 200
				k := ratelimit.NewKeyed[int](r.limit, burst, ratelimit.MaxKeys(1000))
				var models [keys]*bucket
				for i := range models {
					models[i] = newBucket(r, burst)
				}
				interval, _ := r.interval.Float64()
				rnd := rand.New(rand.NewPCG(6, 7))
				start := time.Now()
				for i := range 5000 {
					step := time.Duration(interval * rnd.ExpFloat64() / 20)
					if rnd.IntN(500) == 0 {
						step = time.Duration(interval*1000) + time.Second
					}
					time.Sleep(step)
					at := int64(time.Since(start))
					asked := at
					if back && rnd.IntN(4) == 0 {
						asked -= rnd.Int64N(int64(interval*burst) + 1)
					}
					key, n := rnd.IntN(keys), rnd.IntN(burst+2)
					got := k.AllowN(key, start.Add(time.Duration(asked)), n)
					if back && !got {
						continue // a key that was forgotten is stricter about times before that
					}
					require.Equal(t, models[key].allow(asked, n), got, "%s, call %d: key %d, %d at %d", r.name, i, key, n, asked)
				}
				assert.LessOrEqual(t, k.Len(), keys)
			})
		}
	}
}

// "A key that has not been seen for as long as its bucket takes to fill is forgotten": the keys
// that are kept follow those that are in use.
func TestKeyedForgets(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[int](10, 1)
		for i := range 20_000 {
			require.True(t, k.Allow(i))
			time.Sleep(time.Millisecond)
		}
		assert.Less(t, k.Len(), 1000, "a hundred are not full again; what is over is dropped as others come")
	})
}

// "It is never above MaxKeys", and what happens then is up to the policy; but a key that can be
// forgotten always makes room first.
func TestKeyedWhenFull(t *testing.T) {
	const most = 300
	for policy, want := range map[ratelimit.FullPolicy]int{ratelimit.Deny: 0, ratelimit.Share: 2, ratelimit.Evict: 50} {
		t.Run(policy.String(), func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				k := ratelimit.NewKeyed[string](1, 2, ratelimit.MaxKeys(most), ratelimit.WhenFull(policy))
				for round := range 3 {
					for i := range most {
						require.True(t, k.Allow(fmt.Sprint("old ", i)), "round %d, key %d", round, i)
					}
					require.Equal(t, most, k.Len())
					granted := 0
					for i := range 50 {
						if k.Allow(fmt.Sprint("new ", i)) {
							granted++
						}
						require.LessOrEqual(t, k.Len(), most)
					}
					assert.Equal(t, want, granted)
					d := k.Take("one more", 2)
					assert.Equal(t, policy == ratelimit.Evict, d.Allowed)
					if policy == ratelimit.Deny {
						assert.Equal(t, time.Second, d.RetryAfter)
						err := k.Wait(t.Context(), "one more")
						require.ErrorIs(t, err, ratelimit.ErrFull)
						assert.ErrorContains(t, err, "): too many keys")
						var wait *ratelimit.WaitError
						require.ErrorAs(t, err, &wait)
						assert.Equal(t, time.Second, wait.RetryAfter)
					}
					time.Sleep(2 * time.Second)
				}
			})
		})
	}
}

// The limit of a key is a Limiter's in all else: lines, pauses, refunds, decisions.
func TestKeyedLinesAndPauses(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[string](1, 2)
		require.True(t, k.AllowN("a", time.Now(), 2))
		q := newQueue(t)
		q.wait("a1", func() error { return k.Wait(t.Context(), "a") })
		q.wait("a2", func() error { return k.WaitN(t.Context(), "a", 2) })
		q.wait("b1", func() error { return k.At("b").Wait(t.Context()) })
		assert.False(t, k.Allow("a"))
		k.Pause("c", time.Now().Add(5*time.Second))
		assert.False(t, k.Allow("c"))
		q.wait("c1", func() error { return k.Wait(t.Context(), "c") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, k.Wait(ctx, "c"), context.DeadlineExceeded)
		time.Sleep(4 * time.Second)
		assert.Equal(t, []string{"b1 0s", "a1 1s", "a2 3s"}, q.served())
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 2, ResetAfter: 2 * time.Second}, k.Take("a", 1))
		k.Refund("a", 1)
		assert.True(t, k.At("a").Allow())
		assert.False(t, k.Allow("a"))
		time.Sleep(time.Second)
		assert.Equal(t, []string{"b1 0s", "a1 1s", "a2 3s", "c1 5s"}, q.served())
		time.Sleep(time.Minute)
		for i := range 100 {
			k.Allow(fmt.Sprint(i))
		}
		assert.ErrorIs(t, k.WaitN(t.Context(), "a", 3), ratelimit.ErrBurst)
	})
}

// A pause ends by the clock, whatever time is asked about for another key.
func TestKeyedKeepsAPauseIfAskedAboutLater(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[string](1, 1, ratelimit.MaxKeys(1))
		k.Pause("a", time.Now().Add(time.Hour))
		require.False(t, k.Allow("a"))
		k.AllowN("b", time.Now().Add(2*time.Hour), 1)
		assert.False(t, k.Allow("a"))
		time.Sleep(time.Hour)
		assert.True(t, k.Allow("a"))
		time.Sleep(time.Second)
		assert.True(t, k.Take("b", 1).Allowed)
		assert.Equal(t, 1, k.Len(), "a is forgotten")
	})
}

// "If the Keyed does not have the key, Refund does nothing": the key may have been forgotten, and
// the keys without room may not get what it has taken.
func TestKeyedRefundOfAForgottenKey(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[string](1, 5, ratelimit.MaxKeys(1))
		require.True(t, k.Allow("a"))
		time.Sleep(10 * time.Second)
		require.True(t, k.Allow("b"))
		require.True(t, k.AllowN("c", time.Now(), 5))
		k.Refund("a", 1)
		assert.False(t, k.Allow("d"), "the sixth at this instant")
	})
}

// Keys that are waited for or paused are not forgotten, and nobody else's room is.
func TestKeyedKeepsWhatIsInUse(t *testing.T) {
	for _, policy := range []ratelimit.FullPolicy{ratelimit.Deny, ratelimit.Evict} {
		testkit.Bubble(t, func(t *testing.T) {
			k := ratelimit.NewKeyed[int](0.1, 1, ratelimit.MaxKeys(2), ratelimit.WhenFull(policy))
			k.Pause(1, time.Now().Add(time.Hour))
			require.True(t, k.Allow(2))
			q := newQueue(t)
			q.wait("2", func() error { return k.Wait(t.Context(), 2) })
			assert.False(t, k.Allow(3), "no room")
			assert.Equal(t, 2, k.Len())
			time.Sleep(time.Minute)
			assert.Equal(t, []string{"2 10s"}, q.served())
			assert.True(t, k.Allow(3))
			assert.False(t, k.Allow(1), "still paused")
			time.Sleep(time.Hour)
			assert.True(t, k.Allow(1))
			assert.True(t, k.Allow(4))
		})
	}
}

func TestKeyedBadNumbers(t *testing.T) {
	assert.PanicsWithValue(t, "ratelimit: MaxKeys: less than one key", func() { ratelimit.MaxKeys(0) })
	assert.PanicsWithValue(t, "ratelimit: WhenFull: no policy 7", func() { ratelimit.WhenFull(7) })
	nan := ratelimit.NewKeyed[float64](1, 1)
	assert.PanicsWithValue(t, "ratelimit: a key that is not equal to itself", func() { nan.Allow(math.NaN()) })
	none := ratelimit.NewKeyed[int](1, 0)
	assert.False(t, none.Allow(1))
	assert.False(t, none.Take(1, 1).Allowed)
	assert.True(t, none.Take(1, 0).Allowed)
	assert.Zero(t, none.Len(), "a key that can have nothing takes no room")
	inf := ratelimit.NewKeyed[int](ratelimit.Inf, 0)
	assert.True(t, inf.AllowN(1, time.Now(), math.MaxInt))
	assert.True(t, inf.Take(1, 5).Allowed)
	assert.Zero(t, inf.Len())
	inf.Pause(1, time.Now().Add(time.Hour))
	assert.False(t, inf.Allow(1))
	assert.True(t, inf.Allow(2))
	past := ratelimit.NewKeyed[int](1, 1)
	then := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.True(t, past.AllowN(1, then, 1))
	assert.False(t, past.AllowN(1, then, 1))
	assert.True(t, past.AllowN(1, then.AddDate(280, 0, 0), 1))
	assert.False(t, past.Allow(1), "it was used in the future")
	assert.True(t, past.Allow(2))
}

// Reservations that are canceled at the instant at which others make room for their key.
func TestKeyedForgetsWhileReservationsAreCanceled(t *testing.T) {
	k := ratelimit.NewKeyed[int](10_000, 1, ratelimit.MaxKeys(8))
	m := ratelimit.Multi(k.At(0))
	var last atomic.Pointer[ratelimit.Reservation]
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 300 {
			m.Reserve()
			last.Store(m.Reserve())
			runtime.Gosched()
		}
		done.Store(true)
	})
	wg.Go(func() {
		for !done.Load() {
			if r := last.Load(); r != nil && r.Delay() == 0 {
				r.Cancel() // too late: does nothing
			}
		}
	})
	for i := 1; !done.Load(); i++ {
		k.Allow(i)
		runtime.Gosched()
	}
	wg.Wait()
	assert.LessOrEqual(t, k.Len(), 8)
}

// Goroutines that race for keys of a table that is too small: each key that is kept gets its
// burst and no more, and the count of the keys is right.
func TestKeyedUnderRaces(t *testing.T) {
	const keys, burst = 64, 3
	k := ratelimit.NewKeyed[int](ratelimit.Every(time.Hour), burst, ratelimit.MaxKeys(keys), ratelimit.WhenFull(ratelimit.Deny))
	var granted [keys * 2]atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 8))
			for range 5000 {
				switch key := rnd.IntN(keys * 2); rnd.IntN(10) {
				case 0:
					ctx, cancel := context.WithTimeout(context.Background(), time.Microsecond)
					if k.Wait(ctx, key) == nil {
						granted[key].Add(1)
					}
					cancel()
				case 1:
					if k.Take(key, 1).Allowed {
						granted[key].Add(1)
					}
				default:
					if k.Allow(key) {
						granted[key].Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	kept := 0
	for key := range granted {
		switch n := granted[key].Load(); n {
		case 0:
		case burst:
			kept++
		default:
			assert.Fail(t, "not the burst", "key %d has got %d", key, n)
		}
	}
	assert.Equal(t, keys, kept)
	assert.Equal(t, keys, k.Len())
}
