package subject

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// bound is no way to do the work but the least that it takes with so many workers: they draw the numbers of the inputs
// from a counter, and in a flow each stage works on inputs that it makes up, so that none waits for the one before.
// For calls that take a microsecond and more, nobody can be faster; for no-ops, a hand-over in chunks can.
func bound() []Subject {
	return []Subject{{
		Name: Bound,
		Use:  "workers that draw numbers from a counter; in a flow, stages that do not wait for each other: the least that so many workers take",
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			wait := func() error {
				var failed firstError
				drawn(o.Workers, o.Inputs, func(i int) {
					_, err := fn(context.Background(), i)
					failed.set(err)
				})
				return failed.err
			}
			return func(int) error { return nil }, wait
		},
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			outs := make([]int, len(ins))
			var failed firstError
			drawn(o.Workers, len(ins), func(i int) {
				u, err := fn(context.Background(), ins[i])
				failed.set(err)
				outs[i] = u
			})
			return outs, failed.err
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return boundFlow(o, []Func{fn}, ins, take)
		},
		Flow: boundFlow,
	}}
}

// Bound is the name of the subject that shows the limit.
const Bound = "(bound)"

func boundFlow(o Options, stages []Func, _ iter.Seq[int], take func(int)) error {
	outs := make([]int, o.Inputs)
	var failed firstError
	var running sync.WaitGroup
	for s, fn := range stages {
		running.Go(func() {
			drawn(o.Workers, o.Inputs, func(i int) {
				u, err := fn(context.Background(), i+s)
				failed.set(err)
				if s == len(stages)-1 {
					outs[i] = u
				}
			})
		})
	}
	running.Wait()
	for _, v := range outs {
		take(v)
	}
	return failed.err
}

// drawn calls each with the numbers from 0 to n-1, workers at a time.
func drawn(workers, n int, each func(i int)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				each(i)
			}
		})
	}
	running.Wait()
}
