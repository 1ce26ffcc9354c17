package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/internal/retry"
	"github.com/millstream-go/millstream/result"
)

// job is a Job with what only its pool knows about it, in one allocation.
type job[In, Out any] struct {
	Job[Out]
	pool *Pool[In, Out]
	in   In
	x    *extra[In, Out] // what only some jobs need; nil, or set before the job is in the queue
}

func (p *Pool[In, Out]) newJob(ctx context.Context, in In) *job[In, Out] {
	j := &job[In, Out]{pool: p, in: in}
	j.queued, j.worker = p.clock.Now(), -1
	j.owner = j
	j.ctx.job = p.ids.Add(1)
	j.ctx.parent, j.ctx.life = lender(ctx), p.life //nolint:fatcontext // it is the context of the job, not a nested one
	return j
}

func (j *job[In, Out]) life() *life { return j.pool.life }

func (j *job[In, Out]) clock() engine.Clock { return j.pool.clock }

// claim starts a queued job at a reading of the clock. It returns true to only one
// caller.
func (j *job[In, Out]) claim(now int64) bool {
	return j.ctx.state.CompareAndSwap(stateOf(uint64(result.Queued), 0), stateOf(uint64(result.Running), now))
}

// abandon ends a job that was never started. Its state must be settling.
func (j *job[In, Out]) abandon(cause error, dropped bool) {
	j.ctx.end(cause)
	if !dropped {
		cause = j.ctx.canceledBy() // of several causes the first one counts
	}
	j.err = &canceledError{cause: cause}
	j.settle(j.pool.clock.Now(), dropped)
	switch e := j.entry(); {
	case dropped: // it is out already
	case e != nil:
		if !j.pool.queue.Remove(e) {
			j.pool.queue.Done(e) // a worker has taken it
		}
	default:
		j.pool.queue.Bury(j)
	}
}

// help runs the job in the share of the call that waits for it, if it has not been
// started.
func (j *job[In, Out]) help(ctx context.Context) error {
	if j.Status() != result.Queued {
		return nil
	}
	p := j.pool
	if p.enter(ctx) != nil {
		return nil // the call, its context or the pool has ended
	}
	defer p.leave()
	hold, err := p.acquire(ctx, nil, j.Done())
	if errors.Is(err, errStopped) || j.Status().Terminal() && err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer hold.release()
	e := j.entry()
	claimed := false
	if e != nil {
		var waits bool
		if claimed, waits = p.queue.Claim(e); waits {
			return ErrWouldDeadlock
		}
	}
	if !j.claimAt(hold) {
		if claimed {
			p.queue.Done(e)
		}
		return nil
	}
	if e == nil {
		p.queue.Bury(j)
	}
	j.runAt(hold)
	return nil
}

// claimAt is claim for a goroutine that is no worker of the queue. Such a worker may be
// about to claim the same job, and have it down as its call: the locks let others see
// the claim together with where the job runs.
func (j *job[In, Out]) claimAt(hold place) bool {
	p := j.pool
	t := p.tally.part(int32(hold.slot.id))
	t.mu.Lock()
	defer t.mu.Unlock()
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	if !j.claim(p.clock.Now()) {
		return false
	}
	hold.runs(&j.ctx)
	if hold.slots == nil {
		j.ctx.nested = true
		t.nested++
		hold.slot.nested = append(hold.slot.nested, &j.ctx)
	}
	return true
}

// runAt runs a job that was claimed with claimAt on this goroutine.
func (j *job[In, Out]) runAt(hold place) {
	returned := false
	defer func() {
		if !returned {
			j.end(engine.Caught(recover()))
		}
	}()
	j.start(hold.slot, j.ctx.begun())
	returned = true
}

// start calls the function and ends the job, unless the function panics. The job must
// have been claimed, and be what the slot shows to run in it. begun is a reading of the
// clock; start returns the reading at the end.
func (j *job[In, Out]) start(s *slot, begun int64) int64 {
	p := j.pool
	j.ctx.slot.Store(s)
	if s.leave.Load() && s.now.Load() {
		j.ctx.end(ErrHalted) // HaltNow came before the claim, and did not see the job
	}
	if p.limits != nil {
		if err := p.before(&j.ctx); err != nil {
			return j.end(err)
		}
		begun = p.clock.Now()
		j.ctx.state.Store(stateOf(uint64(result.Running), begun))
	}
	j.worker = int32(s.id)
	if j.x != nil {
		j.started(begun)
	}
	out, err := p.perform(&j.ctx, j.in)
	j.value = out
	return j.end(err)
}

// started records and tells that the job's function is about to be called.
func (j *job[In, Out]) started(begun int64) {
	j.x.worker.Store(j.worker)
	j.tell(Event{Kind: JobStarted, Time: j.pool.clock.Time(begun), Worker: int(j.worker), Attempt: 1})
}

