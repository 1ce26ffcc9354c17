package pipeline

import (
	"context"
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Filter returns the flow of those values of f for which pred holds. Its kind is
// "filter". A nil pred panics.
func (f Flow[T]) Filter(pred func(T) bool, opts ...StageOption) Flow[T] {
	up, c := f.check("Filter"), configure("filter", opts)
	if pred == nil {
		c.refuse("nil predicate")
	}
	if c.workers == 0 {
		return Flow[T]{&filtered[T]{up: up, config: c, pred: pred}}
	}
	return Flow[T]{&pooled[T, T]{up: up, config: c, mapFn: func(_ context.Context, v T) (T, error) {
		if !pred(v) {
			return v, engine.ErrSkip
		}
		return v, nil
	}}}
}

// Tap returns the values of f and calls fn on each as it passes. Its kind is
// "tap". A nil fn panics.
func (f Flow[T]) Tap(fn func(T), opts ...StageOption) Flow[T] {
	up, c := f.check("Tap"), configure("tap", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	pass := func(_ context.Context, v T) (T, error) {
		fn(v)
		return v, nil
	}
	if c.workers == 0 {
		return Flow[T]{&mapped[T, T]{up: up, config: c, fn: pass}}
	}
	return Flow[T]{&pooled[T, T]{up: up, config: c, mapFn: pass}}
}

// Take returns the first n values of f, in the order in which they come. Behind
// the n-th it ends all steps before it: their source is not asked for more, and
// the calls in flight are canceled, waited for and forgotten, whatever becomes of
// them. In Results a failed input counts as one of the n. Take(0) is empty and
// runs nothing of f; n below 0 panics.
func (f Flow[T]) Take(n int) Flow[T] {
	up := f.check("Take")
	if n < 0 {
		panic(fmt.Sprintf("pipeline: take: Take(%d): want at least 0", n))
	}
	return Flow[T]{&taken[T]{up: up, n: n}}
}

// filtered is a Filter without workers.
type filtered[T any] struct {
	config
	up   step[T]
	pred func(T) bool
}

func (s *filtered[T]) name() string { return s.config.name }

func (s *filtered[T]) feed(sc *engine.Scope, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, sc, q, done)
}

func (s *filtered[T]) drive(seg *segment, emit func(*item[T]) bool) {
	driveCalls(s.up, seg, s.name(), emit, s.call)
}

func (s *filtered[T]) call(c *call[T], v T) (wanted bool) {
	returned := false
	defer func() {
		if !returned {
			wanted = c.failed(recover())
		}
	}()
	keep := s.pred(v)
	returned = true
	if !keep {
		c.seg.lap(&c.out.Run, &c.out.Ended)
		return true
	}
	c.out.Value = v
	return c.end(nil)
}

// taken is a Take.
type taken[T any] struct {
	up step[T]
	n  int
}

func (s *taken[T]) name() string { return "take" }

func (s *taken[T]) feed(sc *engine.Scope, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, sc, q, done)
}

func (s *taken[T]) drive(seg *segment, emit func(*item[T]) bool) {
	if s.n == 0 {
		return
	}
	before := seg.Child()
	left := s.n
	seg.and(before.Release, func() {
		s.up.drive(seg.within(before), func(it *item[T]) bool {
			left--
			return emit(it) && left > 0
		})
	})
}
