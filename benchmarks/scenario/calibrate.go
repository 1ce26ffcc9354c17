package scenario

import (
	"time"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

// most is how many inputs a round has at most, so that the slices of inputs and outputs stay small.
const most = 2_000_000

// Calibrate finds how many inputs fill a round of the subject: about as many as it does in the time of a round, divided by
// shorten. Scenarios with a number of inputs have that one. Work that sleeps has the same number for all subjects but the
// loop, so many for each worker: the time until the last stage is reached is then a part of the round, and if the rounds
// of one subject were longer, it would weigh less.
func (s Scenario) Calibrate(sub subject.Subject, shorten int) (int, error) {
	if s.Inputs > 0 {
		return s.Inputs, nil
	}
	if calls := s.Work.calls; calls > 0 {
		if sub.Name == "loop" {
			return max(s.Work.fewest, calls/s.Stages/shorten), nil
		}
		workers := s.Workers
		if s.Form == Do {
			workers = min(workers, s.Callers)
		}
		return max(s.Work.fewest, workers*calls/shorten), nil
	}
	target := s.Work.round / time.Duration(shorten)
	n := s.Work.fewest
	for {
		m, err := s.Run(sub, n)
		if err != nil {
			return 0, err
		}
		elapsed := max(m.Elapsed, time.Microsecond)
		if elapsed >= target/4 || n == most {
			return s.Work.rounded(float64(n) * float64(target) / float64(elapsed)), nil
		}
		// Not in one step: what starts slowly would give a number that is far too small.
		n = s.Work.rounded(min(20*float64(n), float64(n)*float64(target)/float64(elapsed)))
	}
}

// rounded is a number of inputs that is not too small, not too large, and has its share of slow ones.
func (w Work) rounded(n float64) int {
	return min(most, max(w.fewest, int(n)/w.fewest*w.fewest))
}
