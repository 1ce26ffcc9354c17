package ratelimit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// HeadStart is the lead in line that one step of priority gives a waiting caller: see
// [Limiter.WaitPriority].
const HeadStart = 10 * time.Second

// line is where callers wait for one limit, in the order in which they came, changed only
// by priorities. Nothing is taken for an entry before its turn comes, so one that leaves
// is as if it had never been there.
//
// Only the line has a timer, for its first entry. When it fires, and whenever anything has
// changed, serve lets through all entries that it can and sets the timer anew.
//
// Several lines are locked in the order of their ids.
type line struct {
	epoch  time.Time // all times are ns since then
	id     atomic.Uint64
	paused atomic.Bool // a pause may be on

	mu          sync.Mutex // guards what follows, and the state of the rule
	rule        rule
	first, last *entry
	owed        int64 // events that the entries ask for
	blocks      int   // entries that ask for more than one
	promises    int   // entries that are reservations
	until       int64 // the end of the pause, if there is one
	timer       *time.Timer
	set         int64          // when the timer fires
	booked      []*Reservation // those not due yet whose tokens are taken, by time
}

// entry is a place in a line. It belongs to a waiting caller, or to a reservation that was
// made after some of these. A probe belongs to a caller that needs several limits at once:
// it takes nothing here, but is told when it could.
type entry struct {
	n          int
	rank       int64 // smaller goes first
	prev, next *entry
	ready      chan struct{} // has one when granted, offered or failed
	granted    bool
	err        error
	probe      bool
	offered    bool
	promise    *Reservation
}

var ids atomic.Uint64

// order returns a number unique to the line.
func (q *line) order() uint64 {
	if id := q.id.Load(); id != 0 {
		return id
	}
	q.id.CompareAndSwap(0, ids.Add(1))
	return q.id.Load()
}

func (q *line) now() int64 { return int64(time.Since(q.epoch)) }

// at returns t in ns since the epoch.
func (q *line) at(t time.Time) int64 { return offset(t, q.epoch) }

func (q *line) lock() {
	q.mu.Lock()
	q.rule.hold()
	if q.until != 0 && q.now() >= q.until {
		q.until = 0
		q.paused.Store(false)
	}
}

func (q *line) unlock() {
	q.rule.release(q.until == 0, q.first != nil)
	q.mu.Unlock()
}

// allow takes n if they are available and no caller waits.
func (q *line) allow(at int64, n int) bool {
	if q.first != nil || !q.free(at, n) {
		return false
	}
	q.rule.take(at, n)
	return true
}

// free reports whether n are available to the first in line.
func (q *line) free(at int64, n int) bool {
	return n <= q.rule.most() && q.due(at, crowd{}, n) <= at
}

// due is the due of the rule, but never before the end of the pause.
func (q *line) due(now int64, ahead crowd, n int) int64 {
	if ahead.owed > math.MaxInt64/2 {
		return never
	}
	if q.until != 0 {
		now = max(now, q.until)
	}
	return q.rule.due(now, ahead, n)
}

// plan returns when n could be let through after all entries, and whether they can be
// reserved.
func (q *line) plan(now int64, n int) (at int64, ok bool) {
	if n > q.rule.most() {
		return never, false
	}
	if n == 0 {
		return now, true
	}
	at = q.due(now, q.ahead(math.MaxInt64), n)
	return at, at != never && q.rule.fits(now, n)
}

// reserve returns a reservation of n, at least or later; not OK if there is no such time.
// It keeps the order of the line.
func (q *line) reserve(now int64, n int, least int64) *Reservation {
	at, ok := q.plan(now, n)
	r := &Reservation{line: q, n: n, at: max(at, least), ok: ok}
	switch {
	case !ok || n == 0:
	case q.first != nil:
		r.entry = q.insert(&entry{n: n, promise: r}, math.MinInt64)
	default:
		q.book(min(now, q.now()), r)
	}
	return r
}

