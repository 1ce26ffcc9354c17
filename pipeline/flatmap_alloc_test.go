package pipeline_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pipeline"
)

// A FlatMap whose function allocates nothing does not either, wherever it runs.
func TestAFlatMapDoesNotAllocatePerItem(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	twice := func(yield func(int) bool) { _ = yield(1) && yield(2) }
	expand := func(context.Context, int) (iter.Seq[int], error) { return twice, nil }
	for _, s := range stages {
		run := func(n int) func() {
			f := pipeline.FlatMap(pipeline.From(upTo(n)), expand, s.opts...)
			return func() {
				count := 0
				for r := range f.Results(t.Context()) {
					assert.NoError(t, r.Err)
					count++
				}
				assert.Equal(t, 2*n, count)
			}
		}
		perItem := (testing.AllocsPerRun(2, run(60_000)) - testing.AllocsPerRun(2, run(20_000))) / 40_000
		assert.Less(t, perItem, 0.01, s.name)
	}
}
