package subject

import (
	"context"
	"sync"
)

// dispatcher is the design of a much-read write-up on a million requests a minute: a dispatcher takes a worker's own
// channel out of a pool of channels, in which idle workers put theirs, and hands the job to it. There a goroutine is
// started for each job that waits for a worker; here the dispatcher waits itself, so that memory is bounded.
func dispatcher() []Subject {
	return []Subject{{
		Name:  "dispatcher",
		Use:   "a dispatcher that hands each job to a worker's own channel, taken from a pool of channels",
		Lacks: everything,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			d := startDispatcher(o, func(v int) { ignore(fn(context.Background(), v)) })
			return d.submit, d.stop
		},
		Do: func(o Options, fn Func) (Func, func()) {
			d := startDispatcher(o, func(r *request) { r.serve(fn) })
			do := func(_ context.Context, v int) (int, error) { return asked(v, d.submit) }
			return do, func() { d.stop() } //nolint:errcheck // it is nil
		},
	}}
}

type dispatched[T any] struct {
	jobs    chan T
	idle    chan chan T
	workers sync.WaitGroup
	done    chan struct{}
}

func startDispatcher[T any](o Options, call func(T)) *dispatched[T] {
	d := &dispatched[T]{jobs: make(chan T, o.Queue), idle: make(chan chan T, o.Workers), done: make(chan struct{})}
	for range o.Workers {
		d.workers.Go(func() {
			own := make(chan T)
			for {
				d.idle <- own
				job, ok := <-own
				if !ok {
					return
				}
				call(job)
			}
		})
	}
	go func() {
		defer close(d.done)
		for job := range d.jobs {
			worker := <-d.idle
			worker <- job
		}
		for range o.Workers {
			close(<-d.idle)
		}
	}()
	return d
}

func (d *dispatched[T]) submit(job T) error {
	d.jobs <- job
	return nil
}

func (d *dispatched[T]) stop() error {
	close(d.jobs)
	<-d.done
	d.workers.Wait()
	return nil
}
