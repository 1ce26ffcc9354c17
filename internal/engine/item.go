package engine

import (
	"time"

	"github.com/millstream-go/millstream/result"
)

// Item is one input on its way through stages, with what its Result will report. Times
// are readings of the run's clock.
type Item[T any] struct {
	Value   T
	Err     error // set: the item failed and is only passed along
	Index   int
	Queued  int64 // when it was accepted
	Ended   int64 // when the last call on it ended; 0: none yet
	Run     int64 // nanoseconds inside calls
	Attempt int32 // calls that the last stage made for it
	Worker  int32 // the one that made the last call; -1: none
}

// Next carries an item on to a stage's output: the same input with another value.
func Next[In, Out any](it *Item[In], v Out) Item[Out] {
	return Item[Out]{
		Value: v, Err: it.Err, Index: it.Index,
		Queued: it.Queued, Ended: it.Ended, Run: it.Run,
		Attempt: it.Attempt, Worker: it.Worker,
	}
}

// Result returns the result of the item.
func (it *Item[T]) Result(c Clock) result.Result[T] {
	return result.Result[T]{
		Value: it.Value, Err: it.Err, Index: it.Index,
		Attempt: int(it.Attempt), Worker: int(it.Worker),
		Timing: result.Timing{
			Queued: c.Time(it.Queued),
			Wait:   time.Duration(max(it.Ended-it.Queued-it.Run, 0)),
			Run:    time.Duration(it.Run),
		},
	}
}

// Canceled marks the item as one whose call never started, because of cause.
func (it *Item[T]) Canceled(cause error, now int64) {
	it.Err, it.Attempt, it.Worker, it.Ended = cause, 0, -1, now
}
