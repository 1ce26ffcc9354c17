package pipeline_test

import (
	"context"
	"fmt"
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
	"github.com/millstream-go/millstream/result"
)

// mishap fails in one of four ways, by the number.
func mishap(_ context.Context, v int) (int, error) {
	switch v % 10 {
	case 3:
		return -1, errBoom
	case 5:
		panic(errBoom)
	case 7:
		runtime.Goexit()
	}
	return v, nil
}

// Errors, panics and calls of Goexit come as results, each input has exactly one,
// and the run goes on behind each of them.
func TestResultsGivesFailuresAndGoesOn(t *testing.T) {
	pipelinetest.NoLeak(t)
	const n = 1000
	for _, s := range stages[1:] { // in a fused stage Goexit ends the source, or the caller
		for _, behind := range stages {
			f := pipeline.Map(pipeline.From(upTo(n)), mishap, append(s.opts, pipeline.Named("work"))...)
			f = pipeline.Map(f, same, behind.opts...)
			next := 0
			var statuses [result.Canceled + 1]int
			times := make([]int, n)
			for r := range f.Results(t.Context()) {
				if s.ordered && behind.ordered {
					require.Equal(t, next, r.Index, "a failed input keeps its place")
				}
				next++
				times[r.Index]++
				statuses[r.Status()]++
				if r.Err == nil {
					require.Equal(t, r.Index, r.Value)
					continue
				}
				var err *pipeline.StageError
				require.ErrorAs(t, r.Err, &err)
				require.Equal(t, "work", err.Stage, "the stages behind pass it on as it is")
				require.Equal(t, r.Index, err.Index)
				require.Equal(t, 1, r.Attempt)
				require.GreaterOrEqual(t, r.Worker, 0)
				require.Less(t, r.Worker, s.workers)
			}
			name := fmt.Sprint(s.name, " / ", behind.name)
			assert.Equal(t, slices.Repeat([]int{1}, n), times, name)
			assert.Equal(t, 7*n/10, statuses[result.Succeeded], name)
			assert.Equal(t, 2*n/10, statuses[result.Failed], "errors and Goexit: %s", name)
			assert.Equal(t, n/10, statuses[result.Panicked], name)
		}
	}
}

// The same in a stage that is fused with the source, but for Goexit, which ends
// the source there.
func TestResultsOfFusedStages(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.Map(pipeline.From(upTo(6)), mishap)
	assert.Equal(t, []outcome[int]{
		{0, 0, ""},
		{1, 1, ""},
		{2, 2, ""},
		{3, -1, "pipeline: stage map: input 3: boom"},
		{4, 4, ""},
		{5, 0, "pipeline: stage map: input 5: panic: boom"},
	}, outcomes(f.Results(t.Context())))

	f = pipeline.Map(pipeline.Map(pipeline.From(upTo(20)), mishap), same, pipeline.Workers(1))
	got := outcomes(f.Results(t.Context()))
	require.Len(t, got, 8)
	assert.Equal(t, outcome[int]{7, 0, "pipeline: stage map: input 7: function called runtime.Goexit"}, got[7])
}

// A failed input is not shown to the stages behind.
func TestFailedInputsAreOnlyCarriedOn(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Map(pipeline.From(upTo(50)), failAt(20), s.opts...)
		f = f.Filter(func(v int) bool { return assert.NotZero(t, v+1) && v != 21 }, s.opts...)
		var calls atomic.Int64
		f = f.Tap(func(int) { calls.Add(1) }, s.opts...)
		assert.Len(t, outcomes(f.Results(t.Context())), 49, s.name)
		assert.EqualValues(t, 48, calls.Load(), s.name)
	}
}

// When the context ends, every item that has left the source has its result: those
// that were not called yet are canceled with the cause.
func TestResultsAfterACancel(t *testing.T) {
	for _, s := range stages[1:] {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			var pulled atomic.Int64
			calls := make([]atomic.Int64, 4000)
			work := func(ctx context.Context, v int) (int, error) {
				calls[v].Add(1)
				if v >= 200 && v%3 == 0 {
					return stuck(ctx, v)
				}
				time.Sleep(time.Millisecond)
				return v, nil
			}
			f := pipeline.Map(pipeline.From(counted(naturals, &pulled)), work, s.opts...)
			go func() {
				time.Sleep(time.Minute)
				cancel(errStop)
			}()
			seen := map[int]int{}
			for r := range f.Results(ctx) {
				seen[r.Index]++
				called := calls[r.Index].Load() > 0
				switch r.Status() {
				case result.Succeeded:
					require.True(t, called)
				case result.Canceled:
					if !called {
						require.Equal(t, errStop, r.Err)
						require.Equal(t, 0, r.Attempt)
						require.Equal(t, -1, r.Worker)
						require.Zero(t, r.Timing.Run)
						break
					}
					require.ErrorIs(t, r.Err, context.Canceled)
					require.Equal(t, 1, r.Attempt)
				default:
					require.Fail(t, "unexpected", "%v", r)
				}
			}
			// One value may have been on its way out of the source.
			assert.InDelta(t, pulled.Load(), len(seen), 1, s.name)
			for i := range len(seen) {
				require.Equal(t, 1, seen[i], "%s: input %d", s.name, i)
			}
		})
	}
}

// The failure of a source is a result too.
func TestResultsOfAFailedSource(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Map(pipeline.From(func(yield func(int) bool) {
			_ = yield(10) && yield(11)
			panic("dry")
		}), same, s.opts...)
		assert.Equal(t, []outcome[int]{{0, 10, ""}, {1, 11, ""}, {2, 0, "pipeline: stage from: input 2: panic: dry"}},
			byIndex(outcomes(f.Results(t.Context()))), s.name)
	}
}

// A source that calls Goexit has failed as well, on whatever goroutine it runs.
func TestASourceThatCallsGoexit(t *testing.T) {
	pipelinetest.NoLeak(t)
	source := pipeline.From(func(yield func(int) bool) {
		yield(1)
		runtime.Goexit()
	})
	for _, s := range stages[1:] {
		f := pipeline.Map(source, same, s.opts...)
		require.ErrorIs(t, f.Run(t.Context()), pipeline.ErrGoexit)
		got := byIndex(outcomes(f.Results(t.Context())))
		require.Len(t, got, 2)
		assert.Equal(t, "pipeline: stage from: input 1: function called runtime.Goexit", got[1].Err)
	}
}

// A FlatMap that fails in its sequence has given its outputs before; the error
// follows them.
func TestAFlatMapThatFailsInItsSequence(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.FlatMap(pipeline.From(upTo(2)), func(_ context.Context, v int) (iter.Seq[int], error) {
			return func(yield func(int) bool) {
				if yield(10*v) && v == 1 {
					panic("late")
				}
			}, nil
		}, s.opts...)
		assert.Equal(t, []outcome[int]{{0, 0, ""}, {1, 10, ""}, {1, 0, "pipeline: stage flatmap: input 1: panic: late"}},
			byIndex(outcomes(f.Results(t.Context()))), s.name)
	}
}
