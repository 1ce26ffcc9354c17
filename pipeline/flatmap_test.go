package pipeline_test

import (
	"context"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// Outputs are passed on as they come: the first one arrives although the second
// is an hour away.
func TestFlatMapPassesOnOutputsAsTheyCome(t *testing.T) {
	for _, s := range stages {
		for _, behind := range stages {
			testkit.Bubble(t, func(t *testing.T) {
				f := pipeline.FlatMap(pipeline.From(upTo(1)), func(context.Context, int) (iter.Seq[int], error) {
					return func(yield func(int) bool) {
						for i := range 3 {
							if !yield(i) {
								return
							}
							time.Sleep(time.Hour)
						}
					}, nil
				}, s.opts...)
				f = pipeline.Map(f, same, behind.opts...)
				start := time.Now()
				for v, err := range f.All(t.Context()) {
					require.NoError(t, err)
					require.Equal(t, time.Duration(v)*time.Hour, time.Since(start), "%s, %s", s.name, behind.name)
				}
			})
		}
	}
}

// In an ordered stage this holds for the input that is first in line.
func TestOrderedFlatMapPassesOnTheHeadAsItComes(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.FlatMap(pipeline.From(upTo(3)), func(_ context.Context, v int) (iter.Seq[int], error) {
			return func(yield func(int) bool) {
				time.Sleep(time.Minute)
				if yield(10 * v) {
					time.Sleep(time.Hour)
					yield(10*v + 1)
				}
			}, nil
		}, pipeline.Workers(3), pipeline.Ordered())
		var values []int
		var times []time.Duration
		start := time.Now()
		for v, err := range f.All(t.Context()) {
			require.NoError(t, err)
			values, times = append(values, v), append(times, time.Since(start))
		}
		assert.Equal(t, []int{0, 1, 10, 11, 20, 21}, values)
		late := time.Hour + time.Minute
		assert.Equal(t, []time.Duration{time.Minute, late, late, late, late, late}, times)
	})
}

// An ordered FlatMap with more outputs an input than any buffer holds, behind a
// first input that is slow, loses nothing, keeps the order and ends.
func TestOrderedFlatMapWithManyOutputs(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const inputs, outputs = 12, 3000
		expand := func(_ context.Context, v int) (iter.Seq[int], error) {
			if v == 0 {
				time.Sleep(time.Minute)
			}
			return func(yield func(int) bool) {
				for i := range outputs {
					if !yield(v*outputs + i) {
						return
					}
				}
			}, nil
		}
		for _, opts := range [][]pipeline.StageOption{
			{pipeline.Ordered()},
			{pipeline.Ordered(4)},
			{pipeline.Ordered(), pipeline.Buffer(1)},
		} {
			f := pipeline.FlatMap(pipeline.From(upTo(inputs)), expand, append(opts, pipeline.Workers(4))...)
			for r := range f.Results(t.Context()) {
				require.NoError(t, r.Err)
				require.Equal(t, r.Value/outputs, r.Index, "all outputs carry the index of their input")
			}
			got, err := pipeline.Map(f, same, pipeline.Workers(2), pipeline.Ordered(2)).Collect(t.Context())
			require.NoError(t, err)
			require.Equal(t, numbers(inputs*outputs), got)
		}
	})
}

// Leaving, failing and cancelling while calls wait for their turn ends them.
func TestOrderedFlatMapThatIsLeftWhileCallsWait(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		endless := func(ctx context.Context, v int) (iter.Seq[int], error) {
			return func(yield func(int) bool) {
				if v == 0 {
					<-ctx.Done()
					return
				}
				naturals(yield)
			}, nil
		}
		f := pipeline.FlatMap(pipeline.From(naturals), endless, pipeline.Workers(4), pipeline.Ordered(4))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
		defer cancel()
		assert.Equal(t, errStop, f.Run(ctx))

		late := pipeline.FlatMap(pipeline.From(naturals), func(ctx context.Context, v int) (iter.Seq[int], error) {
			if v == 3 {
				time.Sleep(time.Second)
				return nil, errBoom
			}
			return endless(ctx, v)
		}, pipeline.Workers(4), pipeline.Ordered(4))
		assert.ErrorIs(t, late.Run(t.Context()), errBoom)
	})
}

