package pipeline_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// chunk is how many items are in the hands of one producer or worker at most.
const chunk = 64

// An endless source in front of a stage that is stuck is pulled no further than
// the package says: buffer, a chunk for the producer, a chunk for each worker.
func TestAnEndlessSourceBeforeAStuckStageStops(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		for _, buffer := range []int{1, 10, 256, 1000} {
			for _, ordered := range []bool{false, true} {
				testkit.Bubble(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					var pulled atomic.Int64
					opts := []pipeline.StageOption{pipeline.Workers(workers), pipeline.Buffer(buffer)}
					if ordered {
						opts = append(opts, pipeline.Ordered())
					}
					f := pipeline.Map(pipeline.From(counted(naturals, &pulled)), func(ctx context.Context, v int) (int, error) {
						if v < 5000 { // quick at first, so that chunks grow
							return v, nil
						}
						return stuck(ctx, v)
					}, opts...)
					done := make(chan error)
					go func() { done <- f.Run(ctx) }()
					synctest.Wait()
					bound := buffer + min(chunk, buffer) + workers*chunk
					held := pulled.Load() - 5000
					assert.LessOrEqual(t, held, int64(bound))
					assert.GreaterOrEqual(t, held, int64(buffer+workers), "the buffer is there to be used")
					cancel()
					assert.ErrorIs(t, <-done, context.Canceled)
				})
			}
		}
	}
}

// A body that is stuck stops the source as well, through all stages.
func TestAStuckBodyStopsTheSource(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			var pulled atomic.Int64
			f := pipeline.From(counted(naturals, &pulled))
			for range 3 {
				f = pipeline.Map(f, same, s.opts...)
			}
			n := 0
			for _, err := range f.All(t.Context()) {
				require.NoError(t, err)
				if n++; n < 20_000 {
					continue
				}
				synctest.Wait()
				before := pulled.Load()
				// Four queues of 256 with their producers and takers, and windows.
				assert.LessOrEqual(t, before, int64(20_000+4*(256+16*chunk)+3*8*64), s.name)
				if s.workers == 0 {
					assert.EqualValues(t, 20_000, before, "a loop holds nothing back")
				}
				break
			}
		})
	}
}

// A million items do not gather anywhere: memory stays what it is for a few.
func TestAMillionItemsInSmallMemory(t *testing.T) {
	pipelinetest.NoLeak(t)
	n := 1_000_000
	if raceEnabled {
		n /= 5
	}
	type big struct {
		id   int
		data *[4096]byte
	}
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for name, opts := range map[string][]pipeline.StageOption{
		"unordered": {pipeline.Workers(4)},
		"ordered":   {pipeline.Workers(4), pipeline.Ordered()},
	} {
		before, most := live(), int64(0)
		count := 0
		f := pipeline.Map(pipeline.From(upTo(n)), func(_ context.Context, v int) (big, error) {
			if v%64 == 0 {
				return big{v, new([4096]byte)}, nil
			}
			return big{id: v}, nil
		}, opts...)
		f = pipeline.Map(f, same, opts...)
		for r := range f.Results(t.Context()) {
			require.NoError(t, r.Err)
			if count++; count%(n/4) == 0 {
				most = max(most, live()-before)
			}
		}
		require.Equal(t, n, count)
		assert.Less(t, most, int64(5<<20), "%s: all of it is 64 bytes an item and more", name)
	}
}

// A run allocates for its stages, not for its items.
func TestNoAllocationPerItem(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := t.Context()
	const few, many = 20_000, 120_000 // few is enough for all buffers to have grown
	for _, s := range stages {
		for kind, build := range map[string]func(n int) func(){
			"Run": func(n int) func() {
				f := pipeline.Map(pipeline.Map(pipeline.From(upTo(n)), same, s.opts...), same, s.opts...)
				return func() { _ = f.Run(ctx) }
			},
			"Results": func(n int) func() {
				f := pipeline.Map(pipeline.From(upTo(n)), same, s.opts...).Filter(isEven).Tap(func(int) {})
				return func() {
					for range f.Results(ctx) {
					}
				}
			},
			"All": func(n int) func() {
				f := pipeline.Map(pipeline.From(upTo(n)), same, s.opts...).Take(n)
				return func() {
					for _, err := range f.All(ctx) {
						require.NoError(t, err)
					}
				}
			},
			"ForEach": func(n int) func() {
				f := pipeline.From(upTo(n))
				return func() { _ = f.ForEach(ctx, func(context.Context, int) error { return nil }, options(s.opts)...) }
			},
		} {
			short := testing.AllocsPerRun(3, build(few))
			long := testing.AllocsPerRun(3, build(many))
			// Less than one in a thousand: a park may now and then allocate for the runtime.
			assert.Less(t, (long-short)/(many-few), 0.001, "%s, %s: %v for %d, %v for %d", s.name, kind, short, few, long, many)
		}
	}
}

func isEven(v int) bool { return v%2 == 0 }

// A batch allocates its slices only.
func TestABatchAllocatesItsSlicesOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, wait := range waits {
		run := func(n int) func() {
			f := pipeline.Batch(pipeline.From(upTo(n)), 100, wait)
			return func() { _ = f.Run(t.Context()) }
		}
		perBatch := (testing.AllocsPerRun(3, run(60_000)) - testing.AllocsPerRun(3, run(10_000))) / 500
		assert.InDelta(t, 1, perBatch, 0.05)
	}
}
