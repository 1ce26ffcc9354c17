package result

import (
	"context"
	"errors"
)

// A Result is what became of one input.
//
// Exactly one of two things holds: Err is nil and Value is the answer, or Err
// says why there is none. Value is then whatever the function returned beside
// its error, which is the zero value for most functions and always so if it
// was never called or panicked.
//
// The zero Result is a success with the zero value and no timing. A Result is a
// plain value; copying it is fine, and so is reading one from several
// goroutines.
type Result[T any] struct {
	// Value is the answer if Err is nil.
	Value T

	// Err is the error the function returned, a [*PanicError] if it panicked,
	// or the reason why it never ran. Nil means success.
	Err error

	// Index is the place of the input in its source, counted from 0. Several
	// outputs of one input share its index.
	Index int

	// Attempt is the number of calls made for this input, 1 without retries.
	// It is 0 if the input never started.
	Attempt int

	// Worker is the number of the worker that made the last call, -1 if nobody
	// did.
	Worker int

	// Timing tells when the input was accepted, and how long it waited and ran.
	Timing Timing
}

// Get returns value and error as the pair that Go functions return.
func (r Result[T]) Get() (T, error) {
	return r.Value, r.Err
}

// Status returns the outcome: Succeeded, Failed, Panicked or Canceled. The
// first line that applies decides:
//
//   - Err is nil: [Succeeded].
//   - Err is or wraps a [*PanicError]: [Panicked], even if the function
//     panicked with an error that wraps [context.Canceled]. A panic is a bug
//     to be seen, whatever else was going on.
//   - Attempt is 0, so the input never started: [Canceled], whatever the reason.
//   - Err is or wraps [context.Canceled]: [Canceled].
//   - Anything else: [Failed].
//
// A deadline that passed during the call is therefore Failed and not Canceled:
// the call had all the time it was granted and did not make it, which is for
// whoever retries, counts errors or raises alarms to know. Canceled means that
// nobody wanted the answer any more. For the same reason a function that returns
// [context.Cause] instead of ctx.Err() has Failed, unless that cause wraps
// context.Canceled.
func (r Result[T]) Status() Status {
	if r.Err == nil {
		return Succeeded
	}
	if _, ok := errors.AsType[*PanicError](r.Err); ok {
		return Panicked
	}
	if r.Attempt == 0 || errors.Is(r.Err, context.Canceled) {
		return Canceled
	}
	return Failed
}
