package ratelimit

import (
	"math"
	"math/big"
	"math/bits"
	"time"
)

// meter is the arithmetic of one limit and burst; it does not change.
//
// Time is counted in ticks, of a length that makes the time between two events a whole
// number of them: with 3 events in 10 ns a tick is a third of a nanosecond, one event
// costs 10 ticks, and a nanosecond is 3. So nothing is rounded, however long a limiter
// runs, and all numbers are integers: ticks = ns >> shift * mult.
//
// Where 64 bits are too few (a burst worth more than 73 years, a fraction of too many
// digits), a tick is a power of two of nanoseconds and the cost is rounded up, so that
// the limiter is slower than it should be by less than one in 2^20, and never faster.
// If such a tick is longer than a nanosecond, times are rounded down to it, and each
// event costs one tick more to make up for that.
type meter struct {
	cost      int64 // ticks that an event costs
	depth     int64 // ticks that a full bucket is worth: burst * cost
	mult      int64 // ticks for each step of the clock; 0: no time ever counts
	shift     uint8 // a step of the clock is 1 << shift ns
	plain     bool  // a tick is a nanosecond
	reach     int64 // ns around the base of a bucket that ticks can represent
	burst     int64 // events, at most maxBurst
	unlimited bool
}

const (
	maxTicks = 1 << 61 // of the clock around the base, and of the depth
	maxMult  = 1 << 32
	maxBurst = 1 << 40 // events; a bucket holds no more
	zeroCost = 1 << 20 // of an event with a limit of zero; maxBurst of them are within maxTicks

	never = math.MaxInt64 // a time that does not come
)

// newMeter expects that limit is not NaN.
func newMeter(limit Limit, burst int) meter {
	m := meter{burst: min(max(int64(burst), 0), maxBurst)}
	switch {
	case limit >= Inf:
		m.unlimited = true
		m.reach = math.MaxInt64
		return m
	case float64(limit) < float64(time.Second)/math.MaxInt64:
		// No token ever comes back: the clock stands still. The ticks still count parts
		// of events, for a later change of the limit.
		m.cost, m.depth, m.reach = zeroCost, m.burst*zeroCost, math.MaxInt64
		return m
	}
	p, q, exact := interval(limit)
	if hi, lo := bits.Mul64(p, uint64(max(m.burst, 1))); exact && q <= maxMult && hi == 0 && lo <= maxTicks {
		m.cost, m.mult = int64(p), int64(q)
	} else {
		m.roundUp(limit, p, q, exact)
	}
	m.plain = m.mult == 1 && m.shift == 0
	m.depth = m.burst * m.cost
	m.reach = math.MaxInt64
	if steps := maxTicks / m.mult; steps <= math.MaxInt64>>m.shift {
		m.reach = steps << m.shift
	}
	return m
}

// roundUp chooses the shortest tick with which a full bucket fits into 64 bits.
func (m *meter) roundUp(limit Limit, p, q uint64, exact bool) {
	var t *big.Rat // ns between two events
	if exact {
		t = new(big.Rat).SetFrac(new(big.Int).SetUint64(p), new(big.Int).SetUint64(q))
	} else {
		t = new(big.Rat).SetFloat64(float64(limit))
		t.Quo(big.NewRat(int64(time.Second), 1), t)
	}
	most := big.NewInt(maxTicks / max(m.burst, 1))
	for log := 32; ; log-- {
		num, den := new(big.Int).Set(t.Num()), new(big.Int).Set(t.Denom())
		if log >= 0 {
			num.Lsh(num, uint(log))
		} else {
			den.Lsh(den, uint(-log))
		}
		cost, rest := num.QuoRem(num, den, new(big.Int))
		if rest.Sign() > 0 {
			cost.Add(cost, big.NewInt(1))
		}
		if log < 0 {
			cost.Add(cost, big.NewInt(1))
		}
		if cost.Cmp(most) <= 0 {
			m.cost, m.mult, m.shift = cost.Int64(), 1<<max(log, 0), uint8(max(-log, 0))
			return
		}
	}
}

