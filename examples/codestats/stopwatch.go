package main

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/millstream-go/millstream/result"
)

// A stopwatch collects how long the calls of one stage took. The workers of the
// stage share it, and so its lock, which they hold for some nanoseconds in calls
// of many microseconds.
type stopwatch struct {
	mu    sync.Mutex
	calls result.Summary // guarded by mu, as is total
	total time.Duration
}

// stopwatches are those of all stages.
type stopwatches struct {
	walk, read, parse, measure, aggregate stopwatch
}

// add counts one call.
func (w *stopwatch) add(outcome result.Status, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls.Add(outcome, result.Timing{Run: took})
	w.total += took
}

// timed returns fn with its calls measured by w.
func timed[In, Out any](w *stopwatch, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		outcome := result.Panicked // until fn returns
		start := time.Now()
		defer func() { w.add(outcome, time.Since(start)) }()

		out, err := fn(ctx, in)
		outcome = result.Succeeded
		if err != nil {
			outcome = result.Failed
		}
		return out, err
	}
}

// timedSeq returns seq with the time measured that it takes to come up with each
// element. What the loop's body does with the element does not count.
func timedSeq[T any](w *stopwatch, seq iter.Seq[T]) iter.Seq[T] {
	return func(yield func(T) bool) {
		start := time.Now()
		for v := range seq {
			w.add(result.Succeeded, time.Since(start))
			if !yield(v) {
				return
			}
			start = time.Now()
		}
	}
}
