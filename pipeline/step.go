package pipeline

import (
	"context"
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Filter returns the flow of those values of f for which pred returns true. Its kind is
// "filter". A nil pred panics.
func (f Flow[T]) Filter(pred func(T) bool, opts ...StageOption) Flow[T] {
	up, c := f.check("Filter"), configure("filter", opts)
	if pred == nil {
		c.refuse("nil predicate")
	}
	c.plain()
	if c.workers == 0 {
		return Flow[T]{&filtered[T]{base: c.on(up), up: up, open: func() func(T) bool { return pred }}}
	}
	return Flow[T]{&pooled[T, T]{base: c.on(up), up: up, mapFn: func(_ context.Context, v T) (T, error) {
		if !pred(v) {
			return v, engine.ErrSkip
		}
		return v, nil
	}}}
}

// plain refuses the options that need a function with a context and an error.
func (c *config) plain() {
	c.without("the function has no context", "Timeout")
	c.without("the function returns no error", "Retry")
}

// Tap returns the values of f and calls fn on each as it passes. Its kind is
// "tap". A nil fn panics.
func (f Flow[T]) Tap(fn func(T), opts ...StageOption) Flow[T] {
	up, c := f.check("Tap"), configure("tap", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	c.plain()
	return mapping(up, c, func(_ context.Context, v T) (T, error) {
		fn(v)
		return v, nil
	})
}

// Throttle returns the values of f, each of which waits for limit before it is passed on.
// The time counts as Wait. If limit returns an error, the value that waited fails with it.
// Its kind is "throttle". A nil limit panics.
func (f Flow[T]) Throttle(limit Waiter, opts ...StageOption) Flow[T] {
	up, c := f.check("Throttle"), configure("throttle", opts)
	c.without("Throttle is a limit", "Limit")
	c.without("it calls no function", "Timeout", "Retry")
	c.inSequence()
	Limit(limit)(&c)
	c.carries = true
	return mapping(up, c, func(_ context.Context, v T) (T, error) { return v, nil })
}

// Take returns the first n values of f, in the order in which they come. After the n-th it
// ends all steps before it: their source is not asked for more, and the calls in flight are
// canceled, waited for and ignored, whatever their results. In Results a failed input
// counts as one of the n. If the terminal's context ends while the n-th is still on its way
// through later steps, the terminal returns its cause, as if more was wanted. Take(0) is
// empty and runs nothing of f; n below 0 panics.
func (f Flow[T]) Take(n int) Flow[T] {
	up, c := f.check("Take"), configure("take", nil)
	if n < 0 {
		c.refuse(fmt.Sprintf("Take(%d): want at least 0", n))
	}
	return Flow[T]{&taken[T]{base: c.on(up), up: up, n: n}}
}

// filtered is a Filter without workers.
type filtered[T any] struct {
	base
	up   step[T]
	open func() func(T) bool // returns the predicate for a run
}

func (s *filtered[T]) plan() *node { return s.node(roleFused, s.up.plan()) }

func (s *filtered[T]) named(name string) step[T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *filtered[T]) feed(at site, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *filtered[T]) drive(seg *segment, emit func(*item[T]) bool) {
	pred := s.open()
	if s.limits.Releases() {
		plain := pred
		pred = func(v T) bool {
			defer s.limits.Release()
			return plain(v)
		}
	}
	driveCalls(s.up, seg, &s.config, emit, func(c *call[T], v T) (wanted bool) {
		returned := false
		defer func() {
			if !returned {
				wanted = c.unwound(recover())
			}
		}()
		if err := c.before(); err != nil {
			returned = true
			return c.refuse(err)
		}
		keep := pred(v)
		returned = true
		if !keep {
			return c.dropped()
		}
		c.out.Value = v
		return c.end(nil)
	})
}

// taken is a Take.
type taken[T any] struct {
	base
	up step[T]
	n  int
}

func (s *taken[T]) plan() *node { return s.node(roleFused, s.up.plan()) }

func (s *taken[T]) named(name string) step[T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *taken[T]) feed(at site, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *taken[T]) drive(seg *segment, emit func(*item[T]) bool) {
	before := seg.Child()
	if s.n == 0 {
		before.Stop()
	}
	left := s.n
	emit = outgoing(seg, emit)
	take := incoming(seg, func(it *item[T]) bool {
		left--
		return emit(it) && left > 0
	})
	seg.and(before.Release, func() {
		s.up.drive(seg.within(before).up(0), func(it *item[T]) bool { return left > 0 && take(it) })
	})
}
