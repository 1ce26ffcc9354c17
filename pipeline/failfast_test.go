package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// A failure is a *StageError that names stage and input, and through which the
// error of the function is seen.
func TestAFailureNamesStageAndInput(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Map(pipeline.From(upTo(40)), failAt(17), append(s.opts, pipeline.Named("load"))...)
		for name, err := range failures(t.Context(), f) {
			require.ErrorIs(t, err, errBoom, "%s, %s", s.name, name)
			assert.Equal(t, &pipeline.StageError{Stage: "load", Index: 17, Input: 17, Attempts: 1, Err: errBoom}, err, "%s, %s", s.name, name)
			assert.EqualError(t, err, "pipeline: stage load: input 17: boom")
		}
	}
}

// failures runs f with each terminal that is fail-fast.
func failures[T any](ctx context.Context, f pipeline.Flow[T]) map[string]error {
	errs := map[string]error{
		"Run":     f.Run(ctx),
		"ForEach": f.ForEach(ctx, func(context.Context, T) error { return nil }),
	}
	_, errs["Collect"] = f.Collect(ctx)
	for _, err := range f.All(ctx) {
		if err != nil {
			errs["All"] = err
		}
	}
	return errs
}

func TestStageErrorIsSeenThrough(t *testing.T) {
	err := pipeline.Map(pipeline.FromSlice([]int{1}), func(context.Context, int) (int, error) {
		return 0, fmt.Errorf("open: %w", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist})
	}).Run(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	var path *fs.PathError
	require.ErrorAs(t, err, &path)
	assert.Equal(t, "x", path.Path)
	var stage *pipeline.StageError
	require.ErrorAs(t, err, &stage)
	assert.Equal(t, "map", stage.Stage)
}

// The kind of a stage is its default name.
func TestKindsAreDefaultNames(t *testing.T) {
	pipelinetest.NoLeak(t)
	ctx := t.Context()
	f := pipeline.FromSlice([]int{1})
	explode := func(int) { panic("x") }
	for _, s := range stages {
		for kind, run := range map[string]func() error{
			"map":     func() error { return pipeline.Map(f, failAt(1), s.opts...).Run(ctx) },
			"flatmap": func() error { return pipeline.FlatMap(f, noSequence, s.opts...).Run(ctx) },
			"filter":  func() error { return f.Filter(func(int) bool { panic("x") }, s.opts...).Run(ctx) },
			"tap":     func() error { return f.Tap(explode, s.opts...).Run(ctx) },
			"foreach": func() error {
				return f.ForEach(ctx, func(context.Context, int) error { return errBoom }, options(s.opts)...)
			},
			"from": func() error {
				return pipeline.Map(pipeline.From(func(func(int) bool) { panic("x") }), same, s.opts...).Run(ctx)
			},
		} {
			var err *pipeline.StageError
			require.ErrorAs(t, run(), &err, "%s, %s", kind, s.name)
			assert.Equal(t, kind, err.Stage, s.name)
		}
	}
}

// A failure carries the input of the failed call, whatever the kind of the stage.
func TestAFailureCarriesItsInput(t *testing.T) {
	pipelinetest.NoLeak(t)
	ctx := t.Context()
	f := pipeline.FromSlice([]string{"a"})
	boom := func(context.Context, string, string) (string, error) { return "", errBoom }
	key := func(string) string { panic("x") }
	branch := func(f pipeline.Flow[string]) pipeline.Flow[string] { return f }
	failing := func(context.Context, string) (string, error) { return "", errBoom }
	p := pool.New(failing, pool.Retry(atOnce(3)))
	defer p.Close()
	for kind, run := range map[string]func() error{
		"filter":    func() error { return f.Filter(func(string) bool { panic("x") }).Run(ctx) },
		"tap":       func() error { return f.Tap(func(string) { panic("x") }, pipeline.Workers(1)).Run(ctx) },
		"scan":      func() error { return pipeline.Scan(f, "", boom).Run(ctx) },
		"reduce":    func() error { return pipeline.Reduce(f, "", boom).Run(ctx) },
		"groupby":   func() error { return pipeline.GroupBy(f, 1, key, boom).Run(ctx) },
		"distinct":  func() error { return pipeline.Distinct(f, 1, key).Run(ctx) },
		"throttle":  func() error { return f.Throttle(refusing{}).Run(ctx) },
		"route":     func() error { return pipeline.Route(f, func(string) int { return 1 }, branch).Run(ctx) },
		"partition": func() error { return pipeline.Partition(f, 1, key, branch).Run(ctx) },
		"through":   func() error { return pipeline.Through(f, p).Run(ctx) },
		"mergeordered": func() error {
			return pipeline.MergeOrdered(func(string, string) bool { panic("x") }, f, f).Run(ctx)
		},
	} {
		var err *pipeline.StageError
		require.ErrorAs(t, run(), &err, kind)
		assert.Equal(t, kind, err.Stage)
		assert.Equal(t, "a", err.Input, kind)
		switch kind {
		case "throttle":
			assert.Zero(t, err.Attempts)
		case "through":
			assert.Equal(t, 3, err.Attempts)
		default:
			assert.Equal(t, 1, err.Attempts, kind)
		}
	}
}

