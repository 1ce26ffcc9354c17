package pipeline

import (
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Window returns slices of size consecutive values of f. Each slice begins step values
// after the one before: with a step below size the slices overlap, with a larger step
// values between them are left out. The last slice is shorter if there are values left that
// no other slice has had; it is passed on when f ends, including by [Drain]. Each slice
// belongs to its receiver: slices that overlap share no memory. A window carries the index,
// Queued and Run of its first value; its Wait lasts until its last value. Inputs that
// failed before are passed on individually and are in no window. At most size values are
// kept, and index and times of each that begins a window. As with [Batch], Results gives the
// last slice even when the run is canceled, and up to 256 slices may wait before a stage
// with workers: set its [Buffer] if that is too much. The kind of the step is "window". A
// size or step below 1 panics.
func Window[T any](f Flow[T], size, step int) Flow[[]T] {
	up, c := f.check("Window"), configure("window", nil)
	if size < 1 {
		c.refuse(fmt.Sprintf("size %d: want at least 1", size))
	}
	if step < 1 {
		c.refuse(fmt.Sprintf("step %d: want at least 1", step))
	}
	return Flow[[]T]{&windowed[T]{base: c.on(up), up: up, size: size, step: step}}
}

type windowed[T any] struct {
	base
	up         step[T]
	size, step int
}

func (s *windowed[T]) plan() *node {
	n := s.node(roleFused, s.up.plan())
	n.keeps = s.size
	return n
}

func (s *windowed[T]) named(name string) step[[]T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *windowed[T]) feed(at site, q *engine.Queue[item[[]T]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *windowed[T]) drive(seg *segment, emit func(*item[[]T]) bool) {
	w := &sliding[T]{size: s.size, step: s.step, emit: emit}
	add := collecting(seg, w.add, &w.emit)
	last := func() {
		if w.fresh > 0 && !w.ended && seg.wanted() {
			w.pass()
		}
	}
	seg.and(last, func() { s.up.drive(seg.up(0), add) })
}

// sliding is the state of a Window in a run.
type sliding[T any] struct {
	size, step int
	emit       func(*item[[]T]) bool
	items      []item[T] // at most size of them
	fresh      int       // how many of them no window has had
	skip       int       // values to leave out before the next one
	ended      bool      // emit wants no more
}

func (w *sliding[T]) add(it *item[T]) (wanted bool) {
	if it.Err != nil {
		failed := engine.Next[T, []T](it, nil)
		w.ended = !w.emit(&failed)
		return !w.ended
	}
	if w.skip > 0 {
		w.skip--
		return true
	}
	w.items = append(w.items, *it)
	w.fresh++
	if len(w.items) < w.size {
		return true
	}
	return w.pass()
}

// pass emits the current window. It moves on first, since emit may not return.
func (w *sliding[T]) pass() bool {
	out := engine.Next[T, []T](&w.items[0], make([]T, len(w.items)))
	for i := range w.items {
		out.Value[i] = w.items[i].Value
	}
	out.Ended = w.items[len(w.items)-1].Ended

	kept := copy(w.items, w.items[min(w.step, len(w.items)):])
	clear(w.items[kept:])
	w.items, w.fresh, w.skip = w.items[:kept], 0, max(w.step-w.size, 0)

	w.ended = !w.emit(&out)
	return !w.ended
}