// book takes what r has reserved.
func (q *line) book(now int64, r *Reservation) {
	r.entry = nil
	q.rule.book(now, r)
	old := 0
	for old < len(q.booked) && q.booked[old].at < now {
		old++
	}
	clear(q.booked[:old])
	q.booked = q.booked[old:]
	if r.at < now {
		return
	}
	i := len(q.booked)
	q.booked = append(q.booked, r)
	for ; i > 0 && q.booked[i-1].at > r.at; i-- {
		q.booked[i] = q.booked[i-1]
	}
	q.booked[i] = r
}

// unbook undoes a reservation whose tokens are taken.
func (q *line) unbook(now int64, r *Reservation) {
	for i, other := range q.booked {
		if other == r {
			copy(q.booked[i:], q.booked[i+1:])
			q.booked[len(q.booked)-1] = nil
			q.booked = q.booked[:len(q.booked)-1]
			break
		}
	}
	q.rule.cancel(now, r, q.booked)
}

// insert puts e before all entries of a later rank, but not before a promise; a rank of
// math.MinInt64 stands for the end. It returns e.
func (q *line) insert(e *entry, rank int64) *entry {
	e.rank = rank
	if rank == math.MinInt64 {
		e.rank = q.last.rank
	}
	before := q.place(e.rank)
	e.prev = before
	if before == nil {
		e.next, q.first = q.first, e
	} else {
		e.next, before.next = before.next, e
	}
	if e.next == nil {
		q.last = e
	} else {
		e.next.prev = e
	}
	q.count(e, 1)
	return e
}

// place returns the entry that a new one of the rank would follow, or nil.
func (q *line) place(rank int64) *entry {
	e := q.last
	for e != nil && e.rank > rank && e.promise == nil {
		e = e.prev
	}
	return e
}

// crowd is the entries of a line before some place in it. The zero value is empty.
type crowd struct {
	first, end *entry // from first on, up to but not including end
	owed       int64  // events that they ask for
	blocks     bool   // some may ask for more than one
	promises   bool   // some may be reservations
}

// ahead returns the entries that a new one of the rank would follow.
func (q *line) ahead(rank int64) crowd {
	c := crowd{first: q.first, owed: q.owed, blocks: q.blocks > 0, promises: q.promises > 0}
	for e := q.last; e != nil && e.rank > rank && e.promise == nil; e = e.prev {
		c.owed -= counted(e.n)
		c.end = e
	}
	return c
}

// before returns the entries before e.
func (q *line) before(e *entry) crowd {
	c := crowd{first: q.first, end: e, blocks: q.blocks > 0, promises: q.promises > 0}
	for e = e.prev; e != nil; e = e.prev {
		c.owed += counted(e.n)
	}
	return c
}

// count adds e to the sums of the line, or, with a sign of -1, subtracts it.
func (q *line) count(e *entry, sign int) {
	q.owed += int64(sign) * counted(e.n)
	if e.n > 1 {
		q.blocks += sign
	}
	if e.promise != nil {
		q.promises += sign
	}
}

// counted keeps sums from overflowing.
func counted(n int) int64 { return min(int64(n), maxBurst) }

