package engine

// Outbox is one producer's end of a [Queue]. It holds items back so that many go in
// under one lock, but keeps none from an idle taker: the queue can fetch what is
// published while the producer is busy elsewhere. One goroutine at a time uses an
// outbox.
type Outbox[T any] struct {
	q    *Queue[T]
	buf  []T
	used int // the owner's own count of what is in buf

	// published is used as seen by holders of q.mu: buf[taken:published] is ready.
	published released

	_ [cacheLine]byte

	// Guarded by q.mu.
	taken   int        // passed on already
	before  *Outbox[T] // in a line
	next    *Outbox[T]
	served  bool // it no longer waits
	refused bool // the queue was closed while this waited

	wake chan struct{} // one token each time it waits

	// Waits, if set, is told before waiting for room and, with false, after it.
	Waits func(begins bool)

	// single says that this is a Put that waits. entry, if set, goes into the lane
	// instead of the ring.
	single bool
	entry  *Entry[T]
}

// firstOutbox is how many items a new outbox holds back. The number doubles each time
// the outbox fills, up to a chunk or the queue's own limit.
const firstOutbox = 4

// NewOutbox adds a producer to the queue.
func (q *Queue[T]) NewOutbox() *Outbox[T] {
	b := &Outbox[T]{
		q:    q,
		buf:  make([]T, min(firstOutbox, q.limit)),
		wake: make(chan struct{}, 1),
	}
	q.mu.Lock()
	q.boxes = append(q.boxes, b)
	q.unlock(nil)
	return b
}

// Put passes on one item: at once if a taker is idle, otherwise together with later
// ones. It reports whether it had to wait for room: then time has passed.
//
// It copies v: the pointer saves a copy for each call on the way.
func (b *Outbox[T]) Put(v *T) (waited bool) {
	b.buf[b.used] = *v
	b.used++
	if b.used == len(b.buf) {
		return b.Flush()
	}
	b.published.Store(uint32(b.used))
	if b.q.hungry.Load() {
		return b.Flush()
	}
	return false
}

// Place returns where the next item goes with Lay: the owner fills it in there.
func (b *Outbox[T]) Place() *T { return &b.buf[b.used] }

// Lay is Put of what is in Place, for an owner that then makes an atomic change and
// calls Look, with nothing in between that takes time: the change publishes the item,
// and together they cost half of what Put does.
func (b *Outbox[T]) Lay() (waited bool) {
	b.used++
	if b.used == len(b.buf) {
		return b.Flush()
	}
	b.published.Release(uint32(b.used))
	return false
}

// Look passes on what was laid if a taker is idle.
func (b *Outbox[T]) Look() (waited bool) { return b.q.hungry.Load() && b.Flush() }

// Flush passes on all that is held back, and waits for room if it has to.
func (b *Outbox[T]) Flush() (waited bool) { return b.flush(nil) }

// flush is Flush for a mate that has nothing else to do, and may itself go to the taker
// that is roused.
func (b *Outbox[T]) flush(m *mate) (waited bool) {
	if b.used == 0 {
		return false
	}
	q := b.q
	q.mu.Lock()
	if b.used == 1 {
		if t := q.handOverLocked(b); t != nil {
			q.mu.Unlock()
			t.rouseBy(m)
			return false
		}
	}
	b.published.Store(uint32(b.used))
	b.moveLocked()
	if b.taken < b.used {
		b.served = false
		q.blocked.add(b)
		q.unlock(q.balanceLocked(true))
		if b.Waits != nil {
			b.Waits(true)
		}
		<-b.wake
		waited = true
		if b.Waits != nil {
			b.Waits(false)
		}
		q.mu.Lock()
	}
	if b.used == len(b.buf) && len(b.buf) < min(MaxChunk, q.limit) {
		b.buf = make([]T, min(2*len(b.buf), MaxChunk, q.limit))
	}
	b.used, b.taken = 0, 0
	b.published.Store(0)
	q.unlockBy(m, q.balanceLocked(q.items.size > 0))
	return waited
}

// moveLocked moves what is ready into the ring, as far as there is room.
func (b *Outbox[T]) moveLocked() {
	q := b.q
	ready := b.buf[b.taken:b.published.Load()]
	if room := max(q.roomLocked(), 0); len(ready) > room {
		ready = ready[:room]
	}
	if len(ready) == 0 {
		return
	}
	if b.single && q.Admitted != nil {
		q.Admitted(ready[0], true)
	}
	q.accepted += uint64(len(ready))
	if b.entry != nil {
		q.enterLocked(b.entry)
	} else {
		q.admitLocked(ready)
	}
	clear(ready)
	b.taken += len(ready)
}
