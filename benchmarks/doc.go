// Package benchmarks compares Millstream with what one would write or use instead,
// on the same work. It is a module of its own, so that its dependencies are not
// those of the library.
//
// Each benchmark has one sub-benchmark a subject. To repeat the figures of the
// README, in ten interleaved rounds, with medians and spreads by benchstat:
//
//	for i in $(seq 10); do go test -run '^$' -bench . -benchtime 0.25s ./benchmarks; done > new.txt
//	go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da -col /subject new.txt
package benchmarks
