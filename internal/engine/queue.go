package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// MaxChunk is the most items that change hands under one lock; for the choice see
// docs/adr/0004-one-engine.md.
const MaxChunk = 64

// Errors returned by a put whose item did not go in.
var (
	ErrFull   = errors.New("queue full")
	ErrClosed = errors.New("queue closed")
)

// cacheLine is the smallest unit that processors exchange when one of them writes what
// another reads.
const cacheLine = 64

// Queue is a bounded first-in-first-out hand-off between any number of producers and
// takers. See the package comment for how it works.
//
// Each producer has an [Outbox] (or calls [Queue.Put]), and each consumer a [Taker].
// Create a Queue with [NewQueue]; it must not be copied.
//
// mu guards all fields below it and those fields of the queue's takers and outboxes
// that say so. It is held for memory moves only: no user code, no channel operation and
// no other lock happens under it. Every step under mu ends in unlock, which then does,
// without mu, what the step has found to be done.
type Queue[T any] struct {
	// The fields up to limit may be set before the queue is used, and are called
	// under mu.

	// Dead reports whether an item is no longer wanted. The caller that makes an item so
	// calls [Queue.Bury]. Place returns a word of the item, at first 0, that is for the
	// queue. Either both are set or none.
	Dead  func(T) bool
	Place func(T) *uint32
	// Admitted is told of an item that has gone in by Put, Enter or the like, and whether
	// the item had to wait for room.
	Admitted func(v T, waited bool)
	// Age is the clock reading that ranks an item against the entries of the lane, and
	// Older decides between two with the same reading.
	Age   func(T) int64
	Older func(a, b T) bool

	limit int
	clock Clock

	// hungry means that a taker is idle, no taker is on the way, and every outbox has been
	// looked into since. A producer that publishes an item and then reads it as true must
	// flush. Written under mu.
	hungry atomic.Bool

	_  [cacheLine]byte // separates what every put reads from what every step writes
	mu sync.Mutex

	items    ring[T]
	taken    uint64 // items that left the ring: the sequence number of its head
	accepted uint64 // items that went in, in any way
	closed   bool
	held     bool // nothing is to be taken for now

	// lane has the items that do not simply go first in, first out; it is nil until there
	// is one. alarm is set to the time at which the next of them is due.
	lane     *lane[T]
	aging    int64
	capacity int64
	alarm    *time.Timer
	alarmAt  int64 // 0: not set

	// Takers. At most one of them is on the way at any time; one that arrives and leaves
	// something behind sends the next.
	idle     *Taker[T] // a stack: the taker that parked last is roused first
	onTheWay bool
	loaded   []*Taker[T]      // those that took more than one item and have not come back
	spare    int              // takers that could still be started
	leaving  int              // takers that are to end although there may be work
	start    func() *Taker[T] // makes one of the spare ones; called under mu
	drained  func()           // called, without mu, when the closed queue was emptied by something other than a taker

	// Producers.
	boxes   []*Outbox[T]
	blocked line[T]     // those that wait for room, in order of arrival
	orders  []*Order[T] // of the ordered stages that feed the queue
	turn    int         // which of them is given room first; see refillLocked

	// window is set when the stage that takes from this queue is ordered: item
	// number n may be taken once number n-window.size has been passed on.
	window *window

	dead int // items in the ring that are buried
	peak int // the most items that were in the ring

	// void says that nothing is taken any more: what is put vanishes. Written under mu.
	void atomic.Bool

	// served is what unlock still has to wake: producers whose items went in.
	served line[T]
}

// NewQueue returns a queue of at most limit items.
func NewQueue[T any](clock Clock, limit int) *Queue[T] {
	return &Queue[T]{limit: limit, clock: clock}
}

// Put adds one item, and waits while the queue is full, until ctx ends or the queue is
// closed. Waiting callers are served in order of arrival.
func (q *Queue[T]) Put(ctx context.Context, v T) error { return q.put(ctx, v, nil) }

