package engine

import "sync/atomic"

// Order puts the outputs of an ordered stage back into the order of its inputs before
// they enter the queue q. It is a window of slots, one for each input. It is full at
// most with what is in flight and what is finished but waits for an earlier input,
// since the stage's takers get no input beyond it. Whichever goroutine holds the lock
// of q passes on what has become contiguous at the head.
type Order[T any] struct {
	q *Queue[T]

	// The slots, as two slices, so that contiguous outputs move as one. The one of a slot
	// may be written until the slot's state says so, and after that only under q.mu.
	ones   []T
	states []released

	_ [cacheLine]byte // separates what is read for each item from what is written often

	window window

	// Guarded by q.mu.
	many  [][]T   // nil until a slot needs it
	head  uint64  // the first input whose outputs have not all been passed on
	moved bool    // head went on since the last unlock
	parts []*part // calls that wait to become the head
}

// keptOutputs is how much room for outputs a slot keeps for its next input.
const keptOutputs = 8

// The states of a slot for its current input; see kind.
const (
	slotOpen    = iota // nothing yet
	slotOne            // done: its output is one
	slotGrowing        // many has outputs, and more may come
	slotDone           // done: its outputs are many, which may be none
)

// window bounds how far the takers of a queue may be ahead of what was passed on.
type window struct {
	size    uint64
	passed  atomic.Uint64
	stalled atomic.Bool // a taker has found no room since the last reopen
	reopen  func()      // rouses the takers that it holds back
}

// room returns how many items may be taken when taken items have been.
func (w *window) room(taken uint64) int {
	if n := int(w.passed.Load() + w.size - taken); n > 0 {
		return n
	}
	w.stalled.Store(true) // before the second look, so that no move is missed
	return int(w.passed.Load() + w.size - taken)
}

// part is a call that waits because its outputs so far fill its slot.
type part struct {
	seq   uint64
	wake  chan struct{}
	waits func(begins bool) // told before waiting and, with false, after it; may be nil
}

// MaxWindow is the largest window. Its slots are allocated at once.
const MaxWindow = 1 << 16

// NewOrder returns the order between the queue in, whose takers it limits to a
// window of size items, and the queue out, which it feeds.
func NewOrder[In, Out any](in *Queue[In], out *Queue[Out], size int) *Order[Out] {
	size = min(size, MaxWindow)
	n := 1
	for n < size {
		n *= 2
	}
	o := &Order[Out]{q: out, ones: make([]Out, n), states: make([]released, n)}
	o.window.size = uint64(size)
	o.window.reopen = func() {
		in.mu.Lock()
		in.unlock(in.balanceLocked(in.openLocked()))
	}
	in.window = &o.window
	out.mu.Lock()
	out.orders = append(out.orders, o)
	out.unlock(nil)
	return o
}

// place returns where the slot of input seq is.
func (o *Order[T]) place(seq uint64) int { return int(seq) & (len(o.states) - 1) }

// mark returns the value of state kind for the slot of input seq. It includes the lap
// of the window, so that a slot need not be opened again for the next lap.
func (o *Order[T]) mark(seq uint64, kind uint32) uint32 {
	return uint32(seq/uint64(len(o.states)))<<2 | kind
}

// kind returns the state of the slot of input seq.
func (o *Order[T]) kind(seq uint64) uint32 {
	if kind := o.states[o.place(seq)].Load() ^ o.mark(seq, 0); kind <= slotDone {
		return kind
	}
	return slotOpen // what is there belongs to the lap before
}

// Place returns where the only output of input seq goes with Lay.
func (o *Order[T]) Place(seq uint64) *T { return &o.ones[o.place(seq)] }

// Lay says that the only output of input seq is in its Place. As with [Outbox.Lay], the
// caller makes an atomic change after it, and then calls Look.
func (o *Order[T]) Lay(seq uint64) { o.states[o.place(seq)].Release(o.mark(seq, slotOne)) }

// Look passes on what was laid if a taker is idle.
func (o *Order[T]) Look() {
	if o.q.hungry.Load() {
		o.Flush()
	}
}

