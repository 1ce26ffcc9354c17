package scenario

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"time"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

type seq = iter.Seq[int]

// Measure is what one timed run took. It is a plain value.
type Measure struct {
	Inputs  int
	Elapsed time.Duration // from before the subject was made to after it had ended
	Bytes   uint64        // allocated, in total
	Allocs  uint64
}

// PerItem returns the nanoseconds, bytes and allocations for an input.
func (m Measure) PerItem() (ns, bytes, allocs float64) {
	n := float64(m.Inputs)
	return float64(m.Elapsed.Nanoseconds()) / n, float64(m.Bytes) / n, float64(m.Allocs) / n
}

// Run has the subject work through n inputs, checks what came out, and says what it took. Nothing that looks on runs
// beside it.
func (s Scenario) Run(sub subject.Subject, n int) (Measure, error) {
	wait := settled()
	defer wait()
	var before, after runtime.MemStats
	run, check := s.prepare(sub, n, nil)
	runtime.ReadMemStats(&before)
	start := time.Now()
	err := run()
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	if err == nil {
		err = check()
	}
	if err != nil {
		return Measure{}, fmt.Errorf("%s: %s: %w", s.Name(), sub.Name, err)
	}
	return Measure{
		Inputs: n, Elapsed: elapsed,
		Bytes: after.TotalAlloc - before.TotalAlloc, Allocs: after.Mallocs - before.Mallocs,
	}, nil
}

// Observe is Run with somebody who looks on: it stamps each input when it is handed over and when its last call has
// ended, and counts goroutines and memory meanwhile. That costs time, so it is a run of its own.
func (s Scenario) Observe(sub subject.Subject, n int) (Observed, error) {
	wait := settled()
	defer wait()
	w := newWatch(n)
	run, check := s.prepare(sub, n, w)
	stop := w.start()
	err := run()
	stop()
	if err == nil {
		err = check()
	}
	if err != nil {
		return Observed{}, fmt.Errorf("%s: %s: %w", s.Name(), sub.Name, err)
	}
	return w.observed(), nil
}

// settled collects the garbage of what was before, and returns a function that waits until the goroutines of what is
// now are gone: some subjects end their workers without waiting for them.
func settled() (wait func()) {
	runtime.GC()
	before := runtime.NumGoroutine()
	return func() {
		deadline := time.Now().Add(3 * time.Second)
		for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
	}
}

// queue is how many jobs may wait for a worker, which is the default of a pool of Millstream. In pond's workload it is as
// many as there are, as in pond's own benchmarks.
const queue = 1024

// prepare makes what the inputs need, returns the run, and what checks it afterwards.
func (s Scenario) prepare(sub subject.Subject, n int, w *watch) (run, check func() error) {
	o := subject.Options{Inputs: n, Workers: s.Workers, Queue: queue, Size: 100}
	if s.Form == Pond {
		o.Queue = n
	}
	call := s.Work.Call
	switch s.Form {
	case Submit, Ants, Pond:
		return s.submit(sub, o, w)
	case Map:
		ins := make([]int, n)
		for i := range ins {
			ins[i] = i
		}
		var outs []int
		run = func() (err error) {
			w.acceptedAll()
			outs, err = sub.Map(o, w.last(call, 0), ins)
			return err
		}
		return run, func() error { return checkSlice(outs, n) }
	case Do:
		return s.do(sub, o, w)
	default: // what reads a sequence
		return s.sequence(sub, o, w)
	}
}

// sequence has the inputs come from a sequence, and the outputs go to one reader.
func (s Scenario) sequence(sub subject.Subject, o subject.Options, w *watch) (run, check func() error) {
	n, call := o.Inputs, s.Work.Call
	t := &tally{ordered: s.Ordered}
	inputs, take := w.source(n), t.take
	if s.Form == Alone {
		inputs, take = alone(n, w, t)
	}
	switch s.Form {
	case Fan:
		run = func() error { return sub.Fan(o, w.last(call, 0), inputs, take) }
	case Batch:
		run = func() error { return sub.Batch(o, w.last(call, 0), inputs, take) }
	default:
		stages := make([]subject.Func, s.Stages)
		for i := range stages {
			stages[i] = call
		}
		if s.Form == Flow {
			stages[s.Stages-1] = w.last(call, s.Stages-1)
		}
		flow := s.flow(sub)
		run = func() error { return flow(o, stages, inputs, take) }
	}
	return run, func() error { return t.check(n, s.Stages) }
}