// Enter is Put for an item that does not simply go first in, first out.
func (q *Queue[T]) Enter(ctx context.Context, e *Entry[T]) error { return q.put(ctx, e.Value, e) }

func (q *Queue[T]) put(ctx context.Context, v T, e *Entry[T]) error {
	q.mu.Lock()
	if q.closed || !q.fullLocked() {
		return q.putLocked(v, e)
	}
	b := &Outbox[T]{q: q, buf: []T{v}, used: 1, wake: make(chan struct{}, 1), single: true, entry: e}
	b.published.Store(1)
	q.blocked.add(b)
	q.unlock(nil)

	select {
	case <-b.wake:
	case <-ctx.Done():
		q.mu.Lock()
		gone := !b.served
		if gone {
			q.blocked.remove(b)
		}
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

// TryPut adds one item, or returns at once why it cannot: ErrFull or ErrClosed.
func (q *Queue[T]) TryPut(v T) error { return q.tryPut(v, nil) }

// TryEnter is TryPut for an item that does not simply go first in, first out.
func (q *Queue[T]) TryEnter(e *Entry[T]) error { return q.tryPut(e.Value, e) }

func (q *Queue[T]) tryPut(v T, e *Entry[T]) error {
	q.mu.Lock()
	if !q.closed && q.fullLocked() {
		q.unlock(nil)
		return ErrFull
	}
	return q.putLocked(v, e)
}

// Replace adds one item, which is e's if e is not nil. If the queue is full, it takes
// out the oldest item to make room and returns it. The error is nil or ErrClosed.
func (q *Queue[T]) Replace(v T, e *Entry[T]) (dropped T, full bool, err error) {
	q.mu.Lock()
	if full = !q.closed && q.fullLocked(); full {
		dropped = q.dropLocked()
	}
	return dropped, full, q.putLocked(v, e)
}

// dropLocked takes out the oldest item that is not buried.
func (q *Queue[T]) dropLocked() T {
	if q.lane != nil {
		e := q.lane.oldest()
		if e != nil && (q.items.size == 0 || q.Older(e.Value, q.items.first())) {
			q.lane.remove(e)
			q.movedLocked()
			return e.Value
		}
	}
	var first [1]T
	for isDead := true; isDead; {
		isDead = q.dead > 0 && q.isBuried(q.items.first())
		q.shiftLocked(first[:])
	}
	return first[0]
}

// putLocked adds v, for which there is room, and unlocks.
func (q *Queue[T]) putLocked(v T, e *Entry[T]) error {
	if q.closed {
		q.unlock(nil)
		return ErrClosed
	}
	if q.Admitted != nil {
		q.Admitted(v, false)
	}
	q.accepted++
	if e != nil {
		q.enterLocked(e)
	} else {
		if q.Place != nil {
			*q.Place(v) = q.placeOf(q.items.size)
		}
		q.items.push(v)
	}
	q.unlock(q.balanceLocked(q.openLocked()))
	return nil
}

// sizeLocked returns how many items are in the queue, dead or alive.
func (q *Queue[T]) sizeLocked() int {
	if q.lane == nil {
		return q.items.size
	}
	return q.items.size + q.lane.size
}

// roomLocked returns how many more items may go in.
func (q *Queue[T]) roomLocked() int { return q.limit - q.sizeLocked() + q.dead }

// overLocked reports whether the queue is empty and will stay so.
func (q *Queue[T]) overLocked() bool { return q.closed && q.sizeLocked() == 0 }

// fullLocked reports whether there is no room.
func (q *Queue[T]) fullLocked() bool { return q.roomLocked() <= 0 }

// Hold sets whether takers get nothing for now.
func (q *Queue[T]) Hold(held bool) {
	q.mu.Lock()
	q.held = held
	q.unlock(q.balanceLocked(q.openLocked() || q.loosenedLocked()))
}

// Close ends the intake: a Put that waits or comes later gets ErrClosed, and takers end
// once nothing is left. Outboxes must have been flushed before. Closing again does
// nothing.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	for q.blocked.first != nil {
		q.blocked.first.refused = true
		q.serveLocked()
	}
	idle := q.dismissLocked()
	q.unlock(nil)
	idle.rouseAll()
}

