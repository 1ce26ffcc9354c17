package ratesim

import (
	"fmt"
	"iter"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// Limiter is what can be simulated: *ratelimit.Limiter, and others with this method.
type Limiter interface {
	AllowN(t time.Time, n int) bool
}

// reserver is a limiter in whose line requests can wait.
type reserver interface {
	ReserveN(t time.Time, n int) *ratelimit.Reservation
}

// Limit is one limit of a simulation.
type Limit struct {
	Name    string
	Limiter Limiter
	// Patience is how long a request waits at most. With 0, it is admitted at once or denied. Any
	// other needs a Limiter with the method ReserveN of *ratelimit.Limiter.
	Patience time.Duration
}

// Arrival is a request, or some at once that are admitted or denied together.
type Arrival struct {
	At time.Duration // since the start
	N  int           // tokens that it takes
}

// Report is what limits have done to traffic. It is a value for one goroutine at a time.
type Report struct {
	For      time.Duration
	Arrivals []Arrival
	Runs     []Outcomes // one for each limit
}

// Outcomes is what one limit has done.
type Outcomes struct {
	Limit   Limit
	Fates   []Fate // one for each arrival
	Tokens  Count  // by tokens
	MaxWait time.Duration
}

// Fate is what became of an arrival.
type Fate struct {
	Admitted bool
	Wait     time.Duration // until it was admitted
}

// Count is a number of tokens, and what became of them.
type Count struct{ Offered, Admitted, Denied int }

// Run lets the traffic that arrives before d into each of the limits, of which none knows of the
// others. Limiters should be new: times start when Run is called, and what they have granted before
// counts. A request that comes in the very nanosecond in which its token does may be on either side.
//
// It panics if d is not positive; without a limit; if a limiter is nil or cannot be waited for,
// though it should; and if the traffic goes back in time, or has an N below 1. Traffic that never
// gets to d does not end.
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

// wait is what Wait with a deadline does: it takes nothing if that is too near.
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

// slice is what happened in a part of the time.
type slice struct {
	Count           // of what arrived in it
	granted int     // tokens that were granted in it, some to earlier arrivals
	waits   []int64 // of those arrivals that were admitted, in nanoseconds
}

// slicesOf cuts the time into parts of one step; the last may be shorter.
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
