package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// trend is how a series of measurements went on. It is decided without a straight line fitted by least squares, which
// one outlier bends: the slope is the median of the slopes of all pairs (Theil and Sen), and whether it is more than
// chance is said by how many pairs rise (Mann and Kendall).
type trend struct {
	n      int     // measurements that count
	median float64 // of the values
	slope  float64 // a second
	growth float64 // slope times the time that they cover
	p      float64 // of so many rising pairs by chance, if there were no trend
}

const (
	// warmUp is the share of the measurements that do not count: pools and caches fill first.
	warmUp = 0.2
	// fewest is how many there have to be beyond it.
	fewest = 20
	// byChance is the p below which a trend is one.
	byChance = 0.01
)

// trendOf takes seconds and values.
func trendOf(at, values []float64) trend {
	skip := int(math.Ceil(warmUp * float64(len(at))))
	at, values = at[skip:], values[skip:]
	t := trend{n: len(at), p: 1}
	if t.n < fewest {
		return t
	}
	t.median = medianOf(slices.Clone(values))
	slopes := make([]float64, 0, t.n*(t.n-1)/2)
	rising := 0
	for i := range values {
		for j := i + 1; j < len(values); j++ {
			slopes = append(slopes, (values[j]-values[i])/(at[j]-at[i]))
			rising += cmp.Compare(values[j], values[i])
		}
	}
	t.slope = medianOf(slopes)
	t.growth = t.slope * (at[t.n-1] - at[0])

	n := float64(t.n)
	variance := n * (n - 1) * (2*n + 5)
	for _, ties := range repeats(values) {
		k := float64(ties)
		variance -= k * (k - 1) * (2*k + 5)
	}
	if variance > 0 {
		z := float64(rising-1) / math.Sqrt(variance/18)
		t.p = math.Erfc(z/math.Sqrt2) / 2 // one side: only growth is a fault
	}
	return t
}

// enough tells whether there was enough to decide on.
func (t trend) enough() bool { return t.n >= fewest }

// rises tells whether there is a trend upwards that is more than chance, and more than least over the whole time or a
// twentieth of the median, whichever is larger.
func (t trend) rises(least float64) bool {
	return t.p < byChance && t.growth > max(least, t.median/20)
}

func (t trend) verdict(what, unit string, per, least float64) string {
	switch {
	case !t.enough():
		return fmt.Sprintf("%s: too short to tell", what)
	case t.rises(least):
		return fmt.Sprintf("%s: RISES by %.3g %s over the run (median %.3g, p %.2g)", what, t.growth/per, unit, t.median/per, t.p)
	default:
		return fmt.Sprintf("%s: flat at %.3g %s, trend %+.2g over the run (p %.2g)", what, t.median/per, unit, t.growth/per, t.p)
	}
}

func medianOf(values []float64) float64 {
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return values[mid]
	}
	return (values[mid-1] + values[mid]) / 2
}

// repeats is how often each value occurs that does so more than once.
func repeats(values []float64) []int {
	count := map[float64]int{}
	for _, v := range values {
		count[v]++
	}
	var ties []int
	for _, n := range count {
		if n > 1 {
			ties = append(ties, n)
		}
	}
	return ties
}
