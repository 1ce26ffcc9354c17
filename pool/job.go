package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Job is one input that a pool has accepted. It ends exactly once. Its methods may
// be called from any goroutine at any time. Jobs are made by [Pool.Submit] and
// [Pool.TrySubmit] only, and must not be copied.
type Job[Out any] struct {
	ctx   callCtx
	owner interface { // the job around it
		life() *life
		clock() engine.Clock
		help(ctx context.Context) error
		abandon(cause error, dropped bool)
	}
	queued int64 // reading of the pool's clock

	// How it ended: written by who ended the job, before its state says so. They take
	// half of the room of a result.Result.
	worker int32 // who called the function; -1: nobody has
	value  Out
	err    error
	run    time.Duration
}

// ID is the job's number in its pool, from 1 on in the order of submission. Inputs
// that were not accepted leave gaps.
func (j *Job[Out]) ID() uint64 { return j.ctx.job }

// Status is Queued, Running, or how the job ended; see [result.Result.Status].
func (j *Job[Out]) Status() result.Status { return j.ctx.status() }

// Done returns a channel that is closed when the job has ended.
func (j *Job[Out]) Done() <-chan struct{} {
	j.ctx.mu.Lock()
	defer j.ctx.mu.Unlock()
	m := j.ctx.moreLocked()
	if m.done == nil {
		m.done = make(chan struct{})
		if j.Status().Terminal() {
			close(m.done)
		}
	}
	return m.done
}

// Result returns the job's result; false as long as it has not ended.
func (j *Job[Out]) Result() (result.Result[Out], bool) {
	if !j.Status().Terminal() {
		return result.Result[Out]{}, false
	}
	return result.Result[Out]{
		Value: j.value, Err: j.err, Attempt: j.attempts(), Worker: int(j.worker),
		Timing: j.timing(),
	}, true
}

// timing is that of a job that has ended.
func (j *Job[Out]) timing() result.Timing {
	return result.Timing{Queued: j.owner.clock().Time(j.queued), Wait: j.wait(), Run: j.run}
}

// wait is how long it took until the job started, or ended without.
func (j *Job[Out]) wait() time.Duration { return time.Duration(max(j.ctx.begun()-j.queued, 0)) }

// attempts is how often the function was called.
func (j *Job[Out]) attempts() int {
	if j.worker < 0 {
		return 0
	}
	return 1 + int(j.ctx.retries.Load())
}

// Wait waits for the job's end and returns its value and error. ctx ends the
// waiting, not the job: the error is then ctx's cause.
//
// Inside a call of the job's own pool, with its context, Wait runs the job itself
// if it still waits in the queue, and returns when it is done; so jobs that wait for
// jobs cannot deadlock. A job that may not start yet, because of a [Key], a [Weight]
// or [After], it does not wait for: it returns [ErrWouldDeadlock]. (A job that waits
// for itself does deadlock, and so may calls that wait on Done.)
func (j *Job[Out]) Wait(ctx context.Context) (out Out, err error) {
	if j.Status().Terminal() {
		return j.value, j.err
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	if outerCall(ctx, j.owner.life()) != nil {
		if err := j.owner.help(ctx); err != nil {
			return out, err
		}
	}
	select {
	case <-j.Done():
	case <-ctx.Done():
		if !j.Status().Terminal() {
			return out, context.Cause(ctx)
		}
	}
	return j.value, j.err
}

// Cancel ends the job with a cause; nil stands for [context.Canceled]. A job in
// the queue never starts and has ended when Cancel returns. For a running one the
// context of its call ends, and the function decides. A job that has ended stays
// as it is, and of several causes the first one counts. The job's error is then
// both the cause and context.Canceled to errors.Is.
func (j *Job[Out]) Cancel(cause error) {
	if cause == nil {
		cause = context.Canceled
	}
	j.ctx.end(cause)
	if !j.abort(cause, false) && j.ctx.state.Load()&(1<<statusBits-1) == settling {
		<-j.Done() // somebody else is about to end it
	}
}

// abort ends a job that has not started, and reports whether it was the one to.
// dropped says that it has been taken out of the queue for another one.
func (j *Job[Out]) abort(cause error, dropped bool) bool {
	if !j.ctx.state.CompareAndSwap(stateOf(uint64(result.Queued), 0), settling) {
		return false
	}
	j.owner.abandon(cause, dropped)
	return true
}

// canceledError is the error of a job that was canceled: the cause, what the
// function made of it, if it was called, and also context.Canceled.
type canceledError struct{ cause, err error }

func (e *canceledError) Error() string {
	switch {
	case e.err != nil && e.err != context.Canceled && !errors.Is(e.cause, e.err): //nolint:errorlint // just this one says nothing
		return fmt.Sprintf("canceled: %v: %v", e.cause, e.err)
	case errors.Is(e.cause, context.Canceled):
		return e.cause.Error()
	}
	return fmt.Sprintf("canceled: %v", e.cause)
}

func (e *canceledError) Unwrap() []error {
	if e.err == nil {
		return []error{e.cause}
	}
	return []error{e.cause, e.err}
}

// Is makes every cancellation a [context.Canceled].
func (e *canceledError) Is(target error) bool { return target == context.Canceled }
