package ratelimit

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	probeLimit  = 3  // Envoy's default, too
	callsOfBase = 30 // that measure a base
	callsAtOnce = 10 // the same for the first base, which all callers wait for
	probeShare  = 30 // probes take at most 1/probeShare of the time
	probeJitter = 0.15
	patience    = int64(10 * time.Second) // for the first probe; see patient
)

// gradient is the tuner of [Gradient]. It is either probing or not. During a probe, only calls
// that began in it count. Between probes, calls show in the round whether the limit is right,
// and those with hardly any other in flight show what the base is.
type gradient struct {
	limitBounds
	tolerance float64
	every     int64

	current float64 // the limit, when not probing
	started uint64
	usual   int64 // median of the last round
	base    int64 // 0: not known yet
	rough   bool  // the base is from only a few calls
	round   callRound

	calm callSample // of calls that show the base
	lost int        // of these, the number that were dropped

	probing   bool
	calmFrom  uint64 // the first call that may show the base: of the probe, or after it
	since     int64  // when the probe or, later, its first call began
	nextProbe int64
}

func newGradient(b limitBounds, tolerance float64, every int64) *gradient {
	return &gradient{limitBounds: b, tolerance: tolerance, every: every, current: b.first, probing: true, calmFrom: 1}
}

func (g *gradient) limit() int {
	if g.probing {
		return min(probeLimit, int(g.current))
	}
	return int(g.current)
}

func (g *gradient) begun(now int64, number uint64, inFlight int) {
	g.started = number
	if g.probing && number == g.calmFrom {
		g.since = now
	}
	g.round.reached = g.round.reached || inFlight >= g.limit()
}

func (g *gradient) ended(now int64, number uint64, c callState, outcome Outcome, inFlight int) {
	if g.probing {
		if number >= g.calmFrom {
			g.measure(now, c, outcome)
		}
		return
	}
	g.round.add(now, number, c, outcome)
	if c.inFlight <= probeLimit && inFlight < probeLimit && number >= g.calmFrom {
		g.measure(now, c, outcome)
	}
	if g.round.over(now, g.usual) {
		g.adjust(now)
	}
	// If the limit is as low as in a probe, no probe is needed: all calls are calm.
	if now >= g.nextProbe && int(g.current) > probeLimit {
		g.probing, g.calmFrom = true, g.started+1
		g.since = now
		g.forget()
	}
}

// measure adds a call that shows the base.
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
	if share < 0.5 { // with half of them lost, the rest are not typical
		g.learn(g.calm.median())
	}
	if g.probing {
		g.current = g.clamp(g.current * (1 - share/2))
	}
	g.resume(now)
}

// learn adopts a measured base. If it is close to the last one, it moves only half the way,
// since the median of a few calls varies that much by chance.
func (g *gradient) learn(measured int64) {
	if g.base == 0 || measured > 2*g.base || measured < g.base/2 {
		g.rough = g.base == 0
		g.base = measured
		return
	}
	g.rough = false
	g.base += (measured - g.base) / 2
}

// resume ends a probe, if there is one, and starts to look for calls that show the base.
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
	g.calmFrom = g.started + 1
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
	// The time that calls take says nothing about a limit that they do not reach, and without a
	// base it says nothing at all.
	if g.round.reached && g.base > 0 {
		next = next*slope + math.Sqrt(g.current)*(1-share)
	}
	g.current = g.clamp(next)
	g.round.next(now, g.limit() < before, g.started)
}

// alarm returns when to give up a probe whose calls do not end: otherwise three hanging calls
// would be all that ever run. This includes a probe in which no call begins, because older
// calls hang and leave no room. Before the very first probe there are no older calls.
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
