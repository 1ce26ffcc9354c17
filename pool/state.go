package pool

import (
	"context"
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// NewStateful returns a pool whose workers each have a state, such as a connection, a
// buffer or a device. open makes the state when a worker makes its first call, and fn
// gets it with each input. close, which may be nil, ends it when the worker stops:
// because it was halted, was idle for long, or the pool ended. The worker's number is
// not used again before close has returned. The pool sets no time limit for open and
// close.
//
// A state is used by one call at a time. Where a call uses its own pool, the calls
// within its share use the same state, but not before it is open: if open uses the pool
// with its context and no other worker is free, it gets [ErrWouldDeadlock]. If open
// fails or panics, the current input fails with that error, wrapped to name the worker,
// or with that panic, and the next call tries again, including one that [Retry] makes.
// A panic of fn, or a [runtime.Goexit], leaves the state as it is. The context of open
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
	s := c.slot.Load()
	if !s.opened {
		if err := p.openState(c, s); err != nil {
			return out, fmt.Errorf("pool: open the state of worker %d: %w", s.id, err)
		}
	}
	ctx, cancel := p.timed(c)
	defer cancel()
	return p.stateful(ctx, s.state, in)
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
