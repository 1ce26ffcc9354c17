package ratelimit

import "time"

// Limit returns the limit as it was set.
func (l *Limiter) Limit() Limit {
	if b := l.state.Load(); b != nil {
		return b.limit
	}
	return 0
}

// Burst returns the burst as it was set: the most that one call can take, unless the
// limit is [Inf].
func (l *Limiter) Burst() int {
	if b := l.state.Load(); b != nil {
		return b.size
	}
	return 0
}

// SetLimit is SetLimitAt(time.Now(), limit).
func (l *Limiter) SetLimit(limit Limit) { l.SetLimitAt(time.Now(), limit) }

// SetLimitAt sets the limit from t on. The tokens in the bucket stay; after a limit of
// [Inf] the bucket is full. The times of waiting callers are computed anew, those of
// reservations are not. SetLimitAt panics if limit is NaN.
func (l *Limiter) SetLimitAt(t time.Time, limit Limit) {
	checked("SetLimit", limit)
	l.change(t, func(b *bucket) (Limit, int) { return limit, b.size })
}

// SetBurst is SetBurstAt(time.Now(), burst).
func (l *Limiter) SetBurst(burst int) { l.SetBurstAt(time.Now(), burst) }

// SetBurstAt sets the burst from t on; below zero counts as zero. The tokens in the
// bucket stay, up to the new burst; a larger burst fills up with time. Callers that
// wait for more than the new burst get [ErrBurst].
func (l *Limiter) SetBurstAt(t time.Time, burst int) {
	l.change(t, func(b *bucket) (Limit, int) { return b.limit, burst })
}

// change replaces the bucket by one with the limit and burst that the function to
// returns.
func (l *Limiter) change(t time.Time, to func(*bucket) (Limit, int)) {
	epoch := l.ready().epoch
	l.line.lock()
	defer l.line.unlock()
	old := l.state.Load()
	limit, burst := to(old)
	at := offset(t, epoch)
	b := newBucket(newMeter(limit, burst), epoch, limit, burst)
	b.base = at
	b.tat = long
	switch {
	case b.unlimited:
	case old.unlimited:
		b.tat = 0 // full at t
	default:
		debt := int64(0)
		if old.tat != unused {
			base, ticks, tat := old.seen(old.tat, at)
			if at-base < -old.reach {
				b.base = base // t is long before what was granted
				ticks = 0
			}
			debt = max(tat-ticks, 0)
		}
		b.tat = old.convert(debt, &b.meter)
	}
	for _, r := range l.line.booked {
		r.changed = true
		if b.unlimited || old.unlimited {
			r.skip = skip{}
		} else {
			r.skip.ticks = old.scale(r.skip.ticks, &b.meter)
		}
	}
	l.state.Store(b)
	l.line.sendAway()
	l.line.serve()
}

// Tokens is TokensAt(time.Now()).
func (l *Limiter) Tokens() float64 { return l.TokensAt(time.Now()) }

// TokensAt returns how many tokens are available at t. It is below zero if tokens are
// reserved ahead. The number may be out of date at once, and does not count what
// waiting callers will take.
func (l *Limiter) TokensAt(t time.Time) float64 {
	b := l.ready()
	if tat := b.word.Load(); tat < waiting {
		return b.tokens(tat, offset(t, b.epoch))
	}
	l.line.lock()
	defer l.line.unlock()
	b = l.state.Load()
	return b.tokens(b.tat, offset(t, b.epoch))
}

func (b *bucket) tokens(tat, at int64) float64 {
	if b.unlimited || tat == unused {
		return float64(b.burst)
	}
	base, ticks, tat := b.seen(tat, at)
	left := float64(b.depth-max(tat-ticks, 0)) - float64(b.early(base, at)>>b.shift)*float64(b.mult)
	return min(left/float64(b.cost), float64(b.burst)) // a quotient may be rounded up
}

// Pause lets nothing through until the given time, even with a limit of [Inf]. Use it
// when a server has answered 429 with a Retry-After. A pause can only be extended: a
// time before the end of the current pause changes nothing. Tokens accumulate during a
// pause, up to the burst, so a limiter with a burst of 1 starts again gently.
func (l *Limiter) Pause(until time.Time) {
	b := l.ready()
	l.line.lock()
	defer l.line.unlock()
	l.line.pause(offset(until, b.epoch))
	l.line.serve()
}

// Refund gives back n tokens that were taken for events that did not happen or cost
// less. The bucket never holds more than the burst, and standing reservations limit
// what goes back, as for [Reservation.CancelAt]. Refund panics if n is negative.
func (l *Limiter) Refund(n int) {
	checkN("Refund", n)
	if n > 0 {
		l.settle(-n)
	}
}

// Settle corrects what was taken for an event whose cost was not known in advance. If
// actual is less than estimate, it gives back the difference; if it is more, it takes
// the difference, even if the bucket does not hold it. Missing tokens are a debt that
// later events wait for, so the limit holds over time. Settle never waits. It panics if
// either argument is negative.
func (l *Limiter) Settle(estimate, actual int) {
	checkN("Settle", estimate)
	checkN("Settle", actual)
	if estimate != actual {
		l.settle(actual - estimate)
	}
}

func (l *Limiter) settle(more int) {
	l.ready()
	q := &l.line
	q.lock()
	defer q.unlock()
	if more > 0 {
		l.take(q.now(), more)
	} else {
		l.give(q.now(), -more, nil, q.booked)
	}
	q.serve()
}
