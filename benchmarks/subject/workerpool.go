package subject

import (
	"context"
	"sync"

	"github.com/gammazero/workerpool"
)

func workerPool() []Subject {
	return []Subject{{
		Name: "workerpool", Module: "github.com/gammazero/workerpool",
		Use:   "New, Do and DoWait with a closure for each input; the queue has no bound",
		Lacks: NoResult | NoError | NoTiming | NoCancel | NoPanic | NoBound,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			p := workerpool.New(o.Workers)
			submit := func(v int) error {
				return p.Do(func() { ignore(fn(context.Background(), v)) })
			}
			return submit, func() error {
				p.StopWait()
				return nil
			}
		},
		Do: func(o Options, fn Func) (Func, func()) {
			p := workerpool.New(o.Workers)
			do := func(ctx context.Context, v int) (out int, err error) {
				if stopped := p.DoWait(func() { out, err = fn(ctx, v) }); stopped != nil {
					return 0, stopped
				}
				return out, err
			}
			return do, p.StopWait
		},
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			p := workerpool.New(o.Workers)
			outs := make([]int, len(ins))
			var first error
			var once sync.Once
			for i, v := range ins {
				if err := p.Do(func() {
					u, err := fn(context.Background(), v)
					if err != nil {
						once.Do(func() { first = err })
					}
					outs[i] = u
				}); err != nil {
					return nil, err
				}
			}
			p.StopWait()
			return outs, first
		},
	}}
}
