package pipeline_test

import (
	"fmt"

	"github.com/millstream-go/millstream/pipeline"
)

// A crawl: what is before the fetch runs on one goroutine, and so does what is behind.
func examplePlan() pipeline.Plan {
	return pipeline.Plan{Stages: []pipeline.PlannedStage{
		{Name: "from", Kind: "from", Holds: 1},
		{Name: "parse", Kind: "map", From: []int{0}},
		{Name: "fetch", Kind: "map", From: []int{1}, Group: 1, Workers: 8, Buffer: 256,
			Policies: []string{"retry 3"}, Holds: 264},
		{Name: "store", Kind: "foreach", From: []int{2}, Group: 2, Buffer: 256, Holds: 257},
	}}
}

func ExamplePlan_String() {
	fmt.Println(examplePlan())
	// Output:
	// ○ from
	// ○ parse (map)      fused with from
	// │
	// ● fetch (map)      8 workers, buffer 256, retry 3
	// │
	// ○ store (foreach)  buffer 256
	//
	// at most 522 items under way
}

func ExamplePlan_Mermaid() {
	fmt.Print(examplePlan().Mermaid())
	// Output:
	// flowchart LR
	//     %% at most 522 items under way
	//     subgraph fused0["fused"]
	//         s0(["from"])
	//         s1("parse (map)")
	//     end
	//     s2[["fetch (map)<br/>8 workers<br/>retry 3"]]
	//     s3("store (foreach)")
	//     s0 --> s1
	//     s1 -->|"buffer 256"| s2
	//     s2 -->|"buffer 256"| s3
}

func ExamplePlan_DOT() {
	fmt.Print(examplePlan().DOT())
	// Output:
	// digraph plan {
	//     rankdir=LR
	//     label="at most 522 items under way"
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
	//     s3 [label="store (foreach)", style=rounded]
	//     s0 -> s1
	//     s1 -> s2 [label="buffer 256"]
	//     s2 -> s3 [label="buffer 256"]
	// }
}

func ExamplePlan_InFlight() {
	plan := pipeline.Plan{Stages: []pipeline.PlannedStage{
		{Name: "from", Kind: "from", Holds: 1},
		{Name: "fetch", Kind: "map", From: []int{0}, Group: 1, Workers: 8, Buffer: 32, Holds: 40},
	}}
	n, bounded := plan.InFlight()
	fmt.Println(n, bounded)

	plan.Stages = append(plan.Stages, pipeline.PlannedStage{Name: "all", Kind: "batch", From: []int{1}, Group: 2, Holds: -1})
	n, bounded = plan.InFlight()
	fmt.Println(n, bounded)
	// Output:
	// 41 true
	// 41 false
}
