package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Discard returns an error that also says that the worker's state, opened by
// [NewStateful], is of no more use: a connection was reset, a process has died. The state
// is closed as soon as the call returns, and the worker's next call, including a [Retry]
// of the same input, opens a new one. A call within the share of another call uses the
// same state, which is then closed when the outer call returns. [Pool.Close] returns the
// first error of closing a state. In a pool without states Discard has no effect. The
// error reads like err and unwraps to it, and may be wrapped itself. A nil err stays nil.
func Discard(err error) error {
	if err == nil {
		return nil
	}
	return &discardError{err}
}

type discardError struct{ err error }

func (e *discardError) Error() string { return e.err.Error() }
func (e *discardError) Unwrap() error { return e.err }

// NewStateful returns a pool whose workers each have a state, such as a connection, a
// buffer or a device. open makes the state when a worker makes its first call, and fn
// gets it with each input. close, which may be nil, ends it when the worker stops:
// because it was halted, was idle for long, or the pool ended. The worker's number is
// not used again before close has returned; until then the pool has one worker less that
// can make a call. The pool sets no time limit for open and close.
//
// A state is used by one call at a time. Where a call uses its own pool, the calls
// within its share use the same state, but not before it is open: if open uses the pool
// with its context and no other worker is free, it gets [ErrWouldDeadlock]. If open
// fails or panics, the current input fails with that error, wrapped to name the worker,
// or with that panic, and the next call tries again, including one that [Retry] makes.
// If a state breaks, fn says so with [Discard], and the worker gets a new one. A panic of
// fn, or a [runtime.Goexit], leaves the state as it is. The context of open
// is that of the call, without its [Timeout]; the state must not keep it. Errors and
// panics of close, and [ErrGoexit], are told to the observer ([WorkerStopped]), and
// [Pool.Close] returns the first one.
func NewStateful[S, In, Out any](
	open func(ctx context.Context, worker int) (S, error),
	fn func(context.Context, S, In) (Out, error),
	close func(S) error,
	opts ...Option,
) *Pool[In, Out] {
	switch {
	case open == nil:
		panic("pool: NewStateful: nil open")
	case fn == nil:
		panic("pool: NewStateful: nil function")
	}
	return build(&Pool[In, Out]{
		stateful: func(ctx context.Context, s any, in In) (Out, error) {
			state, _ := s.(S) // always succeeds, but for a nil S of an interface type
			return fn(ctx, state, in)
		},
		open: func(ctx context.Context, worker int) (any, error) { return open(ctx, worker) },
		shut: func(s any) error {
			if close == nil {
				return nil
			}
			state, _ := s.(S)
			return close(state)
		},
	}, opts)
}

// callWithState calls the function with the state of its worker.
func (p *Pool[In, Out]) callWithState(c *callCtx, in In) (out Out, err error) {
	if p.limits != nil {
		defer p.limits.Release() // even if there is no state
	}
	s := c.slot.Load()
	if !s.opened {
		if err = p.openState(c, s); err != nil {
			return out, fmt.Errorf("%s: open the state of worker %d: %w", p.called, s.id, err)
		}
	}
	s.users.Add(1)
	defer p.leaveState(s)
	ctx, cancel := p.timed(c)
	defer cancel()
	out, err = p.stateful(ctx, s.state, in)
	if _, discard := errors.AsType[*discardError](err); discard {
		s.discard.Store(true)
	}
	return out, err
}

// leaveState ends the use of a state by one call. The last one closes a state that was discarded, on
// a goroutine of its own, since close may end it.
func (p *Pool[In, Out]) leaveState(s *slot) {
	if s.users.Add(-1) > 0 || !s.discard.Load() {
		return
	}
	s.discard.Store(false)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = p.shutState(s) // which keeps the error
	}()
	<-closed
}

func (p *Pool[In, Out]) openState(c *callCtx, s *slot) (err error) {
	if s.opening { // open uses the pool, within its own share
		return ErrWouldDeadlock
	}
	s.opening = true
	defer func() { s.opening = false }()
	state, err := p.open(c, s.id)
	if err == nil {
		s.state, s.opened = state, true
	}
	return err
}

// shutState closes the state of a worker that has made its last call.
func (p *Pool[In, Out]) shutState(s *slot) (err error) {
	returned := false
	defer func() {
		if !returned {
			err = engine.Caught(recover())
		}
		if err != nil {
			p.shutOnce.Do(func() { p.shutErr = err })
		}
	}()
	state := s.state
	s.state, s.opened = nil, false
	err = p.shut(state)
	returned = true
	return err
}
