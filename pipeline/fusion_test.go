package pipeline_test

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// seen collects on which goroutines a function was called.
type seen struct {
	mu  sync.Mutex
	ids []string
}

func (s *seen) note() {
	id := goroutine()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.ids, id) {
		s.ids = append(s.ids, id)
	}
}

// noted notes on which goroutine each call is made.
func noted(s *seen) func(context.Context, int) (int, error) {
	return func(_ context.Context, v int) (int, error) {
		s.note()
		return v, nil
	}
}

// A flow without workers is a plain loop on the caller's goroutine: every
// function runs there, and each value is through before the next is pulled.
func TestAFlowWithoutWorkersIsALoopOnTheCallersGoroutine(t *testing.T) {
	pipelinetest.NoLeak(t)
	var s seen
	var steps []int
	note := func(step int) {
		s.note()
		steps = append(steps, step) // a race if this were more than one goroutine
	}
	f := pipeline.From(func(yield func(int) bool) {
		note(1)
		_ = yield(7) && yield(8)
	})
	f = pipeline.Map(f, func(_ context.Context, v int) (int, error) { note(2); return v, nil })
	f = f.Filter(func(int) bool { note(3); return true }).Tap(func(int) { note(4) }).Take(5)
	f = pipeline.FlatMap(f, func(_ context.Context, v int) (iter.Seq[int], error) {
		return func(yield func(int) bool) { note(5); yield(v) }, nil
	})
	g := pipeline.Batch(f, 1, 0)
	require.NoError(t, g.ForEach(t.Context(), func(context.Context, []int) error { note(6); return nil }))
	assert.Equal(t, []int{1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6}, steps)
	assert.Equal(t, []string{goroutine()}, s.ids)
}

// Stages at the front run with the source, those between two pools on one
// goroutine of theirs, those at the end with the terminal.
func TestNeighboursWithoutWorkersAreFused(t *testing.T) {
	pipelinetest.NoLeak(t)
	var source, front1, front2, pool1, hop1, hop2, pool2, end, body seen
	f := pipeline.From(func(yield func(int) bool) {
		for i := range 500 {
			source.note()
			if !yield(i) {
				return
			}
		}
	})
	f = pipeline.Map(pipeline.Map(f, noted(&front1)), noted(&front2))
	f = pipeline.Map(f, noted(&pool1), pipeline.Workers(3))
	f = pipeline.Map(pipeline.Map(f, noted(&hop1)), noted(&hop2))
	f = pipeline.Map(f, noted(&pool2), pipeline.Workers(3))
	f = pipeline.Map(f, noted(&end))
	for _, err := range f.All(t.Context()) {
		require.NoError(t, err)
		body.note()
	}
	for _, s := range []*seen{&source, &front1, &front2, &hop1, &hop2, &end, &body} {
		assert.Len(t, s.ids, 1)
	}
	assert.Equal(t, source.ids, front1.ids)
	assert.Equal(t, source.ids, front2.ids)
	assert.Equal(t, hop1.ids, hop2.ids)
	assert.NotEqual(t, source.ids, hop1.ids)
	assert.Equal(t, []string{goroutine()}, end.ids)
	assert.Equal(t, []string{goroutine()}, body.ids)
	assert.LessOrEqual(t, len(pool1.ids), 3)
	assert.LessOrEqual(t, len(pool2.ids), 3)
	for _, id := range pool1.ids {
		assert.NotContains(t, pool2.ids, id, "stages with workers are never fused")
	}
}

// A batch with a maxWait runs the steps before it on another goroutine.
func TestATimedBatchSplitsAFlow(t *testing.T) {
	pipelinetest.NoLeak(t)
	var before, behind seen
	f := pipeline.Map(pipeline.From(upTo(10)), noted(&before))
	g := pipeline.Batch(f, 2, time.Hour).Tap(func([]int) { behind.note() })
	require.NoError(t, g.Run(t.Context()))
	assert.Len(t, before.ids, 1)
	assert.Equal(t, []string{goroutine()}, behind.ids)
	assert.NotEqual(t, before.ids, behind.ids)
}

// Without Workers a function is called by one goroutine at a time and in order,
// wherever the stage stands.
func TestAStageWithoutWorkersIsCalledOneAtATimeInOrder(t *testing.T) {
	pipelinetest.NoLeak(t)
	pool := []pipeline.StageOption{pipeline.Workers(4), pipeline.Ordered()}
	for name, around := range map[string][2][]pipeline.StageOption{
		"alone":             {nil, nil},
		"at the front":      {nil, pool},
		"between two pools": {pool, pool},
		"at the end":        {pool, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var g pipelinetest.Gauge
			var order []int
			f := pipeline.Map(pipeline.From(upTo(3000)), same, around[0]...)
			f = pipeline.Map(f, pipelinetest.Gauged(&g, func(_ context.Context, v int) (int, error) {
				order = append(order, v)
				return v, nil
			}))
			require.NoError(t, pipeline.Map(f, same, around[1]...).Run(t.Context()))
			assert.Equal(t, 1, g.Peak())
			assert.Equal(t, numbers(3000), order)
		})
	}
}

// Workers(n) is exactly n: all of them work, and never one more.
func TestWorkersBoundsTheCallsInFlightExactly(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Ordered()}, {pipeline.Ordered(n)}, {pipeline.Buffer(1)}} {
			testkit.Bubble(t, func(t *testing.T) {
				var g pipelinetest.Gauge
				start := time.Now()
				f := pipeline.Map(pipeline.From(upTo(10*n)), pipelinetest.Gauged(&g, sleepFor(time.Second)),
					append(opts, pipeline.Workers(n))...)
				require.NoError(t, f.Run(t.Context()))
				assert.Equal(t, n, g.Peak())
				assert.Equal(t, 10*time.Second, time.Since(start))
			})
		}
	}
}

// Two pools in a row each keep their full number in flight at the same time.
func TestTwoPoolsEachKeepTheirFullNumberInFlight(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var first, second pipelinetest.Gauge
		var both atomic.Int64
		f := pipeline.Map(pipeline.From(upTo(60)), pipelinetest.Gauged(&first, sleepFor(time.Second)), pipeline.Workers(3))
		f = pipeline.Map(f, pipelinetest.Gauged(&second, func(_ context.Context, v int) (int, error) {
			time.Sleep(time.Second / 2)
			if first.Running() == 3 && second.Running() == 3 {
				both.Add(1)
			}
			time.Sleep(time.Second / 2)
			return v, nil
		}), pipeline.Workers(3))
		start := time.Now()
		require.NoError(t, f.Run(t.Context()))
		assert.Equal(t, 3, first.Peak())
		assert.Equal(t, 3, second.Peak())
		assert.EqualValues(t, 57, both.Load(), "all but the last round of the second pool")
		assert.Equal(t, 21*time.Second, time.Since(start))
	})
}

// A worker is started when an item finds no idle one: items that come one after
// another do not start all of them.
func TestWorkersAreStartedWhenNeeded(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var s seen
		f := pipeline.From(func(yield func(int) bool) {
			for i := range 20 {
				time.Sleep(time.Second)
				if !yield(i) {
					return
				}
			}
		})
		require.NoError(t, pipeline.Map(f, noted(&s), pipeline.Workers(8)).Run(t.Context()))
		assert.Len(t, s.ids, 1)
	})
}
