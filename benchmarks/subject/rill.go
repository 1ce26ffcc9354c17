package subject

import (
	"context"
	"iter"

	"github.com/destel/rill"
)

func rillStreams() []Subject {
	return []Subject{{
		Name: "rill", Module: "github.com/destel/rill",
		Use:   "FromSeq or FromSlice, Map or OrderedMap for each stage, Batch; the stream read by a loop, or by ToSlice. Without Buffer, which adds a hop: no-op stages take 1.7 times as long with it",
		Lacks: NoTiming | NoCancel | NoPanic,
		Map: func(o Options, fn Func, ins []int) ([]int, error) {
			return rill.ToSlice(rill.OrderedMap(rill.FromSlice(ins, nil), o.Workers, rillFunc(fn)))
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			return rillTake(rill.Map(rill.FromSeq(ins, nil), o.Workers, rillFunc(fn)), take)
		},
		Flow: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			stream := rill.FromSeq(ins, nil)
			for _, fn := range stages {
				stream = rill.Map(stream, o.Workers, rillFunc(fn))
			}
			return rillTake(stream, take)
		},
		Ordered: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			stream := rill.FromSeq(ins, nil)
			for _, fn := range stages {
				stream = rill.OrderedMap(stream, o.Workers, rillFunc(fn))
			}
			return rillTake(stream, take)
		},
		Batch: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			do := each(fn)
			batches := rill.Map(rill.Batch(rill.FromSeq(ins, nil), o.Size, patience), o.Workers,
				func(batch []int) ([]int, error) { return do(context.Background(), batch) })
			defer rill.DrainNB(batches)
			for b := range batches {
				if b.Error != nil {
					return b.Error
				}
				for _, v := range b.Value {
					take(v)
				}
			}
			return nil
		},
	}}
}

func rillFunc(fn Func) func(int) (int, error) {
	return func(v int) (int, error) { return fn(context.Background(), v) }
}

func rillTake(stream <-chan rill.Try[int], take func(int)) error {
	defer rill.DrainNB(stream)
	for t := range stream {
		if t.Error != nil {
			return t.Error
		}
		take(t.Value)
	}
	return nil
}
