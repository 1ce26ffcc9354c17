package subject

import (
	"context"
	"iter"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// Name is the name of the first subject, which the others are compared with.
const Name = "millstream"

func millstream() []Subject {
	return []Subject{{
		Name: Name,
		Use: "pool.Submit with a Job for each input, Do, Map and Stream; Map stages with Workers and, in order, Ordered, " +
			"read by Results: each with its error, index and timing",
		Submit: func(o Options, fn Func) (func(int) error, func() error) {
			p := pool.New(fn, pool.Workers(o.Workers), pool.Queue(o.Queue))
			ctx := context.Background()
			submit := func(v int) error {
				_, err := p.Submit(ctx, v)
				return err
			}
			return submit, func() error { return p.Shutdown(ctx) }
		},
		Do: func(o Options, fn Func) (Func, func()) {
			p := pool.New(fn, pool.Workers(o.Workers))
			return p.Do, func() { p.Close() } //nolint:errcheck // a pool without states has none
		},
		Map: func(o Options, fn Func, ins []int) (outs []int, err error) {
			p := pool.New(fn, pool.Workers(o.Workers))
			defer closing(p, &err)
			return p.Map(context.Background(), ins)
		},
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) (err error) {
			p := pool.New(fn, pool.Workers(o.Workers))
			defer closing(p, &err)
			for r := range p.Stream(context.Background(), ins) {
				if r.Err != nil {
					return r.Err
				}
				take(r.Value)
			}
			return nil
		},
		Flow: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			return results(mapped(stages, ins, pipeline.Workers(o.Workers)), take)
		},
		Ordered: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			return results(mapped(stages, ins, pipeline.Workers(o.Workers), pipeline.Ordered()), take)
		},
		Batch: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			batches := pipeline.Map(pipeline.Batch(pipeline.From(ins), o.Size, patience), each(fn), pipeline.Workers(o.Workers))
			for r := range batches.Results(context.Background()) {
				if r.Err != nil {
					return r.Err
				}
				for _, v := range r.Value {
					take(v)
				}
			}
			return nil
		},
	}, {
		Name:  Name + "/untimed",
		Lacks: NoTiming,
		Use:   "the same stages read by All, which gives values and ends with the first error: nobody looks at the clock",
		Flow: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			return values(mapped(stages, ins, pipeline.Workers(o.Workers)), take)
		},
		Ordered: func(o Options, stages []Func, ins iter.Seq[int], take func(int)) error {
			return values(mapped(stages, ins, pipeline.Workers(o.Workers), pipeline.Ordered()), take)
		},
	}, {
		Name: Name + "/partition",
		Use:  "pipeline.Partition with a lane for each worker: items of a key stay in order; read by Results",
		Fan: func(o Options, fn Func, ins iter.Seq[int], take func(int)) error {
			lane := func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, fn) }
			return results(pipeline.Partition(pipeline.From(ins), o.Workers, func(v int) int { return v & 1023 }, lane), take)
		},
	}}
}

// patience is how long a batch that is not full waits for more. Here the source is faster than that.
const patience = 10 * time.Millisecond

func closing(p *pool.Pool[int, int], err *error) {
	if closed := p.Close(); *err == nil {
		*err = closed
	}
}

func mapped(stages []Func, ins iter.Seq[int], opts ...pipeline.StageOption) pipeline.Flow[int] {
	flow := pipeline.From(ins)
	for _, fn := range stages {
		flow = pipeline.Map(flow, fn, opts...)
	}
	return flow
}

func results(flow pipeline.Flow[int], take func(int)) error {
	for r := range flow.Results(context.Background()) {
		if r.Err != nil {
			return r.Err
		}
		take(r.Value)
	}
	return nil
}

func values(flow pipeline.Flow[int], take func(int)) error {
	for v, err := range flow.All(context.Background()) {
		if err != nil {
			return err
		}
		take(v)
	}
	return nil
}

// each makes of fn the function that does a batch, in place.
func each(fn Func) func(context.Context, []int) ([]int, error) {
	return func(ctx context.Context, batch []int) ([]int, error) {
		for i, v := range batch {
			u, err := fn(ctx, v)
			if err != nil {
				return nil, err
			}
			batch[i] = u
		}
		return batch, nil
	}
}
