package pool

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/internal/retry"
)

// Option configures a pool. [New] and [NewStateful] panic if an option is given twice
// or has an invalid value.
type Option func(*config)

// Waiter is a limit that a call waits for; *rate.Limiter of golang.org/x/time
// implements it.
type Waiter interface {
	// Wait returns nil when the call may start, or the reason why it may not, which is
	// then the error of that input. It must heed ctx.
	Wait(ctx context.Context) error
}

type config struct {
	workers int
	depth   int
	timeout time.Duration
	limits  *engine.Limits

	policy   Policy
	retry    *retry.Retrier
	aging    time.Duration
	capacity int64
	idle     time.Duration
	keep     int
	name     string
	called   string // what errors call the pool
	observe  func(Event)
	tracked  bool
	kept     int
	parent   context.Context //nolint:containedctx // it ends the pool

	given map[string]bool
}

const (
	// defaultQueue is how many jobs may wait without the option [Queue].
	defaultQueue = 1024
	// defaultAging is what a step of priority is worth without the option [Aging].
	defaultAging = 10 * time.Second
)

// Workers sets how many calls may be under way at once. The default is
// [runtime.GOMAXPROCS], which suits calls that compute; calls that wait for the
// network need more workers. New panics if n is below 1.
func Workers(n int) Option {
	return func(c *config) {
		c.once("Workers")
		if n < 1 {
			panic(fmt.Sprintf("pool: Workers(%d): want at least 1", n))
		}
		c.workers = n
	}
}

// Queue sets how many jobs may wait for a worker; the default is 1024. When the queue
// is full, Submit waits and TrySubmit returns ErrFull. Jobs that a worker has already
// taken in one batch are not counted: at most 64, and no more than about 50
// microseconds of work, going by what jobs have cost it lately. Jobs with [After] are
// counted from the start. Memory is allocated as jobs come, and kept. New panics if n
// is below 1.
func Queue(n int) Option {
	return func(c *config) {
		c.once("Queue")
		if n < 1 {
			panic(fmt.Sprintf("pool: Queue(%d): want at least 1", n))
		}
		c.depth = n
	}
}

// Timeout ends the context of each call d after the call started. Waiting in the queue
// and for a [Limit] does not count, but what the function itself waits for does, such as
// a limit for each key. context.Cause then names the timeout. The default is no timeout.
// New panics if d is not positive.
func Timeout(d time.Duration) Option {
	return func(c *config) {
		c.once("Timeout")
		if d <= 0 {
			panic(fmt.Sprintf("pool: Timeout(%v): want more than 0", d))
		}
		c.timeout = d
	}
}

// Limit makes each call wait for all limits, in the given order, before it starts. If
// a limit returns an error or panics, the input fails with it and the function is not
// called; [runtime.Goexit] in a limit has the same effect as in the function. The
// worker is held meanwhile, and the time counts as Wait, or as Run if it is before a
// retry. The default is no limit. New panics if there is no waiter or one is nil.
//
// A limit may also have a method
//
//	Release()
//
// which is called once for each Wait that has returned nil: when the call that it let
// through is over, or as soon as it is known that it will not be made, because a later
// limit refused it, say. Each call of a retry has a Wait and a Release of its own. Several
// goroutines may call Release at once; it must not block. So a limit on calls in flight,
// such as the Guarded of package ratelimit, gets back what the call has not used.
func Limit(waiters ...Waiter) Option {
	return func(c *config) {
		c.once("Limit")
		if len(waiters) == 0 {
			panic("pool: Limit: no waiter")
		}
		for _, w := range waiters {
			if w == nil {
				panic("pool: Limit: nil waiter")
			}
		}
		c.limits = engine.NewLimits(waiters)
	}
}

// Policy says what Submit does when the queue is full; see [WhenFull].
type Policy uint8

const (
	// Block waits for room; waiting callers are served in turn. It is the default.
	Block Policy = iota
	// Reject returns [ErrFull] at once.
	Reject
	// DropOldest takes the job that was accepted first out of the queue: it ends with
	// [ErrDropped] and never starts. The new job goes in.
	DropOldest
	// CallerRuns runs the job on the caller's own goroutine, as [Pool.Do] does, as soon
	// as fewer calls are under way than the pool has workers; Submit returns when the
	// job has ended. So submitters are slowed down to the pace of the pool. The job
	// starts before those in the queue. A job with options, whose order matters, waits
	// for room instead. A function that calls [runtime.Goexit] ends the caller's
	// goroutine.
	CallerRuns
)

// String returns the name of the policy.
func (p Policy) String() string {
	switch p {
	case Block:
		return "Block"
	case Reject:
		return "Reject"
	case DropOldest:
		return "DropOldest"
	case CallerRuns:
		return "CallerRuns"
	}
	return fmt.Sprintf("Policy(%d)", uint8(p))
}

// WhenFull sets what [Pool.Submit] does when the queue is full; the default is
// [Block]. [Pool.TrySubmit] rejects, whatever is set here. New panics if the policy
// is unknown.
func WhenFull(policy Policy) Option {
	return func(c *config) {
		c.once("WhenFull")
		if policy > CallerRuns {
			panic(fmt.Sprintf("pool: WhenFull(%v): unknown policy", policy))
		}
		c.policy = policy
	}
}

