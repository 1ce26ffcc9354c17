package pipeline

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/millstream-go/millstream/internal/engine"
)

// ErrSourceUsed is the error of the second run of a source that serves only one run, even
// while the first is still going on, and even through another flow built upon the same
// source. A run that ends before it reads anything does not count.
var ErrSourceUsed = errors.New("the source serves one run only")

// From returns a flow of the values of seq. Each run calls seq once, on one goroutine at a
// time, so the flow can be run as often as seq can. When a run ends early, seq's yield
// returns false. A seq that blocks in its own code cannot be interrupted, and the run waits
// for it: give it a way to end, or use [FromChan] or [FromFunc]. If seq panics, the run
// ends with a [StageError] of stage "from". A panic after yield has returned false is
// ignored, such as the one from calling yield again. A nil seq panics.
func From[T any](seq iter.Seq[T]) Flow[T] {
	if seq == nil {
		panic("pipeline: From: nil sequence")
	}
	return newSource("from", func(g *giver[T]) error {
		for v := range seq {
			if !g.give(v) {
				break
			}
		}
		return nil
	})
}

// FromSlice returns a flow of the elements of s, in order. It does not copy s: the slice
// must not change during a run.
func FromSlice[T any](s []T) Flow[T] { return From(slices.Values(s)) }

// FromSeq2 returns a flow of the values of seq, where each value comes with an error, as
// with the rows of a database or the entries of a directory. A pair with an error is a
// failed input of stage "from" that keeps its value: it ends a fail-fast run, while Results
// yields it and continues. In all else it is like [From]. A nil seq panics.
func FromSeq2[T any](seq iter.Seq2[T, error]) Flow[T] {
	if seq == nil {
		panic("pipeline: FromSeq2: nil sequence")
	}
	return newSource("from", func(g *giver[T]) error {
		for v, err := range seq {
			if err != nil && !g.giveFailed(v, err) || err == nil && !g.give(v) {
				break
			}
		}
		return nil
	})
}

// FromChan returns a flow of the values received from c until c is closed. It never closes
// c, and receives nothing more once a run ends early or drains; a value that it has
// received but not passed on when the run ends early is lost. The flow serves only one run:
// another one fails with [ErrSourceUsed]. A nil c panics.
func FromChan[T any](c <-chan T) Flow[T] {
	if c == nil {
		panic("pipeline: FromChan: nil channel")
	}
	return newSource("from", once(func(g *giver[T]) error {
		done := g.seg.Ctx.Done()
		var intake <-chan struct{}
		if g.seg.run.intake != nil {
			intake = g.seg.run.intake.Done()
		}
		for g.open() {
			g.seg.probe.Switch(engine.Idle, g.now()) // waiting for input, like a stage after a queue
			select {
			case v, ok := <-c:
				if !ok || !g.give(v) {
					return nil
				}
			case <-done:
			case <-intake:
			}
		}
		return nil
	}))
}

// source is the first step of a flow.
type source[T any] struct {
	base
	// pull gives the values of one run to g, until there are no more or g wants no more.
	// Its error is a failure of the source itself.
	pull func(g *giver[T]) error
}

func newSource[T any](kind string, pull func(*giver[T]) error) Flow[T] {
	return Flow[T]{&source[T]{base: configure(kind, nil).on(), pull: pull}}
}

// once limits a source to one run.
func once[T any](pull func(*giver[T]) error) func(*giver[T]) error {
	var used atomic.Bool
	return func(g *giver[T]) error {
		if used.Swap(true) {
			return ErrSourceUsed
		}
		return pull(g)
	}
}

func (s *source[T]) plan() *node { return s.node(roleSource) }

func (s *source[T]) named(name string) step[T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *source[T]) feed(at site, q *engine.Queue[item[T]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *source[T]) drive(seg *segment, emit func(*item[T]) bool) {
	g := &giver[T]{seg: seg, stage: s.name, emit: outgoing(seg, emit), wanted: true}
	if !seg.Live() {
		seg.Cut()
		return
	}
	if g.drained() {
		return
	}
	returned := false
	defer func() {
		seg.probe.Switch(engine.Idle, g.now())
		switch {
		case returned || seg.inBody:
		case seg.unwinding: // a function has called Goexit: what the source had left is lost
			if seg.silent && g.wanted && seg.Live() {
				g.fail(ErrGoexit)
			}
		case g.wanted:
			g.fail(engine.Caught(recover()))
		default: // it was cut off: a panic after that is ignored
			_ = recover()
		}
	}()
	seg.probe.Switch(engine.Busy, g.now())
	err := s.pull(g)
	returned = true
	if err != nil && g.wanted {
		g.fail(err)
	}
}

// giver receives what a source gives in a run.
type giver[T any] struct {
	seg    *segment
	stage  string
	emit   func(*item[T]) bool
	it     item[T] // one for the whole run: emit does not keep it
	next   int
	wanted bool
}

// give passes on a value and reports whether another one is wanted.
func (g *giver[T]) give(v T) bool {
	seg := g.seg
	g.it = item[T]{Value: v, Index: g.next, Worker: -1}
	if seg.Timed {
		g.stamp()
	}
	g.next++
	if !seg.Live() { // what has left the source gets a result, if results are kept
		if !seg.Drops() {
			g.it.Canceled(context.Cause(seg.Ctx), g.it.Queued)
			g.emit(&g.it)
		}
		g.wanted = false
		return false
	}
	return g.pass()
}

// giveFailed passes on a value that comes with an error.
func (g *giver[T]) giveFailed(v T, err error) bool {
	if !g.seg.Live() {
		return g.give(v) // which says why it was canceled
	}
	// The source counts as the stage that was called: with no call at all the item would count as canceled.
	failed := &StageError{Stage: g.stage, Index: g.next, Input: v, Attempts: 1, Err: err}
	g.it = item[T]{Value: v, Err: failed, Index: g.next, Attempt: 1, Worker: -1}
	if g.seg.Timed {
		g.stamp()
	}
	g.next++
	g.seg.probe.Note(engine.Counts{Errors: 1})
	if !g.seg.Keep {
		g.seg.Fail(g.it.Err)
		g.wanted = false
		return false
	}
	return g.pass()
}

// pass emits the current item.
func (g *giver[T]) pass() bool {
	g.wanted = g.emit(&g.it) && !g.drained()
	if g.seg.probe != nil {
		g.seg.probe.Switch(engine.Busy, g.now())
	}
	return g.wanted
}

// stamp records when the current item left the source.
func (g *giver[T]) stamp() {
	now := g.seg.Clock.Now()
	g.it.Queued, g.it.Ended, g.seg.mark = now, now, now
	g.seg.probe.Switch(engine.Idle, now)
}

// open reports whether the source should give more, and records if it was cut off.
func (g *giver[T]) open() bool {
	if !g.seg.Live() {
		g.seg.Cut()
		return false
	}
	return !g.drained()
}

// drained reports whether the run takes no more input; see [Drain].
func (g *giver[T]) drained() bool {
	return g.seg.run.intake != nil && g.seg.run.intake.Err() != nil
}

// fail ends the source with an error.
func (g *giver[T]) fail(err error) {
	g.seg.probe.Note(engine.Counts{Errors: 1})
	err = &StageError{Stage: g.stage, Index: g.next, Attempts: 1, Err: err}
	if g.seg.Keep {
		g.seg.FailLast(g.next, err)
	} else {
		g.seg.Fail(err)
	}
}

// now returns a clock reading for a report, or 0 if the run is not watched.
func (g *giver[T]) now() int64 {
	if g.seg.probe == nil {
		return 0
	}
	return g.seg.Clock.Now()
}
