// Scale measures what an item costs as a pool or a flow grows: over 1 to 100,000 workers, 1,000 to 100,000,000 items and
// 1 to 64 stages.
//
//	go run ./benchmarks/scale                # all, some minutes
//	go run ./benchmarks/scale -part workers  # one of workers, waiting, items and stages
//	go run ./benchmarks/scale -short         # few points, seconds, to the terminal
//
// It writes scale.md, a chart for each part and scale.json, with the figure of each round, into benchmarks/results. A part
// that is measured by itself replaces that of before, and leaves the others. Leave the machine alone meanwhile.
package main
