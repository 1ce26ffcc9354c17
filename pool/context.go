package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/result"
)

// callCtx is the context of calls. It knows the slot they run in, and costs nothing but
// itself until its Done is asked for: only then is a context of the standard library
// made that does the work.
type callCtx struct {
	parent context.Context //nolint:containedctx // it is one
	life   *life

	slot  atomic.Pointer[slot] // what the call runs in
	state atomic.Uint64        // of the job that this is the context of; see stateOf
	job   uint64               // its number; 0: not the context of a job

	mu      sync.Mutex
	more    *more // what only some calls need; made on demand
	cause   error // set once ended
	bond    bond  // to parent
	ended   bool  // guarded by mu
	expired bool  // guarded by mu: it ended because parent did
	nested  bool  // runs in the share of another call

	retries atomic.Int32 // calls made for the current input beyond the first
}

// bond says how a call depends on its parent.
type bond uint8

const (
	lends   bond = iota // it has the parent's values
	follows             // and ends with the parent
	tied                // and the parent ends with the pool
)

// life is the context of a pool. A call keeps a pointer to it, which is half the size
// of an interface.
type life struct {
	context.Context        //nolint:containedctx // it is one
	pool            string // its name
}

// more is what a call has only on demand. Guarded by callCtx.mu.
type more struct {
	made  madeCtx       // what does the work, once Done is asked for
	share chan struct{} // see shared
	done  chan struct{} // of the job
}

// madeCtx does the work of a callCtx.
type madeCtx struct {
	context.Context
	cancel context.CancelCauseFunc
	stop   func() // ends the watch on the pool's life; nil if there is none
}

func newCallCtx(parent context.Context, life *life, b bond) *callCtx {
	return &callCtx{parent: parent, life: life, bond: b}
}

// lender returns the context whose values ctx lends to a job. A call that submits a job
// does not lend itself: if jobs submit jobs, that would make a chain that keeps them
// all alive. A context derived from that of the call may have values of its own, and
// lends what it is derived from.
func lender(ctx context.Context) context.Context {
	for {
		switch c := ctx.(type) {
		case *callCtx:
			ctx = c.parent
		case *timedCtx:
			ctx = c.call.parent
		default:
			return ctx
		}
	}
}

// timedCtx is the context of a call that has a [Timeout].
type timedCtx struct {
	context.Context //nolint:containedctx // it is one

	call *callCtx
}

// callKey finds the call that a context belongs to in a certain pool, known by its
// life.
type callKey struct{ life *life }

// CallInfo describes the call that a context belongs to. It is a plain value.
type CallInfo struct {
	Pool    string // the pool's [Name]
	Job     uint64 // 0: a call of Do, Map or Stream
	Worker  int
	Attempt int // 1, or more with [Retry]
}

// CallOf returns the call whose context ctx is, or was derived from. With it a function
// can log the job that it works for, and halt its own worker. Inside a call of another
// pool, made within the first, it returns that inner call. It returns false if there is
// no call, or if the call is over.
func CallOf(ctx context.Context) (CallInfo, bool) {
	c, _ := ctx.Value(anyCall{}).(*callCtx)
	if c == nil {
		return CallInfo{}, false
	}
	s := c.at()
	if s == nil {
		return CallInfo{}, false
	}
	return CallInfo{Pool: c.life.pool, Job: c.job, Worker: s.id, Attempt: 1 + int(c.retries.Load())}, true
}

// anyCall finds the innermost call that a context belongs to.
type anyCall struct{}

// outerCall returns the call that ctx belongs to in the pool with that life, as long as
// the call runs: a context may outlive its call.
func outerCall(ctx context.Context, life *life) *callCtx {
	c, _ := ctx.Value(callKey{life}).(*callCtx)
	if c == nil || c.at() == nil {
		return nil
	}
	return c
}

// at returns the slot that the call runs in, or nil if the call is over.
func (c *callCtx) at() *slot {
	if c.status().Terminal() {
		return nil // a job keeps its slot
	}
	return c.slot.Load()
}

// The state of a job is one word, so that all of it changes at once: the lowest bits
// are the job's status, or settling while its end is being recorded. Above them is the
// reading of the pool's clock at which the job started or, if it never did, ended.
const (
	settling   = 0xf
	statusBits = 4 // which leaves 36 years for the reading
)

