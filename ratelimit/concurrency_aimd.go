package ratelimit

import "time"

// aimd is the tuner of [AIMD].
type aimd struct {
	limitBounds
	current float64
	slow    int64 // 0: no call is too slow
	started uint64
	round   callRound
	usual   int64 // median of the last round that had one
}

func (a *aimd) limit() int { return int(a.current) }

func (a *aimd) begun(_ int64, number uint64, inFlight int) {
	a.started = number
	a.round.reached = a.round.reached || inFlight >= a.limit()
}

func (a *aimd) ended(now int64, number uint64, c callState, outcome Outcome, _ int) {
	if a.slow > 0 && outcome == Success && now-c.start > a.slow {
		outcome = Dropped
	}
	a.round.add(now, number, c, outcome)
	if !a.round.over(now, a.usual) {
		return
	}
	if a.round.ok > 0 {
		a.usual = a.round.sample.median()
	}
	before := a.limit()
	a.current *= 1 - a.round.share()/2
	if a.round.reached {
		a.current += 1 - a.round.share()
	}
	a.current = a.clamp(a.current)
	a.round.next(now, a.limit() < before, a.started)
}

func (a *aimd) wake(int64) {}

func (a *aimd) alarm() int64 { return 0 }

func (a *aimd) describe(s *ConcurrencySnapshot) { s.Latency = time.Duration(a.usual) }
