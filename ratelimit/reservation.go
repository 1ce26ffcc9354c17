package ratelimit

import (
	"math"
	"time"
)

// Reservation is a right to let n events happen, from a time on. Its zero value is not
// OK. It may be used by any goroutine; only Cancel changes it.
type Reservation struct {
	line  *line
	n     int
	at    int64 // ns since the epoch of the line
	ok    bool
	parts []*Reservation // of a Multi, one for each of its limits; they have the same time

	// Guarded by the mutex of the line.
	entry    *entry // its place in line, until its tokens are taken
	canceled bool
	skip     skip
}

// Reserve is ReserveN for one event, now.
func (l *Limiter) Reserve() *Reservation { return l.ReserveN(time.Now(), 1) }

// ReserveN takes n tokens that may not be there yet, and says when they will be:
// wait for [Reservation.Delay] before the events happen, or cancel. The time is a
// promise that no later call changes; it is behind all who wait in line, who
// lose nothing by it. It counts for the limit at the time of the call; after
// SetLimit, SetBurst, Pause or Settle the reservations made before may come too early or late.
//
// It is not OK if n is above the burst, the limit is zero and the tokens are not there
// (golang/go#47221), or the time would be beyond what can be told. ReserveN panics if n is
// negative.
func (l *Limiter) ReserveN(t time.Time, n int) *Reservation {
	checkN("ReserveN", n)
	b := l.ready()
	l.line.lock()
	defer l.line.unlock()
	return l.line.reserve(offset(t, b.epoch), n, math.MinInt64)
}

// OK reports whether there is a time. If not, Delay is [InfDuration], and Cancel does
// nothing.
func (r *Reservation) OK() bool { return r.ok }

// Delay is DelayFrom(time.Now()).
func (r *Reservation) Delay() time.Duration { return r.DelayFrom(time.Now()) }

// DelayFrom returns how long after t the events may happen; zero if they may at t.
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

// CancelAt says at time t that the events will not happen, and gives back their tokens:
// all of them, unless others have reserved meanwhile and are to act later. What
// they and a full bucket could then do at one time stays within the burst: n tokens go
// back, or the burst less the largest of those reservations if that is less.
// x/time counts what was taken in between instead, and so gives back too little
// (golang/go#56924, golang/go#69419).
//
// After the time of the reservation, and the second time, it does nothing.
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
