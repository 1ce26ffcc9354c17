package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// callCtx is the context of calls. It knows the slot they run in, and costs
// nothing but itself until somebody asks for its Done: only then is a context of
// the standard library made that does the work.
type callCtx struct {
	parent  context.Context //nolint:containedctx // it is one
	life    context.Context //nolint:containedctx // the pool's
	follows bool            // ends with parent; else parent lends its values only

	ended   bool // guarded by mu
	expired bool // guarded by mu: it ended because parent had

	slot atomic.Pointer[engine.Slot] // what the call runs in

	mu    sync.Mutex
	made  *madeCtx // once it was asked for
	share chan struct{}
	cause error // set once ended
}

// madeCtx is what does the work of a callCtx.
type madeCtx struct {
	context.Context
	cancel context.CancelCauseFunc
	stop   func() // ends the watch on the pool's life; nil if there is none
}

func newCallCtx(parent, life context.Context, follows bool) *callCtx {
	return &callCtx{parent: parent, life: life, follows: follows}
}

// callKey finds the call of a certain pool, known by its life, that a context
// belongs to.
type callKey struct{ life context.Context } //nolint:containedctx // as an identity

// outerCall returns the call of the pool with that life that ctx belongs to, as
// long as it runs: a context may outlive its call.
func outerCall(ctx, life context.Context) *callCtx {
	c, _ := ctx.Value(callKey{life}).(*callCtx)
	if c == nil || c.slot.Load() == nil {
		return nil
	}
	return c
}

// Deadline is the parent's, if the call ends with it.
func (c *callCtx) Deadline() (deadline time.Time, ok bool) {
	if !c.follows {
		return time.Time{}, false
	}
	return c.parent.Deadline()
}

// Done is closed when the call is canceled or over.
func (c *callCtx) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.makeLocked().Done()
}

// Err says why Done is closed, without making it.
func (c *callCtx) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.made != nil:
		if err := c.made.Err(); err != nil || c.life.Err() == nil {
			return err
		}
	case c.ended && !c.expired:
		return context.Canceled
	case c.follows && c.parent.Err() != nil:
		return c.parent.Err()
	case c.life.Err() == nil:
		return nil
	}
	// The pool has ended, and its word may be on its way.
	made := c.makeLocked()
	made.cancel(context.Cause(c.life))
	return made.Err()
}

// Value is the parent's, but for what tells of this call.
func (c *callCtx) Value(key any) any {
	if k, ok := key.(callKey); ok {
		if k.life == c.life {
			return c
		}
		if !c.follows {
			return nil // who submitted the job does not wait for it here
		}
		return c.parent.Value(key)
	}
	c.mu.Lock()
	made := c.made
	if made == nil && (c.ended || c.life.Err() != nil) {
		made = c.makeLocked() // for context.Cause, which looks for it in here
	}
	c.mu.Unlock()
	if made == nil {
		return c.parent.Value(key)
	}
	return made.Value(key)
}

// makeLocked makes the context that does the work.
func (c *callCtx) makeLocked() *madeCtx {
	if c.made != nil {
		return c.made
	}
	m := new(madeCtx)
	c.made = m
	switch {
	case c.ended && c.follows:
		m.Context, m.cancel = context.WithCancelCause(c.parent) // over: nothing to watch
	case c.follows:
		m.Context, m.cancel = context.WithCancelCause(c.parent)
		told := make(chan struct{})
		stop := context.AfterFunc(c.life, func() {
			m.cancel(context.Cause(c.life))
			close(told)
		})
		m.stop = func() {
			if !stop() {
				<-told // so that nothing of it is left behind
			}
		}
	default:
		m.Context, m.cancel = context.WithCancelCause(lent{c.life, c.parent})
	}
	if c.ended {
		m.cancel(c.cause)
	}
	return m
}

// end cancels the call with a cause; the first one counts.
func (c *callCtx) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(cause)
}

func (c *callCtx) endLocked(cause error) {
	if c.ended {
		return
	}
	c.ended, c.cause = true, cause
	switch {
	case c.made != nil:
		c.made.cancel(cause)
		c.cause = context.Cause(c.made)
	case c.follows && c.parent.Err() != nil:
		c.expired, c.cause = true, context.Cause(c.parent)
	}
}

// canceledBy is the cause with which the call was canceled, by its job or its
// pool; nil if it was not.
func (c *callCtx) canceledBy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	return context.Cause(c.life)
}

// close ends the context of a call that is over.
func (c *callCtx) close() { c.closeWith(context.Canceled) }

func (c *callCtx) closeWith(cause error) {
	c.slot.Store(nil)
	c.mu.Lock()
	c.endLocked(cause)
	var stop func()
	if c.made != nil {
		stop, c.made.stop = c.made.stop, nil
	}
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// shared returns what holds a token while somebody has the share of the call's slot:
// the one call at a time that runs within it while the outer call waits.
func (c *callCtx) shared() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.share == nil {
		c.share = make(chan struct{}, 1)
	}
	return c.share
}

// lent ends with one context and has the values of another.
type lent struct {
	context.Context
	values context.Context //nolint:containedctx // it is one
}

// Value asks the context that ends first: the standard library finds the way to
// cancel what derives from it by a value.
func (l lent) Value(key any) any {
	if v := l.Context.Value(key); v != nil {
		return v
	}
	return l.values.Value(key)
}
