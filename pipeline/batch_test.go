package pipeline_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// waits are the two ways to run a batch; with no trickle they give the same.
var waits = []time.Duration{0, time.Hour}

// timed is a source that yields its own place at each of the given times.
func timed(at ...time.Duration) func(func(int) bool) {
	return func(yield func(int) bool) {
		start := time.Now()
		for i, d := range at {
			time.Sleep(time.Until(start.Add(d)))
			if !yield(i) {
				return
			}
		}
	}
}

// arrival is a batch and when it came.
type arrival struct {
	After  time.Duration
	Values []int
}

func arrivals(t *testing.T, f pipeline.Flow[[]int]) []arrival {
	t.Helper()
	var all []arrival
	start := time.Now()
	for vs, err := range f.All(t.Context()) {
		require.NoError(t, err)
		all = append(all, arrival{time.Since(start), vs})
	}
	return all
}

func TestBatchSizes(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, wait := range waits {
		for _, s := range stages {
			for _, n := range []int{0, 1, 2, 3, 4, 64, 65, 300} {
				for _, size := range []int{1, 2, 3, 64, 5000} {
					f := pipeline.Map(pipeline.From(upTo(n)), same, s.opts...)
					got, err := pipeline.Batch(f, size, wait).Collect(t.Context())
					require.NoError(t, err)
					for i, b := range got {
						if i < len(got)-1 {
							require.Len(t, b, size, "only the last one may be shorter")
						}
						require.NotEmpty(t, b)
					}
					all := slices.Concat(got...)
					if !s.ordered {
						slices.Sort(all)
					}
					require.Equal(t, numbers(n), append([]int{}, all...), s.name)
				}
			}
		}
	}
}

// A trickle is passed on exactly maxWait after the first value of a slice, and the
// next slice starts a wait of its own.
func TestATrickleIsPassedOnAfterMaxWait(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const s = time.Second
		f := pipeline.From(timed(1*s, 2*s, 30*s, 39*s, 60*s))
		assert.Equal(t, []arrival{
			{11 * s, []int{0, 1}},
			{40 * s, []int{2, 3}},
			{60 * s, []int{4}}, // the flow has ended: nothing to wait for
		}, arrivals(t, pipeline.Batch(f, 5, 10*s)))
	})
}

// Values that come steadily, but too slowly to fill a slice, do not put it off.
func TestSteadyValuesDoNotPutOffABatch(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var times []time.Duration
		for i := range 100 {
			times = append(times, time.Duration(i)*time.Second)
		}
		for _, a := range arrivals(t, pipeline.Batch(pipeline.From(timed(times...)), 1000, 4500*time.Millisecond)) {
			require.Len(t, a.Values, 5)
			last := a.Values[len(a.Values)-1]
			require.Equal(t, times[last]+500*time.Millisecond, max(a.After, times[last]+500*time.Millisecond))
		}
	})
}

// A value that comes at the very moment at which the wait is over may belong to the slice or not,
// but does not make it wait for others.
func TestAValueThatComesWhenTheWaitIsOver(t *testing.T) {
	for range 100 {
		testkit.Bubble(t, func(t *testing.T) {
			var times []time.Duration
			for i := range 60 {
				times = append(times, time.Duration(i)*time.Second)
			}
			n := 0
			for _, a := range arrivals(t, pipeline.Batch(pipeline.From(timed(times...)), 1000, 2*time.Second)) {
				require.Equal(t, n, a.Values[0])
				n += len(a.Values)
				require.LessOrEqual(t, a.After-times[a.Values[0]], 2*time.Second)
			}
			require.Equal(t, 60, n)
		})
	}
}

// A slice that is full goes at once, and the wait of the next one starts anew.
func TestAFullBatchRestartsTheWait(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const s = time.Second
		f := pipeline.From(timed(0, 9*s, 9*s, 12*s, 30*s))
		assert.Equal(t, []arrival{
			{9 * s, []int{0, 1}},
			{12 * s, []int{2, 3}},
			{30 * s, []int{4}},
		}, arrivals(t, pipeline.Batch(f, 2, 10*s)))
	})
}

// A batch behind a pool gets the values as the calls end.
func TestATrickleFromAPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(upTo(4)), func(_ context.Context, v int) (int, error) {
			time.Sleep(time.Duration(10*v) * time.Second)
			return v, nil
		}, pipeline.Workers(4))
		assert.Equal(t, []arrival{
			{15 * time.Second, []int{0, 1}},
			{30 * time.Second, []int{2, 3}},
		}, arrivals(t, pipeline.Batch(f, 9, 15*time.Second)))
	})
}

