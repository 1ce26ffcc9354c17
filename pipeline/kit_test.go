package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/result"
)

// errBoom is the failure that tests inject.
var errBoom = errors.New("boom")

// same is the function of a stage that changes nothing.
func same[T any](_ context.Context, v T) (T, error) { return v, nil }

// naturals is an endless source: 0, 1, 2 and so on.
func naturals(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// upTo returns the numbers below n.
func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// numbers returns the numbers below n as a slice.
func numbers(n int) []int { return slices.AppendSeq(make([]int, 0, n), upTo(n)) }

// counted counts how many values are pulled from seq.
func counted[T any](seq iter.Seq[T], pulled *atomic.Int64) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range seq {
			pulled.Add(1)
			if !yield(v) {
				return
			}
		}
	}
}

// sleepFor is the function of a stage in which every call takes d.
func sleepFor(d time.Duration) func(context.Context, int) (int, error) {
	return func(_ context.Context, v int) (int, error) {
		time.Sleep(d)
		return v, nil
	}
}

// stuck is the function of a stage that waits until it is canceled.
func stuck[T any](ctx context.Context, v T) (T, error) {
	<-ctx.Done()
	return v, ctx.Err()
}

// stuckAt is same, but for one value for which it is stuck.
func stuckAt(bad int) func(context.Context, int) (int, error) {
	return pipelinetest.Inject(same[int]).On(is(bad), pipelinetest.Hang()).Call
}

// failAt fails for one value.
func failAt(bad int) func(context.Context, int) (int, error) {
	return pipelinetest.Inject(same[int]).On(is(bad), pipelinetest.Error(errBoom)).Call
}

// is returns the predicate that holds for one value.
func is(n int) func(int) bool { return func(v int) bool { return v == n } }

// stages are the ways in which a stage can be run; what a test says of a stage
// mostly holds for each of them.
var stages = []struct {
	name    string
	workers int // 0: fused
	ordered bool
	opts    []pipeline.StageOption
}{
	{"fused", 0, true, nil},
	{"1 worker", 1, true, []pipeline.StageOption{pipeline.Workers(1)}},
	{"2 workers", 2, false, []pipeline.StageOption{pipeline.Workers(2)}},
	{"8 workers", 8, false, []pipeline.StageOption{pipeline.Workers(8)}},
	{"1 worker ordered", 1, true, []pipeline.StageOption{pipeline.Workers(1), pipeline.Ordered()}},
	{"8 workers ordered", 8, true, []pipeline.StageOption{pipeline.Workers(8), pipeline.Ordered()}},
	{"8 workers ordered(8)", 8, true, []pipeline.StageOption{pipeline.Workers(8), pipeline.Ordered(8)}},
	{"2 workers buffer 1", 2, false, []pipeline.StageOption{pipeline.Workers(2), pipeline.Buffer(1)}},
	{
		"8 workers ordered buffer 1", 8, true,
		[]pipeline.StageOption{pipeline.Workers(8), pipeline.Ordered(), pipeline.Buffer(1)},
	},
}

// goroutine returns the number of the calling goroutine.
func goroutine() string {
	var buf [64]byte
	return strings.Fields(string(buf[:runtime.Stack(buf[:], false)]))[1]
}

// outcome is what tests compare of a Result.
type outcome[T any] struct {
	Index int
	Value T
	Err   string
}

// outcomes reads all results.
func outcomes[T any](seq iter.Seq[result.Result[T]]) []outcome[T] {
	var all []outcome[T]
	for r := range seq {
		o := outcome[T]{Index: r.Index, Value: r.Value}
		if r.Err != nil {
			o.Err = r.Err.Error()
		}
		all = append(all, o)
	}
	return all
}

// byIndex sorts outcomes for a comparison without regard to order.
func byIndex[T any](all []outcome[T]) []outcome[T] {
	slices.SortStableFunc(all, func(a, b outcome[T]) int { return a.Index - b.Index })
	return all
}

// message returns what fn panics with.
func message(fn func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	fn()
	return "no panic"
}

// evens makes the sequence v, v+2.
func evens(_ context.Context, v int) (iter.Seq[int], error) {
	return slices.Values([]int{v, v + 2}), nil
}

// options makes options of a stage those of ForEach.
func options(of []pipeline.StageOption) []pipeline.Option {
	var all []pipeline.Option
	for _, opt := range of {
		all = append(all, opt)
	}
	return all
}
