package pipeline

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// modeled is a stage with a queue on each side, in simulated time: events are the end
// of a call, an arrival and a departure. Fields up to noise may be changed as it runs.
type modeled struct {
	call   float64                    // seconds that a call takes if it is alone
	speed  func(calls int) float64    // of each of so many calls; nil: 1
	spread func(r *rand.Rand) float64 // factor on the length of each call; nil: 1
	source float64                    // inputs a second; 0: as many as fit
	bursts func(r *rand.Rand) float64 // factor on the time between two of them; nil: 1
	sink   float64                    // outputs a second that the stage behind takes; 0: all
	noise  float64                    // how much faster or slower calls may be in an interval
	rand   *rand.Rand

	calls       []float64 // what is left of each, in seconds
	holding     int       // workers whose output finds no room
	fresh       int       // how many of the next calls take ten times as long
	in, out     int       // in the queues
	toIn, toOut float64   // seconds to the next arrival and departure
}

const modeledBuffer = 256

func newModeled(call time.Duration) *modeled {
	return &modeled{call: call.Seconds(), rand: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // a model that repeats
}

// processors shares k of them among all calls.
func processors(k int) func(int) float64 {
	return func(calls int) float64 { return min(1, float64(k)/float64(calls)) }
}

// best has a throughput that grows up to n calls and falls beyond.
func best(n int) func(int) float64 {
	return func(calls int) float64 { return min(1, math.Pow(float64(n)/float64(calls), 2)) }
}

// exponential is a spread, and bursts, of the least regular kind.
func exponential(r *rand.Rand) float64 { return r.ExpFloat64() }

func (s *modeled) factor(of func(*rand.Rand) float64) float64 {
	if of == nil {
		return 1
	}
	return of(s.rand)
}

// run lets it work for d with up to n workers.
func (s *modeled) run(n int, d time.Duration) measured {
	m := measured{elapsed: d, workers: n}
	pace := 1 + s.noise*(2*s.rand.Float64()-1)
	var busy, blocked float64
	for left := d.Seconds(); left > 0; {
		if s.source == 0 {
			s.in = modeledBuffer
		}
		for s.in > 0 && len(s.calls)+s.holding < n {
			s.in--
			length := s.call * s.factor(s.spread)
			if s.fresh > 0 {
				s.fresh--
				length *= 10
			}
			s.calls = append(s.calls, length)
		}
		speed := pace
		if s.speed != nil && len(s.calls) > 0 {
			speed *= s.speed(len(s.calls))
		}
		step := left
		if len(s.calls) > 0 {
			step = min(step, slices.Min(s.calls)/speed)
		}
		if s.source > 0 && s.in < modeledBuffer {
			step = min(step, s.toIn)
		}
		if s.sink > 0 && s.out > 0 {
			step = min(step, s.toOut)
		}
		step = max(step, 1e-9) // rounding must not stop time
		left -= step
		busy += step * float64(len(s.calls))
		blocked += step * float64(s.holding)
		m.done += s.end(step * speed)
		s.move(step)
	}
	m.busy, m.blocked = time.Duration(1e9*busy), time.Duration(1e9*blocked)
	m.waiting = s.in
	return m
}

// end takes work off all calls and returns how many that ends.
func (s *modeled) end(work float64) (done int) {
	for i := range s.calls {
		s.calls[i] -= work
	}
	before := len(s.calls)
	s.calls = slices.DeleteFunc(s.calls, func(left float64) bool { return left < 1e-9 })
	done = before - len(s.calls)
	if s.sink > 0 {
		s.holding += done
		s.settle()
	}
	return done
}

// move lets time pass for the queues.
func (s *modeled) move(step float64) {
	if s.source > 0 && s.in < modeledBuffer {
		if s.toIn -= step; s.toIn < 1e-12 {
			s.in++
			s.toIn = s.factor(s.bursts) / s.source
		}
	}
	if s.sink > 0 && s.out > 0 {
		if s.toOut -= step; s.toOut < 1e-12 {
			s.out--
			s.toOut = 1 / s.sink
			s.settle()
		}
	}
}

func (s *modeled) settle() {
	room := min(s.holding, modeledBuffer-s.out)
	s.holding -= room
	s.out += room
}

// quick is a stage whose calls are so short that handing over is most of the work:
// it is done under a lock, which gets worse with each worker that wants it.
func quick(call, handOver time.Duration) func(int, time.Duration) measured {
	return func(n int, d time.Duration) measured {
		each := call.Seconds() + handOver.Seconds()*(1+0.5*float64(n-1))*float64(n)
		done := d.Seconds() / each * float64(n)
		return measured{
			elapsed: d, done: int(done), busy: time.Duration(done * float64(call)), workers: n, waiting: modeledBuffer,
		}
	}
}

// played is one interval of a trace.
type played struct {
	i        int
	at, wait time.Duration
	m        measured
	workers  int // from then on
	why      string
}

type trace []played

// play runs a stage under a tuner for so many intervals, and goes on with the trace. If
// the test fails, it shows them.
func (tr trace) play(t *testing.T, tu *tuner, run func(int, time.Duration) measured, intervals int) trace {
	t.Helper()
	at, wait, from := time.Duration(0), tunerFirst, len(tr)
	if from > 0 {
		at, wait = tr[from-1].at, tr[from-1].wait
	}
	for range intervals {
		m := run(tu.workers(), wait)
		at += wait
		wait = tu.next(m)
		tr = append(tr, played{len(tr), at, wait, m, tu.workers(), tu.String()})
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("\n" + tr[from:].String())
		}
	})
	return tr
}

func (tr trace) String() string {
	var b strings.Builder
	for _, p := range tr {
		seconds := p.m.elapsed.Seconds()
		share := seconds * float64(p.m.workers)
		fmt.Fprintf(&b, "%4d %9v: %3d workers, %9.1f/s, busy %.2f, blocked %.2f, %3d wait -> %3d  %s\n",
			p.i, p.at.Round(time.Millisecond), p.m.workers, float64(p.m.done)/seconds,
			p.m.busy.Seconds()/share, p.m.blocked.Seconds()/share, p.m.waiting, p.workers, p.why)
	}
	return b.String()
}

// usual is the number of workers in the middle of all intervals.
func (tr trace) usual() int {
	all := make([]int, len(tr))
	for i, p := range tr {
		all[i] = p.m.workers
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// changes counts how often the number changed.
func (tr trace) changes() (n int) {
	for _, p := range tr {
		if p.workers != p.m.workers {
			n++
		}
	}
	return n
}

// until returns the index of the first interval behind which the number fits, or -1.
func (tr trace) until(fits func(int) bool) int {
	return slices.IndexFunc(tr, func(p played) bool { return fits(p.workers) })
}
