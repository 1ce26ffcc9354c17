package benchmarks

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// BenchmarkReport is what a report costs on three no-op stages, where it costs most.
func BenchmarkReport(b *testing.B) {
	opts := []pipeline.StageOption{pipeline.Workers(4)}
	for _, subject := range []struct {
		name string
		run  func(*pipeline.Report) []pipeline.RunOption
	}{
		{"without", func(*pipeline.Report) []pipeline.RunOption { return nil }},
		{"with", func(r *pipeline.Report) []pipeline.RunOption { return []pipeline.RunOption{pipeline.ReportTo(r)} }},
	} {
		b.Run("subject="+subject.name, func(b *testing.B) {
			b.ReportAllocs()
			f := pipeline.Map(pipeline.Map(pipeline.Map(pipeline.From(upTo(b.N)), next, opts...), next, opts...), next, opts...)
			var report pipeline.Report
			count, sum := 0, 0
			for r := range f.Results(context.Background(), subject.run(&report)...) {
				count++
				sum += r.Value
			}
			want(b, b.N, 3, count, sum)
		})
	}
}

// BenchmarkFan passes each number through one of four branches. Subject map is one stage
// with four workers, where it does not matter which of them a number goes to.
func BenchmarkFan(b *testing.B) {
	stage := func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, next) }
	key := func(v int) int { return v & 1023 }
	pick := func(v int) int { return v & 3 }
	for _, subject := range []struct {
		name string
		flow func(pipeline.Flow[int]) pipeline.Flow[int]
	}{
		{"map", func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, next, pipeline.Workers(4)) }},
		{"partition", func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Partition(f, 4, key, stage) }},
		{"route", func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Route(f, pick, stage, stage, stage, stage)
		}},
	} {
		b.Run("subject="+subject.name, func(b *testing.B) { fanned(b, subject.flow) })
	}
	b.Run("subject=channels", fannedChannels)
}

func fanned(b *testing.B, flow func(pipeline.Flow[int]) pipeline.Flow[int]) {
	b.ReportAllocs()
	count, sum := 0, 0
	for v, err := range flow(pipeline.From(upTo(b.N))).All(context.Background()) {
		if err != nil {
			b.Fatal(err)
		}
		count++
		sum += v
	}
	want(b, b.N, 1, count, sum)
}

// fannedChannels is a route by hand: a goroutine and a channel for each branch.
func fannedChannels(b *testing.B) {
	ctx := context.Background()
	out := make(chan int, 256)
	var branches [4]chan int
	var running sync.WaitGroup
	for i := range branches {
		in := make(chan int, 256)
		branches[i] = in
		running.Go(func() {
			for v := range in {
				if u, err := next(ctx, v); err == nil {
					out <- u
				}
			}
		})
	}
	go func() {
		for v := range upTo(b.N) {
			branches[v&3] <- v
		}
		for _, in := range branches {
			close(in)
		}
		running.Wait()
		close(out)
	}()
	count, sum := 0, 0
	for v := range out {
		count++
		sum += v
	}
	want(b, b.N, 1, count, sum)
}

// BenchmarkThrough has a pool make the calls of a stage.
func BenchmarkThrough(b *testing.B) {
	p := pool.New(next, pool.Workers(4))
	defer p.Close()
	for _, subject := range []struct {
		name string
		flow func(pipeline.Flow[int]) pipeline.Flow[int]
	}{
		{"map", func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, next, pipeline.Workers(4)) }},
		{"map-do", func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, p.Do, pipeline.Workers(4)) }},
		{"through", func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Through(f, p) }},
	} {
		b.Run("subject="+subject.name, func(b *testing.B) { fanned(b, subject.flow) })
	}
}

// BenchmarkAuto shows what a stage that finds its number of workers by itself makes of
// calls that wait for a millisecond, of which 64 workers do 64,000 a second, and of calls
// that compute for 100 microseconds, of which each processor does 10,000. An operation is
// an item; workers are those that it has in the end.
func BenchmarkAuto(b *testing.B) {
	wait := func(_ context.Context, v int) (int, error) {
		time.Sleep(time.Millisecond)
		return v + 1, nil
	}
	compute := func(ctx context.Context, v int) (int, error) {
		for range 99 {
			if _, err := spin(ctx, v); err != nil {
				return 0, err
			}
		}
		return spin(ctx, v)
	}
	for _, work := range []struct {
		name string
		fn   stage
	}{{"wait", wait}, {"compute", compute}} {
		for _, subject := range []struct {
			name    string
			workers pipeline.StageOption
		}{
			{"1", pipeline.Workers(1)},
			{"2", pipeline.Workers(2)},
			{"64", pipeline.Workers(64)},
			{"auto", pipeline.Workers(pipeline.Auto(1, 64))},
		} {
			b.Run("work="+work.name+"/subject="+subject.name, func(b *testing.B) {
				autoFlow(b, work.fn, subject.workers)
			})
		}
	}
}

func autoFlow(b *testing.B, fn stage, workers pipeline.StageOption) {
	var report pipeline.Report
	f := pipeline.Map(pipeline.From(upTo(b.N)), fn, workers)
	count, sum := 0, 0
	last := 0
	for v, err := range f.All(context.Background(), pipeline.ReportTo(&report)) {
		if err != nil {
			b.Fatal(err)
		}
		count++
		sum += v
		if count&1023 == 0 {
			last = report.Snapshot().Stages[1].Workers
		}
	}
	want(b, b.N, 1, count, sum)
	b.ReportMetric(float64(last), "workers")
}

// BenchmarkItems shows whether an item costs the same in short and in long runs of three
// no-op stages: an operation is a whole run of so many items.
func BenchmarkItems(b *testing.B) {
	for _, n := range []int{10_000, 10_000_000} {
		b.Run(map[int]string{10_000: "items=10k", 10_000_000: "items=10M"}[n], func(b *testing.B) {
			opts := []pipeline.StageOption{pipeline.Workers(4)}
			for b.Loop() {
				f := pipeline.Map(pipeline.Map(pipeline.Map(pipeline.From(upTo(n)), next, opts...), next, opts...), next, opts...)
				count, sum := 0, 0
				for r := range f.Results(context.Background()) {
					count++
					sum += r.Value
				}
				want(b, n, 3, count, sum)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/item")
		})
	}
}
