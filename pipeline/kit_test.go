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
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pipeline"
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
	return func(ctx context.Context, v int) (int, error) {
		if v == bad {
			return stuck(ctx, v)
		}
		return v, nil
	}
}

// failAt fails for one value.
func failAt(bad int) func(context.Context, int) (int, error) {
	return func(_ context.Context, v int) (int, error) {
		if v == bad {
			return 0, errBoom
		}
		return v, nil
	}
}

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

// gauge counts calls: how many are under way and how many were at most.
type gauge struct{ now, peak, total atomic.Int64 }

func (g *gauge) enter() {
	g.total.Add(1)
	n := g.now.Add(1)
	for {
		peak := g.peak.Load()
		if n <= peak || g.peak.CompareAndSwap(peak, n) {
			return
		}
	}
}

func (g *gauge) leave() { g.now.Add(-1) }

// gauged counts the calls of fn.
func gauged[T, U any](g *gauge, fn func(context.Context, T) (U, error)) func(context.Context, T) (U, error) {
	return func(ctx context.Context, v T) (U, error) {
		g.enter()
		defer g.leave()
		return fn(ctx, v)
	}
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

// noLeak fails the test if goroutines that run this package are left at its end.
// Tests in a synctest bubble do not need it: the bubble waits for its goroutines.
func noLeak(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if left := ours(); left != "" {
			assert.Fail(t, "goroutines are left", left)
		}
	})
}

// ours returns the stacks of other goroutines that are in the code under test.
// A goroutine whose deferred wg.Done has run may still be seen for an instant,
// hence the second looks.
func ours() string {
	var left string
	for range 100 {
		buf := make([]byte, 1<<20)
		all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		left = ""
		for _, stack := range all[1:] {
			if strings.Contains(stack, "millstream/pipeline.") || strings.Contains(stack, "internal/engine.") {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
		runtime.Gosched()
	}
	return left
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