// Retry repeats failed calls as the policy says. The worker is held meanwhile,
// including the pauses, which count as Run. The end of the call's context cuts a
// pause short, and the error then matches both the last error and the reason why
// there was no other call. Each call gets the whole [Timeout] and waits for each
// [Limit], whose error ends the input. The default is one call. New panics if the
// policy is invalid.
func Retry(policy RetryPolicy) Option {
	return func(c *config) {
		c.once("Retry")
		if why := retry.Policy(policy).Complaint(); why != "" {
			panic("pool: " + why)
		}
		c.retry = retry.New(retry.Policy(policy))
	}
}

// Aging sets how much of a head start a step of [Priority] is worth; the default is
// 10 seconds. A job overtakes jobs with a priority lower by n if they came less than
// n times d before it. New panics if d is not positive.
func Aging(d time.Duration) Option {
	return func(c *config) {
		c.once("Aging")
		if d <= 0 {
			panic(fmt.Sprintf("pool: Aging(%v): want more than 0", d))
		}
		c.aging = d
	}
}

// Capacity sets how much the jobs under way that have a [Weight] may weigh together,
// in units of the user's choice. Without it, no job may have a weight. New panics if
// n is below 1.
func Capacity(n int64) Option {
	return func(c *config) {
		c.once("Capacity")
		if n < 1 {
			panic(fmt.Sprintf("pool: Capacity(%d): want at least 1", n))
		}
		c.capacity = n
	}
}

// IdleTimeout stops workers that have made no call for d, as long as there are more
// than keep. They start again when there is work. By default workers stay, which
// costs a goroutine each, and whatever [NewStateful] has opened for them. New panics
// if d is not positive or keep is below 0.
func IdleTimeout(d time.Duration, keep int) Option {
	return func(c *config) {
		c.once("IdleTimeout")
		if d <= 0 {
			panic(fmt.Sprintf("pool: IdleTimeout(%v, %d): want more than 0", d, keep))
		}
		if keep < 0 {
			panic(fmt.Sprintf("pool: IdleTimeout(%v, %d): want to keep at least 0", d, keep))
		}
		c.idle, c.keep = d, keep
	}
}

// Name sets the name that events and [Stats] carry, and that the errors of a [Timeout],
// of opening a state and of a [Pool.Shutdown] that finds calls stuck begin with. The
// default is no name. New panics if the name is empty.
func Name(name string) Option {
	return func(c *config) {
		c.once("Name")
		if name == "" {
			panic("pool: Name: empty")
		}
		c.name = name
	}
}

// Observe sets a function that is told what happens to jobs and workers. It runs on a
// goroutine of its own, one call at a time, in the order of each job's and each
// worker's events. So it may be slow: up to 4,096 events wait for it, and beyond that
// events are lost, which the next one reports. It may panic: the panic is caught, and
// the next event is delivered. It may use the pool; if it closes the pool or never
// returns, Close and Shutdown wait for it at most 100 ms. By default there is no
// observer, which costs nothing. New panics if observer is nil.
func Observe(observer func(Event)) Option {
	return func(c *config) {
		c.once("Observe")
		if observer == nil {
			panic("pool: Observe: nil observer")
		}
		c.observe = observer
	}
}

// Track makes the pool keep its jobs for [Pool.Jobs] and [Pool.Job]: all that have
// not ended, and the last n that have, with their outputs. By default it keeps none,
// which costs nothing. New panics if n is below 0.
func Track(n int) Option {
	return func(c *config) {
		c.once("Track")
		if n < 0 {
			panic(fmt.Sprintf("pool: Track(%d): want at least 0", n))
		}
		c.tracked, c.kept = true, n
	}
}

// Context ties the pool to ctx: when ctx ends, the pool is closed as by [Pool.Close],
// but nothing waits for it, and what is left is canceled with ctx's cause. The
// default is none. Calls do not get the values of ctx. New panics if ctx is nil.
func Context(ctx context.Context) Option {
	return func(c *config) {
		c.once("Context")
		if ctx == nil {
			panic("pool: Context: nil context")
		}
		c.parent = ctx
	}
}

func configure(opts []Option) config {
	var c config
	for _, opt := range opts {
		if opt == nil {
			panic("pool: New: nil option")
		}
		opt(&c)
	}
	if c.workers == 0 {
		c.workers = runtime.GOMAXPROCS(0)
	}
	if c.depth == 0 {
		c.depth = defaultQueue
	}
	if c.aging == 0 {
		c.aging = defaultAging
	}
	c.called = called(c.name)
	return c
}

// called returns what errors call a pool of that name.
func called(name string) string {
	if name == "" {
		return "pool"
	}
	return "pool " + strconv.Quote(name)
}

func (c *config) once(option string) {
	if c.given[option] {
		panic("pool: " + option + " given twice")
	}
	if c.given == nil {
		c.given = make(map[string]bool)
	}
	c.given[option] = true
}
