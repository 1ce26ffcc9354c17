package pipeline

import (
	"context"
	"iter"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Run runs the flow for its effects and discards its values. It returns when every
// goroutine of the run has ended: nil, or the first failure as a [*StageError], or, if ctx
// ended before the flow was complete, ctx's cause. After a failure nothing new is started,
// the contexts of the calls in flight end, and Run waits for these calls. A nil ctx panics,
// here and in the other terminals.
func (f Flow[T]) Run(ctx context.Context, opts ...RunOption) error {
	_, err := consume(ctx, f.check("Run"), newRun(ctx, "run", opts), false, func(*segment, *item[T]) bool { return true })
	return err
}

// ForEach calls fn on each value and returns as [Flow.Run] does. fn is a stage of kind
// "foreach": without [Workers] it is called on the caller's goroutine, one value at a time.
// ForEach takes the options of a stage and those of a run.
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
	newRun(ctx, "foreach", ofRun) // so that a panic about them has this name
	return mapping(up, c, func(ctx context.Context, v T) (struct{}, error) {
		return struct{}{}, fn(ctx, v)
	}).Run(ctx, ofRun...)
}

// Collect returns all values in the order in which they come, or nil if there are none. If
// the flow fails, as in [Flow.Run], it returns no values and the error.
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

// All returns a sequence that runs the flow each time it is ranged over. It yields each
// value with a nil error; if the flow fails, as in [Flow.Run], the error comes last, with a
// zero value. Leaving the loop early, by break, return or a panic, cancels the run and
// waits until all of its goroutines have ended; this is not an error.
func (f Flow[T]) All(ctx context.Context, opts ...RunOption) iter.Seq2[T, error] {
	last := f.check("All")
	newRun(ctx, "all", opts) // panics about them come here and not in the loop
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

// Results returns a sequence that runs the flow each time it is ranged over and yields
// every item that reaches the end as a Result. A failed item comes with its [*StageError],
// and the run goes on. When ctx ends, items that have left the source and were not called
// yet come as canceled Results with ctx's cause alone, not a StageError. A failure of the source itself comes last.
// Leaving the loop early works as in [Flow.All].
//
// In the Timing of a Result, Queued is when the item left the source, Run is the time
// inside the functions of all stages, and Wait is all the rest up to the end of the last
// call. For the outputs of a FlatMap, Run is the time that the sequence has taken so far.
// Attempt and Worker are those of the last stage that called its function on the item; the
// only worker of a stage without Workers is 0. An item that was canceled or refused by a
// [Limit] has Attempt 0 and Worker -1, even if earlier stages have called their functions,
// and so has an item that no stage has called a function on. A failure of a source has
// Worker -1, too.
func (f Flow[T]) Results(ctx context.Context, opts ...RunOption) iter.Seq[result.Result[T]] {
	last := f.check("Results")
	newRun(ctx, "results", opts) // panics about them come here and not in the loop
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
