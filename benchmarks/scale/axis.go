package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// axis is what grows.
type axis struct {
	name, title, about, unit string
	xs, few                  []int // the places, and those with -short
	lines                    []line
}

// line is what is measured at each place.
type line struct {
	name  string
	items func(x int) int
	do    func(x, items int) // all of it, from making to ending
}

var axes = []axis{
	{
		name: "workers", title: "Workers, calls that return at once", unit: "workers",
		about: "No-op calls. Workers are started as they are needed, and calls that return at once need few.",
		xs:    []int{1, 2, 4, 8, 16, 64, 256, 1000, 4000, 10_000, 30_000, 100_000},
		few:   []int{1, 1000},
		lines: []line{
			{"pool.Submit", always(1_000_000), func(x, n int) { submit(n, noop, pool.Workers(x)) }},
			{"pool.Map", always(3_000_000), func(x, n int) { mapped(n, x) }},
			{"stage", always(2_000_000), func(x, n int) { stages(n, 1, noop, pipeline.Workers(x)) }},
			{"stage in order", always(2_000_000), func(x, n int) { stages(n, 1, noop, pipeline.Workers(x), pipeline.Ordered()) }},
		},
	},
	{
		name: "waiting", title: "Workers, calls that wait", unit: "workers",
		about: "Calls that sleep for 20 ms, four for each worker and at least 20,000 (but 200 for each worker at most), so that all workers are in a call " +
			"at once: the processor's time is what counts here, the other one is mostly sleep.",
		xs:  []int{1, 10, 100, 1000, 3000, 10_000, 30_000, 100_000},
		few: []int{10, 1000},
		lines: []line{
			{"pool.Submit", waitingItems, func(x, n int) { submit(n, wait, pool.Workers(x)) }},
			{"stage", waitingItems, func(x, n int) { stages(n, 1, wait, pipeline.Workers(x)) }},
		},
	},
	{
		name: "items", title: "Items", unit: "items",
		about: "No-op calls, 8 workers. Starting and ending the pool or the run is in the time.",
		xs:    []int{1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000},
		few:   []int{1000, 100_000},
		lines: []line{
			{"pool.Submit", itself, func(_, n int) { submit(n, noop, pool.Workers(8)) }},
			{"stage", itself, func(_, n int) { stages(n, 1, noop, pipeline.Workers(8)) }},
			{"stage in order", itself, func(_, n int) { stages(n, 1, noop, pipeline.Workers(8), pipeline.Ordered()) }},
		},
	},
	{
		name: "stages", title: "Stages", unit: "stages",
		about: "No-op calls: an item's way through all of the stages, each with 4 workers, or fused.",
		xs:    []int{1, 2, 4, 8, 16, 32, 64},
		few:   []int{1, 8},
		lines: []line{
			{"4 workers each", shared(4_000_000), func(x, n int) { stages(n, x, noop, pipeline.Workers(4)) }},
			{"4 workers each, in order", shared(4_000_000), func(x, n int) { stages(n, x, noop, pipeline.Workers(4), pipeline.Ordered()) }},
			{"fused", shared(40_000_000), func(x, n int) { stages(n, x, noop) }},
		},
	},
}

func always(n int) func(int) int { return func(int) int { return n } }
func itself(x int) int           { return x }

// shared is so many calls for all stages together.
func shared(n int) func(int) int { return func(x int) int { return n / x } }

func waitingItems(x int) int { return min(max(4*x, 20_000), 200*x) }

func names() (all []string) {
	for _, a := range axes {
		all = append(all, a.name)
	}
	return all
}

func axisOf(name string) axis {
	return axes[slices.IndexFunc(axes, func(a axis) bool { return a.name == name })]
}

func noop(_ context.Context, v int) (int, error) { return v, nil }

func wait(_ context.Context, v int) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return v, nil
}

type function func(context.Context, int) (int, error)

func submit(items int, fn function, opts ...pool.Option) {
	p := pool.New(fn, opts...)
	for i := range items {
		if _, err := p.Submit(context.Background(), i); err != nil {
			panic(err)
		}
	}
	if err := p.Shutdown(context.Background()); err != nil {
		panic(err)
	}
	if s := p.Stats(); s.Succeeded != uint64(items) {
		panic(fmt.Sprintf("%d jobs, and %v", items, s))
	}
}

func mapped(items, workers int) {
	p := pool.New(noop, pool.Workers(workers))
	defer p.Close() //nolint:errcheck // it has no state to close
	if outs, err := p.Map(context.Background(), make([]int, items)); err != nil || len(outs) != items {
		panic(fmt.Sprint(len(outs), " outputs, ", err))
	}
}

func stages(items, n int, fn function, opts ...pipeline.StageOption) {
	f := pipeline.From(func(yield func(int) bool) {
		for i := range items {
			if !yield(i) {
				return
			}
		}
	})
	for range n {
		f = pipeline.Map(f, fn, opts...)
	}
	seen := 0
	for r := range f.Results(context.Background()) {
		if r.Err != nil {
			panic(r.Err)
		}
		seen++
	}
	if seen != items {
		panic(fmt.Sprint(items, " items, ", seen, " results"))
	}
}

// measure takes 5 rounds where they are short, and fewer where they are not.
func (a axis) measure(short bool, log io.Writer) *part {
	p := &part{Name: a.name}
	xs := a.xs
	if short {
		xs = a.few
	}
	for _, l := range a.lines {
		for _, x := range xs {
			n := l.items(x)
			if short {
				n = min(n, 5000)
				if a.name == "waiting" {
					n = min(n, 10*x)
				}
			}
			pt := &point{Line: l.name, X: x, Items: n}
			var processors []float64
			began := time.Now()
			for range 5 {
				runtime.GC()
				used, start := processorTime(), time.Now()
				l.do(x, n)
				pt.Samples = append(pt.Samples, float64(time.Since(start))/float64(n))
				processors = append(processors, float64(processorTime()-used)/float64(n))
				if rounds := len(pt.Samples); time.Since(began) > 2*time.Second && rounds >= 3 || time.Since(began) > 4*time.Second || short && rounds == 2 {
					break
				}
			}
			pt.NS, pt.Processor = median(pt.Samples), median(processors)
			if n <= 10_000_000 {
				pt.Goroutines, pt.Memory = watched(func() { l.do(x, n) })
			} else {
				pt.Goroutines, pt.Memory = watched(func() { l.do(x, n/10) }) // long enough to be full
			}
			_, _ = fmt.Fprintf(log, "%s, %s, %s: %s ns\n", a.name, l.name, commas(x), number(pt.NS))
			p.Points = append(p.Points, pt)
		}
	}
	return p
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// watched runs f and returns the most goroutines and bytes that it had, beyond those that were there.
func watched(f func()) (goroutines int, bytes uint64) {
	runtime.GC()
	before, there := runtime.NumGoroutine(), memory()
	type most struct {
		goroutines int
		bytes      uint64
	}
	stop, seen := make(chan struct{}), make(chan most)
	go func() {
		var m most
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			m.goroutines = max(m.goroutines, runtime.NumGoroutine()-before-1)
			m.bytes = max(m.bytes, max(memory(), there)-there)
			select {
			case <-stop:
				seen <- m
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(stop)
	m := <-seen
	return m.goroutines, m.bytes
}

func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}
