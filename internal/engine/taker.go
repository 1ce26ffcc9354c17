package engine

import (
	"sync/atomic"
	"time"
)

// Taker is one consumer's end of a [Queue]: it takes items in chunks and hands them out
// one at a time. What it holds and has not handed out can be taken over by another
// taker of the queue that has nothing to do, so an item never waits behind a slow one
// while a taker is idle. One goroutine at a time uses a taker.
type Taker[T any] struct {
	q    *Queue[T]
	mate *mate // the one that works with it; may be written by whatever parks or rouses the taker

	// chunk[next:end] is what is left, with next<<32|end in span. Only the owner raises
	// next, and only a thief that holds q.mu lowers end: so the owner needs no lock to
	// hand out an item.
	chunk []T
	span  atomic.Uint64
	base  uint64 // sequence number of chunk[0]

	// alone says that there is no other taker: next and end are first and count.
	alone        bool
	first, count int
	at           int // place of the item handed out last

	pace    pace
	started int64 // clock reading at the start of the chunk
	ran     int   // items handed out of the chunk, except
	skipped int   // those that say nothing about what items cost

	_ [cacheLine]byte

	// Guarded by q.mu.
	under  *Taker[T] // the next idle one
	parked bool      // in the stack of idle takers
	roused bool      // on the way
	handed bool      // woken with an item in hand
	sent   bool      // told to end although there may be work
	place  int       // in q.loaded, counted from 1; 0: not in it
	entry  *Entry[T] // the entry that it holds, if it was taken from the lane
	since  int64     // clock reading at which it took its chunk

	// Of a taker that works in a crew. begin, if set, is called by the first rouse instead
	// of a wake.
	crew    *Crew[T]
	handler Handler[T]
	begin   func()
}

// NewTaker makes the only consumer of the queue.
func (q *Queue[T]) NewTaker() *Taker[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.newTakerLocked()
	t.alone = true
	return t
}

func (q *Queue[T]) newTakerLocked() *Taker[T] {
	return &Taker[T]{q: q, mate: &mate{wake: make(chan struct{}, 1)}}
}

// rouse starts or wakes a taker that balanceLocked chose; a nil taker is none.
func (t *Taker[T]) rouse() {
	if t == nil {
		return
	}
	if begin := t.begin; begin != nil {
		t.begin = nil
		begin()
		return
	}
	t.mate.wake <- struct{}{}
}

// rouseBy is rouse, unless m can go to the taker itself.
func (t *Taker[T]) rouseBy(m *mate) {
	if t == nil || m == nil || t.crew == nil || t.begin != nil {
		t.rouse()
		return
	}
	m.next = t
}

// rouseAll wakes a whole stack of takers that has been cut off.
func (t *Taker[T]) rouseAll() {
	for t != nil {
		under := t.under // once woken, t may park again
		t.under = nil
		t.mate.wake <- struct{}{}
		t = under
	}
}

// PutBack puts the item that Claim handed out last, and all after it, back where they
// were taken from, because its owner cannot start the item now. The owner must come for
// more with Retake or Next. Until then the taker counts as on the way, so that no other
// taker is roused for what this one could not start.
func (t *Taker[T]) PutBack() {
	q := t.q
	q.mu.Lock()
	if t.entry != nil {
		if !t.entry.helped {
			q.lane.untake(t.entry)
		}
		t.entry = nil
		var zero T
		t.chunk[t.at] = zero
	} else {
		_, n := cut(&t.span, 1)
		q.putBackLocked(t.chunk[t.at : t.at+1+n])
	}
	t.Skip()
	t.unloadLocked()
	if !q.onTheWay {
		q.onTheWay, t.roused = true, true
	}
	q.unlock(nil)
	t.forget(q.clock.Now()) // what it waits for now does not count as the cost of an item
}

// Skip says that the item that Claim handed out last was not done.
func (t *Taker[T]) Skip() {
	t.ran--
	t.skipped++
}

// Retake takes again after PutBack and hands out the first item, or nil if there is
// nothing left for it.
func (t *Taker[T]) Retake() *T {
	q := t.q
	now := q.clock.Now()
	t.started = now
	q.mu.Lock()
	if t.roused {
		t.roused, q.onTheWay = false, false
	}
	if !t.takeLocked(MaxChunk) && !t.stealLocked() {
		q.unlock(q.balanceLocked(q.openLocked() || q.loosenedLocked()))
		return nil
	}
	t.since = now
	t.leave(now)
	return t.Claim()
}

