package pipeline

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/millstream-go/millstream/internal/engine"
)

// ErrSourceUsed is the error of the second run of a flow whose source serves only one.
var ErrSourceUsed = errors.New("pipeline: the source serves one run only")

// From returns a flow of the values of seq. It runs seq on one goroutine at a time
// and once in every run; so a flow can be run as often as seq can. When the run
// ends early, seq's yield returns false. A seq that blocks in its own code cannot
// be interrupted, and the run waits for it: give it the means to end, or use
// [FromChan]. A seq that panics ends the run with a [StageError] of stage "from".
// A nil seq panics.
func From[T any](seq iter.Seq[T]) Flow[T] {
	if seq == nil {
		panic("pipeline: From: nil sequence")
	}
	return Flow[T]{&source[T]{open: func(*segment) (iter.Seq[T], error) { return seq, nil }}}
}

// FromSlice returns a flow of the elements of s in order. It does not copy s.
func FromSlice[T any](s []T) Flow[T] { return From(slices.Values(s)) }

// FromChan returns a flow of what is received from c until it is closed. It never
// closes c, and receives nothing more once a run ends early; what it has received
// by then and not passed on is lost. The flow serves one run only: another one
// gives [ErrSourceUsed]. A nil c panics.
func FromChan[T any](c <-chan T) Flow[T] {
	if c == nil {
		panic("pipeline: FromChan: nil channel")
	}
	var used atomic.Bool
	return Flow[T]{&source[T]{open: func(seg *segment) (iter.Seq[T], error) {
		if used.Swap(true) {
			return nil, ErrSourceUsed
		}
		done := seg.Ctx.Done()
		return func(yield func(T) bool) {
			for seg.Live() {
				select {
				case v, ok := <-c:
					if !ok || !yield(v) {
						return
					}
				case <-done:
				}
			}
			seg.Cut()
		}, nil
	}}}
}

// source is the first step of a flow.
type source[T any] struct {
	open func(*segment) (iter.Seq[T], error)
}

func (s *source[T]) name() string { return "from" }

func (s *source[T]) feed(sc *engine.Scope, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, sc, q, done)
}

func (s *source[T]) drive(seg *segment, emit func(*item[T]) bool) {
	if !seg.Live() {
		seg.Cut()
		return
	}
	var it item[T] // one for the whole run: emit does not keep it
	next := 0
	fail := func(err error) {
		err = &StageError{Stage: s.name(), Index: next, Err: err}
		if seg.Keep {
			seg.FailLast(next, err)
		} else {
			seg.Fail(err)
		}
	}
	seq, err := s.open(seg)
	if err != nil {
		fail(err)
		return
	}
	returned, wanted := false, true
	defer func() {
		switch {
		case returned || seg.inBody || seg.unwinding:
		case wanted:
			fail(engine.Caught(recover()))
		default: // it was cut: what becomes of it then is of no interest
			_ = recover()
		}
	}()
	for v := range seq {
		it = item[T]{Value: v, Index: next, Worker: -1}
		s.stamp(seg, &it)
		next++
		if !seg.Live() { // what has left the source has a result, if anybody cares
			if !seg.Drops() {
				it.Canceled(context.Cause(seg.Ctx), it.Queued)
				emit(&it)
			}
			wanted = false
			break
		}
		if wanted = emit(&it); !wanted {
			break
		}
	}
	returned = true
}

func (s *source[T]) stamp(seg *segment, it *item[T]) {
	if seg.Timed {
		it.Queued = seg.Clock.Now()
		it.Ended, seg.mark = it.Queued, it.Queued
	}
}
