package pipeline

import (
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Window returns slices of size values of f that follow each other, each of which begins
// step values behind the one before: with a step below the size they overlap, with a
// larger one values are left out between them. The last one is shorter if values are left
// that no other has had; it is given when f ends, also by [Drain]. Each slice belongs to who
// receives it: those that overlap share no memory. A window carries index, Queued and Run of its first value;
// its Wait lasts until its last one was there. Inputs that failed before are passed on by
// themselves and are in none. At most size values are kept. The kind of the step is "window".
// size and step below 1 panic.
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

// sliding is a Window in a run.
type sliding[T any] struct {
	size, step int
	emit       func(*item[[]T]) bool
	items      []item[T] // at most size of them
	fresh      int       // of them, those that no window has had
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

// pass emits what there is. It moves on first, since emit may not return.
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
