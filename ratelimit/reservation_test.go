package ratelimit_test

import (
	"context"
	"math/rand/v2"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

func TestReserve(t *testing.T) {
	start := time.Now()
	l := ratelimit.NewLimiter(10, 2)
	for i, want := range []int{0, 0, 100, 200, 300} {
		r := l.ReserveN(start, 1)
		require.True(t, r.OK())
		assert.Equal(t, time.Duration(want)*time.Millisecond, r.DelayFrom(start), "reservation %d", i)
		assert.Equal(t, time.Duration(max(want-150, 0))*time.Millisecond, r.DelayFrom(start.Add(150*time.Millisecond)))
	}
	r := l.ReserveN(start, 3)
	assert.False(t, r.OK())
	assert.Equal(t, ratelimit.InfDuration, r.Delay())
	r.Cancel()
	var none ratelimit.Reservation
	assert.False(t, none.OK())
	none.Cancel()
	assert.True(t, l.ReserveN(start, 0).OK())
	assert.False(t, l.AllowN(start.Add(399*time.Millisecond), 1))
	assert.True(t, l.AllowN(start.Add(400*time.Millisecond), 1))
}

// The last reservation, and those that all may act at once, give back everything.
func TestCancelGivesBackAll(t *testing.T) {
	start := time.Now()
	l := ratelimit.NewLimiter(10, 20)
	a := l.ReserveN(start, 15)
	b := l.ReserveN(start, 3)
	require.Zero(t, a.DelayFrom(start))
	a.CancelAt(start)
	a.CancelAt(start) // "does nothing ... when called again"
	assert.InDelta(t, 17, l.TokensAt(start), 1e-9, "golang/go#56924")
	c := l.ReserveN(start, 20)
	assert.Equal(t, 300*time.Millisecond, c.DelayFrom(start))
	c.CancelAt(start.Add(100 * time.Millisecond))
	assert.InDelta(t, 18, l.TokensAt(start.Add(100*time.Millisecond)), 1e-9)
	b.CancelAt(start.Add(100 * time.Millisecond)) // "does nothing after the time of the reservation"
	assert.InDelta(t, 18, l.TokensAt(start.Add(100*time.Millisecond)), 1e-9)
}

// "n tokens go back, or the burst less the largest of those reservations if that is less."
func TestCancelBeforeOthersThatStand(t *testing.T) {
	start := time.Now()
	for _, test := range []struct{ burst, first, later, back int }{
		{1, 1, 1, 0}, // the slot of the first lies before the one that stands
		{10, 5, 1, 5},
		{10, 10, 1, 9},
		{10, 5, 8, 2},
		{10, 5, 10, 0},
	} {
		l := ratelimit.NewLimiter(1, test.burst)
		require.True(t, l.AllowN(start, test.burst))
		first := l.ReserveN(start, test.first)
		l.ReserveN(start, test.later)
		l.ReserveN(start, 1)
		before := l.TokensAt(start)
		first.CancelAt(start)
		assert.InDelta(t, test.back, l.TokensAt(start)-before, 1e-9, "%+v", test)
	}
}

// Whatever is reserved and canceled: what happens keeps the bound.
func TestReservationsKeepTheBound(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		burst := 1 + rnd.IntN(8)
		start := time.Now()
		r := every(time.Second)
		l := ratelimit.NewLimiter(r.limit, burst)
		type event struct {
			at int64
			n  int
			r  *ratelimit.Reservation
		}
		var events []event
		now := start
		for range 60 {
			switch n := 1 + rnd.IntN(burst); rnd.IntN(5) {
			case 0, 1:
				if r := l.ReserveN(now, n); r.OK() {
					events = append(events, event{int64(now.Add(r.DelayFrom(now)).Sub(start)), n, r})
				}
			case 2:
				if l.AllowN(now, n) {
					events = append(events, event{int64(now.Sub(start)), n, nil})
				}
			case 3:
				if len(events) == 0 {
					break
				}
				i := rnd.IntN(len(events))
				if e := events[i]; e.r != nil && e.at >= int64(now.Sub(start)) {
					e.r.CancelAt(now)
					events = append(events[:i], events[i+1:]...)
				}
			case 4:
				now = now.Add(time.Duration(rnd.Int64N(int64(4 * time.Second))))
			}
		}
		sort.SliceStable(events, func(i, j int) bool { return events[i].at < events[j].at })
		b := bound{bucket: newBucket(r, burst)}
		for _, e := range events {
			require.True(t, b.add(e.at, e.n), "seed %d: %d more at %v", seed, e.n, time.Duration(e.at))
		}
	}
}

