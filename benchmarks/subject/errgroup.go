package subject

import (
	"context"
	"iter"

	"golang.org/x/sync/errgroup"
)

func errGroup() []Subject {
	return []Subject{{
		Name: "errgroup", Module: "golang.org/x/sync",
		Use:   "SetLimit and a goroutine for each input; as a flow, all stages of an input in one goroutine, as many at once as the stages have workers together",
		Lacks: NoResult | NoTiming | NoCancel | NoPanic,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			var g errgroup.Group
			g.SetLimit(o.Workers)
			submit := func(v int) error {
				g.Go(func() error {
					_, err := fn(context.Background(), v)
					return err
				})
				return nil
			}
			return submit, g.Wait
		},
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			var g errgroup.Group
			g.SetLimit(o.Workers)
			outs := make([]int, len(ins))
			for i, v := range ins {
				g.Go(func() (err error) {
					outs[i], err = fn(context.Background(), v)
					return err
				})
			}
			return outs, g.Wait()
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return errGroupFlow(o, []Func{fn}, ins, take)
		},
		Flow: errGroupFlow,
	}}
}

func errGroupFlow(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
	var g errgroup.Group
	g.SetLimit(o.Workers * len(stages))
	outs := make(chan int, buffer)
	failed := make(chan error, 1)
	go func() {
		for v := range ins {
			g.Go(func() error {
				u := v
				for _, fn := range stages {
					var err error
					if u, err = fn(context.Background(), u); err != nil {
						return err
					}
				}
				outs <- u
				return nil
			})
		}
		failed <- g.Wait()
		close(outs)
	}()
	for v := range outs {
		take(v)
	}
	return <-failed
}
