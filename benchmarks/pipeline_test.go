package benchmarks

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

type stage = func(context.Context, int) (int, error)

// BenchmarkThreeStages passes numbers through three stages of four workers each.
func BenchmarkThreeStages(b *testing.B) {
	for _, work := range []struct {
		name string
		fn   stage
	}{{"noop", next}, {"1us", spin}} {
		b.Run("work="+work.name, func(b *testing.B) {
			b.Run("subject=loop", func(b *testing.B) { threeLoop(b, work.fn) })
			b.Run("subject=channels", func(b *testing.B) { threeChannels(b, work.fn) })
			b.Run("subject=channels-timed", func(b *testing.B) { threeTimedChannels(b, work.fn) })
			b.Run("subject=millstream", func(b *testing.B) { threeFlow(b, work.fn, pipeline.Workers(4)) })
			b.Run("subject=millstream-ordered", func(b *testing.B) {
				threeFlow(b, work.fn, pipeline.Workers(4), pipeline.Ordered())
			})
			b.Run("subject=millstream-untimed", func(b *testing.B) { threeUntimed(b, work.fn, pipeline.Workers(4)) })
		})
	}
}

// threeLoop is what the others have to beat once the work is worth it.
func threeLoop(b *testing.B, fn stage) {
	ctx := context.Background()
	count, sum := 0, 0
	for v := range upTo(b.N) {
		var err error
		for range 3 {
			if v, err = fn(ctx, v); err != nil {
				b.Fatal(err)
			}
		}
		count++
		sum += v
	}
	want(b, b.N, 3, count, sum)
}

// threeChannels is what one writes by hand: four goroutines a stage, a buffered
// channel between stages. It has no timing, no errors and no way to stop it.
func threeChannels(b *testing.B, fn stage) {
	ctx := context.Background()
	run := func(in <-chan int) <-chan int {
		out := make(chan int, 256)
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for v := range in {
					if u, err := fn(ctx, v); err == nil {
						out <- u
					}
				}
			})
		}
		go func() {
			workers.Wait()
			close(out)
		}()
		return out
	}
	source := make(chan int, 256)
	go func() {
		defer close(source)
		for v := range upTo(b.N) {
			source <- v
		}
	}()
	count, sum := 0, 0
	for v := range run(run(run(source))) {
		count++
		sum += v
	}
	want(b, b.N, 3, count, sum)
}

// threeTimedChannels is the same with what a Result has: which input it was, its
// error, when it was accepted, and how long it waited and ran.
func threeTimedChannels(b *testing.B, fn stage) {
	b.ReportAllocs()
	ctx, clock := context.Background(), newClock()
	run := func(in <-chan result.Result[int]) <-chan result.Result[int] {
		out := make(chan result.Result[int], 256)
		var workers sync.WaitGroup
		for w := range 4 {
			workers.Go(func() {
				for r := range in {
					start := clock()
					if r.Err == nil {
						r.Value, r.Err = fn(ctx, r.Value)
						r.Attempt, r.Worker = 1, w
					}
					end := clock()
					r.Timing.Run += end - start
					r.Timing.Wait = end - r.Timing.Run
					out <- r
				}
			})
		}
		go func() {
			workers.Wait()
			close(out)
		}()
		return out
	}
	source := make(chan result.Result[int], 256)
	go func() {
		defer close(source)
		for v := range upTo(b.N) {
			source <- result.Result[int]{Value: v, Index: v, Timing: result.Timing{Queued: time.Now()}}
		}
	}()
	count, sum := 0, 0
	for r := range run(run(run(source))) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
		count++
		sum += r.Value
	}
	want(b, b.N, 3, count, sum)
}

// threeFlow gives each item's error, index and timing.
func threeFlow(b *testing.B, fn stage, opts ...pipeline.StageOption) {
	b.ReportAllocs()
	flow := pipeline.Map(pipeline.Map(pipeline.Map(pipeline.From(upTo(b.N)), fn, opts...), fn, opts...), fn, opts...)
	count, sum := 0, 0
	for r := range flow.Results(context.Background()) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
		count++
		sum += r.Value
	}
	want(b, b.N, 3, count, sum)
}

// threeUntimed is the same without the results: nobody looks at the clock.
func threeUntimed(b *testing.B, fn stage, opts ...pipeline.StageOption) {
	b.ReportAllocs()
	flow := pipeline.Map(pipeline.Map(pipeline.Map(pipeline.From(upTo(b.N)), fn, opts...), fn, opts...), fn, opts...)
	count, sum := 0, 0
	for v, err := range flow.All(context.Background()) {
		if err != nil {
			b.Fatal(err)
		}
		count++
		sum += v
	}
	want(b, b.N, 3, count, sum)
}