func stateOf(status uint64, reading int64) uint64 { return status | uint64(reading)<<statusBits }

// status returns the status of the job.
func (c *callCtx) status() result.Status {
	return statusOf(c.state.Load())
}

func statusOf(state uint64) result.Status {
	if s := state & (1<<statusBits - 1); s != settling {
		return result.Status(s)
	}
	return result.Running
}

// begun returns the reading of the clock at which the job started.
func (c *callCtx) begun() int64 { return int64(c.state.Load() >> statusBits) }

// moreLocked returns more, and makes it if there is none.
func (c *callCtx) moreLocked() *more {
	if c.more == nil {
		c.more = new(more)
	}
	return c.more
}

// madeLocked returns the context that does the work, or nil.
func (c *callCtx) madeLocked() *madeCtx {
	if c.more == nil || c.more.made.Context == nil {
		return nil
	}
	return &c.more.made
}

// Deadline returns the parent's deadline, if the call ends with the parent.
func (c *callCtx) Deadline() (deadline time.Time, ok bool) {
	if c.bond == lends {
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
	switch made := c.madeLocked(); {
	case made != nil:
		if err := made.Err(); err != nil || c.life.Err() == nil {
			return err
		}
	case c.ended && !c.expired:
		return context.Canceled
	case c.bond != lends && c.parent.Err() != nil:
		return c.parent.Err()
	case c.life.Err() == nil:
		return nil
	}
	// The pool has ended, but its AfterFunc may not have run yet.
	made := c.makeLocked()
	made.cancel(context.Cause(c.life))
	return made.Err()
}

// Value returns the parent's value, except for the keys that find this call.
func (c *callCtx) Value(key any) any {
	switch k := key.(type) {
	case anyCall:
		return c
	case callKey:
		if k.life == c.life {
			return c
		}
		if c.bond == lends {
			return nil // the call that submitted the job does not wait for it here
		}
		return c.parent.Value(key)
	}
	c.mu.Lock()
	made := c.madeLocked()
	if made == nil && (c.ended || c.life.Err() != nil) {
		made = c.makeLocked() // for context.Cause, which looks it up by a value
	}
	c.mu.Unlock()
	if made == nil {
		return c.parent.Value(key)
	}
	return made.Value(key)
}

// makeLocked makes the context that does the work.
func (c *callCtx) makeLocked() *madeCtx {
	if made := c.madeLocked(); made != nil {
		return made
	}
	m := &c.moreLocked().made
	switch {
	case c.bond == tied || c.bond == follows && c.ended:
		m.Context, m.cancel = context.WithCancelCause(c.parent) // nothing else to watch
	case c.bond != lends:
		m.Context, m.cancel = context.WithCancelCause(c.parent)
		told := make(chan struct{})
		stop := context.AfterFunc(c.life, func() {
			m.cancel(context.Cause(c.life))
			close(told)
		})
		m.stop = func() {
			if !stop() {
				<-told // so that the AfterFunc is not left running
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
	switch made := c.madeLocked(); {
	case made != nil:
		made.cancel(cause)
		c.cause = context.Cause(made)
	case c.bond != lends && c.parent.Err() != nil:
		c.expired, c.cause = true, context.Cause(c.parent)
	}
}

// canceledBy returns the cause with which the call was canceled, by its job or its
// pool, or nil if it was not.
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
	if made := c.madeLocked(); made != nil {
		stop, made.stop = made.stop, nil
	}
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// shared returns the channel that holds a token while the share of the call's slot is
// in use: one call at a time runs within it while the outer call waits.
func (c *callCtx) shared() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.moreLocked()
	if m.share == nil {
		m.share = make(chan struct{}, 1)
	}
	return m.share
}

// lent ends with one context and has the values of another.
type lent struct {
	context.Context
	values context.Context //nolint:containedctx // it is one
}

// Value asks the context that ends first, because the standard library looks up by a
// value how to cancel derived contexts.
func (l lent) Value(key any) any {
	if v := l.Context.Value(key); v != nil {
		return v
	}
	return l.values.Value(key)
}
