package pipeline_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
)

// A stage is made of parts, and put behind any flow.
func ExampleStage() {
	var even pipeline.Stage[int, int] = func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return f.Filter(func(n int) bool { return n%2 == 0 })
	}
	few, _ := even(pipeline.FromSlice([]int{1, 2, 3, 4})).Collect(context.Background())
	more, _ := even(pipeline.FromSlice([]int{5, 6})).Collect(context.Background())
	fmt.Println(few, more)
	// Output: [2 4] [6]
}

func ExampleThen() {
	parse := func(f pipeline.Flow[string]) pipeline.Flow[int] {
		return pipeline.Map(f, func(_ context.Context, s string) (int, error) { return strconv.Atoi(s) })
	}
	square := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(f, func(_ context.Context, n int) (int, error) { return n * n, nil }, pipeline.Workers(2))
	}
	both := pipeline.Then(parse, square)
	got, err := both(pipeline.FromSlice([]string{"7"})).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [49] <nil>
}

// The stages run in the order in which they are written, also if one of them is
// itself made of two.
func TestThenIsAssociative(t *testing.T) {
	add := func(letter string) pipeline.Stage[string, string] {
		return func(f pipeline.Flow[string]) pipeline.Flow[string] {
			return pipeline.Map(f, func(_ context.Context, s string) (string, error) { return s + letter, nil })
		}
	}
	for name, s := range map[string]pipeline.Stage[string, string]{
		"left":  pipeline.Then(pipeline.Then(add("a"), add("b")), add("c")),
		"right": pipeline.Then(add("a"), pipeline.Then(add("b"), add("c"))),
	} {
		for range 2 { // a stage is used again
			got, err := s(pipeline.FromSlice([]string{"", "x"})).Collect(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []string{"abc", "xabc"}, got, name)
		}
	}
}

func TestThenOfNoStage(t *testing.T) {
	id := func(f pipeline.Flow[int]) pipeline.Flow[int] { return f }
	const text = "pipeline: Then: nil stage"
	assert.PanicsWithValue(t, text, func() { pipeline.Then[int, int, int](nil, id) })
	assert.PanicsWithValue(t, text, func() { pipeline.Then[int, int, int](id, nil) })
}
