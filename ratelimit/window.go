package ratelimit

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// Window allows at most n events in any window of a given length, wherever the window
// begins. It is for contracts that say "1000 in any hour" and mean it: a [Limiter] of the
// same rate and burst would let twice as many happen in the hour that starts with a full
// bucket.
//
// A window is half open: an event leaves it exactly per after it happened. A Window stores
// the time of each event that still counts, in 16 bytes each: this is the price of being
// strict.
//
// Create it with [NewWindow]; the zero value is not usable. A Window must not be copied.
// Its methods may be called from any goroutine at any time.
type Window struct {
	line line
	n    int
	per  int64
	// Guarded by the mutex of the line: the events that were let through or are reserved,
	// by time. Events that no longer count are dropped when others are added.
	log   []past
	total int64 // of the log
}

type past struct {
	at int64
	n  int
}

// NewWindow returns a Window that allows n events in any span of length per. It panics if n
// or per is not positive, or if n is above 2^40.
func NewWindow(n int, per time.Duration) *Window {
	if n < 1 {
		panic(fmt.Sprintf("ratelimit: NewWindow(%d, %v): want at least 1 event", n, per))
	}
	if int64(n) > maxBurst {
		panic("ratelimit: NewWindow: more than 2^40 events")
	}
	if per <= 0 {
		panic("ratelimit: NewWindow: the length is not above zero")
	}
	w := &Window{n: n, per: int64(per)}
	w.line.epoch = time.Now()
	w.line.rule = w
	return w
}

// N returns how many events a window allows.
func (w *Window) N() int { return w.n }

// Per returns the length of the window.
func (w *Window) Per() time.Duration { return time.Duration(w.per) }

// Allow reports whether an event may happen now, and counts it if so. It does not wait, and
// returns false while callers wait in line for this window.
func (w *Window) Allow() bool {
	w.line.lock()
	defer w.line.unlock()
	return w.line.allow(w.line.now(), 1) // the clock is read with the lock held, so the time is not stale
}

// AllowN reports whether n events may happen at time t, and counts them if so: all or none.
// It returns true if n is zero, false if n is above N, and false if t is before the last
// event that was counted. It panics if n is negative.
func (w *Window) AllowN(t time.Time, n int) bool {
	checkN("AllowN", n)
	if n == 0 {
		return true
	}
	w.line.lock()
	defer w.line.unlock()
	return w.line.allow(offset(t, w.line.epoch), n)
}

// Take is [Limiter.Take] for the window.
func (w *Window) Take(n int) Decision {
	checkN("Take", n)
	w.line.lock()
	defer w.line.unlock()
	return w.line.decide(w.line.now(), n)
}

// Reserve is ReserveN for one event, now.
func (w *Window) Reserve() *Reservation { return w.ReserveN(time.Now(), 1) }

// ReserveN is [Limiter.ReserveN] for the window. Nothing else is let through before the
// time of the last reservation.
func (w *Window) ReserveN(t time.Time, n int) *Reservation {
	checkN("ReserveN", n)
	w.line.lock()
	defer w.line.unlock()
	return w.line.reserve(offset(t, w.line.epoch), n, math.MinInt64)
}

// Wait is WaitN for one event.
func (w *Window) Wait(ctx context.Context) error { return w.WaitN(ctx, 1) }

// WaitN is [Limiter.WaitN] for the window. If ctx ends, it returns ctx.Err() and not its cause.
// It panics if n is negative.
func (w *Window) WaitN(ctx context.Context, n int) error {
	checkN("WaitN", n)
	if err := ctx.Err(); err != nil || n == 0 {
		return err
	}
	return w.line.wait(ctx, n, 0)
}

// Pause is [Limiter.Pause] for the window.
func (w *Window) Pause(until time.Time) {
	w.line.lock()
	defer w.line.unlock()
	w.line.pause(offset(until, w.line.epoch))
	w.line.serve()
}

func (w *Window) open() (*line, func()) { return &w.line, nil }

func (w *Window) hold()                {}
func (w *Window) release(_, _ bool)    {}
func (w *Window) most() int            { return w.n }
func (w *Window) fits(int64, int) bool { return true }