// Depth returns how many items wait in the ring, and the most that were in it.
func (q *Queue[T]) Depth() (waiting, peak int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.items.size, q.peak
}

// Counts returns how many items wait in the queue, and how many ever went in.
func (q *Queue[T]) Counts() (waiting int, accepted uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sizeLocked(), q.accepted
}

// unlock ends a step under mu and then wakes what the step has found: the taker t,
// which may be nil, producers whose items went in, and what waits in the stages before
// for a window that has moved.
func (q *Queue[T]) unlock(t *Taker[T]) { q.unlockBy(nil, t) }

// unlockBy is unlock for a mate that may itself do what the taker is roused for.
func (q *Queue[T]) unlockBy(m *mate, t *Taker[T]) {
	served := q.served
	q.served = line[T]{}
	var moved *window
	var part *part
	var more []func()
	for i, o := range q.orders {
		w, p := o.movedLocked()
		switch {
		case w == nil && p == nil:
		case i == 0:
			moved, part = w, p
		default:
			more = append(more, func() { wakeBehind(w, p) })
		}
	}
	q.mu.Unlock()

	t.rouseBy(m)
	for b := served.pop(); b != nil; b = served.pop() {
		b.wake <- struct{}{}
	}
	wakeBehind(moved, part)
	for _, wake := range more {
		wake()
	}
}

// wakeBehind wakes what an ordered stage's progress has let go on; either may be nil.
func wakeBehind(moved *window, part *part) {
	if moved != nil {
		moved.reopen()
	}
	if part != nil {
		part.wake <- struct{}{}
	}
}

// balanceLocked ends every step that could leave work and idle takers side by side. It
// returns the taker to rouse once mu is released, or nil. left says that something can
// be taken, from the ring or from another taker's chunk.
func (q *Queue[T]) balanceLocked(left bool) *Taker[T] {
	if q.onTheWay {
		return nil // the one on the way will look itself
	}
	if q.idle == nil && q.spare == 0 {
		q.setHungryLocked(false)
		return nil
	}
	if !left {
		if q.hungry.Load() {
			return nil
		}
		// First set the flag, then look: a producer does it the other way
		// round, so one of the two sees the other.
		q.hungry.Store(true)
		if !q.collectLocked() {
			return nil
		}
	}
	if q.held || len(q.loaded) == 0 && !q.openLocked() {
		return nil // held back by a full window, which rouses when it moves
	}
	t := q.idle
	if t == nil {
		q.spare--
		t = q.start()
	} else {
		q.idle, t.under, t.parked = t.under, nil, false
		if q.handLocked(t) {
			return t
		}
	}
	q.setHungryLocked(false)
	q.onTheWay, t.roused = true, true
	return t
}

// handLocked gives the only item in the queue to t, which was idle, and reports whether
// it did: then t need not come for it, and no taker is on the way.
func (q *Queue[T]) handLocked(t *Taker[T]) bool {
	if q.items.size != 1 || !q.plainLocked() || !t.takeLocked(1) {
		return false
	}
	t.handed = true
	return true
}

// handOverLocked is handLocked for the only item in b, which does not go through the
// ring. It returns the taker that has it, or nil if there is none.
func (q *Queue[T]) handOverLocked(b *Outbox[T]) *Taker[T] {
	t := q.idle
	if t == nil || q.onTheWay || b.taken > 0 || q.sizeLocked() > 0 || q.Admitted != nil || q.void.Load() {
		return nil
	}
	q.idle = t.under
	if !q.plainLocked() {
		q.idle = t
		return nil
	}
	t.under, t.parked, t.handed = nil, false, true
	t.roomFor(1)
	t.chunk[0] = b.buf[0]
	t.base = q.taken
	t.holdLocked(1)
	q.taken++
	q.accepted++
	q.peak = max(q.peak, 1)
	b.published.Store(0)
	b.used = 0
	clear(b.buf[:1])
	return t
}

