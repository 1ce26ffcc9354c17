package pipeline

import (
	"fmt"
	"math"
	"time"
)

// measured is what a stage has done in an interval.
type measured struct {
	elapsed time.Duration // length of the interval
	done    int           // calls that ended in it
	busy    time.Duration // time its workers spent in calls, calls still under way included; the sum over workers
	blocked time.Duration // time they waited for room after the stage; the sum over workers
	workers int           // how many there could be during the interval
	waiting int           // inputs that waited in its queue at the end of the interval
}

// tuner finds how many workers a stage should have. It is a plain state machine: next takes
// in what was measured, and the caller owns the clock and the goroutines. It is not safe
// for concurrent use. Create one with newTuner.
//
// It uses two ideas, one for each state that the stage can be in:
//
//   - The workers are idle or blocked at times. Then the source or the stage after is the
//     limit, and busy time over elapsed time is the number of workers that the load needs,
//     which is Little's law. The tuner keeps that number, with a reserve.
//   - The workers are busy all the time, or inputs wait for them although they are not, as
//     when handing over takes longer than the calls. Then only a try shows what more
//     workers, or fewer, would do: hill climbing on throughput, as in the thread pool of
//     .NET. A step is a doubling while that pays, and a quarter afterwards. A
//     try that gains little is taken back, and the next one comes later, after twice the
//     time each time.
//
// Rejected alternatives: the wave that .NET adds to the number of workers to filter out
// noise, since it never comes to rest and needs tens of intervals; Vegas and the gradient
// limiters of Netflix, since they take a longer call for a sign of congestion, while in a
// pipeline it is as often a larger input; and AIMD, which needs an error as the sign of too
// much, while a stage with too many workers is slow without one. The tuner does not
// extrapolate a line through two rates to the point where the gain ends, either: that is
// wrong where throughput bends slowly, and small steps find the same point.
type tuner struct {
	min, max int
	n        int
	why      string // the last decision, in a few words

	plan    []move  // what to try, the current try first
	base    int     // the workers before the current try; n if there is none
	was     float64 // the rate of base, in calls a second
	sure    int     // the number of observations in was
	up      bool    // the last try was one with more workers
	rest    int     // observations until the next try
	backoff int     // the rest when plan is through

	open    span    // what was measured since the last observation
	seen    int     // consecutive observations of n busy workers
	rate    float64 // their mean, without the first if there are several
	odd     int     // how many of the last are far above the mean, or below it if negative
	call    float64 // how long a call takes, in seconds; 0: not known yet
	silence float64 // how long all workers may be in calls with none ending, in seconds

	calm  int // how many intervals in a row must show too many workers
	low   int // how many have so far
	since int // intervals since it removed workers for that reason; -1: it has added some since
	slack int // consecutive intervals in which workers were not busy all the time
}

// move is a try: more or fewer workers, by a factor of 2 or, if fine, of 1.25.
type move struct{ up, fine bool }

// span is a sum of intervals, in floating point, which cannot overflow. quiet is the time
// since the end of a call, up to the end of the span.
type span struct{ elapsed, quiet, done, busy float64 }

func (s *span) add(elapsed, done, busy float64) {
	if s.quiet += elapsed; done > 0 {
		s.quiet = 0
	}
	s.elapsed, s.done, s.busy = s.elapsed+elapsed, s.done+done, s.busy+busy
}

const (
	tunerFirst    = 100 * time.Millisecond // the interval before the first call of next
	tunerShortest = 50 * time.Millisecond  // below that, the measurement shows mostly the scheduler
	tunerLongest  = 10 * time.Second

	tunerRest = 8  // the first value of backoff, and the fewest slack intervals after which a load counts as new
	tunerMost = 64 // the last value of backoff and of calm
	tunerMean = 4  // observations for a mean that decides on a fine step
	tunerCalm = 3  // the first value of calm
)

// Plans, which are never written to: for a number of workers that is too small if anything,
// and for a number about which nothing is known.
var (
	tunerClimb  = []move{{up: true}, {up: true, fine: true}}
	tunerSearch = []move{{up: true}, {up: false}, {up: true, fine: true}}
)

// newTuner returns a tuner that begins with least workers. 1 <= least <= atMost.
func newTuner(least, atMost int) *tuner {
	return &tuner{
		min: least, max: atMost, n: least, base: least, why: "no measurement yet",
		plan: tunerClimb, rest: 1, backoff: tunerRest, silence: tunerFirst.Seconds(), calm: tunerCalm, since: -1,
	}
}

