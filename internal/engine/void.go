package engine

// Void throws away what waits in the queue and whatever outboxes and ordered stages
// still put into it, because it is no longer wanted. They no longer wait. It does not
// close the queue, but may follow Close. What is in the hands of takers stays there.
func (q *Queue[T]) Void() {
	q.mu.Lock()
	q.void.Store(true)
	q.items = ring[T]{}
	q.unlockShorter()
}

// IsVoid reports whether what is put vanishes.
func (q *Queue[T]) IsVoid() bool { return q.void.Load() }

// admitLocked puts items into the ring, for which there is room.
func (q *Queue[T]) admitLocked(items []T) {
	if q.void.Load() {
		return
	}
	q.items.pushAll(items)
	q.numberLocked(q.items.size-len(items), q.items.size)
	q.peak = max(q.peak, q.items.size)
}
