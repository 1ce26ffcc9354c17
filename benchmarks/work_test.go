package benchmarks

import (
	"context"
	"iter"
	"testing"
	"time"
)

// next is the least work there is: what is left is the price of the hand-over.
func next(_ context.Context, v int) (int, error) { return v + 1, nil }

// spin is about a microsecond of work for the processor; the loop that takes so
// long is found once, since a clock in it would be measured instead.
func spin(_ context.Context, v int) (int, error) {
	x := uint64(v) | 1
	for range microsecond {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 { // never: it keeps the loop from being left out
		return 0, nil
	}
	return v + 1, nil
}

var microsecond = func() int {
	const rounds = 1 << 20
	best := time.Hour
	for range 5 {
		x, start := uint64(1), time.Now()
		for range rounds {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		if d := time.Since(start); x != 0 && d < best {
			best = d
		}
	}
	return int(rounds * time.Microsecond / best)
}()

// upTo gives the numbers from 0 to n-1.
func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// want fails a benchmark whose subject did not do the work: each of n numbers
// from 0 on must have been raised by steps.
func want(b *testing.B, n, steps, count, sum int) {
	b.Helper()
	if count != n || sum != n*(n-1)/2+n*steps {
		b.Fatalf("%d outputs with sum %d for %d inputs", count, sum, n)
	}
}

// newClock returns the cheapest exact clock that the standard library has.
func newClock() func() time.Duration {
	epoch := time.Now()
	return func() time.Duration { return time.Since(epoch) }
}
