package pipeline_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
)

// flight counts items between sources and sink, each from before the source gives it to
// after the sink has had it, and the most there were at any time.
type flight struct{ now, peak atomic.Int64 }

func (f *flight) add(n int) {
	now := f.now.Add(int64(n))
	for peak := f.peak.Load(); now > peak && !f.peak.CompareAndSwap(peak, now); peak = f.peak.Load() {
	}
}

// endless is a source whose values count as so many items each.
func (f *flight) endless(weight int) pipeline.Flow[int] {
	return pipeline.From(func(yield func(int) bool) {
		for i := 0; ; i++ {
			if f.add(weight); !yield(i) {
				return
			}
		}
	})
}

// twice is a FlatMap's function of two outputs; the input is there until they are through.
func (f *flight) twice(_ context.Context, v int) (iter.Seq[int], error) {
	return f.parts(v, v), nil
}

func (f *flight) parts(vs ...int) iter.Seq[int] {
	return func(yield func(int) bool) {
		defer f.add(-1)
		for _, v := range vs {
			if f.add(1); !yield(v) {
				return
			}
		}
	}
}

// flightShape is a flow of items that f counts, for a number of workers and a buffer.
type flightShape struct {
	name  string
	loose float64 // how far the bound may be above what a stuck sink leads to, if not below 2
	build func(f *flight, w, b int) pipeline.Flow[int]
}

func pooledBy(w, b int, more ...pipeline.StageOption) []pipeline.StageOption {
	return append([]pipeline.StageOption{pipeline.Workers(w), pipeline.Buffer(b)}, more...)
}

// odd is a Filter that is counted.
func (f *flight) odd(v int) bool {
	if v%2 == 0 {
		f.add(-1)
		return false
	}
	return true
}

func mapStage(opts ...pipeline.StageOption) pipeline.Stage[int, int] {
	return func(in pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(in, same, opts...) }
}

func identity(in pipeline.Flow[int]) pipeline.Flow[int] { return in }

