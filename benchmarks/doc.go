// Package benchmarks compares Millstream with what one would write or use instead,
// on the same work. It is a module of its own, so that its dependencies are not
// those of the library.
//
// Each benchmark has one sub-benchmark a subject. To repeat the figures of the
// README, with medians and spreads by benchstat:
//
//	go test -run '^$' -bench . -count 10 ./benchmarks | tee new.txt
//	go run golang.org/x/perf/cmd/benchstat@latest -col /subject new.txt
package benchmarks
