package ratelimit

import (
	"math"
	"time"
)

// Reservation is the right to let n events happen from some time on. The zero value is not
// OK. A Reservation must not be copied. Its methods may be called from any goroutine; only
// Cancel and CancelAt change it.
type Reservation struct {
	line  *line
	n     int
	at    int64 // ns since the epoch of the line
	ok    bool
	parts []*Reservation // for a Multi: one for each of its limits, all with the same time

	// Guarded by the mutex of the line.
	entry    *entry // its place in line, until its tokens are taken
	canceled bool
	changed  bool // the limit has changed since its tokens were taken
	skip     skip
}

// Reserve is ReserveN for one event, now.
func (l *Limiter) Reserve() *Reservation { return l.ReserveN(time.Now(), 1) }

// ReserveN takes n tokens that may not be available yet, and returns the time at which
// they will be: wait for [Reservation.Delay] before the events happen, or cancel. No later
// call changes that time. It comes after all callers that wait in line, who lose nothing
// by it. It is computed from the limit at the time of the call: after SetLimit, SetBurst,
// Pause or Settle, reservations made before may come too early or too late.
//
// The reservation is not OK if n is above the burst, if the limit is zero and the tokens
// are not available (golang/go#47221), or if the time is too far away to be represented.
// ReserveN panics if n is negative.
func (l *Limiter) ReserveN(t time.Time, n int) *Reservation {
	checkN("ReserveN", n)
	b := l.ready()
	l.line.lock()
	defer l.line.unlock()
	return l.line.reserve(offset(t, b.epoch), n, math.MinInt64)
}

// OK reports whether the reservation has a time. If not, Delay returns [InfDuration] and
// Cancel does nothing.
func (r *Reservation) OK() bool { return r.ok }

// Delay is DelayFrom(time.Now()).
func (r *Reservation) Delay() time.Duration { return r.DelayFrom(time.Now()) }

// DelayFrom returns how long after t the events may happen, or zero if they may happen at
// t.
func (r *Reservation) DelayFrom(t time.Time) time.Duration {
	if !r.ok {
		return InfDuration
	}
	if r.parts != nil {
		return r.parts[0].DelayFrom(t)
	}
	at := offset(t, r.line.epoch)
	if at >= r.at {
		return 0
	}
	if d := r.at - at; d > 0 {
		return time.Duration(d)
	}
	return InfDuration - 1
}

// Cancel is CancelAt(time.Now()).
func (r *Reservation) Cancel() { r.CancelAt(time.Now()) }

// CancelAt reports that, as of time t, the events will not happen, and gives back their
// tokens: all of them, unless other reservations with a later time were made meanwhile.
// Those and a full bucket together must then stay within the burst: n tokens go back, or
// the burst less the largest of those reservations if that is less. x/time counts the
// tokens taken in between instead, and so gives back too little (golang/go#56924,
// golang/go#69419).
//
// CancelAt does nothing after the time of the reservation, or when called again.
func (r *Reservation) CancelAt(t time.Time) {
	if !r.ok {
		return
	}
	if r.parts != nil {
		for _, part := range r.parts {
			part.CancelAt(t)
		}
		return
	}
	q := r.line
	q.lock()
	defer q.unlock()
	if r.canceled || r.n == 0 || offset(t, q.epoch) > r.at {
		return
	}
	r.canceled = true
	if r.entry != nil {
		q.remove(r.entry)
	} else {
		q.unbook(offset(t, q.epoch), r)
	}
	q.serve()
}
