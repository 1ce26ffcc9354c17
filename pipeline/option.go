package pipeline

import (
	"fmt"
	"reflect"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/internal/retry"
	"github.com/millstream-go/millstream/pool"
)

// StageOption sets how one stage runs. An option given twice to the same stage, or with an
// invalid value, panics when the flow is built.
type StageOption func(*config)

// Option is an option of [Flow.ForEach], which is a stage and a terminal at once: a
// [StageOption] or a [RunOption]. To share options between ForEach and steps or other
// terminals, keep a []StageOption or a []RunOption, and convert it for ForEach:
//
//	var opts []pipeline.Option
//	for _, opt := range shared {
//		opts = append(opts, opt)
//	}
type Option interface{ option() }

func (StageOption) option() {}
func (RunOption) option()   {}

// config is the result of applying the options of a stage.
type config struct { //nolint:recvcheck // on and rename return a changed copy, the others change it
	kind    string
	name    string
	workers int // 0: no pool of its own
	most    int // above workers if the stage chooses their number itself
	buffer  int
	ordered bool
	window  int // 0: not set

	timeout time.Duration
	limits  *engine.Limits
	retry   *pool.RetryPolicy
	skips   bool
	carries bool         // the function is internal and does nothing
	letters func(Letter) // of OnError(DeadLetter(letters))

	given map[string]bool
}

const (
	defaultBuffer = 256

	// windowPerWorker keeps an ordered stage busy while its oldest call is slow: that many
	// inputs per worker may be finished and waiting for it.
	windowPerWorker = 128
	fullWindow      = 4096 // the default is at most this, or one per worker if that is more
)

// Named sets the name of the stage in errors, plans and reports. The default is the kind of
// the step: "map" for [Map], and so on.
func Named(name string) StageOption {
	return func(c *config) {
		c.once("Named")
		if name == "" {
			c.refuse("Named: empty name")
		}
		c.name = name
	}
}

// Workers gives the stage its own pool of n workers, so that up to n calls of its function
// run at once; n is a number or [Auto]. Outputs then come in the order in which the calls
// end, unless the stage is [Ordered]. Without this option one goroutine at a time calls the
// function, in order. A worker starts when an item finds no idle one. n below 1 panics.
func Workers[N ~int | AutoRange](n N) StageOption {
	return func(c *config) {
		c.once("Workers")
		auto, ok := any(n).(AutoRange)
		if !ok {
			c.workers = int(reflect.ValueOf(n).Int()) // it may have a type of its own
			c.most = c.workers
			if c.workers < 1 {
				c.refuse(fmt.Sprintf("Workers(%d): want at least 1", c.workers))
			}
			return
		}
		if auto.min < 1 {
			c.refuse(fmt.Sprintf("Workers(Auto(%d, %d)): want at least 1", auto.min, auto.max))
		}
		if auto.max < auto.min {
			c.refuse(fmt.Sprintf("Workers(Auto(%d, %d)): the most is below the least", auto.min, auto.max))
		}
		c.workers, c.most = auto.min, auto.max
	}
}

// AutoRange is a range for the number of workers; see [Auto]. The zero value is invalid.
type AutoRange struct{ min, max int }

// Auto lets a stage choose its number of workers itself, from least to most:
//
//	pipeline.Workers(pipeline.Auto(1, 64))
//
// The stage starts with least workers and measures how many calls end per unit of time. It
// adds workers as long as inputs wait and more workers get more done. It undoes a change
// that gains nothing, and tries again only after a while. If there is too little input to
// keep the workers busy, it removes some. So calls that wait for something else get many
// workers, and calls that compute get about as many as there are processors. The [Report]
// shows the number it has chosen, and why. An empty range panics, and so does a least below
// 1.
func Auto(least, most int) AutoRange { return AutoRange{least, most} }

// Ordered makes a stage with workers give its outputs in the order of its inputs. window
// bounds the inputs that are in the stage at once, in flight or finished but waiting for an
// earlier one, so that a slow input cannot make the rest pile up. It must not be below the
// number of workers. A window above 65,536 counts as 65,536, so no more calls than that are
// in flight, however many workers the stage has. The default is 128 per worker up to 4,096,
// and at least one per worker. A stage without workers is in order anyway.
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

