package scenario

import (
	"time"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

const (
	fewest = 200       // inputs of a round, at least: two long ones of the skewed work
	most   = 2_000_000 // inputs of a round, at most: the slices of inputs and outputs stay small
)

// Calibrate finds how many inputs fill a round of the subject: the scenario's own number, or about as many as it does in
// the time of a round, divided by shorten.
func (s Scenario) Calibrate(sub subject.Subject, shorten int) (int, error) {
	if s.Inputs > 0 {
		return s.Inputs, nil
	}
	target := s.target() / time.Duration(shorten)
	n := fewest
	for {
		m, err := s.Run(sub, n)
		if err != nil {
			return 0, err
		}
		elapsed := max(m.Elapsed, time.Microsecond)
		if elapsed >= target/4 || n == most {
			return rounded(float64(n) * float64(target) / float64(elapsed)), nil
		}
		// Not in one step: what starts slowly would give a number that is far too small.
		n = rounded(min(20*float64(n), float64(n)*float64(target)/float64(elapsed)))
	}
}

// rounded is a whole number of hundreds between the fewest and the most.
func rounded(n float64) int {
	return min(most, max(fewest, int(n)/100*100))
}
