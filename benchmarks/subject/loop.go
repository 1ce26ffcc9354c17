package subject

import (
	"context"
	"iter"
)

// loop is what all others have to beat once the work is worth it.
func loop() []Subject {
	return []Subject{{
		Name:  "loop",
		Use:   "a plain loop on one goroutine",
		Lacks: NoTiming | NoCancel | NoPanic,
		Submit: func(_ Options, fn Func) (func(int) error, func() error) {
			submit := func(v int) error {
				_, err := fn(context.Background(), v)
				return err
			}
			return submit, func() error { return nil }
		},
		Do: func(_ Options, fn Func) (Func, func()) { return fn, func() {} },
		Map: func(_ Options, fn Func, ins []int) ([]int, error) {
			outs := make([]int, len(ins))
			for i, v := range ins {
				u, err := fn(context.Background(), v)
				if err != nil {
					return nil, err
				}
				outs[i] = u
			}
			return outs, nil
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return loopFlow(o, []Func{fn}, ins, take)
		},
		Flow:    loopFlow,
		Ordered: loopFlow,
		Batch: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return loopFlow(o, []Func{fn}, ins, take)
		},
	}}
}

func loopFlow(_ Options, stages []Func, ins iter.Seq[int], take func(int)) error {
	ctx := context.Background()
	for v := range ins {
		for _, fn := range stages {
			var err error
			if v, err = fn(ctx, v); err != nil {
				return err
			}
		}
		take(v)
	}
	return nil
}
