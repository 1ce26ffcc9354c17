package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

// Three words are measured by two workers, in the order in which they came.
func Example() {
	words := pipeline.FromSlice([]string{"mill", "stream", "ox"})
	lengths := pipeline.Map(words, func(_ context.Context, w string) (int, error) {
		return len(w), nil
	}, pipeline.Workers(2), pipeline.Ordered())

	got, err := lengths.Filter(func(n int) bool { return n > 2 }).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [4 6] <nil>
}

// A plan can be run more than once, and others can be built upon it.
func ExampleFlow() {
	ctx := context.Background()
	numbers := pipeline.FromSlice([]int{1, 2, 3, 4})
	even := numbers.Filter(func(n int) bool { return n%2 == 0 })

	all, _ := numbers.Collect(ctx)
	some, _ := even.Collect(ctx)
	again, _ := even.Collect(ctx)
	fmt.Println(all, some, again)
	// Output: [1 2 3 4] [2 4] [2 4]
}

func ExampleFrom() {
	powers := func(yield func(int) bool) {
		for n := 1; yield(n); n *= 2 {
		}
	}
	got, err := pipeline.From(powers).Take(6).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [1 2 4 8 16 32] <nil>
}

func ExampleFromSlice() {
	got, err := pipeline.FromSlice([]string{"a", "b"}).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [a b] <nil>
}

// A channel serves one run.
func ExampleFromChan() {
	c := make(chan string, 2)
	c <- "first"
	c <- "second"
	close(c)

	f := pipeline.FromChan(c)
	got, err := f.Collect(context.Background())
	fmt.Println(got, err)
	_, err = f.Collect(context.Background())
	fmt.Println(errors.Is(err, pipeline.ErrSourceUsed))
	// Output:
	// [first second] <nil>
	// true
}

func ExampleMap() {
	texts := pipeline.FromSlice([]string{"1", "2", "x", "4"})
	numbers := pipeline.Map(texts, func(_ context.Context, s string) (int, error) {
		return strconv.Atoi(s)
	})
	_, err := numbers.Collect(context.Background())
	fmt.Println(err)
	// Output: pipeline: stage map: input 2: strconv.Atoi: parsing "x": invalid syntax
}

func ExampleFlatMap() {
	lines := pipeline.FromSlice([]string{"to be", "or not to be"})
	words := pipeline.FlatMap(lines, func(_ context.Context, line string) (iter.Seq[string], error) {
		return strings.FieldsSeq(line), nil
	})
	got, err := words.Collect(context.Background())
	fmt.Println(strings.Join(got, ","), err)
	// Output: to,be,or,not,to,be <nil>
}

func ExampleBatch() {
	numbers := pipeline.FromSlice([]int{1, 2, 3, 4, 5})
	for batch, err := range pipeline.Batch(numbers, 2, time.Second).All(context.Background()) {
		fmt.Println(batch, err)
	}
	// Output:
	// [1 2] <nil>
	// [3 4] <nil>
	// [5] <nil>
}

func ExampleFlow_Filter() {
	got, err := pipeline.FromSlice([]string{"mill", "", "stream"}).
		Filter(func(s string) bool { return s != "" }).
		Collect(context.Background())
	fmt.Printf("%q %v\n", got, err)
	// Output: ["mill" "stream"] <nil>
}

func ExampleFlow_Tap() {
	sum := 0
	err := pipeline.FromSlice([]int{1, 2, 3}).
		Tap(func(n int) { sum += n }). // without Workers, so by one goroutine
		Run(context.Background())
	fmt.Println(sum, err)
	// Output: 6 <nil>
}

func ExampleFlow_Take() {
	slow := pipeline.Map(pipeline.From(func(yield func(int) bool) {
		for n := 0; yield(n); n++ {
		}
	}), func(ctx context.Context, n int) (int, error) {
		if n < 3 {
			return n, nil
		}
		<-ctx.Done() // Take has had enough: the calls in flight are canceled
		return 0, ctx.Err()
	}, pipeline.Workers(8), pipeline.Ordered())

	got, err := slow.Take(3).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [0 1 2] <nil>
}

// Run is for flows that do their work in a stage.
func ExampleFlow_Run() {
	f := pipeline.Map(pipeline.FromSlice([]string{"a", "b"}), func(context.Context, string) (string, error) {
		return "", errors.New("disk full")
	}, pipeline.Named("write"))
	fmt.Println(f.Run(context.Background()))
	// Output: pipeline: stage write: input 0: disk full
}

