package pipeline

import (
	"errors"

	"github.com/millstream-go/millstream/internal/engine"
)

// MergeOrdered returns the values of all flows in the order of less, if each flow is in
// that order: it always gives the least of the values that are next in their flows, and
// of equal ones that of the flow that was given first. So it waits for each flow that has
// not ended. The flows run at the same time, on goroutines of their own, each up to 256
// items ahead; less is called by one goroutine at a time. An input that failed before is
// given as soon as it is next in its flow. For indexes, and a flow given twice, see
// [Merge]. A nil less and no flow panic. The kind of the step is "mergeordered".
func MergeOrdered[T any](less func(a, b T) bool, flows ...Flow[T]) Flow[T] {
	c := configure("mergeordered", nil)
	if less == nil {
		c.refuse("nil function")
	}
	ups, times := several("MergeOrdered", &c, flows)
	return Flow[T]{&mergedInOrder[T]{base: c.on(times...), ups: ups, less: less}}
}

type mergedInOrder[T any] struct {
	base
	ups  []step[T]
	less func(a, b T) bool
}

func (s *mergedInOrder[T]) plan() *node { return s.node(roleQueued, plans(s.ups)...) }

func (s *mergedInOrder[T]) named(name string) step[T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *mergedInOrder[T]) feed(at site, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *mergedInOrder[T]) drive(seg *segment, emit func(*item[T]) bool) {
	m := &merging[T]{seg: seg, less: s.less, c: call[T]{seg: seg, wrap: wrapper(s.name), emit: outgoing(seg, emit), policies: new(calls)}}
	m.in = make([]*inlet[T], len(s.ups))
	for i, up := range s.ups {
		m.in[i] = newInlet(seg, i, up, s.buffer)
		m.unread = append(m.unread, i)
	}
	seg.drain = func() {
		for _, in := range m.in {
			in.taker.Drain()
		}
	}
	seg.rest = m.run
	m.run()
}

// inlet is one of several flows that are read on one goroutine.
type inlet[T any] struct {
	taker *engine.Taker[item[T]]
	head  item[T]
}

func newInlet[T any](seg *segment, i int, up step[T], buffer int) *inlet[T] {
	q := engine.NewQueue[item[T]](seg.Clock, buffer)
	if m := seg.meter(); m != nil {
		m.Watch(q.Depth)
	}
	up.feed(seg.site.up(i), q, q.Close)
	return &inlet[T]{taker: q.NewTaker()}
}

// next reads the next item into head. It is false if there is none.
func (in *inlet[T]) next(seg *segment) bool {
	it := in.taker.Claim()
	for it == nil {
		if !in.taker.Next(0) {
			return false
		}
		seg.mark = 0 // it may have waited
		it = in.taker.Claim()
	}
	in.head = *it
	seg.probe.Came()
	return true
}

// merging is a MergeOrdered in a run.
type merging[T any] struct {
	seg    *segment
	less   func(a, b T) bool
	c      call[T]
	in     []*inlet[T]
	ready  []int // the flows whose heads are known, in the order of these
	unread []int // those whose heads are not
}

// run merges until all flows have ended.
func (m *merging[T]) run() {
	for {
		for len(m.unread) > 0 {
			if !m.read() {
				m.seg.leave(m.seg.Scope)
				return
			}
		}
		if len(m.ready) == 0 {
			return
		}
		first := m.ready[0]
		m.ready = m.ready[1:]
		m.unread = append(m.unread, first)
		it := m.in[first].head
		m.in[first].head = item[T]{}
		if !m.seg.wanted() || !m.c.emit(&it) {
			m.seg.leave(m.seg.Scope)
			return
		}
	}
}

// read reads the head of a flow and puts the flow where it belongs. It reports whether
// more is wanted.
func (m *merging[T]) read() (wanted bool) {
	last := len(m.unread) - 1
	i := m.unread[last]
	in := m.in[i]
	if !in.next(m.seg) {
		m.unread = m.unread[:last]
		return true
	}
	if in.head.Err != nil {
		return m.seg.wanted() && m.c.emit(&in.head)
	}
	if _, over := begin(&m.c, &in.head); over {
		return m.seg.wanted()
	}
	wanted = m.place(i)
	m.seg.unwinding = false
	return wanted
}

// place finds the place of a flow among those that are ready. If less does not return,
// that is the failure of the flow's head.
func (m *merging[T]) place(i int) (wanted bool) {
	returned := false
	defer func() {
		if !returned {
			wanted = m.c.failed(recover())
		}
	}()
	low, high := 0, len(m.ready)
	for low < high {
		mid := (low + high) / 2
		other := m.ready[mid]
		a, b := &m.in[i].head.Value, &m.in[other].head.Value
		// Of equal ones the flow that was given first goes first.
		if behind := i > other && !m.less(*a, *b) || i < other && m.less(*b, *a); behind {
			low = mid + 1
		} else {
			high = mid
		}
	}
	returned = true
	m.ready = append(m.ready, 0)
	copy(m.ready[low+1:], m.ready[low:])
	m.ready[low] = i
	m.unread = m.unread[:len(m.unread)-1]
	m.c.dropped()
	return true
}

// Pair is two values that belong together.
type Pair[A, B any] struct {
	A A
	B B
}

// Zip returns the values of two flows in pairs: the first with the first, and so on. It
// ends when one of them does, and then ends the other one as [Flow.Take] does. The flows run
// at the same time, on goroutines of their own, each up to 256 items ahead. A pair of which
// one input failed before is a failed one, and if both did, with both errors; it carries
// index, attempt and worker of a's, was queued when the first of the two was, has run as
// long as both together, and waited the rest of the time. The kind of the step is "zip".
func Zip[A, B any](a Flow[A], b Flow[B]) Flow[Pair[A, B]] {
	c := configure("zip", nil)
	left, right := a.check("Zip"), b.check("Zip")
	return Flow[Pair[A, B]]{&zipped[A, B]{base: c.on(left, right), a: left, b: right}}
}

type zipped[A, B any] struct {
	base
	a step[A]
	b step[B]
}

func (s *zipped[A, B]) plan() *node { return s.node(roleQueued, s.a.plan(), s.b.plan()) }

func (s *zipped[A, B]) named(name string) step[Pair[A, B]] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *zipped[A, B]) feed(at site, q *engine.Queue[item[Pair[A, B]]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *zipped[A, B]) drive(seg *segment, emit func(*item[Pair[A, B]]) bool) {
	emit = outgoing(seg, emit)
	before := seg.Child()
	in := seg.within(before)
	a, b := newInlet(in, 0, s.a, s.buffer), newInlet(in, 1, s.b, s.buffer)
	seg.drain = func() {
		a.taker.Drain()
		b.taker.Drain()
	}
	seg.rest = func() {
		for a.next(seg) && b.next(seg) {
			it := zip(&a.head, &b.head)
			if !seg.wanted() || !emit(&it) {
				break
			}
		}
		seg.leave(before)
		before.Release()
	}
	seg.rest()
}

// zip makes one item of two.
func zip[A, B any](a *item[A], b *item[B]) item[Pair[A, B]] {
	it := engine.Next(a, Pair[A, B]{a.Value, b.Value})
	it.Queued, it.Ended = min(a.Queued, b.Queued), max(a.Ended, b.Ended)
	it.Run = a.Run + b.Run
	switch {
	case a.Err != nil && b.Err != nil:
		it.Err = errors.Join(a.Err, b.Err)
	case b.Err != nil:
		it.Err = b.Err
		it.Attempt, it.Worker = b.Attempt, b.Worker
	}
	return it
}
