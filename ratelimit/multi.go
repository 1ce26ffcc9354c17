package ratelimit

import (
	"context"
	"math"
	"slices"
	"time"
)

// Tier is a limit that can be one of several in a [Multi]: a [*Limiter], a [*Window], or the
// limit of a key, [Keyed.At]. Only types of this package implement it; all of them may be
// used by any number of goroutines. Multi panics if a Tier is nil.
type Tier interface {
	// Wait waits for one event of this limit alone.
	Wait(ctx context.Context) error

	// open returns the line to wait in, and a function to call when leaving it, or nil if
	// none is needed. The line is nil if there is no room for the key.
	open() (*line, func())
}

// MultiLimiter combines several limits into one. What it lets through, each of them lets
// through at the same instant; what it denies takes nothing from any of them. The limits may
// be used on their own meanwhile.
//
// Create it with [Multi]; the zero value is not usable. A MultiLimiter must not be copied.
// Its methods may be called from any goroutine at any time.
type MultiLimiter struct {
	tiers []Tier
	fixed []*line // the lines of tiers if none of them is a key
}

// Multi returns the limits combined into one: 10 a second and 500 in any hour, or a limit
// for each user and one for all. A limit that is given twice counts once. Multi panics if
// there is no limit, or one is nil.
func Multi(limits ...Tier) *MultiLimiter {
	if len(limits) == 0 {
		panic("ratelimit: Multi: no limits")
	}
	m := &MultiLimiter{tiers: slices.Clone(limits)}
	for _, t := range limits {
		switch t := t.(type) {
		case nil:
			panic("ratelimit: Multi: nil limit")
		case *Limiter:
			if t == nil {
				panic("ratelimit: Multi: nil limit")
			}
			m.fixed = append(m.fixed, &t.line)
		case *Window:
			if t == nil {
				panic("ratelimit: Multi: nil limit")
			}
			m.fixed = append(m.fixed, &t.line)
		}
	}
	if len(m.fixed) < len(limits) {
		m.fixed = nil
	} else {
		m.fixed = inOrder(m.fixed)
	}
	return m
}

func (l *Limiter) open() (*line, func()) {
	l.ready()
	return &l.line, nil
}

// lines are the lines of one call, in the order in which they are locked.
type lines []*line

func inOrder(qs []*line) lines {
	slices.SortFunc(qs, func(a, b *line) int {
		if a.order() < b.order() {
			return -1
		} else if a == b {
			return 0
		}
		return 1
	})
	return slices.Compact(qs)
}

// open returns the lines, and a function to call when leaving them; nil if there is no room
// for a key.
func (m *MultiLimiter) open() (lines, func()) {
	if m.fixed != nil {
		for _, t := range m.tiers {
			if l, ok := t.(*Limiter); ok {
				l.ready()
			}
		}
		return m.fixed, func() {}
	}
	var qs lines
	var ends []func()
	done := func() {
		for _, end := range ends {
			end()
		}
	}
	for _, t := range m.tiers {
		q, end := t.open()
		if end != nil {
			ends = append(ends, end)
		}
		if q == nil {
			done()
			return nil, nil
		}
		qs = append(qs, q)
	}
	return inOrder(qs), done
}

func (qs lines) lock() {
	for _, q := range qs {
		q.lock()
	}
}

func (qs lines) unlock() {
	for _, q := range qs {
		q.unlock()
	}
}

// allow takes n of each if they are available and no caller waits.
func (qs lines) allow(t time.Time, n int) bool {
	for _, q := range qs {
		if q.first != nil || !q.free(q.at(t), n) {
			return false
		}
	}
	for _, q := range qs {
		q.rule.take(q.at(t), n)
	}
	return true
}

// Allow is AllowN for one event, now.
func (m *MultiLimiter) Allow() bool { return m.AllowN(time.Now(), 1) }

// AllowN reports whether all limits let n events through at time t, and takes them from all
// if so. It returns false while callers wait in line for one of the limits. It panics if n
// is negative.
func (m *MultiLimiter) AllowN(t time.Time, n int) bool {
	checkN("AllowN", n)
	if n == 0 {
		return true
	}
	for _, tier := range m.tiers {
		if l, ok := tier.(*Limiter); ok && l.denies(t, n) {
			return false // without a lock
		}
	}
	qs, done := m.open()
	if qs == nil {
		return false
	}
	defer done()
	qs.lock()
	defer qs.unlock()
	return qs.allow(t, n)
}

// denies reports whether AllowN would be false, if that can be told without the lock.
func (l *Limiter) denies(t time.Time, n int) bool {
	b := l.state.Load()
	if b == nil {
		return true
	}
	tat := b.word.Load()
	since := offset(t, b.epoch) - b.base
	if tat >= waiting || uint64(since) > uint64(b.reach) {
		return tat == waiting
	}
	now := b.ticks(since)
	return int64(n) > b.burst || max(tat, now)+int64(n)*b.cost-now > b.depth
}

// Take is [Limiter.Take] for all limits: Limit and Remaining are the smallest of theirs,
// RetryAfter and ResetAfter the longest.
func (m *MultiLimiter) Take(n int) Decision {
	checkN("Take", n)
	qs, done := m.open()
	if qs == nil {
		return Decision{RetryAfter: m.room(), ResetAfter: m.room()}
	}
	defer done()
	qs.lock()
	defer qs.unlock()
	t := time.Now()
	d := Decision{Allowed: n == 0 || qs.allow(t, n), Limit: math.MaxInt, Remaining: math.MaxInt}
	for _, q := range qs {
		of := q.outlook(q.at(t), n)
		d.Limit = min(d.Limit, of.Limit)
		d.Remaining = min(d.Remaining, of.Remaining)
		d.ResetAfter = max(d.ResetAfter, of.ResetAfter)
		if !d.Allowed {
			d.RetryAfter = max(d.RetryAfter, of.RetryAfter)
		}
	}
	return d
}