func (q *line) remove(e *entry) {
	if e.prev == nil {
		q.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	q.count(e, -1)
}

// serve lets through all entries that it can, and sets the timer for the next one.
func (q *line) serve() {
	if q.first == nil {
		q.disarm()
		return
	}
	now := q.now()
	for e := q.first; e != nil; e = q.first {
		switch {
		case e.promise != nil:
			q.remove(e)
			q.book(now, e.promise)
		default:
			at := q.due(now, crowd{}, e.n)
			if at > now {
				q.arm(at, now)
				return
			}
			if e.probe {
				if !e.offered {
					e.offered = true
					e.wake()
				}
				q.disarm()
				return
			}
			q.remove(e)
			q.rule.take(now, e.n)
			e.granted = true
			e.wake()
		}
	}
	q.disarm()
}

// wake tells the caller of e to look, and does not block. A caller that has been told and
// has not looked yet need not be told again.
func (e *entry) wake() {
	select {
	case e.ready <- struct{}{}:
	default:
	}
}

// sendAway removes the entries that wait for more than they can ever get.
func (q *line) sendAway() {
	most := q.rule.most()
	for e := q.first; e != nil; {
		next := e.next
		if e.promise == nil && e.n > most {
			q.remove(e)
			e.err = &WaitError{N: e.n, RetryAfter: InfDuration, reason: ErrBurst}
			e.wake()
		}
		e = next
	}
}

func (q *line) arm(at, now int64) {
	switch {
	case at == never:
		q.disarm()
	case q.timer == nil:
		q.set = at
		q.timer = time.AfterFunc(time.Duration(at-now), q.fire)
	case q.set != at:
		q.set = at
		q.timer.Reset(time.Duration(at - now))
	}
}

func (q *line) disarm() {
	if q.timer != nil && q.set != never {
		q.set = never
		q.timer.Stop()
	}
}

func (q *line) fire() {
	q.lock()
	q.set = never
	q.serve()
	q.unlock()
}

// pause holds back everything until the given time.
func (q *line) pause(until int64) {
	if until <= q.until || until <= q.now() {
		return
	}
	q.until = until
	q.paused.Store(true)
}

// wait waits for n, which is positive. The caller has checked ctx.
func (q *line) wait(ctx context.Context, n, priority int) error {
	q.lock()
	now := q.now()
	if q.allow(now, n) {
		q.unlock()
		return nil
	}
	if n > q.rule.most() {
		q.unlock()
		return &WaitError{N: n, RetryAfter: InfDuration, reason: ErrBurst}
	}
	rank := rankOf(now, priority)
	if _, ok := ctx.Deadline(); ok {
		if err := tooNear(ctx, q.epoch, now, q.due(now, q.ahead(rank), n), n); err != nil {
			q.unlock()
			return err
		}
	}
	e := q.insert(&entry{n: n, ready: make(chan struct{}, 1)}, rank)
	q.serve()
	q.unlock()
	select {
	case <-e.ready:
		return e.err
	case <-ctx.Done():
	}
	q.lock()
	defer q.unlock()
	if e.granted || e.err != nil {
		return e.err // granted or failed before ctx ended
	}
	q.remove(e)
	q.serve()
	return ctx.Err()
}

// calm reports whether no caller waits, no pause is on, and no reservation is to come.
func (q *line) calm(at int64) bool {
	return q.first == nil && q.until == 0 && (len(q.booked) == 0 || q.booked[len(q.booked)-1].at < at)
}

// quietAt returns when the line will be like a new one, if nothing more happens to it.
func (q *line) quietAt(at int64) int64 {
	if q.first != nil {
		return never
	}
	end := max(q.rule.idle(at), q.until)
	if n := len(q.booked); n > 0 && q.booked[n-1].at < never {
		end = max(end, q.booked[n-1].at+1)
	}
	return end
}

// rankOf returns the time of arrival less the head start.
func rankOf(now int64, priority int) int64 {
	const most = math.MaxInt64 / 4 / int64(HeadStart)
	return min(max(now, -math.MaxInt64/4), math.MaxInt64/4) - min(max(int64(priority), -most), most)*int64(HeadStart)
}

// tooNear returns an error if ctx ends before at.
func tooNear(ctx context.Context, epoch time.Time, now, at int64, n int) error {
	deadline, ok := ctx.Deadline()
	if !ok || int64(deadline.Sub(epoch)) >= at && at != never {
		return nil
	}
	retry := InfDuration
	if at != never {
		retry = time.Duration(at - now)
	}
	return &WaitError{N: n, RetryAfter: retry, reason: context.DeadlineExceeded}
}

// addTime returns at + d, for d >= 0, or never if that overflows.
func addTime(at, d int64) int64 {
	if at > never-d {
		return never
	}
	return at + d
}
