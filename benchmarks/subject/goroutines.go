package subject

import (
	"context"
	"iter"
	"sync"
)

// goroutines are what needs no library: one for each input, as many as there are.
func goroutines() []Subject {
	return []Subject{{
		Name:  "goroutines",
		Use:   "a goroutine for each input, and a WaitGroup; nothing bounds how many",
		Lacks: everything | NoLimit | NoBound,
		Submit: func(_ Options, fn Func) (func(int) error, func() error) {
			var all sync.WaitGroup
			submit := func(v int) error {
				all.Go(func() { ignore(fn(context.Background(), v)) })
				return nil
			}
			return submit, func() error {
				all.Wait()
				return nil
			}
		},
		Do: func(_ Options, fn Func) (Func, func()) {
			do := func(_ context.Context, v int) (int, error) {
				return asked(v, func(r *request) error {
					go r.serve(fn)
					return nil
				})
			}
			return do, func() {}
		},
		Map: func(_ Options, fn Func, ins []int) ([]int, error) {
			outs := make([]int, len(ins))
			var all sync.WaitGroup
			for i, v := range ins {
				all.Go(func() {
					if u, err := fn(context.Background(), v); err == nil {
						outs[i] = u
					}
				})
			}
			all.Wait()
			return outs, nil
		},
		Fan: func(_ Options, fn Func, ins iter.Seq[int], take func(int)) error {
			out := make(chan int, buffer)
			var all sync.WaitGroup
			go func() {
				for v := range ins {
					all.Go(func() {
						if u, err := fn(context.Background(), v); err == nil {
							out <- u
						}
					})
				}
				all.Wait()
				close(out)
			}()
			return takeAll(out, take)
		},
	}}
}