// submit hands in single inputs from one or more goroutines. The function puts its output into a slice.
func (s Scenario) submit(sub subject.Subject, o subject.Options, w *watch) (run, check func() error) {
	outs := make([]int, o.Inputs)
	call := w.last(s.Work.Call, 0)
	fn := func(ctx context.Context, v int) (int, error) {
		u, err := call(ctx, v)
		outs[v] += u // so that a second call would show
		return u, err
	}
	run = func() error {
		submit, wait := sub.Submit(o, fn)
		err := s.spread(o.Inputs, func(_, from, to int) error {
			for v := from; v < to; v++ {
				w.accept(v)
				if err := submit(v); err != nil {
					return err
				}
			}
			return nil
		})
		return errors.Join(err, wait())
	}
	return run, func() error { return checkSlice(outs, o.Inputs) }
}

// do has each caller wait for one output after the other.
func (s Scenario) do(sub subject.Subject, o subject.Options, w *watch) (run, check func() error) {
	tallies := make([]tally, s.Callers)
	call := w.last(s.Work.Call, 0)
	run = func() error {
		do, stop := sub.Do(o, call)
		defer stop()
		return s.spread(o.Inputs, func(caller, from, to int) error {
			t := tally{}
			for v := from; v < to; v++ {
				w.accept(v)
				u, err := do(context.Background(), v)
				if err != nil {
					return err
				}
				t.take(u)
			}
			tallies[caller] = t
			return nil
		})
	}
	check = func() error {
		var all tally
		for _, t := range tallies {
			all.count += t.count
			all.sum += t.sum
		}
		return all.check(o.Inputs, 1)
	}
	return run, check
}

// spread divides n inputs among the callers, and runs on the caller's own goroutine if there is but one.
func (s Scenario) spread(n int, part func(caller, from, to int) error) error {
	if s.Callers == 1 {
		return part(0, 0, n)
	}
	var callers sync.WaitGroup
	var once sync.Once
	var first error
	for c := range s.Callers {
		callers.Go(func() {
			if err := part(c, c*n/s.Callers, (c+1)*n/s.Callers); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	callers.Wait()
	return first
}

// alone returns a source that gives an input when the one before has come out.
func alone(n int, w *watch, t *tally) (seq, func(int)) {
	out := make(chan struct{}, 1)
	source := func(yield func(int) bool) {
		for v := range n {
			w.accept(v)
			if !yield(v) {
				return
			}
			<-out
		}
	}
	take := func(u int) {
		w.finish(t.count) // they come one after the other
		t.take(u)
		out <- struct{}{}
	}
	return source, take
}

// tally counts and sums what comes out, by one goroutine at a time.
type tally struct {
	count, sum int
	last       int
	ordered    bool
	disorder   bool
}

func (t *tally) take(v int) {
	t.count++
	t.sum += v
	if v < t.last {
		t.disorder = true
	}
	t.last = v
}

// check says what is wrong with the outputs for the numbers from 0 to n-1, each raised once a stage.
func (t *tally) check(n, stages int) error {
	if want := n*(n-1)/2 + n*stages; t.count != n || t.sum != want {
		return fmt.Errorf("%d outputs with sum %d for %d inputs with sum %d", t.count, t.sum, n, want)
	}
	if t.ordered && t.disorder {
		return errors.New("outputs are not in the order of the inputs")
	}
	return nil
}

func checkSlice(outs []int, n int) error {
	if len(outs) != n {
		return fmt.Errorf("%d outputs for %d inputs", len(outs), n)
	}
	for i, v := range outs {
		if v != i+1 {
			return fmt.Errorf("output %d is %d", i, v)
		}
	}
	return nil
}
