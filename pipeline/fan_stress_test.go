package pipeline_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// hasty are short flows in which branches end at about the time at which the source, the
// run or another branch does. Each is given with how many results it has.
func hasty(n int) map[string]struct {
	flow pipeline.Flow[int]
	want int
} {
	pooled := []pipeline.StageOption{pipeline.Workers(2), pipeline.Buffer(1)}
	ordered := []pipeline.StageOption{pipeline.Workers(2), pipeline.Ordered(2), pipeline.Buffer(1)}
	source := pipeline.From(upTo(n))
	return map[string]struct {
		flow pipeline.Flow[int]
		want int
	}{
		"all take all": {pipeline.Broadcast(source, first(n), first(n)), 2 * n},
		"take one less": {pipeline.Broadcast(source,
			pipeline.Then(plus(1, ordered...), first(n-1)), pipeline.Then(plus(1, pooled...), first(n-1))), 2*n - 2},
		"take nothing": {pipeline.Broadcast(source, first(0), asIs, first(0)), n},
		"zip":          {pipeline.Broadcast(source, zipWith(n-1), zipWith(n), zipWith(n+1)), 3*n - 1},
		"nested": {pipeline.Broadcast(source, first(1), func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Route(f, func(v int) int { return v % 2 }, first(1), plus(1, ordered...)).Take(2)
		}), 3},
		"taken from": {pipeline.Broadcast(source, asIs, plus(1, ordered...), plus(1, ordered...)).Take(n), n},
		"partition": {pipeline.Partition(pipeline.Broadcast(source, asIs, first(1)), 2, func(v int) int { return v },
			pipeline.Then(plus(1, ordered...), asIs)), n + 1},
		"before a window": {plus(1, ordered...)(pipeline.Broadcast(source, asIs,
			pipeline.Then(plus(1, ordered...), first(2)))), n + 2},
	}
}

// Thousands of short runs in which everything ends at once: each gives what it has to, and
// ends.
func TestFansInManyShortRuns(t *testing.T) {
	pipelinetest.NoLeak(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(processors)
		for name, tt := range hasty(4) {
			for i := range 300 {
				got, err := tt.flow.Collect(t.Context())
				require.NoError(t, err, name)
				require.Len(t, got, tt.want, "%s, %d processors, run %d", name, processors, i)
			}
		}
	}
}

// The same with runs that are left, canceled and that fail at any place.
func TestFansInManyShortRunsThatEndEarly(t *testing.T) {
	pipelinetest.NoLeak(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(processors)
		for name, tt := range hasty(6) {
			for i := range 100 {
				at := 1 + i%(tt.want+1)
				n := 0
				for range tt.flow.Results(t.Context()) {
					if n++; n == at {
						break
					}
				}
				require.Equal(t, min(at, tt.want), n, name)

				ctx, cancel := context.WithCancelCause(t.Context())
				n = 0
				for _, err := range tt.flow.All(ctx) {
					if err != nil {
						assert.ErrorIs(t, err, errStop)
						break
					}
					if n++; n == at {
						cancel(errStop)
					}
				}
				require.LessOrEqual(t, n, tt.want, name)
				cancel(nil)

				ctx, cancel = context.WithCancelCause(t.Context())
				go cancel(errStop)
				if err := tt.flow.Run(ctx); err != nil {
					require.ErrorIs(t, err, errStop)
				}
			}
		}
	}
}

// A failure in one branch, the end of another one, and the end of the source at once.
func TestFansInManyShortRunsThatFail(t *testing.T) {
	pipelinetest.NoLeak(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(processors)
		for i := range 600 {
			var calls atomic.Int64
			f := pipeline.Broadcast(pipeline.From(upTo(8)),
				calling(failAt(i%9), pipeline.Workers(2), pipeline.Ordered(2), pipeline.Buffer(1)),
				first(i%5),
				func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Tap(func(int) { calls.Add(1) }) })
			err := f.Run(t.Context())
			if i%9 == 8 {
				require.NoError(t, err)
				require.EqualValues(t, 8, calls.Load())
				continue
			}
			require.EqualError(t, err, fmt.Sprintf("pipeline: stage map: input %d: boom", i%9))
		}
	}
}
