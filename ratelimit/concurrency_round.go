package ratelimit

import (
	"math/rand/v2"
	"slices"
	"time"
)

const (
	shortestRound = int64(100 * time.Millisecond) // Envoy's default, too
	callsOfRound  = 10
)

// callRound is what has been seen since the limit was last adjusted. It lasts at least twice
// the median time of a call, so that slow calls have time to end in it and it does not see
// only the fast ones.
type callRound struct {
	opened  int64
	from    uint64 // calls with lower numbers do not count: they began under a higher limit
	reached bool   // as many calls as the limit allows have been in flight
	ok      int
	dropped int
	sample  callSample
}

// next opens a round. After a decrease, only calls that start from now on count: the earlier
// ones are why it was decreased.
func (r *callRound) next(now int64, lowered bool, started uint64) {
	r.opened, r.reached, r.ok, r.dropped = now, false, 0, 0
	r.sample.reset()
	if lowered {
		r.from = started + 1
	}
}

// add notes the end of a call.
func (r *callRound) add(now int64, number uint64, c callState, outcome Outcome) {
	switch {
	case number < r.from:
	case outcome == Success:
		r.ok++
		r.sample.add(now - c.start)
	case outcome == Dropped:
		r.dropped++
	}
}

func (r *callRound) over(now, usual int64) bool {
	return r.ok+r.dropped >= callsOfRound && now-r.opened >= max(shortestRound, 2*usual)
}

// share returns the share of calls that were dropped.
func (r *callRound) share() float64 { return float64(r.dropped) / float64(max(r.ok+r.dropped, 1)) }

// callSample keeps a random sample of durations, each with the same chance (Vitter's
// algorithm R).
type callSample struct {
	kept [64]int64
	seen int
}

func (s *callSample) reset() { s.seen = 0 }

func (s *callSample) add(d int64) {
	at := s.seen
	if at >= len(s.kept) {
		at = rand.IntN(at + 1)
	}
	if at < len(s.kept) {
		s.kept[at] = d
	}
	s.seen++
}

// median may be called only once before reset: it reorders the sample.
func (s *callSample) median() int64 {
	kept := s.kept[:min(s.seen, len(s.kept))]
	if len(kept) == 0 {
		return 0
	}
	slices.Sort(kept)
	return max(kept[len(kept)/2], 1)
}
