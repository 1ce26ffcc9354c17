package pipeline_test

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/millstream-go/millstream/pipeline"
)

const poem = `the mill by the stream
the stream by the mill
the mill goes round`

// fields is a function for FlatMap: it returns the words of a line.
func fields(_ context.Context, line string) (iter.Seq[string], error) {
	return strings.FieldsSeq(line), nil
}

// count is a function for GroupBy: it adds one.
func count(_ context.Context, n int, _ string) (int, error) { return n + 1, nil }

// Steps that change the type are functions, so a flow is read from the inside out, or each
// part gets a name. From Go 1.27 on most of them are methods as well; see the example of
// Flow.FlatMap there.
func Example_functions() {
	lines := pipeline.Lines(strings.NewReader(poem))
	words := pipeline.FlatMap(lines, fields)
	counts := pipeline.GroupBy(words, 100, strings.ToUpper, count)

	for g, err := range counts.Filter(func(g pipeline.Group[string, int]) bool { return g.Count > 1 }).All(context.Background()) {
		fmt.Println(g.Key, g.Value, err)
	}
	// Output:
	// STREAM 2 <nil>
	// BY 2 <nil>
	// THE 5 <nil>
	// MILL 3 <nil>
}