// interval returns p/q, the nanoseconds between two events, and whether that is exactly
// what the limit says.
func interval(limit Limit) (p, q uint64, exact bool) {
	const second = uint64(time.Second)
	if d := math.Round(float64(second) / float64(limit)); d >= 1 && d < math.MaxInt64 && Every(time.Duration(d)) == limit {
		return uint64(d), 1, true
	}
	a, b, ok := uint64(limit), uint64(1), limit < maxTicks && math.Floor(float64(limit)) == float64(limit)
	if !ok {
		if a, b, ok = fraction(float64(limit)); !ok {
			return 0, 0, false
		}
	}
	g := gcd(second, a)
	hi, p := bits.Mul64(second/g, b)
	return p, a / g, hi == 0
}

// fraction returns the first convergent of the continued fraction of x that equals x as
// a float64. Quotients of whole numbers below 2^53 are rounded correctly, so the
// comparison is exact.
func fraction(x float64) (a, b uint64, ok bool) {
	const most = 1 << 53
	a0, b0, a1, b1 := uint64(0), uint64(1), uint64(1), uint64(0)
	for rest := x; ; {
		whole := math.Floor(rest)
		if whole > most {
			return 0, 0, false
		}
		w := uint64(whole)
		hia, loa := bits.Mul64(w, a1)
		hib, lob := bits.Mul64(w, b1)
		a0, a1 = a1, loa+a0
		b0, b1 = b1, lob+b0
		if hia != 0 || hib != 0 || a1 > most || b1 > most {
			return 0, 0, false
		}
		if float64(a1)/float64(b1) == x {
			return a1, b1, true
		}
		rest = 1 / (rest - whole)
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// ticks returns ns, which is within reach, in ticks.
func (m *meter) ticks(ns int64) int64 {
	if m.plain { // nothing waits for a branch that is foreseen, as it would for a product
		return ns
	}
	return ns >> m.shift * m.mult
}

// after returns the least ns >= 0 that is at least the given ticks.
func (m *meter) after(ticks int64) int64 {
	if ticks <= 0 {
		return 0
	}
	if m.mult == 0 {
		return never
	}
	steps := (ticks-1)/m.mult + 1
	if steps > math.MaxInt64>>m.shift {
		return never
	}
	return steps << m.shift
}

// price returns the ticks that n events cost, capped so that adding them to a time in
// ticks does not overflow.
func (m *meter) price(n int64) int64 {
	if hi, lo := bits.Mul64(uint64(n), uint64(m.cost)); hi == 0 && lo < 2*maxTicks {
		return int64(lo)
	}
	return 2*maxTicks - 1
}

// scale returns the ticks of to that cost as many events as the given ticks of m,
// rounded down.
func (m *meter) scale(ticks int64, to *meter) int64 {
	hi, lo := bits.Mul64(uint64(ticks), uint64(to.cost))
	if hi >= uint64(m.cost) {
		return 2 * maxTicks
	}
	scaled, _ := bits.Div64(hi, lo, uint64(m.cost))
	return int64(min(scaled, 2*maxTicks))
}

// convert returns the debt in ticks of to that leaves as many events in a bucket of to
// as debt leaves in one of m.
func (m *meter) convert(debt int64, to *meter) int64 {
	hi, lo := bits.Mul64(uint64(max(debt, 0)), uint64(to.cost))
	if hi >= uint64(m.cost) {
		return 2 * maxTicks
	}
	whole, rest := bits.Div64(hi, lo, uint64(m.cost))
	if rest > 0 {
		whole++
	}
	if whole > 2*maxTicks {
		return 2 * maxTicks
	}
	return min(max(int64(whole)+to.depth-to.price(m.burst), 0), 2*maxTicks)
}
