package pipeline

import (
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Buffer passes the values of f through a queue of n. The steps before it run on another
// goroutine than those after it, and may be that many values ahead, plus at most 64 held by
// each side. When the queue is full, the steps before it wait; when the steps after it
// wait, a value is passed on at once. The order is kept. For the queue of a stage with
// workers see the option [Buffer]. The kind of the step is "buffer". n below 1 panics.
func (f Flow[T]) Buffer(n int) Flow[T] {
	up, c := f.check("Buffer"), configure("buffer", nil)
	if n < 1 {
		c.refuse(fmt.Sprintf("Buffer(%d): want at least 1", n))
	}
	c.buffer = n
	return Flow[T]{&buffered[T]{base: c.on(up), up: up}}
}

type buffered[T any] struct {
	base
	up step[T]
}

func (s *buffered[T]) plan() *node { return s.node(roleQueued, s.up.plan()) }

func (s *buffered[T]) named(name string) step[T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *buffered[T]) feed(at site, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *buffered[T]) drive(seg *segment, emit func(*item[T]) bool) {
	q := engine.NewQueue[item[T]](seg.Clock, s.buffer)
	if m := seg.meter(); m != nil {
		m.Watch(q.Depth)
	}
	s.up.feed(seg.site.up(0), q, q.Close)
	take := incoming(seg, outgoing(seg, emit))
	own := *seg
	own.below = nil // the queue is before this step, not before the one after it
	driveQueue(&own, q, take)
}
