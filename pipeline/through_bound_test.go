package pipeline_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// At most 512 items are in the hands of the pool, whatever its stream could hold, and the plan
// relies on it.
func TestThroughHoldsNoMoreThanItSays(t *testing.T) {
	for _, workers := range []int{1, 4, 16} {
		testkit.Bubble(t, func(t *testing.T) {
			p := pool.New(func(_ context.Context, v int) (int, error) { return v, nil }, pool.Workers(workers))
			defer p.Close()
			f := new(flight)
			flow := pipeline.Through(f.endless(1), p, pipeline.Buffer(1))
			bound, _ := flow.Plan().InFlight()
			n := 0
			for _, err := range flow.All(t.Context()) {
				require.NoError(t, err)
				if n++; n%1000 == 0 {
					synctest.Wait()
				}
				if n == 10_000 {
					break
				}
				f.add(-1)
			}
			assert.LessOrEqual(t, f.peak.Load(), int64(bound), "%d workers", workers)
		})
	}
}