// last returns the time of the last event.
func (w *Window) last() int64 {
	if len(w.log) == 0 {
		return math.MinInt64
	}
	return w.log[len(w.log)-1].at
}

// counting returns the index of the first entry of the log that is still in the window
// ending at now.
func (w *Window) counting(now int64) int {
	return sort.Search(len(w.log), func(i int) bool { return now < addTime(w.log[i].at, w.per) })
}

func (w *Window) due(now int64, ahead crowd, n int) int64 {
	now = max(now, w.last())
	if ahead.blocks || ahead.promises {
		return w.dueAfter(now, ahead, n)
	}
	// Take the events of the log and then those to come, in order. Each of those to come is
	// let through when the event w.n places before it leaves the window.
	index := w.total + ahead.owed + int64(n)
	rounds := (index - w.total + int64(w.n) - 1) / int64(w.n)
	index -= rounds * int64(w.n)
	if index > 0 {
		i := 0
		for ; index > int64(w.log[i].n); i++ {
			index -= int64(w.log[i].n)
		}
		now = max(now, addTime(w.log[i].at, w.per))
	}
	if rounds--; rounds > 0 && w.per > (never-max(now, 0))/rounds {
		return never
	}
	return now + rounds*w.per
}

// dueAfter is due for any entries: it lets them through one after the other. Now is not
// before the last event of the log.
func (w *Window) dueAfter(now int64, ahead crowd, n int) int64 {
	log, used := w.log, w.total
	var coming []past // what the entries add to the log, by time
	// until moves now to the time at which n more are in the window.
	until := func(n int) {
		for used+int64(n) > int64(w.n) {
			oldest := &log
			if len(log) == 0 || len(coming) > 0 && coming[0].at < log[0].at {
				oldest = &coming
			}
			now = max(now, addTime((*oldest)[0].at, w.per))
			used -= int64((*oldest)[0].n)
			*oldest = (*oldest)[1:]
		}
	}
	for e := ahead.first; e != ahead.end; e = e.next {
		var at int64
		if e.promise != nil {
			at = e.promise.at
			now = max(now, at)
		} else {
			until(e.n)
			at = now
		}
		if now == never {
			return never
		}
		if now >= addTime(at, w.per) {
			continue // a promise that has left the window before that
		}
		i := len(coming)
		for i > 0 && coming[i-1].at > at {
			i--
		}
		coming = slices.Insert(coming, i, past{at, e.n})
		used += int64(e.n)
	}
	until(n)
	return now
}

func (w *Window) left(now int64) int {
	if w.last() > now {
		return 0 // nothing goes before a reservation
	}
	left := w.n
	for _, p := range w.log[w.counting(now):] {
		left -= p.n
	}
	return max(left, 0)
}

func (w *Window) idle(now int64) int64 {
	if len(w.log) == 0 {
		return now
	}
	return max(now, addTime(w.last(), w.per))
}

func (w *Window) take(at int64, n int) { w.add(at, at, n) }

// book counts from now, not from the time of the reservation: if it is canceled, the events
// that it would have outlived still count.
func (w *Window) book(now int64, r *Reservation) { w.add(min(now, r.at), r.at, r.n) }

// add notes n events, and drops those that no longer count at the time now.
func (w *Window) add(now, at int64, n int) {
	if n == 0 {
		return
	}
	old := w.counting(now)
	for _, p := range w.log[:old] {
		w.total -= int64(p.n)
	}
	w.log = w.log[old:]
	w.total += int64(n)
	// This is nearly always the last place. The exception is a promised time after a
	// waiting caller that was let through late.
	i := len(w.log)
	for i > 0 && w.log[i-1].at > at {
		i--
	}
	if i > 0 && w.log[i-1].at == at {
		w.log[i-1].n += n
		return
	}
	w.log = slices.Insert(w.log, i, past{at, n})
}

func (w *Window) cancel(_ int64, r *Reservation, _ []*Reservation) {
	i := sort.Search(len(w.log), func(i int) bool { return w.log[i].at >= r.at })
	if i == len(w.log) || w.log[i].at != r.at {
		return
	}
	w.log[i].n -= r.n
	w.total -= int64(r.n)
	if w.log[i].n == 0 {
		w.log = append(w.log[:i], w.log[i+1:]...)
	}
}
