package pipeline_test

import (
	"flag"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

var volume = flag.Int("volume", 2_000_000, "how many items TestManyItemsInSmallMemory passes through, without the race detector")

// Two million items, or ten with -volume 10000000, pass through three stages in the memory
// that a few need, and with the goroutines that there are from the beginning.
func TestManyItemsInSmallMemory(t *testing.T) {
	pipelinetest.NoLeak(t)
	n := *volume
	if raceEnabled {
		n /= 20
	}
	for name, opts := range map[string][]pipeline.StageOption{
		"as they come": {pipeline.Workers(4)},
		"ordered":      {pipeline.Workers(4), pipeline.Ordered()},
	} {
		t.Run(name, func(t *testing.T) {
			f := pipeline.From(upTo(n))
			for range 3 {
				f = pipeline.Map(f, same, opts...)
			}
			before := runtime.NumGoroutine()
			runtime.GC()
			var first, most runtime.MemStats
			count, sum, goroutines := 0, int64(0), 0
			for v, err := range f.All(t.Context()) {
				require.NoError(t, err)
				sum += int64(v)
				if count++; count%(n/50) != 0 {
					continue
				}
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				goroutines = max(goroutines, runtime.NumGoroutine())
				if first.HeapInuse == 0 {
					first = now // all buffers have grown
				}
				if now.HeapInuse > most.HeapInuse {
					most = now
				}
			}
			assert.Equal(t, n, count)
			assert.Equal(t, int64(n)*(int64(n)-1)/2, sum)
			assert.LessOrEqual(t, goroutines, before+1+3*4, "the source's, and the workers")
			assert.Less(t, int64(most.HeapInuse)-int64(first.HeapInuse), int64(1<<20))
			// An item of each is 80 bytes and more: one in a hundred would be seen.
			assert.Less(t, most.Mallocs-first.Mallocs, uint64(n/100)+1000)
		})
	}
}
