package ratelimit

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	probeLimit  = 3  // Envoy's default, too
	callsOfBase = 30 // that a base is measured with
	callsAtOnce = 10 // the same for the first one, for which everybody waits
	probeShare  = 30 // probes take at most one part of this many of the time
	probeJitter = 0.15
	patience    = int64(10 * time.Second) // for the first probe; see patient
)

// gradient is the tuner of [Gradient]. It is probing or not. While it is, only calls that
// began in the probe tell anything. While it is not, calls tell how the limit does in the
// round, and those with hardly any other beside them what the base is.
type gradient struct {
	limitBounds
	tolerance float64
	every     int64

	current float64 // the limit, when not probing
	started uint64
	usual   int64 // median of the last round
	base    int64 // 0: not known yet
	rough   bool  // the base is from a few calls only
	round   callRound

	calm callSample // of calls that tell the base
	lost int        // and of these, the ones that were dropped

	probing   bool
	probed    uint64 // the first call of the probe
	since     int64  // when the probe or, later, its first call began
	nextProbe int64
}

func newGradient(b limitBounds, tolerance float64, every int64) *gradient {
	return &gradient{limitBounds: b, tolerance: tolerance, every: every, current: b.first, probing: true, probed: 1}
}

func (g *gradient) limit() int {
	if g.probing {
		return min(probeLimit, int(g.current))
	}
	return int(g.current)
}

func (g *gradient) begun(now int64, number uint64, inFlight int) {
	g.started = number
	if g.probing && number == g.probed {
		g.since = now
	}
	g.round.reached = g.round.reached || inFlight >= g.limit()
}

func (g *gradient) ended(now int64, number uint64, c callState, outcome Outcome, inFlight int) {
	if g.probing {
		if number >= g.probed {
			g.measure(now, c, outcome)
		}
		return
	}
	g.round.add(now, number, c, outcome)
	if c.inFlight <= probeLimit && inFlight < probeLimit && number >= g.probed {
		g.measure(now, c, outcome)
	}
	if g.round.over(now, g.usual) {
		g.adjust(now)
	}
	// A limit as low as that of a probe needs none: all calls are calm.
	if now >= g.nextProbe && int(g.current) > probeLimit {
		g.probing, g.probed = true, g.started+1
		g.since = now
		g.forget()
	}
}

// measure takes a call that tells the base.
func (g *gradient) measure(now int64, c callState, outcome Outcome) {
	switch outcome {
	case Success:
		g.calm.add(now - c.start)
	case Dropped:
		g.lost++
	case Ignore:
		return
	}
	need := callsOfBase
	if g.base == 0 {
		need = callsAtOnce
	}
	if g.calm.seen+g.lost < need {
		return
	}
	share := float64(g.lost) / float64(g.calm.seen+g.lost)
	if share < 0.5 { // with half of them lost, the rest are the lucky ones
		g.learn(g.calm.median())
	}
	if g.probing {
		g.current = g.clamp(g.current * (1 - share/2))
	}
	g.resume(now)
}

// learn takes a measured base. One that is not far from the last is not taken as it is, since
// the median of a few calls is that by chance as well.
func (g *gradient) learn(measured int64) {
	if g.base == 0 || measured > 2*g.base || measured < g.base/2 {
		g.rough = g.base == 0
		g.base = measured
		return
	}
	g.rough = false
	g.base += (measured - g.base) / 2
}

// resume ends a probe, if there is one, and starts to look for calls that tell the base.
func (g *gradient) resume(now int64) {
	wait := g.every
	if g.base == 0 || g.rough {
		wait = min(wait, patience)
	}
	if g.probing {
		g.probing = false
		wait = max(wait, probeShare*(now-g.since))
		g.round.next(now, true, g.started)
	}
	g.nextProbe = now + wait + int64(float64(wait)*probeJitter*rand.Float64())
	g.probed = g.started + 1
	g.forget()
}

func (g *gradient) forget() {
	g.calm.reset()
	g.lost = 0
}

// adjust ends a round.
func (g *gradient) adjust(now int64) {
	share, before := g.round.share(), g.limit()
	slope := 1.0
	if g.round.ok > 0 {
		g.usual = g.round.sample.median()
	}
	if g.base > 0 && g.round.ok >= callsOfRound/2 {
		slope = min(max(g.tolerance*float64(g.base)/float64(g.usual), 0.5), 1)
	}
	next := g.current * (1 - share/2)
	// The time that calls take says nothing about a limit that is not in their way, and
	// without a base it says nothing at all.
	if g.round.reached && g.base > 0 {
		next = next*slope + math.Sqrt(g.current)*(1-share)
	}
	g.current = g.clamp(next)
	g.round.next(now, g.limit() < before, g.started)
}

// alarm gives up a probe whose calls do not end: otherwise three calls that hang would be
// all that anybody gets. It gives up as well one that no call begins in: calls from before that
// hang would leave no room for any. The very first probe has none before it.
func (g *gradient) alarm() int64 {
	if !g.probing || g.started == 0 {
		return 0
	}
	return g.since + g.patient()
}

func (g *gradient) patient() int64 {
	if g.base == 0 {
		return patience
	}
	return max(int64(time.Second), 4*(callsOfBase/probeLimit+1)*g.base)
}

func (g *gradient) wake(now int64) {
	if !g.probing {
		return
	}
	if g.calm.seen >= probeLimit && g.calm.seen > g.lost {
		g.learn(g.calm.median())
	}
	g.resume(now)
}

func (g *gradient) describe(s *ConcurrencySnapshot) {
	s.Base, s.Latency, s.Probing = time.Duration(g.base), time.Duration(g.usual), g.probing
}
