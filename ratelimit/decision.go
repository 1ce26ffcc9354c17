package ratelimit

import "time"

// Decision is the answer of a Take, with all that a server says to its client about it.
type Decision struct {
	Allowed    bool          // the tokens were taken
	Limit      int           // most that can be taken at once: the burst, or the N of a [Window]
	Remaining  int           // what could be taken at once now; 0 while others wait
	RetryAfter time.Duration // 0 if allowed; how long until the same may be allowed, or InfDuration
	ResetAfter time.Duration // until Remaining is Limit if nothing more is taken; InfDuration if that does not come
}

// Take takes n tokens if they are there and nobody waits, like [Limiter.AllowN], and says
// at once how things stand. It panics if n is negative.
func (l *Limiter) Take(n int) Decision {
	checkN("Take", n)
	b := l.ready()
	now := int64(time.Since(b.epoch))
	for {
		tat := b.word.Load()
		since := now - b.base
		if tat >= waiting || uint64(since) > uint64(b.reach) {
			break
		}
		d, next := b.take(tat, b.ticks(since), n)
		if !d.Allowed || n == 0 || b.word.CompareAndSwap(tat, next) {
			d.Limit = b.size
			return d
		}
	}
	l.line.lock()
	defer l.line.unlock()
	return l.line.decide(now, n)
}

// take returns the decision at a time, and the state that it leaves.
func (m *meter) take(tat, now int64, n int) (Decision, int64) {
	full := max(tat, now)
	next := full
	var d Decision
	if int64(n) <= m.burst {
		next += int64(n) * m.cost
	}
	switch {
	case int64(n) > m.burst:
		d.RetryAfter = InfDuration
	case next-now > m.depth:
		d.RetryAfter = time.Duration(m.after(next - now - m.depth))
		next = full
	default:
		d.Allowed = true
	}
	if left := m.depth - (next - now); left > 0 {
		d.Remaining = int(left / m.cost)
	}
	d.ResetAfter = time.Duration(m.after(next - now))
	return d, next
}

// decide is Take for all rules.
func (q *line) decide(now int64, n int) Decision {
	allowed := n == 0 || q.allow(now, n)
	d := q.outlook(now, n)
	d.Allowed = allowed
	if allowed {
		d.RetryAfter = 0
	}
	return d
}

// outlook returns a decision that takes nothing.
func (q *line) outlook(now int64, n int) Decision {
	d := Decision{Limit: q.rule.most(), RetryAfter: InfDuration, ResetAfter: InfDuration}
	if l, ok := q.rule.(*Limiter); ok {
		d.Limit = l.state.Load().size
	}
	if at, ok := q.plan(now, n); ok {
		d.RetryAfter = time.Duration(at - now)
	}
	if q.first == nil && q.until <= now {
		d.Remaining = q.rule.left(now)
	}
	if at := q.rule.idle(max(now, q.until)); at != never {
		d.ResetAfter = time.Duration(at - now)
	}
	return d
}
