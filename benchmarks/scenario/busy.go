package scenario

import (
	"runtime"
	"sync"
	"time"
)

// Busy reports whether others use the processors at this moment: whether as many goroutines as there are processors take
// clearly longer to compute something than one of them alone. It takes some 20 milliseconds.
func Busy() bool {
	alone, together := time.Hour, time.Hour
	for range 3 {
		alone = min(alone, computing(1))
		together = min(together, computing(runtime.GOMAXPROCS(0)))
	}
	return together > alone*13/10
}

// computing returns how long so many goroutines take for two milliseconds of work each.
func computing(goroutines int) time.Duration {
	start := time.Now()
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			if mix(1, 2000*microsecond) == 0 {
				panic("scenario: never")
			}
		})
	}
	all.Wait()
	return time.Since(start)
}