// plainLocked reports whether an idle taker that was taken off the stack may be handed
// an item with nothing else to do: no producer waits for the room that it leaves, and
// the takers that stay behind are as hungry as before. They may be hungry if the
// outboxes have been looked into since they became idle; what was published later is
// flushed by its producer.
func (q *Queue[T]) plainLocked() bool {
	if q.closed || q.held || q.lane != nil || q.blocked.first != nil || len(q.orders) > 0 {
		return false
	}
	if q.window != nil && q.window.room(q.taken) <= 0 {
		return false
	}
	if q.idle == nil && q.spare == 0 {
		q.setHungryLocked(false)
		return true
	}
	return q.hungry.Load()
}

func (q *Queue[T]) setHungryLocked(v bool) {
	if q.hungry.Load() != v {
		q.hungry.Store(v)
	}
}

// openLocked reports whether something may be taken, from the ring or the lane.
func (q *Queue[T]) openLocked() bool {
	switch {
	case q.held:
		return false
	case q.items.size > 0:
		return q.window == nil || q.window.room(q.taken) > 0
	}
	return q.lane != nil && q.lane.best() != nil
}

// collectLocked moves what producers hold back into the ring, as far as there is room,
// and reports whether anything came in.
func (q *Queue[T]) collectLocked() bool {
	before := q.items.size
	for _, b := range q.boxes {
		b.moveLocked()
	}
	for _, o := range q.orders {
		o.releaseLocked()
	}
	return q.items.size > before
}

// refillLocked gives the room that a take has made to those that wait for it. If
// ordered stages feed the queue besides other producers, they take turns; otherwise the
// one that always went first could take all of the room. The first one that puts
// something in uses the turn, and the next turn belongs to the one after it. So none
// gets the turn of a stage that has nothing in addition to its own.
func (q *Queue[T]) refillLocked() {
	n := len(q.orders)
	if n == 0 {
		q.refillBlockedLocked()
		return
	}
	before, first := q.items.size, q.turn
	for i := range n + 1 {
		at := (first + i) % (n + 1)
		if at < n {
			q.orders[at].releaseLocked()
		} else {
			q.refillBlockedLocked()
		}
		if q.turn == first && q.items.size > before {
			q.turn = at + 1
		}
	}
}

func (q *Queue[T]) refillBlockedLocked() {
	for b := q.blocked.first; b != nil && q.roomLocked() > 0; b = q.blocked.first {
		b.moveLocked()
		if b.taken == b.used {
			q.serveLocked()
		}
	}
}

// serveLocked marks the first of those that wait for room to be woken.
func (q *Queue[T]) serveLocked() {
	b := q.blocked.pop()
	b.served = true
	q.served.add(b)
}

// dismissLocked empties the stack of idle takers, so that each of them checks again
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

// line is a first-in-first-out list of outboxes; each is in at most one.
type line[T any] struct{ first, last *Outbox[T] }

func (l *line[T]) add(b *Outbox[T]) {
	if b.before = l.last; b.before == nil {
		l.first = b
	} else {
		b.before.next = b
	}
	l.last = b
}

func (l *line[T]) pop() *Outbox[T] {
	b := l.first
	if b != nil {
		l.remove(b)
	}
	return b
}

// remove takes b out of the line, in which it must be.
func (l *line[T]) remove(b *Outbox[T]) {
	if b.before == nil {
		l.first = b.next
	} else {
		b.before.next = b.next
	}
	if b.next == nil {
		l.last = b.before
	} else {
		b.next.before = b.before
	}
	b.next, b.before = nil, nil
}