func noSequence(context.Context, int) (iter.Seq[int], error) { return nil, errBoom }

// What comes from Collect after a failure is no values, and from All the error
// last, with a zero value.
func TestFailuresEndCollectAndAll(t *testing.T) {
	f := pipeline.Map(pipeline.From(upTo(10)), failAt(3))
	got, err := f.Collect(t.Context())
	require.ErrorIs(t, err, errBoom)
	assert.Nil(t, got)

	var values []int
	var errs []error
	for v, err := range f.All(t.Context()) {
		values, errs = append(values, v), append(errs, err)
	}
	assert.Equal(t, []int{0, 1, 2, 0}, values)
	require.ErrorIs(t, errs[3], errBoom)
	assert.Equal(t, []error{nil, nil, nil}, errs[:3])
}

// The failure that is returned is the first by time, not by index, and what fails
// as its consequence is not it.
func TestTheFirstFailureByTimeIsReturned(t *testing.T) {
	for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Ordered()}} {
		testkit.Bubble(t, func(t *testing.T) {
			var canceled atomic.Int64
			f := pipeline.Map(pipeline.From(upTo(8)), func(ctx context.Context, v int) (int, error) {
				select {
				case <-time.After(time.Duration(10-v) * time.Second):
					return 0, fmt.Errorf("%d: %w", v, errBoom)
				case <-ctx.Done():
					canceled.Add(1)
					return 0, ctx.Err()
				}
			}, append(opts, pipeline.Workers(8))...)
			start := time.Now()
			err := f.Run(t.Context())
			assert.Equal(t, &pipeline.StageError{Stage: "map", Index: 7, Input: 7, Attempts: 1, Err: fmt.Errorf("7: %w", errBoom)}, err)
			assert.EqualValues(t, 7, canceled.Load(), "the contexts of the calls in flight end")
			assert.Equal(t, 3*time.Second, time.Since(start))
		})
	}
}

// The context of the calls in flight ends with the failure as its cause.
func TestCallsInFlightSeeTheFailureAsCause(t *testing.T) {
	pipelinetest.NoLeak(t)
	var cause atomic.Value
	ready := make(chan struct{})
	f := pipeline.Map(pipeline.From(upTo(2)), func(ctx context.Context, v int) (int, error) {
		if v == 0 {
			<-ready
			return 0, errBoom
		}
		close(ready)
		<-ctx.Done()
		cause.Store(context.Cause(ctx))
		return 0, ctx.Err()
	}, pipeline.Workers(2))
	require.ErrorIs(t, f.Run(t.Context()), errBoom)
	err, _ := cause.Load().(error)
	assert.ErrorIs(t, err, errBoom)
}

// After a failure nothing new is started, in no stage, and what is in flight is
// waited for, whether it heeds its context or not.
func TestNothingIsStartedAfterAFailure(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		// What starts at the very instant of the failure may have been first.
		start, never := time.Now(), time.Duration(1<<62)
		var failed, running atomic.Int64
		var late atomic.Bool
		failed.Store(int64(never))
		note := func() {
			if time.Since(start) > time.Duration(failed.Load()) {
				late.Store(true)
			}
		}
		work := func(_ context.Context, v int) (int, error) {
			note()
			running.Add(1)
			defer running.Add(-1)
			time.Sleep(time.Duration(1+v%5) * time.Second) // deaf to its context
			return v, nil
		}
		f := pipeline.Map(pipeline.From(naturals), work, pipeline.Workers(4))
		f = pipeline.Map(f, func(_ context.Context, v int) (int, error) {
			note()
			if v == 21 {
				failed.Store(int64(time.Since(start)))
				return 0, errBoom
			}
			return v, nil
		}, pipeline.Workers(2))
		f = pipeline.Map(f, work, pipeline.Workers(4)).Tap(func(int) { note() })
		require.ErrorIs(t, f.Run(t.Context()), errBoom)
		assert.False(t, late.Load())
		assert.Zero(t, running.Load(), "Run has waited for the calls in flight")
	})
}

