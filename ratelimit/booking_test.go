package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// A reservation for a time when others will have left the window says nothing of the time
// before: canceled, it leaves those others where they were.
func TestWindowRemembersWhatAReservationOutlives(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		w := ratelimit.NewWindow(2, 10*time.Second)
		require.True(t, w.AllowN(time.Now(), 2))
		time.Sleep(time.Second)
		r := w.Reserve()
		require.Equal(t, 9*time.Second, r.Delay())
		time.Sleep(time.Second)
		r.Cancel()
		assert.False(t, w.Allow(), "both of the window were let through 2 s ago")
		assert.Equal(t, 8*time.Second, w.Take(1).RetryAfter)
		time.Sleep(8*time.Second - 1)
		assert.False(t, w.Allow())
		time.Sleep(time.Nanosecond)
		assert.True(t, w.AllowN(time.Now(), 2))
	})
}

func TestWindowHasNothingLeftBeforeAReservation(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		w := ratelimit.NewWindow(3, 10*time.Second)
		require.True(t, w.AllowN(time.Now(), 2))
		time.Sleep(time.Second)
		r := w.ReserveN(time.Now(), 2)
		require.Equal(t, 9*time.Second, r.Delay())
		d := w.Take(1)
		assert.False(t, d.Allowed)
		assert.Zero(t, d.Remaining)
		r.Cancel()
		assert.Equal(t, 1, w.Take(0).Remaining)
	})
}

// Callers ask for all or nothing, so those of six leave four of ten unused in each window.
func TestWindowReservesAfterCallersThatAskForMany(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		w := ratelimit.NewWindow(10, time.Second)
		require.True(t, w.AllowN(time.Now(), 6))
		q := newQueue(t)
		for _, name := range []string{"a", "b", "c"} {
			q.wait(name, func() error { return w.WaitN(t.Context(), 6) })
		}
		r := w.ReserveN(time.Now(), 4)
		assert.Equal(t, 3*time.Second, r.Delay())
		assert.Equal(t, 4*time.Second, w.Take(5).RetryAfter)
		near, cancel := context.WithTimeout(t.Context(), 4*time.Second-1)
		defer cancel()
		var tooNear *ratelimit.WaitError
		require.ErrorAs(t, w.WaitN(near, 5), &tooNear)
		assert.Equal(t, 4*time.Second, tooNear.RetryAfter)
		far, cancel := context.WithTimeout(t.Context(), 4*time.Second+1)
		defer cancel()
		q.wait("d", func() error { return w.WaitN(far, 5) })
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"a 1s", "b 2s", "c 3s", "d 4s"}, q.served())
	})
}

// A reservation for a later time does not move the present: canceled, it leaves everything as it
// was.
func TestCancelOfAReservationMadeForLater(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		w := ratelimit.NewWindow(2, time.Second)
		require.True(t, w.Allow())
		w.ReserveN(time.Now().Add(5*time.Second), 1).Cancel()
		assert.True(t, w.Allow())
		assert.False(t, w.Allow(), "two were let through at this instant")
		l := ratelimit.NewLimiter(1, 2)
		require.True(t, l.Allow())
		l.ReserveN(time.Now().Add(5*time.Second), 1).Cancel()
		assert.True(t, l.Allow())
		assert.False(t, l.Allow())
	})
}

// Who waits is let through late, behind a pause, and a promise that was made behind him
// keeps its time. So the promise is written down after an event that comes later.
func TestWindowOrdersWhatComesOutOfOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		w := ratelimit.NewWindow(2, 20*time.Second)
		require.True(t, w.AllowN(time.Now(), 2))
		q := newQueue(t)
		q.wait("a", func() error { return w.Wait(t.Context()) })
		r := w.Reserve()
		require.Equal(t, 20*time.Second, r.Delay())
		w.Pause(time.Now().Add(35 * time.Second)) // a at 35 s, and the promise at 20 s
		time.Sleep(35 * time.Second)
		require.Equal(t, []string{"a 35s"}, q.served())
		time.Sleep(10 * time.Second) // the promise has left the window, a has not
		assert.True(t, w.Allow())
		assert.False(t, w.Allow(), "a was let through 10 s ago")
		time.Sleep(10 * time.Second)
		assert.True(t, w.Allow(), "a has left the window")
		assert.False(t, w.Allow())
	})
}

// A reservation of a Multi books all limits for the time of the slowest. If it is canceled,
// the faster ones are as if it had never been.
func TestMultiCancelFreesTheFasterLimits(t *testing.T) {
	for _, others := range []int{0, 1, 2} {
		testkit.Bubble(t, func(t *testing.T) {
			fast := ratelimit.NewLimiter(10, 10)
			slow := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 1)
			m := ratelimit.Multi(fast, slow)
			require.True(t, m.Allow())
			var all []*ratelimit.Reservation
			for range others + 1 {
				r := m.Reserve()
				require.True(t, r.OK())
				all = append(all, r)
			}
			require.Equal(t, time.Hour, all[0].Delay())
			for _, r := range all { // the oldest first: what is between becomes part of those behind
				r.Cancel()
			}
			assert.InDelta(t, 9, fast.Tokens(), 1e-6)
			if others == 0 {
				assert.InDelta(t, 0, slow.Tokens(), 1e-6) // else less goes back, see Reservation.CancelAt
			}
			assert.True(t, fast.AllowN(time.Now(), 9))
			assert.False(t, fast.Allow())
		})
	}
}

