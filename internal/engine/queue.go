package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// MaxChunk is the most items that change hands under one lock; for the choice see
// docs/adr/0004-one-engine.md.
const MaxChunk = 64

// What a put says when the item did not go in.
var (
	ErrFull   = errors.New("queue full")
	ErrClosed = errors.New("queue closed")
)

// cacheLine is what two processors pass back and forth at least when one of them
// writes what the other one reads.
const cacheLine = 64

// Queue is a bounded first-in-first-out hand-off between any number of
// producers and takers. See the package comment for how it works.
//
// Producers are an [Outbox] each (or call [Queue.Put]), takers a [Taker] each.
// Make one with [NewQueue]; it must not be copied.
//
// mu guards all fields below it and, of every taker and outbox of this queue,
// the fields that say so. It is held for memory moves only: no user code, no
// channel operation and no other lock happens under it. Every step under mu
// ends in unlock, which does outside what the step has found to be done.
type Queue[T any] struct {
	// Dead, if set, says of an item that nobody wants it any more. It is called
	// under mu. Who makes an item so calls [Queue.Bury].
	Dead func(T) bool

	limit int
	clock Clock

	// hungry says: a taker is idle, nobody is on the way, and every outbox has
	// been looked into since. Who publishes an item and then reads it true has
	// to flush. Written under mu.
	hungry atomic.Bool

	_  [cacheLine]byte // what every put reads is not what every step writes
	mu sync.Mutex

	items  ring[T]
	taken  uint64 // items that left the ring: the sequence number of its head
	closed bool

	// Takers. At most one of them is on the way at any time; who arrives and
	// leaves something behind sends the next.
	takers   []*Taker[T]
	idle     *Taker[T] // a stack: the last to park is the first to be roused
	onTheWay bool
	chunks   int              // takers that took more than one item and have not come back
	spare    int              // takers that could still be started
	start    func() *Taker[T] // makes one of them; called under mu

	// Producers.
	boxes   []*Outbox[T]
	blocked line[T]   // those that wait for room, in the order in which they came
	order   *Order[T] // set when an ordered stage feeds the queue

	// window is set when the stage that takes from this queue is ordered: item
	// number n may be taken once number n-window.size has been passed on.
	window *window

	dead int // items that may have died since the last look

	// served is what unlock still has to wake: producers whose items went in.
	served line[T]
}

// NewQueue returns a queue of at most limit items.
func NewQueue[T any](clock Clock, limit int) *Queue[T] {
	return &Queue[T]{limit: limit, clock: clock}
}

// Put adds one item and waits while the queue is full, until ctx ends or the
// queue is closed. Callers that wait are served in the order in which they came.
// admitted is called, under the lock, when an item that had to wait goes in.
func (q *Queue[T]) Put(ctx context.Context, v T, admitted func()) error {
	q.mu.Lock()
	if q.closed || !q.fullLocked() {
		return q.putLocked(v)
	}
	b := &Outbox[T]{q: q, buf: []T{v}, used: 1, wake: make(chan struct{}, 1), admitted: admitted}
	b.published.Store(1)
	q.blocked.add(b)
	q.unlock(nil)

	select {
	case <-b.wake:
	case <-ctx.Done():
		q.mu.Lock()
		gone := q.blocked.remove(b)
		q.unlock(nil)
		if gone {
			return context.Cause(ctx)
		}
		<-b.wake // it went in, or was turned away, at the same moment
	}
	if b.refused {
		return ErrClosed
	}
	return nil
}

// TryPut adds one item or says at once why not: ErrFull or ErrClosed.
func (q *Queue[T]) TryPut(v T) error {
	q.mu.Lock()
	if !q.closed && q.fullLocked() {
		q.unlock(nil)
		return ErrFull
	}
	return q.putLocked(v)
}

// putLocked adds v, for which there is room, and unlocks.
func (q *Queue[T]) putLocked(v T) error {
	if q.closed {
		q.unlock(nil)
		return ErrClosed
	}
	q.items.push(v)
	q.unlock(q.balanceLocked(true))
	return nil
}

// fullLocked reports whether there is no room, also after dead items are gone.
func (q *Queue[T]) fullLocked() bool {
	if q.items.size < q.limit {
		return false
	}
	if q.dead > 0 {
		q.dead = 0
		q.items.remove(q.Dead)
	}
	return q.items.size >= q.limit
}

// Bury says that an item which was put has died: it leaves its place to others at
// the latest when there is no other.
func (q *Queue[T]) Bury() {
	q.mu.Lock()
	q.dead++
	left := false
	if q.blocked.first != nil && !q.fullLocked() {
		q.refillLocked()
		left = true
	}
	q.unlock(q.balanceLocked(left))
}

