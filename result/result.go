package result

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// A Result is what became of one input.
//
// Either Err is nil and Value is the answer, or Err says why there is none. In
// the latter case, Value is what the function returned with the error: the zero
// value for most functions, and always if the function was not called or
// panicked.
//
// The zero Result is a success with the zero value and no timing. A Result is a
// plain value: it may be copied, and read by several goroutines.
type Result[T any] struct {
	// Value is the answer if Err is nil.
	Value T

	// Err is the error that the function returned, a [*PanicError] if it
	// panicked, or the reason why it never ran. Nil means success.
	Err error

	// Index is the place of the input in its source, counted from 0. Several
	// outputs of one input share its index. It is 0 for a Job, which has a
	// single input.
	Index int

	// Attempt is the number of calls made for this input, 1 without retries.
	// It is 0 if the input never started.
	Attempt int

	// Worker is the number of the worker that made the last call, or -1 if there
	// was none.
	Worker int

	// Timing tells when the input was accepted, and how long it waited and ran.
	Timing Timing
}

// Get returns Value and Err as the usual pair.
func (r Result[T]) Get() (T, error) {
	return r.Value, r.Err
}

// MarshalJSON returns the result as a JSON object with lower-case names, Err as
// its text and durations in seconds. It leaves out Err if it is nil, Worker if
// there is none, and the time if it is zero. It fails if Value cannot be
// marshaled.
func (r Result[T]) MarshalJSON() ([]byte, error) {
	var why *string
	if r.Err != nil {
		s := text("%v", r.Err)
		why = &s
	}
	var worker *int
	if r.Worker >= 0 {
		worker = &r.Worker
	}
	return json.Marshal(struct {
		Value   T         `json:"value"`
		Err     *string   `json:"err,omitempty"`
		Status  Status    `json:"status"`
		Index   int       `json:"index"`
		Attempt int       `json:"attempt"`
		Worker  *int      `json:"worker,omitempty"`
		Queued  time.Time `json:"queued,omitzero"`
		Wait    float64   `json:"wait_seconds"`
		Run     float64   `json:"run_seconds"`
	}{
		r.Value, why, r.Status(), r.Index, r.Attempt, worker,
		r.Timing.Queued, r.Timing.Wait.Seconds(), r.Timing.Run.Seconds(),
	})
}

// Status returns the outcome: Succeeded, Failed, Panicked or Canceled. The first
// line that applies decides:
//
//   - Err is nil: [Succeeded].
//   - Err is or wraps a [*PanicError]: [Panicked], even if the function panicked
//     with an error that wraps [context.Canceled]. A panic is a bug that must be
//     seen, whatever else happened.
//   - Attempt is 0, so the input never started: [Canceled], whatever the reason.
//   - Err is or wraps [context.Canceled]: [Canceled].
//   - Anything else: [Failed].
//
// So a deadline that passed during the call is Failed, not Canceled: the call
// had all the time that it was granted and did not finish, which matters to code
// that retries, counts errors or raises alarms. Canceled means that the answer
// was no longer wanted. For the same reason a function that returns
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
