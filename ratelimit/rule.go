package ratelimit

import (
	"math"
	"math/bits"
	"slices"
)

// rule is the limit that a line stands before. All methods but most are called with the mutex
// of the line held, between hold and release. Times are ns since the epoch of the line.
type rule interface {
	// hold keeps the fast path out.
	hold()
	// release lets the fast path in again if open; otherwise, and if there is a line, it says
	// what the fast path has to do.
	release(open, line bool)
	// most returns how many events can ever be let through at once.
	most() int
	// due returns the earliest time, from now on, at which n more can be let through after
	// those ahead, or never.
	due(now int64, ahead crowd, n int) int64
	// fits reports whether n more can be taken before they are available.
	fits(now int64, n int) bool
	// left returns how many could be let through now.
	left(now int64) int
	// idle returns when the limit would be fully available, if no more were let through.
	idle(now int64) int64
	// take lets n through at a time that due has returned or later, or takes them although
	// they are not available.
	take(at int64, n int)
	// book takes what r has reserved, at the time of r. The current time is now.
	book(now int64, r *Reservation)
	// cancel undoes a book; booked are all other standing reservations.
	cancel(now int64, r *Reservation, booked []*Reservation)
}

var _ rule = (*Limiter)(nil)

func (l *Limiter) hold() {
	b := l.state.Load()
	if tat := b.word.Swap(busy); tat < waiting {
		b.tat = tat
	}
}

func (l *Limiter) release(open, line bool) {
	b := l.state.Load()
	switch {
	case line:
		b.word.Store(waiting)
	case open && !b.unlimited:
		b.word.Store(b.tat)
	}
}

func (l *Limiter) most() int { return l.state.Load().most() }

func (b *bucket) most() int {
	if b.unlimited {
		return math.MaxInt
	}
	return int(min(b.burst, math.MaxInt))
}

func (l *Limiter) due(now int64, ahead crowd, n int) int64 {
	b := l.state.Load()
	if b.unlimited {
		return now
	}
	base, ticks, full := b.seen(b.tat, now)
	full = max(full, ticks)
	events := ahead.owed
	if ahead.promises {
		events = 0
		for e := ahead.first; e != ahead.end; e = e.next {
			if e.promise != nil { // which may be later than those before it need
				if base, full = b.promised(base, full, events, e.promise.at); base == never {
					return never
				}
				events = 0
			}
			events += counted(e.n)
		}
	}
	// The time in ticks is full + (events+n)*cost - depth. It may need more than 64 bits.
	hi, lo := bits.Mul64(uint64(events)+uint64(n), uint64(b.cost))
	if hi == 0 && lo <= maxTicks {
		return max(now, later(base, b.stepsAt(full-b.depth+int64(lo)), b.shift))
	}
	if b.mult == 0 {
		return never
	}
	sum, carry := bits.Add64(lo, uint64(2*maxTicks+maxTicks/2+(full-b.depth)), 0) // both are not negative
	sum, borrow := bits.Sub64(sum, 2*maxTicks+maxTicks/2, 0)
	hi += carry - borrow
	if hi >= uint64(b.mult) {
		return never
	}
	steps, rest := bits.Div64(hi, sum, uint64(b.mult))
	if rest > 0 {
		steps++
	}
	return max(now, later(base, int64(min(steps, math.MaxInt64)), b.shift))
}

// promised returns the time of the bucket, and the base of that time, after sum events and
// right before a reservation for the time at; a base of never if that is too far away.
func (b *bucket) promised(base, tat, sum, at int64) (newBase, newTat int64) {
	if b.mult == 0 {
		return base, min(tat+b.price(sum), 2*maxTicks)
	}
	hi, lo := bits.Mul64(uint64(sum), uint64(b.cost))
	if hi >= uint64(b.mult) {
		return never, 0
	}
	steps, rest := bits.Div64(hi, lo, uint64(b.mult)) // so that the ticks stay small
	if base = later(base, int64(min(steps, math.MaxInt64)), b.shift); base == never {
		return never, 0
	}
	tat = min(tat+int64(rest), 2*maxTicks)
	since := at - base
	if since > b.reach {
		ns := since >> b.shift << b.shift
		base, tat, since = base+ns, b.move(tat, ns), since-ns
	}
	return base, max(tat, b.ticks(max(since, -b.reach)))
}

