package engine

import (
	"sync/atomic"
	"time"
)

// Taker is one consumer's end of a [Queue]: it takes items in chunks and hands
// them out one at a time. What it holds and has not handed out yet can be taken
// over by another taker of the queue that has nothing to do, so an item never
// waits behind a slow one while somebody is idle. One goroutine at a time uses
// a taker.
type Taker[T any] struct {
	q    *Queue[T]
	wake chan struct{}

	// chunk[next:end] is what is left, with next<<32|end in span. The owner
	// raises next, and only a thief that holds q.mu lowers end: that is why the
	// owner needs no lock to hand out an item.
	chunk []T
	span  atomic.Uint64
	base  uint64 // sequence number of chunk[0]

	// alone says that there is no other taker: next and end are first and count.
	alone        bool
	first, count int
	at           int // place of the item handed out last

	pace    pace
	started int64 // clock reading at the start of the chunk
	ran     int   // items handed out of it

	_ [cacheLine]byte

	// Guarded by q.mu.
	under  *Taker[T] // the next idle one
	parked bool      // in the stack of the idle
	roused bool      // on the way
	many   bool      // counted in q.chunks

	// begin, if set, is what the first rouse calls instead of a wake.
	begin func()
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
	t := &Taker[T]{q: q, wake: make(chan struct{}, 1)}
	q.takers = append(q.takers, t)
	return t
}

// rouse starts or wakes a taker that balanceLocked chose; nil is nobody.
func (t *Taker[T]) rouse() {
	if t == nil {
		return
	}
	if begin := t.begin; begin != nil {
		t.begin = nil
		begin()
		return
	}
	t.wake <- struct{}{}
}

// rouseAll wakes a whole stack that dismissLocked has cut off.
func (t *Taker[T]) rouseAll() {
	for t != nil {
		under := t.under // once woken, t may park again
		t.under = nil
		t.wake <- struct{}{}
		t = under
	}
}

// Claim hands out the next item of the chunk; nil when there is none left. The
// item stays where it is until the next call of Next.
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

// Seq is the sequence number of the item that Claim handed out last: its place
// in the order in which items entered the queue.
func (t *Taker[T]) Seq() uint64 { return t.base + uint64(t.at) }

// Started is the clock reading at which the chunk at hand was taken.
func (t *Taker[T]) Started() int64 { return t.started }

// Next gets the next chunk and waits for one if it must. It returns false when
// the queue is closed and nothing is left, in the ring or with other takers.
//
// now is a clock reading from after the last item was done, or 0 to have Next
// make one.
func (t *Taker[T]) Next(now int64) bool {
	ok, _ := t.next(now, nil)
	return ok
}

// Drain throws away all that comes until the queue is closed and empty.
func (t *Taker[T]) Drain() {
	for t.Next(0) { // nobody wants them
	}
}

// NextBefore is Next with an end to the waiting: it returns ok false also when
// timeout fires first. more tells the two apart: true if the queue may yet give.
func (t *Taker[T]) NextBefore(timeout <-chan time.Time) (ok, more bool) {
	return t.next(0, timeout)
}

func (t *Taker[T]) next(now int64, timeout <-chan time.Time) (ok, more bool) {
	t.forget(now)
	q := t.q
	q.mu.Lock()
	if t.many {
		t.many = false
		q.chunks--
	}
	for {
		if t.roused {
			t.roused, q.onTheWay = false, false
		}
		if t.takeLocked() || q.collectLocked() && t.takeLocked() || t.stealLocked() {
			t.leave(now)
			return true, true
		}
		if q.closed && q.items.size == 0 {
			q.unlock(nil)
			return false, false
		}
		t.under, q.idle, t.parked = q.idle, t, true
		o := q.balanceLocked(false)
		if o == t {
			continue // something came in between
		}
		q.unlock(o)
		now = 0
		if timeout == nil {
			<-t.wake
		} else {
			select {
			case <-t.wake:
			case <-timeout:
				q.mu.Lock()
				if t.parked {
					q.unparkLocked(t)
					q.unlock(nil)
					return false, true
				}
				q.unlock(nil)
				<-t.wake // somebody roused it at the same moment
			}
		}
		q.mu.Lock()
	}
}

// leave ends the step under the lock in which t got a chunk: it gives the room
// that was made to producers, sends the next taker, and looks at the clock.
func (t *Taker[T]) leave(now int64) {
	q := t.q
	q.refillLocked()
	o := q.balanceLocked(t.many || q.openLocked() || q.loosenedLocked())
	var done *Taker[T]
	if q.closed && q.items.size == 0 {
		done = q.dismissLocked()
	}
	q.unlock(o)
	done.rouseAll()
	if now == 0 {
		now = q.clock.Now()
	}
	t.started, t.ran = now, 0
}

// forget drops the chunk that is done with and learns from it what an item costs.
func (t *Taker[T]) forget(now int64) {
	if t.ran == 0 {
		return
	}
	clear(t.chunk[:t.at+1])
	if now == 0 {
		now = t.q.clock.Now()
	}
	t.pace.learn(now-t.started, t.ran)
	t.ran = 0
}

// takeLocked takes a chunk from the ring: what is there, but no more than the
// pace of t and the window let through.
func (t *Taker[T]) takeLocked() bool {
	q := t.q
	n := min(q.items.size, t.pace.fit(MaxChunk))
	if q.window != nil {
		n = min(n, q.window.room(q.taken))
	}
	if n <= 0 {
		return false
	}
	if n > 1 && len(t.chunk) < n {
		t.chunk = make([]T, min(max(n, 2*len(t.chunk)), MaxChunk))
	} else if t.chunk == nil {
		t.chunk = make([]T, 1)
	}
	q.items.shift(t.chunk[:n])
	t.base = q.taken
	q.taken += uint64(n)
	t.holdLocked(n)
	return true
}

// stealLocked takes over the later half of what another taker has not started.
func (t *Taker[T]) stealLocked() bool {
	q := t.q
	if q.chunks == 0 {
		return false
	}
	for _, v := range q.takers {
		if !v.many {
			continue
		}
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
	if q.chunks == 0 || q.onTheWay || q.idle == nil && q.spare == 0 {
		return false
	}
	for _, v := range q.takers {
		if next, end := unpack(v.span.Load()); v.many && next < end {
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
		t.many = true
		t.q.chunks++
	}
	t.span.Store(uint64(n))
}
