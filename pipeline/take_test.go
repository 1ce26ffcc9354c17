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

func TestTakeGivesExactlyNAndStopsTheSource(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		for _, n := range []int{1, 2, 63, 64, 65, 1000} {
			f := pipeline.Map(pipeline.From(naturals), same, s.opts...).Take(n)
			got, err := f.Collect(t.Context())
			require.NoError(t, err)
			require.Len(t, got, n, s.name)
			if s.ordered {
				require.Equal(t, numbers(n), got, s.name)
			}
			got, err = pipeline.Map(f, same, s.opts...).Collect(t.Context())
			require.NoError(t, err)
			require.Len(t, got, n, "%s behind as well", s.name)
		}
	}
}

// A Take that is fused with its source asks for nothing behind the n-th value.
func TestTakeAsksForNothingBehindTheLast(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		var pulled atomic.Int64
		f := pipeline.From(counted(naturals, &pulled)).Take(5)
		got, err := pipeline.Map(f, same, s.opts...).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 5)
		assert.EqualValues(t, 5, pulled.Load(), s.name)
	}
}

func TestTakeOfNothingRunsNothing(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.From(func(func(int) bool) { assert.Fail(t, "pulled") })
		got, err := pipeline.Map(pipeline.Map(f, same, s.opts...).Take(0), same, s.opts...).Collect(t.Context())
		require.NoError(t, err)
		assert.Empty(t, got)
	}
}

func TestTakeOfMoreThanThereIs(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		got, err := pipeline.Map(pipeline.From(upTo(10)), same, s.opts...).Take(11).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 10, s.name)
	}
}

func TestTwoTakes(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		for _, n := range [][2]int{{3, 8}, {8, 3}, {5, 5}, {0, 1}, {1, 0}} {
			f := pipeline.Map(pipeline.From(naturals), same, s.opts...).Take(n[0])
			got, err := pipeline.Map(f, same, s.opts...).Take(n[1]).Collect(t.Context())
			require.NoError(t, err)
			assert.Len(t, got, min(n[0], n[1]), s.name)
		}
	}
}

// A Take behind one that has had enough ends that one's source too.
func TestATakeWithinATake(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(naturals), stuckAt(50), pipeline.Workers(4)).Take(1 << 20)
		f = pipeline.Map(f, same, pipeline.Workers(2)).Take(5)
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 5)
	})
}

// The calls in flight before a Take are canceled and waited for; those behind it
// go on.
func TestTakeCancelsWhatIsBeforeItOnly(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var before, behind pipelinetest.Gauge
		var cause atomic.Value
		f := pipeline.Map(pipeline.From(naturals), pipelinetest.Gauged(&before, func(ctx context.Context, v int) (int, error) {
			if v < 3 {
				return v, nil
			}
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			time.Sleep(time.Second) // to clean up
			return 0, ctx.Err()
		}), pipeline.Workers(8)).Take(3)
		f = pipeline.Map(f, pipelinetest.Gauged(&behind, func(ctx context.Context, v int) (int, error) {
			time.Sleep(time.Minute)
			return v, ctx.Err()
		}), pipeline.Workers(1))
		start := time.Now()
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.ElementsMatch(t, []int{0, 1, 2}, got)
		assert.Equal(t, 3*time.Minute, time.Since(start))
		assert.Zero(t, before.Running())
		assert.NotNil(t, cause.Load())
	})
}

// What fails before a Take when it has had enough is forgotten, whatever it is.
func TestFailuresBehindTheLastAreForgotten(t *testing.T) {
	for name, end := range map[string]func(context.Context) error{
		"error":  func(context.Context) error { return errBoom },
		"panic":  func(context.Context) error { panic("x") },
		"cancel": func(ctx context.Context) error { return ctx.Err() },
	} {
		for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Ordered()}} {
			testkit.Bubble(t, func(t *testing.T) {
				f := pipeline.Map(pipeline.From(naturals), func(ctx context.Context, v int) (int, error) {
					if v < 3 {
						return v, nil
					}
					<-ctx.Done()
					return 0, end(ctx)
				}, append(opts, pipeline.Workers(8))...).Take(3)
				got, err := f.Collect(t.Context())
				require.NoError(t, err, name)
				assert.ElementsMatch(t, []int{0, 1, 2}, got, name)
				for r := range pipeline.Map(f, same, pipeline.Workers(2)).Results(t.Context()) {
					assert.NoError(t, r.Err, name)
				}
			})
		}
	}
}

// A failure before the limit is one like any other; in Results it counts.
func TestAFailureBeforeTheLimitCounts(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Map(pipeline.From(upTo(100)), failAt(0), s.opts...).Take(100)
		require.ErrorIs(t, f.Run(t.Context()), errBoom, s.name)
		assert.Len(t, outcomes(f.Results(t.Context())), 100, s.name)
		assert.Len(t, outcomes(pipeline.Map(f, same, s.opts...).Take(40).Results(t.Context())), 40, s.name)
	}
}

// A Take ends an endless sequence of a FlatMap.
func TestTakeOfAnEndlessFlatMap(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		var ended atomic.Int64
		f := pipeline.FlatMap(pipeline.From(naturals), func(context.Context, int) (iter.Seq[int], error) {
			return func(yield func(int) bool) {
				naturals(yield)
				ended.Add(1)
			}, nil
		}, s.opts...)
		got, err := f.Take(500).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 500)
		assert.Positive(t, ended.Load(), s.name)
	}
}

// A Take behind an ordered stage gives the first by index.
func TestTakeBehindAnOrderedStage(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(naturals), func(ctx context.Context, v int) (int, error) {
			time.Sleep(time.Duration(20-v%20) * time.Second)
			return v, nil
		}, pipeline.Workers(8), pipeline.Ordered()).Take(30)
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Equal(t, numbers(30), got)
	})
}

// A cancel from outside reaches what is before a Take.
func TestACancelReachesThroughATake(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, s := range stages {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
			f := pipeline.Map(pipeline.From(naturals), func(ctx context.Context, v int) (int, error) {
				if v == 3 {
					<-ctx.Done()
					if !errors.Is(context.Cause(ctx), errStop) {
						return 0, errBoom
					}
				}
				return v, nil
			}, s.opts...).Take(1000)
			assert.Equal(t, errStop, pipeline.Map(f, sleepFor(10*time.Millisecond), s.opts...).Run(ctx), s.name)
			cancel()
		}
	})
}
