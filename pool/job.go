package pool

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Job is one input that a pool has accepted. It ends exactly once. Its methods may
// be called from any goroutine at any time. Jobs are made by [Pool.Submit] and
// [Pool.TrySubmit] only, and must not be copied.
type Job[Out any] struct {
	id    uint64
	ctx   callCtx
	owner interface { // the job around it
		life() context.Context
		clock() engine.Clock
		help(ctx context.Context) error
		abandon()
	}
	done   chan struct{} // guarded by ctx.mu; made when asked for
	queued int64         // reading of the pool's clock
	state  atomic.Uint32

	// How it ended: written by who ended the job, before state says so. They take
	// half of the room of a result.Result.
	worker    int32 // who called the function; -1: nobody has
	value     Out
	err       error
	wait, run time.Duration
}

// A job's states are those of result.Status, and one more for the moment in which
// its end is written down.
const settling = uint32(0xff)

// job is a Job with what only its pool knows of it: one allocation for both.
type job[In, Out any] struct {
	Job[Out]
	pool *Pool[In, Out]
	in   In
}

// Submit puts in into the queue as a job, and waits while the queue is full: until
// there is room, ctx ends (the error is its cause) or the pool is closed
// ([ErrClosed]). Those that wait are served in turn. Once accepted, the job no
// longer depends on ctx, but for the values that it lends: it ends by itself, by
// [Job.Cancel], or with the pool.
//
// Inside a call of the same pool, with its context, Submit does not wait for room:
// it returns [ErrWouldDeadlock].
func (p *Pool[In, Out]) Submit(ctx context.Context, in In) (*Job[Out], error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	j := p.newJob(ctx, in)
	err := p.queue.TryPut(j)
	if errors.Is(err, engine.ErrFull) {
		if outerCall(ctx, p.life) != nil {
			return nil, ErrWouldDeadlock
		}
		err = p.queue.Put(ctx, j, func() { j.queued = p.clock.Now() })
	}
	if err != nil {
		return nil, refusal(err)
	}
	return &j.Job, nil
}

// TrySubmit is Submit for those who do not wait: a full queue is [ErrFull] at once.
// The context of the call has no values of the submitter's.
func (p *Pool[In, Out]) TrySubmit(in In) (*Job[Out], error) {
	j := p.newJob(context.Background(), in)
	if err := p.queue.TryPut(j); err != nil {
		return nil, refusal(err)
	}
	return &j.Job, nil
}

func refusal(err error) error {
	switch {
	case errors.Is(err, engine.ErrClosed):
		return ErrClosed
	case errors.Is(err, engine.ErrFull):
		return ErrFull
	}
	return err
}

func (p *Pool[In, Out]) newJob(ctx context.Context, in In) *job[In, Out] {
	j := &job[In, Out]{pool: p, in: in}
	j.queued, j.worker = p.clock.Now(), -1
	j.id = p.ids.Add(1)
	j.owner = j
	j.ctx.parent, j.ctx.life = ctx, p.life //nolint:fatcontext // it is the context of the job, not a nested one
	return j
}

// ID is the job's number in its pool, from 1 on in the order of submission. Inputs
// that were not accepted leave gaps.
func (j *Job[Out]) ID() uint64 { return j.id }

// Status is Queued, Running, or how the job ended; see [result.Result.Status].
func (j *Job[Out]) Status() result.Status {
	if s := j.state.Load(); s != settling {
		return result.Status(s)
	}
	return result.Running
}

// Done returns a channel that is closed when the job has ended.
func (j *Job[Out]) Done() <-chan struct{} {
	j.ctx.mu.Lock()
	defer j.ctx.mu.Unlock()
	if j.done == nil {
		j.done = make(chan struct{})
		if j.Status().Terminal() {
			close(j.done)
		}
	}
	return j.done
}

// Result returns the job's result; false as long as it has not ended.
func (j *Job[Out]) Result() (result.Result[Out], bool) {
	if !j.Status().Terminal() {
		return result.Result[Out]{}, false
	}
	return result.Result[Out]{
		Value: j.value, Err: j.err, Attempt: j.attempts(), Worker: int(j.worker),
		Timing: result.Timing{Queued: j.owner.clock().Time(j.queued), Wait: j.wait, Run: j.run},
	}, true
}

