// Package benchmarks has the benchmarks for those who work on Millstream: each looks at one part, some of them beside
// what one would write by hand. They run with go test, and command regress compares two commits by them:
//
//	go test -run '^$' -bench ThreeStages ./benchmarks
//	go run ./benchmarks/regress main
//
// How Millstream compares with other libraries is command compare's business; see README.md. This is a module of its own,
// so that its dependencies are not those of the library.
package benchmarks
