// Command compare measures Millstream beside what one would use instead, on the same work, and writes tables and charts.
//
// In the root of the repository:
//
//	go run ./benchmarks/compare                         # everything, into benchmarks/results: about a quarter of an hour
//	go run ./benchmarks/compare -run 'flow/3x4/any|do/' # some scenarios, to the terminal
//	go run ./benchmarks/compare -run '/(rill|millstream)$' -rounds 5
//	go run ./benchmarks/compare -short                  # half a minute: is all right, and is ours ahead?
//	go run ./benchmarks/compare -from benchmarks/results/results.json   # tables and charts again, without measuring
//
// Rounds are interleaved over the subjects of a scenario, each time from another one on, so that a machine which warms up
// or slows down treats them alike. What is shown is the median, and half the distance between the quartiles as the spread.
// A subject whose counts, sums or order are wrong is an error and no row.
package main
