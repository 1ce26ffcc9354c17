package ratelimit_test

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// In no window, wherever it begins, are more than n events; and whenever there are fewer,
// another one is let through.
func TestWindowIsStrict(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		n := 1 + rnd.IntN(20)
		w := ratelimit.NewWindow(n, time.Hour)
		start := time.Now()
		var events []time.Duration
		at := time.Duration(0)
		inWindow := func(end time.Duration) int {
			return len(events) - sort.Search(len(events), func(i int) bool { return end < events[i]+time.Hour })
		}
		for range 1000 {
			if rnd.IntN(2) == 0 {
				at += time.Duration(rnd.Int64N(int64(time.Hour)/int64(n) + 1))
			}
			if rnd.IntN(100) == 0 && len(events) > 0 {
				at = max(at, events[len(events)-1]+time.Hour)
			}
			k := 1 + rnd.IntN(min(n, 3))
			require.Equal(t, inWindow(at)+k <= n, w.AllowN(start.Add(at), k))
			if inWindow(at)+k <= n {
				for range k {
					events = append(events, at)
				}
			}
		}
	}
}

// The line, pauses, decisions and reservations of a window are those of a Limiter.
func TestWindowLine(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		w := ratelimit.NewWindow(2, 10*time.Second)
		assert.Equal(t, 2, w.N())
		assert.Equal(t, 10*time.Second, w.Per())
		require.True(t, w.Allow())
		time.Sleep(4 * time.Second)
		assert.Equal(t, ratelimit.Decision{Allowed: true, Limit: 2, ResetAfter: 10 * time.Second}, w.Take(1))
		assert.Equal(t, ratelimit.Decision{Limit: 2, RetryAfter: 10 * time.Second, ResetAfter: 10 * time.Second}, w.Take(2))
		q := newQueue(t)
		for _, name := range []string{"a", "b", "c", "d"} {
			q.wait(name, func() error { return w.Wait(t.Context()) })
		}
		assert.False(t, w.Allow())
		r := w.Reserve()
		assert.Equal(t, 26*time.Second, r.Delay())
		r.Cancel()
		assert.Equal(t, 26*time.Second, w.Reserve().Delay())
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"a 6s", "b 10s", "c 16s", "d 20s"}, q.served())
		w.Pause(time.Now().Add(time.Second))
		assert.False(t, w.Allow())
		time.Sleep(time.Second)
		assert.True(t, w.AllowN(time.Now(), 2))
		first, second := w.Reserve(), w.Reserve()
		assert.Equal(t, 10*time.Second, second.Delay())
		first.Cancel()
		assert.Equal(t, 10*time.Second, w.Reserve().Delay())
		assert.Equal(t, 20*time.Second, w.Reserve().Delay())
	})
}

func TestWindowBadNumbers(t *testing.T) {
	assert.PanicsWithValue(t, "ratelimit: NewWindow(0, 1ns): want at least 1 event", func() { ratelimit.NewWindow(0, 1) })
	assert.PanicsWithValue(t, "ratelimit: NewWindow: the length is not above zero", func() { ratelimit.NewWindow(1, 0) })
	if math.MaxInt > math.MaxInt32 {
		assert.PanicsWithValue(t, "ratelimit: NewWindow: more than 2^40 events", func() { ratelimit.NewWindow(math.MaxInt, 1) })
	}
	most := int(min(math.MaxInt, int64(1<<40)))
	w := ratelimit.NewWindow(most, math.MaxInt64)
	start := time.Now()
	assert.True(t, w.AllowN(start, most))
	assert.False(t, w.AllowN(start, 1))
	assert.True(t, w.AllowN(start, 0))
	assert.False(t, w.AllowN(start.Add(-time.Hour), 1))
	assert.False(t, w.Reserve().OK())
	assert.ErrorIs(t, ratelimit.NewWindow(2, 1).WaitN(t.Context(), 3), ratelimit.ErrBurst)
}
