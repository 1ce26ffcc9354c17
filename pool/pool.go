package pool

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Errors returned by a pool.
var (
	// ErrClosed means that the pool was closed, by Shutdown or Close.
	ErrClosed = errors.New("pool: closed")
	// ErrFull means that the queue is full and the call does not wait.
	ErrFull = errors.New("pool: queue is full")
	// ErrWouldDeadlock means that a call of the pool's own function asked the pool for
	// something that might never come while it waits. If that is room in the queue, the
	// error matches [ErrFull] as well.
	ErrWouldDeadlock = errors.New("pool: waiting for it inside the pool's own function would deadlock")
	// ErrGoexit is the error of an input whose function ended its goroutine
	// with [runtime.Goexit].
	ErrGoexit = engine.ErrGoexit
	// ErrDropped is the cause of the end of a job that was dropped to make room for
	// another; see [DropOldest].
	ErrDropped = errors.New("pool: dropped from a full queue")
	// ErrHalted is the cause of the end of a call's context by [Pool.HaltNow].
	ErrHalted = errors.New("pool: worker halted")
	// ErrNoWorker means that no worker has the given number.
	ErrNoWorker = errors.New("no such worker")
)

// fullInsideError is the error of a Submit inside a call of the same pool that finds no
// room. It matches both [ErrWouldDeadlock] and [ErrFull].
type fullInsideError struct{}

func (fullInsideError) Error() string {
	return "pool: queue is full, and waiting for room inside the pool's own function would deadlock"
}

func (fullInsideError) Is(target error) bool { return target == ErrWouldDeadlock || target == ErrFull }

// Pool calls one function on many inputs, with at most as many calls at once as it
// has workers, however the inputs come: one by one ([Pool.Do]), as jobs in a bounded
// queue ([Pool.Submit], [Pool.TrySubmit]), as a slice ([Pool.Map]) or as a stream
// ([Pool.Stream]).
//
// A Pool is created by [New] or [NewStateful] and must not be copied. All methods may
// be called from any goroutine at any time, including after Close, and from inside
// the pool's own function with the context it was given (but see Close).
type Pool[In, Out any] struct {
	config
	fn    engine.Func[In, Out]
	clock engine.Clock
	slots *slots
	queue *engine.Queue[*job[In, Out]]
	crew  *engine.Crew[*job[In, Out]]
	tally tally
	watch *watch             // nil without an observer
	track *registry[In, Out] // nil without Track

	// Set by NewStateful: stateful calls the function, open and shut begin and end a
	// state.
	stateful func(ctx context.Context, state any, in In) (Out, error)
	open     func(ctx context.Context, worker int) (any, error)
	shut     func(state any) error
	shutOnce sync.Once
	shutErr  error // the first; set before settled

	// life ends when what is left is to be canceled. Its cause says why.
	life *life
	end  context.CancelCauseFunc

	// settled is closed when the intake is over and everything accepted has ended.
	settled chan struct{}

	_ [cacheLine]byte // separates what every job reads from what every call writes

	ids     atomic.Uint64
	retried atomic.Uint64
	full    atomic.Bool // the queue was full at the last put; only with a watch

	// control is held while something changes what workers may do. The locks of the
	// slots and of the queue are taken while it is held.
	control   sync.Mutex
	paused    bool
	finishing bool // Shutdown or Close has begun: accepted inputs must not be held back

	// direct counts the calls of Do, Map and Stream that are under way. The lowest bit
	// says that no more are taken; see closedBit.
	direct   atomic.Int64
	underWay sync.WaitGroup // the queue's workers
	stopOnce sync.Once
	// waiting is set when the queue's workers have ended, and what is left is up to other
	// goroutines; see settleRest.
	waiting atomic.Bool
	nudge   chan struct{} // holds one token
	cut     atomic.Bool   // something was canceled because life ended
}

// closedBit in Pool.direct says that the intake is over; calls are counted above it.
const closedBit = 1

// New returns a pool that calls fn. Workers start when there is work for them; a pool
// that is not used costs no goroutine. Call Close or Shutdown when the pool is no
// longer needed. New panics if fn is nil or an option is invalid.
func New[In, Out any](fn func(context.Context, In) (Out, error), opts ...Option) *Pool[In, Out] {
	if fn == nil {
		panic("pool: New: nil function")
	}
	return build(&Pool[In, Out]{fn: fn}, opts)
}