// room returns how long until there may be room for the keys.
func (m *MultiLimiter) room() time.Duration {
	var longest time.Duration
	for _, t := range m.tiers {
		if k, ok := t.(interface{ room() time.Duration }); ok {
			longest = max(longest, k.room())
		}
	}
	return longest
}

// Reserve is ReserveN for one event, now.
func (m *MultiLimiter) Reserve() *Reservation { return m.ReserveN(time.Now(), 1) }

// ReserveN is [Limiter.ReserveN] for all limits: its time is that of the slowest limit. It
// is not OK, and takes nothing, if one of the limits cannot reserve. It panics if n is
// negative.
//
// The faster limits are booked for that time as well, and may let nothing else through until
// then. WaitN does not hold up other callers in this way.
func (m *MultiLimiter) ReserveN(t time.Time, n int) *Reservation {
	checkN("ReserveN", n)
	qs, done := m.open()
	if qs == nil {
		return &Reservation{n: n}
	}
	defer done()
	qs.lock()
	defer qs.unlock()
	wait := int64(0)
	for _, q := range qs {
		at, ok := q.plan(q.at(t), n)
		if !ok {
			return &Reservation{n: n}
		}
		wait = max(wait, at-q.at(t))
	}
	r := &Reservation{n: n, ok: true}
	for _, q := range qs {
		r.parts = append(r.parts, q.reserve(q.at(t), n, addTime(q.at(t), wait)))
	}
	return r
}

// Wait is WaitN for one event.
func (m *MultiLimiter) Wait(ctx context.Context) error { return m.WaitN(ctx, 1) }

// WaitN waits until all limits let n events through, and takes them from all of them then.
// It waits in the line of one limit at a time, the one that it expects to take longest, and
// keeps its rank when it moves to another line. So a caller that waits for the limit of one
// key does not hold up callers that wait for other keys under a shared limit. WaitN cannot
// foresee what callers in other lines will take first. So a RetryAfter may be too short, and
// WaitN may notice only while it waits that a deadline is too near. In all else it is like
// [Limiter.WaitN]: if ctx ends, it returns ctx.Err() and not its cause, for example.
func (m *MultiLimiter) WaitN(ctx context.Context, n int) error {
	checkN("WaitN", n)
	return m.wait(ctx, n, 0)
}

// WaitPriority is [Limiter.WaitPriority] for all limits.
func (m *MultiLimiter) WaitPriority(ctx context.Context, n, priority int) error {
	checkN("WaitPriority", n)
	return m.wait(ctx, n, priority)
}

func (m *MultiLimiter) wait(ctx context.Context, n, priority int) error {
	if err := ctx.Err(); err != nil || n == 0 {
		return err
	}
	qs, done := m.open()
	if qs == nil {
		return &WaitError{N: n, RetryAfter: m.room(), reason: ErrFull}
	}
	defer done()
	p := probe{n: n, priority: priority, since: time.Now()}
	for {
		granted, err := p.try(ctx, qs)
		if granted || err != nil {
			return err
		}
		select {
		case <-p.entry.ready:
		case <-ctx.Done():
		}
	}
}

// probe is a caller that waits for several limits.
type probe struct {
	n, priority int
	since       time.Time
	line        *line // in which it waits
	entry       *entry
}

// try takes the events of the probe if they are available, or moves to the line in which it
// has to wait.
func (p *probe) try(ctx context.Context, qs lines) (granted bool, err error) {
	qs.lock()
	defer qs.unlock()
	if p.entry != nil && p.entry.err != nil {
		return false, p.entry.err // removed from the line
	}
	if err := ctx.Err(); err != nil {
		p.leave()
		return false, err
	}
	t := time.Now()
	var slowest *line
	longest := int64(-1)
	for _, q := range qs {
		if p.n > q.rule.most() {
			p.leave()
			return false, &WaitError{N: p.n, RetryAfter: InfDuration, reason: ErrBurst}
		}
		ahead, now := p.ahead(q), q.at(t)
		at := q.due(now, ahead, p.n)
		if ahead.first == ahead.end && at <= now {
			continue
		}
		if wait := at - now; at == never || wait > longest {
			if longest = wait; at == never {
				longest = never
			}
			slowest = q
		}
	}
	if slowest == nil {
		for _, q := range qs {
			q.rule.take(q.at(t), p.n)
		}
		p.leave()
		return true, nil
	}
	now, at := slowest.at(t), int64(never)
	if longest != never {
		at = now + longest
	}
	if err := tooNear(ctx, slowest.epoch, now, at, p.n); err != nil {
		p.leave()
		return false, err
	}
	if p.line != slowest {
		p.leave()
		p.line = slowest
		p.entry = slowest.insert(&entry{n: p.n, probe: true, ready: make(chan struct{}, 1)}, p.rank(slowest))
	}
	p.entry.offered = false
	slowest.serve()
	return false, nil
}

func (p *probe) rank(q *line) int64 { return rankOf(q.at(p.since), p.priority) }

// ahead returns the entries that are, or would be, before the probe in a line.
func (p *probe) ahead(q *line) crowd {
	if q == p.line {
		return q.before(p.entry)
	}
	return q.ahead(p.rank(q))
}

// leave removes the probe from its line, if it is in one, and serves the rest.
func (p *probe) leave() {
	if p.line != nil {
		p.line.remove(p.entry)
		p.line.serve()
		p.line, p.entry = nil, nil
	}
}