var flightShapes = []flightShape{
	{"loop", 0, func(f *flight, _, _ int) pipeline.Flow[int] {
		return pipeline.Map(pipeline.Map(f.endless(1), same).Filter(f.odd), same).Tap(func(int) {})
	}},
	{"buffer", 0, func(f *flight, _, b int) pipeline.Flow[int] {
		return f.endless(1).Buffer(b).Filter(f.odd).Buffer(b)
	}},
	{"pool", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.Map(f.endless(1), same, pooledBy(w, b)...)
	}},
	{"ordered", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.Map(f.endless(1), same, pooledBy(w, b, pipeline.Ordered())...)
	}},
	{"small window", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.Map(f.endless(1), same, pooledBy(w, b, pipeline.Ordered(w))...)
	}},
	{"auto", 6, func(f *flight, w, b int) pipeline.Flow[int] { // of 16 workers that it may have it takes few
		return pipeline.Map(f.endless(1), same, pipeline.Workers(pipeline.Auto(1, w)), pipeline.Buffer(b))
	}},
	{"fused and pools", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		g := pipeline.Map(f.endless(1), same)
		g = pipeline.Map(g, same, pooledBy(w, b)...).Filter(f.odd)
		return pipeline.Map(pipeline.Map(g, same, pooledBy(w, b)...), same)
	}},
	{"all kinds of pools", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		g := pipeline.Map(f.endless(1), same, pooledBy(w, b, pipeline.Ordered())...).Filter(f.odd, pooledBy(w, b)...)
		return pipeline.Map(g.Buffer(b), same, pooledBy(w, b, pipeline.Ordered())...)
	}},
	{"flatmap", 0, func(f *flight, _, _ int) pipeline.Flow[int] {
		return pipeline.FlatMap(pipeline.FlatMap(f.endless(1), f.twice), f.twice)
	}},
	{"flatmap behind a pool", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.FlatMap(pipeline.Map(f.endless(1), same, pooledBy(w, b)...), f.twice).Buffer(b)
	}},
	{"flatmap pool", 4, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.FlatMap(f.endless(1), f.twice, pooledBy(w, b)...)
	}},
	{"flatmap ordered", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.FlatMap(f.endless(1), func(context.Context, int) (iter.Seq[int], error) {
			return f.parts(make([]int, chunk)...), nil // as many as a place keeps
		}, pooledBy(w, b, pipeline.Ordered(max(w, 20)))...)
	}},
	{"batch", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return f.unbatched(pipeline.Batch(f.endless(1), 10, 0), w, b)
	}},
	{"timed batch", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return f.unbatched(pipeline.Batch(pipeline.Map(f.endless(1), same, pooledBy(w, b)...), 10, time.Hour), w, b)
	}},
	{"window", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		const size, step = 10, 2
		windows := pipeline.Window(f.endless(1), size, step).Tap(func([]int) { f.add(1 - step) })
		return pipeline.Map(windows, func(context.Context, []int) (int, error) { return 0, nil }, pooledBy(w, b)...)
	}},
	{"groups", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		key := func(v int) int { return v }
		sum := func(_ context.Context, a, v int) (int, error) { return a + v, nil }
		groups := pipeline.GroupBy(pipeline.Distinct(f.endless(1), 5, key), 100, key, sum)
		return pipeline.Map(groups, func(context.Context, pipeline.Group[int, int]) (int, error) { return 0, nil }, pooledBy(w, b)...)
	}},
	{"merge", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.Merge(f.endless(1), pipeline.Map(f.endless(1), same, pooledBy(w, b)...),
			pipeline.Map(f.endless(1), same, pooledBy(w, b, pipeline.Ordered())...))
	}},
	{"merge before a pool", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.Map(pipeline.Merge(f.endless(1), f.endless(1), f.endless(1)), same, pooledBy(w, b)...)
	}},
	{"mergeordered", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		less := func(a, b int) bool { return a < b }
		return pipeline.MergeOrdered(less, f.endless(1), f.endless(1).Buffer(b),
			pipeline.Map(f.endless(1), same, pooledBy(w, b, pipeline.Ordered())...))
	}},
	{"zip", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		pairs := pipeline.Zip(f.endless(1), pipeline.Map(f.endless(1), same, pooledBy(w, b)...))
		return pipeline.Map(pairs.Tap(func(pipeline.Pair[int, int]) { f.add(-1) }),
			func(context.Context, pipeline.Pair[int, int]) (int, error) { return 0, nil }, pooledBy(w, b)...)
	}},
	{"broadcast", 6, func(f *flight, w, b int) pipeline.Flow[int] { // the lane with the least room stops all
		return pipeline.Broadcast(f.endless(4), mapStage(), mapStage(pooledBy(w, b)...), identity,
			mapStage(pooledBy(w, b, pipeline.Ordered())...))
	}},
	{"route", 4, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.Route(pipeline.Map(f.endless(1), same, pooledBy(w, b)...), func(v int) int { return v % 2 },
			mapStage(), mapStage(pooledBy(w, b)...))
	}},
	{"partition", 0, func(f *flight, w, b int) pipeline.Flow[int] {
		return pipeline.Map(pipeline.Partition(f.endless(1), 4, func(v int) int { return v }, func(in pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Map(in.Filter(f.odd), same, pooledBy(w, b)...)
		}), same, pooledBy(w, b)...)
	}},
	{"fans in fans", 4, func(f *flight, w, b int) pipeline.Flow[int] {
		both := func(in pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Broadcast(in, mapStage(pooledBy(w, b)...), func(in pipeline.Flow[int]) pipeline.Flow[int] {
				return pipeline.Partition(in, 2, func(v int) int { return v / 3 }, mapStage())
			})
		}
		return pipeline.Partition(f.endless(2), 2, func(v int) int { return v }, both)
	}},
}

// unbatched counts a slice for one item once it is made, and its values again.
func (f *flight) unbatched(batches pipeline.Flow[[]int], w, b int) pipeline.Flow[int] {
	return pipeline.FlatMap(batches.Tap(func(all []int) { f.add(1 - len(all)) }), func(_ context.Context, all []int) (iter.Seq[int], error) {
		return f.parts(all...), nil
	}, pooledBy(w, b)...)
}

// eachFlight calls check for each shape in several sizes.
func eachFlight(t *testing.T, check func(t *testing.T, s flightShape, f *flight, flow pipeline.Flow[int], bound int)) {
	t.Helper()
	for _, s := range flightShapes {
		t.Run(s.name, func(t *testing.T) {
			for _, size := range [][2]int{{1, 1}, {16, 7}, {16, 64}, {3, 256}} {
				testkit.Bubble(t, func(t *testing.T) {
					f := new(flight)
					flow := s.build(f, size[0], size[1])
					bound, bounded := flow.Plan().InFlight()
					require.True(t, bounded)
					check(t, s, f, flow, bound)
					if t.Failed() {
						t.Logf("%d workers, buffer %d:\n%v", size[0], size[1], flow.Plan())
					}
				})
			}
		})
	}
}

