package pipeline

import (
	"errors"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// MergeOrdered merges flows that are each in the order of less into one flow in that order.
// It always gives the least of the next values of all flows, and of equal ones that of the
// flow given first. So it waits for each flow that has not ended. If a flow is not in that
// order, the output is not either, but nothing is lost. The flows run concurrently, on
// their own goroutines, each up to 256 items ahead. less is called by one goroutine at a
// time; if it panics or calls [runtime.Goexit], the value being placed fails. An input that
// failed before is passed on as soon as it is next in its flow. For indexes, and for a flow
// given twice, see [Merge]. A nil less panics, and so does giving no flow. The kind of the
// step is "mergeordered".
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
	m := &merging[T]{seg: seg, less: s.less, c: call[T]{seg: seg, emit: outgoing(seg, emit), policies: new(calls)}}
	wrap := wrapper[T](s.name)
	m.c.wrap = func(err error) error {
		placed := &m.in[m.unread[len(m.unread)-1]].head
		return wrap(placed.Value, placed.Index, m.c.out.Attempt, err)
	}
	m.in = make([]*inlet[T], len(s.ups))
	for i, up := range s.ups {
		m.in[i] = newInlet(seg, seg.Scope, i, up, s.buffer)
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
	scope *engine.Scope // of the flow
	taker *engine.Taker[item[T]]
	head  item[T]
	ended chan time.Time // closed once everything that the flow gives is in the queue
	over  bool           // the flow has ended and all of it was read
}

func newInlet[T any](seg *segment, sc *engine.Scope, i int, up step[T], buffer int) *inlet[T] {
	q := engine.NewQueue[item[T]](seg.Clock, buffer)
	if m := seg.meter(); m != nil {
		m.Watch(q.Depth)
	}
	in := &inlet[T]{scope: sc, taker: q.NewTaker(), ended: make(chan time.Time)}
	up.feed(seg.site.within(sc).up(i), q, func() {
		q.Close()
		close(in.ended)
	})
	return in
}

// next waits for the next item and reads it into head. It returns false if there is none.
func (in *inlet[T]) next(seg *segment) bool {
	ok, _ := in.nextBefore(seg, nil)
	return ok
}

// nextBefore is next with an end to the waiting. ok is also false if there is no item yet
// and timeout is closed. more tells the two cases apart: it is true if an item may still
// come.
func (in *inlet[T]) nextBefore(seg *segment, timeout <-chan time.Time) (ok, more bool) {
	it := in.taker.Claim()
	for it == nil {
		if ok, more, _ = in.taker.NextBefore(timeout); !ok {
			in.over = !more
			return false, more
		}
		seg.mark = 0 // it may have waited
		it = in.taker.Claim()
	}
	in.head = *it
	seg.probe.Came()
	return true, true
}

// stop ends the flow unless it has ended by itself; in that case a last failure of its
// source is still wanted.
func (in *inlet[T]) stop() {
	if !in.over && in.scope.Live() {
		in.scope.Stop()
	}
}

// leave waits for the flow to end.
func (in *inlet[T]) leave() {
	in.taker.Drain()
	in.scope.Release()
}

// merging is the state of a MergeOrdered in a run.
type merging[T any] struct {
	seg    *segment
	less   func(a, b T) bool
	c      call[T]
	in     []*inlet[T]
	ready  []int   // the flows whose heads are known, in the order of their heads
	unread []int   // the flows whose heads are not known
	out    item[T] // one for the whole run: emit does not keep it
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
		m.ready = m.ready[:copy(m.ready, m.ready[1:])]
		m.unread = append(m.unread, first)
		m.out = m.in[first].head
		m.in[first].head = item[T]{}
		if !m.seg.wanted() || !m.c.emit(&m.out) {
			m.seg.leave(m.seg.Scope)
			return
		}
	}
}

// read reads the head of an unread flow and inserts the flow into ready. It reports whether
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
	if again, over := begin(&m.c, &in.head); over {
		return again
	}
	wanted = m.place(i)
	m.seg.unwinding = false
	return wanted
}

// place inserts a flow into ready. If less does not return, the flow's head fails.
func (m *merging[T]) place(i int) (wanted bool) {
	returned := false
	defer func() {
		if !returned {
			wanted = m.c.unwound(recover())
		}
	}()
	low, high := 0, len(m.ready)
	for low < high {
		mid := (low + high) / 2
		other := m.ready[mid]
		a, b := &m.in[i].head.Value, &m.in[other].head.Value
		// Of equal values, the one of the flow given first goes first.
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

// Pair is two values that belong together. It is a plain value.
type Pair[A, B any] struct {
	A A
	B B
}

// Zip returns the values of two flows in pairs: the first with the first, and so on. It
// ends when one of them ends, even while it waits for the other, and ends the other as
// [Flow.Take] does: what that one has given beyond the last pair is dropped, failed or not.
// The flows run concurrently, on their own goroutines, each up to 256 items ahead.
//
// If one input of a pair failed before, the pair is a failed input with its error; if both
// did, with both errors. A pair has the index of a's input, and the attempt and worker of
// a's input unless only b's failed. It was queued when the first of the two was, its Run is
// that of both together, and its Wait is the rest of the time. The kind of the step is
// "zip".
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
	// Each has its own scope: if one has ended because its source failed, that failure
	// is reported although the other one is stopped.
	a, b := newInlet(seg, seg.Child(), 0, s.a, s.buffer), newInlet(seg, seg.Child(), 1, s.b, s.buffer)
	seg.drain = func() {
		a.taker.Drain()
		b.taker.Drain()
	}
	seg.rest = func() {
		var out item[Pair[A, B]] // one for the whole run: emit does not keep it
		for both(seg, a, b) {
			out = zip(&a.head, &b.head)
			if !seg.wanted() || !emit(&out) {
				break
			}
		}
		a.stop()
		b.stop()
		a.leave()
		b.leave()
	}
	seg.rest()
}

// both reads the next item of each flow. It returns false if one of them has no more.
func both[A, B any](seg *segment, a *inlet[A], b *inlet[B]) bool {
	switch ok, more := a.nextBefore(seg, b.ended); {
	case ok:
		return b.next(seg)
	case !more:
		return false
	}
	// Everything that b gives is in its queue: waiting for a pays only if something is left there.
	return b.next(seg) && a.next(seg)
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
