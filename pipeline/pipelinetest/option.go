package pipelinetest

import (
	"context"
	"fmt"
	"time"
)

// Option says how [Run] runs a stage and what goes wrong around it. An option given twice,
// or with an invalid value, panics.
//
// Numbers of items and results in options count those that have passed: after 0 is before
// the first.
type Option func(*config)

// never is the number of an item that does not come.
const never = -1

// config is the result of applying the options of a run.
type config struct {
	ctx     context.Context
	results bool
	watched []*Gauge

	sourcePanics, sourceBlocks, cancels int
	sourcePanic                         any
	cause                               error

	sinkDelay          time.Duration
	sinkPanics, leaves int
	sinkPanic          any

	given map[string]bool
}

func configure(opts []Option) *config {
	c := &config{
		sourcePanics: never, sourceBlocks: never, cancels: never, sinkPanics: never, leaves: never,
		given: map[string]bool{},
	}
	for _, opt := range opts {
		if opt == nil {
			panic("pipelinetest: Run: nil option")
		}
		opt(c)
	}
	if c.sourcePanics != never && c.sourceBlocks != never {
		panic("pipelinetest: SourcePanicsAfter and SourceBlocksAfter: the source can do only one of them")
	}
	return c
}

func (c *config) once(option string) {
	if c.given[option] {
		panic("pipelinetest: " + option + " given twice")
	}
	c.given[option] = true
}

// count is once for an option with a number, which must be at least least.
func (c *config) count(option string, n, least int) int {
	c.once(option)
	if n < least {
		panic(fmt.Sprintf("pipelinetest: %s(%d): want at least %d", option, n, least))
	}
	return n
}

// Context runs the stage with a context derived from ctx, which [CancelAfter] may end. The
// default is tb.Context(). [Run] panics if ctx is nil.
func Context(ctx context.Context) Option {
	return func(c *config) {
		c.once("Context")
		if ctx == nil {
			panic("pipelinetest: Context: nil context")
		}
		c.ctx = ctx
	}
}

// Results reads the flow with [pipeline.Flow.Results], where a failed item is a result and
// the run goes on. The default is [pipeline.Flow.All], which ends with the first failure,
// as Run, ForEach and Collect do.
func Results() Option {
	return func(c *config) {
		c.once("Results")
		c.results = true
	}
}

// Watch makes [Run] check, when the run has ended, that none of the calls counted by the
// gauges is under way, and panics if one is nil.
func Watch(gauges ...*Gauge) Option {
	return func(c *config) {
		c.once("Watch")
		for _, g := range gauges {
			if g == nil {
				panic("pipelinetest: Watch: nil gauge")
			}
		}
		c.watched = gauges
	}
}

// SourcePanicsAfter makes the source give n items and then panic with v. If it has fewer
// items, it does not panic.
func SourcePanicsAfter(n int, v any) Option {
	return func(c *config) {
		c.sourcePanics = c.count("SourcePanicsAfter", n, 0)
		c.sourcePanic = v
	}
}

// SourceBlocksAfter makes the source a channel, as of [pipeline.FromChan], that gives n
// items, or all if there are fewer, and then nothing, without being closed. [Run] then
// blocks until something else ends the run: a failure, the end of the context, a Take, or
// an option of the sink.
func SourceBlocksAfter(n int) Option {
	return func(c *config) { c.sourceBlocks = c.count("SourceBlocksAfter", n, 0) }
}

// CancelAfter ends the context of the run with cause when the source has given n items and
// is asked for the next, which it still gives. If the source has fewer than n items, the
// context does not end. A nil cause is [context.Canceled].
func CancelAfter(n int, cause error) Option {
	return func(c *config) {
		c.cancels = c.count("CancelAfter", n, 0)
		c.cause = cause
	}
}

// LeaveAfter makes the sink leave its loop in the body of the n-th result, with break.
// [Run] panics if n is below 1.
func LeaveAfter(n int) Option {
	return func(c *config) { c.leaves = c.count("LeaveAfter", n, 1) }
}

// SinkPanicsAfter makes the body of the sink's loop panic with v at the n-th result. The
// panic comes out of the terminal, and [Run] recovers it into [Outcome]. Run
// panics if n is below 1.
func SinkPanicsAfter(n int, v any) Option {
	return func(c *config) {
		c.sinkPanics = c.count("SinkPanicsAfter", n, 1)
		c.sinkPanic = v
	}
}

// SlowSink makes the body of the sink's loop take d for each result; in a synctest bubble
// this is the bubble's time. [Run] panics if d is below 0.
func SlowSink(d time.Duration) Option {
	return func(c *config) {
		c.once("SlowSink")
		if d < 0 {
			panic("pipelinetest: SlowSink: negative duration")
		}
		c.sinkDelay = d
	}
}
