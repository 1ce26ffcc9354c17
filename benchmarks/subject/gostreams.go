package subject

import (
	"context"
	"errors"
	"iter"

	streams "github.com/reugn/go-streams"
	ext "github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"
)

var errUnknown = errors.New("subject: neither an output nor an error")

func goStreams() []Subject {
	return []Subject{{
		Name: "go-streams", Module: "github.com/reugn/go-streams",
		Use:   "ChanSource, a Map with parallelism for each stage, RoundRobin and Merge to fan out and in, Batch; ChanSink. Items are any",
		Lacks: NoError | NoTiming | NoCancel | NoPanic | NoOrder,
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			lanes := flow.RoundRobin(goStreamsSource(ins), o.Workers)
			for i, lane := range lanes {
				lanes[i] = lane.Via(flow.NewMap(goStreamsFunc(fn), 1))
			}
			return goStreamsTake(flow.Merge(lanes...), func(v any) error { return goStreamsOne(v, take) })
		},
		Flow: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			var last streams.Source = goStreamsSource(ins)
			var via streams.Flow
			for i, fn := range stages {
				stage := flow.NewMap(goStreamsFunc(fn), o.Workers)
				if i == 0 {
					via = last.Via(stage)
				} else {
					via = via.Via(stage)
				}
			}
			return goStreamsTake(via, func(v any) error { return goStreamsOne(v, take) })
		},
		Batch: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			do := each(fn)
			work := flow.NewMap(func(batch []int) any {
				outs, err := do(context.Background(), batch)
				if err != nil {
					return err
				}
				return outs
			}, o.Workers)
			return goStreamsTake(goStreamsSource(ins).Via(flow.NewBatch[int](o.Size, patience)).Via(work), func(v any) error {
				switch v := v.(type) {
				case []int:
					for _, u := range v {
						take(u)
					}
					return nil
				case error:
					return v
				default:
					return errUnknown
				}
			})
		},
	}}
}

func goStreamsSource(ins iter.Seq[int]) *ext.ChanSource {
	in := make(chan any)
	go func() {
		defer close(in)
		for v := range ins {
			in <- v
		}
	}()
	return ext.NewChanSource(in)
}

// goStreamsFunc has errors travel as items, there being no other way. Those of an earlier stage pass.
func goStreamsFunc(fn Func) flow.MapFunction[any, any] {
	return func(v any) any {
		in, ok := v.(int)
		if !ok {
			return v
		}
		u, err := fn(context.Background(), in)
		if err != nil {
			return err
		}
		return u
	}
}

func goStreamsTake(last streams.Flow, take func(any) error) (err error) {
	out := make(chan any)
	go last.To(ext.NewChanSink(out))
	for v := range out {
		if err == nil { // and drain the rest, or its goroutines stay
			err = take(v)
		}
	}
	return err
}

func goStreamsOne(v any, take func(int)) error {
	switch v := v.(type) {
	case int:
		take(v)
		return nil
	case error:
		return v
	default:
		return errUnknown
	}
}
