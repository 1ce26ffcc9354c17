package engine

import "time"

// Clock counts nanoseconds since an epoch of its own.
//
// Reading it costs a quarter of what [time.Now] costs where the processor has a usable
// counter (see ticks), and half of it elsewhere; and a reading fits into one word. The
// epoch belongs to the value and is never a package variable: inside a testing/synctest
// bubble time starts anew, and a reading against an epoch from outside would be off by
// decades.
type Clock struct {
	epoch time.Time
	ticks *ticks // nil: the operating system's clock is read
	base  int64  // the reading of ticks at the epoch
}

// NewClock returns a clock that starts now, at 1: a reading of 0 means none, even where
// time stands still.
func NewClock() Clock {
	now := time.Now()
	c := Clock{epoch: now.Add(-1)}
	if now == now.Round(0) { //nolint:revive,staticcheck // Equal would not tell the two apart
		return c // no monotonic reading: a bubble, with a time of its own
	}
	if c.ticks = steadyTicks(); c.ticks != nil {
		c.base = c.ticks.now() - 1
	}
	return c
}

// Now returns the nanoseconds since the clock was made. It never goes back on one
// processor; readings of two goroutines at the same moment may differ by some
// nanoseconds.
func (c Clock) Now() int64 {
	if c.ticks != nil {
		return c.ticks.now() - c.base
	}
	return int64(time.Since(c.epoch))
}

// Time turns a reading of Now into a time of day.
func (c Clock) Time(reading int64) time.Time { return c.epoch.Add(time.Duration(reading)) }

// Reading returns the reading of Now at a time of day.
func (c Clock) Reading(t time.Time) int64 { return int64(t.Sub(c.epoch)) }
