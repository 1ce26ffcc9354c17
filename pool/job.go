package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Job is an input that a pool has accepted. It ends exactly once. Its methods may be
// called from any goroutine at any time. Jobs are created only by [Pool.Submit] and
// [Pool.TrySubmit], and must not be copied.
type Job[Out any] struct {
	ctx   callCtx
	owner interface { // the job around it
		life() *life
		clock() engine.Clock
		info(now int64) JobInfo
		help(ctx context.Context) error
		abandon(cause error, dropped bool)
	}
	queued int64  // reading of the pool's clock
	place  uint32 // of the queue

	// How the job ended: written before its state says so, by the goroutine that ends
	// it. This takes half the space of a result.Result.
	worker int32 // the one that called the function; -1: none
	value  Out
	err    error
	run    time.Duration
}

// ID returns the job's number in its pool, counted from 1 in the order of submission.
// Inputs that were not accepted leave gaps.
func (j *Job[Out]) ID() uint64 { return j.ctx.job }

// Status returns Queued, Running, or how the job ended; see [result.Result.Status].
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

// Result returns the job's result, or false if the job has not ended.
func (j *Job[Out]) Result() (result.Result[Out], bool) {
	if !j.Status().Terminal() {
		return result.Result[Out]{}, false
	}
	return result.Result[Out]{
		Value: j.value, Err: j.err, Attempt: j.attempts(), Worker: int(j.worker),
		Timing: j.timing(),
	}, true
}

// Info describes the job at this instant, as [Pool.Jobs] does, but also in a pool
// without [Track]. It may be called at any time, and does not hold up the job.
//
// There is one difference in a pool with neither Track nor [Observe]: a job without
// options that waits for a [Limit] shows the worker and the attempt of the call that is
// to come, and the wait counts as Run until the call starts.
func (j *Job[Out]) Info() JobInfo { return j.owner.info(j.owner.clock().Now()) }

// timing returns the timing of a job that has ended.
func (j *Job[Out]) timing() result.Timing {
	return result.Timing{Queued: j.owner.clock().Time(j.queued), Wait: j.wait(), Run: j.run}
}

// wait returns how long it took until the job started, or ended without starting.
func (j *Job[Out]) wait() time.Duration { return time.Duration(max(j.ctx.begun()-j.queued, 0)) }

// attempts returns how often the function was called.
func (j *Job[Out]) attempts() int {
	if j.worker < 0 {
		return 0
	}
	return 1 + int(j.ctx.retries.Load())
}

// Wait waits for the job to end and returns its value and error. If ctx ends first,
// Wait returns ctx's cause; the job goes on. The error alone does not tell these apart:
// that of a job that ran into its [Timeout] matches [context.DeadlineExceeded], as does
// that of a ctx whose deadline has passed. Check [Job.Result] or [Job.Done], not the
// error.
//
// Inside a call of the job's own pool, with that call's context, Wait runs the job
// itself if it is still in the queue, and returns when it is done; so jobs that wait
// for jobs cannot deadlock. Wait does not wait for a job that may not start yet
// because of a [Key], a [Weight] or [After]: it returns [ErrWouldDeadlock]. (A job
// that waits for itself does deadlock, and so may calls that wait on Done.)
func (j *Job[Out]) Wait(ctx context.Context) (out Out, err error) {
	if ctx == nil {
		panic("pool: Job.Wait: nil context")
	}
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

// Cancel cancels the job with a cause; nil stands for [context.Canceled]. A job in
// the queue never starts and has ended when Cancel returns. For a running job, the
// context of its call ends, and the function decides how the job ends. A job that has
// ended does not change, and of several causes the first one counts. The error of a
// job that ends canceled matches both the cause and context.Canceled with
// [errors.Is].
func (j *Job[Out]) Cancel(cause error) {
	if cause == nil {
		cause = context.Canceled
	}
	j.ctx.end(cause)
	if !j.abort(cause, false) && j.ctx.state.Load()&(1<<statusBits-1) == settling {
		<-j.Done() // another goroutine is about to end it
	}
}

// abort ends a job that has not started, and reports whether it did. dropped says
// that the job was taken out of the queue to make room for another.
func (j *Job[Out]) abort(cause error, dropped bool) bool {
	if !j.ctx.state.CompareAndSwap(stateOf(uint64(result.Queued), 0), settling) {
		return false
	}
	j.owner.abandon(cause, dropped)
	return true
}

// canceledError is the error of a job that was canceled. It matches the cause, the
// function's error if the function was called, and context.Canceled.
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

// Is makes every cancellation match [context.Canceled].
func (e *canceledError) Is(target error) bool { return target == context.Canceled }
