package pipeline_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// timings runs f in a bubble and returns the results by index, with Queued counted
// from the start.
type timing struct {
	Queued, Wait, Run time.Duration
}

func timings[T any](t *testing.T, f pipeline.Flow[T]) (times []timing, all []result.Result[T]) {
	t.Helper()
	start := time.Now()
	for r := range f.Results(t.Context()) {
		all = append(all, r)
		times = append(times, timing{r.Timing.Queued.Sub(start), r.Timing.Wait, r.Timing.Run})
	}
	return times, all
}

const sec = time.Second

// Fused stages: Queued is when the item left the source, Run the time inside the
// functions, and there is nothing else.
func TestTimingOfFusedStages(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.From(timed(1*sec, 10*sec, 11*sec))
		f = pipeline.Map(f, sleepFor(2*sec)).Tap(func(int) { time.Sleep(sec) }).Filter(func(int) bool {
			time.Sleep(sec)
			return true
		})
		times, all := timings(t, f)
		assert.Equal(t, []timing{{1 * sec, 0, 4 * sec}, {10 * sec, 0, 4 * sec}, {14 * sec, 0, 4 * sec}}, times)
		for i, r := range all {
			assert.Equal(t, i, r.Index)
			assert.Equal(t, 1, r.Attempt)
			assert.Equal(t, 0, r.Worker, "the only worker of a stage without Workers")
		}
	})
}

// The time in the body of the loop is nobody's, also if the next item has been at
// hand since.
func TestTheBodyIsNotTimed(t *testing.T) {
	for _, s := range stages[:2] {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(warmed(10_000, 20)), same, s.opts...)
			for r := range pipeline.Map(f, quickThen(sec)).Results(t.Context()) {
				if r.Value >= 0 {
					require.Equal(t, sec, r.Timing.Run, s.name)
					time.Sleep(time.Hour)
				}
			}
		})
	}
}

// A pool: Wait is the time until a worker was free.
func TestTimingOfAPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(upTo(6)), sleepFor(10*sec), pipeline.Workers(2), pipeline.Ordered())
		times, all := timings(t, f)
		assert.Equal(t, []timing{
			{0, 0, 10 * sec}, {0, 0, 10 * sec},
			{0, 10 * sec, 10 * sec}, {0, 10 * sec, 10 * sec},
			{0, 20 * sec, 10 * sec}, {0, 20 * sec, 10 * sec},
		}, times)
		for _, r := range all {
			assert.Equal(t, 1, r.Attempt)
			assert.Contains(t, []int{0, 1}, r.Worker)
			assert.Equal(t, r.Timing.Queued.Add(r.Timing.Total()), r.Timing.Finished())
		}
		assert.NotEqual(t, all[0].Worker, all[1].Worker)
	})
}

// Pools and hops: Run adds up what the functions took, Wait is all the rest up to
// the end of the last call, and the last worker is named.
func TestTimingThroughPoolsAndHops(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(timed(0, 0, 0)), sleepFor(1*sec))   // with the source
		f = pipeline.Map(f, sleepFor(5*sec), pipeline.Workers(1))           // one behind the other
		f = pipeline.Map(pipeline.Map(f, sleepFor(1*sec)), sleepFor(1*sec)) // a hop
		f = pipeline.Map(f, sleepFor(7*sec), pipeline.Workers(1))
		f = pipeline.Map(f, sleepFor(1*sec)) // with the terminal
		times, _ := timings(t, f)
		// Item i leaves the source at i (its first call holds the source up), the
		// first pool at 6, 11, 16, the hop at 8, 13, 18, the second pool at 15, 22,
		// 29 and the last call a second later.
		assert.Equal(t, []timing{
			{0 * sec, 0, 16 * sec},
			{1 * sec, 23*sec - 1*sec - 16*sec, 16 * sec},
			{2 * sec, 30*sec - 2*sec - 16*sec, 16 * sec},
		}, times)
	})
}

// In a chunk every item has the time of its own call, and those behind it wait.
func TestTimingWithinAChunk(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(warmed(10_000, 30)), quickThen(sec), pipeline.Workers(1))
		for r := range f.Results(t.Context()) {
			if r.Value >= 0 {
				require.Equal(t, sec, r.Timing.Run)
				require.Equal(t, time.Duration(r.Value)*sec, r.Timing.Wait)
			} else {
				require.Zero(t, r.Timing.Total())
			}
		}
	})
}

