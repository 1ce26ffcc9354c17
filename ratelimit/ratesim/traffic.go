package ratesim

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// Bursts returns traffic of n requests at the same instant, at the start and after each interval.
// It panics unless n and every are positive.
func Bursts(n int, every time.Duration) iter.Seq[Arrival] {
	if n < 1 || every <= 0 {
		panic(fmt.Sprintf("ratesim: Bursts(%d, %v): want more than 0", n, every))
	}
	return func(yield func(Arrival) bool) {
		for at := time.Duration(0); at >= 0; at += every { // until the time overflows
			for range n {
				if !yield(Arrival{At: at, N: 1}) {
					return
				}
			}
		}
	}
}

// Steady returns traffic of perSecond requests a second, evenly spaced. It panics unless the rate
// is positive and at most 1e9.
func Steady(perSecond float64) iter.Seq[Arrival] {
	checkRate("Steady", perSecond)
	return func(yield func(Arrival) bool) {
		for i := 0; ; i++ { // computed from the start, since adding up intervals drifts
			at := float64(i) / perSecond * float64(time.Second)
			if at > math.MaxInt64/2 || !yield(Arrival{At: time.Duration(at), N: 1}) {
				return
			}
		}
	}
}

// Poisson returns the traffic of many independent clients, perSecond requests a second on average.
// The same seed gives the same traffic. It panics unless the rate is positive and at most 1e9.
func Poisson(perSecond float64, seed uint64) iter.Seq[Arrival] {
	checkRate("Poisson", perSecond)
	return func(yield func(Arrival) bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		at := 0.0
		for {
			at += r.ExpFloat64() / perSecond * float64(time.Second)
			if at > math.MaxInt64/2 || !yield(Arrival{At: time.Duration(at), N: 1}) {
				return
			}
		}
	}
}

func checkRate(who string, perSecond float64) {
	if !(perSecond > 0 && perSecond <= 1e9) {
		panic(fmt.Sprintf("ratesim: %s(%v): want more than 0 and at most 1e9", who, perSecond))
	}
}

// Between returns the traffic moved to start at from, and cut off at to.
func Between(from, to time.Duration, traffic iter.Seq[Arrival]) iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		for a := range traffic {
			a.At += from
			if a.At >= to || a.At < from || !yield(a) {
				return
			}
		}
	}
}

// Together returns all the traffic merged, in the order of time.
func Together(traffic ...iter.Seq[Arrival]) iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		type source struct {
			next func() (Arrival, bool)
			head Arrival
		}
		var sources []source
		var stops []func()
		defer func() {
			for _, stop := range stops {
				stop()
			}
		}()
		for _, t := range traffic {
			next, stop := iter.Pull(t)
			stops = append(stops, stop)
			if head, ok := next(); ok {
				sources = append(sources, source{next, head})
			}
		}
		for len(sources) > 0 {
			first := 0
			for i, s := range sources {
				if s.head.At < sources[first].head.At {
					first = i
				}
			}
			s := &sources[first]
			if !yield(s.head) {
				return
			}
			var ok bool
			if s.head, ok = s.next(); !ok {
				sources = append(sources[:first], sources[first+1:]...)
			}
		}
	}
}
