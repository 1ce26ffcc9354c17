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
//
// It opens each of the steps before it exactly once, also if nothing is wanted any more.
type step[T any] interface {
	// drive runs the step and all before it up to the nearest stage with
	// workers on the calling goroutine, and returns when its output has ended.
	// emit is called for each item, and must not keep it; when it returns
	// false, nothing more is wanted, and drive ends the scope.
	drive(seg *segment, emit func(*item[T]) bool)

	// feed arranges for the outputs to be put into q by other goroutines, and
	// for done to be called after the last one.
	feed(at site, q *engine.Queue[item[T]], done func())

	// plan describes the step and all before it.
	plan() *node

	// named returns the same step under another name.
	named(name string) step[T]

	// clocked reports whether the step, or one before it, needs the times of items
	// whoever looks at the results.
	clocked() bool
}

// base is what all steps have.
type base struct {
	config
	timed bool
}

func (b *base) clocked() bool { return b.timed }

// on returns the base of a step behind others.
func (c config) on(ups ...interface{ clocked() bool }) base {
	timed := c.letters != nil
	for _, up := range ups {
		timed = timed || up.clocked()
	}
	return base{config: c, timed: timed}
}

// Named returns the flow with another name for its last step, as the option [Named]
// does for one; for steps that take no options, and sources. A name given twice, and an
// empty one, panic.
func (f Flow[T]) Named(name string) Flow[T] { return Flow[T]{f.check("Named").named(name)} }

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
