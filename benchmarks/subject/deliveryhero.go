package subject

import (
	"context"
	"iter"
	"sync"

	dh "github.com/deliveryhero/pipeline/v2"
)

func deliveryhero() []Subject {
	return []Subject{{
		Name: "deliveryhero", Module: "github.com/deliveryhero/pipeline/v2",
		Use:   "ProcessConcurrently for each stage, or Process for one worker; ProcessBatchConcurrently; errors go to the processor's cancel function",
		Lacks: NoTiming | NoPanic | NoOrder,
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return dhFlow(o, []Func{fn}, ins, take)
		},
		Flow: dhFlow,
		Batch: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			var failed firstError
			batch := dh.NewProcessor(each(fn), func(_ []int, err error) { failed.set(err) })
			for v := range dh.ProcessBatchConcurrently(context.Background(), o.Workers, o.Size, patience, batch, source(ins, 0)) {
				take(v)
			}
			return failed.err
		},
	}}
}

func dhFlow(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
	ctx := context.Background()
	var failed firstError
	stream := source(ins, 0)
	for _, fn := range stages {
		stage := dh.NewProcessor(fn, func(_ int, err error) { failed.set(err) })
		if o.Workers == 1 {
			stream = dh.Process(ctx, stage, stream)
		} else {
			stream = dh.ProcessConcurrently(ctx, o.Workers, stage, stream)
		}
	}
	for v := range stream {
		take(v)
	}
	return failed.err
}

// firstError keeps one of several errors. It may be read when all who set it have ended.
type firstError struct {
	once sync.Once
	err  error
}

func (f *firstError) set(err error) {
	if err != nil {
		f.once.Do(func() { f.err = err })
	}
}

// source gives the inputs through a channel with room for some.
func source(ins iter.Seq[int], room int) <-chan int {
	out := make(chan int, room)
	go func() {
		defer close(out)
		for v := range ins {
			out <- v
		}
	}()
	return out
}
