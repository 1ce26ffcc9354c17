package scenario

import (
	"context"
	"time"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

// Work is what a call does. It gives v+1 for v.
type Work struct {
	Name  string // "noop"
	Title string
	Call  subject.Func

	round  time.Duration // how long a round lasts, about
	fewest int           // inputs of a round, at least; also what their number is a multiple of
	calls  int           // calls of each worker in a round, if it is not to be found; see Calibrate
}

// Works are the kinds of work that most scenarios are made of.
func Works() []Work {
	return []Work{
		{"noop", "no-op", noop, 40 * time.Millisecond, 100, 0},
		{"1us", "1 µs of computing", spin, 40 * time.Millisecond, 100, 0},
		{"sleep", "50 µs of sleep", sleeping(50 * time.Microsecond), 0, 10, 50},
		{"skewed", "1 µs of computing, 100 µs for one in 100", skewed, 60 * time.Millisecond, 100, 0},
	}
}

// The task of the large workloads, in ants' and in pond's own benchmarks, and one that is skewed and waits: what a slow
// call holds up shows where workers are not as few as processors.
var (
	longSleep   = Work{Name: "sleep10ms", Title: "10 ms of sleep", Call: sleeping(10 * time.Millisecond)}
	skewedSleep = Work{Name: "skewed-sleep", Title: "1 ms of sleep, 100 ms for one in 100", Call: skewedSleeping}
)

// noop is the least work there is: what is left is the price of the hand-over.
func noop(_ context.Context, v int) (int, error) { return v + 1, nil }

// spin is about a microsecond of work for the processor; the loop that takes so long is found once, since a clock in it
// would be measured instead.
func spin(_ context.Context, v int) (int, error) {
	if mix(uint64(v)|1, microsecond) == 0 { // never: it keeps the loop from being left out
		return 0, nil
	}
	return v + 1, nil
}

// slow tells which inputs are those that take 100 times as long as the others.
func slow(v int) bool { return v%100 == 37 }

func skewed(_ context.Context, v int) (int, error) {
	rounds := microsecond
	if slow(v) {
		rounds *= 100
	}
	if mix(uint64(v)|1, rounds) == 0 {
		return 0, nil
	}
	return v + 1, nil
}

func skewedSleeping(_ context.Context, v int) (int, error) {
	d := time.Millisecond
	if slow(v) {
		d *= 100
	}
	time.Sleep(d)
	return v + 1, nil
}

func sleeping(d time.Duration) subject.Func {
	return func(_ context.Context, v int) (int, error) {
		time.Sleep(d)
		return v + 1, nil
	}
}

func mix(x uint64, rounds int) uint64 {
	for range rounds {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

var microsecond = func() int {
	const rounds = 1 << 20
	best := time.Hour
	for range 5 {
		start := time.Now()
		if x := mix(1, rounds); x != 0 {
			best = min(best, time.Since(start))
		}
	}
	return int(rounds * time.Microsecond / best)
}()
