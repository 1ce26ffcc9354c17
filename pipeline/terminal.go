package pipeline

import (
	"context"
	"iter"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Run runs the flow for its effects and throws its values away. It returns when
// every goroutine of the run has ended: nil, or the first failure as a
// [*StageError], or, if ctx ended before the flow was through, ctx's cause.
// After a failure nothing new is started and the context of the calls in flight
// ends; they are waited for. A nil ctx panics, here and in the other terminals.
func (f Flow[T]) Run(ctx context.Context, opts ...RunOption) error {
	_, err := consume(ctx, f.check("Run"), newRun(ctx, "run", opts), false, func(*segment, *item[T]) bool { return true })
	return err
}

// ForEach calls fn on each value and returns as [Flow.Run] does. fn is a stage of
// kind "foreach": without [Workers] it is called by the caller's goroutine, one
// value at a time. It takes the options of a stage and those of a run.
func (f Flow[T]) ForEach(ctx context.Context, fn func(context.Context, T) error, opts ...Option) error {
	var ofStage []StageOption
	var ofRun []RunOption
	for _, opt := range opts {
		switch opt := opt.(type) {
		case StageOption:
			ofStage = append(ofStage, opt)
		case RunOption:
			ofRun = append(ofRun, opt)
		default:
			panic("pipeline: foreach: nil option")
		}
	}
	up, c := f.check("ForEach"), configure("foreach", ofStage)
	if fn == nil {
		c.refuse("nil function")
	}
	newRun(ctx, "foreach", ofRun) // what is wrong with them is said under this name
	return mapping(up, c, func(ctx context.Context, v T) (struct{}, error) {
		return struct{}{}, fn(ctx, v)
	}).Run(ctx, ofRun...)
}

// Collect returns all values, in the order in which they come, nil if there are none; if
// the flow fails, as in [Flow.Run], no values and the error.
func (f Flow[T]) Collect(ctx context.Context, opts ...RunOption) ([]T, error) {
	var all []T
	_, err := consume(ctx, f.check("Collect"), newRun(ctx, "collect", opts), false, func(_ *segment, it *item[T]) bool {
		all = append(all, it.Value)
		return true
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// All returns a sequence that runs the flow each time it is ranged over. It gives
// each value with a nil error; if the flow fails, as in [Flow.Run], the error
// comes last, with a zero value. A loop that is left early, by break, return or a
// panic, cancels the run and waits until every goroutine of it has ended before it
// is left; that is no error.
func (f Flow[T]) All(ctx context.Context, opts ...RunOption) iter.Seq2[T, error] {
	last := f.check("All")
	newRun(ctx, "all", opts) // what is wrong with them is said here and not in the loop
	return func(yield func(T, error) bool) {
		left := false
		_, err := consume(ctx, last, newRun(ctx, "all", opts), false, func(seg *segment, it *item[T]) bool {
			seg.inBody = true
			left = !yield(it.Value, nil)
			seg.inBody = false
			return !left
		})
		if err != nil && !left {
			var none T
			yield(none, err)
		}
	}
}

// Results returns a sequence that runs the flow each time it is ranged over, and
// gives every item that reaches the end as a Result: a failed one too, with its
// [*StageError], and the run goes on. When ctx ends, what has left the source and
// was not called yet comes as a canceled Result with ctx's cause. A failure of
// the source itself comes last. For leaving the loop early see [Flow.All].
//
// The Timing of a Result: Queued when the item left the source, Run the time
// inside the functions of all stages, Wait all the rest up to the end of the last
// call; for the outputs of a FlatMap Run is what the sequence has taken so far.
// Attempt and Worker are those of the last stage that called its function
// on it; the only worker of a stage without Workers is 0. An item that was canceled or
// refused by a [Limit] has Attempt 0 and Worker -1, also if stages before have called theirs.
func (f Flow[T]) Results(ctx context.Context, opts ...RunOption) iter.Seq[result.Result[T]] {
	last := f.check("Results")
	newRun(ctx, "results", opts) // what is wrong with them is said here and not in the loop
	return func(yield func(result.Result[T]) bool) {
		left := false
		sc, _ := consume(ctx, last, newRun(ctx, "results", opts), true, func(seg *segment, it *item[T]) bool {
			r := it.Result(seg.Clock)
			seg.inBody = true
			left = !yield(r)
			seg.inBody = false
			return !left
		})
		for _, it := range sc.Last() {
			failed := engine.Next[struct{}, T](&it, *new(T))
			failed.Attempt = 1 // else it would count as canceled
			if left || !yield(failed.Result(sc.Clock)) {
				return
			}
		}
	}
}
