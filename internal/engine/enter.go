package engine

import (
	"cmp"
	"slices"
	"time"
)

// What a queue does with its lane: see lane.go for the order of its entries.

// Lanes sets how much waiting time a step of priority is worth, and how much the entries
// that are taken and not done may weigh together. It must be called before the first
// entry.
func (q *Queue[T]) Lanes(aging time.Duration, capacity int64) {
	q.aging, q.capacity = int64(aging), capacity
}

// Done says that a taken entry has ended, and frees its key and its weight for others.
// For any other entry it does nothing.
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

// Remove takes out an entry that has not been taken, and reports whether it did.
func (q *Queue[T]) Remove(e *Entry[T]) bool {
	q.mu.Lock()
	if q.lane == nil || !q.lane.remove(e) {
		q.unlock(nil)
		return false
	}
	q.movedLocked()
	q.unlockShorter()
	return true
}

// Claim takes an entry out of turn, if it may be taken at all. Otherwise waits reports
// whether it is in the queue, before its time or behind another one.
func (q *Queue[T]) Claim(e *Entry[T]) (got, waits bool) {
	q.mu.Lock()
	switch {
	case q.lane == nil || e.state == entryGone:
	case e.state == entryTaken:
		e.helped = true // if the caller is first, the taker is not to put it back
	case e.state != entryReady || e.Weight > q.lane.capacity-q.lane.used:
		waits = true
	default:
		q.lane.take(e)
		q.movedLocked()
		q.unlockShorter()
		return true, false
	}
	q.unlock(nil)
	return false, waits
}

// unlockShorter ends a step in which items left the queue other than into the hands of a
// taker.
func (q *Queue[T]) unlockShorter() {
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

// Purge takes out and returns all items that have not been started: those in the ring, in
// the lane and in the hands of takers. The queue must be closed.
func (q *Queue[T]) Purge() []T {
	q.mu.Lock()
	q.recallLocked()
	all := make([]T, q.sizeLocked())
	n := q.shiftLocked(all)
	if q.lane != nil {
		for e := range q.lane.all {
			all[n] = e.Value
			n++
			q.lane.remove(e)
		}
		q.movedLocked()
	}
	q.unlockShorter()
	return all
}

// enterLocked puts e into the lane.
func (q *Queue[T]) enterLocked(e *Entry[T]) {
	if q.lane == nil {
		q.lane = &lane[T]{aging: q.aging, capacity: q.capacity}
	}
	now := q.clock.Now()
	if q.lane.delayed.top() != nil {
		q.lane.promote(now) // the alarm may be late: entries due before e enter before it
	}
	q.lane.add(e, now)
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
	if q.items.size > 0 {
		first := q.items.first()
		age := rankOf(q.Age(first))
		if age.less(e.rank) || age == e.rank && !q.Older(e.Value, first) {
			return nil, true
		}
	}
	return e, true
}

// movedLocked follows up on each change of the lane: it lets due entries enter, sets the
// alarm for the others, and, if an entry may go, takes back what takers hold besides
// their current item, so that the entry goes in its turn.
func (q *Queue[T]) movedLocked() {
	if q.alarmAt != 0 || q.lane.delayed.top() != nil {
		q.setAlarmLocked()
	}
	if len(q.loaded) > 0 && q.lane.best() != nil {
		q.recallLocked()
	}
}

// setAlarmLocked lets due entries enter, and sets the alarm for the others.
func (q *Queue[T]) setAlarmLocked() {
	now := q.clock.Now()
	next, left := q.lane.promote(now)
	switch {
	case !left:
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
}

// due is the alarm.
func (q *Queue[T]) due() {
	q.mu.Lock()
	q.alarmAt = 0
	q.movedLocked()
	q.unlock(q.balanceLocked(q.openLocked()))
}

// late is how long a taker may be busy with a chunk before other takers that come for
// more take over what it has not started. While no taker is idle, none steals, and items
// behind a slow item would be overtaken by everything that comes later.
const late = int64(2 * quantum)

// recallLateLocked puts back what late takers have not started. In an ordered stage it
// does nothing: there the window keeps the others from going far.
func (q *Queue[T]) recallLateLocked(now int64) {
	if q.window != nil {
		return
	}
	for _, v := range q.loaded {
		if now-v.since > late {
			if next, end := unpack(v.span.Load()); next < end {
				q.recallLocked()
				return
			}
		}
	}
}

// recallLocked puts what takers have not started back in front of the ring. The ring may
// then hold more than its limit, by what was in their hands.
func (q *Queue[T]) recallLocked() {
	slices.SortFunc(q.loaded, func(a, b *Taker[T]) int { return cmp.Compare(b.base, a.base) })
	for i, t := range q.loaded {
		t.place = i + 1
		if first, n := cut(&t.span, 1); n > 0 {
			q.putBackLocked(t.chunk[first : first+n])
		}
	}
}

// putBackLocked puts items that were taken and not started in front of the ring, but
// behind older items, and clears where they were. It drops those that have died.
func (q *Queue[T]) putBackLocked(back []T) {
	taken := back
	defer clear(taken)
	if q.Dead != nil {
		back = slices.DeleteFunc(back, q.Dead)
	}
	if len(back) == 0 {
		return
	}
	older := 0
	if q.Older != nil {
		for older < q.items.size && q.Older(q.items.at(older), back[0]) {
			older++
		}
	}
	first := make([]T, older)
	q.items.shift(first)
	q.items.pushFront(back)
	q.items.pushFront(first)
	q.taken -= uint64(len(back))
	q.numberLocked(0, older+len(back))
}