// With an endless source and a sink that is stuck, no more is under way than the plan says,
// at any time, and that can be reached or nearly so: the bound means something.
func TestAStuckSinkAndThePlan(t *testing.T) {
	eachFlight(t, func(t *testing.T, s flightShape, f *flight, flow pipeline.Flow[int], bound int) {
		loose := max(3, s.loose)
		near := false
		for range 20 { // how full everybody's hands are is a matter of chance
			f.now.Store(0)
			f.stick(t, flow)
			require.LessOrEqual(t, f.peak.Load(), int64(bound))
			if near = float64(bound) < loose*float64(f.peak.Load()); near {
				break
			}
		}
		assert.True(t, near, "%d of %d", f.peak.Load(), bound)
	})
}

// stick runs a flow with a sink that is stuck several times: by and by chunks grow, and all
// have one in hand.
func (f *flight) stick(t *testing.T, flow pipeline.Flow[int]) {
	t.Helper()
	n := 0
	for _, err := range flow.All(t.Context()) {
		require.NoError(t, err)
		if n++; n%400 == 0 {
			synctest.Wait()
		}
		if n == 4000 {
			break
		}
		f.add(-1)
	}
}

// The same holds while the sink takes now more and now less time.
func TestASlowSinkAndThePlan(t *testing.T) {
	eachFlight(t, func(t *testing.T, _ flightShape, f *flight, flow pipeline.Flow[int], bound int) {
		n := 0
		for _, err := range flow.All(t.Context()) {
			require.NoError(t, err)
			if n++; n == 600 {
				break
			}
			if n%37 == 0 {
				time.Sleep(time.Duration(n%5) * 30 * time.Microsecond)
			}
			f.add(-1)
		}
		assert.LessOrEqual(t, f.peak.Load(), int64(bound))
	})
}

// The head of an ordered stage is slow: the window fills, and nothing beyond.
func TestASlowHeadAndThePlan(t *testing.T) {
	for _, w := range []int{2, 16} {
		for _, b := range []int{1, 7, 256} {
			for _, window := range []int{16, 100, 70_000} {
				if window > 1<<16 && (w != 16 || b != 7) {
					continue // it takes its time
				}
				t.Run(fmt.Sprint(w, " workers, buffer ", b, ", window ", window), func(t *testing.T) {
					testkit.Bubble(t, func(t *testing.T) {
						f := new(flight)
						ctx, cancel := context.WithCancel(t.Context())
						flow := pipeline.Map(f.endless(1), same, pooledBy(w, b)...)
						flow = pipeline.Map(flow, stuckAt(3000), pooledBy(w, b, pipeline.Ordered(window))...)
						bound, bounded := flow.Plan().InFlight()
						require.True(t, bounded)
						done := make(chan error)
						go func() { done <- flow.ForEach(ctx, func(context.Context, int) error { f.add(-1); return nil }) }()
						synctest.Wait()
						held := f.now.Load()
						cancel()
						require.ErrorIs(t, <-done, context.Canceled)
						assert.LessOrEqual(t, f.peak.Load(), int64(bound))
						assert.GreaterOrEqual(t, held, int64(min(window, 1<<16)), "the window is full")
						assert.Less(t, float64(bound)/float64(held), 4.0, "%d of %d: but nothing waits behind the stage", held, bound)
					})
				})
			}
		}
	}
}

// Items of a run that goes on with failures count as well.
func TestFailedItemsAndThePlan(t *testing.T) {
	eachFlight(t, func(t *testing.T, _ flightShape, f *flight, flow pipeline.Flow[int], _ int) {
		fail := func(_ context.Context, v int) (int, error) {
			if v%3 == 0 {
				return v, errBoom
			}
			return v, nil
		}
		flow = pipeline.Map(flow, fail, pipeline.Workers(2), pipeline.Buffer(1))
		bound, _ := flow.Plan().InFlight()
		n := 0
		for range flow.Results(t.Context()) {
			if n++; n == 600 {
				synctest.Wait()
				break
			}
			f.add(-1)
		}
		assert.LessOrEqual(t, f.peak.Load(), int64(bound))
	})
}
