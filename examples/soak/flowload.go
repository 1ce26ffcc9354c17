package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// stageOptions are random ones of a stage with workers that calls tasks.
func stageOptions(r *rand.Rand) []pipeline.StageOption {
	var opts []pipeline.StageOption
	if r.IntN(4) == 0 {
		opts = append(opts, pipeline.Workers(pipeline.Auto(1, 8)))
	} else {
		opts = append(opts, pipeline.Workers(1+r.IntN(8)))
	}
	if r.IntN(2) == 0 {
		opts = append(opts, pipeline.Buffer(1+r.IntN(64)))
	}
	if r.IntN(3) == 0 {
		opts = append(opts, pipeline.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Millisecond, Budget: 0.5}))
	}
	if r.IntN(4) == 0 {
		opts = append(opts, pipeline.Timeout(time.Duration(1+r.IntN(10))*time.Millisecond))
	}
	return opts
}

// orderedRound reads the results of a stage that keeps the order, whatever fails in it, and some loops are left or their
// context ends.
func orderedRound(ctx context.Context, r *rand.Rand, b *book) {
	ins := tasks(r, b, r.IntN(400), nil)
	f := pipeline.Map(pipeline.From(given(b, slices.Values(ins))), call,
		append(stageOptions(r), pipeline.Ordered(8+r.IntN(100)))...)
	leave := -1
	if r.IntN(3) == 0 {
		leave = 1 + r.IntN(400)
	}
	ctx, cancel := bounded(ctx, r)
	defer cancel()
	var report pipeline.Report
	next := 0
	readResults(b, func(yield func(result.Result[output]) bool) {
		for res := range f.Results(ctx, pipeline.ReportTo(&report)) {
			if res.Index != next && ctx.Err() == nil {
				b.errorf("result %d in the place of %d", res.Index, next)
			}
			next = res.Index + 1
			if !yield(res) {
				break
			}
		}
	}, ins, leave)
	if s := report.Snapshot(); !s.Done {
		b.errorf("the run has ended, and its report does not know")
	}
}

// fanRound spreads over branches and brings them together.
func fanRound(ctx context.Context, r *rand.Rand, b *book) {
	ins := tasks(r, b, r.IntN(300), nil)
	stage := func(f pipeline.Flow[*task]) pipeline.Flow[output] { return pipeline.Map(f, call, stageOptions(r)...) }
	src := pipeline.From(given(b, slices.Values(ins)))
	var f pipeline.Flow[output]
	switch r.IntN(3) {
	case 0:
		f = pipeline.Partition(src, 1+r.IntN(4), func(t *task) int { return t.in }, stage)
	case 1:
		other := func(f pipeline.Flow[*task]) pipeline.Flow[output] { return stage(f) }
		f = pipeline.Route(src, func(t *task) int { return t.in % 2 }, stage, other)
	default: // a second branch only looks
		var seen atomic.Int64
		f = pipeline.Broadcast(src, stage, func(f pipeline.Flow[*task]) pipeline.Flow[output] {
			return pipeline.Map(f.Tap(func(*task) { seen.Add(1) }).Filter(func(*task) bool { return false }),
				func(context.Context, *task) (output, error) { return output{}, nil })
		})
		defer func() {
			if n := int(seen.Load()); n != len(ins) {
				b.errorf("%d tasks given, %d seen by the second branch", len(ins), n)
			}
		}()
	}
	readResults(b, f.Results(ctx), ins, -1)
}

// batchRound drops what fails, counts its letters, and groups the rest.
func batchRound(ctx context.Context, r *rand.Rand, b *book) {
	ins := tasks(r, b, r.IntN(300), nil)
	byIndex := func(l pipeline.Letter) {
		if t, ok := l.Input.(*task); !ok || t != ins[l.Index] {
			b.errorf("the letter of input %d has another one", l.Index)
			return
		}
		ins[l.Index].end(output{}, l.Err, l.Attempts)
	}
	// An output does not say whose it is, so the tasks are known by what they compute from.
	place := map[int]*task{}
	for i, t := range ins {
		t.in = t.in&^0x3ff | i
		place[t.in] = t
	}
	size := 1 + r.IntN(30)
	f := pipeline.Batch(pipeline.Map(pipeline.From(given(b, slices.Values(ins))), call,
		append(stageOptions(r), pipeline.OnError(pipeline.DeadLetter(byIndex)))...),
		size, time.Duration(1+r.IntN(3))*time.Millisecond)
	err := f.ForEach(ctx, func(_ context.Context, batch []output) error {
		if len(batch) == 0 || len(batch) > size {
			b.errorf("a batch of %d, at most %d", len(batch), size)
		}
		for _, o := range batch {
			place[o.in].end(o, nil, -1)
		}
		return nil
	})
	for _, t := range ins {
		if t.ends.Load() == 0 && err == nil {
			b.errorf("task %d (%d) has neither output nor letter", t.in, t.do)
		}
		if t.ends.Load() == 0 && (t.calls.Load() > 0 || t.outcome.Load() == taken) {
			t.settle()
		}
	}
}

// failFastRound runs to the first failure, or to the end of its context.
func failFastRound(ctx context.Context, r *rand.Rand, b *book) {
	ins := tasks(r, b, r.IntN(300), nil)
	src := pipeline.From(given(b, slices.Values(ins)))
	f := pipeline.Map(src, call, stageOptions(r)...)
	ctx, cancel := bounded(ctx, r)
	defer cancel()
	var err error
	switch r.IntN(3) {
	case 0:
		err = f.Run(ctx)
	case 1:
		var outs []output
		outs, err = f.Collect(ctx)
		if err == nil && len(outs) != len(ins) {
			b.errorf("%d tasks without a failure have %d outputs", len(ins), len(outs))
		}
	default:
		for _, e := range f.All(ctx) {
			err = e
		}
	}
	failures := 0
	for _, t := range ins {
		if t.calls.Load() > 0 || t.outcome.Load() == taken {
			t.settle()
		}
		if k := kind(t.outcome.Load()); t.calls.Load() > 0 && k != succeeded && k != canceled {
			failures++
		}
	}
	var stage *pipeline.StageError
	switch {
	case err == nil && failures > 0:
		b.errorf("%d tasks failed, and the run did not", failures)
	case err != nil && !errors.As(err, &stage) && ctx.Err() == nil:
		b.errorf("an error that names no stage: %v", err)
	}
}

// throughRound has the service's workers make the calls of a flow.
func (s *service) throughRound(ctx context.Context, r *rand.Rand, b *book) {
	ins := tasks(r, b, r.IntN(200), s.pool.Do)
	leave := -1
	if r.IntN(3) == 0 {
		leave = 1 + r.IntN(200)
	}
	ctx, cancel := bounded(ctx, r)
	defer cancel()
	f := pipeline.Through(pipeline.From(given(b, slices.Values(ins))), s.pool)
	readResults(b, f.Results(ctx), ins, leave)
}
