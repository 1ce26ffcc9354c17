package pipeline_test

import (
	"context"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// crawl parses addresses, fetches the pages and stores them.
func crawl() pipeline.Flow[string] {
	addresses := pipeline.FromSlice([]string{"example.com/a", "example.com/b"})
	parse := func(_ context.Context, address string) (string, error) { return address, nil }
	fetch := func(_ context.Context, address string) (string, error) { return "page of " + address, nil }
	store := func(string) {}

	parsed := pipeline.Map(addresses, parse, pipeline.Named("parse"))
	pages := pipeline.Map(parsed, fetch, pipeline.Named("fetch"), pipeline.Workers(8), pipeline.Buffer(32),
		pipeline.Retry(pool.RetryPolicy{Attempts: 3}))
	return pages.Tap(store, pipeline.Named("store"))
}

// How many workers and goroutines there will be, and how many pages in memory at most.
func ExampleFlow_Plan() {
	plan := crawl().Plan()
	groups := map[int]bool{}
	for _, stage := range plan.Stages {
		groups[stage.Group] = true
		if stage.Workers > 0 {
			fmt.Println(stage.Name, "has", stage.Workers, "workers")
		}
	}
	fmt.Println(len(plan.Stages), "stages run in", len(groups), "places")
	n, _ := plan.InFlight()
	fmt.Println("at most", n, "pages in memory")
	// Output:
	// fetch has 8 workers
	// 5 stages run in 3 places
	// at most 385 pages in memory
}

// A crawl: the steps before the fetch run on one goroutine, and so do the steps after it.
func ExamplePlan_String() {
	fmt.Println(crawl().Plan())
	// Output:
	// ○ from
	// ○ parse (map)  fused with from
	// │
	// ● fetch (map)  8 workers, buffer 32, retry 3
	// │
	// ○ store (tap)  buffer 32
	// ○ terminal     fused with store
	//
	// at most 385 items under way
}

func ExamplePlan_Mermaid() {
	fmt.Print(crawl().Plan().Mermaid())
	// Output:
	// flowchart LR
	//     %% at most 385 items under way
	//     subgraph fused0["fused"]
	//         s0(["from"])
	//         s1("parse (map)")
	//     end
	//     s2[["fetch (map)<br/>8 workers<br/>retry 3"]]
	//     subgraph fused2["fused"]
	//         s3("store (tap)")
	//         s4("terminal")
	//     end
	//     s0 --> s1
	//     s1 -->|"buffer 32"| s2
	//     s2 -->|"buffer 32"| s3
	//     s3 --> s4
}

func ExamplePlan_DOT() {
	fmt.Print(crawl().Plan().DOT())
	// Output:
	// digraph plan {
	//     rankdir=LR
	//     label="at most 385 items under way"
	//     fontname="sans-serif"
	//     node [shape=box, fontname="sans-serif"]
	//     edge [fontname="sans-serif", fontsize=10]
	//     subgraph cluster_0 {
	//         label="fused"
	//         style="rounded,dashed"
	//         s0 [label="from", shape=ellipse]
	//         s1 [label="parse (map)", style=rounded]
	//     }
	//     s2 [label="fetch (map)\n8 workers\nretry 3", peripheries=2]
	//     subgraph cluster_2 {
	//         label="fused"
	//         style="rounded,dashed"
	//         s3 [label="store (tap)", style=rounded]
	//         s4 [label="terminal", style=rounded]
	//     }
	//     s0 -> s1
	//     s1 -> s2 [label="buffer 32"]
	//     s2 -> s3 [label="buffer 32"]
	//     s3 -> s4
	// }
}

// A loop holds one item at a time. A slow stage with workers fills its queue, and a Batch or
// Window fills its slice.
func ExamplePlan_InFlight() {
	numbers := pipeline.FromSlice([]int{1, 2, 3})
	double := func(_ context.Context, n int) (int, error) { return 2 * n, nil }

	fmt.Println(pipeline.Map(numbers, double).Plan().InFlight())
	fmt.Println(pipeline.Map(numbers, double, pipeline.Workers(4), pipeline.Buffer(1)).Plan().InFlight())
	fmt.Println(pipeline.Map(numbers, double, pipeline.Workers(4)).Plan().InFlight())
	fmt.Println(pipeline.Batch(numbers, 1000, time.Second).Plan().InFlight())
	// Output:
	// 1 true
	// 9 true
	// 897 true
	// 1385 true
}
