// Package guard holds the tests that keep the whole module in order: they read its sources and pages instead of
// running them, and fail when a promise that no compiler checks is broken.
//
// There is one file per promise:
//
//   - api_test.go: the exported API of each package is what its golden file in docs/api says.
//   - comments_test.go: each exported name and each package is documented.
//   - examples_test.go: each exported function and method has an example that runs.
//   - imports_test.go: packages import only what the table of layers allows, go.mod requires only what was decided.
//   - toplevel_test.go: nothing strays into the root of the repository.
//   - links_test.go: relative links in the pages lead somewhere.
//   - guarantees_test.go: the tests that docs/guarantees.md names exist, and each promise has one.
//   - build_test.go: no test package is linked into a program.
//
// Every check is a function from sources to a list of complaints. Its own test feeds it samples that break the rule,
// so that a check which has gone blind fails before it lets anything through.
//
// After a wanted change of the API, rewrite the golden files and read their diff:
//
//	go test ./internal/guard -update
//
// The package is made of tests alone; nothing imports it.
package guard