// The ticks of these limits reach seconds, not minutes: what is booked further ahead is canceled
// as if it had never been, too.
func TestMultiCancelBeyondTheReachOfTheTicks(t *testing.T) {
	for _, limit := range []ratelimit.Limit{math.Pi, 123_456_789, 999_999_937} {
		for _, oldestFirst := range []bool{true, false} {
			testkit.Bubble(t, func(t *testing.T) {
				fast := ratelimit.NewLimiter(limit, 10)
				slow := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 1)
				m := ratelimit.Multi(fast, slow)
				require.True(t, m.AllowN(time.Now(), 1))
				first, second := m.Reserve(), m.Reserve()
				require.Equal(t, 2*time.Hour, second.Delay())
				assert.False(t, fast.Allow())
				assert.Zero(t, fast.Take(1).Remaining)
				assert.InEpsilon(t, -7200*float64(limit), fast.Tokens(), 0.01)
				if !oldestFirst {
					first, second = second, first
				}
				first.Cancel()
				assert.False(t, fast.Allow(), "the other one stands")
				second.Cancel()
				assert.InDelta(t, 9, fast.Tokens(), 1e-6)
				assert.True(t, fast.AllowN(time.Now(), 9))
				assert.False(t, fast.Allow())
				time.Sleep(10 * time.Second)
				assert.True(t, fast.AllowN(time.Now(), 10))
			})
		}
	}
}

func TestMultiCancelKeepsTheBound(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		fast := ratelimit.NewLimiter(1, 10)
		slow := ratelimit.NewLimiter(ratelimit.Every(12*time.Second), 1)
		m := ratelimit.Multi(fast, slow)
		require.True(t, m.Allow())
		r := m.Reserve()
		require.Equal(t, 12*time.Second, r.Delay())
		time.Sleep(11 * time.Second)
		granted := 0
		for fast.Allow() {
			granted++
		}
		assert.Positive(t, granted)
		r.Cancel()
		for fast.Allow() {
			granted++
		}
		assert.LessOrEqual(t, granted, 10, "at one instant")
		time.Sleep(10 * time.Second)
		assert.True(t, fast.AllowN(time.Now(), 10), "not blocked either")
	})
}

// Two reservations of one time: if one is canceled, the other still has its tokens.
func TestMultiCancelLeavesOthersOfTheSameTime(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		fast := ratelimit.NewLimiter(1, 4)
		slow := ratelimit.NewLimiter(ratelimit.Every(10*time.Second), 1)
		require.True(t, slow.Allow())
		r := ratelimit.Multi(fast, slow).Reserve()
		other := fast.ReserveN(time.Now(), 3)
		require.Equal(t, r.Delay(), other.Delay())
		r.Cancel()
		time.Sleep(other.Delay())
		assert.True(t, fast.Allow())
		assert.False(t, fast.Allow(), "four at this instant, with the three reserved")
	})
}

// The tokens of a reservation that was made after a late one, for an earlier time, are not
// forgotten with the late one.
func TestMultiCancelLeavesLaterOnesOfAnEarlierTime(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		fast := ratelimit.NewLimiter(1, 4)
		slow := ratelimit.NewLimiter(ratelimit.Every(10*time.Second), 1)
		require.True(t, slow.Allow())
		r := ratelimit.Multi(fast, slow).Reserve()
		other := fast.Reserve()
		require.Less(t, other.Delay(), r.Delay())
		r.Cancel()
		time.Sleep(other.Delay())
		assert.True(t, fast.AllowN(time.Now(), 3))
		assert.False(t, fast.Allow(), "four at this instant, with the one reserved")
	})
}

// What a limit of zero has is kept too, to less than a millionth of a token.
func TestALimitOfZeroKeepsPartsOfTokens(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(ratelimit.Every(time.Second), 5)
		require.True(t, l.AllowN(time.Now(), 5))
		for range 10 {
			time.Sleep(250 * time.Millisecond)
			l.SetLimit(0)
			l.SetLimit(ratelimit.Every(time.Second))
		}
		assert.InDelta(t, 2.5, l.Tokens(), 1e-4)
		l.SetLimit(0)
		assert.True(t, l.AllowN(time.Now(), 2))
		assert.False(t, l.Allow())
		assert.Equal(t, ratelimit.InfDuration, l.Take(1).RetryAfter)
	})
}

type lyingWriter int

