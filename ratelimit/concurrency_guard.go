package ratelimit

import (
	"context"
	"sync"
)

// Guard returns fn with c around it: each call holds a permit of c, which is released with
// the outcome that [Classify] derives from its error. A call that panics counts as [Ignore].
// If Classify returns an unknown outcome, the call counts as Ignore and panics. Guard panics
// if c or fn is nil.
//
//	fetch := ratelimit.Guard(limit, fetchPage)
//	pages := pipeline.Map(urls, fetch.Call, pipeline.Workers(100), pipeline.Limit(fetch))
//
// fetch.Call alone is enough: it waits for its permit, but that time counts as run time of
// the call. With Limit(fetch) as well, the permit is acquired before the call starts, and the
// time counts as waiting, where it belongs. A pool uses both in the same way. A function that
// calls fetch.Call only in some cases can have Limit(fetch), too: it then holds a permit in all
// cases, for as long as it runs, and one that Call has not used counts as Ignore.
func Guard[In, Out any](c *Concurrency, fn func(context.Context, In) (Out, error)) *Guarded[In, Out] {
	switch {
	case c == nil:
		panic("ratelimit: Guard: nil Concurrency")
	case fn == nil:
		panic("ratelimit: Guard: nil function")
	}
	return &Guarded[In, Out]{c: c, fn: fn}
}

// Guarded is a function with a [Concurrency] around it. Create it with [Guard]; the zero
// value is not usable. A Guarded must not be copied. Its methods may be called by any number
// of goroutines.
type Guarded[In, Out any] struct {
	c  *Concurrency
	fn func(context.Context, In) (Out, error)

	mu       sync.Mutex // never held together with the lock of c
	waits    int        // that let a call through and were not released yet
	reserved []*reservation
}

// reservation is a permit that Wait has acquired for a later call.
type reservation struct {
	permit Permit
	stop   func() bool // stops watching the context; nil if that cannot end
}

// Call runs the function with a permit. It uses one that [Guarded.Wait] has acquired, if
// there is one, and otherwise waits for one, as [Concurrency.Acquire] does. If ctx ends
// meanwhile, Call returns its cause and does not call the function.
func (g *Guarded[In, Out]) Call(ctx context.Context, in In) (out Out, err error) {
	permit, ok := g.claim()
	if ok {
		permit.Start() // the caller may have waited for other limits since
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

// Wait waits for a permit, as [Concurrency.Acquire] does, and keeps it for a call of
// [Guarded.Call] that is about to follow. It is only for pool.Limit and pipeline.Limit
// together with Call of the same Guarded: without such a call, the permit is held until
// [Guarded.Release] or the end of ctx.
func (g *Guarded[In, Out]) Wait(ctx context.Context) error {
	permit, err := g.c.Acquire(ctx)
	if err != nil {
		return err
	}
	r := &reservation{permit: permit}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waits++
	g.reserved = append(g.reserved, r)
	if ctx.Done() != nil {
		// The watch takes the lock as well, and so finds r in place.
		r.stop = context.AfterFunc(ctx, func() { g.giveBack(r) })
	}
	return nil
}

// Release says that what a [Guarded.Wait] has let through is over, or will not come. If Call
// has not used the permit, it is released as [Ignore]. A pool and a pipeline call Release once
// for each Wait that has returned nil; whatever else calls Wait should do the same, unless its
// ctx ends soon. Release panics if there is no such Wait.
func (g *Guarded[In, Out]) Release() {
	g.mu.Lock()
	if g.waits == 0 {
		g.mu.Unlock()
		panic("ratelimit: Guarded.Release: not one for each Wait")
	}
	g.waits--
	// Permits are alike: there is one too many if no Wait is left for it.
	var unused *reservation
	if len(g.reserved) > g.waits {
		unused = g.oldest()
	}
	g.mu.Unlock()
	if unused != nil {
		unused.permit.Release(Ignore)
	}
}

// claim returns the oldest permit that Wait has acquired. All permits are alike: if it was
// acquired for another call, that call uses this one's.
func (g *Guarded[In, Out]) claim() (Permit, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.reserved) == 0 {
		return Permit{}, false
	}
	return g.oldest().permit, true
}

// oldest takes the oldest reservation out.
func (g *Guarded[In, Out]) oldest() *reservation {
	r := g.reserved[0]
	g.drop(0)
	if r.stop != nil {
		r.stop()
	}
	return r
}

// giveBack releases a permit if its call has not come before its context ended.
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

// drop removes a reservation and keeps the order and the capacity of the rest.
func (g *Guarded[In, Out]) drop(i int) {
	copy(g.reserved[i:], g.reserved[i+1:])
	last := len(g.reserved) - 1
	g.reserved[last] = nil
	g.reserved = g.reserved[:last]
}
