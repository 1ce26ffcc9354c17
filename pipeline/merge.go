package pipeline

import (
	"github.com/millstream-go/millstream/internal/engine"
)

// Merge returns the values of all flows, as they come; those of each flow keep their order.
// The flows run concurrently, on their own goroutines, and a flow that waits does not hold
// up the others; together they may be 256 items ahead. Merge ends when all flows have
// ended. The index of an item is its position in the source of its own flow. A flow that is
// given twice runs twice. Giving no flow panics. The kind of the step is "merge".
func Merge[T any](flows ...Flow[T]) Flow[T] {
	c := configure("merge", nil)
	ups, times := several("Merge", &c, flows)
	return Flow[T]{&merged[T]{base: c.on(times...), ups: ups}}
}

// several returns the steps of flows.
func several[T any](where string, c *config, flows []Flow[T]) (ups []step[T], times []interface{ clocked() bool }) {
	if len(flows) == 0 {
		c.refuse("no flow")
	}
	for _, f := range flows {
		up := f.check(where)
		ups, times = append(ups, up), append(times, up)
	}
	return ups, times
}

// plans returns the plans of several steps.
func plans[T any](ups []step[T]) []*node {
	nodes := make([]*node, len(ups))
	for i, up := range ups {
		nodes[i] = up.plan()
	}
	return nodes
}

type merged[T any] struct {
	base
	ups []step[T]
}

func (s *merged[T]) plan() *node { return s.node(roleMerge, plans(s.ups)...) }

func (s *merged[T]) named(name string) step[T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *merged[T]) feed(at site, q *engine.Queue[item[T]], done func()) {
	left := countdown(len(s.ups), done)
	for i, up := range s.ups {
		up.feed(at.up(i), q, left)
	}
}

func (s *merged[T]) drive(seg *segment, emit func(*item[T]) bool) {
	q := engine.NewQueue[item[T]](seg.Clock, s.buffer)
	s.feed(seg.site, q, q.Close)
	driveQueue(seg, q, emit)
}
