package subject

import (
	"context"

	"golang.org/x/sync/semaphore"
)

func semaphores() []Subject {
	return []Subject{{
		Name: "semaphore", Module: "golang.org/x/sync",
		Use:   "semaphore.Weighted around the call, on the caller's goroutine",
		Lacks: NoTiming | NoPanic,
		Do: func(o Options, fn Func) (Func, func()) {
			free := semaphore.NewWeighted(int64(o.Workers))
			do := func(ctx context.Context, v int) (int, error) {
				if err := free.Acquire(ctx, 1); err != nil {
					return 0, err
				}
				defer free.Release(1)
				return fn(ctx, v)
			}
			return do, func() {}
		},
	}, {
		Name:  "semaphore by channel",
		Use:   "a channel with room for as many tokens as there are workers, around the call, on the caller's goroutine",
		Lacks: NoTiming | NoCancel | NoPanic,
		Do: func(o Options, fn Func) (Func, func()) {
			tokens := make(chan struct{}, o.Workers)
			do := func(ctx context.Context, v int) (int, error) {
				tokens <- struct{}{}
				defer func() { <-tokens }()
				return fn(ctx, v)
			}
			return do, func() {}
		},
	}}
}
