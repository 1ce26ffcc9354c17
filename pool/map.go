package pool

import (
	"context"
	"errors"
	"sync"

	"github.com/millstream-go/millstream/internal/engine"
)

// Map calls the function on each element of ins and returns the outputs in the same
// order. It waits for all calls. The caller's goroutine takes part, as one of the
// pool's workers; others join if they are free. Elements are started roughly in
// order, and a slow one holds up no other while a worker is free.
//
// The first error, by time, ends the contexts of the calls under way; no new call
// starts, and Map returns that error and no outputs. It does the same with ctx's
// cause if ctx ends first, and with [ErrClosed] if the pool is closed. A panic is
// returned as a [*result.PanicError]. A function that calls [runtime.Goexit] makes
// Map fail with [ErrGoexit], or ends the caller's goroutine if it ran there.
//
// The context of the calls ends with the Map. Its cause is the first error, which
// calls that heed the context, or use it with a pool, may return in turn. Inside a
// call of the same pool, with that call's context, Map runs within that call's share
// if no worker is free, as [Pool.Do] does.
func (p *Pool[In, Out]) Map(ctx context.Context, ins []In) ([]Out, error) {
	if ctx == nil {
		panic("pool: Map: nil context")
	}
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.leave()
	workers, _ := p.slots.Workers()
	m := &mapping[In, Out]{
		pool: p, ins: ins, outs: make([]Out, len(ins)),
		indices: engine.NewIndices(p.clock, len(ins)),
		// The caller is one of the workers.
		mayJoin: min(workers, len(ins)) - 1,
	}
	m.ctx, m.cancel = p.bound(ctx)
	m.joining, m.noMore = context.WithCancel(m.ctx)
	defer func() { // even if the function ends this goroutine
		m.noMore()
		m.helpers.Wait()
		m.cancel(context.Canceled)
	}()
	if len(ins) == 0 {
		return m.outs, nil
	}
	hold, err := p.acquire(m.ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	m.work(hold)
	m.noMore()
	m.helpers.Wait()
	if m.err != nil {
		return nil, m.err
	}
	return m.outs, nil
}

// mapping is one run of Map.
type mapping[In, Out any] struct {
	pool    *Pool[In, Out]
	ins     []In
	outs    []Out
	indices *engine.Indices

	ctx    context.Context //nolint:containedctx // of this run
	cancel context.CancelCauseFunc

	// joining ends when all elements have been started: helpers that still wait for a
	// slot are then no longer needed.
	joining context.Context //nolint:containedctx // of this run
	noMore  context.CancelFunc
	helpers sync.WaitGroup

	mu      sync.Mutex
	mayJoin int // helpers that may still be asked
	err     error
}

// ask makes one more helper wait for a slot, if another one is allowed. Each helper
// that gets a slot asks the next one, so that a short Map does not start them all.
func (m *mapping[In, Out]) ask() {
	m.mu.Lock()
	m.mayJoin--
	allowed := m.mayJoin >= 0
	m.mu.Unlock()
	if !allowed || !m.indices.Left() {
		return
	}
	m.helpers.Go(func() {
		if slot := m.pool.slots.Acquire(m.joining); slot != nil {
			m.work(place{slot: slot, slots: m.pool.slots})
		}
	})
}

// work runs elements until all have been started, and releases h.
func (m *mapping[In, Out]) work(h place) {
	held := true
	defer func() {
		if held {
			h.release()
		}
	}()
	m.ask()
	c := m.newCall()
	defer func() { c.close() }()
	h.runs(c)
	r := m.indices.NewRunner()
	for r.Next() {
		for {
			recalled := m.run(c, r, h)
			if !recalled && (h.slots == nil || !h.slots.Crowded()) {
				break
			}
			// The slot is asked for, or others wait for one: take turns.
			c.slot.Store(nil)
			asked := h.release()
			var err error
			if h, err = m.pool.acquire(m.joining, nil, nil); err != nil { // a share will do
				held = false
				if m.indices.Left() { // else all have been started meanwhile
					m.fail(err)
				}
				return
			}
			if asked { // this one's end may be on its way: see HaltNow
				c.close()
				c = m.newCall()
			}
			h.runs(c)
			if !recalled {
				break
			}
		}
	}
	m.noMore()
}

// newCall makes the context for the calls of one worker.
func (m *mapping[In, Out]) newCall() *callCtx {
	return newCallCtx(m.ctx, m.pool.life, tied)
}

// run calls the function on the elements of the current range. If the slot is asked
// for, it stops early and reports so.
func (m *mapping[In, Out]) run(c *callCtx, r *engine.Runner, h place) (recalled bool) {
	returned := false
	defer func() {
		if !returned {
			m.fail(engine.Caught(recover()))
		}
	}()
	p := m.pool
	for {
		if h.slots != nil && h.slot.leave.Load() && r.Left() {
			returned = true
			return true
		}
		i, ok := r.Claim()
		if !ok {
			break
		}
		if m.ctx.Err() != nil {
			m.fail(context.Cause(m.ctx))
			break
		}
		err := p.before(c)
		if err == nil {
			m.outs[i], err = p.perform(c, m.ins[i])
		}
		if err != nil {
			m.fail(err)
			break
		}
	}
	returned = true
	return false
}

// fail ends the run with its first error.
func (m *mapping[In, Out]) fail(err error) {
	m.mu.Lock()
	if m.err == nil {
		// An error after the end of the context is a consequence of that end.
		switch life := m.pool.life; {
		case m.ctx.Err() != nil:
			err = context.Cause(m.ctx)
		case life.Err() != nil && errors.Is(err, context.Canceled):
			err = context.Cause(life) // on its way to ctx
		}
		m.err = err
	}
	m.mu.Unlock()
	m.cancel(err)
}