// depth returns the length of a stack of takers.
func (t *Taker[T]) depth() int {
	n := 0
	for ; t != nil; t = t.under {
		n++
	}
	return n
}

// Claim hands out the next item of the chunk, or nil when none is left. The item stays
// where it is until the next call of Next.
func (t *Taker[T]) Claim() *T {
	var next, end int
	if t.alone {
		t.first++
		next, end = t.first, t.count
	} else {
		next, end = unpack(t.span.Add(1 << 32))
	}
	if next > end {
		return nil
	}
	t.at = next - 1
	t.ran++
	return &t.chunk[t.at]
}

// Seq returns the sequence number of the item that Claim handed out last: its place in
// the order in which items entered the queue.
func (t *Taker[T]) Seq() uint64 { return t.base + uint64(t.at) }

// Started returns the clock reading at which the current chunk was taken.
func (t *Taker[T]) Started() int64 { return t.started }

// Next gets the next chunk, and waits for one if it must. It returns false when the
// queue is closed and nothing is left, in the ring or with other takers.
//
// now is a clock reading from after the last item was done, or 0 to make Next read the
// clock.
func (t *Taker[T]) Next(now int64) bool {
	ok, _, _ := t.next(now, nil)
	return ok
}

// Drain throws away all that comes until the queue is closed and empty.
func (t *Taker[T]) Drain() {
	for t.Next(0) { // the items are not wanted
	}
}

// NextBefore is Next with a limit on the wait: it also returns ok false if timeout
// fires first. more tells the two cases apart: it is true if the queue may still give
// items. late reports whether a value was received from timeout, which may be so even if
// there is a chunk that came at the same moment.
func (t *Taker[T]) NextBefore(timeout <-chan time.Time) (ok, more, late bool) {
	return t.next(0, timeout)
}

func (t *Taker[T]) next(now int64, timeout <-chan time.Time) (ok, more, late bool) {
	for how := free; ; how = roused {
		switch t.come(how, now) {
		case found:
			return true, true, late
		case over:
			return false, false, late
		case idle:
		}
		if timeout == nil {
			<-t.mate.wake
			continue
		}
		if !late {
			select {
			case <-t.mate.wake:
				continue
			case <-timeout:
				late = true
			}
		}
		if t.unpark() {
			return false, true, late
		}
		<-t.mate.wake // it was roused at the same moment
	}
}

// unpark takes t out of the stack of idle takers, and reports whether it was in it.
func (t *Taker[T]) unpark() bool {
	q := t.q
	q.mu.Lock()
	parked := t.parked
	if parked {
		q.unparkLocked(t)
	}
	q.unlock(nil)
	return parked
}

// come gets the next chunk if there is one, and otherwise parks t: when its mate is
// woken, it must call come again, as roused.
func (t *Taker[T]) come(how arrival, now int64) outcome {
	q := t.q
	if how == resumed {
		return found
	}
	if how == roused || now == 0 {
		now = q.clock.Now()
	}
	if how == free {
		t.forget(now)
	} else if t.handed {
		t.accept(now)
		return found
	}
	q.mu.Lock()
	if how == free {
		t.unloadLocked()
		t.entry = nil
	}
	for {
		if t.roused {
			t.roused, q.onTheWay = false, false
		}
		if t.sent || q.leaving > 0 {
			if !t.sent {
				t.sent, q.leaving = true, q.leaving-1
			}
			q.unlock(q.balanceLocked(q.openLocked() || q.loosenedLocked()))
			return over
		}
		if len(q.loaded) > 0 && q.items.size > 0 {
			q.recallLateLocked(now)
		}
		// While takers are hungry, producers hold nothing back.
		if t.takeLocked(MaxChunk) || !q.hungry.Load() && q.collectLocked() && t.takeLocked(MaxChunk) || t.stealLocked() {
			t.since = now
			t.leave(now)
			return found
		}
		if q.overLocked() {
			q.unlock(nil)
			return over
		}
		t.under, q.idle, t.parked = q.idle, t, true
		switch o := q.balanceLocked(false); {
		case o != t:
			t.mate = t.mate.swap()
			q.unlock(o)
			return idle
		case t.handed: // something came in meanwhile
			q.unlock(nil)
			t.accept(now)
			return found
		}
	}
}

