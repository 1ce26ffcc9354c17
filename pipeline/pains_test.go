package pipeline_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/result"
)

// These are the mishaps that issue trackers of other libraries tell of, as far as
// they can befall a flow. Each is named after its issue.

// There a submit that waited for room could not be canceled. Here the source, which
// waits for room in the same way, is let go when the context ends.
func TestPond20WaitingForRoomCanBeCanceled(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
		defer cancel()
		start := time.Now()
		err := pipeline.Map(pipeline.From(naturals), stuck, pipeline.Workers(2), pipeline.Buffer(1)).Run(ctx)
		assert.Equal(t, errStop, err)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// There functions were still called after an error had canceled the group.
func TestGo54045NothingStartsAfterAnError(t *testing.T) {
	for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Workers(1)}} {
		calls := 0
		err := pipeline.Map(pipeline.From(naturals), func(context.Context, int) (int, error) {
			calls++
			return 0, errBoom
		}, opts...).Run(t.Context())
		require.ErrorIs(t, err, errBoom)
		assert.Equal(t, 1, calls)
	}
}

// There a wait never came back when the context was canceled before the tasks
// had been processed.
func TestPond138ABacklogDoesNotHangACanceledRun(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, s := range stages {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
			results := 0
			f := pipeline.Map(pipeline.From(upTo(1000)), sleepFor(time.Minute), s.opts...)
			for r := range f.Results(ctx) {
				if r.Err != nil {
					assert.Equal(t, errStop, r.Err, s.name)
				}
				results++
			}
			assert.Positive(t, results)
			assert.Equal(t, errStop, f.Run(ctx))
			cancel()
		}
	})
}

// There the results behind the last error were cut off.
func TestConc156ResultsBehindAnErrorAreKept(t *testing.T) {
	for _, s := range stages {
		f := pipeline.Map(pipeline.FromSlice([]int{1, 2, 3}), failAt(2), s.opts...)
		ok, failed := result.Partition(f.Results(t.Context()))
		assert.Equal(t, []int{1, 3}, ok, s.name)
		require.Len(t, failed, 1)
		assert.Equal(t, 1, failed[0].Index, s.name)
	}
}

// There only the first of several errors could be had.
func TestGo23595AllErrorsCanBeHad(t *testing.T) {
	for _, s := range stages {
		f := pipeline.Map(pipeline.From(upTo(100)), func(_ context.Context, v int) (int, error) {
			if v%2 == 0 {
				return 0, errBoom
			}
			return v, nil
		}, s.opts...)
		_, failed := result.Partition(f.Results(t.Context()))
		assert.Len(t, failed, 50, s.name)
	}
}

// There a panic in a group took the program down; to raise it again in Wait was
// reverted, for a task that does not end puts it off for ever. Here it ends the run
// at once, and is an error.
func TestGo53757APanicIsSeenAtOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		err := pipeline.Map(pipeline.From(upTo(2)), func(ctx context.Context, v int) (int, error) {
			if v == 0 {
				return stuck(ctx, v)
			}
			panic("seen")
		}, pipeline.Workers(2)).Run(t.Context())
		var p *result.PanicError
		require.ErrorAs(t, err, &p)
		assert.Equal(t, "seen", p.Value)
		assert.Zero(t, time.Since(start))
	})
}

// There the pool waited for ever for a task that had called runtime.Goexit, as a
// failed assertion does.
func TestPond135GoexitDoesNotHang(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages[1:] {
		n := 0
		for r := range pipeline.Map(pipeline.From(upTo(50)), func(context.Context, int) (int, error) {
			runtime.Goexit()
			return 0, nil
		}, s.opts...).Results(t.Context()) {
			assert.ErrorIs(t, r.Err, pipeline.ErrGoexit)
			n++
		}
		assert.Equal(t, 50, n, s.name)
	}
}

// There the queue took whatever came, and memory grew with the input.
func TestWorkerpool71AQueueIsBounded(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var pulled atomic.Int64
		done := make(chan error)
		go func() {
			done <- pipeline.Map(pipeline.From(counted(naturals, &pulled)), stuck, pipeline.Workers(1)).Run(ctx)
		}()
		synctest.Wait()
		assert.LessOrEqual(t, pulled.Load(), int64(256+2*chunk))
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
}

// There more workers ran than the limit allows, since it was looked at and counted in
// two steps.
func TestAnts26NeverMoreThanTheLimit(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages[1:] {
		var g pipelinetest.Gauge
		for range pipeline.Map(pipeline.From(upTo(3000)), pipelinetest.Gauged(&g, mishap), s.opts...).Results(t.Context()) {
		}
		assert.LessOrEqual(t, g.Peak(), s.workers, s.name)
		assert.Equal(t, 3000, g.Total())
	}
}

// There callers that waited for a worker were not woken when all workers had
// panicked.
func TestAnts146PanicsLoseNoWakeUp(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) { // fails if all goroutines are blocked
		for _, s := range stages {
			n := 0
			for range pipeline.Map(pipeline.From(upTo(200)), func(_ context.Context, v int) (int, error) {
				time.Sleep(time.Second)
				panic(v)
			}, s.opts...).Results(t.Context()) {
				n++
			}
			assert.Equal(t, 200, n, s.name)
		}
	})
}

// There a task that submitted to its own pool waited for itself. Every run has
// workers of its own, so a function may run the very flow that it is part of.
func TestAnts197ANestedRunDoesNotWaitForItself(t *testing.T) {
	pipelinetest.NoLeak(t)
	var f pipeline.Flow[int]
	depth := 0
	f = pipeline.Map(pipeline.From(upTo(1)), func(ctx context.Context, v int) (int, error) {
		if depth++; depth < 5 {
			return v, f.Run(ctx)
		}
		return v, nil
	}, pipeline.Workers(1))
	require.NoError(t, f.Run(t.Context()))
	assert.Equal(t, 5, depth)
}

// There the time in the queue and the time in the task could not be set, nor told,
// apart.
func TestPond125WaitAndRunAreToldApart(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(upTo(3)), sleepFor(time.Second), pipeline.Workers(1))
		for r := range f.Results(t.Context()) {
			assert.Equal(t, time.Second, r.Timing.Run)
			assert.Equal(t, time.Duration(r.Index)*time.Second, r.Timing.Wait)
		}
	})
}

// There a sink returned with the first error while calls went on in the background,
// and who stopped reading early left goroutines behind.
func TestRill19EarlyExitLeaksNothing(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) { // fails if a goroutine is left
		var g pipelinetest.Gauge
		failing := pipeline.Map(pipeline.From(naturals), pipelinetest.Gauged(&g, func(_ context.Context, v int) (int, error) {
			if v == 5 {
				return 0, errBoom
			}
			time.Sleep(time.Second)
			return v, nil
		}), pipeline.Workers(8))
		require.ErrorIs(t, failing.Run(t.Context()), errBoom)
		assert.Zero(t, g.Running())

		f := pipeline.Map(pipeline.From(naturals), same, pipeline.Workers(3))
		f = pipeline.Map(f, same, pipeline.Workers(3), pipeline.Ordered())
		for _, err := range f.All(t.Context()) {
			require.NoError(t, err)
			break
		}
		for range f.Results(t.Context()) {
			break
		}
		_, err := f.Take(1).Collect(t.Context())
		require.NoError(t, err)
	})
}