// A panic fails the run as a *result.PanicError with value and stack.
func TestAPanicIsAFailure(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		for _, value := range []any{"text", errBoom, 42, nil} {
			f := pipeline.Map(pipeline.From(upTo(10)), func(_ context.Context, v int) (int, error) {
				if v == 4 {
					panic(value)
				}
				return v, nil
			}, s.opts...)
			for name, err := range failures(t.Context(), f) {
				var stage *pipeline.StageError
				require.ErrorAs(t, err, &stage, name)
				assert.Equal(t, 4, stage.Index)
				var p *result.PanicError
				require.ErrorAs(t, err, &p, name)
				assert.Contains(t, string(p.Stack), "TestAPanicIsAFailure", "the stack shows where it was")
				switch value {
				case nil:
					assert.IsType(t, new(runtime.PanicNilError), p.Value)
				case errBoom:
					require.ErrorIs(t, err, errBoom, "a panic with an error is seen through")
				default:
					assert.Equal(t, value, p.Value)
				}
			}
		}
	}
}

// runtime.Goexit in a worker, or in a stage that is fused with the source of one,
// fails the run.
func TestGoexitIsAFailure(t *testing.T) {
	pipelinetest.NoLeak(t)
	leave := func(_ context.Context, v int) (int, error) {
		if v == 4 {
			runtime.Goexit()
		}
		return v, nil
	}
	for _, s := range stages[1:] {
		f := pipeline.Map(pipeline.From(upTo(10)), leave, s.opts...)
		for name, err := range failures(t.Context(), f) {
			require.ErrorIs(t, err, pipeline.ErrGoexit, "%s, %s", s.name, name)
			var stage *pipeline.StageError
			require.ErrorAs(t, err, &stage)
			assert.Equal(t, 4, stage.Index)
		}
		require.ErrorIs(t, pipeline.Map(pipeline.Map(pipeline.From(upTo(10)), leave), same, s.opts...).Run(t.Context()),
			pipeline.ErrGoexit, "in front of %s", s.name)
		f = pipeline.Map(pipeline.Map(pipeline.From(upTo(10)), same, s.opts...), leave)
		require.ErrorIs(t, pipeline.Map(f, same, s.opts...).Run(t.Context()),
			pipeline.ErrGoexit, "between two of %s", s.name)
	}
}

// In a stage that is fused with the terminal runtime.Goexit ends the caller's
// goroutine, as in any loop, and still nothing of the run is left.
func TestGoexitOnTheCallersGoroutineEndsIt(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			returned, ended := false, make(chan struct{})
			f := pipeline.Map(pipeline.From(naturals), same, s.opts...)
			go func() {
				defer close(ended)
				_ = f.Tap(func(v int) {
					if v == 100 {
						runtime.Goexit()
					}
				}).Run(t.Context())
				returned = true
			}()
			<-ended
			assert.False(t, returned, s.name)
		})
	}
}

// A failed source is a failed stage "from"; its index is the place that came next.
func TestASourceThatPanics(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		for _, at := range []int{0, 1, 300} {
			f := pipeline.Map(pipeline.From(func(yield func(int) bool) {
				for i := range at {
					if !yield(i) {
						return
					}
				}
				panic(errBoom)
			}), same, s.opts...)
			for name, err := range failures(t.Context(), f) {
				var stage *pipeline.StageError
				require.ErrorAs(t, err, &stage, "%s, %s", s.name, name)
				require.ErrorIs(t, err, errBoom)
				assert.Equal(t, "from", stage.Stage)
				assert.Equal(t, at, stage.Index)
			}
		}
	}
}

// An item that is in front of a failed one is not lost in an ordered stage: All
// gives nothing that is out of order, and the error last.
func TestAllGivesAPrefixInOrder(t *testing.T) {
	pipelinetest.NoLeak(t)
	for range 300 { // a drop must meet a later item that is through already
		var got []int
		var errs []error
		f := pipeline.Map(pipeline.From(naturals), failAt(1000), pipeline.Workers(8), pipeline.Ordered())
		for v, err := range f.All(t.Context()) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			require.Empty(t, errs, "the error comes last")
			got = append(got, v)
		}
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], errBoom)
		require.LessOrEqual(t, len(got), 1000)
		require.Equal(t, slices.AppendSeq([]int(nil), upTo(len(got))), got)
	}
}

// A nested run has errors of its own; the outer one wraps them.
func TestErrorsOfANestedRunAreWrapped(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.Map(pipeline.From(upTo(4)), func(ctx context.Context, v int) (int, error) {
		return v, pipeline.Map(pipeline.From(upTo(v)), failAt(2), pipeline.Named("inner"), pipeline.Workers(2)).Run(ctx)
	}, pipeline.Named("outer"), pipeline.Workers(2))
	err := f.Run(t.Context())
	var outer, inner *pipeline.StageError
	require.ErrorAs(t, err, &outer)
	require.ErrorAs(t, errors.Unwrap(err), &inner)
	assert.Equal(t, "outer 3", fmt.Sprint(outer.Stage, " ", outer.Index))
	assert.Equal(t, "inner 2", fmt.Sprint(inner.Stage, " ", inner.Index))
}
