package pool

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/millstream-go/millstream/internal/retry"
)

// Option sets how a pool works. An option given twice, and one whose value makes
// no sense, panics in New.
type Option func(*config)

// Waiter is a limit that a call waits for; *rate.Limiter of golang.org/x/time has
// this method.
type Waiter interface {
	// Wait returns nil when the call may start, or the reason why it may not,
	// which is then the error of that input. It must heed ctx.
	Wait(ctx context.Context) error
}

type config struct {
	workers int
	depth   int
	timeout time.Duration
	limits  []Waiter

	policy   Policy
	retry    *retry.Retrier
	aging    time.Duration
	capacity int64
	idle     time.Duration
	keep     int
	name     string
	observe  func(Event)
	tracked  bool
	kept     int
	parent   context.Context //nolint:containedctx // it ends the pool

	given map[string]bool
}

const (
	// defaultQueue is how many jobs may wait if nothing is said.
	defaultQueue = 1024
	// defaultAging is what a step of priority is worth if nothing is said.
	defaultAging = 10 * time.Second
)

// Workers sets how many calls may be under way at once. The default is
// [runtime.GOMAXPROCS], which suits calls that compute; calls that wait for the
// network want more. n below 1 panics.
func Workers(n int) Option {
	return func(c *config) {
		c.once("Workers")
		if n < 1 {
			panic(fmt.Sprintf("pool: Workers(%d): want at least 1", n))
		}
		c.workers = n
	}
}

// Queue sets how many jobs may wait for a worker; the default is 1024. When they
// are that many, Submit waits and TrySubmit returns ErrFull. Not counted are those
// that a worker has taken in hand together, at most 64 and no more than about 50
// microseconds of work by what jobs have cost it lately. Jobs with [After] are counted
// from the start. The memory is taken when jobs come, and kept. n below 1 panics.
func Queue(n int) Option {
	return func(c *config) {
		c.once("Queue")
		if n < 1 {
			panic(fmt.Sprintf("pool: Queue(%d): want at least 1", n))
		}
		c.depth = n
	}
}

// Timeout ends the context of each call d after it started; waiting in the queue
// and for a limit does not count. context.Cause then names the timeout. The
// default is none. A d that is not positive panics.
func Timeout(d time.Duration) Option {
	return func(c *config) {
		c.once("Timeout")
		if d <= 0 {
			panic(fmt.Sprintf("pool: Timeout(%v): want more than 0", d))
		}
		c.timeout = d
	}
}

// Limit has each call wait for all limits, in the order given, before it starts;
// an error of one is the error of the input, which then was never called, and so is a
// panic; [runtime.Goexit] in one does what it does in the function. The
// worker is held meanwhile, and the time counts as Wait. The default is none.
// No waiter and a nil one panic.
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
		c.limits = slices.Clone(waiters)
	}
}

// Policy says what Submit does when the queue is full; see [WhenFull].
type Policy uint8

const (
	// Block waits for room; those that wait are served in turn. The default.
	Block Policy = iota
	// Reject returns [ErrFull] at once.
	Reject
	// DropOldest takes the job out of the queue that was accepted first: it ends with
	// [ErrDropped], and never starts. The new one goes in.
	DropOldest
	// CallerRuns has the caller run the job on its own goroutine, as [Pool.Do] does,
	// as soon as fewer calls than the pool has workers are under way; Submit returns
	// when the job has ended. So who submits is slowed down to what the pool can do.
	// The job starts before those in the queue. One with options, whose turn matters,
	// waits for room instead. A function that calls [runtime.Goexit] ends the caller's
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
// [Block]. [Pool.TrySubmit] rejects, whatever is set here. An unknown policy panics.
func WhenFull(policy Policy) Option {
	return func(c *config) {
		c.once("WhenFull")
		if policy > CallerRuns {
			panic(fmt.Sprintf("pool: WhenFull(%v): unknown policy", policy))
		}
		c.policy = policy
	}
}

// Retry makes calls that failed again, as the policy says. The worker is held
// meanwhile, also for the pauses, which count as Run; the end of the call's context
// cuts them, and the error is then both the last one and why there was no other call.
// Each call has the whole [Timeout] and waits for each [Limit], whose error ends the
// input. The default is one call. A policy that makes no sense panics.
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
// 10 seconds. A job overtakes those with a priority lower by n if they came less than
// n times d before it. A d that is not positive panics.
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
// in units of the user's choice. Without it no job may have a weight. n below 1 panics.
func Capacity(n int64) Option {
	return func(c *config) {
		c.once("Capacity")
		if n < 1 {
			panic(fmt.Sprintf("pool: Capacity(%d): want at least 1", n))
		}
		c.capacity = n
	}
}

// IdleTimeout stops workers that have made no call for d, as long as more than keep
// are there. They start again when there is work. The default is that workers stay,
// which costs a goroutine each, and whatever [NewStateful] has opened for them. A d that
// is not positive and a keep below 0 panic.
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

// Name sets the name that events and [Stats] carry. The default is none. An empty
// name panics.
func Name(name string) Option {
	return func(c *config) {
		c.once("Name")
		if name == "" {
			panic("pool: Name: empty")
		}
		c.name = name
	}
}

// Observe has observer told of what happens to jobs and workers. It is called on a
// goroutine of its own, by one at a time, in the order of each job's and each worker's
// events. So it may be slow: events wait for it, at most 4,096 of them, and beyond
// that they are lost, which the next one says. It may panic: that is caught, and the
// next event is told. It may use the pool; if it closes it, or never returns, Close
// and Shutdown wait for it no longer than 100 ms. The default is none, which costs
// nothing. A nil observer panics.
func Observe(observer func(Event)) Option {
	return func(c *config) {
		c.once("Observe")
		if observer == nil {
			panic("pool: Observe: nil observer")
		}
		c.observe = observer
	}
}

// Track has the pool know its jobs, for [Pool.Jobs] and [Pool.Job]: all that have not
// ended, and the last n that have, with their outputs. The default is that it does not,
// which costs nothing. n below 0 panics.
func Track(n int) Option {
	return func(c *config) {
		c.once("Track")
		if n < 0 {
			panic(fmt.Sprintf("pool: Track(%d): want at least 0", n))
		}
		c.tracked, c.kept = true, n
	}
}

// Context ties the pool to ctx: when it ends, the pool is closed as by [Pool.Close],
// with ctx's cause for what is left, though nobody waits. The default is none. Its
// values are not lent to calls. A nil ctx panics.
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
	return c
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
