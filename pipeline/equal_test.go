package pipeline_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// A flow gives what a plain loop gives, however its stages are run: the same
// values, and in the same order if all stages keep it.
func TestEveryWayOfRunningGivesWhatALoopGives(t *testing.T) {
	pipelinetest.NoLeak(t)
	const n = 200
	var want []int
	for i := range n {
		for j := range i % 3 {
			if v := 10*i + j + 1; v%7 != 0 {
				want = append(want, v*v)
			}
		}
	}
	expand := func(_ context.Context, i int) (iter.Seq[int], error) {
		if i%3 == 0 {
			return nil, nil
		}
		return func(yield func(int) bool) {
			for j := range i % 3 {
				if !yield(10*i + j) {
					return
				}
			}
		}, nil
	}
	inc := func(_ context.Context, v int) (int, error) { return v + 1, nil }
	square := func(_ context.Context, v int) (int, error) { return v * v, nil }
	for _, first := range stages {
		for _, second := range stages {
			for _, third := range stages {
				name := fmt.Sprint(first.name, "/", second.name, "/", third.name)
				f := pipeline.FlatMap(pipeline.From(upTo(n)), expand, first.opts...)
				f = pipeline.Map(f, inc).Filter(func(v int) bool { return v%7 != 0 }, second.opts...)
				f = pipeline.Map(f, square, third.opts...)
				got, err := f.Collect(t.Context())
				require.NoError(t, err, name)
				if !first.ordered || !second.ordered || !third.ordered {
					slices.Sort(got)
				}
				require.Equal(t, want, got, name)
			}
		}
	}
}

// The terminals agree with each other.
func TestTerminalsAgree(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(upTo(500)), same, s.opts...)
			want := numbers(500)

			got, err := f.Collect(t.Context())
			require.NoError(t, err)
			assert.ElementsMatch(t, want, got)

			got = nil
			for v, err := range f.All(t.Context()) {
				require.NoError(t, err)
				got = append(got, v)
			}
			assert.ElementsMatch(t, want, got)

			got = nil
			for r := range f.Results(t.Context()) {
				require.NoError(t, r.Err)
				assert.Equal(t, r.Index, r.Value)
				got = append(got, r.Value)
			}
			assert.ElementsMatch(t, want, got)

			got = nil
			require.NoError(t, f.ForEach(t.Context(), func(_ context.Context, v int) error {
				got = append(got, v) // without workers by one goroutine, the caller's
				return nil
			}))
			assert.ElementsMatch(t, want, got)

			got = nil
			require.NoError(t, f.Tap(func(v int) { got = append(got, v) }).Run(t.Context()))
			assert.ElementsMatch(t, want, got)
		})
	}
}

func TestForEachWithWorkersSeesEveryValueOnce(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		seen := make([]int, 2000) // an element each: no two calls share one
		require.NoError(t, pipeline.From(upTo(len(seen))).ForEach(t.Context(), func(_ context.Context, v int) error {
			seen[v]++
			return nil
		}, options(s.opts)...), s.name)
		for v, times := range seen {
			require.Equal(t, 1, times, "%s: %d", s.name, v)
		}
	}
}

func TestEmptyFlows(t *testing.T) {
	pipelinetest.NoLeak(t)
	closed := make(chan int)
	close(closed)
	for name, source := range map[string]func() pipeline.Flow[int]{
		"From":        func() pipeline.Flow[int] { return pipeline.From(upTo(0)) },
		"FromSlice":   func() pipeline.Flow[int] { return pipeline.FromSlice([]int{}) },
		"nil slice":   func() pipeline.Flow[int] { return pipeline.FromSlice[int](nil) },
		"FromChan":    func() pipeline.Flow[int] { return pipeline.FromChan(closed) },
		"Take(0)":     func() pipeline.Flow[int] { return pipeline.From(naturals).Take(0) },
		"all dropped": func() pipeline.Flow[int] { return pipeline.From(upTo(99)).Filter(func(int) bool { return false }) },
	} {
		for _, s := range stages {
			got, err := pipeline.Batch(pipeline.Map(source(), same, s.opts...), 3, 0).Collect(t.Context())
			require.NoError(t, err, "%s, %s", name, s.name)
			assert.Nil(t, got, "%s, %s: nothing allocated for nothing", name, s.name)
			for range pipeline.Map(source(), same, s.opts...).Results(t.Context()) {
				if name != "FromChan" { // that one was used
					assert.Fail(t, "a result of nothing", "%s, %s", name, s.name)
				}
			}
		}
	}
}

// The zero value of any type can travel: nothing takes it for an end.
func TestZeroValuesTravel(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		got, err := pipeline.Map(pipeline.FromSlice(make([]any, 300)), same, s.opts...).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 300, s.name)
	}
}
