package subject

import (
	"context"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
)

func antsPools() []Subject {
	const module = "github.com/panjf2000/ants/v2"
	return []Subject{{
		Name: "ants", Module: module,
		Use:   "NewPool, a closure for each input, a WaitGroup for the end; workers expire after 10 s, as in its own benchmarks",
		Lacks: NoResult | NoError | NoTiming | NoCancel,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			p, err := ants.NewPool(o.Workers, antsOptions(o)...)
			must(err)
			var all sync.WaitGroup
			submit := func(v int) error {
				all.Add(1)
				return p.Submit(func() {
					ignore(fn(context.Background(), v))
					all.Done()
				})
			}
			return submit, func() error {
				all.Wait()
				p.Release()
				return nil
			}
		},
	}, {
		Name: "ants/func", Module: module,
		Use:   "NewPoolWithFuncGeneric, which needs no closure; a WaitGroup for the end. Its queue is allocated before where there are many workers",
		Lacks: NoResult | NoError | NoTiming | NoCancel,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			var all sync.WaitGroup
			p, err := ants.NewPoolWithFuncGeneric(o.Workers, func(v int) {
				ignore(fn(context.Background(), v))
				all.Done()
			}, antsOptions(o)...)
			must(err)
			submit := func(v int) error {
				all.Add(1)
				return p.Invoke(v)
			}
			return submit, func() error {
				all.Wait()
				p.Release()
				return nil
			}
		},
		Do: func(o Options, fn Func) (Func, func()) {
			p, err := ants.NewPoolWithFuncGeneric(o.Workers, func(r *request) { r.serve(fn) }, antsOptions(o)...)
			must(err)
			do := func(_ context.Context, v int) (int, error) {
				return asked(v, p.Invoke)
			}
			return do, p.Release
		},
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			outs := make([]int, len(ins))
			var all sync.WaitGroup
			all.Add(len(ins))
			p, err := ants.NewPoolWithFuncGeneric(o.Workers, func(i int) {
				if u, failed := fn(context.Background(), ins[i]); failed == nil {
					outs[i] = u
				}
				all.Done()
			}, antsOptions(o)...)
			must(err)
			defer p.Release()
			for i := range ins {
				if err := p.Invoke(i); err != nil {
					return nil, err
				}
			}
			all.Wait()
			return outs, nil
		},
	}, {
		Name: "ants/multi", Module: module,
		Use:   "NewMultiPoolWithFuncGeneric, up to ten pools that share the workers, in turn, as in its own benchmarks",
		Lacks: NoResult | NoError | NoTiming | NoCancel,
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			var all sync.WaitGroup
			pools := max(1, min(10, o.Workers/2))
			p, err := ants.NewMultiPoolWithFuncGeneric(pools, o.Workers/pools, func(v int) {
				ignore(fn(context.Background(), v))
				all.Done()
			}, ants.RoundRobin, ants.WithExpiryDuration(antsExpiry))
			must(err)
			submit := func(v int) error {
				all.Add(1)
				return p.Invoke(v)
			}
			return submit, func() error {
				all.Wait()
				return p.ReleaseTimeout(antsExpiry)
			}
		},
	}}
}

const antsExpiry = 10 * time.Second

// antsOptions have a large pool allocate its queue of workers before, which its README advises for an "ultra-large
// capacity"; a small pool is not faster for it.
func antsOptions(o Options) []ants.Option {
	options := []ants.Option{ants.WithExpiryDuration(antsExpiry)}
	if o.Workers >= 10_000 {
		options = append(options, ants.WithPreAlloc(true))
	}
	return options
}

// must panics for an error that only wrong options can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
