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
	// Target is how long a round lasts, about. Work that is skewed needs longer ones: a slow call that comes last would
	// weigh too much in a short one.
	Target time.Duration
}

// Works are the kinds of work that the scenarios are made of.
func Works() []Work {
	return []Work{
		{"noop", "no-op", noop, 60 * time.Millisecond},
		{"1us", "1 µs of computing", spin, 60 * time.Millisecond},
		{"sleep", "50 µs of sleep", sleep, 60 * time.Millisecond},
		{"skewed", "50 µs of sleep, 5 ms for one in 100", skewed, 120 * time.Millisecond},
	}
}

// longSleep is the task of the large workloads, in ants' and in pond's own benchmarks.
var longSleep = Work{"sleep10ms", "10 ms of sleep", func(_ context.Context, v int) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return v + 1, nil
}, 0}

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

func sleep(_ context.Context, v int) (int, error) {
	time.Sleep(short)
	return v + 1, nil
}

// skewed has one call in 100 take 100 times as long.
func skewed(_ context.Context, v int) (int, error) {
	d := short
	if v%100 == 37 {
		d *= 100
	}
	time.Sleep(d)
	return v + 1, nil
}

const short = 50 * time.Microsecond

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