// attempts is how often the function was called.
func (j *Job[Out]) attempts() int {
	if j.worker < 0 {
		return 0
	}
	return 1
}

// Wait waits for the job's end and returns its value and error. ctx ends the
// waiting, not the job: the error is then ctx's cause.
//
// Inside a call of the job's own pool, with its context, Wait runs the job itself
// if it still waits in the queue, and returns when it is done; so jobs that wait for
// jobs cannot deadlock. (A job that waits for itself does, and so may calls that
// wait on Done.)
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
	if j.state.CompareAndSwap(uint32(result.Queued), settling) {
		j.owner.abandon()
	} else if j.state.Load() == settling {
		<-j.Done() // somebody else is about to end it
	}
}

// finish publishes the job's end.
func (j *Job[Out]) finish(s result.Status) {
	j.ctx.mu.Lock()
	defer j.ctx.mu.Unlock()
	j.state.Store(uint32(s))
	if j.done != nil {
		close(j.done)
	}
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

func (j *job[In, Out]) life() context.Context { return j.pool.life }

func (j *job[In, Out]) clock() engine.Clock { return j.pool.clock }

// claim starts a job that waits, for the one who gets true.
func (j *job[In, Out]) claim() bool {
	return j.state.CompareAndSwap(uint32(result.Queued), uint32(result.Running))
}

// abandon ends a job that was never started. Its state must be settling.
func (j *job[In, Out]) abandon() {
	j.err = &canceledError{cause: j.ctx.canceledBy()}
	j.settle(j.pool.clock.Now())
	j.pool.queue.Bury()
}

// help runs the job in the share of the call that waits for it, if nobody has
// started it.
func (j *job[In, Out]) help(ctx context.Context) error {
	if j.Status() != result.Queued {
		return nil
	}
	hold, err := j.pool.acquire(ctx, j.Done())
	if errors.Is(err, errStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	defer hold.release()
	if !j.claim() {
		return nil
	}
	j.pool.queue.Bury()
	returned := false
	defer func() {
		if !returned {
			j.end(engine.Caught(recover()))
		}
	}()
	j.start(hold.slot, j.pool.clock.Now())
	returned = true
	return nil
}

// start calls the function and ends the job, unless it panics. begun is a reading of
// the clock; the one at the end is returned.
func (j *job[In, Out]) start(slot *engine.Slot, begun int64) int64 {
	p := j.pool
	j.ctx.slot.Store(slot)
	if len(p.limits) > 0 {
		if err := p.before(&j.ctx); err != nil {
			return j.end(err)
		}
		begun = p.clock.Now()
	}
	j.worker = int32(slot.ID)
	j.wait = time.Duration(max(begun-j.queued, 0))
	out, err := p.call(&j.ctx, j.in)
	j.value = out
	return j.end(err)
}

// end ends a job that was claimed, and returns the reading of the clock at its end.
func (j *job[In, Out]) end(err error) int64 {
	if err != nil {
		var none Out
		j.value, j.err = none, j.whole(err)
	}
	now := j.pool.clock.Now()
	j.settle(now)
	return now
}

// whole adds to what the function says why its context ended.
func (j *job[In, Out]) whole(err error) error {
	cause := j.ctx.canceledBy()
	if cause == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, cause) {
		return err
	}
	if _, panicked := errors.AsType[*result.PanicError](err); panicked {
		return err
	}
	return &canceledError{cause, err}
}

// settle completes the result and publishes it.
func (j *job[In, Out]) settle(now int64) {
	if j.worker < 0 {
		j.wait = time.Duration(now - j.queued)
	} else {
		j.run = time.Duration(now-j.queued) - j.wait
	}
	var none In
	j.in = none // the handle may be kept for long
	status := result.Succeeded
	if j.err != nil {
		if j.pool.life.Err() != nil {
			j.pool.cut.Store(true)
		}
		status = result.Result[Out]{Err: j.err, Attempt: j.attempts()}.Status()
	}
	j.ctx.close()
	j.finish(status)
}
