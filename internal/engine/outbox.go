package engine

// Outbox is one producer's end of a [Queue]. It holds items back so that many
// go in under one lock, yet holds none from a taker that has nothing to do:
// what is published can be fetched by the queue while the producer is busy
// elsewhere. One goroutine at a time uses an outbox.
type Outbox[T any] struct {
	q    *Queue[T]
	buf  []T
	used int // the owner's own count of what is in buf

	// published is used, for those who hold q.mu: buf[taken:published] is ready.
	published released

	_ [cacheLine]byte

	// Guarded by q.mu.
	taken   int        // passed on already
	before  *Outbox[T] // in a line
	next    *Outbox[T]
	served  bool // it does not wait any more
	refused bool // the queue was closed while this waited

	wake chan struct{} // one token each time it waits

	// Waits, if set, is told before waiting for room, and, with false, behind it.
	Waits func(begins bool)

	// single says that this is a Put that waits, and entry what becomes of it if it
	// does not go into the ring.
	single bool
	entry  *Entry[T]
}

// firstOutbox is how many items a new outbox holds back. It doubles each time
// it fills, up to a chunk or the queue's own limit.
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

// Put hands on one item, at once if a taker is idle, else together with those
// after it. It reports whether it had to wait for room: then time has passed.
//
// It copies v: the pointer spares a copy for each call on the way.
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

// Place is where the next item goes with Lay: the owner fills it there.
func (b *Outbox[T]) Place() *T { return &b.buf[b.used] }

// Lay is Put of what is in Place, for an owner that then makes an atomic change, calls
// Look, and does nothing between the three that takes time: its change publishes the
// item, and together they cost half of what Put does.
func (b *Outbox[T]) Lay() (waited bool) {
	b.used++
	if b.used == len(b.buf) {
		return b.Flush()
	}
	b.published.Release(uint32(b.used))
	return false
}

// Look hands on what was laid if a taker is idle.
func (b *Outbox[T]) Look() (waited bool) { return b.q.hungry.Load() && b.Flush() }

// Flush hands on all that is held back, and waits for room if it has to.
func (b *Outbox[T]) Flush() (waited bool) { return b.flush(nil) }

// flush is Flush for a mate that has nothing else in hand, and may itself go where somebody
// is roused.
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
