package pipeline

import (
	"fmt"
	"slices"
	"time"

	"github.com/millstream-go/millstream/internal/retry"
	"github.com/millstream-go/millstream/pool"
)

// StageOption sets how one stage runs. An option given twice to the same stage,
// and one whose value makes no sense, panics when the flow is built.
type StageOption func(*config)

// Option is what [Flow.ForEach] takes, which is a stage and a terminal: a [StageOption]
// or a [RunOption].
type Option interface{ option() }

func (StageOption) option() {}
func (RunOption) option()   {}

// config is what the options of a stage come to.
type config struct { //nolint:recvcheck // on and rename return a changed copy, the others change it
	kind    string
	name    string
	workers int // 0: no pool of its own
	most    int // above workers if the stage finds their number by itself
	buffer  int
	ordered bool
	window  int // 0: not said

	timeout time.Duration
	limits  []Waiter
	retry   *pool.RetryPolicy
	skips   bool
	carries bool         // the function is our own and does nothing
	letters func(Letter) // of OnError(DeadLetter(letters))

	given map[string]bool
}

const (
	defaultBuffer = 256

	// windowPerWorker keeps an ordered stage busy behind a slow head: as many
	// inputs a worker may be done and wait for it.
	windowPerWorker = 128
	fullWindow      = 4096 // but not beyond it, except for one a worker
)

// Named names the stage in errors. The default is the kind of the step, "map" for
// [Map], and so on.
func Named(name string) StageOption {
	return func(c *config) {
		c.once("Named")
		if name == "" {
			c.refuse("Named: empty name")
		}
		c.name = name
	}
}

// Workers gives the stage a pool of n workers of its own, so that up to n calls
// of its function run at once; n is a number, or [Auto]. Outputs then come in the order
// in which the calls end, unless the stage is [Ordered]. Without it the function is
// called by one goroutine at a time, in order. A worker is started when an item finds no
// idle one. n below 1 panics.
func Workers[N int | AutoRange](n N) StageOption {
	return func(c *config) {
		c.once("Workers")
		switch n := any(n).(type) {
		case int:
			if n < 1 {
				c.refuse(fmt.Sprintf("Workers(%d): want at least 1", n))
			}
			c.workers, c.most = n, n
		case AutoRange:
			if n.min < 1 {
				c.refuse(fmt.Sprintf("Workers(Auto(%d, %d)): want at least 1", n.min, n.max))
			}
			if n.max < n.min {
				c.refuse(fmt.Sprintf("Workers(Auto(%d, %d)): the most is below the least", n.min, n.max))
			}
			c.workers, c.most = n.min, n.max
		}
	}
}

// AutoRange is a range for the number of workers; see [Auto]. The zero value is not valid.
type AutoRange struct{ min, max int }

// Auto has a stage find its number of workers by itself, from least to most:
//
//	pipeline.Workers(pipeline.Auto(1, 64))
//
// It begins with least, and measures how many calls end in a time. As long as inputs wait
// and more workers get more done, it takes more; a change that gains nothing it takes
// back, and tries again only after a while. Where there is too little input to keep the
// workers busy it lets some go. So calls that wait for something else get many workers,
// and calls that compute about as many as there are processors. What it has chosen, and
// why, is in the [Report]. A range that is empty, and a least below 1, panic.
func Auto(least, most int) AutoRange { return AutoRange{least, most} }

// Ordered makes a stage with workers give its outputs in the order of its inputs.
// window bounds how many inputs are in the stage at once, in flight and finished
// but waiting for an earlier one, so that a slow input cannot make the rest pile
// up; it must not be below the number of workers, and counts as 65,536 above that.
// The default is 128 a worker up to 4,096, and at least one a worker. A stage
// without workers is in order anyway.
func Ordered(window ...int) StageOption {
	return func(c *config) {
		c.once("Ordered")
		switch {
		case len(window) > 1:
			c.refuse("Ordered: more than one window")
		case len(window) == 1 && window[0] < 1:
			c.refuse(fmt.Sprintf("Ordered(%d): want at least 1", window[0]))
		case len(window) == 1:
			c.window = window[0]
		}
		c.ordered = true
	}
}

// Buffer sets how many items may wait before a stage with workers, and the same
// behind it if no other such stage follows; the default is 256. Beyond them each
// producer holds back at most 64, and never more than n. When the buffer is full,
// the steps before it wait. A small buffer saves memory where items are large; it
// costs nothing where calls take a millisecond. n below 1 panics.
func Buffer(n int) StageOption {
	return func(c *config) {
		c.once("Buffer")
		if n < 1 {
			c.refuse(fmt.Sprintf("Buffer(%d): want at least 1", n))
		}
		c.buffer = n
	}
}

// Waiter is a limit that a call waits for; *rate.Limiter of golang.org/x/time has
// this method.
type Waiter = pool.Waiter

