package pool

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// grace is how long Shutdown lets calls whose context it has just ended return.
const grace = 100 * time.Millisecond

// Shutdown stops the intake and waits until all that was accepted has ended: jobs
// in the queue are still run, and calls of Do, Map and Stream that are under way
// finish, including what they use the pool for themselves with Do, Map and Stream.
// For others, and for all that submit or wait for room, the answer is [ErrClosed].
//
// When ctx ends first, what is left is canceled with ctx's cause: jobs in the
// queue end without being started, and the contexts of the calls under way end.
// The calls get 100 ms to return, and Shutdown returns ctx's cause, or, if some
// still run, because their function does not heed its context, a [*StuckError]
// around it. No call runs when it has returned anything else.
//
// It may be called again, and together with Close. Called inside a call of the
// same pool, with its context, it would wait for itself: it stops the intake and
// returns [ErrWouldDeadlock]. In the body of a loop over a Stream it waits for that
// loop, and so for ctx.
func (p *Pool[In, Out]) Shutdown(ctx context.Context) error {
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
		p.cut.Store(true) // calls are under way, and will see the end
	}
	p.abort(cause)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.settled:
		if !p.cut.Load() {
			return nil // there was nothing left to do but to send workers home
		}
		return cause
	case <-timer.C:
	}
	if stuck := p.stuck(); len(stuck) > 0 || p.direct.Load() > closedBit {
		return &StuckError{Calls: stuck, Err: cause}
	}
	return cause
}

// stuck lists the calls under way, and those that close a state.
func (p *Pool[In, Out]) stuck() []StuckCall {
	now := p.clock.Now()
	var calls []StuckCall
	p.slots.counts(func(at *slot) {
		if !at.held && !at.closing {
			return
		}
		s := StuckCall{Worker: at.id, Closing: at.closing}
		if c := at.call.Load(); c != nil && c.job != 0 {
			s.Job, s.Age = c.job, since(c.begun(), now)
		}
		calls = append(calls, s)
	})
	return calls
}

// flush lets the observer see what it was told before the end.
func (p *Pool[In, Out]) flush() {
	if p.watch != nil {
		p.watch.flush(grace)
	}
}

// Close stops the intake, cancels what is left with [ErrClosed] as the cause, and
// waits until every goroutine of the pool and every job that was accepted has ended: jobs in
// the queue end without being started, whoever cancels them, and the contexts of the calls under way end. It waits for a
// function that does not heed its context; Shutdown does not. It returns nil, or the
// first error of closing a state of [NewStateful], also when called again. It must not be called inside a call of the same pool, nor in
// the body of a loop over one of its Streams, for which it would wait: use Shutdown
// there.
func (p *Pool[In, Out]) Close() error {
	p.stopIntake()
	p.abort(ErrClosed)
	<-p.settled
	p.flush()
	return p.shutErr
}

// follow closes the pool when the context ends that it is tied to.
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

// StuckError says that calls, or the loop or inputs of a Stream, did not return although their
// context had ended, or that the states of workers are still being closed.
type StuckError struct {
	Calls []StuckCall // those that still run, by worker; none if it is only a Stream whose loop or inputs go on
	Err   error       // the cause of the end of their context
}

// StuckCall is a call that did not return.
type StuckCall struct {
	Worker  int
	Job     uint64        // 0: a call of Do, Map or Stream, or Closing
	Age     time.Duration // since the job was started; 0 if it is none
	Closing bool          // it is the one that closes the worker's state
}

// Error lists the calls that are stuck, the first ten of them, and says why they
// should have ended.
func (e *StuckError) Error() string {
	if len(e.Calls) == 0 {
		return fmt.Sprintf("pool: a Stream has not ended although its context has: %v", e.Err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "pool: calls that still run although their context has ended: %d (", len(e.Calls))
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

// stopIntake turns away what comes from now on, and has settled closed once all
// that came before has ended.
func (p *Pool[In, Out]) stopIntake() {
	p.stopOnce.Do(func() {
		go func() { // ends with the last call; Close waits for it
			p.idle.Wait()
			p.settleJobs()
			p.slots.Dissolve()
			p.end(ErrClosed) // frees what hangs on the pool's life
			close(p.settled)
		}()
		p.crew.Close()
		if p.direct.Add(closedBit) == closedBit {
			p.directDone()
		}
	})
}

// settleJobs waits for jobs that left the queue with whoever cancels or drops them, and that
// goroutine, which is not the pool's, has not ended yet. Nothing is accepted any more.
func (p *Pool[In, Out]) settleJobs() {
	for p.waiting.Store(true); !p.tally.through(p.queue); {
		<-p.nudge
	}
}

// directDone settles the part of the direct calls, once: those that are turned
// away later count in and out as well.
func (p *Pool[In, Out]) directDone() { p.directOnce.Do(p.idle.Done) }
