package engine

// Dead items. An item that dies in the ring gives its room to others at once, but stays
// where it is until a taker comes to it, who finds it dead. It knows its place in the
// ring, so that burying it takes the same short time in a long queue as in a short one.
//
// A place is the low part of the item's sequence number, above a bit that says that the
// item is counted in q.dead. It is up to date while the item is in the ring. An item
// that has left the ring is not where its place says.

// buried is the bit of a place.
const buried = 1

// fewDead is how many dead items are left alone, however short the ring is.
const fewDead = 32

// Bury says that an item has died. If it is in the ring, its room becomes free.
func (q *Queue[T]) Bury(v T) {
	q.mu.Lock()
	left := false
	if q.inRingLocked(v) {
		*q.Place(v) |= buried
		q.dead++
		if q.dead > fewDead && q.dead > q.items.size/2 && !q.closed {
			q.compactLocked()
		}
		if q.blocked.first != nil {
			q.refillLocked()
			left = q.openLocked()
		}
	}
	q.unlock(q.balanceLocked(left))
}

// inRingLocked reports whether v is in the ring, and not buried yet.
func (q *Queue[T]) inRingLocked(v T) bool {
	p := q.Place(v)
	at := int(int32(*p&^buried-q.placeOf(0)) >> 1)
	return *p&buried == 0 && 0 <= at && at < q.items.size && q.Place(q.items.at(at)) == p
}

// compactLocked takes the dead items out of the ring.
func (q *Queue[T]) compactLocked() {
	q.items.remove(q.isBuried)
	q.dead = 0
	q.numberLocked(0, q.items.size)
}

func (q *Queue[T]) isBuried(v T) bool { return *q.Place(v)&buried != 0 }

// numberLocked tells items of the ring their places.
func (q *Queue[T]) numberLocked(from, to int) {
	if q.Place == nil {
		return
	}
	for i := from; i < to; i++ {
		p := q.Place(q.items.at(i))
		*p = q.placeOf(i) | *p&buried
	}
}

// placeOf returns the place of an item with i others before it in the ring.
func (q *Queue[T]) placeOf(i int) uint32 { return uint32(q.taken+uint64(i)) << 1 }

// shiftLocked moves the oldest items of the ring into dst, as many as fit, and returns
// how many.
func (q *Queue[T]) shiftLocked(dst []T) int {
	n := q.items.shift(dst)
	q.taken += uint64(n)
	if q.dead > 0 {
		for _, v := range dst[:n] {
			q.dead -= int(*q.Place(v) & buried)
		}
	}
	return n
}
