package pool

import (
	"context"
	"iter"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// streamBuffer is how many inputs, and how many results, of one Stream wait at most.
const streamBuffer = 256

// Stream returns a sequence that, each time it is ranged over, calls the function on
// the inputs of ins and yields one Result for each input that it has taken, as the
// calls end; Index says which input a result belongs to. ins runs on a goroutine of its
// own, ahead of the results by a bounded number: at most 256 inputs wait for a worker
// and 256 results for the loop. While results wait, they hold no worker of the pool.
//
// Errors and panics are results; the stream goes on. When ctx ends or the pool is
// closed, no more inputs are taken, and those that were not started come as canceled
// results with the cause. Leaving the loop early, by break, return or a panic, cancels
// the calls under way and waits for them. If the pool is already closed, the stream
// yields one result with [ErrClosed], and if ctx has already ended, one with its cause.
// If ins panics, the last result has its [*result.PanicError]. These have the next index.
// An ins that blocks in its own code cannot be interrupted, and the loop waits for it. An
// ins that goes on after yield has returned false panics, by the rules of package iter;
// that panic is handled like any other panic of ins, and dropped if the loop was left.
// Stream panics if ctx or ins is nil.
func (p *Pool[In, Out]) Stream(ctx context.Context, ins iter.Seq[In]) iter.Seq[result.Result[Out]] {
	if ctx == nil {
		panic("pool: Stream: nil context")
	}
	if ins == nil {
		panic("pool: Stream: nil sequence")
	}
	return func(yield func(result.Result[Out]) bool) {
		if err := p.enter(ctx); err != nil { // no input is taken, and that is no success
			yield(result.Result[Out]{Err: err, Worker: -1})
			return
		}
		defer p.leave()
		bound, cancel := p.bound(ctx)
		defer cancel(context.Canceled)

		sc := engine.NewScope(bound, true)
		out := engine.NewQueue[engine.Item[Out]](sc.Clock, streamBuffer)
		p.feed(sc, ins, out)
		t := out.NewTaker()
		defer func() { // whatever ends the loop
			sc.Stop()
			t.Drain()
			sc.Settle() //nolint:errcheck // errors are results here
		}()
		for t.Next(0) {
			for it := t.Claim(); it != nil; it = t.Claim() {
				if !yield(it.Result(sc.Clock)) {
					return
				}
			}
		}
		for _, it := range sc.Last() {
			failed := engine.Next[struct{}, Out](&it, *new(Out))
			if !yield(failed.Result(sc.Clock)) {
				return
			}
		}
	}
}

// feed makes the pool's workers turn ins into items in out.
func (p *Pool[In, Out]) feed(sc *engine.Scope, ins iter.Seq[In], out *engine.Queue[engine.Item[Out]]) {
	in := engine.NewQueue[engine.Item[In]](sc.Clock, streamBuffer)
	workers, _ := p.slots.Workers()
	stage := &engine.Stage[In, Out]{
		Scope: sc, Workers: max(workers, 1), Map: p.performIn,
		Slots: &places[In, Out]{p},
		Bind: func(ctx context.Context) (context.Context, func(engine.Slot), func()) {
			c := newCallCtx(ctx, p.life, tied)
			return c, c.bind, c.close
		},
	}
	if p.retry != nil {
		stage.Calls = func(ctx context.Context) int32 { return 1 + callOf(ctx).retries.Load() }
	}
	if p.limits != nil {
		stage.Before, stage.Unused = p.before, p.limits.Release
	}
	crew := stage.Run(in, out, out.Close)
	sc.Group.Go(func() {
		next := 0
		box := in.NewOutbox()
		returned := false
		defer func() {
			if !returned {
				sc.FailLast(next, engine.Caught(recover()))
			}
			box.Flush()
			crew.Close()
		}()
		for v := range ins {
			box.Put(&engine.Item[In]{Value: v, Index: next, Worker: -1, Queued: sc.Clock.Now()})
			next++
			if !sc.Live() {
				break // the input taken last comes as canceled, like those before it
			}
		}
		returned = true
	})
}

// places are the slots of a pool as one stream sees them: inside a call of the pool,
// its share is one of them.
type places[In, Out any] struct{ pool *Pool[In, Out] }

// shared is the share of an outer call, as a place of a stream.
type shared struct {
	*slot
	share chan struct{}
}

// Recalled is false: the calls in a share are part of the outer one.
func (shared) Recalled() bool { return false }

// Acquire gets a slot and waits for it until ctx ends.
func (s *places[In, Out]) Acquire(ctx context.Context) (engine.Slot, error) {
	h, err := s.pool.acquire(ctx, nil, nil)
	switch {
	case err != nil:
		return nil, err
	case h.slots == nil:
		return shared{h.slot, h.share}, nil
	}
	return h.slot, nil
}

// Release gives a slot back to where it came from.
func (s *places[In, Out]) Release(back engine.Slot) (asked bool) {
	if in, ok := back.(shared); ok {
		<-in.share
		return false
	}
	return s.pool.slots.Release(back.(*slot)) //nolint:forcetypeassert // it is from Acquire
}

// bind records the slot in which the calls with this context run from now on, or none.
func (c *callCtx) bind(to engine.Slot) {
	switch at := to.(type) {
	case *slot:
		c.slot.Store(at)
		at.call.Store(c)
	case shared:
		c.slot.Store(at.slot)
	default:
		c.slot.Store(nil)
	}
}

// callOf returns the call that a Stage has been bound to.
func callOf(ctx context.Context) *callCtx {
	return ctx.(*callCtx) //nolint:forcetypeassert // see Bind
}

// performIn is perform for a Stage.
func (p *Pool[In, Out]) performIn(ctx context.Context, in In) (Out, error) {
	return p.perform(callOf(ctx), in)
}
