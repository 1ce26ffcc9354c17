package engine

import (
	"sync"
	"sync/atomic"
)

// maxRange is the maximum number of indices that a runner takes at once.
const maxRange = 1024

// Indices hands out the numbers from 0 to n-1 to any number of runners, each number once.
// Like the takers of a [Queue], a runner takes a range at once, going by what its calls
// have cost lately, and a runner that finds nothing left takes over half of what another
// one has not started.
type Indices struct {
	clock Clock

	mu      sync.Mutex
	next, n int
	runners []*Runner
	over    bool // all have been started; never unset
}

// NewIndices returns the numbers from 0 to n-1.
func NewIndices(clock Clock, n int) *Indices { return &Indices{clock: clock, n: n} }

// Runner takes numbers. One goroutine at a time uses it.
type Runner struct {
	x       *Indices
	span    atomic.Uint64 // next<<32|end, counted from base; see Taker.span
	base    int           // written under x.mu
	pace    pace
	started int64
	ran     int
	_       [cacheLine]byte // keeps the span of another runner off this cache line
}

// NewRunner adds a runner.
func (x *Indices) NewRunner() *Runner {
	r := &Runner{x: x}
	x.mu.Lock()
	x.runners = append(x.runners, r)
	x.mu.Unlock()
	return r
}

// Left reports whether there are numbers that no runner has started.
func (x *Indices) Left() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.next < x.n {
		return true
	}
	if x.over {
		return false
	}
	for _, r := range x.runners {
		if next, end := unpack(r.span.Load()); next < end {
			return true
		}
	}
	return false
}

// Claim takes the next number of the current range.
func (r *Runner) Claim() (i int, ok bool) {
	next, end := unpack(r.span.Add(1 << 32))
	if next > end {
		return 0, false
	}
	r.ran++
	return r.base + next - 1, true
}

// Left reports whether anything is left of the current range.
func (r *Runner) Left() bool {
	next, end := unpack(r.span.Load())
	return next < end
}

// Next gets the next range. It returns false when all numbers have been taken.
func (r *Runner) Next() bool {
	x := r.x
	now := x.clock.Now()
	if r.ran > 0 {
		r.pace.learn(now-r.started, r.ran)
	}
	r.started, r.ran = now, 0

	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return false
	}
	// The share shrinks towards the end, so that all runners end together.
	share := max((x.n-x.next)/(2*len(x.runners)), 1)
	if n := min(r.pace.fit(maxRange), share, x.n-x.next); n > 0 {
		r.base = x.next
		x.next += n
		r.span.Store(uint64(n))
		return true
	}
	for _, v := range x.runners {
		if first, n := cutHalf(&v.span); n > 0 {
			r.base = v.base + first
			r.span.Store(uint64(n))
			return true
		}
	}
	x.over = true // spares thousands of runners a look at each other
	return false
}

// unpack splits a span into its next place and its end.
func unpack(span uint64) (next, end int) { return int(span >> 32), int(uint32(span)) }

// cutHalf cuts the later half off a span, and returns where it starts and how long it is;
// n is 0 if nothing is left. The owner may hand out places meanwhile.
func cutHalf(span *atomic.Uint64) (first, n int) { return cut(span, 2) }

// cut cuts one part in parts, rounded up, off the end of a span.
func cut(span *atomic.Uint64, parts int) (first, n int) {
	for {
		was := span.Load()
		next, end := unpack(was)
		if n = (end - next + parts - 1) / parts; n <= 0 {
			return 0, 0
		}
		if span.CompareAndSwap(was, uint64(next)<<32|uint64(end-n)) {
			return end - n, n
		}
	}
}