// workers returns how many workers there should be now.
func (t *tuner) workers() int { return t.n }

// String returns the reason for that number.
func (t *tuner) String() string { return t.why }

// next takes in an interval, which may change workers, and returns how long the next
// interval should be. It ignores an interval without length, or with another number of
// workers than it asked for.
func (t *tuner) next(m measured) (wait time.Duration) {
	switch {
	case t.min == t.max:
		t.why = "held: the least and the most are the same"
		return tunerLongest
	case m.elapsed <= 0 || m.workers != t.n:
		t.open = span{}
		return t.wait()
	}
	elapsed, busy := m.elapsed.Seconds(), max(0, m.busy.Seconds())
	capacity := elapsed * float64(t.n)
	blocked := m.blocked.Seconds() >= 0.1*capacity
	if t.since >= 0 {
		t.since = min(t.since+1, tunerMost)
	}
	t.open.add(elapsed, float64(max(0, m.done)), busy)
	switch {
	case blocked || busy < 0.9*capacity && m.waiting < t.n:
		t.know()
		t.fit(busy/elapsed, blocked)
	case t.open.done >= float64(t.n): // fewer say nothing about the rate
		t.know()
		t.observe(t.open.done / t.open.elapsed)
		t.open = span{}
	case busy >= 0.9*capacity && m.waiting > 0 && t.open.quiet >= max(t.silence, 8*t.call):
		t.guess()
	}
	return t.wait()
}

// wait returns the length of the next interval: time for some calls of each worker, for
// more calls where a mean has to be exact, and twice the time so far while too few calls
// have ended.
func (t *tuner) wait() time.Duration {
	calls := max(4, 32/float64(t.n))
	if t.exact() {
		calls = max(16, 64/float64(t.n))
	}
	d := max(t.call*calls, t.open.elapsed)
	if t.call == 0 {
		d = max(d, t.silence-t.open.elapsed)
	}
	return time.Duration(1e9 * min(max(d, tunerShortest.Seconds()), tunerLongest.Seconds()))
}

// exact reports whether the next observation is part of a mean: one that decides on a small
// step, or one to compare with.
func (t *tuner) exact() bool {
	return t.slack == 0 && (t.rest > 0 || t.base != t.n && t.plan[0].fine)
}

// know records how long calls take.
func (t *tuner) know() {
	if t.open.done > 0 {
		t.call, t.silence = t.open.busy/t.open.done, tunerFirst.Seconds()
	}
}

// fit adapts the workers to a load that does not keep them busy. load is the mean number of
// workers in calls.
func (t *tuner) fit(load float64, blocked bool) {
	t.open, t.seen, t.odd = span{}, 0, 0
	t.rest, t.slack = max(0, t.rest-1), min(t.slack+1, tunerMost)
	enough := t.bounded(math.Ceil(load/0.8 - 0.01)) // a fifth in reserve
	limit := "the input is the limit"
	if blocked {
		limit = "the stage behind is the limit"
	}
	if t.base != t.n { // the current try is decided
		enough = min(max(enough, min(t.base, t.n)), max(t.base, t.n))
		t.why = "held: " + limit
		if enough == t.base {
			t.plan, t.up = nil, false // up again, and not down, since more load may come
			t.stay()
			return
		}
		t.begin(enough, 0, tunerClimb...)
		return
	}
	if enough >= t.n || load > 0.65*float64(t.n) {
		t.low = 0
		return
	}
	if t.low++; t.low >= t.calm {
		t.why = "fewer: " + limit
		t.begin(enough, 0, tunerClimb...)
		t.since = 0
	}
}

// observe takes in the rate of busy workers.
func (t *tuner) observe(rate float64) {
	if t.slack > 0 { // one observation is no sign of more work to come
		t.rest = max(2, t.rest)
	}
	if t.slack >= tunerRest { // but after a long slack the load counts as new
		t.rest, t.backoff, t.plan = 2, tunerRest, tunerClimb
	}
	t.slack, t.low = 0, 0
	if t.changed(rate) {
		t.why = "the rate has changed"
		t.begin(t.n, 0, tunerSearch...)
	}
	if t.seen++; t.seen <= 2 {
		t.rate = rate // the first includes calls that began with another number of workers
	} else {
		t.rate += (rate - t.rate) / float64(min(t.seen-1, tunerRest))
	}
	if t.base != t.n {
		t.judge()
	} else {
		t.rest = max(0, t.rest-1)
	}
	if t.base == t.n && t.rest == 0 {
		t.try()
	}
}

