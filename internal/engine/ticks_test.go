package engine

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ownTicks are ticks of the test alone, measured over some milliseconds.
func ownTicks(t *testing.T) *ticks {
	t.Helper()
	if !invariantTicks() {
		t.Skip("no counter that could be used")
	}
	from := readPair()
	for time.Since(from.at) < 2*calibration {
		runtime.Gosched()
	}
	c := newTicks(from, readPair())
	require.NotNil(t, c)
	return c
}

// apart is how far c is ahead of the system's clock, as the closest of some looks has it:
// the goroutine may be held up between the two readings of one look.
func apart(c *ticks) time.Duration {
	best := time.Hour
	for range 100 {
		before := time.Since(c.start)
		said := time.Duration(c.now())
		after := time.Since(c.start)
		off := said - (before+after).Round(2)/2
		if off.Abs() < best.Abs() {
			best = off
		}
	}
	return best
}

func TestTicksAgreeWithTheClock(t *testing.T) {
	c := ownTicks(t)
	for begun := time.Now(); time.Since(begun) < 100*time.Millisecond; {
		require.Less(t, apart(c).Abs(), 5*time.Microsecond)
	}
	time.Sleep(2 * inMemory) // nobody has looked for long
	require.Less(t, apart(c).Abs(), 5*time.Microsecond)
	assert.Less(t, c.strikes.Load(), int32(maxStrikes))
}

// Each goroutine's readings go forward.
func TestTicksDoNotGoBack(t *testing.T) {
	c := ownTicks(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			last := c.now()
			for range 200_000 {
				now := c.now()
				// One that was held up within a comparison says what the system says.
				if !assert.Greater(t, now-last, -int64(agreement)) {
					return
				}
				last = now
			}
		})
	}
	all.Wait()
}

// A counter that jumps is found out, and given up in the end; the time stays right.
func TestTicksThatJump(t *testing.T) {
	for name, jump := range map[string]int64{"forward": 1, "back": -1} {
		t.Run(name, func(t *testing.T) {
			c := ownTicks(t)
			by := uint64(jump * int64(c.stale)) // as the counter of another processor might be off
			for range 1000 * maxStrikes {
				c.first -= by
				for range 3 {
					c.now()
				}
				by = -by
				for begun := time.Now(); time.Since(begun) < 2*syncEvery; {
					c.now()
				}
				if c.strikes.Load() >= maxStrikes {
					break
				}
			}
			require.GreaterOrEqual(t, c.strikes.Load(), int32(maxStrikes))
			for range 3 {
				c.first -= by
				time.Sleep(2 * syncEvery)
				require.Less(t, apart(c).Abs(), 5*time.Microsecond)
			}
		})
	}
}

// A counter that is behind the last comparison tells nothing.
func TestTicksThatWentBack(t *testing.T) {
	c := ownTicks(t)
	c.now()
	c.first += 100 * c.stale
	assert.Less(t, apart(c).Abs(), 5*time.Microsecond)
}

func TestTicksThatMakeNoSense(t *testing.T) {
	at := time.Now()
	later := at.Add(time.Second)
	for name, to := range map[string]pair{
		"back":      {at: later, ticks: 99},
		"still":     {at: later, ticks: 100},
		"too slow":  {at: later, ticks: 200},
		"too fast":  {at: later, ticks: 1 << 60},
		"no time":   {at: at, ticks: 1_000_000},
		"slow to 2": {at: at.Add(time.Hour), ticks: 101},
	} {
		assert.Nil(t, newTicks(pair{at: at, ticks: 100}, to), name)
	}
	c := newTicks(pair{at: at, ticks: 100}, pair{at: later, ticks: 100 + 3_000_000_000})
	require.NotNil(t, c)
	assert.InDelta(t, 1e9, c.nanoseconds(3_000_000_000)+c.offset.Load(), 1)
	assert.InDelta(t, 3600e9*(1-1.0/(1<<lag)), c.nanoseconds(3600*3_000_000_000), 3600)
}

// In a bubble nothing comes from outside.
func TestAClockInABubbleHasItsTime(t *testing.T) {
	begun := time.Now()
	for time.Since(begun) < 2*calibration {
		runtime.Gosched()
	}
	NewClock() // whatever there is to find out is found out
	synctest.Test(t, func(t *testing.T) {
		c := NewClock()
		assert.Nil(t, c.ticks)
		assert.Equal(t, int64(1), c.Now())
		time.Sleep(time.Hour)
		assert.Equal(t, int64(time.Hour)+1, c.Now())
		assert.Equal(t, time.Now(), c.Time(c.Now()))
	})
}

func TestAClockOfTicks(t *testing.T) {
	ownTicks(t)
	c := NewClock()
	if c.ticks == nil {
		t.Skip("the system's clock is no dearer")
	}
	first := c.Now()
	assert.Positive(t, first)
	time.Sleep(20 * time.Millisecond)
	said, was := c.Time(c.Now()), time.Now()
	assert.WithinDuration(t, was, said, time.Second) // as far as a busy machine may hold this up in between
	assert.InDelta(t, c.Now(), c.Reading(time.Now()), float64(time.Second))
	assert.GreaterOrEqual(t, c.Now()-first, int64(20*time.Millisecond)-int64(agreement))
}