// end ends a claimed job, and returns the reading of the clock at its end.
func (j *job[In, Out]) end(err error) int64 {
	if err != nil {
		j.err = j.whole(err)
	}
	now := j.pool.clock.Now()
	j.settle(now, false)
	return now
}

// whole adds to the function's error why its context ended.
func (j *job[In, Out]) whole(err error) error {
	cause := j.ctx.canceledBy()
	if cause == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, cause) {
		return err
	}
	if _, panicked := errors.AsType[*result.PanicError](err); panicked {
		return err
	}
	if says, ok := errors.AsType[*canceledError](err); ok && errors.Is(says.cause, cause) {
		return err
	}
	return &canceledError{cause, err}
}

// settle completes the result, counts it and publishes it. The count and the state
// change in one step, so that [Pool.Stats] sees both or neither.
func (j *job[In, Out]) settle(now int64, dropped bool) {
	p, c := j.pool, &j.ctx
	status, begun := result.Succeeded, now
	if j.worker >= 0 {
		begun = c.begun()
		j.run = time.Duration(max(now-begun, 0))
	}
	if j.err != nil {
		if p.life.Err() != nil {
			p.cut.Store(true)
		}
		status = result.Result[Out]{Err: j.err, Attempt: j.attempts()}.Status()
	}
	var none In
	j.in = none // the handle may be kept for a long time

	c.mu.Lock()
	c.endLocked(context.Canceled)
	t := p.tally.part(j.worker)
	t.mu.Lock()
	t.ended(status, result.Timing{Wait: time.Duration(max(begun-j.queued, 0)), Run: j.run}, dropped)
	if j.worker >= 0 {
		s := c.slot.Load()
		s.done++
		s.lastEnd = now
	}
	if c.nested {
		t.nested--
		p.slots.unnest(c)
	}
	c.state.Store(stateOf(uint64(status), begun))
	t.mu.Unlock()
	if c.more != nil && c.more.done != nil {
		close(c.more.done)
	}
	c.mu.Unlock()

	if p.waiting.Load() { // after counting, so that a waiter has seen the count or is told
		p.oneLess()
	}
	if j.x != nil {
		j.ended(now, status, dropped)
	}
}

// perform makes the calls for one input: one, or as many as the retry policy says.
func (p *Pool[In, Out]) perform(c *callCtx, in In) (Out, error) {
	if p.retry == nil {
		return p.call(c, in)
	}
	return p.performAgain(c, in)
}

// performAgain is separate from perform so that a call without retries fits into the
// stack that a goroutine starts with. The same is true of some functions below.
func (p *Pool[In, Out]) performAgain(c *callCtx, in In) (out Out, err error) {
	c.retries.Store(0)
	p.retry.First()
	for made := 1; ; made++ {
		if out, err = p.call(c, in); err == nil {
			return out, nil
		}
		wait, final := p.retry.Next(err, made)
		if final != nil {
			return out, final
		}
		if c.job != 0 && p.watch != nil {
			p.noteRetry(c, made, err, wait)
		}
		if cut := p.retry.Sleep(c, wait); cut != nil {
			return out, notAgain(err, cut)
		}
		switch limit := p.before(c); {
		case limit == nil:
		case c.Err() != nil:
			return out, notAgain(err, context.Cause(c))
		default:
			return out, limit
		}
		if c.job != 0 {
			p.retried.Add(1)
		}
		c.retries.Add(1)
	}
}

func (p *Pool[In, Out]) noteRetry(c *callCtx, made int, err error, wait time.Duration) {
	p.note(Event{
		Kind: JobRetried, Time: p.clock.Time(p.clock.Now()), Job: c.job,
		Worker: c.slot.Load().id, Attempt: made, Err: err, Wait: wait,
	})
}

// notAgain returns the error of an input whose last call failed with err, and whose
// context ended before the next call.
func notAgain(err, cut error) error {
	if errors.Is(cut, context.DeadlineExceeded) {
		return fmt.Errorf("%w; no retry: %w", err, cut)
	}
	return &canceledError{cut, err}
}

// call calls the function within the timeout.
func (p *Pool[In, Out]) call(c *callCtx, in In) (Out, error) {
	if p.stateful != nil {
		return p.callWithState(c, in)
	}
	if p.timeout == 0 {
		return p.fn(c, in)
	}
	ctx, cancel := p.timed(c)
	defer cancel()
	return p.fn(ctx, in)
}

// timed returns a context for the call, which ends at the pool's timeout if there is
// one.
func (p *Pool[In, Out]) timed(c *callCtx) (context.Context, context.CancelFunc) {
	if p.timeout == 0 {
		return c, func() {}
	}
	ctx, cancel := retry.WithTimeout(c, p.timeout, p.called+": ")
	return &timedCtx{ctx, c}, cancel
}