// changed reports whether the last three rates were all a quarter above the mean, or all
// below.
func (t *tuner) changed(rate float64) bool {
	switch {
	case t.base != t.n || t.seen < 2:
		t.odd = 0
	case rate > 1.25*t.rate:
		t.odd = max(t.odd, 0) + 1
	case rate < t.rate/1.25:
		t.odd = min(t.odd, 0) - 1
	default:
		t.odd = 0
	}
	return t.odd == 3 || t.odd == -3
}

// try begins the first try of plan that leads anywhere.
func (t *tuner) try() {
	for ; len(t.plan) > 0; t.plan = t.plan[1:] {
		factor := 2.0
		if t.plan[0].fine {
			factor = 1.25
		}
		to := t.bounded(math.Floor(float64(t.n) / factor))
		if t.plan[0].up {
			to = t.bounded(math.Ceil(float64(t.n) * factor))
		}
		if to == t.n {
			continue
		}
		if t.up = to > t.n; t.up && t.since >= 0 {
			switch {
			case t.since < 2*t.calm: // workers were removed too early
				t.calm = min(2*t.calm, tunerMost)
			case t.since == tunerMost:
				t.calm = tunerCalm
			}
			t.since = -1
		}
		t.base, t.was, t.sure = t.n, t.rate, t.seen
		t.set(to)
		return
	}
	t.was, t.sure = t.rate, t.seen
	t.stay()
}

// judge ends the current try once enough of it has been seen.
func (t *tuner) judge() {
	this := t.plan[0]
	lo, hi, slow, fast := t.base, t.n, t.was, t.rate
	if !this.up {
		lo, hi, slow, fast = hi, lo, fast, slow
	}
	gain, should := fast/slow-1, float64(hi)/float64(lo)-1
	// A coarse step that pays in full is accepted at once; one that does not may include
	// costs of the first calls only, such as new connections.
	if this.fine && t.seen < tunerMean || !this.fine && t.seen < 3 && gain < 0.7*should {
		return
	}
	faster, best := "faster", hi
	if gain < max(should/4, 0.1) { // less than a tenth may be noise
		faster, best = "no faster", lo
	}
	what := "held"
	if best == t.base {
		t.plan = t.plan[1:]
		t.stay()
	} else {
		what = "fewer"
		if this.up {
			what = "more"
		}
		rate := t.rate
		t.begin(best, 0, move{up: this.up}, move{up: this.up, fine: true})
		t.rate = rate
	}
	t.why = fmt.Sprintf("%s: %d workers were %s than %d", what, hi, faster, lo)
}

// stay goes back to where the last try began, for a while. When plan is finished, the rest
// gets longer each time, and a small step the other way comes next. A change of the rate is
// detected against the mean from before the try, so that a change that came with the try is
// seen too.
func (t *tuner) stay() {
	t.set(t.base)
	t.rate, t.seen, t.rest = t.was, t.sure, tunerMean
	if len(t.plan) == 0 {
		t.rest, t.backoff = t.backoff, min(2*t.backoff, tunerMost)
		t.up = !t.up
		t.plan = []move{{up: t.up, fine: true}}
	}
}

// guess adds workers although nothing is known about what they do, because all are in calls
// of which none has ended. It adds half as many each time, and waits twice as long each
// time: calls of a second get a handful of workers, calls of half a minute dozens.
func (t *tuner) guess() {
	to := t.bounded(math.Ceil(1.5 * float64(t.n)))
	if to == t.n {
		return
	}
	t.why = "more: all workers are in long calls"
	t.silence = min(2*t.silence, tunerLongest.Seconds())
	t.begin(to, 1, tunerSearch...)
}

// begin goes to n workers, and to a new plan from there after a rest.
func (t *tuner) begin(n, rest int, plan ...move) {
	t.base, t.rest, t.plan, t.backoff = n, rest, plan, tunerRest
	t.set(n)
}

func (t *tuner) set(n int) { t.n, t.open, t.seen, t.odd, t.low = n, span{}, 0, 0, 0 }

// bounded returns n limited to min and max. It compares before the conversion, since a
// large float64 has no int.
func (t *tuner) bounded(n float64) int {
	if n >= float64(t.max) {
		return t.max
	}
	return max(t.min, int(n))
}
