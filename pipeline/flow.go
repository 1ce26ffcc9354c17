package pipeline

import (
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Flow is a plan for a stream of values of type T: a source and the steps behind
// it. It is cold: nothing runs until a terminal (Run, ForEach, Collect, All,
// Results) is called, and each call is a run of its own.
//
// A Flow is a small value: copy it freely, build several flows upon one, and use
// it from several goroutines at once. It can be run again and again, also
// concurrently, if its source can; see [FromChan] for one that cannot. The zero
// Flow has no source; to use it panics.
type Flow[T any] struct{ step step[T] }

type item[T any] = engine.Item[T]

// step is one node of a plan. It is immutable: what a run needs is made when it
// is opened for that run, by one of two calls.
type step[T any] interface {
	// name is what the step is called in errors.
	name() string

	// drive runs the step and all before it up to the nearest stage with
	// workers on the calling goroutine, and returns when its output has ended.
	// emit is called for each item, and must not keep it; when it returns
	// false, nothing more is wanted, and drive ends the scope.
	drive(seg *segment, emit func(*item[T]) bool)

	// feed arranges for the outputs to be put into q by other goroutines, and
	// for done to be called after the last one.
	feed(sc *engine.Scope, q *engine.Queue[item[T]], done func())
}

// segment is where fused steps run: on one goroutine, in one scope.
type segment struct {
	*engine.Scope
	*thread
}

func newSegment(sc *engine.Scope) *segment { return &segment{Scope: sc, thread: new(thread)} }

// thread is what the fused steps of one goroutine share in a run.
type thread struct {
	// mark is the clock reading at the end of the last call, which is the
	// start of the next; 0 if time has passed since.
	mark int64
	// inBody says that the body of the user's range loop runs: a panic is not ours.
	inBody bool
	// unwinding says that a step has resolved an item whose function did not
	// return, and the goroutine is on its way out of it, or to its end.
	unwinding bool
	// rest goes on with what is left in the queue that feeds the segment; nil
	// if it is a source that feeds it.
	rest func()
	// tails are what steps do when what comes before them has ended, first steps
	// last.
	tails []func()
	// drain throws away what is left in that queue.
	drain func()
}

// within returns the segment for the steps before one that ends early: on the
// same goroutine, but in a scope of its own.
func (seg *segment) within(sc *engine.Scope) *segment {
	return &segment{Scope: sc, thread: seg.thread}
}

// start notes the time before a call, if it is not known from the call before.
func (seg *segment) start() {
	if seg.Timed && seg.mark == 0 {
		seg.mark = seg.Clock.Now()
	}
}

// lap adds the time since start to an item's run time.
func (seg *segment) lap(run, ended *int64) {
	if !seg.Timed {
		return
	}
	now := seg.Clock.Now()
	*run += now - seg.mark
	*ended, seg.mark = now, now
}

// and runs body and then tail, also if body is gone on with by another goroutine.
func (seg *segment) and(tail, body func()) {
	seg.tails = append(seg.tails, tail)
	body()
	seg.tail()
}

// tail runs the last of the tails.
func (seg *segment) tail() {
	last := len(seg.tails) - 1
	tail := seg.tails[last]
	seg.tails = seg.tails[:last]
	tail()
}

// resume goes on in place of a goroutine that a function has ended.
func (seg *segment) resume() {
	seg.unwinding = false
	if seg.rest != nil { // else what it came from is gone
		seg.rest()
	}
	for len(seg.tails) > 0 {
		seg.tail()
	}
}

// leave ends the scope of what feeds the segment, if it has not ended by itself, and
// waits for it.
func (seg *segment) leave(sc *engine.Scope) {
	if sc.Live() {
		sc.Stop()
	}
	seg.drain()
}

// wanted reports whether items are still passed on: as long as the scope lives,
// and behind that as results that say that they were canceled.
func (seg *segment) wanted() bool { return seg.Live() || !seg.Drops() }

// feedFrom puts what a sequential step gives into q, on a goroutine of its own.
func feedFrom[T any](s step[T], sc *engine.Scope, q *engine.Queue[item[T]], done func()) {
	box := q.NewOutbox()
	seg := newSegment(sc)
	emit := func(it *item[T]) bool {
		if box.Put(it) {
			seg.mark = 0
		}
		return seg.wanted()
	}
	var run func(body func())
	run = func(body func()) {
		sc.Group.Go(func() {
			returned := false
			defer func() {
				if !returned {
					run(seg.resume)
					return
				}
				box.Flush()
				done()
			}()
			body()
			returned = true
		})
	}
	run(func() { s.drive(seg, emit) })
}

// driveQueue takes what a stage with workers gives and passes it to emit.
func driveQueue[T any](seg *segment, q *engine.Queue[item[T]], emit func(*item[T]) bool) {
	t := q.NewTaker()
	sc := seg.Scope
	seg.drain = t.Drain
	seg.rest = func() {
		for {
			it := t.Claim()
			if it == nil {
				if !t.Next(0) {
					return
				}
				seg.mark = t.Started()
				continue
			}
			// The look comes first: once the run is over, an item may be here
			// although one before it was dropped.
			if !seg.wanted() || !emit(it) {
				seg.leave(sc)
				return
			}
		}
	}
	seg.rest()
}

// check panics if the flow has no source.
func (f Flow[T]) check(where string) step[T] {
	if f.step == nil {
		panic("pipeline: " + where + " of a zero Flow: it has no source")
	}
	return f.step
}

// StageError says which stage failed, and on which input. It is what the
// terminals return and what Results gives: errors.Is and errors.As see the
// error of the function through it. Its text is meant for logs; Err has what the
// function said.
type StageError struct {
	Stage string // the name of the stage
	Index int    // place of the input in the source, from 0
	Err   error  // what its function returned, or a *result.PanicError, or [ErrGoexit]
}

// Error names stage, input and cause.
func (e *StageError) Error() string {
	return fmt.Sprintf("pipeline: stage %s: input %d: %v", e.Stage, e.Index, e.Err)
}

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// ErrGoexit is the error of an input whose function ended its goroutine with
// [runtime.Goexit].
var ErrGoexit = engine.ErrGoexit

// wrapper returns what makes a stage's errors StageErrors.
func wrapper(name string) func(int, error) error {
	return func(index int, err error) error {
		return &StageError{Stage: name, Index: index, Err: err}
	}
}
