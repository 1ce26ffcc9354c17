package scenario

import (
	"context"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

// Observed is what somebody who looks on sees of a run. It is a plain value.
type Observed struct {
	// P50 and P99 are quantiles of the time from when the input was handed over (the call that does it had not returned
	// yet) to the end of its last call; with Alone, to when it came out. In Map all are accepted at once, when it is
	// called. Waiting for room counts.
	P50, P99 time.Duration

	Goroutines int    // at most, beside those that were there before
	Memory     uint64 // at most, of heap and stacks in bytes, beside what was there before
}

// watch stamps inputs. A nil watch does nothing, and costs a comparison.
type watch struct {
	epoch      time.Time
	accepted   []time.Duration
	finished   []time.Duration
	goroutines int
	memory     uint64
}

func newWatch(n int) *watch {
	return &watch{epoch: time.Now(), accepted: make([]time.Duration, n), finished: make([]time.Duration, n)}
}

func (w *watch) accept(i int) {
	if w != nil {
		w.accepted[i] = time.Since(w.epoch)
	}
}

func (w *watch) acceptedAll() {
	if w == nil {
		return
	}
	now := time.Since(w.epoch)
	for i := range w.accepted {
		w.accepted[i] = now
	}
}

func (w *watch) finish(i int) {
	if w != nil {
		w.finished[i] = time.Since(w.epoch)
	}
}

// source gives the numbers from 0 to n-1.
func (w *watch) source(n int) seq {
	return func(yield func(int) bool) {
		for v := range n {
			w.accept(v)
			if !yield(v) {
				return
			}
		}
	}
}

// last is the function of the last stage, which has so many before it.
func (w *watch) last(call subject.Func, before int) subject.Func {
	if w == nil {
		return call
	}
	return func(ctx context.Context, v int) (int, error) {
		u, err := call(ctx, v)
		w.finish(v - before)
		return u, err
	}
}

// start has goroutines and memory counted until the function that it returns is called.
func (w *watch) start() (stop func()) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	memory := func() uint64 {
		metrics.Read(samples)
		return samples[0].Value.Uint64() + samples[1].Value.Uint64()
	}
	goroutines, bytes := runtime.NumGoroutine()+1, memory() // this one
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			w.goroutines = max(w.goroutines, runtime.NumGoroutine()-goroutines)
			if now := memory(); now > bytes {
				w.memory = max(w.memory, now-bytes)
			}
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

func (w *watch) observed() Observed {
	took := make([]time.Duration, len(w.finished))
	for i := range took {
		took[i] = w.finished[i] - w.accepted[i]
	}
	slices.Sort(took)
	rank := func(percent int) time.Duration { return took[min(len(took)-1, len(took)*percent/100)] }
	return Observed{P50: rank(50), P99: rank(99), Goroutines: w.goroutines, Memory: w.memory}
}