// seen returns a base within reach of now, and both now and tat in ticks from there. If now is
// before what the base can reach, it counts as the earliest such time.
func (b *bucket) seen(tat, now int64) (base, ticks, seen int64) {
	base, seen = b.base, tat
	since := now - base
	if since > b.reach || since < -b.reach && tat == unused {
		base += since >> b.shift << b.shift
		seen = b.move(tat, base-b.base)
	}
	return base, b.ticks(max(now-base, -b.reach)), seen
}

// early returns how many ns at is before all that a bucket with the base can reach. It is above
// zero only while something is booked that far ahead.
func (b *bucket) early(base, at int64) int64 { return max(max(base-at, 0)-b.reach, 0) }

// stepsAt returns the smallest number of steps that is at least the given ticks.
func (m *meter) stepsAt(ticks int64) int64 {
	switch {
	case m.mult == 0 && ticks > 0:
		return never
	case m.mult == 0:
		return math.MinInt64
	case ticks > 0:
		return (ticks-1)/m.mult + 1
	default:
		return ticks / m.mult
	}
}

// later returns base plus the given steps of 1 << shift ns.
func later(base, steps int64, shift uint8) int64 {
	switch {
	case steps > math.MaxInt64>>shift:
		return never
	case steps < math.MinInt64>>shift:
		return math.MinInt64
	}
	ns := steps << shift
	if ns > 0 && base > never-ns {
		return never
	}
	if ns < 0 && base < math.MinInt64-ns {
		return math.MinInt64
	}
	return base + ns
}

func (l *Limiter) fits(now int64, n int) bool {
	b := l.state.Load()
	if b.unlimited {
		return true
	}
	_, ticks, tat := b.seen(b.tat, now)
	return max(tat, ticks) <= 2*maxTicks-b.price(int64(n))
}

func (l *Limiter) left(now int64) int {
	b := l.state.Load()
	if b.unlimited {
		return math.MaxInt
	}
	base, ticks, tat := b.seen(b.tat, now)
	if b.early(base, now) > 0 {
		return 0
	}
	return int(max(b.depth-(max(tat, ticks)-ticks), 0) / b.cost)
}

func (l *Limiter) idle(now int64) int64 {
	b := l.state.Load()
	if b.unlimited || b.tat == unused {
		return now
	}
	base, ticks, tat := b.seen(b.tat, now)
	if tat <= ticks {
		return now
	}
	return max(now, later(base, b.stepsAt(tat), b.shift))
}

func (l *Limiter) take(at int64, n int) {
	b := l.state.Load()
	if b.unlimited || n == 0 {
		return
	}
	since := at - b.base
	switch {
	case since > b.reach, since < -b.reach && b.tat == unused:
		b = l.rebase(at)
		since = at - b.base
	case since < -b.reach:
		since = -b.reach // long before what was granted: makes no difference
	}
	b.tat = min(max(b.tat, b.ticks(since))+b.price(int64(n)), 2*maxTicks)
}

// give gives back n, those of r if it is not nil; booked are the other standing reservations.
func (l *Limiter) give(now int64, n int, r *Reservation, booked []*Reservation) {
	b := l.state.Load()
	if b.unlimited || b.tat == unused {
		return
	}
	b.tat = max(b.tat-b.price(int64(n)), min(b.floor(now, r, booked), b.tat), long)
}

