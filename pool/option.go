package pool

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
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

	given map[string]bool
}

// defaultQueue is how many jobs may wait if nothing is said.
const defaultQueue = 1024

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
// microseconds of work by what jobs have cost it lately. The memory is taken when
// jobs come. n below 1 panics.
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
// an error of one is the error of the input, which then was never called. The
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
