package subject

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/millstream-go/millstream/result"
)

// timedChannels are channels by hand that give for each item what Millstream gives: its error, which input it was, when it
// was accepted, and how long it waited and ran.
func timedChannels() []Subject {
	return []Subject{{
		Name:  "channels/timed",
		Use:   "as channels, and each item carries its index, error and timing; Submit gives a handle to wait on. The clock is read twice a call",
		Lacks: NoCancel | NoPanic,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			type job struct {
				in   int
				res  result.Result[int]
				done chan struct{}
			}
			jobs := make(chan *job, o.Queue)
			var workers sync.WaitGroup
			for w := range o.Workers {
				workers.Go(func() {
					for j := range jobs {
						start := time.Now()
						j.res.Value, j.res.Err = fn(context.Background(), j.in)
						j.res.Attempt, j.res.Worker = 1, w
						j.res.Timing.Wait, j.res.Timing.Run = start.Sub(j.res.Timing.Queued), time.Since(start)
						close(j.done)
					}
				})
			}
			submit := func(v int) error {
				jobs <- &job{in: v, done: make(chan struct{}), res: result.Result[int]{Timing: result.Timing{Queued: time.Now()}}}
				return nil
			}
			return submit, func() error {
				close(jobs)
				workers.Wait()
				return nil
			}
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return timedFlow(o, []Func{fn}, ins, take)
		},
		Flow: timedFlow,
	}}
}

func timedFlow(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
	in := make(chan result.Result[int], buffer)
	go func() {
		defer close(in)
		i := 0
		for v := range ins {
			in <- result.Result[int]{Value: v, Index: i, Timing: result.Timing{Queued: time.Now()}}
			i++
		}
	}()
	var stream <-chan result.Result[int] = in
	for _, fn := range stages {
		stream = timedStage(o, fn, stream)
	}
	var first error
	for r := range stream {
		if r.Err != nil {
			first = r.Err
			continue
		}
		take(r.Value)
	}
	return first
}

func timedStage(o Options, fn Func, in <-chan result.Result[int]) <-chan result.Result[int] {
	out := make(chan result.Result[int], buffer)
	var workers sync.WaitGroup
	for w := range o.Workers {
		workers.Go(func() {
			for r := range in {
				start := time.Now()
				if r.Err == nil {
					r.Value, r.Err = fn(context.Background(), r.Value)
					r.Attempt, r.Worker = 1, w
				}
				end := time.Now()
				r.Timing.Run += end.Sub(start)
				r.Timing.Wait = end.Sub(r.Timing.Queued) - r.Timing.Run
				out <- r
			}
		})
	}
	go func() {
		workers.Wait()
		close(out)
	}()
	return out
}
