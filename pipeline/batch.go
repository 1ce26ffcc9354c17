package pipeline

import (
	"fmt"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// Batch collects the values of f, in the order in which they come, into slices of size; the
// last one may be shorter. With a maxWait above 0, a slice that is not full is passed on
// once maxWait has gone by since its first value came, so that a trickle is not held up;
// the steps before the batch then run on another goroutine than those after it. When f
// ends, including by [Drain], the values left are passed on; in Results they are also passed
// on, as a success, when the run is canceled. Each slice belongs to its receiver.
//
// Steps after the batch count a slice as one item. So before a stage with workers up to 256
// slices may wait, of size values each, and a [Drain] still finishes them: set its [Buffer]
// if that is too much.
//
// A batch carries the index, Queued and Run of its first value; its Wait lasts until its
// last value. Inputs that failed before are passed on individually. The kind of the step is
// "batch". A size below 1 panics, and so does a maxWait below 0.
func Batch[T any](f Flow[T], size int, maxWait time.Duration) Flow[[]T] {
	up, c := f.check("Batch"), configure("batch", nil)
	if size < 1 {
		c.refuse(fmt.Sprintf("size %d: want at least 1", size))
	}
	if maxWait < 0 {
		c.refuse(fmt.Sprintf("maxWait %v: want at least 0", maxWait))
	}
	return Flow[[]T]{&batched[T]{base: c.on(up), up: up, size: size, maxWait: maxWait}}
}

type batched[T any] struct {
	base
	up      step[T]
	size    int
	maxWait time.Duration
}

func (s *batched[T]) plan() *node {
	role := roleFused
	if s.maxWait > 0 {
		role = roleQueued
	}
	n := s.node(role, s.up.plan())
	n.keeps = s.size
	return n
}

func (s *batched[T]) named(name string) step[[]T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *batched[T]) feed(at site, q *engine.Queue[item[[]T]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *batched[T]) drive(seg *segment, emit func(*item[[]T]) bool) {
	b := &batch[T]{seg: seg, size: s.size, emit: emit}
	add := collecting(seg, b.add, &b.emit)
	if s.maxWait > 0 {
		s.driveTimed(b, add)
		return
	}
	seg.and(b.last, func() { s.up.drive(seg.up(0), add) })
}

// driveTimed is drive with one goroutine that owns the buffer, the timer and the last
// flush.
func (s *batched[T]) driveTimed(b *batch[T], add func(*item[T]) bool) {
	seg := b.seg
	q := engine.NewQueue[item[T]](seg.Clock, s.buffer)
	if m := seg.meter(); m != nil {
		m.Watch(q.Depth)
	}
	s.up.feed(seg.site.up(0), q, q.Close)
	t := q.NewTaker()
	timer := time.NewTimer(s.maxWait)
	timer.Stop()
	seg.drain = t.Drain
	seg.rest = func() {
		defer timer.Stop()
		for {
			ok, more := true, true
			it := t.Claim()
			if it == nil {
				ok, more = b.next(t, timer)
				seg.mark = 0 // it may have waited
			}
			wanted := true
			switch {
			case it != nil:
				first := len(b.values) == 0
				wanted = add(it)
				if first && len(b.values) > 0 {
					b.late = false
					timer.Reset(s.maxWait)
				}
			case !more:
				b.last()
				return
			case !ok:
				wanted = b.flush()
			}
			if !wanted {
				seg.leave(seg.Scope)
				return
			}
		}
	}
	seg.rest()
}

// batch is the buffer of a Batch in a run.
type batch[T any] struct {
	seg    *segment
	size   int
	emit   func(*item[[]T]) bool
	values []T
	out    item[[]T] // one for the whole run: emit does not keep it
	ended  bool      // emit wants no more
	late   bool      // the current values have waited long enough
}

// next gets the next chunk. ok is false if the batch has waited long enough, and more is
// false if nothing will come.
func (b *batch[T]) next(t *engine.Taker[item[T]], timer *time.Timer) (ok, more bool) {
	if len(b.values) == 0 {
		ok = t.Next(0)
		return ok, ok
	}
	if b.late { // the time was over when the last chunk came
		return false, true
	}
	select {
	case <-timer.C: // inputs may come so often that it never waits for them
		return false, true
	default:
		ok, more, b.late = t.NextBefore(timer.C)
		return ok, more
	}
}

func (b *batch[T]) add(it *item[T]) (wanted bool) {
	if it.Err != nil {
		failed := engine.Next[T, []T](it, nil)
		b.ended = !b.emit(&failed)
		return !b.ended
	}
	if len(b.values) == 0 {
		b.values = make([]T, 0, min(b.size, firstBatch))
		b.out = engine.Next[T, []T](it, nil)
	}
	b.values = append(b.values, it.Value)
	b.out.Ended = it.Ended
	if len(b.values) < b.size {
		return true
	}
	return b.flush()
}

// firstBatch bounds the capacity reserved for a batch before its values have come.
const firstBatch = 1024

func (b *batch[T]) flush() (wanted bool) {
	b.out.Value, b.values = b.values, nil
	b.ended = !b.emit(&b.out)
	b.out.Value = nil
	return !b.ended
}

// last passes on what is left when the input has ended.
func (b *batch[T]) last() {
	if len(b.values) > 0 && !b.ended && b.seg.wanted() {
		b.flush()
	}
}