// accept starts the chunk that was handed to t.
func (t *Taker[T]) accept(now int64) { t.handed, t.started, t.ran = false, now, 0 }

// leave ends the step under the lock in which t got a chunk, at now: it gives the room
// that was made to producers, and sends the next taker.
func (t *Taker[T]) leave(now int64) {
	q := t.q
	q.refillLocked()
	o := q.balanceLocked(t.place > 0 || q.openLocked() || q.loosenedLocked())
	var done *Taker[T]
	if q.overLocked() {
		done = q.dismissLocked()
	}
	q.unlock(o)
	done.rouseAll()
	t.started, t.ran = now, 0
}

// forget drops the chunk that is done, and learns from it what an item costs.
func (t *Taker[T]) forget(now int64) {
	if t.ran+t.skipped == 0 {
		return
	}
	clear(t.chunk[:t.at+1])
	t.skipped = 0
	if t.ran == 0 {
		return
	}
	t.pace.learn(now-t.started, t.ran)
	t.ran = 0
}

// takeLocked takes an entry, or a chunk from the ring: what is there, but no more than
// limit, the pace of t and the window allow.
func (t *Taker[T]) takeLocked(limit int) bool {
	q := t.q
	if q.held {
		return false
	}
	n := min(q.items.size, t.pace.fit(limit))
	if e, waits := q.nextEntryLocked(); e != nil {
		q.lane.take(e)
		t.entry = e
		t.roomFor(1)
		t.chunk[0] = e.Value
		t.holdLocked(1)
		return true
	} else if waits {
		n = min(n, 1) // do not hold items that an entry may go before
	}
	if q.window != nil {
		n = min(n, q.window.room(q.taken))
	}
	if n <= 0 {
		return false
	}
	t.roomFor(n)
	t.base = q.taken
	q.shiftLocked(t.chunk[:n])
	t.holdLocked(n)
	return true
}

// roomFor makes the chunk long enough for n items.
func (t *Taker[T]) roomFor(n int) {
	switch {
	case len(t.chunk) >= n:
	case n == 1:
		t.chunk = make([]T, 1)
	default:
		t.chunk = make([]T, min(max(n, 2*len(t.chunk)), MaxChunk))
	}
}

// stealLocked takes over half of what another taker has not started: the later half or,
// where items are to start in order, the earlier half of what all takers have.
func (t *Taker[T]) stealLocked() bool {
	q := t.q
	if q.held {
		return false
	}
	if q.Older != nil {
		if len(q.loaded) > 0 {
			q.recallLocked()
		}
		return t.takeLocked(min(max((q.items.size+1)/2, 1), MaxChunk))
	}
	for _, v := range q.loaded {
		first, n := cutHalf(&v.span)
		if n == 0 {
			continue
		}
		if len(t.chunk) < n {
			t.chunk = make([]T, n)
		}
		loot := v.chunk[first : first+n]
		copy(t.chunk, loot)
		clear(loot)
		t.base = v.base + uint64(first)
		t.holdLocked(n)
		return true
	}
	return false
}

// loosenedLocked reports whether an idle taker could take over something.
func (q *Queue[T]) loosenedLocked() bool {
	if len(q.loaded) == 0 || q.onTheWay || q.idle == nil && q.spare == 0 {
		return false
	}
	for _, v := range q.loaded {
		if next, end := unpack(v.span.Load()); next < end {
			return true
		}
	}
	return false
}

func (t *Taker[T]) holdLocked(n int) {
	if t.alone {
		t.first, t.count = 0, n
		return
	}
	if n > 1 {
		t.q.loaded = append(t.q.loaded, t)
		t.place = len(t.q.loaded)
	}
	t.span.Store(uint64(n))
}

// unloadLocked removes t from the takers that hold several items.
func (t *Taker[T]) unloadLocked() {
	if t.place == 0 {
		return
	}
	q := t.q
	last := q.loaded[len(q.loaded)-1]
	q.loaded[t.place-1], last.place = last, t.place
	q.loaded[len(q.loaded)-1] = nil
	q.loaded = q.loaded[:len(q.loaded)-1]
	t.place = 0
}
