package pool_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// game is one pool with random options, those who use it, and what is known of it.
type game struct {
	t     testing.TB
	name  string // how to play it again
	p     *pool.Pool[*order, *answer]
	short time.Duration // the unit of what takes time
	slack time.Duration // how much clocks may differ

	// What it was made with.
	made           string
	workers, depth int
	attempts       int32
	policy         pool.Policy
	capacity       int64 // 0: none
	tracks         int   // below 0: it does not
	limited        bool
	statesFail     bool
	steered        bool
	hangs          context.CancelCauseFunc // ends the context that it hangs on; nil: it hangs on none
	states         *states                 // nil: none
	watcher        *watcher                // nil: none
	scale          *testkit.Scale          // nil: nothing is weighed

	ops, calls atomic.Int64 // what has been done
	bad        atomic.Bool
	mu         sync.Mutex
	orphans    []pending
	lanes      [4]lane
	ledger     ledger
	submitted  atomic.Uint64 // calls of Submit and TrySubmit that may be accepted
	unseen     atomic.Uint64 // jobs that ended the goroutine that submitted them

	running, weight atomic.Int64
	most            atomic.Int64 // calls that may be under way
	closed          atomic.Bool  // Close has returned
	noIntake        atomic.Bool  // the end may have begun

	steering chan struct{} // a lock that a bubble knows
	size     int           // of the last Resize; guarded by steering
}

// check fails the test, unless ok, and has the game end.
func (g *game) check(ok bool, format string, args ...any) bool {
	if !ok && !g.bad.Swap(true) {
		g.t.Errorf("%s (%s): %s", g.name, g.made, fmt.Sprintf(format, args...))
	}
	return ok
}

// newGame makes a pool and all that is to be known of it.
func newGame(tb testing.TB, name string, d *testkit.Dice, virtual bool) *game {
	tb.Helper()
	g := &game{
		t: tb, name: name, short: time.Duration(1+d.Throw(16)) * time.Microsecond,
		workers: 1 + d.Throw(4), depth: 1 + d.Throw(10), attempts: 1, policy: pool.Policy(d.Throw(4)), tracks: -1,
		steering: make(chan struct{}, 1), steered: d.One(2),
		ledger: ledger{ended: map[result.Status]uint64{}},
	}
	if !virtual {
		g.slack = 100 * time.Microsecond
	}
	for i := range g.lanes {
		g.lanes[i].submitting = make(chan struct{}, 1)
	}
	g.size = g.workers
	g.most.Store(int64(g.workers))
	if d.One(8) {
		g.scale = new(testkit.Scale)
	}
	opts := []pool.Option{pool.Name("model"), pool.Workers(g.workers), pool.Queue(g.depth), pool.WhenFull(g.policy), pool.Aging(2 * g.short)}
	maybe := func(n int, opt func() pool.Option) {
		if d.One(n) {
			opts = append(opts, opt())
		}
	}
	maybe(3, func() pool.Option {
		g.attempts = 3
		return pool.Retry(pool.RetryPolicy{Attempts: 3, Base: g.short, Budget: 0.5})
	})
	maybe(2, func() pool.Option {
		g.capacity = int64(1 + d.Throw(5))
		return pool.Capacity(g.capacity)
	})
	maybe(3, func() pool.Option {
		g.tracks = d.Throw(20)
		return pool.Track(g.tracks)
	})
	maybe(3, func() pool.Option { return pool.IdleTimeout(g.short+d.Time(4*g.short), d.Throw(3)) })
	maybe(6, func() pool.Option { return pool.Timeout(g.short + d.Time(4*g.short)) })
	maybe(6, func() pool.Option {
		g.limited = true
		return pool.Limit(waiterFunc(g.limit))
	})
	maybe(8, func() pool.Option {
		ctx, end := context.WithCancelCause(context.Background())
		g.hangs = end
		return pool.Context(ctx)
	})
	maybe(3, func() pool.Option {
		g.watcher = newWatcher(g, d)
		return pool.Observe(g.watcher.observe)
	})
	if d.One(4) {
		g.states = &states{game: g, live: map[int]*state{}, fail: d.One(2)}
		g.statesFail = g.states.fail
		g.p = pool.NewStateful(g.states.open, g.states.call, g.states.close, opts...)
	} else {
		g.p = pool.New(g.call, opts...)
	}
	g.made = fmt.Sprintf("workers %d, queue %d, %v, attempts %d, capacity %d, track %d, limit %v, steered %v, states %v",
		g.workers, g.depth, g.policy, g.attempts, g.capacity, g.tracks, g.limited, g.steered, g.states != nil)
	if g.watcher != nil {
		g.made += fmt.Sprintf(", observer %d", g.watcher.manners)
	}
	return g
}

// limit refuses a call now and then, or panics.
func (g *game) limit(ctx context.Context) error {
	switch n := g.calls.Add(1); {
	case n%17 == 5:
		return errLimit
	case n%29 == 7:
		panic(errLimit)
	case n%7 == 2:
		select {
		case <-ctx.Done():
			return errors.Join(errLimit, context.Cause(ctx))
		case <-time.After(g.short):
		}
	}
	return nil
}