// PutPart adds an output to those of input seq, of which more may come until Finish.
// Outputs that cannot be passed on yet are kept; once there are many, PutPart waits
// until all earlier inputs are through, and reports that it did. p belongs to the
// caller and has a wake channel that holds one token.
func (o *Order[T]) PutPart(p *part, seq uint64, v *T) (waited bool) {
	q, at := o.q, o.place(seq)
	q.mu.Lock()
	if o.many == nil {
		o.many = make([][]T, len(o.states))
	}
	for len(o.many[at]) == MaxChunk {
		p.seq = seq
		o.parts = append(o.parts, p)
		q.unlock(nil)
		if p.waits != nil {
			p.waits(true)
		}
		<-p.wake
		waited = true
		if p.waits != nil {
			p.waits(false)
		}
		q.mu.Lock()
	}
	o.many[at] = append(o.many[at], *v)
	o.states[at].Store(o.mark(seq, slotGrowing))
	o.releaseLocked()
	q.unlock(q.balanceLocked(q.items.size > 0))
	return waited
}

// Finish says that input seq has no outputs beyond those of PutPart. It is published
// like Lay.
func (o *Order[T]) Finish(seq uint64) { o.states[o.place(seq)].Release(o.mark(seq, slotDone)) }

// Flush passes on what is contiguous at the head, as far as there is room.
func (o *Order[T]) Flush() { o.flush(nil) }

// flush is Flush for a mate, like that of an Outbox.
func (o *Order[T]) flush(m *mate) {
	q := o.q
	q.mu.Lock()
	o.releaseLocked()
	q.unlockBy(m, q.balanceLocked(q.items.size > 0))
}

// releaseLocked moves what is contiguous at the head into the queue's ring, as far as
// there is room. If the queue is void, all of it vanishes.
func (o *Order[T]) releaseLocked() {
	q := o.q
	from := o.head
	for through := true; through && q.items.size < q.limit; {
		switch kind := o.kind(o.head); kind {
		case slotOpen:
			through = false
		case slotOne:
			o.releaseOnesLocked()
		default:
			if through = o.releaseManyLocked(kind == slotDone); through {
				o.head++
			}
		}
	}
	q.peak = max(q.peak, q.items.size)
	if o.head != from {
		o.moved = true
		o.window.passed.Store(o.head)
	}
}

// releaseOnesLocked passes on the slots from the head that have one output each, as far
// as they are side by side.
func (o *Order[T]) releaseOnesLocked() {
	q, at := o.q, o.place(o.head)
	n, most := 1, min(q.limit-q.items.size, len(o.states)-at)
	for n < most && o.states[at+n].Load() == o.mark(o.head, slotOne) {
		n++
	}
	ready := o.ones[at : at+n]
	if !q.void.Load() {
		q.items.pushAll(ready)
	}
	clear(ready)
	o.head += uint64(n)
}

// releaseManyLocked passes on what the slot at the head has so far, and reports whether
// that was all of it. done says that no more will come.
func (o *Order[T]) releaseManyLocked(done bool) bool {
	if o.many == nil {
		return done
	}
	q, many := o.q, &o.many[o.place(o.head)]
	n := min(q.limit-q.items.size, len(*many))
	if q.void.Load() {
		n = len(*many) // what vanishes needs no room, and this is not called again for the rest
	}
	q.admitLocked((*many)[:n])
	left := copy(*many, (*many)[n:])
	clear((*many)[left:])
	*many = (*many)[:left]
	if left > 0 || !done {
		return false
	}
	if cap(*many) > keptOutputs {
		*many = nil
	}
	return true
}

// movedLocked returns what is to be woken because the head has moved: the takers that
// the window holds back, and a call that has become the head.
func (o *Order[T]) movedLocked() (w *window, p *part) {
	if o.moved && o.window.stalled.Load() {
		o.window.stalled.Store(false)
		w = &o.window
	}
	o.moved = false
	for i, at := range o.parts {
		if at.seq == o.head && len(o.many[o.place(at.seq)]) < MaxChunk {
			o.parts = append(o.parts[:i], o.parts[i+1:]...)
			return w, at
		}
	}
	return w, nil
}
