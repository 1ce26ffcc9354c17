package subject

import (
	"context"
	"iter"

	conciter "github.com/sourcegraph/conc/iter"
	concpool "github.com/sourcegraph/conc/pool"
	concstream "github.com/sourcegraph/conc/stream"
)

func concPools() []Subject {
	const module = "github.com/sourcegraph/conc"
	return []Subject{{
		Name: "conc/pool", Module: module,
		Use:   "pool.New().WithMaxGoroutines, a closure for each input; Wait raises the first panic",
		Lacks: NoResult | NoError | NoTiming | NoCancel,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			p := concpool.New().WithMaxGoroutines(o.Workers)
			submit := func(v int) error {
				p.Go(func() { ignore(fn(context.Background(), v)) })
				return nil
			}
			return submit, func() error {
				p.Wait()
				return nil
			}
		},
	}, {
		Name: "conc/result", Module: module,
		Use:   "pool.NewWithResults with errors, a closure for each input; all outputs come together at the end",
		Lacks: NoTiming | NoCancel | NoOrder | NoBound,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			p := concpool.NewWithResults[int]().WithErrors().WithMaxGoroutines(o.Workers)
			submit := func(v int) error {
				p.Go(func() (int, error) { return fn(context.Background(), v) })
				return nil
			}
			return submit, func() error {
				_, err := p.Wait()
				return err
			}
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			p := concpool.NewWithResults[int]().WithErrors().WithMaxGoroutines(o.Workers)
			for v := range ins {
				p.Go(func() (int, error) { return fn(context.Background(), v) })
			}
			outs, err := p.Wait()
			for _, v := range outs {
				take(v)
			}
			return err
		},
	}, {
		Name: "conc/iter", Module: module,
		Use:   "iter.Mapper with MaxGoroutines and MapErr",
		Lacks: NoTiming | NoCancel,
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			mapper := conciter.Mapper[int, int]{MaxGoroutines: o.Workers}
			return mapper.MapErr(ins, func(v *int) (int, error) { return fn(context.Background(), *v) })
		},
	}, {
		Name: "conc/stream", Module: module,
		Use:     "stream.New().WithMaxGoroutines for each stage; the callbacks, which come in order, feed the next one",
		Lacks:   NoError | NoTiming | NoCancel,
		Ordered: concFlow,
	}}
}

func concFlow(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
	streams := make([]*concstream.Stream, len(stages))
	for i := range streams {
		streams[i] = concstream.New().WithMaxGoroutines(o.Workers)
	}
	// enter is called by one goroutine for each stage: the caller, or that of the stage before which makes the callbacks.
	var enter func(stage, v int)
	enter = func(stage, v int) {
		streams[stage].Go(func() concstream.Callback {
			u, err := stages[stage](context.Background(), v)
			return func() {
				switch {
				case err != nil: // it has no place for it
				case stage+1 < len(stages):
					enter(stage+1, u)
				default:
					take(u)
				}
			}
		})
	}
	for v := range ins {
		enter(0, v)
	}
	for _, s := range streams {
		s.Wait()
	}
	return nil
}

// ignore drops what a subject has no place for.
func ignore(int, error) {}
