package main

import (
	"slices"

	"github.com/millstream-go/millstream/benchmarks/scenario"
)

// samples are what the rounds of one subject took for an input.
type samples struct{ ns, bytes, allocs []float64 }

func (s *samples) add(m scenario.Measure) {
	ns, bytes, allocs := m.PerItem()
	s.ns, s.bytes, s.allocs = append(s.ns, ns), append(s.bytes, bytes), append(s.allocs, allocs)
}

// quantile returns the value below which a share of xs lies, between two values in proportion. xs is not changed; it must
// not be empty.
func quantile(xs []float64, share float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	at := share * float64(len(xs)-1)
	i := int(at)
	if i == len(xs)-1 {
		return xs[i]
	}
	return xs[i] + (at-float64(i))*(xs[i+1]-xs[i])
}

func median(xs []float64) float64 { return quantile(xs, 0.5) }

// spread is half the distance between the quartiles, as a share of the median.
func spread(xs []float64) float64 {
	m := median(xs)
	if m == 0 {
		return 0
	}
	return (quantile(xs, 0.75) - quantile(xs, 0.25)) / 2 / m
}
