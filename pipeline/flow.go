package pipeline

import (
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Flow is a plan for a stream of values of type T: a source followed by steps. Nothing runs
// until a terminal (Run, ForEach, Collect, All, Results) is called, and each call is an
// independent run.
//
// A Flow is a small value: copy it freely, build several flows upon it, and use it from
// several goroutines at once. It can be run again and again, even concurrently, if its
// source can; see [FromChan] for one that cannot. The zero Flow has no source; using it
// panics.
type Flow[T any] struct{ step step[T] }

type item[T any] = engine.Item[T]

// step is one node of a plan. It is immutable: the state of a run is created when drive or
// feed opens the step for that run.
//
// Opening a step opens each of the steps before it exactly once, even if nothing is wanted
// any more.
type step[T any] interface {
	// drive runs the step, and those before it up to the nearest stage with workers, on the
	// calling goroutine. It returns when its output has ended. It calls emit for each item;
	// emit must not keep it. When emit returns false, nothing more is wanted, and drive
	// ends the scope.
	drive(seg *segment, emit func(*item[T]) bool)

	// feed arranges for other goroutines to put the outputs into q, and to call done after
	// the last one.
	feed(at site, q *engine.Queue[item[T]], done func())

	// plan describes the step and all before it.
	plan() *node

	// named returns the same step under another name.
	named(name string) step[T]

	// clocked reports whether the step, or one before it, needs the times of items even if
	// the terminal does not.
	clocked() bool
}

// base is what all steps have in common.
type base struct {
	config
	timed bool
}

func (b *base) clocked() bool { return b.timed }

// on returns the base of a step that follows ups.
func (c config) on(ups ...interface{ clocked() bool }) base {
	timed := c.letters != nil
	for _, up := range ups {
		timed = timed || up.clocked()
	}
	return base{config: c, timed: timed}
}

// Named returns the flow with another name for its last step. It does for sources and for
// steps that take no options what the option [Named] does for a stage. Naming a step twice
// panics, and so does an empty name.
func (f Flow[T]) Named(name string) Flow[T] { return Flow[T]{f.check("Named").named(name)} }

// check panics if the flow has no source.
func (f Flow[T]) check(where string) step[T] {
	if f.step == nil {
		panic("pipeline: " + where + " of a zero Flow: it has no source")
	}
	return f.step
}

// StageError says which stage failed, and on which input. The terminals return it, and
// Results yields it. errors.Is and errors.As see the function's error through it. Its text
// is meant for logs; Err has the function's own error.
type StageError struct {
	Stage    string // the name of the stage
	Index    int    // position of the input in the source, from 0
	Input    any    // what the function was called with, or the value of a [FromSeq2] pair; nil if a source failed otherwise
	Attempts int    // calls made for the input; 0 if a [Limit] refused it
	Err      error  // what its function or a [Limit] returned, or a *result.PanicError, or [ErrGoexit]
}

// Error names the stage, the position of the input, the number of calls if there were
// several, and the cause. It does not show the input itself.
func (e *StageError) Error() string {
	tried := ""
	if e.Attempts > 1 {
		tried = fmt.Sprintf("after %d attempts: ", e.Attempts)
	}
	return fmt.Sprintf("pipeline: stage %s: input %d: %s%v", e.Stage, e.Index, tried, e.Err)
}

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// ErrGoexit is the error of an input whose function called [runtime.Goexit].
var ErrGoexit = engine.ErrGoexit

// wrapper returns a function that turns a stage's errors into StageErrors.
func wrapper[T any](name string) func(in T, index int, calls int32, err error) error {
	return func(in T, index int, calls int32, err error) error {
		return &StageError{Stage: name, Index: index, Input: in, Attempts: int(calls), Err: err}
	}
}
