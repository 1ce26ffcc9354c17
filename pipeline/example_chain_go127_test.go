//go:build go1.27

package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

func length(_ context.Context, s string) (int, error) { return len(s), nil }

func add(_ context.Context, a, b int) (int, error) { return a + b, nil }

func sequence(n int) pipeline.Flow[int] {
	return pipeline.From(func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	})
}

func ExampleFlow_Map() {
	got, err := pipeline.FromSlice([]string{"1", "2", "x"}).
		Map(func(_ context.Context, s string) (int, error) { return strconv.Atoi(s) },
			pipeline.Workers(4), pipeline.Ordered(), pipeline.OnError(pipeline.Skip)).
		Map(func(_ context.Context, n int) (string, error) { return fmt.Sprint("#", n), nil }).
		Collect(context.Background())
	fmt.Println(got, err)
	// Output: [#1 #2] <nil>
}

func ExampleFlow_FlatMap() {
	words, err := pipeline.Lines(strings.NewReader(poem)).FlatMap(fields).Take(5).Collect(context.Background())
	fmt.Println(words, err)
	// Output: [the mill by the stream] <nil>
}

func ExampleFlow_Scan() {
	sums, err := sequence(5).Scan(0, add).Collect(context.Background())
	fmt.Println(sums, err)
	// Output: [0 1 3 6 10] <nil>
}

func ExampleFlow_Reduce() {
	letters, err := pipeline.Lines(strings.NewReader(poem)).FlatMap(fields).Map(length).Reduce(0, add).
		Collect(context.Background())
	fmt.Println(letters, err)
	// Output: [52] <nil>
}

func ExampleFlow_Distinct() {
	words, err := pipeline.Lines(strings.NewReader(poem)).FlatMap(fields).Distinct(100, strings.ToUpper).
		Collect(context.Background())
	fmt.Println(words, err)
	// Output: [the mill by stream goes round] <nil>
}

func ExampleFlow_Via() {
	var words pipeline.Stage[string, string] = func(f pipeline.Flow[string]) pipeline.Flow[string] {
		return f.FlatMap(fields).Distinct(100, strings.ToUpper)
	}
	lengths, err := pipeline.Lines(strings.NewReader(poem)).Via(words).Map(length).Collect(context.Background())
	fmt.Println(lengths, err)
	// Output: [3 4 2 6 4 5] <nil>
}

func ExampleFlow_Broadcast() {
	square := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return f.Map(func(_ context.Context, n int) (int, error) { return n * n, nil })
	}
	all := func(f pipeline.Flow[int]) pipeline.Flow[int] { return f }
	sum, err := sequence(4).Broadcast(square, all).Reduce(0, add).Collect(context.Background())
	fmt.Println(sum, err)
	// Output: [20] <nil>
}

func ExampleFlow_Route() {
	halve := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return f.Map(func(_ context.Context, n int) (int, error) { return n / 2, nil })
	}
	fail := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return f.Map(func(context.Context, int) (int, error) { return 0, errors.New("odd") }, pipeline.OnError(pipeline.Skip))
	}
	sum, err := sequence(10).Route(func(n int) int { return n % 2 }, halve, fail).Reduce(0, add).
		Collect(context.Background())
	fmt.Println(sum, err)
	// Output: [10] <nil>
}

func ExampleFlow_Partition() {
	running := func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Scan(0, add) }
	seqOf := func(_ context.Context, n int) (iter.Seq[int], error) {
		return func(yield func(int) bool) { _ = yield(n%2) && yield(n%2) }, nil
	}
	all, err := sequence(3).FlatMap(seqOf).Partition(4, func(n int) int { return n }, running).Collect(context.Background())
	fmt.Println(len(all), err)
	// Output: 6 <nil>
}

func ExampleFlow_Through() {
	p := pool.New(length, pool.Workers(2))
	defer p.Close()
	sum, err := pipeline.Lines(strings.NewReader(poem)).FlatMap(fields).Through(p).Reduce(0, add).
		Collect(context.Background())
	fmt.Println(sum, err)
	// Output: [52] <nil>
}
