package ratelimit

import (
	"math"
	"sync/atomic"
	"time"
)

// Limiter allows events up to a [Limit], with bursts. It has the methods of
// golang.org/x/time/rate.Limiter, and more.
//
// It is a token bucket: it holds at most burst tokens, starts full, and gains limit
// tokens per second; each event takes one. In every span of time W at most burst +
// limit*W events are let through, however callers race and clocks step.
//
// Use [Limiter.Wait] to slow down, [Limiter.Allow] to drop events above the limit,
// [Limiter.Take] to tell a client when to come back, and [Limiter.Reserve] to get the
// time at which events may happen.
//
// The zero value is a limiter with a limit and a burst of zero, as in x/time: it allows
// nothing until [Limiter.SetLimit] and [Limiter.SetBurst] are called, and is empty then.
// A Limiter must not be copied after first use. Its methods may be called from any
// goroutine at any time.
type Limiter struct {
	// state is replaced, never changed, when limit or burst change. A caller that still
	// works on the old bucket finds it closed: see bucket.
	state atomic.Pointer[bucket]
	line  line
}

// bucket is the state of the GCRA: the theoretical arrival time, in one word, and what
// is needed to interpret it. This is the time at which the bucket will be full again, in
// ticks since the base. While the word holds waiting or busy instead, the fast path
// stays out, and the time is in tat, guarded by the mutex of the line.
type bucket struct {
	word atomic.Int64
	meter
	epoch time.Time // of the limiter
	base  int64     // ns since the epoch at which ticks are 0
	limit Limit
	size  int // the burst as it was set
	tat   int64
}

// Values of the word of a bucket that are not times.
const (
	waiting int64 = math.MaxInt64 - 1 // callers wait in line: deny
	busy    int64 = math.MaxInt64     // the mutex is held or needed: retry with it

	// Times before all others, which are not below -2*maxTicks.
	unused int64 = math.MinInt64
	long   int64 = -2 * maxTicks // this long ago or longer
)

// offset returns t in ns since the epoch, clamped to ±2^62 so that the difference of two
// offsets does not overflow.
func offset(t, epoch time.Time) int64 {
	return min(max(int64(t.Sub(epoch)), -1<<62), 1<<62-1)
}

// NewLimiter returns a Limiter, with a full bucket, that allows limit events per second
// and bursts of up to burst events. A limit or burst below zero counts as zero, and a
// burst above 2^40 as 2^40. It panics if limit is NaN.
func NewLimiter(limit Limit, burst int) *Limiter {
	l := new(Limiter)
	l.set(time.Now(), checked("NewLimiter", limit), burst)
	return l
}

// set initializes l.
func (l *Limiter) set(epoch time.Time, limit Limit, burst int) {
	b := newBucket(newMeter(limit, burst), epoch, limit, burst)
	if !b.unlimited {
		b.word.Store(unused)
	}
	b.tat = unused
	l.line.epoch = epoch
	l.line.rule = l
	l.state.Store(b)
}

// newBucket returns a bucket that is closed to the fast path.
func newBucket(m meter, epoch time.Time, limit Limit, burst int) *bucket {
	b := &bucket{meter: m, epoch: epoch, limit: limit, size: burst}
	b.word.Store(busy)
	return b
}

func checked(method string, limit Limit) Limit {
	if math.IsNaN(float64(limit)) {
		panic("ratelimit: " + method + ": the limit is not a number")
	}
	return limit
}

func checkN(method string, n int) {
	if n < 0 {
		panic("ratelimit: " + method + ": negative n")
	}
}

// Allow reports whether an event may happen now, and takes its token if so. It does not
// wait, and returns false while callers wait in line for this limiter.
func (l *Limiter) Allow() bool {
	b := l.state.Load()
	if b == nil {
		return false
	}
	// The word is read after the clock, so that little time passes before it is swapped.
	since := int64(time.Since(b.epoch)) - b.base
	tat := b.word.Load()
	if tat >= waiting {
		return tat == busy && l.allowLocked(since+b.base, 1)
	}
	if uint64(since) > uint64(b.reach) {
		return l.allowLocked(since+b.base, 1)
	}
	now := b.ticks(since)
	for {
		next := max(tat, now) + b.cost
		if next-now > b.depth {
			return false
		}
		if b.word.CompareAndSwap(tat, next) {
			return true
		}
		if tat = b.word.Load(); tat >= waiting {
			return tat == busy && l.allowLocked(since+b.base, 1)
		}
	}
}

// AllowN reports whether n events may happen at time t, and takes their tokens if so:
// all or none. It does not wait, and returns false while callers wait in line for this
// limiter.
//
// If n is zero, AllowN takes nothing and returns true. If n is above the burst, it
// returns false, unless the limit is [Inf]. It panics if n is negative.
//
// Times may come in any order. For a call with an earlier time, tokens taken at later
// times are already gone: a clock that steps back gets no token twice, and none at all
// until it has caught up (golang/go#56287, golang/go#71360). Times more than 146 years
// before or after the limiter was made count as 146 years.
func (l *Limiter) AllowN(t time.Time, n int) bool {
	checkN("AllowN", n)
	b := l.state.Load()
	if n == 0 || b == nil {
		return n == 0
	}
	return l.allow(b, offset(t, b.epoch), n)
}

// allow is AllowN for n >= 1 at a time in ns since the epoch.
func (l *Limiter) allow(b *bucket, at int64, n int) bool {
	tat := b.word.Load()
	if tat >= waiting {
		return tat == busy && l.allowLocked(at, n)
	}
	since := at - b.base
	if int64(n) > b.burst {
		return false
	}
	if since > b.reach || since < 0 {
		return l.allowLocked(at, n)
	}
	now := b.ticks(since)
	price := int64(n) * b.cost
	for {
		next := max(tat, now) + price
		if next-now > b.depth {
			return false
		}
		if b.word.CompareAndSwap(tat, next) {
			return true
		}
		if tat = b.word.Load(); tat >= waiting {
			return tat == busy && l.allowLocked(at, n)
		}
	}
}

// allowAt is AllowN for n >= 1 at a time in ns since the epoch.
func (l *Limiter) allowAt(at int64, n int) bool { return l.allow(l.state.Load(), at, n) }

// allowLocked handles the rare cases: a pause, a time far from the base, a word that
// another goroutine is about to change.
func (l *Limiter) allowLocked(at int64, n int) bool {
	if b := l.state.Load(); b.unlimited && !l.line.paused.Load() {
		return true
	}
	l.line.lock()
	defer l.line.unlock()
	return l.line.allow(at, n)
}