// play has actors use the pool until they are through or it is ended under their hands.
func (g *game) play(d *testkit.Dice, rounds int) {
	ends := d.Throw(16)
	early := d.One(3)
	when := d.Time(time.Duration(rounds) * g.short)
	several := 1 + d.Throw(3)
	var acting, caring sync.WaitGroup
	stop := make(chan struct{})
	if g.steered {
		caring.Go(func() { g.care(stop) })
	}
	for _, d := range d.Deal(1 + d.Throw(6)) {
		acting.Go(func() {
			a := &actor{game: g, dice: d, ctx: context.Background()}
			a.act(rounds)
		})
	}
	if early {
		time.Sleep(when)
	} else {
		acting.Wait()
		if g.watcher != nil {
			g.watcher.hush()
		}
		g.settleOrphans()
		if !g.noIntake.Load() {
			g.settled()
			g.forgotten()
		}
	}
	var ending sync.WaitGroup
	for i := range several {
		ending.Go(func() { g.finish(ends + i) })
	}
	ending.Wait()
	g.close()
	acting.Wait()
	g.settleOrphans()
	close(stop)
	caring.Wait()
	g.over()
}

// finish is one way to end a pool.
func (g *game) finish(way int) {
	g.ops.Add(1)
	g.noIntake.Store(true)
	switch way % 5 {
	case 0:
		g.close()
	case 1:
		err := g.p.Shutdown(context.Background())
		if g.check(err == nil, "Shutdown: %v", err) {
			g.idle()
		}
	case 2, 3:
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Duration(way)*g.short, errStop)
		defer cancel()
		err := g.p.Shutdown(ctx)
		if stuck, ok := errors.AsType[*pool.StuckError](err); ok {
			// Calls of this game return soon, but on a machine that is busy elsewhere.
			g.check(g.slack > 0 && len(stuck.Calls) > 0, "%v", err)
			return
		}
		n := g.running.Load()
		g.check(err == nil && n == 0 || errors.Is(err, errStop) && n == 0, "Shutdown with %d calls under way: %v", n, err)
	default:
		if g.hangs == nil {
			g.close()
		} else {
			g.hangs(errStop)
		}
	}
}

// close closes the pool, and checks what that promises.
func (g *game) close() {
	g.ops.Add(1)
	g.noIntake.Store(true)
	err := g.p.Close()
	g.check(err == nil || g.statesFail, "Close: %v", err)
	g.idle()
}

// idle checks that nothing of the pool runs, and sees to it that nothing does later.
func (g *game) idle() {
	n := g.running.Load()
	g.check(n == 0, "%d calls under way behind the end", n)
	g.closed.Store(true)
}

// end is finish for an actor.
func (a *actor) end(d *testkit.Dice) {
	if a.outer == nil {
		a.finish(d.Throw(16))
	}
}

// over checks what is to hold at last.
func (g *game) over() {
	g.ops.Add(2)
	_, err := g.p.TrySubmit(&order{&record{}})
	g.check(errors.Is(err, pool.ErrClosed), "TrySubmit behind Close: %v", err)
	g.check(errors.Is(g.p.Resize(1), pool.ErrClosed), "Resize behind Close")
	g.settled()
	s := g.p.Stats()
	g.check(s.Busy == 0, "closed, and %v", s)
	g.check(g.weight.Load() == 0, "calls that weigh %d are left", g.weight.Load())
	if g.watcher != nil {
		g.watcher.over()
	}
	if g.states != nil {
		g.states.over()
	}
}

// steer does something to the workers.
func (g *game) steer(d *testkit.Dice) {
	select {
	case g.steering <- struct{}{}:
	default:
		return // somebody else is at it
	}
	defer func() { <-g.steering }()
	switch d.Throw(8) {
	case 0:
		g.ops.Add(1)
		g.p.Pause()
	case 1, 2:
		g.ops.Add(1)
		g.p.Resume()
	case 3:
		g.resize(0)
	case 4, 5, 6:
		g.resize(1 + d.Throw(4))
	default:
		g.halt(d.Throw(5), d.One(2))
	}
	g.lower()
}

// resize sets the number of workers. The bound for calls under way goes up at once, and down
// when Stats has seen that no more are.
func (g *game) resize(n int) {
	g.ops.Add(1)
	g.most.Store(max(g.most.Load(), int64(n)))
	err := g.p.Resize(n)
	g.check(err == nil || errors.Is(err, pool.ErrClosed) && g.noIntake.Load(), "Resize(%d): %v", n, err)
	if err == nil {
		g.size = n
	}
}

// lower lowers the bound if no more calls are under way than it says.
func (g *game) lower() {
	if int64(g.size) < g.most.Load() && g.p.Stats().Busy <= g.size {
		g.most.Store(int64(g.size))
	}
}

