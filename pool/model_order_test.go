package pool_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

// kind is what the function does with an input.
type kind int

const (
	succeeds kind = iota
	fails
	falters // fails at first, and then succeeds
	panicsWithText
	panicsWithError
	panicsWithNil
	panicsByRuntime
	panicsDeferred
	exits
	exitsDeferred
	yields  // lets others run
	takes   // some time
	listens // until its context ends, or for a longer time
	reads   // looks at the pool
	turns   // steers the pool, itself included
	asksDo
	asksMap
	asksStream
	asksJob   // submits a job and waits for it
	asksMore  // submits a job and does not wait
	shutsDown // the pool it runs in
	kinds
)

// deepest is how many calls there are within each other at most, but for the outermost.
const deepest = 3

// order is an input. The pool must not keep it: what has to be known of it later is in its
// record.
type order struct{ of *record }

// answer is an output, and it must not keep that either.
type answer struct{ of *record }

// record is what is known of one input.
type record struct {
	kind   kind
	seed   uint64 // of what it does
	depth  int    // calls that it is within
	outer  *record
	spoils int32 // calls that fail, of a falters one

	calls  atomic.Int32
	now    atomic.Int32 // calls under way
	over   atomic.Bool  // who gave it has seen its end
	exited atomic.Bool  // its goroutine was ended by a call, its own or one within
	job    atomic.Uint64

	lane   *lane // its key; nil: none that has to be in order
	place  int64 // in the lane; 0: any
	weight int64
	due    time.Time // of After
}

// mayExit reports whether a call for it may end the goroutine that it runs on.
func (r *record) mayExit() bool {
	return r.kind == exits || r.kind == exitsDeferred || r.kind >= asksDo && r.kind <= asksMore
}

// exit notes that the goroutine is about to end, and with it the calls around this one.
func (r *record) exit() {
	for ; r != nil; r = r.outer {
		r.exited.Store(true)
	}
}

// lane is a key, with what its jobs have to hold.
type lane struct {
	submitting chan struct{} // a lock that a bubble knows
	accepted   int64         // guarded by submitting
	started    atomic.Int64
	now        atomic.Int64
}

var (
	errStop  = errors.New("stop")       // the cause of what tests cancel
	errLimit = errors.New("the limit")  // refused a call
	errOpen  = errors.New("open")       // failed, or panicked
	errGone  = errors.New("goroutine")  // that called the pool has ended
	errBody  = errors.New("loop's own") // of a body that panics
)

// boom is the error of one call; to errors.Is it is errBoom.
type boom struct{ of *record }

func (*boom) Error() string        { return errBoom.Error() }
func (*boom) Is(target error) bool { return target == errBoom }

// call is the function of the pool.
func (g *game) call(ctx context.Context, o *order) (*answer, error) {
	r := o.of
	made := r.calls.Add(1)
	g.enter(ctx, r, made)
	defer g.leave(r)
	switch r.kind {
	case fails:
		return nil, g.boom(r)
	case falters:
		if made <= r.spoils {
			return nil, g.boom(r)
		}
	case panicsWithText:
		panic("boom")
	case panicsWithError:
		panic(errBoom)
	case panicsWithNil:
		panic(nil) //nolint:govet // that is what is tried
	case panicsByRuntime:
		_ = make([]int, 1)[int(made)]
	case panicsDeferred:
		defer func() { panic(errBoom) }()
	case exits:
		r.exit()
		runtime.Goexit()
	case exitsDeferred:
		defer func() {
			r.exit()
			runtime.Goexit()
		}()
		panic("boom")
	case yields:
		runtime.Gosched()
	case takes:
		time.Sleep(g.short)
	case listens:
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(4 * g.short):
		}
	default:
		g.within(ctx, r)
	}
	return g.answer(r), nil
}

func (g *game) boom(r *record) error {
	err := &boom{r}
	testkit.Weigh(g.scale, failures, err)
	return err
}

func (g *game) answer(r *record) *answer {
	a := &answer{r}
	testkit.Weigh(g.scale, outputs, a)
	return a
}

// within does what a call does with its own pool.
func (g *game) within(ctx context.Context, r *record) {
	d := testkit.NewDice(r.seed, 7)
	switch r.kind {
	case reads:
		g.read(d)
		return
	case turns:
		if d.One(2) {
			if self, ok := pool.CallOf(ctx); ok {
				g.halt(self.Worker, d.One(2))
			}
		} else {
			g.steer(d)
		}
		return
	case shutsDown:
		g.ops.Add(1)
		g.noIntake.Store(true)
		err := g.p.Shutdown(ctx)
		g.check(errors.Is(err, pool.ErrWouldDeadlock), "Shutdown inside a call: %v", err)
		return
	default:
	}
	a := &actor{game: g, dice: d, ctx: ctx, outer: r}
	defer a.settleAll()
	// Meanwhile the call lends its share to those it asks for.
	g.running.Add(-1)
	defer g.underway()
	switch r.kind {
	case asksDo:
		a.do()
	case asksMap:
		a.mapping()
	case asksStream:
		a.stream()
	case asksJob:
		a.submit(true)
	default:
		a.submit(false)
	}
}

// enter checks all that has to hold when a call starts.
func (g *game) enter(ctx context.Context, r *record, made int32) {
	g.underway()
	g.calls.Add(1)
	g.check(r.now.Add(1) == 1, "two calls for one input at once")
	g.check(made <= max(g.attempts, 1), "call %d for one input", made)
	g.check(!r.over.Load(), "a call for an input that has ended")
	g.check(!g.closed.Load(), "a call started when Close had returned")
	if info, ok := pool.CallOf(ctx); g.check(ok, "CallOf knows nothing of this call") {
		g.check(info.Worker >= 0 && info.Attempt == int(made) && info.Pool == "model", "CallOf: %+v in call %d", info, made)
		r.job.Store(info.Job)
	}
	if !r.due.IsZero() {
		early := time.Until(r.due)
		g.check(early <= g.slack, "a job with After started %v too early", early)
	}
	if r.weight > 0 {
		sum := g.weight.Add(r.weight)
		g.check(sum <= g.capacity, "jobs that weigh %d, and a capacity of %d", sum, g.capacity)
	}
	if l := r.lane; l != nil {
		g.check(l.now.Add(1) == 1, "two jobs of one key at once")
		if r.place > 0 && made == 1 {
			last := l.started.Swap(r.place)
			g.check(last < r.place, "job %d of a key after job %d", r.place, last)
		}
	}
}

// leave ends what enter has begun.
func (g *game) leave(r *record) {
	if r.lane != nil {
		r.lane.now.Add(-1)
	}
	g.weight.Add(-r.weight)
	r.now.Add(-1)
	g.running.Add(-1)
}

// underway counts a call and checks how many there are. The bound is lowered when no more calls
// than that are under way, and the one before the count counts as well.
func (g *game) underway() {
	most := g.most.Load()
	n := g.running.Add(1)
	if n > most {
		most = max(most, g.most.Load())
		if g.noIntake.Load() {
			most = max(most, 1) // there is one to finish
		}
		g.check(n <= most, "%d calls under way, of at most %d", n, most)
	}
}