func ExampleFlow_ForEach() {
	err := pipeline.FromSlice([]string{"mill", "stream"}).
		ForEach(context.Background(), func(_ context.Context, s string) error {
			fmt.Println(s)
			return nil
		})
	fmt.Println(err)
	// Output:
	// mill
	// stream
	// <nil>
}

func ExampleFlow_Collect() {
	got, err := pipeline.FromSlice([]int{3, 1, 2}).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [3 1 2] <nil>
}

// The error, if there is one, comes last.
func ExampleFlow_All() {
	halves := pipeline.Map(pipeline.FromSlice([]int{4, 6, 7, 8}), func(_ context.Context, n int) (int, error) {
		if n%2 != 0 {
			return 0, fmt.Errorf("%d is odd", n)
		}
		return n / 2, nil
	})
	for half, err := range halves.All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(half)
	}
	// Output:
	// 2
	// 3
	// pipeline: stage map: input 2: 7 is odd
}

// Failures come as results like any other, and the run goes on.
func ExampleFlow_Results() {
	numbers := pipeline.Map(pipeline.FromSlice([]string{"1", "x", "3"}), func(_ context.Context, s string) (int, error) {
		return strconv.Atoi(s)
	}, pipeline.Workers(2), pipeline.Ordered())
	for r := range numbers.Results(context.Background()) {
		if r.Err != nil {
			fmt.Println(r.Index, r.Status())
			continue
		}
		fmt.Println(r.Index, r.Status(), r.Value)
	}
	// Output:
	// 0 succeeded 1
	// 1 failed
	// 2 succeeded 3
}

func ExampleStageError() {
	f := pipeline.FromSlice([]int{10, 20, 0}).
		Tap(func(n int) { _ = 100 / n }, pipeline.Named("divide"))
	err := f.Run(context.Background())

	if stage, ok := errors.AsType[*pipeline.StageError](err); ok {
		fmt.Println(stage.Stage, stage.Index)
	}
	if cause, ok := errors.AsType[runtime.Error](err); ok { // a panic is seen through, too
		fmt.Println(cause)
	}
	// Output:
	// divide 2
	// runtime error: integer divide by zero
}

// An option sets how one stage runs; the others stay as they are.
func ExampleStageOption() {
	pool := []pipeline.StageOption{pipeline.Workers(4), pipeline.Ordered(), pipeline.Buffer(16)}
	f := pipeline.Map(pipeline.FromSlice([]int{1, 2, 3}), double, pool...)
	f = pipeline.Map(f, double)
	f = pipeline.Map(f, double, pool...)
	fmt.Println(f.Collect(context.Background()))
	// Output: [8 16 24] <nil>
}

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

func ExampleNamed() {
	err := pipeline.FromSlice([]int{1}).ForEach(context.Background(), func(context.Context, int) error {
		return errors.New("no route to host")
	}, pipeline.Named("upload"))
	fmt.Println(err)
	// Output: pipeline: stage upload: input 0: no route to host
}

// Four workers take turns; the outputs come as the calls end.
func ExampleWorkers() {
	f := pipeline.Map(pipeline.FromSlice([]int{4, 3, 2, 1}), double, pipeline.Workers(4))
	got, err := f.Collect(context.Background())
	slices.Sort(got)
	fmt.Println(got, err)
	// Output: [2 4 6 8] <nil>
}

// The first call is the slowest, and its output still comes first. At most 8
// inputs are in the stage at once, finished ones included.
func ExampleOrdered() {
	f := pipeline.Map(pipeline.FromSlice([]int{3, 2, 1}), func(_ context.Context, n int) (int, error) {
		time.Sleep(time.Duration(n) * time.Millisecond)
		return n, nil
	}, pipeline.Workers(4), pipeline.Ordered(8))
	fmt.Println(f.Collect(context.Background()))
	// Output: [3 2 1] <nil>
}

// With a small buffer the source is not far ahead of slow calls.
func ExampleBuffer() {
	f := pipeline.Map(pipeline.FromSlice([]int{1, 2, 3}), double, pipeline.Workers(1), pipeline.Buffer(1))
	fmt.Println(f.Collect(context.Background()))
	// Output: [2 4 6] <nil>
}
