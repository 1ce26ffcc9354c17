package subject

import (
	"context"
	"iter"

	"github.com/alitto/pond/v2"
)

func pondPools() []Subject {
	const module = "github.com/alitto/pond/v2"
	return []Subject{{
		Name: "pond", Module: module,
		Use:   "NewPool and Go with a closure for each input, the form without a handle; the queue is unbounded, its default",
		Lacks: NoResult | NoError | NoTiming | NoCancel | NoBound,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			p := pond.NewPool(o.Workers)
			submit := func(v int) error {
				return p.Go(func() { ignore(fn(context.Background(), v)) })
			}
			return submit, func() error {
				p.StopAndWait()
				return nil
			}
		},
	}, {
		Name: "pond/result", Module: module,
		Use:   "NewResultPool: SubmitErr with a handle for each input, or a group of them for a slice; the queue is unbounded, its default",
		Lacks: NoTiming | NoBound,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			p := pond.NewResultPool[int](o.Workers)
			submit := func(v int) error {
				p.SubmitErr(func() (int, error) { return fn(context.Background(), v) })
				return nil
			}
			return submit, func() error {
				p.StopAndWait()
				return nil
			}
		},
		Do: func(o Options, fn Func) (Func, func()) {
			p := pond.NewResultPool[int](o.Workers)
			do := func(ctx context.Context, v int) (int, error) {
				return p.SubmitErr(func() (int, error) { return fn(ctx, v) }).Wait()
			}
			return do, p.StopAndWait
		},
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			return pondGroup(o, fn, func(yield func(int) bool) {
				for _, v := range ins {
					if !yield(v) {
						return
					}
				}
			})
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			outs, err := pondGroup(o, fn, ins)
			for _, v := range outs {
				take(v)
			}
			return err
		},
	}}
}

func pondGroup(o Options, fn Func, ins iter.Seq[int]) ([]int, error) {
	p := pond.NewResultPool[int](o.Workers)
	defer p.StopAndWait()
	group := p.NewGroup()
	for v := range ins {
		group.SubmitErr(func() (int, error) { return fn(p.Context(), v) })
	}
	return group.Wait()
}
