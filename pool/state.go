package pool

import (
	"context"
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// NewStateful returns a pool whose workers have a state each: a connection, a buffer,
// a device. open makes it when a worker makes its first call, and fn gets it with
// each input. close, which may be nil, ends it when the worker stops: because it was
// halted or idle for long, or with the pool; its number is not used again before close
// has returned. Both run without a time limit of the pool's.
//
// A state is used by one call at a time, and, where a call uses its own pool, by those
// within its share, but not before it is open: what open asks of the pool with its
// context is [ErrWouldDeadlock] if no other worker is free. If open fails or panics,
// that is the error of the input at hand, an error wrapped so that it names the worker,
// and the next call tries again, also one that [Retry] makes. A panic of fn, and a
// [runtime.Goexit], leave the state as it is. The context of open is that of the call,
// without its [Timeout]; the state must not keep it. Errors and panics of close, and
// [ErrGoexit], are told to the observer ([WorkerStopped]), and the first one is returned
// by [Pool.Close].
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
			state, _ := s.(S) // it is; but a nil S of an interface type is no S
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

// shutState ends the state of a worker that has made its last call.
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