func TestANilSequenceIsAnEmptyOne(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.FlatMap(pipeline.From(upTo(500)), func(context.Context, int) (iter.Seq[int], error) {
			return nil, nil
		}, s.opts...)
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Empty(t, got, s.name)
		assert.Empty(t, outcomes(f.Results(t.Context())), s.name)
	}
}

// A sequence that is cut learns of it: its yield returns false.
func TestASequenceThatIsCutLearnsOfIt(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		var started, told atomic.Int64
		f := pipeline.FlatMap(pipeline.From(naturals), func(context.Context, int) (iter.Seq[int], error) {
			return func(yield func(int) bool) {
				started.Add(1)
				for i := 0; ; i++ {
					if !yield(i) {
						told.Add(1)
						return
					}
				}
			}, nil
		}, s.opts...)
		for range f.Results(t.Context()) {
			break
		}
		assert.Equal(t, started.Load(), told.Load(), s.name)

		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		for _, err := range f.All(ctx) {
			if seen++; err == nil && seen == 1000 {
				cancel()
			}
		}
		cancel()
		assert.Equal(t, started.Load(), told.Load(), "%s, canceled", s.name)
	}
}

// Once a sequence was cut by a cancel, what it does is ignored, as with From.
func TestASequenceThatDoesNotReturnWhenItIsCut(t *testing.T) {
	pipelinetest.NoLeak(t)
	leaving := func(yield func(int) bool) {
		for yield(1) {
		}
		runtime.Goexit()
	}
	for name, seq := range map[string]iter.Seq[int]{"panic": dirty, "goexit": leaving} {
		for _, s := range stages {
			var report pipeline.Report
			ctx, cancel := context.WithCancelCause(t.Context())
			f := pipeline.FlatMap(pipeline.From(upTo(20)).Buffer(4), func(context.Context, int) (iter.Seq[int], error) { return seq, nil }, s.opts...)
			seen := 0
			for r := range f.Buffer(4).Results(ctx, pipeline.ReportTo(&report)) {
				if seen++; seen == 100 {
					cancel(errStop)
				}
				if r.Err != nil {
					require.Equal(t, errStop, r.Err, "%s, %s", name, s.name)
				}
			}
			cancel(nil)
			assert.Zero(t, statsOf(&report, "flatmap").Errors, "%s, %s", name, s.name)
			if s.workers < 20 {
				assert.Positive(t, seen-100, "what was not called is canceled")
			}
		}
	}
}

// A sequence that blocks until its context ends does not hold up a cancel.
func TestASequenceThatBlocks(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, s := range stages {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
			f := pipeline.FlatMap(pipeline.From(naturals), func(ctx context.Context, v int) (iter.Seq[int], error) {
				return func(yield func(int) bool) {
					if yield(v) {
						<-ctx.Done()
					}
				}, nil
			}, s.opts...)
			start := time.Now()
			assert.Equal(t, errStop, f.Run(ctx), s.name)
			assert.Equal(t, time.Second, time.Since(start))
			cancel()
		}
	})
}

// A flow can be the sequence of another one.
func TestAFlowWithinAFlow(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.FlatMap(pipeline.From(upTo(20)), func(ctx context.Context, v int) (iter.Seq[int], error) {
			inner, err := pipeline.Map(pipeline.From(upTo(v)), same, s.opts...).Collect(ctx)
			return func(yield func(int) bool) {
				for _, v := range inner {
					if !yield(v) {
						return
					}
				}
			}, err
		}, s.opts...)
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 190, s.name)
	}
}
