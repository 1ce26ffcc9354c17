package main

import (
	"context"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// sample is the process at one time: once as it was under load, and once at rest, with all rounds ended, the jobs of the
// service done and the garbage collected.
type sample struct {
	at                         time.Duration
	busyHeap, restHeap         uint64 // bytes of objects
	busyRoutines, restRoutines int
}

// watch keeps the samples. Rounds run while they hold the gate for reading.
type watch struct {
	start   time.Time
	gate    sync.RWMutex
	samples []sample
}

// take has everything come to rest and looks at it, unless ctx ends meanwhile, with which goroutines of the program end
// that belong to it. rest is called with nothing under way.
func (w *watch) take(ctx context.Context, rest func()) (s sample, ok bool) {
	s = sample{at: time.Since(w.start), busyHeap: heap(), busyRoutines: runtime.NumGoroutine()}
	w.gate.Lock()
	defer w.gate.Unlock()
	rest()
	s.restRoutines, s.restHeap = settled()
	if ctx.Err() != nil {
		return s, false
	}
	w.samples = append(w.samples, s)
	return s, true
}

// settled collects the garbage, and gives goroutines that are about to end, such as those of timers and closed pools,
// the time to.
func settled() (routines int, bytes uint64) {
	routines = runtime.NumGoroutine()
	for still := 0; still < 3; {
		time.Sleep(2 * time.Millisecond)
		if n := runtime.NumGoroutine(); n < routines {
			routines, still = n, 0
		} else {
			still++
		}
	}
	// Twice: what has a cleanup or is in a sync.Pool is freed by the second one.
	runtime.GC()
	runtime.GC()
	return routines, heap()
}

func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// trends are those of the heap and of the goroutines at rest.
func (w *watch) trends() (bytes, routines trend) {
	var at, b, r []float64
	for _, s := range w.samples {
		at = append(at, s.at.Seconds())
		b = append(b, float64(s.restHeap))
		r = append(r, float64(s.restRoutines))
	}
	return trendOf(at, b), trendOf(at, r)
}

// pacer holds the use of the processor to a share of one core: rounds wait for a limit, which it sets by what the last
// ones have cost.
type pacer struct {
	share float64
	set   func(perSecond float64)
	rate  float64
}

const pace = 250 * time.Millisecond

// run steers until ctx ends.
func (p *pacer) run(ctx context.Context) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	last, used := time.Now(), processorTime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, u := time.Now(), processorTime()
		if u < 0 { // not known here: the rate stays
			continue
		}
		got := (u - used).Seconds() / now.Sub(last).Seconds()
		last, used = now, u
		// By at most a fifth at a time: rounds differ a lot, and a single measurement says little.
		p.rate = min(max(p.rate*min(max(p.share/max(got, 1e-6), 0.8), 1.25), 1), 1e5)
		p.set(p.rate)
	}
}
