//go:build !race

package pool_test

// raceEnabled says that the race detector runs: it allocates, and slows down.
const raceEnabled = false
