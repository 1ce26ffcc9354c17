package engine

import "sync/atomic"

// Order puts the outputs of an ordered stage back into the order of its inputs
// before they enter the queue q. It is a window of slots, one an input: what is
// in flight and what is finished but waits for an earlier one together fill it
// at most, since the stage's takers get no input beyond it. Whoever holds the
// lock of q passes on what has become contiguous at the head.
type Order[T any] struct {
	q      *Queue[T]
	window window
	slots  []slot[T]

	// Guarded by q.mu.
	head  uint64  // the first input whose outputs have not all been passed on
	moved bool    // head went on since the last unlock
	parts []*part // calls that wait to become the head
}

type slot[T any] struct {
	state atomic.Uint32
	one   T
	many  []T // guarded by q.mu
}

// keptOutputs is how much room for outputs a slot keeps for its next input.
const keptOutputs = 8

// The states of a slot.
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
	stalled atomic.Bool // a taker found no room since the last reopen
	reopen  func()      // rouses the takers behind it
}

// room is how many items may be taken when taken of them have been.
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
	waits func(begins bool) // told before waiting and, with false, behind it; may be nil
}

// maxWindow is the largest window. Its slots are made at once.
const maxWindow = 1 << 16

// NewOrder returns the order between the queue in, whose takers it limits to a
// window of size items, and the queue out, which it feeds.
func NewOrder[In, Out any](in *Queue[In], out *Queue[Out], size int) *Order[Out] {
	size = min(size, maxWindow)
	n := 1
	for n < size {
		n *= 2
	}
	o := &Order[Out]{q: out, slots: make([]slot[Out], n)}
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

func (o *Order[T]) slot(seq uint64) *slot[T] { return &o.slots[seq&uint64(len(o.slots)-1)] }

// Put sets the one output of input seq; it copies v.
func (o *Order[T]) Put(seq uint64, v *T) {
	s := o.slot(seq)
	s.one = *v
	s.state.Store(slotOne)
	if o.q.hungry.Load() {
		o.Flush()
	}
}

// PutPart adds an output to those of input seq, of which more may come until
// Finish. Outputs that cannot be passed on yet are kept; once they are many, it
// waits until all earlier inputs are through, and reports that it did. p is the
// caller's own, with a wake channel that holds one token.
func (o *Order[T]) PutPart(p *part, seq uint64, v *T) (waited bool) {
	q, s := o.q, o.slot(seq)
	q.mu.Lock()
	for len(s.many) == MaxChunk {
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
	s.many = append(s.many, *v)
	s.state.Store(slotGrowing)
	o.releaseLocked()
	q.unlock(q.balanceLocked(q.items.size > 0))
	return waited
}

// Finish says that input seq has no outputs beyond those of PutPart.
func (o *Order[T]) Finish(seq uint64) {
	o.slot(seq).state.Store(slotDone)
	if o.q.hungry.Load() {
		o.Flush()
	}
}

// Flush passes on what is contiguous at the head, as far as there is room.
func (o *Order[T]) Flush() {
	q := o.q
	q.mu.Lock()
	o.releaseLocked()
	q.unlock(q.balanceLocked(q.items.size > 0))
}

// releaseLocked moves what is contiguous at the head into the queue's ring, as far as
// there is room. If the queue is void, all of it vanishes.
func (o *Order[T]) releaseLocked() {
	q := o.q
	from := o.head
	for q.items.size < q.limit {
		s := o.slot(o.head)
		state := s.state.Load()
		if state == slotOpen {
			break
		}
		if state == slotOne {
			if !q.void.Load() {
				q.items.push(s.one)
			}
			var zero T
			s.one = zero
		} else {
			n := min(q.limit-q.items.size, len(s.many))
			if q.void.Load() {
				n = len(s.many) // what vanishes needs no room, and nobody comes again for the rest
			}
			q.admitLocked(s.many[:n])
			left := copy(s.many, s.many[n:])
			clear(s.many[left:])
			s.many = s.many[:left]
			if state == slotGrowing || left > 0 {
				break
			}
			if cap(s.many) > keptOutputs {
				s.many = nil
			}
		}
		s.state.Store(slotOpen)
		o.head++
	}
	q.peak = max(q.peak, q.items.size)
	if o.head != from {
		o.moved = true
		o.window.passed.Store(o.head)
	}
}

// movedLocked returns what has to be woken since the head went on: the takers
// behind the window, and a call that has become the head.
func (o *Order[T]) movedLocked() (w *window, p *part) {
	if o.moved && o.window.stalled.Load() {
		o.window.stalled.Store(false)
		w = &o.window
	}
	o.moved = false
	for i, at := range o.parts {
		if at.seq == o.head && len(o.slot(at.seq).many) < MaxChunk {
			o.parts = append(o.parts[:i], o.parts[i+1:]...)
			return w, at
		}
	}
	return w, nil
}
