// Package benchmarks has the benchmarks for those who work on Millstream: each looks at one part, some of them beside
// what one would write by hand. They run with go test, and command regress compares two commits by them:
//
//	go test -run '^$' -bench ThreeStages ./benchmarks
//	go run ./benchmarks/regress main
//
// Command compare measures how Millstream compares with other libraries; see README.md. The examples are the code of
// docs/coming-from.md. This is a module of its own, so that its dependencies are not those of the library.
package benchmarks