// Buffer sets how many items may wait before a stage with workers, and the same number
// after it if no other such stage follows. The default is 256. In addition, each producer
// holds back at most 64 items, and never more than n. When the buffer is full, the steps
// before it wait. A small buffer saves memory where items are large; it costs nothing where
// calls take a millisecond. n below 1 panics.
func Buffer(n int) StageOption {
	return func(c *config) {
		c.once("Buffer")
		if n < 1 {
			c.refuse(fmt.Sprintf("Buffer(%d): want at least 1", n))
		}
		c.buffer = n
	}
}

// Waiter is a limit that calls wait for. *rate.Limiter of golang.org/x/time has its method.
type Waiter = pool.Waiter

// Timeout ends the context of each call d after the call started. Waiting for a worker and
// for a [Limit] does not count, but what the function itself waits for does, such as a limit
// for each key. context.Cause then names the timeout, and is a context.DeadlineExceeded to
// errors.Is. The call of a [FlatMap] lasts until its sequence has ended, including the time
// that the sequence waits for room. The run waits for a function that ignores its context.
// The default is no timeout. A d that is not positive panics, and so does a stage whose
// function takes no context.
func Timeout(d time.Duration) StageOption {
	return func(c *config) {
		c.once("Timeout")
		if d <= 0 {
			c.refuse(fmt.Sprintf("Timeout(%v): want more than 0", d))
		}
		c.timeout = d
	}
}

// Limit makes each call wait for all limits, in the order given, before it starts. If a
// limit returns an error or panics, the input fails with it and the function is not called.
// The worker is occupied while it waits, and the time counts as Wait. If the run ends while
// an input waits, the input is canceled like those that wait in a queue.
//
// Waiters are called by several goroutines at once, with the context of the run. If the
// deadline of that context is too near, a limiter that fails at once, as *rate.Limiter
// does, makes the input fail with the limiter's error before the context ends: [OnError]
// handles it, and a fail-fast terminal returns it instead of the context's cause. The
// default is no limit. Giving no waiter panics, and so does a nil one.
//
// A limit may also have a method
//
//	Release()
//
// which is called once for each Wait that has returned nil: when the call that it let
// through is over, or as soon as it is known that it will not be made, because a later
// limit refused it, say. Each call of a [Retry] has a Wait and a Release of its own; the
// call of a [FlatMap] lasts until its sequence has ended. Several goroutines may call
// Release at once; it must not block. So a limit on calls in flight, such as the Guarded of
// package ratelimit, gets back what the call has not used.
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
		c.limits = engine.NewLimits(waiters)
	}
}

// Retry makes failed calls again, as policy says. The policy's Budget applies to each run,
// and in a [Partition] to each copy. The worker is occupied meanwhile, including the pauses
// and the limits of further calls, which count as Run. Each call gets the whole [Timeout]
// and waits for each [Limit]. If the run ends meanwhile, or a limit refuses, the input
// fails with both the error of its last call and that reason. If the run has ended, only
// Results shows that failure; the fail-fast terminals return the context's cause alone. An
// error that is not retried because the budget is empty says so. In a [FlatMap] only the
// function is called again, not its sequence. The default is one call. An invalid policy
// panics, and so does a stage whose function returns no error.
func Retry(policy pool.RetryPolicy) StageOption {
	return func(c *config) {
		c.once("Retry")
		if why := retry.Policy(policy).Complaint(); why != "" {
			c.refuse(why)
		}
		c.retry = &policy
	}
}

// OnError sets what happens to an input that has failed in the stage: with an error, a
// panic or a call of [runtime.Goexit] (but see Errors in the package documentation), after
// the last call that [Retry] allows, or because a [Limit] refused it. The default is [FailFast]. A failure caused by the end of the run
// is left to the terminal. A nil policy panics.
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

// configure returns the configuration of a step that takes any option.
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

// without refuses options that the step does not support, and says why.
func (c *config) without(why string, options ...string) {
	for _, option := range options {
		if c.given[option] {
			c.refuse(option + ": " + why)
		}
	}
}

// inSequence refuses the options of stages with workers.
func (c *config) inSequence() {
	c.without("it needs its inputs one after the other", "Workers", "Ordered", "Buffer")
}

// rename returns the configuration under another name, for a step that is already built.
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
