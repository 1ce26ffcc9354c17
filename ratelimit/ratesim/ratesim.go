package ratesim

import (
	"fmt"
	"iter"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// Limiter is a limiter that can be simulated: *ratelimit.Limiter, and others with this method.
// [Run] calls it from a single goroutine.
type Limiter interface {
	AllowN(t time.Time, n int) bool
}

// reserver is a limiter that requests can wait for.
type reserver interface {
	ReserveN(t time.Time, n int) *ratelimit.Reservation
}

// Limit is one limit of a simulation. It is a plain value, but copies share the Limiter. The zero
// value has no Limiter, and [Run] panics on it.
type Limit struct {
	Name    string
	Limiter Limiter
	// Patience is how long a request waits at most. If it is 0, a request is admitted at once or
	// denied. Any other value needs a Limiter with the method ReserveN of *ratelimit.Limiter.
	Patience time.Duration
}

// Arrival is a request, or several at once that are admitted or denied together. It is a plain
// value. The zero value is invalid, since N must be at least 1.
type Arrival struct {
	At time.Duration // since the start
	N  int           // tokens that it takes
}

// Report is what limits have done to traffic. It may be used by one goroutine at a time. It may be
// copied, but copies share their slices. The zero value is empty.
type Report struct {
	For      time.Duration
	Arrivals []Arrival
	Runs     []Outcomes // one for each limit
}

// Outcomes is what one limit has done. Like a [Report], it may be used by one goroutine at a time,
// and copies share Fates. The zero value is empty.
type Outcomes struct {
	Limit   Limit
	Fates   []Fate // one for each arrival
	Tokens  Count  // by tokens
	MaxWait time.Duration
}

// Fate is what became of an arrival. It is a plain value. The zero value is a denial.
type Fate struct {
	Admitted bool
	Wait     time.Duration // until it was admitted
}

// Count is a number of tokens, and what became of them. It is a plain value. The zero value is
// empty.
type Count struct{ Offered, Admitted, Denied int }

// Run applies each of the limits separately to the traffic that arrives before d. Limiters should
// be new: time starts when Run is called, and what they have granted before counts. A request that
// arrives in the very nanosecond in which its token does may be admitted or denied.
//
// Run panics if d is not positive, if there is no limit, if a limiter is nil or has a Patience but
// cannot be waited for, and if the traffic is nil, goes back in time, or has an N below 1. Run does
// not return if endless traffic never reaches d.
func Run(d time.Duration, traffic iter.Seq[Arrival], limits ...Limit) Report {
	switch {
	case d <= 0:
		panic(fmt.Sprintf("ratesim: Run for %v: want more than 0", d))
	case len(limits) == 0:
		panic("ratesim: Run: no limit")
	case traffic == nil:
		panic("ratesim: Run: no traffic")
	}
	report := Report{For: d}
	last := time.Duration(0)
	for a := range traffic {
		if a.At < last {
			panic(fmt.Sprintf("ratesim: Run: an arrival at %v comes after one at %v", a.At, last))
		}
		if a.N < 1 {
			panic(fmt.Sprintf("ratesim: Run: an arrival of %d", a.N))
		}
		if last = a.At; a.At >= d {
			break
		}
		report.Arrivals = append(report.Arrivals, a)
	}
	for _, limit := range limits {
		report.Runs = append(report.Runs, simulate(limit, report.Arrivals))
	}
	return report
}

func simulate(limit Limit, arrivals []Arrival) Outcomes {
	if limit.Limiter == nil {
		panic("ratesim: Run: nil limiter")
	}
	line, waits := limit.Limiter.(reserver)
	if limit.Patience < 0 || limit.Patience > 0 && !waits {
		panic(fmt.Sprintf("ratesim: Run: limit %q: nobody can wait %v for it", limit.Name, limit.Patience))
	}
	out := Outcomes{Limit: limit, Fates: make([]Fate, len(arrivals))}
	start := time.Now()
	for i, a := range arrivals {
		at := start.Add(a.At)
		fate := &out.Fates[i]
		if limit.Patience == 0 {
			fate.Admitted = limit.Limiter.AllowN(at, a.N)
		} else {
			*fate = wait(line, at, a.N, limit.Patience)
		}
		out.Tokens.add(a.N, fate.Admitted)
		out.MaxWait = max(out.MaxWait, fate.Wait)
	}
	return out
}

// wait does what Wait with a deadline does: it takes nothing if the deadline is too near.
func wait(line reserver, at time.Time, n int, patience time.Duration) Fate {
	r := line.ReserveN(at, n)
	if !r.OK() {
		return Fate{}
	}
	delay := r.DelayFrom(at)
	if delay > patience {
		r.CancelAt(at)
		return Fate{}
	}
	return Fate{Admitted: true, Wait: delay}
}

func (c *Count) add(n int, admitted bool) {
	c.Offered += n
	if admitted {
		c.Admitted += n
	} else {
		c.Denied += n
	}
}

// slice is what happened in one part of the time.
type slice struct {
	Count           // of the arrivals in this part
	granted int     // tokens granted in this part, some to earlier arrivals
	waits   []int64 // of the admitted arrivals, in nanoseconds
}

// slicesOf divides the time into parts of one step; the last may be shorter.
func (r Report) slicesOf(run Outcomes, step time.Duration) []slice {
	out := make([]slice, int((r.For+step-1)/step))
	for i, a := range r.Arrivals {
		fate := run.Fates[i]
		s := &out[a.At/step]
		s.add(a.N, fate.Admitted)
		if !fate.Admitted {
			continue
		}
		s.waits = append(s.waits, int64(fate.Wait))
		if granted := a.At + fate.Wait; granted < r.For {
			out[granted/step].granted += a.N
		}
	}
	return out
}