// build completes a pool whose function is set.
func build[In, Out any](p *Pool[In, Out], opts []Option) *Pool[In, Out] {
	p.config, p.clock, p.settled, p.nudge = configure(opts), engine.NewClock(), make(chan struct{}), make(chan struct{}, 1)
	ctx, end := context.WithCancelCause(context.Background())
	p.fn = p.released(p.fn)
	p.life, p.end = &life{ctx, p.name}, end
	p.tally = newTally(p.workers)
	if p.tracked {
		p.track = newRegistry[In, Out](p.kept)
	}
	p.slots = newSlots(p.workers)
	p.slots.clock, p.slots.idle, p.slots.keep, p.slots.close = p.clock, p.idle, p.keep, p.shutState
	if p.observe != nil {
		p.watch = newWatch(p.name, p.observe)
		p.slots.changed = p.changed
	}
	p.underWay.Add(1) // for the crew, as its constructor asks
	p.queue = engine.NewQueue[*job[In, Out]](p.clock, p.depth)
	p.queue.Dead = func(j *job[In, Out]) bool { return j.Status() != result.Queued }
	p.queue.Place = func(j *job[In, Out]) *uint32 { return &j.place }
	p.queue.Age = func(j *job[In, Out]) int64 { return j.queued }
	p.queue.Older = func(a, b *job[In, Out]) bool {
		return a.queued < b.queued || a.queued == b.queued && a.ID() < b.ID()
	}
	p.queue.Admitted = p.admitted
	p.queue.Lanes(p.aging, p.capacity)
	p.crew = engine.NewCrew(p.queue, p.workers, &p.underWay, func(int) engine.Handler[*job[In, Out]] {
		return &worker[In, Out]{pool: p}
	}, p.underWay.Done)
	p.slots.trim = p.crew.Trim
	if p.parent != nil {
		p.follow()
	}
	return p
}

// admitted is called by the queue, under its lock, when a job has gone in.
func (p *Pool[In, Out]) admitted(j *job[In, Out], waited bool) {
	if waited {
		j.queued = p.clock.Now()
	}
	if j.x != nil {
		j.x.accepted.Store(true)
	}
}

// changed tells the observer that a worker has started, been halted or stopped.
func (p *Pool[In, Out]) changed(kind EventKind, s *slot, err error) {
	p.watch.noteWorker(&s.announced, Event{Kind: kind, Time: p.clock.Time(p.clock.Now()), Worker: s.id, Err: err})
}

// note tells the observer, if there is one.
func (p *Pool[In, Out]) note(e Event) {
	if p.watch != nil {
		p.watch.note(e)
	}
}

// Do calls the function on in and waits for it. The call runs on the caller's own
// goroutine as soon as fewer calls are under way than the pool has workers; waiting
// callers are served in turn, together with the jobs of the queue. ctx ends both the
// wait and the context of the call; the error is then ctx's cause, or what the
// function returns. A panic is returned as a [*result.PanicError]. A function that
// calls [runtime.Goexit] ends the caller's goroutine, as it would without a pool, and
// the pool goes on.
//
// Inside a call of the same pool, with that call's context, Do does not need another
// worker: if none is free, it runs within the share of that call, at any depth.
func (p *Pool[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	var none Out
	if ctx == nil {
		panic("pool: Do: nil context")
	}
	if err := p.enter(ctx); err != nil {
		return none, err
	}
	defer p.leave()
	c := newCallCtx(ctx, p.life, follows)
	hold, err := p.acquire(ctx, c, nil)
	if err != nil {
		return none, err
	}
	defer hold.release()
	defer c.close()
	return p.protected(c, in)
}

// protected calls the function and turns a panic into an error.
func (p *Pool[In, Out]) protected(c *callCtx, in In) (out Out, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = engine.Caught(r)
		}
	}()
	if err := p.before(c); err != nil {
		return out, err
	}
	return p.perform(c, in)
}

// before waits for the limiters. After it has returned nil, there must be a call of the
// function, with whose end they are released: see released and callWithState.
func (p *Pool[In, Out]) before(ctx context.Context) error {
	if p.limits == nil {
		return nil
	}
	if err := p.limits.Wait(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		p.limits.Release()
		return context.Cause(ctx) // they may not have heeded it
	}
	return nil
}