// Waiting for room behind is no part of a call.
func TestWaitingForRoomIsNotRun(t *testing.T) {
	for _, s := range stages[1:] {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(upTo(3000)), same, s.opts...)
			f = pipeline.Map(f, same) // a hop
			f = pipeline.Map(f, sleepFor(sec), pipeline.Workers(1), pipeline.Buffer(1))
			for r := range f.Results(t.Context()) {
				require.Equal(t, sec, r.Timing.Run, s.name)
			}
		})
	}
}

// The outputs of a FlatMap have each the time that it took to make them, from the
// call of the function on.
func TestTimingOfAFlatMap(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.FlatMap(pipeline.From(timed(5*sec)), func(context.Context, int) (iter.Seq[int], error) {
				time.Sleep(sec)
				return func(yield func(int) bool) {
					for i := range 3 {
						time.Sleep(2 * sec)
						if !yield(i) {
							return
						}
					}
				}, nil
			}, s.opts...)
			times, _ := timings(t, f)
			assert.Equal(t, []timing{{5 * sec, 0, 3 * sec}, {5 * sec, 0, 5 * sec}, {5 * sec, 0, 7 * sec}}, times, s.name)
		})
	}
}

// Failed calls have their times too; a canceled input has waited and not run.
func TestTimingOfFailures(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(timed(0, 10*sec, 20*sec)), func(_ context.Context, v int) (int, error) {
				time.Sleep(sec)
				switch v {
				case 1:
					return 0, errBoom
				case 2:
					panic("x")
				}
				return v, nil
			}, s.opts...)
			times, _ := timings(t, f)
			assert.Equal(t, []timing{{0, 0, sec}, {10 * sec, 0, sec}, {20 * sec, 0, sec}}, times, s.name)
		})
	}
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 7*sec, errStop)
		defer cancel()
		for r := range pipeline.Map(pipeline.From(upTo(3)), sleepFor(5*sec), pipeline.Workers(1)).Results(ctx) {
			switch r.Index {
			case 0:
				assert.Equal(t, 5*sec, r.Timing.Run)
			case 1:
				require.NoError(t, r.Err, "it was in flight and did not heed its context")
				assert.Equal(t, 5*sec, r.Timing.Wait)
			case 2:
				assert.Equal(t, errStop, r.Err)
				assert.Equal(t, result.Timing{Queued: r.Timing.Queued, Wait: 10 * sec}, r.Timing)
			}
		}
	})
}

// A batch carries the index and the times of its first value.
func TestTimingOfABatch(t *testing.T) {
	for _, wait := range waits {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Batch(pipeline.Map(pipeline.From(timed(1*sec, 10*sec)), sleepFor(sec)), 2, wait)
			times, all := timings(t, f)
			require.Len(t, all, 1)
			assert.Equal(t, 0, all[0].Index)
			assert.Equal(t, 1*sec, times[0].Queued)
			assert.Equal(t, 1*sec, times[0].Run)
		})
	}
}

// The time until the input has ended is no part of the calls for what it leaves.
func TestWaitingForTheEndIsNotRun(t *testing.T) {
	source := pipeline.From(func(yield func(int) bool) {
		if yield(1) && yield(2) {
			time.Sleep(time.Hour)
		}
	})
	for name, tail := range map[string]func(pipeline.Flow[int]) pipeline.Flow[int]{
		"batch":  func(f pipeline.Flow[int]) pipeline.Flow[int] { return slowly(pipeline.Batch(f, 10, 0)) },
		"window": func(f pipeline.Flow[int]) pipeline.Flow[int] { return slowly(pipeline.Window(f, 10, 10)) },
		"reduce": func(f pipeline.Flow[int]) pipeline.Flow[int] { return slowly(pipeline.Reduce(f, 0, sumUp)) },
		"groupby": func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return slowly(pipeline.GroupBy(f, 10, func(int) int { return 0 }, sumUp))
		},
	} {
		for place, f := range map[string]pipeline.Flow[int]{"source": source, "queue": source.Buffer(1)} {
			testkit.Bubble(t, func(t *testing.T) {
				var report pipeline.Report
				for r := range tail(f).Results(t.Context(), pipeline.ReportTo(&report)) {
					assert.Equal(t, sec, r.Timing.Run, "%s, %s", name, place)
				}
				assert.Less(t, statsOf(&report, "slow").Busy, 0.01, "%s, %s", name, place)
			})
		}
	}
}

// slowly takes a second for each value.
func slowly[T any](f pipeline.Flow[T]) pipeline.Flow[int] {
	return pipeline.Map(f, func(context.Context, T) (int, error) {
		time.Sleep(sec)
		return 0, nil
	}, pipeline.Named("slow"))
}
