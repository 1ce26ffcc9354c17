package pipeline_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

var errStop = errors.New("stop")

// A context that has ended before the run pulls nothing and calls nothing.
func TestCancelBeforeTheStartPullsNothing(t *testing.T) {
	pipelinetest.NoLeak(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	c := make(chan int, 1)
	c <- 1
	never := func(context.Context, int) (int, error) {
		assert.Fail(t, "called")
		return 0, nil
	}
	for _, s := range stages {
		for _, source := range []pipeline.Flow[int]{
			pipeline.From(func(func(int) bool) { assert.Fail(t, "pulled") }),
			pipeline.FromChan(c),
		} {
			f := pipeline.Map(source, never, s.opts...)
			for name, err := range failures(ctx, f) {
				assert.Equal(t, errStop, err, "%s, %s: the cause, as it is", s.name, name)
			}
			for range f.Results(ctx) {
				assert.Fail(t, "a result")
			}
		}
	}
	assert.Len(t, c, 1)
}

// When the context ends in the middle, no function is called any more, the calls
// in flight end with it, and the terminal returns its cause.
func TestCancelInTheMiddle(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			var over, late atomic.Bool
			var g pipelinetest.Gauge
			f := pipeline.Map(pipeline.From(naturals), pipelinetest.Gauged(&g, func(ctx context.Context, v int) (int, error) {
				if over.Load() {
					late.Store(true)
				}
				if v < 100 {
					return v, nil
				}
				return stuck(ctx, v)
			}), s.opts...)
			go func() {
				time.Sleep(time.Minute)
				over.Store(true)
				cancel(errStop)
			}()
			start := time.Now()
			err := f.Run(ctx)
			assert.Equal(t, time.Minute, time.Since(start))
			assert.False(t, late.Load())
			assert.Zero(t, g.Running())
			assert.Equal(t, errStop, err, s.name)
		})
	}
}

func TestADeadlineIsTheCause(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, s := range stages {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			f := pipeline.Map(pipeline.From(naturals), sleepFor(300*time.Millisecond), s.opts...)
			for name, err := range failures(ctx, f) {
				assert.Equal(t, context.DeadlineExceeded, err, "%s, %s", s.name, name)
			}
			cancel()
		}
	})
}

// A flow that is through gives nil although its context has ended right behind.
func TestAFlowThatIsThroughIsNoFailure(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		ctx, cancel := context.WithCancel(t.Context())
		f := pipeline.Map(pipeline.From(func(yield func(int) bool) {
			_ = yield(0) && yield(1)
		}), same, s.opts...)
		got, err := f.Collect(ctx)
		cancel()
		require.NoError(t, err, s.name)
		assert.ElementsMatch(t, []int{0, 1}, got)
	}
	// The source has ended, all has come out, and then the context ends: in the
	// code of the source itself, which is its last moment in the run.
	ctx, cancel := context.WithCancel(t.Context())
	got, err := pipeline.From(func(yield func(int) bool) {
		_ = yield(0) && yield(1)
		cancel()
	}).Collect(ctx)
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1}, got)
}

// A function that cancels the run is the last one to be called.
func TestAFunctionThatCancelsIsTheLastToBeCalled(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		if s.workers > 1 {
			continue // others may be in flight
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		var calls, behind int
		f := pipeline.Map(pipeline.From(naturals), func(_ context.Context, v int) (int, error) {
			if calls++; v == 50 {
				cancel(errStop)
			}
			return v, nil
		}, s.opts...)
		err := f.ForEach(ctx, func(context.Context, int) error {
			behind++
			return nil
		})
		assert.Equal(t, errStop, err, s.name)
		assert.Equal(t, 51, calls, s.name)
		assert.LessOrEqual(t, behind, 50, s.name)
	}
}

func TestAForEachThatCancelsIsTheLastToBeCalled(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		ctx, cancel := context.WithCancelCause(t.Context())
		calls := 0
		err := pipeline.Map(pipeline.From(naturals), same, s.opts...).ForEach(ctx, func(context.Context, int) error {
			if calls++; calls == 50 {
				cancel(errStop)
			}
			return nil
		})
		assert.Equal(t, errStop, err, s.name)
		assert.Equal(t, 50, calls, s.name)
	}
}

// The context that functions get carries the values of the terminal's and ends
// with the run.
func TestFunctionsGetTheTerminalsContext(t *testing.T) {
	pipelinetest.NoLeak(t)
	type key struct{}
	for _, s := range stages {
		var kept atomic.Value
		f := pipeline.Map(pipeline.From(upTo(3)), func(ctx context.Context, v int) (int, error) {
			kept.Store(&ctx)
			return v, ctx.Err()
		}, s.opts...)
		f = pipeline.FlatMap(f, func(ctx context.Context, v int) (iter.Seq[int], error) {
			assert.Equal(t, "value", ctx.Value(key{}))
			return evens(ctx, v)
		}, s.opts...)
		require.NoError(t, f.Run(context.WithValue(t.Context(), key{}, "value")))
		ctx, _ := kept.Load().(*context.Context)
		assert.Error(t, (*ctx).Err(), "nothing of a run is left")
	}
}

// A source that blocks cannot be interrupted and is waited for; one from a channel
// can.
func TestBlockedSources(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err := pipeline.Map(pipeline.From(func(yield func(int) bool) {
				yield(1)
				time.Sleep(time.Hour)
				assert.False(t, yield(2))
			}), same, s.opts...).Run(ctx)
			assert.Equal(t, context.DeadlineExceeded, err, s.name)
			assert.Equal(t, time.Hour, time.Since(start))
		})
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err := pipeline.Map(pipeline.FromChan(make(chan int)), same, s.opts...).Run(ctx)
			assert.Equal(t, context.DeadlineExceeded, err, s.name)
			assert.Equal(t, time.Second, time.Since(start))
		})
	}
}