// skip is how far a reservation has moved the time of the bucket beyond its price, because it
// asked for a later time: as part of a Multi, or in a pause. It is given back with the
// reservation.
type skip struct {
	ticks  int64
	from   *bucket // another than bucket if the time was beyond the reach of that one
	before int64   // tat of from
	bucket *bucket // that ticks refer to
	after  int64   // tat after the booking; unused: something else was taken in between
}

func (l *Limiter) book(now int64, r *Reservation) {
	from := l.state.Load()
	before := from.tat
	l.take(r.at, r.n)
	b := l.state.Load()
	if b.unlimited || r.at <= now || b.tat >= 2*maxTicks {
		return
	}
	free := b.ticks(max(min(now-b.base, b.reach), -b.reach))
	skipped := b.tat - b.price(int64(r.n)) - max(from.move(before, b.base-from.base), free)
	if skipped > 0 || len(l.line.booked) > 0 {
		r.skip = skip{ticks: max(skipped, 0), from: from, before: before, bucket: b, after: b.tat}
	}
}

func (l *Limiter) cancel(now int64, r *Reservation, booked []*Reservation) {
	b, s := l.state.Load(), r.skip
	if s.ticks <= 0 || b.unlimited || b.tat == unused {
		l.give(now, r.n, r, booked)
		return
	}
	if s.from != b && s.bucket == b && s.after == b.tat { // nothing was taken since
		s.from.tat = s.before
		l.state.Store(s.from)
		return
	}
	price, old := b.price(int64(r.n)), b.tat
	// What was let through meanwhile is part of the time of the bucket, but the bucket does
	// not know when that was. So assume that it was just now: a full bucket less than before.
	least := b.ticks(max(min(now-b.base, b.reach), -b.reach))
	if s.bucket != b || s.after != old {
		least += b.depth
	}
	least = max(min(least, old-price), b.floor(now, r, booked))
	b.tat = max(old-price-s.ticks, min(least, old), long)
	rest := price + s.ticks - (old - b.tat)
	if i := slices.IndexFunc(booked, func(o *Reservation) bool { return o.at >= r.at }); i >= 0 && rest > 0 {
		next := &booked[i].skip // it holds the rest back from now on
		next.ticks = min(next.ticks+rest, 2*maxTicks)
		if next.from != s.bucket || next.before != s.after {
			next.after = unused
		}
		next.from, next.before = s.from, s.before
	}
}

// floor returns the earliest time that the bucket may have, because of the booked
// reservations after now, once r is gone; r may be nil. All of them count, since one that was
// booked later may have an earlier time. Only those of another limit do not, if they are
// before r: the bucket may have had an earlier time than they ask for all along.
func (b *bucket) floor(now int64, r *Reservation, booked []*Reservation) int64 {
	floor, sum := long, int64(0)
	for _, o := range slices.Backward(booked) {
		if o.at <= now {
			break
		}
		if r != nil && o.at < r.at && o.changed {
			continue
		}
		sum = min(sum+b.price(int64(o.n)), 2*maxTicks)
		if since := o.at - b.base; since <= b.reach {
			floor = max(floor, min(b.ticks(max(since, -b.reach))+sum, 2*maxTicks))
		} else {
			floor = 2 * maxTicks
		}
	}
	return floor
}

// rebase replaces the bucket by one whose base is at, or just before.
func (l *Limiter) rebase(at int64) *bucket {
	old := l.state.Load()
	b := newBucket(old.meter, old.epoch, old.limit, old.size)
	b.base = old.base + (at-old.base)>>old.shift<<old.shift
	b.tat = old.move(old.tat, b.base-old.base)
	l.state.Store(b)
	return b
}

// move returns tat in ticks from a base that is later by ns, a whole number of steps.
func (m *meter) move(tat, ns int64) int64 {
	if tat == unused || m.mult == 0 || ns == 0 {
		return tat
	}
	hi, lo := bits.Mul64(uint64(ns>>m.shift), uint64(m.mult))
	if hi != 0 || lo > uint64(tat-long) {
		return long
	}
	return tat - int64(lo)
}
