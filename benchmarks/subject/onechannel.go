package subject

import (
	"context"
	"sync"
)

// oneChannel is the plain answer to the dispatcher: a channel is a queue that many may read.
func oneChannel() []Subject {
	return []Subject{{
		Name:  "one channel",
		Use:   "workers that read the inputs from one buffered channel",
		Lacks: everything,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			jobs := make(chan int, o.Queue)
			var workers sync.WaitGroup
			for range o.Workers {
				workers.Go(func() {
					for v := range jobs {
						ignore(fn(context.Background(), v))
					}
				})
			}
			submit := func(v int) error {
				jobs <- v
				return nil
			}
			return submit, func() error {
				close(jobs)
				workers.Wait()
				return nil
			}
		},
	}}
}
