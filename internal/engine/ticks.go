package engine

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// ticks tells the time by the processor's time-stamp counter, whose reading costs less than
// half of asking the operating system. It is kept in line with the operating system's
// clock: every syncEvery the two are compared and the difference is made up. If they do not
// agree, as when the counters of several processors differ, the counter is no longer used.
// See docs/adr/0019-ticks.md.
//
// A reading never goes back unless the counter does, and is never ahead of the operating
// system's clock by more than the error of a comparison. ticks is safe for concurrent use.
// The two words that change are read one after the other. They may belong to two
// comparisons; a reading is then as old as the earlier of them, which does no harm.
type ticks struct {
	start time.Time // from which it counts nanoseconds
	first uint64    // the counter at start
	rate  uint64    // nanoseconds a tick, in units of 2^-32; a little low, so that it never runs ahead
	stale uint64    // ticks after which a comparison is due
	slack uint64    // ticks that a comparison may take

	offset  atomic.Int64  // what comparisons have added
	synced  atomic.Uint64 // the counter at the last comparison, from first
	strikes atomic.Int32  // comparisons that did not agree
}

const (
	syncEvery   = 100 * time.Microsecond
	syncSlack   = time.Microsecond // a comparison that took longer was interrupted
	maxStrikes  = 3
	calibration = 2 * time.Millisecond // the shortest time over which the rate is measured
	// lag is by how much the rate is too low: one part in 2^lag.
	lag = 13
	// A comparison may be off by agreement plus one part in 2^drift of the time since the last
	// one. A counter that is behind counts only if that was less than inMemory ago.
	agreement = 2 * time.Microsecond
	drift     = 9
	inMemory  = 10 * time.Millisecond
)

// now returns the time since start in nanoseconds.
func (c *ticks) now() int64 {
	at := readTicks() - c.first
	if at-c.synced.Load() > c.stale { // even if it went back
		return c.sync()
	}
	return c.nanoseconds(at) + c.offset.Load()
}

func (c *ticks) nanoseconds(at uint64) int64 {
	hi, lo := bits.Mul64(at, c.rate)
	return int64(hi<<32 | lo>>32)
}

// sync compares with the operating system's clock and returns what that clock says.
func (c *ticks) sync() int64 {
	if c.strikes.Load() >= maxStrikes {
		return int64(time.Since(c.start))
	}
	before := readTicks()
	real := int64(time.Since(c.start))
	took := readTicks() - before
	at, offset, last := before+took/2-c.first, c.offset.Load(), c.synced.Load()
	behind := real - offset - c.nanoseconds(at)
	if took > c.slack {
		return real // the goroutine was held up in between
	}
	age := c.nanoseconds(at - last)
	switch tolerance := int64(agreement) + age>>drift; {
	case behind < -tolerance, behind > tolerance && age < int64(inMemory):
		c.strikes.Add(1)
	case behind <= 0:
		// Ahead by the error of the last comparison: it does not go back for that.
		c.synced.CompareAndSwap(last, at)
		return real - behind
	}
	// Goroutines that compare at the same moment find the same: one of them is enough.
	if c.synced.CompareAndSwap(last, at) {
		c.offset.Add(behind)
	}
	return real
}

// pair is what the operating system's clock and the counter said at one moment.
type pair struct {
	at    time.Time
	ticks uint64
	took  uint64
}

func readPair() pair {
	best := pair{took: 1<<64 - 1}
	for range 4 {
		before := readTicks()
		at := time.Now()
		if took := readTicks() - before; took < best.took {
			best = pair{at: at, ticks: before + took/2, took: took}
		}
	}
	return best
}

// steady has the ticks of the process once there are any.
//
// It belongs to the process and not to a Clock, so nothing of it may be used inside a
// testing/synctest bubble, where time is different.
var steady struct {
	ticks atomic.Pointer[ticks]

	mu     sync.Mutex
	origin pair // the first one
	never  bool // the counter is not usable here
}

func init() {
	if steady.never = !invariantTicks(); !steady.never {
		steady.origin = readPair()
	}
}

// steadyTicks returns the ticks of the process. It returns nil while their rate is not
// known, and where using them is not worth it.
func steadyTicks() *ticks {
	if c := steady.ticks.Load(); c != nil {
		return c
	}
	if !steady.mu.TryLock() {
		return nil // another goroutine is finding out right now
	}
	defer steady.mu.Unlock()
	if steady.never || time.Since(steady.origin.at) < calibration {
		return steady.ticks.Load()
	}
	if !worthTicks() {
		steady.never = true
		return nil
	}
	c := newTicks(steady.origin, readPair())
	steady.never = c == nil
	steady.ticks.Store(c)
	return c
}

// newTicks makes ticks from what was read at two moments, or returns nil if the readings
// are implausible.
func newTicks(from, to pair) *ticks {
	spent, counted := to.at.Sub(from.at), to.ticks-from.ticks
	hi := uint64(spent) >> 32
	if counted>>63 != 0 || hi >= counted {
		return nil // it went back, or ticks slower than once in four seconds
	}
	rate, _ := bits.Div64(hi, uint64(spent)<<32, counted)
	if rate < 1<<24 || rate > 1<<36 {
		return nil // not between 4 ps and 16 ns a tick
	}
	c := &ticks{
		start: from.at,
		first: from.ticks,
		rate:  rate - rate>>lag,
		stale: uint64(syncEvery) << 32 / rate,
		slack: uint64(syncSlack) << 32 / rate,
	}
	c.offset.Store(int64(spent) - c.nanoseconds(counted))
	c.synced.Store(counted)
	return c
}

// worthTicks reports whether reading the counter is cheaper than asking the operating
// system. It is not where a hypervisor intercepts each reading.
func worthTicks() bool {
	const times = 16
	var counter, system uint64
	begun := readTicks()
	for range times {
		counter = readTicks()
	}
	counter -= begun
	begun = readTicks()
	for range times {
		_ = time.Since(steady.origin.at)
	}
	system = readTicks() - begun
	return counter < system
}