// A reservation "comes after all callers that wait in line, who lose nothing by it", and nobody
// passes it.
func TestReserveBehindWaiters(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 2)
		require.True(t, l.AllowN(time.Now(), 2))
		q := newQueue(t)
		q.wait("a", func() error { return l.Wait(t.Context()) })
		r := l.Reserve()
		gone := l.ReserveN(time.Now(), 2)
		q.wait("b", func() error { return l.Wait(t.Context()) })
		q.wait("urgent", func() error { return l.WaitPriority(t.Context(), 1, 9) })
		assert.Equal(t, 2*time.Second, r.Delay())
		assert.Equal(t, 4*time.Second, gone.Delay())
		gone.Cancel()
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"a 1s", "urgent 3s", "b 4s"}, q.served())
	})
}

// Waiters leave in front of a reservation: its time stands, and the bound too.
func TestReservationStandsWhenWaitersLeave(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 10)
		require.True(t, l.AllowN(time.Now(), 10))
		ctx, cancel := context.WithCancel(t.Context())
		q := newQueue(t)
		q.wait("gone", func() error { return l.WaitN(ctx, 10) })
		r := l.ReserveN(time.Now(), 1)
		assert.Equal(t, 11*time.Second, r.Delay())
		cancel()
		q.wait("next", func() error { return l.WaitN(t.Context(), 10) })
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"gone 0s canceled", "next 12s"}, q.served(), "10 and 1 at 11s were too much")
	})
}

// A debt of minutes, in ticks of which the base of a bucket reaches seconds.
func TestReserveBeyondTheReachOfTheTicks(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(123_456_789, 1_000_000_000)
		for range 11 {
			require.True(t, l.ReserveN(time.Now(), 1_000_000_000).OK())
		}
		assert.InDelta(t, -10e9, l.Tokens(), 1e3)
		assert.InDelta(t, 11e9/123_456_789, l.Take(1_000_000_000).RetryAfter.Seconds(), 1e-6)
	})
}

// A reservation in line may stand later than it needs to: those made after it come after it all
// the same.
func TestReserveBehindALateReservation(t *testing.T) {
	for name, late := range map[string]func(t *testing.T, l waitingLimit) *ratelimit.Reservation{
		"made for later": func(_ *testing.T, l waitingLimit) *ratelimit.Reservation {
			return l.ReserveN(time.Now().Add(1700*time.Millisecond), 1)
		},
		"a caller before it has left": func(t *testing.T, l waitingLimit) *ratelimit.Reservation {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			newQueue(t).wait("gone", func() error { return l.WaitN(ctx, 1) })
			defer cancel()
			return l.ReserveN(time.Now(), 1)
		},
		"of a Multi": func(t *testing.T, l waitingLimit) *ratelimit.Reservation {
			t.Helper()
			slow := ratelimit.NewLimiter(ratelimit.Every(3500*time.Millisecond), 1)
			require.True(t, slow.Allow())
			return ratelimit.Multi(l, slow).Reserve()
		},
	} {
		for kind, l := range map[string]func() waitingLimit{
			"Limiter": func() waitingLimit { return ratelimit.NewLimiter(1, 1) },
			"Window":  func() waitingLimit { return ratelimit.NewWindow(1, time.Second) },
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					l := l()
					require.True(t, l.AllowN(time.Now(), 1))
					q := newQueue(t)
					q.wait("a", func() error { return l.WaitN(t.Context(), 1) })
					first := late(t, l)
					synctest.Wait()
					require.Greater(t, first.Delay(), 2*time.Second)
					assert.Equal(t, first.Delay()+time.Second, l.ReserveN(time.Now(), 1).Delay())
					near, cancel := context.WithTimeout(t.Context(), first.Delay()+2*time.Second-1)
					defer cancel()
					var tooNear *ratelimit.WaitError
					require.ErrorAs(t, l.WaitN(near, 1), &tooNear)
					assert.Equal(t, first.Delay()+2*time.Second, tooNear.RetryAfter)
					time.Sleep(time.Minute)
					assert.Equal(t, []string{"a 1s"}, q.served())
				})
			})
		}
	}
}