// Close ends the intake: a Put that waits or comes later gets ErrClosed, and
// takers end once nothing is left. Outboxes must have been flushed before.
// Closing again does nothing.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	for b := q.blocked.pop(); b != nil; b = q.blocked.pop() {
		b.refused = true
		q.served.add(b)
	}
	idle := q.dismissLocked()
	q.unlock(nil)
	idle.rouseAll()
}

// Len returns how many items wait in the queue.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items.size
}

// unlock ends a step under mu and then wakes whom the step has found: the
// taker t, which may be nil, producers whose items went in, and, behind a
// window that has moved, the stage before.
func (q *Queue[T]) unlock(t *Taker[T]) {
	served := q.served
	q.served = line[T]{}
	var moved *window
	var part *part
	if q.order != nil {
		moved, part = q.order.movedLocked()
	}
	q.mu.Unlock()

	t.rouse()
	for b := served.pop(); b != nil; b = served.pop() {
		b.wake <- struct{}{}
	}
	if moved != nil {
		moved.reopen()
	}
	if part != nil {
		part.wake <- struct{}{}
	}
}

// balanceLocked ends every step that could leave work and idle takers side by
// side. It returns the taker to rouse once mu is released, or nil. left says
// that something can be taken, from the ring or from another taker's chunk.
func (q *Queue[T]) balanceLocked(left bool) *Taker[T] {
	if q.onTheWay {
		return nil // who is on the way looks for itself
	}
	if q.idle == nil && q.spare == 0 {
		q.setHungryLocked(false)
		return nil
	}
	if !left {
		if q.hungry.Load() {
			return nil
		}
		// First the flag, then the look: a producer does it the other way
		// round, so one of the two sees the other.
		q.hungry.Store(true)
		if !q.collectLocked() {
			return nil
		}
	}
	if q.chunks == 0 && !q.openLocked() {
		return nil // behind a full window; it rouses when it moves
	}
	q.setHungryLocked(false)
	q.onTheWay = true
	t := q.idle
	if t == nil {
		q.spare--
		t = q.start()
	} else {
		q.idle, t.under, t.parked = t.under, nil, false
	}
	t.roused = true
	return t
}

func (q *Queue[T]) setHungryLocked(v bool) {
	if q.hungry.Load() != v {
		q.hungry.Store(v)
	}
}

// openLocked reports whether the item at the head may be taken.
func (q *Queue[T]) openLocked() bool {
	return q.items.size > 0 && (q.window == nil || q.window.room(q.taken) > 0)
}

// collectLocked moves what producers hold back into the ring, as far as there
// is room, and reports whether anything came.
func (q *Queue[T]) collectLocked() bool {
	before := q.items.size
	for _, b := range q.boxes {
		b.moveLocked()
	}
	if q.order != nil {
		q.order.releaseLocked()
	}
	return q.items.size > before
}

// refillLocked gives the room that a take has made to those that wait for it.
func (q *Queue[T]) refillLocked() {
	for b := q.blocked.first; b != nil && q.items.size < q.limit; b = q.blocked.first {
		b.moveLocked()
		if b.taken == b.used {
			q.served.add(q.blocked.pop())
		}
	}
	if q.order != nil {
		q.order.releaseLocked()
	}
}

// dismissLocked empties the stack of idle takers, so that each looks again
// whether it is needed. It returns the stack.
func (q *Queue[T]) dismissLocked() *Taker[T] {
	idle := q.idle
	for t := idle; t != nil; t = t.under {
		t.parked = false
	}
	q.idle = nil
	return idle
}

// unparkLocked takes t out of the stack of idle takers.
func (q *Queue[T]) unparkLocked(t *Taker[T]) {
	for at := &q.idle; *at != nil; at = &(*at).under {
		if *at == t {
			*at, t.under, t.parked = t.under, nil, false
			return
		}
	}
}

// line is a first-in-first-out list of outboxes; each is in one at most.
type line[T any] struct{ first, last *Outbox[T] }

func (l *line[T]) add(b *Outbox[T]) {
	if l.last == nil {
		l.first = b
	} else {
		l.last.next = b
	}
	l.last = b
}

func (l *line[T]) pop() *Outbox[T] {
	b := l.first
	if b == nil {
		return nil
	}
	if l.first = b.next; l.first == nil {
		l.last = nil
	}
	b.next = nil
	return b
}

// remove takes b out of the line and reports whether it was in it.
func (l *line[T]) remove(b *Outbox[T]) bool {
	var before *Outbox[T]
	for at := l.first; at != nil; before, at = at, at.next {
		if at != b {
			continue
		}
		if before == nil {
			l.first = b.next
		} else {
			before.next = b.next
		}
		if l.last == b {
			l.last = before
		}
		b.next = nil
		return true
	}
	return false
}
