package ratelimit

import (
	"context"
	"sync"
)

// Guard returns fn with c around it: each call has a permit of c, which is released with the
// outcome that [Classify] tells from its error; a call that panics counts as [Ignore], as one
// does whose outcome is none, which is a panic as well. A nil c or fn panics.
//
//	fetch := ratelimit.Guard(limit, fetchPage)
//	pages := pipeline.Map(urls, fetch.Call, pipeline.Workers(100), pipeline.Limit(fetch))
//
// fetch.Call alone is enough. It waits for its permit, and the time counts as run time of
// the call. With Limit(fetch) beside it the permit is there before the call starts, and the
// time counts as waiting, where it belongs. A pool takes both in the same way.
func Guard[In, Out any](c *Concurrency, fn func(context.Context, In) (Out, error)) *Guarded[In, Out] {
	switch {
	case c == nil:
		panic("ratelimit: Guard: nil Concurrency")
	case fn == nil:
		panic("ratelimit: Guard: nil function")
	}
	return &Guarded[In, Out]{c: c, fn: fn}
}

// Guarded is a function and the [Concurrency] around it, made by [Guard]. It must not be
// copied; its methods may be called by any number of goroutines.
type Guarded[In, Out any] struct {
	c  *Concurrency
	fn func(context.Context, In) (Out, error)

	mu       sync.Mutex // never held together with that of c
	reserved []*reservation
}

// reservation is a permit that Wait has taken for a call to come.
type reservation struct {
	permit Permit
	stop   func() bool // ends the watch over the context; nil if it cannot end
}

// Call runs the function with a permit: one that [Guarded.Wait] has taken, if there is one,
// and else one that it waits for, as [Concurrency.Acquire] does. If ctx ends meanwhile, it
// returns the cause, and the function is not called.
func (g *Guarded[In, Out]) Call(ctx context.Context, in In) (out Out, err error) {
	permit, ok := g.claim()
	if ok {
		permit.Start() // other limits may have been waited for since
	} else {
		if permit, err = g.c.Acquire(ctx); err != nil {
			return out, err
		}
	}
	outcome := Ignore
	defer func() { permit.Release(outcome) }()
	out, err = g.fn(ctx, in)
	told := g.c.classify(err)
	if int(told) >= outcomes {
		panic("ratelimit: Guarded.Call: Classify told an unknown outcome")
	}
	outcome = told
	return out, err
}

// Wait takes a permit for a call of [Guarded.Call] that is about to come, and waits for it as
// [Concurrency.Acquire] does. It is for pool.Limit and pipeline.Limit beside the same
// Guarded's Call, and for nothing else: without such a call, the permit is kept until ctx
// ends.
func (g *Guarded[In, Out]) Wait(ctx context.Context) error {
	permit, err := g.c.Acquire(ctx)
	if err != nil {
		return err
	}
	r := &reservation{permit: permit}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reserved = append(g.reserved, r)
	if ctx.Done() != nil {
		// The watch takes the lock as well, and so finds r in its place.
		r.stop = context.AfterFunc(ctx, func() { g.giveBack(r) })
	}
	return nil
}

// claim returns the oldest permit that Wait has taken. Permits are alike: if it was taken for
// another call, that one finds this call's.
func (g *Guarded[In, Out]) claim() (Permit, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.reserved) == 0 {
		return Permit{}, false
	}
	r := g.reserved[0]
	g.drop(0)
	if r.stop != nil {
		r.stop()
	}
	return r.permit, true
}

// giveBack releases a permit whose call has not come before its context ended.
func (g *Guarded[In, Out]) giveBack(r *reservation) {
	g.mu.Lock()
	for i, other := range g.reserved {
		if other == r {
			g.drop(i)
			g.mu.Unlock()
			r.permit.Release(Ignore)
			return
		}
	}
	g.mu.Unlock()
}

// drop removes a reservation and keeps the order and the room of the others.
func (g *Guarded[In, Out]) drop(i int) {
	copy(g.reserved[i:], g.reserved[i+1:])
	last := len(g.reserved) - 1
	g.reserved[last] = nil
	g.reserved = g.reserved[:last]
}
