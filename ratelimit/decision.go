package ratelimit

import "time"

// Decision is the result of Take, with all that a server tells its client about it. It is
// a plain value: it may be copied, and read by any goroutine. The zero value is a denial
// without times.
type Decision struct {
	Allowed    bool          // the tokens were taken
	Limit      int           // the most that can be taken at once: the burst, or the N of a [Window]
	Remaining  int           // what could be taken now; 0 while callers wait in line
	RetryAfter time.Duration // time until the same call may be allowed, or InfDuration; 0 if allowed
	ResetAfter time.Duration // time until Remaining is Limit if nothing more is taken, or InfDuration
}

// Take takes n tokens if they are available and no caller waits in line, like
// [Limiter.AllowN], and returns the state of the limiter at that moment. It panics if n
// is negative.
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
		d, next := b.decide(tat, b.ticks(since), n)
		if !d.Allowed || n == 0 || b.word.CompareAndSwap(tat, next) {
			d.Limit = b.size
			return d
		}
	}
	l.line.lock()
	defer l.line.unlock()
	return l.line.decide(now, n)
}

// decide returns the decision at a time, and the state after it.
func (m *meter) decide(tat, now int64, n int) (Decision, int64) {
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

// decide is Take for any rule.
func (q *line) decide(now int64, n int) Decision {
	allowed := n == 0 || q.allow(now, n)
	d := q.outlook(now, n)
	d.Allowed = allowed
	if allowed {
		d.RetryAfter = 0
	}
	return d
}

// outlook returns the decision, without taking anything.
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
