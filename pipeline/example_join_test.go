package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-go/millstream/pipeline"
)

// The files of two directories are searched together.
func ExampleMerge() {
	home := pipeline.FromSlice([]string{"home/notes.txt", "home/plan.md"})
	work := pipeline.FromSlice([]string{"work/plan.md"})
	plans, err := pipeline.Merge(home, work).
		Filter(func(path string) bool { return strings.HasSuffix(path, "plan.md") }).
		Collect(context.Background())
	slices.Sort(plans) // they come as they are found
	fmt.Println(plans, err)
	// Output: [home/plan.md work/plan.md] <nil>
}

// The logs of two servers, each in order of time, become one.
func ExampleMergeOrdered() {
	web := pipeline.FromSlice([]string{"10:01 web start", "10:04 web ready"})
	db := pipeline.FromSlice([]string{"10:00 db start", "10:03 db ready", "10:09 db slow"})
	earlier := func(a, b string) bool { return a[:5] < b[:5] }
	for line, err := range pipeline.MergeOrdered(earlier, web, db).All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(line)
	}
	// Output:
	// 10:00 db start
	// 10:01 web start
	// 10:03 db ready
	// 10:04 web ready
	// 10:09 db slow
}

// Two versions of a list are compared line by line.
func ExampleZip() {
	was := pipeline.FromSlice([]string{"bread", "milk", "eggs"})
	is := pipeline.FromSlice([]string{"bread", "tea", "eggs", "jam"})
	changed := pipeline.Zip(was, is).Filter(func(p pipeline.Pair[string, string]) bool { return p.A != p.B })
	for p, err := range changed.All(context.Background()) {
		fmt.Println(p.A, "->", p.B, err)
	}
	// Output: milk -> tea <nil>
}