func (n lyingWriter) Write(p []byte) (int, error) {
	if n < 0 {
		return int(n), nil
	}
	return len(p) + int(n), nil
}

// A writer that says that it has written more than it was given, or less than nothing, is
// no reason to skip bytes or to panic.
func TestWriterThatLies(t *testing.T) {
	for _, by := range []lyingWriter{-1, 1, 100} {
		l := ratelimit.NewLimiter(0, 10)
		w := ratelimit.Writer(t.Context(), by, l)
		n, err := w.Write(make([]byte, 10))
		assert.Error(t, err, "%d", by)
		assert.GreaterOrEqual(t, n, 0)
		assert.LessOrEqual(t, n, 10)
		l = ratelimit.NewLimiter(ratelimit.Inf, 4)
		l.SetLimit(1000)
		n, err = ratelimit.Writer(t.Context(), by, l).Write(make([]byte, 10))
		assert.Error(t, err, "%d", by)
		assert.LessOrEqual(t, n, 4)
	}
}

// Calls that never end hold up no others: a probe does not wait for them to leave room.
func TestProbeDoesNotWaitForCallsFromBefore(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := ratelimit.NewConcurrency(ratelimit.Between(1, 20), ratelimit.StartAt(20))
		ctx, stop := context.WithCancel(t.Context())
		var served atomic.Int64
		for range 20 {
			go func() {
				for {
					p, err := c.Acquire(ctx)
					if err != nil {
						assert.ErrorIs(t, err, context.Canceled)
						return
					}
					time.Sleep(50 * time.Millisecond)
					p.Release(ratelimit.Success)
					served.Add(1)
				}
			}()
		}
		time.Sleep(5 * time.Second) // the first probe is over
		var hung []ratelimit.Permit
		for range 4 {
			p, err := c.Acquire(t.Context())
			require.NoError(t, err)
			hung = append(hung, p)
		}
		before := served.Load()
		time.Sleep(10 * time.Minute)
		middle := served.Load()
		assert.Greater(t, middle-before, int64(1000))
		time.Sleep(10 * time.Minute)
		assert.Greater(t, served.Load()-middle, int64(1000), "four calls that take for ever are no reason to serve nobody")
		stop()
		for _, p := range hung {
			p.Release(ratelimit.Ignore)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Zero(t, c.InFlight())
	})
}

// The cause is that of the context, whoever ends it.
func TestWaitAfterItsContextHasEnded(t *testing.T) {
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	l := ratelimit.NewLimiter(1, 1)
	assert.ErrorIs(t, l.WaitN(ctx, 0), context.Canceled, "also for nothing")
	assert.ErrorIs(t, l.WaitN(ctx, 5), context.Canceled, "also for more than the burst")
	w := ratelimit.NewWindow(1, time.Hour)
	assert.ErrorIs(t, w.WaitN(ctx, 1), context.Canceled)
	assert.ErrorIs(t, ratelimit.Multi(l, w).Wait(ctx), context.Canceled)
	assert.True(t, l.Allow())
	assert.True(t, w.Allow())
	_, err := ratelimit.NewConcurrency().Acquire(ctx)
	assert.ErrorIs(t, err, cause)
}

// A context that ends just before the grant: whoever is told of it looks again, and what was
// granted is either his or still there.
func TestCancelJustBeforeTheGrantHasOneWinner(t *testing.T) {
	for range 500 {
		testkit.Bubble(t, func(t *testing.T) {
			l := ratelimit.NewLimiter(0, 1)
			require.True(t, l.Allow())
			ctx, cancel := context.WithCancel(t.Context())
			var err error
			go func() { err = l.Wait(ctx) }()
			synctest.Wait()
			cancel()
			l.Refund(1) // before the waiter has run, most of the time
			synctest.Wait()
			if err == nil {
				require.InDelta(t, 0, l.Tokens(), 1e-9)
			} else {
				require.InDelta(t, 1, l.Tokens(), 1e-9)
			}
		})
	}
}

func TestMultiAllowCannotBargeIn(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l, w := ratelimit.NewLimiter(1, 2), ratelimit.NewWindow(100, time.Second)
		require.True(t, l.Allow())
		q := newQueue(t)
		q.wait("a", func() error { return l.WaitN(t.Context(), 2) })
		assert.False(t, ratelimit.Multi(l, w).Take(1).Allowed, "a token is there, but a waits")
		time.Sleep(time.Second)
		assert.Equal(t, []string{"a 1s"}, q.served())
	})
}

func TestWindowAtItsBorders(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		w := ratelimit.NewWindow(3, time.Second)
		start := time.Now()
		require.True(t, w.AllowN(start.Add(time.Millisecond), 1))
		assert.False(t, w.AllowN(start, 1), "before the last event")
		time.Sleep(time.Second + time.Millisecond - 1)
		assert.Equal(t, 2, w.Take(0).Remaining)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 3, w.Take(0).Remaining)
	})
}