// A receiver that is slow gets what has come meanwhile, in slices of the size.
func TestASlowReceiverGetsFullBatches(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var times []time.Duration
		for i := range 20 {
			times = append(times, time.Duration(i)*time.Second)
		}
		f := pipeline.Batch(pipeline.From(timed(times...)), 5, time.Second)
		var sizes []int
		require.NoError(t, f.ForEach(t.Context(), func(_ context.Context, vs []int) error {
			sizes = append(sizes, len(vs))
			time.Sleep(time.Minute)
			return nil
		}))
		total := 0
		for _, size := range sizes {
			assert.LessOrEqual(t, size, 5)
			total += size
		}
		assert.Equal(t, 20, total)
	})
}

// A failed input is passed on by itself, and is in no slice.
func TestFailuresPassABatchByThemselves(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, wait := range waits {
		for _, s := range stages {
			f := pipeline.Map(pipeline.From(upTo(10)), failAt(4), s.opts...)
			require.ErrorIs(t, pipeline.Batch(f, 3, wait).Run(t.Context()), errBoom)
			var values []int
			failed := 0
			for r := range pipeline.Batch(f, 3, wait).Results(t.Context()) {
				if r.Err != nil {
					require.ErrorIs(t, r.Err, errBoom)
					require.Equal(t, 4, r.Index)
					require.Nil(t, r.Value)
					failed++
					continue
				}
				if s.ordered {
					require.Equal(t, r.Value[0], r.Index, "the index is that of the first value")
				}
				values = append(values, r.Value...)
			}
			slices.Sort(values)
			assert.Equal(t, []int{0, 1, 2, 3, 5, 6, 7, 8, 9}, values, s.name)
			assert.Equal(t, 1, failed)
		}
	}
}

// Each slice belongs to who receives it: neither a write nor an append is seen by
// anybody else.
func TestABatchBelongsToItsReceiver(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, wait := range waits {
		for _, size := range []int{1, 3, 2000} {
			var kept [][]int
			for vs, err := range pipeline.Batch(pipeline.From(upTo(5000)), size, wait).All(t.Context()) {
				require.NoError(t, err)
				kept = append(kept, vs)
				grown := append(vs[:len(vs):cap(vs)], -1, -2, -3) //nolint:gocritic // what a receiver might do
				grown[len(grown)-1] = -4
			}
			assert.Equal(t, numbers(5000), slices.Concat(kept...))
		}
	}
}

// A cancel ends a batch that waits; what it has gathered comes as a result.
func TestACancelEndsABatchThatWaits(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, wait := range waits {
			c := make(chan int, 2)
			c <- 1
			c <- 2
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
			start := time.Now()
			_, err := pipeline.Batch(pipeline.FromChan(c), 10, wait).Collect(ctx)
			assert.Equal(t, errStop, err)
			assert.Equal(t, time.Second, time.Since(start))
			cancel()

			c <- 1
			c <- 2
			ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, errStop)
			assert.Equal(t, []outcome[[]int]{{0, []int{1, 2}, ""}},
				outcomes(pipeline.Batch(pipeline.FromChan(c), 10, wait).Results(ctx)))
			cancel()
		}
	})
}

// A failure before a batch that waits ends the run at once.
func TestAFailureEndsABatchThatWaits(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, wait := range waits {
			for _, s := range stages {
				f := pipeline.Map(pipeline.From(timed(0, 0, 0)), failAt(2), s.opts...)
				start := time.Now()
				require.ErrorIs(t, pipeline.Batch(f, 10, wait).Run(t.Context()), errBoom)
				assert.Zero(t, time.Since(start))
			}
		}
	})
}

// A source that panics behind a batch that waits: what was gathered and the failure.
func TestASourceThatPanicsBeforeABatch(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, wait := range waits {
		f := pipeline.From(func(yield func(int) bool) {
			_ = yield(0) && yield(1)
			panic("dry")
		})
		require.Error(t, pipeline.Batch(f, 10, wait).Run(t.Context()))
		got := byIndex(outcomes(pipeline.Batch(f, 10, wait).Results(t.Context())))
		assert.Equal(t, []outcome[[]int]{
			{0, []int{0, 1}, ""},
			{2, nil, "pipeline: stage from: input 2: panic: dry"},
		}, got)
	}
}

// Leaving, taking and batching again all end a batch that waits.
func TestABatchThatIsLeft(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, wait := range waits {
			for _, s := range stages {
				f := pipeline.Batch(pipeline.Map(pipeline.From(naturals), same, s.opts...), 3, wait)
				for range f.Results(t.Context()) {
					break
				}
				got, err := f.Take(2).Collect(t.Context())
				require.NoError(t, err)
				assert.Len(t, got, 2)
				twice, err := pipeline.Batch(f, 2, wait).Take(2).Collect(t.Context())
				require.NoError(t, err)
				assert.Len(t, twice[1], 2)
			}
		}
	})
}