// released returns fn with the release of the limiters at the end of each call, if one of
// them is to be told.
func (p *Pool[In, Out]) released(fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	if fn == nil || !p.limits.Releases() {
		return fn
	}
	return func(ctx context.Context, in In) (Out, error) {
		defer p.limits.Release()
		return fn(ctx, in)
	}
}

// enter counts a direct call in, unless the intake is over or ctx has ended. Accepted
// inputs are to finish, so what they ask of the pool is taken until its life ends.
func (p *Pool[In, Out]) enter(ctx context.Context) error {
	ended := ctx.Err() != nil // before the count: it may panic
	if p.direct.Add(2*closedBit)&closedBit != 0 && (p.life.Err() != nil || outerCall(ctx, p.life) == nil) {
		p.leave()
		return ErrClosed
	}
	if ended {
		p.leave()
		return context.Cause(ctx)
	}
	return nil
}

// leave counts a direct call out.
func (p *Pool[In, Out]) leave() {
	if p.direct.Add(-2*closedBit) == closedBit {
		p.oneLess()
	}
}

// place is the right to make one call: a slot, or a share of the slot of the call
// that asks for it.
type place struct {
	slot  *slot
	slots *slots        // set if the slot is to be released
	share chan struct{} // set if a share is to be given back
}

// runs records which call runs in the place.
func (h place) runs(c *callCtx) {
	c.slot.Store(h.slot)
	if h.slots != nil {
		h.slot.call.Store(c)
	}
}

// release gives the place back. It reports whether the slot had been asked for.
func (h place) release() (asked bool) {
	if h.slots != nil {
		return h.slots.Release(h.slot)
	}
	<-h.share
	return false
}

// acquire gets a place for a call, and waits for it until ctx or the pool ends. If
// stop, which may be nil, is closed first, it returns errStopped. If c is nil, the
// caller records what runs in the place.
func (p *Pool[In, Out]) acquire(ctx context.Context, c *callCtx, stop <-chan struct{}) (place, error) {
	if slot := p.slots.TryAcquire(c); slot != nil {
		if c != nil {
			c.slot.Store(slot)
		}
		return place{slot: slot, slots: p.slots}, nil
	}
	for {
		h, err := p.waitForPlace(ctx, stop)
		if err != nil {
			return h, err
		}
		if c != nil {
			h.runs(c)
		}
		if h.slots == nil || !h.slot.leave.Load() {
			return h, nil
		}
		h.release() // it was asked for in the meantime
	}
}

func (p *Pool[In, Out]) waitForPlace(ctx context.Context, stop <-chan struct{}) (place, error) {
	var share chan struct{}
	outer := outerCall(ctx, p.life)
	if outer != nil {
		share = outer.shared()
	}
	t := p.slots.Line()
	var err error
	for turn := false; !turn && err == nil; {
		select {
		case <-t.turn:
			turn = true
		case share <- struct{}{}:
			if slot := outer.at(); slot != nil && ctx.Err() == nil && p.slots.Leave(t) {
				return place{slot: slot, share: share}, nil
			}
			<-share
			share = nil // the outer call or ctx has ended, or the ticket was served
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-stop:
			err = errStopped
		}
	}
	if err != nil {
		if p.slots.Leave(t) {
			return place{}, err
		}
		<-t.turn // it was served at the same moment
	}
	if t.slot == nil {
		return place{}, cmp.Or(context.Cause(p.life), ErrClosed)
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // both at the same moment: the call must not start
	}
	if err != nil {
		p.slots.Release(t.slot)
		return place{}, err
	}
	return place{slot: t.slot, slots: p.slots}, nil
}

// errStopped means that a place is no longer needed.
var errStopped = errors.New("pool: place not needed any more")

// abort cancels what is left. The intake must be over.
func (p *Pool[In, Out]) abort(cause error) {
	p.control.Lock()
	p.finishing = true
	p.end(cause)
	p.queue.Hold(false)
	p.control.Unlock()
	p.slots.Close() // turns away all that wait for a slot
	for _, j := range p.queue.Purge() {
		j.abort(cause, false) // workers may be stuck, and never get to them
	}
}

// bound returns a context for many calls: it ends with ctx and with the pool.
func (p *Pool[In, Out]) bound(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	c := newCallCtx(ctx, p.life, follows)
	c.Done()
	return c.more.made.Context, c.closeWith
}