// Timeout ends the context of each call d after it started; waiting before it does not
// count. context.Cause then names the timeout. Of a [FlatMap] the call lasts until its
// sequence is through, also while that waits for room. A function that does not heed its
// context is waited for. The default is none. A d that is not positive panics, and so does
// a stage whose function has no context.
func Timeout(d time.Duration) StageOption {
	return func(c *config) {
		c.once("Timeout")
		if d <= 0 {
			c.refuse(fmt.Sprintf("Timeout(%v): want more than 0", d))
		}
		c.timeout = d
	}
}

// Limit has each call wait for all limits, in the order given, before it starts; an error
// of one is the failure of the input, which then was never called, and so is a panic. The
// worker is held meanwhile, and the time counts as Wait. An input that waits when the run
// ends is canceled as those that wait in a queue are. Waiters are called by several
// goroutines at once, with the context of the run. The default is none. No waiter and a nil
// one panic.
func Limit(waiters ...Waiter) StageOption {
	return func(c *config) {
		c.once("Limit")
		if len(waiters) == 0 {
			c.refuse("Limit: no waiter")
		}
		for _, w := range waiters {
			if w == nil {
				c.refuse("Limit: nil waiter")
			}
		}
		c.limits = slices.Clone(waiters)
	}
}

// Retry makes calls that failed again, as the policy says; its Budget is for each run, and
// in a [Partition] for each copy. The worker is held meanwhile, also for the pauses and the
// limits of further calls, which count as Run. Each call has the whole [Timeout] and waits
// for each [Limit]. If the run ends meanwhile, or a limit refuses, the input fails with the
// error of its last call and that reason. Of a [FlatMap] only the function is called again,
// not its sequence. The default is one call. A policy
// that makes no sense panics, and so does a stage whose function returns no error.
func Retry(policy pool.RetryPolicy) StageOption {
	return func(c *config) {
		c.once("Retry")
		if why := retry.Policy(policy).Complaint(); why != "" {
			c.refuse(why)
		}
		c.retry = &policy
	}
}

// OnError sets what becomes of an input of the stage that has failed: by an error, a panic
// or a call of [runtime.Goexit], after the last call that [Retry] allows, or because a
// [Limit] refused it. The default is [FailFast]. What fails because the run ends is left
// to the terminal. A nil policy panics.
func OnError(policy ErrorPolicy) StageOption {
	return func(c *config) {
		c.once("OnError")
		switch p := policy.(type) {
		case ErrorMode:
			if p > Skip {
				c.refuse(fmt.Sprintf("OnError(%d): unknown policy", p))
			}
			c.skips = p == Skip
		case deadLetter:
			if p == nil {
				c.refuse("OnError: DeadLetter of a nil function")
			}
			c.letters = p
		default:
			c.refuse("OnError: nil policy")
		}
	}
}

// configure makes the configuration of a step that takes any option.
func configure(kind string, opts []StageOption) config {
	c := config{kind: kind, name: kind}
	c.apply(opts)
	if c.workers > 0 && c.window > 0 && c.window < c.most {
		c.refuse(fmt.Sprintf("Ordered(%d) is below Workers(%d)", c.window, c.most))
	}
	if c.buffer > 0 && c.workers == 0 {
		c.refuse("Buffer without Workers: the stage is fused with the one before and has none")
	}
	if c.buffer == 0 {
		c.buffer = defaultBuffer
	}
	if c.ordered && c.window == 0 && c.workers > 0 {
		c.window = windowPerWorker * min(c.most, fullWindow/windowPerWorker)
		c.window = max(c.window, c.most)
	}
	return c
}

func (c *config) apply(opts []StageOption) {
	for _, opt := range opts {
		if opt == nil {
			c.refuse("nil option")
		}
		opt(c)
	}
}

// without refuses options that make no sense for the step, for a reason.
func (c *config) without(why string, options ...string) {
	for _, option := range options {
		if c.given[option] {
			c.refuse(option + ": " + why)
		}
	}
}

// inSequence refuses options of stages with workers.
func (c *config) inSequence() {
	c.without("it needs its inputs one after the other", "Workers", "Ordered", "Buffer")
}

// rename sets the name of a step that was built.
func (c config) rename(name string) config {
	given := c.given
	c.given = nil
	for option := range given {
		c.once(option)
	}
	Named(name)(&c)
	return c
}

func (c *config) once(option string) {
	if c.given[option] {
		c.refuse(option + " given twice")
	}
	if c.given == nil {
		c.given = make(map[string]bool)
	}
	c.given[option] = true
}

func (c *config) refuse(why string) {
	name := c.name
	if name != c.kind {
		name = c.kind + " " + name
	}
	panic("pipeline: " + name + ": " + why)
}