// halt halts a worker. It may be called without the lock.
func (g *game) halt(worker int, now bool) {
	g.ops.Add(1)
	halt := g.p.Halt
	if now {
		halt = g.p.HaltNow
	}
	err := halt(worker)
	g.check(err == nil || errors.Is(err, pool.ErrNoWorker) || errors.Is(err, pool.ErrClosed) && g.noIntake.Load(), "Halt(%d): %v", worker, err)
}

// care lets a pool go on that nobody lets work, until stop is closed. It does nothing else,
// so that who waits for a wake-up that was lost waits for good, and is seen.
func (g *game) care(stop <-chan struct{}) {
	last, still := int64(0), 0
	for {
		select {
		case <-stop:
			return
		case <-time.After(8 * g.short):
		}
		g.steering <- struct{}{}
		s := g.sums()
		if s.Paused {
			g.p.Resume()
		}
		if s.Workers == 0 {
			g.resize(1 + int(last)%4)
		}
		g.lower()
		<-g.steering
		if done := g.ops.Load() + g.calls.Load(); done != last {
			last, still = done, 0
		} else if still++; g.slack == 0 && time.Duration(still)*g.short > time.Second { // and more than what a check waits for
			g.check(false, "nothing moves: %v", g.p.Stats())
			_ = g.p.Close()
		}
	}
}

// read looks at the pool.
func (g *game) read(d *testkit.Dice) {
	g.ops.Add(1)
	switch d.Throw(4) {
	case 0:
		last := -1
		for _, w := range g.p.Workers() {
			g.check(w.ID > last, "worker %d behind %d", w.ID, last)
			last = w.ID
			g.check(w.State == pool.WorkerIdle || w.State == pool.WorkerBusy || w.State == pool.WorkerHalting, "%+v", w)
			g.check(w.Job == 0 || w.State != pool.WorkerIdle, "%+v", w)
		}
	case 1:
		if g.tracks < 0 {
			g.check(g.p.Jobs() == nil, "jobs of a pool that does not track them")
			return
		}
		last, ended := uint64(0), 0
		for _, j := range g.p.Jobs() {
			g.check(j.ID > last, "job %d behind %d", j.ID, last)
			last = j.ID
			if j.Status.Terminal() {
				ended++
			}
			if again, ok := g.p.Job(j.ID); ok {
				g.check(again.ID() == j.ID, "job %d for %d", again.ID(), j.ID)
				g.check(!j.Status.Terminal() || again.Status() == j.Status, "job %d: %v, and then %v", j.ID, j.Status, again.Status())
			}
		}
	default:
		g.sums()
	}
}

// gone checks that nothing keeps the pool of a game that is over.
func gone(tb testing.TB, name string, p weak.Pointer[pool.Pool[*order, *answer]]) {
	tb.Helper()
	if !collected(func() bool { return p.Value() == nil }) {
		tb.Errorf("%s: something keeps the pool: a timer, a goroutine or a context", name)
	}
}

// states are those of the workers.
type states struct {
	*game
	fail           bool // some do not open or close
	opened, closed atomic.Int64
	mu             sync.Mutex
	live           map[int]*state
}

type state struct {
	worker int
	held   atomic.Int32
	over   atomic.Bool
}

func (s *states) open(_ context.Context, worker int) (*state, error) {
	n := s.opened.Add(1)
	failed := func() { s.opened.Add(-1) }
	switch {
	case s.fail && n%7 == 3:
		failed()
		return nil, errOpen
	case s.fail && n%11 == 4:
		failed()
		panic(errOpen)
	}
	v := &state{worker: worker}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(s.live[worker] == nil, "two states of worker %d", worker)
	s.live[worker] = v
	return v, nil
}

func (s *states) call(ctx context.Context, v *state, o *order) (*answer, error) {
	if info, ok := pool.CallOf(ctx); ok {
		s.check(info.Worker == v.worker, "worker %d with the state of %d", info.Worker, v.worker)
	}
	v.held.Add(1)
	defer v.held.Add(-1)
	s.check(!v.over.Load(), "a state that was closed")
	return s.game.call(ctx, o)
}

func (s *states) close(v *state) error {
	s.check(!v.over.Swap(true), "a state is closed twice")
	s.check(v.held.Load() == 0, "a state is closed while a call has it")
	s.mu.Lock()
	s.check(s.live[v.worker] == v, "a state is closed that is not its worker's")
	delete(s.live, v.worker)
	s.mu.Unlock()
	if n := s.closed.Add(1); s.fail {
		switch n % 9 {
		case 2:
			return errOpen
		case 4:
			panic(errOpen)
		case 6:
			runtime.Goexit()
		}
	}
	return nil
}

// over checks that all states were closed.
func (s *states) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(s.opened.Load() == s.closed.Load() && len(s.live) == 0, "%d states opened, %d closed, %d left", s.opened.Load(), s.closed.Load(), len(s.live))
}
