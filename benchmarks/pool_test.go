package benchmarks

import (
	"context"
	"sync"
	"testing"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

const workers = 8

func newPool(b *testing.B) *pool.Pool[int, int] {
	b.Helper()
	p := pool.New(next, pool.Workers(workers))
	b.Cleanup(func() { p.Close() }) //nolint:errcheck // it is nil
	return p
}

// BenchmarkMap raises the numbers of a slice.
func BenchmarkMap(b *testing.B) {
	ins := func(n int) []int {
		s := make([]int, n)
		for i := range s {
			s[i] = i
		}
		return s
	}
	check := func(b *testing.B, outs []int) {
		sum := 0
		for _, v := range outs {
			sum += v
		}
		want(b, b.N, 1, len(outs), sum)
	}
	b.Run("subject=loop", func(b *testing.B) {
		s := ins(b.N)
		b.ResetTimer()
		outs := make([]int, len(s))
		for i, v := range s {
			u, err := next(context.Background(), v)
			if err != nil {
				b.Fatal(err)
			}
			outs[i] = u
		}
		b.StopTimer()
		check(b, outs)
	})
	b.Run("subject=channels", func(b *testing.B) {
		s := ins(b.N)
		b.ResetTimer()
		outs := make([]int, len(s))
		places := make(chan int, 256)
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for i := range places {
					if u, err := next(context.Background(), s[i]); err == nil {
						outs[i] = u
					}
				}
			})
		}
		for i := range s {
			places <- i
		}
		close(places)
		all.Wait()
		b.StopTimer()
		check(b, outs)
	})
	b.Run("subject=millstream", func(b *testing.B) {
		p, s := newPool(b), ins(b.N)
		b.ReportAllocs()
		b.ResetTimer()
		outs, err := p.Map(context.Background(), s)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		check(b, outs)
	})
}

// BenchmarkSubmit hands single inputs to eight workers and waits for the end of all.
func BenchmarkSubmit(b *testing.B) {
	// One channel, no handle, no timing, no error: the least one can do.
	b.Run("subject=channels", func(b *testing.B) {
		jobs := make(chan int, 1024)
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for v := range jobs {
					next(context.Background(), v) //nolint:errcheck // it is nil
				}
			})
		}
		for i := range b.N {
			jobs <- i
		}
		close(jobs)
		all.Wait()
	})
	// The same with what a Job gives: a handle to wait on, the output, and when
	// it was accepted, started and done.
	b.Run("subject=channels-handle", func(b *testing.B) {
		type job struct {
			in   int
			res  result.Result[int]
			done chan struct{}
		}
		b.ReportAllocs()
		clock := newClock()
		jobs := make(chan *job, 1024)
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for j := range jobs {
					start := clock()
					j.res.Value, j.res.Err = next(context.Background(), j.in)
					j.res.Timing.Wait, j.res.Timing.Run = start, clock()-start
					close(j.done)
				}
			})
		}
		for i := range b.N {
			jobs <- &job{in: i, done: make(chan struct{}), res: result.Result[int]{Index: int(clock())}}
		}
		close(jobs)
		all.Wait()
	})
	b.Run("subject=millstream", func(b *testing.B) {
		p := newPool(b)
		b.ReportAllocs()
		ctx := context.Background()
		for i := range b.N {
			if _, err := p.Submit(ctx, i); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Shutdown(ctx); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkDo runs one input and waits for its output.
func BenchmarkDo(b *testing.B) {
	b.Run("subject=channels", func(b *testing.B) {
		type request struct {
			in    int
			reply chan int
		}
		requests := make(chan request)
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for r := range requests {
					if u, err := next(context.Background(), r.in); err == nil {
						r.reply <- u
					}
				}
			})
		}
		reply := make(chan int, 1)
		sum := 0
		for i := range b.N {
			requests <- request{i, reply}
			sum += <-reply
		}
		close(requests)
		all.Wait()
		want(b, b.N, 1, b.N, sum)
	})
	b.Run("subject=millstream", func(b *testing.B) {
		p := newPool(b)
		b.ReportAllocs()
		ctx, sum := context.Background(), 0
		for i := range b.N {
			u, err := p.Do(ctx, i)
			if err != nil {
				b.Fatal(err)
			}
			sum += u
		}
		want(b, b.N, 1, b.N, sum)
	})
}

// BenchmarkSubmitWith hands in jobs as BenchmarkSubmit does, with what costs more than
// nothing: options of the job or of the pool.
func BenchmarkSubmitWith(b *testing.B) {
	ways := []struct {
		name string
		opts []pool.Option
		job  func(i int) []pool.JobOption
	}{
		{"nothing", nil, nil},
		{"key", nil, func(i int) []pool.JobOption { return []pool.JobOption{pool.Key(i % 1000)} }},
		{"priority", nil, func(i int) []pool.JobOption { return []pool.JobOption{pool.Priority(i % 3)} }},
		{"track", []pool.Option{pool.Track(100)}, nil},
		{"observe", []pool.Option{pool.Observe(func(pool.Event) {})}, nil},
		{"retry", []pool.Option{pool.Retry(pool.RetryPolicy{Attempts: 3, Budget: 0.1})}, nil},
	}
	for _, way := range ways {
		b.Run("with="+way.name, func(b *testing.B) {
			p := pool.New(next, append(way.opts, pool.Workers(workers))...)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				var opts []pool.JobOption
				if way.job != nil {
					opts = way.job(i)
				}
				if _, err := p.Submit(context.Background(), i, opts...); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Shutdown(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if done := p.Stats().Succeeded; done != uint64(b.N) {
				b.Fatalf("%d of %d jobs succeeded", done, b.N)
			}
		})
	}
}
