package pipeline

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/internal/retry"
	"github.com/millstream-go/millstream/result"
)

// ErrorPolicy says what happens to an input that has failed: [FailFast], [Skip] or a
// [DeadLetter].
type ErrorPolicy interface{ errorPolicy() }

// ErrorMode is an [ErrorPolicy] that needs no arguments.
type ErrorMode uint8

const (
	// FailFast leaves the failure to the terminal: Run, ForEach, Collect and All end the
	// run with it, while Results yields the failure as a result and continues. It is the
	// default.
	FailFast ErrorMode = iota
	// Skip drops the input and goes on. The [Report] counts it.
	Skip
)

func (ErrorMode) errorPolicy() {}

// String returns the name of the mode.
func (m ErrorMode) String() string {
	switch m {
	case FailFast:
		return "FailFast"
	case Skip:
		return "Skip"
	}
	return fmt.Sprintf("ErrorMode(%d)", uint8(m))
}

// DeadLetter drops the input and goes on, as [Skip] does, but calls fn first. fn runs on
// the goroutine of the call that failed: several goroutines may call it at once, and it
// holds up the stage for as long as it takes, which is not part of any input's Timing. If
// fn panics or calls [runtime.Goexit], the input fails with that, and the terminal handles
// it. A nil fn panics in [OnError].
func DeadLetter(fn func(Letter)) ErrorPolicy { return deadLetter(fn) }

type deadLetter func(Letter)

func (deadLetter) errorPolicy() {}

// Letter describes an input that has failed; see [DeadLetter]. It is a plain value.
type Letter struct {
	Stage    string        // the name of the stage
	Index    int           // position of the input in the source, from 0
	Input    any           // what the function was called with
	Err      error         // the last error of the function or a [Limit], or a *result.PanicError, or [ErrGoexit]
	Attempts int           // calls made; 0 if a Limit refused it
	Timing   result.Timing // up to the failure, through all stages
}

// lost returns the function that decides on failed inputs, or nil if the terminal handles
// them.
func lost[T, U any](c *config, clock engine.Clock) func(T, *item[U], error) engine.Fate {
	switch {
	case c.skips:
		return func(T, *item[U], error) engine.Fate { return engine.Skips }
	case c.letters != nil:
		return func(in T, failed *item[U], err error) engine.Fate {
			c.letters(Letter{
				Stage: c.name, Index: failed.Index, Input: in, Err: err,
				Attempts: int(failed.Attempt), Timing: failed.Result(clock).Timing,
			})
			return engine.Buried
		}
	}
	return nil
}

// calls holds the policies for the calls of a stage in one run.
type calls struct {
	limits *engine.Limits
	retry  *retry.Retrier
}

// open returns the policies for one run.
func (c *config) open() *calls {
	p := &calls{limits: c.limits}
	if c.retry != nil {
		p.retry = retry.New(retry.Policy(*c.retry))
	}
	return p
}

// again makes the calls for an input and counts them.
func (p *calls) again(ctx context.Context, made *int32, call func() error) error {
	p.retry.First()
	for {
		err := call()
		if err == nil {
			return nil
		}
		wait, final := p.retry.Next(err, int(*made))
		if final != nil {
			return final
		}
		if cut := p.pause(ctx, wait); cut != nil {
			return fmt.Errorf("%w; no retry: %w", err, cut)
		}
		*made++
	}
}

// pause waits until another call may be made, or returns the reason why it may not.
func (p *calls) pause(ctx context.Context, wait time.Duration) error {
	if cut := p.retry.Sleep(ctx, wait); cut != nil {
		return cut
	}
	limit := p.limits.Wait(ctx)
	if ctx.Err() != nil { // whatever the limit has returned
		if limit == nil {
			p.limits.Release()
		}
		return context.Cause(ctx)
	}
	return limit
}

// bounded returns fn with what each call has around it: a timeout, and the release of the
// limits.
func bounded[T, U any](c *config, fn engine.Func[T, U]) engine.Func[T, U] {
	return released(c.limits, timed(c, fn))
}

// boundedFlat is bounded for a function whose sequence is part of the call.
func boundedFlat[T, U any](c *config, fn engine.FlatFunc[T, U]) engine.FlatFunc[T, U] {
	return releasedFlat(c.limits, timedFlat(c, fn))
}

// released returns fn with the release of the limits at the end of each call, if one of them
// is to be told.
func released[T, U any](limits *engine.Limits, fn engine.Func[T, U]) engine.Func[T, U] {
	if !limits.Releases() {
		return fn
	}
	return func(ctx context.Context, v T) (U, error) {
		defer limits.Release()
		return fn(ctx, v)
	}
}

// releasedFlat is released for a function whose sequence is part of the call.
func releasedFlat[T, U any](limits *engine.Limits, fn engine.FlatFunc[T, U]) engine.FlatFunc[T, U] {
	if !limits.Releases() {
		return fn
	}
	return func(ctx context.Context, v T) (iter.Seq[U], error) {
		given := false
		defer func() {
			if !given {
				limits.Release()
			}
		}()
		seq, err := fn(ctx, v)
		if err != nil || seq == nil {
			return nil, err
		}
		given = true
		return func(yield func(U) bool) {
			defer limits.Release()
			seq(yield)
		}, nil
	}
}

// timed returns fn with a context of its own for each call, if there is a timeout.
func timed[T, U any](c *config, fn engine.Func[T, U]) engine.Func[T, U] {
	if c.timeout == 0 {
		return fn
	}
	return func(ctx context.Context, v T) (U, error) {
		ctx, cancel := retry.WithTimeout(ctx, c.timeout, "") // the StageError has the prefix
		defer cancel()
		return fn(ctx, v)
	}
}

// timedFlat is timed for a function whose sequence is part of the call.
func timedFlat[T, U any](c *config, fn engine.FlatFunc[T, U]) engine.FlatFunc[T, U] {
	if c.timeout == 0 {
		return fn
	}
	return func(ctx context.Context, v T) (iter.Seq[U], error) {
		ctx, cancel := retry.WithTimeout(ctx, c.timeout, "")
		given := false
		defer func() {
			if !given {
				cancel()
			}
		}()
		seq, err := fn(ctx, v)
		if err != nil || seq == nil {
			return nil, err
		}
		given = true
		return func(yield func(U) bool) {
			defer cancel()
			seq(yield)
		}, nil
	}
}
