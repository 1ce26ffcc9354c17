package pool

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// grace is how long Shutdown waits for calls to return after it has ended their
// contexts.
const grace = 100 * time.Millisecond

// Shutdown stops the intake and waits until everything accepted has ended: jobs in
// the queue are still run, and calls of Do, Map and Stream that are under way finish,
// including their own use of the pool with Do, Map and Stream. All other callers,
// including those that submit or wait for room, get [ErrClosed].
//
// When ctx ends first, what is left is canceled with ctx's cause: jobs in the queue
// end without being started, and the contexts of the calls under way end. The calls
// get 100 ms to return. Shutdown then returns ctx's cause or, if some calls still run
// because their function does not heed its context, a [*StuckError] that wraps it. If
// it returns anything else, no call runs any more.
//
// It may be called again, and together with Close. Called inside a call of the same
// pool, with that call's context, it would wait for itself: it stops the intake and
// returns [ErrWouldDeadlock]. In the body of a loop over a Stream it waits for that
// loop, and therefore for ctx.
func (p *Pool[In, Out]) Shutdown(ctx context.Context) error {
	if ctx == nil {
		panic("pool: Shutdown: nil context")
	}
	p.stopIntake()
	p.finish()
	if outerCall(ctx, p.life) != nil {
		return ErrWouldDeadlock
	}
	defer p.flush()
	select {
	case <-p.settled:
		return nil
	default:
	}
	select {
	case <-p.settled:
		return nil
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	if p.direct.Load() > closedBit || p.slots.Held() > 0 {
		p.cut.Store(true) // calls are under way, and will see their context end
	}
	p.abort(cause)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.settled:
		if !p.cut.Load() {
			return nil // nothing was left to do but to stop workers
		}
		return cause
	case <-timer.C:
	}
	if stuck := p.stuck(); len(stuck) > 0 || p.direct.Load() > closedBit {
		return &StuckError{Pool: p.name, Calls: stuck, Err: cause}
	}
	return cause
}

// stuck lists the calls under way, and the workers whose states are being closed.
func (p *Pool[In, Out]) stuck() []StuckCall {
	now := p.clock.Now()
	var calls []StuckCall
	p.slots.counts(func(at *slot) {
		if !at.held && !at.closing {
			return
		}
		s := StuckCall{Worker: at.id, Closing: at.closing}
		if c := at.runningLocked(); c != nil {
			s.Job, s.Age = c.job, since(c.begun(), now)
		}
		calls = append(calls, s)
	})
	return calls
}

// flush waits until the observer has been told of the events so far, but no longer
// than grace.
func (p *Pool[In, Out]) flush() {
	if p.watch != nil {
		p.watch.flush(grace)
	}
}

// Close stops the intake, cancels what is left with [ErrClosed] as the cause, and
// waits until every goroutine of the pool and every accepted job has ended, including
// jobs that other goroutines are canceling. Jobs in the queue end without being
// started, and the contexts of the calls under way end. Close waits for a function
// that does not heed its context; Shutdown does not. For the function in [Observe]
// both wait at most 100 ms; if it has not returned by then, it is left running. Close
// returns nil, or the first error from closing a state of [NewStateful], also when
// called again. Close must not be called inside a call of the same pool, nor in the
// body of a loop over one of its Streams, because it would wait for them: use Shutdown
// there.
func (p *Pool[In, Out]) Close() error {
	p.stopIntake()
	p.abort(ErrClosed)
	<-p.settled
	p.flush()
	return p.shutErr
}

// follow closes the pool when the context that it is tied to ends.
func (p *Pool[In, Out]) follow() {
	over := func() {
		p.stopIntake()
		p.abort(context.Cause(p.parent))
	}
	if p.parent.Err() != nil {
		over()
		return
	}
	stop := context.AfterFunc(p.parent, over)
	context.AfterFunc(p.life, func() { stop() })
}

// StuckError reports calls, or a Stream's loop or inputs, that did not return although
// their context had ended, or workers' states that are still being closed.
type StuckError struct {
	Pool  string      // the pool's [Name]; "" if it has none
	Calls []StuckCall // the calls that still run, by worker; empty if only a Stream goes on
	Err   error       // the cause of the end of their context
}

// StuckCall is a call that did not return.
type StuckCall struct {
	Worker  int
	Job     uint64        // 0: a call of Do, Map or Stream, or Closing
	Age     time.Duration // since the job was started; 0 if there is no job
	Closing bool          // it is closing the worker's state
}

// Error lists the calls that are stuck, at most the first ten, and says why they
// should have ended.
func (e *StuckError) Error() string {
	if len(e.Calls) == 0 {
		return fmt.Sprintf("%s: a Stream has not ended although its context has: %v", called(e.Pool), e.Err)
	}
	var b strings.Builder
	what := "calls still run although their context has"
	if len(e.Calls) == 1 {
		what = "call still runs although its context has"
	}
	fmt.Fprintf(&b, "%s: %d %s ended (", called(e.Pool), len(e.Calls), what)
	for i, c := range e.Calls {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 10 {
			b.WriteString("...")
			break
		}
		switch {
		case c.Job != 0:
			fmt.Fprintf(&b, "job %d for %v", c.Job, c.Age)
		case c.Closing:
			fmt.Fprintf(&b, "close of worker %d", c.Worker)
		default:
			fmt.Fprintf(&b, "worker %d", c.Worker)
		}
	}
	fmt.Fprintf(&b, "): %v", e.Err)
	return b.String()
}

// Unwrap returns the cause.
func (e *StuckError) Unwrap() error { return e.Err }

// stopIntake turns away new inputs, and closes settled once everything accepted
// before has ended.
func (p *Pool[In, Out]) stopIntake() {
	p.stopOnce.Do(func() {
		p.crew.Close()
		p.direct.Add(closedBit)
		go func() { // ends with the last call; Close waits for it
			p.underWay.Wait()
			p.settleRest()
			p.slots.Dissolve()
			p.end(ErrClosed) // frees what depends on the pool's life
			close(p.settled)
		}()
	})
}

// settleRest waits for what is up to goroutines that are not the pool's: direct calls,
// which may begin others, and jobs that are being canceled or dropped. The queue's
// workers must have ended.
func (p *Pool[In, Out]) settleRest() {
	for p.waiting.Store(true); !p.through(); {
		<-p.nudge
	}
}

// oneLess tells settleRest that a job or the last direct call has ended. It must be
// called after that has been counted.
func (p *Pool[In, Out]) oneLess() {
	select {
	case p.nudge <- struct{}{}:
	default: // settleRest will look anyway
	}
}

// through reports whether, at one instant, all accepted jobs have ended and no direct
// call is under way. Then nothing is left that could begin another call. The intake must
// be over.
func (p *Pool[In, Out]) through() bool {
	_, queued := p.queue.Counts()
	p.tally.freeze()
	defer p.tally.thaw()
	return p.tally.through(queued) && p.direct.Load() == closedBit
}
