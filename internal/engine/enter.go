package engine

import (
	"cmp"
	"slices"
	"time"
)

// What a queue does with its lane: see lane.go for the order of its entries.

// Lanes sets what a queue's lane works with: how much waiting a step of priority
// stands for, and how much the entries that are taken and not done may weigh
// together. It is to be called before the first entry.
func (q *Queue[T]) Lanes(aging time.Duration, capacity int64) {
	q.aging, q.capacity = int64(aging), capacity
}

// Done says that an entry that was taken has ended, and lets those go on that waited
// for its key or its weight. For another entry it does nothing.
func (q *Queue[T]) Done(e *Entry[T]) {
	q.mu.Lock()
	if e.state != entryTaken {
		q.unlock(nil)
		return
	}
	q.lane.done(e)
	q.movedLocked()
	q.unlock(q.balanceLocked(q.openLocked()))
}

// Remove takes out an entry that was not taken yet, and reports whether it did.
func (q *Queue[T]) Remove(e *Entry[T]) bool {
	q.mu.Lock()
	if q.lane == nil || !q.lane.remove(e) {
		q.unlock(nil)
		return false
	}
	q.unlockShorter()
	return true
}

// Claim takes an entry out of turn, if it may be taken at all. Else waits says that
// it is in the queue, before its time or behind another one.
func (q *Queue[T]) Claim(e *Entry[T]) (got, waits bool) {
	q.mu.Lock()
	switch {
	case q.lane == nil || e.state == entryGone || e.state == entryTaken:
	case e.state != entryReady || e.Weight > q.lane.capacity-q.lane.used:
		waits = true
	default:
		q.lane.take(e)
		q.unlockShorter()
		return true, false
	}
	q.unlock(nil)
	return false, waits
}

// unlockShorter ends a step in which an entry left the lane by another way than
// into the hands of a taker.
func (q *Queue[T]) unlockShorter() {
	q.movedLocked()
	q.refillLocked()
	over := q.overLocked()
	var idle *Taker[T]
	if over {
		idle = q.dismissLocked()
	}
	q.unlock(q.balanceLocked(q.openLocked()))
	idle.rouseAll()
	if over && q.drained != nil {
		q.drained()
	}
}

// Entries returns the items that wait in the lane, oldest first.
func (q *Queue[T]) Entries() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lane == nil {
		return nil
	}
	all := make([]T, 0, q.lane.size)
	for e := range q.lane.all {
		all = append(all, e.Value)
	}
	return all
}

// enterLocked puts e into the lane.
func (q *Queue[T]) enterLocked(e *Entry[T]) {
	if q.lane == nil {
		q.lane = &lane[T]{aging: q.aging, capacity: q.capacity}
	}
	q.lane.add(e, q.clock.Now())
	q.movedLocked()
}

// nextEntryLocked returns the entry that goes before the head of the ring, and
// whether there is one that may go at all.
func (q *Queue[T]) nextEntryLocked() (e *Entry[T], waits bool) {
	if q.lane == nil || q.lane.size == 0 {
		return nil, false
	}
	e = q.lane.best()
	if e == nil {
		return nil, false
	}
	if q.items.size > 0 && q.Age(q.items.first()) <= e.Rank() {
		return nil, true
	}
	return e, true
}

// movedLocked follows each change of the lane: it lets enter what is due, sets the
// alarm for what is not, and, if an entry may go, takes back what takers hold beside
// the item at hand, so that it goes in its turn.
func (q *Queue[T]) movedLocked() {
	now := q.clock.Now()
	next, any := q.lane.promote(now)
	switch {
	case !any:
		if q.alarmAt != 0 {
			q.alarmAt = 0
			q.alarm.Stop()
		}
	case next != q.alarmAt:
		q.alarmAt = next
		if q.alarm == nil {
			q.alarm = time.AfterFunc(time.Duration(next-now), q.due)
		} else {
			q.alarm.Reset(time.Duration(next - now))
		}
	}
	if len(q.loaded) > 0 && q.lane.best() != nil {
		q.recallLocked()
	}
}

// due is the alarm.
func (q *Queue[T]) due() {
	q.mu.Lock()
	q.alarmAt = 0
	q.movedLocked()
	q.unlock(q.balanceLocked(q.openLocked()))
}

// recallLocked puts back in front of the ring what takers have not started. The ring
// may then hold more than its limit, by what was in their hands.
func (q *Queue[T]) recallLocked() {
	slices.SortFunc(q.loaded, func(a, b *Taker[T]) int { return cmp.Compare(b.base, a.base) })
	for i, t := range q.loaded {
		t.place = i + 1
		if first, n := cut(&t.span, 1); n > 0 {
			back := t.chunk[first : first+n]
			q.items.pushFront(back)
			clear(back)
			q.taken -= uint64(n)
		}
	}
}
