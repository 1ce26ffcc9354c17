package pipeline_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

func TestSmoke(t *testing.T) {
	ctx := t.Context()
	double := func(opts ...pipeline.StageOption) pipeline.Stage[int, int] {
		return func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Map(f, func(_ context.Context, v int) (int, error) { return 2 * v, nil }, opts...)
		}
	}
	take := func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Take(3) }
	ident := func(f pipeline.Flow[int]) pipeline.Flow[int] { return f }
	check := func(name string, f pipeline.Flow[int], n int) {
		for range 20 {
			var rep pipeline.Report
			got, err := f.Collect(ctx, pipeline.ReportTo(&rep))
			require.NoError(t, err, name)
			require.Len(t, got, n, name)
			s := rep.Snapshot()
			for _, st := range s.Stages { if st.Name == "" { t.Log(st) } }
			got, err = f.Collect(ctx)
			require.NoError(t, err, name)
			require.Len(t, got, n, name)
			c := 0
			for r := range f.Results(ctx) { require.NoError(t, r.Err); c++ }
			require.Equal(t, n, c)
		}
		fmt.Println(f.Plan())
	}
	src := pipeline.From(upTo(1000))
	check("broadcast", pipeline.Broadcast(src, double(), double(pipeline.Workers(4)), double(pipeline.Workers(4), pipeline.Ordered()), ident, take), 4003)
	check("partition", pipeline.Partition(src, 8, func(v int) int { return v % 100 }, double()), 1000)
	check("partition2", pipeline.Partition(src, 3, func(v int) int { return v % 100 }, double(pipeline.Workers(2), pipeline.Ordered())), 1000)
	check("route", pipeline.Route(src, func(v int) int { return v % 2 }, double(), ident), 1000)
	check("merge", pipeline.Merge(src, src, pipeline.Map(src, same[int], pipeline.Workers(3))), 3000)
	check("mergeordered", pipeline.MergeOrdered(func(a, b int) bool { return a < b }, src, src), 2000)
	p := pool.New(same[int], pool.Workers(4))
	defer p.Close()
	check("through", pipeline.Through(src, p), 1000)
	check("buffer", src.Buffer(10), 1000)
	check("auto", pipeline.Map(src, same[int], pipeline.Workers(pipeline.Auto(1, 8))), 1000)
	check("allgone", pipeline.Broadcast(pipeline.From(naturals), take, take), 6)
	check("distinct", pipeline.Distinct(pipeline.Map(src, func(_ context.Context, v int) (int, error) { return v % 7, nil }), 10, func(v int) int { return v }), 7)
	check("skip", pipeline.Map(src, failAt(7), pipeline.OnError(pipeline.Skip)), 999)
	check("skip", pipeline.Map(src, failAt(7), pipeline.OnError(pipeline.Skip), pipeline.Workers(3), pipeline.Ordered()), 999)

	pairs, err := pipeline.Zip(src, pipeline.From(naturals)).Collect(ctx)
	require.NoError(t, err)
	assert.Len(t, pairs, 1000)
	groups, err := pipeline.GroupBy(src, 100, func(v int) int { return v % 10 }, func(_ context.Context, a, v int) (int, error) { return a + v, nil }).Collect(ctx)
	require.NoError(t, err)
	assert.Len(t, groups, 10)
	ws, err := pipeline.Window(pipeline.From(upTo(10)), 4, 2).Collect(ctx)
	require.NoError(t, err)
	fmt.Println(ws)
	ws, err = pipeline.Window(pipeline.From(upTo(10)), 3, 5).Collect(ctx)
	require.NoError(t, err)
	fmt.Println(ws)
	sum, err := pipeline.Reduce(src, 0, func(_ context.Context, a, v int) (int, error) { return a + v, nil }).Collect(ctx)
	require.NoError(t, err)
	assert.Equal(t, []int{499500}, sum)
	lines, err := pipeline.Lines(strings.NewReader("a\nb\r\nc")).Collect(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "c"}, lines)

	var letters []pipeline.Letter
	got, err := pipeline.Map(src, failAt(7), pipeline.OnError(pipeline.DeadLetter(func(l pipeline.Letter) { letters = append(letters, l) })),
		pipeline.Retry(pool.RetryPolicy{Attempts: 3, Base: time.Microsecond})).Collect(ctx)
	require.NoError(t, err)
	assert.Len(t, got, 999)
	fmt.Printf("%+v\n", letters)
	drain, stop := context.WithCancel(ctx)
	n := 0
	batches, err := pipeline.Batch(pipeline.From(naturals).Tap(func(v int) { if n++; n == 25 { stop() } }), 10, 0).Collect(ctx, pipeline.Drain(drain))
	require.NoError(t, err)
	assert.Equal(t, slices.Concat(batches...), numbers(25))
	ticks := 0
	require.NoError(t, pipeline.Map(pipeline.From(upTo(20)), sleepFor(time.Millisecond)).Run(ctx, pipeline.Progress(func(s pipeline.Snapshot) { ticks++ }, time.Millisecond)))
	assert.Greater(t, ticks, 1)
}
