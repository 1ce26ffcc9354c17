package pipeline_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// poolOf makes a pool that is closed when the test ends.
func poolOf(t *testing.T, fn func(context.Context, int) (int, error), opts ...pool.Option) *pool.Pool[int, int] {
	t.Helper()
	p := pool.New(fn, opts...)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// pooling returns the stage through p.
func pooling(p *pool.Pool[int, int], opts ...pipeline.StageOption) branch {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Through(f, p, opts...) }
}

// Each value has its output once, whatever is before and behind.
func TestThroughGivesAnOutputForEachValue(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, workers := range []int{1, 2, 8} {
		p := poolOf(t, same[int], pool.Workers(workers))
		for _, n := range []int{0, 1, 600} {
			for _, s := range stages {
				for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Buffer(1)}} {
					f := plus(1, s.opts...)(pooling(p, opts...)(plus(1, s.opts...)(pipeline.From(upTo(n)))))
					got, err := f.Collect(t.Context())
					require.NoError(t, err)
					slices.Sort(got)
					require.Len(t, got, n)
					for i, v := range got {
						if v != i+2 {
							require.Equal(t, i+2, v)
						}
					}
				}
			}
		}
	}
}

// A pool serves several flows at once, other calls too, and its workers bound them all.
func TestSeveralFlowsThroughOnePool(t *testing.T) {
	pipelinetest.NoLeak(t)
	var calls pipelinetest.Gauge
	p := poolOf(t, pipelinetest.Gauged(&calls, same[int]), pool.Workers(3))
	f := pooling(p)(pipeline.Merge(pooling(p)(pipeline.From(upTo(400))), pooling(p)(pipeline.From(upTo(400)))))
	f = pipeline.Partition(f, 3, func(v int) int { return v }, pooling(p))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			got, err := f.Collect(t.Context())
			assert.NoError(t, err)
			assert.Len(t, got, 800)
			v, err := p.Do(t.Context(), 5)
			assert.NoError(t, err)
			assert.Equal(t, 5, v)
		})
	}
	all.Wait()
	assert.Equal(t, 4*(3*800+1), calls.Total())
	assert.LessOrEqual(t, calls.Peak(), 3)
}

// A call of the pool may run a flow through the same pool: it makes the calls in the share
// of the outer one.
func TestThroughInsideACallOfTheSamePool(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, workers := range []int{1, 2} {
		var p *pool.Pool[int, int]
		p = poolOf(t, func(ctx context.Context, depth int) (int, error) {
			if depth == 0 {
				return 1, nil
			}
			below := pipeline.FromSlice([]int{depth - 1, depth - 1, depth - 1})
			sum := 0
			for v, err := range pipeline.Through(below, p).All(ctx) {
				if err != nil {
					return 0, err
				}
				sum += v
			}
			return sum, nil
		}, pool.Workers(workers))
		got, err := pipeline.Through(pipeline.FromSlice([]int{3, 3, 2, 0}), p).Collect(t.Context())
		require.NoError(t, err)
		slices.Sort(got)
		assert.Equal(t, []int{1, 9, 27, 27}, got)
	}
}

// A pool that was closed before takes nothing: each value fails, and those that have
// failed before pass.
func TestThroughAClosedPool(t *testing.T) {
	pipelinetest.NoLeak(t)
	p := pool.New(func(context.Context, int) (int, error) { panic("called") })
	require.NoError(t, p.Close())
	bad := pipeline.Map(pipeline.From(upTo(300)), failAt(7), pipeline.Workers(1))
	f := pipeline.Through(bad, p, pipeline.Named("work"))
	n := 0
	for r := range f.Results(t.Context()) {
		n++
		if r.Index == 7 {
			assert.ErrorIs(t, r.Err, errBoom)
			continue
		}
		require.ErrorIs(t, r.Err, pool.ErrClosed)
		var failed *pipeline.StageError
		require.ErrorAs(t, r.Err, &failed)
		require.Equal(t, "work", failed.Stage)
		require.Equal(t, r.Index, failed.Index)
		require.Equal(t, 0, r.Attempt)
		require.Equal(t, -1, r.Worker)
		require.Zero(t, r.Value)
	}
	assert.Equal(t, 300, n)
	err := pipeline.Through(pipeline.From(naturals), p).Run(t.Context())
	assert.EqualError(t, err, "pipeline: stage through: input 0: pool: closed")
	got, err := pipeline.Through(pipeline.From(upTo(300)), p, pipeline.OnError(pipeline.Skip)).Collect(t.Context())
	require.NoError(t, err)
	assert.Empty(t, got)
}

// A pool that is closed in the middle cancels what it has under way and takes no more:
// each value still has its result.
func TestThroughAPoolThatIsClosedMeanwhile(t *testing.T) {
	for _, workers := range []int{1, 4} {
		testkit.Bubble(t, func(t *testing.T) {
			for _, results := range []bool{false, true} {
				p := pool.New(func(ctx context.Context, v int) (int, error) {
					if v < 100 {
						return v, nil
					}
					<-ctx.Done()
					return v, context.Cause(ctx)
				}, pool.Workers(workers))
				closed := make(chan error)
				time.AfterFunc(time.Second, func() { closed <- p.Close() })
				f := pipeline.Through(pipeline.From(upTo(3000)), p)
				if !results {
					_, err := f.Collect(t.Context())
					require.ErrorIs(t, err, pool.ErrClosed)
					require.NoError(t, <-closed)
					continue
				}
				fine, called, n := 0, 0, map[int]int{}
				for r := range f.Results(t.Context()) {
					n[r.Index]++
					switch {
					case r.Err == nil:
						fine++
					case r.Attempt == 1:
						called++
						fallthrough
					default:
						require.ErrorIs(t, r.Err, pool.ErrClosed)
					}
				}
				require.NoError(t, <-closed)
				require.Equal(t, 100, fine)
				require.Equal(t, workers, called)
				require.Equal(t, 3000, len(n), "each has its result") //nolint:testifylint // not all of them in the message
			}
		})
	}
}

// A pool that shuts down lets a flow that has begun go on to its end.
func TestThroughAPoolThatShutsDownMeanwhile(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepFor(time.Second), pool.Workers(2))
		down := make(chan error)
		time.AfterFunc(time.Second/2, func() { down <- p.Shutdown(t.Context()) })
		start := time.Now()
		got, err := pipeline.Through(pipeline.From(upTo(1000)), p).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 1000)
		require.NoError(t, <-down)
		assert.Equal(t, 500*time.Second, time.Since(start))

		p = pool.New(sleepFor(time.Second), pool.Workers(2))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(9*time.Second/2, func() { cancel(errStop) })
		time.AfterFunc(time.Second, func() { down <- p.Shutdown(ctx) })
		_, err = pipeline.Through(pipeline.From(naturals), p).Collect(t.Context())
		require.ErrorIs(t, err, errStop)
		require.ErrorIs(t, <-down, errStop)
	})
}

// What waits for its source does not notice that the pool is closed until that gives
// something, or ends; Close waits for it, as it does for a Stream.
func TestThroughAPoolThatIsClosedWhileTheSourceIsSilent(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same[int])
		c := make(chan int)
		var got []outcome[int]
		done := make(chan struct{})
		go func() {
			defer close(done)
			got = outcomes(pipeline.Through(pipeline.FromChan(c), p).Results(t.Context()))
		}()
		c <- 0
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- p.Close() }()
		synctest.Wait()
		c <- 1
		c <- 2
		require.NoError(t, <-closed)
		close(c)
		<-done
		const text = "pipeline: stage through: input "
		assert.Equal(t, []outcome[int]{{0, 0, ""}, {1, 0, text + "1: pool: closed"}, {2, 0, text + "2: pool: closed"}}, byIndex(got))
	})
}

// Workers that are halted make no more calls; the call in hand ends as HaltNow says, and
// the others go on with the rest.
func TestThroughAPoolOfWhichAWorkerIsHalted(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := poolOf(t, func(ctx context.Context, v int) (int, error) {
			select {
			case <-time.After(time.Second):
				return v, nil
			case <-ctx.Done():
				return v, context.Cause(ctx)
			}
		}, pool.Workers(3))
		time.AfterFunc(3*time.Second/2, func() {
			assert.NoError(t, p.HaltNow(1))
			assert.NoError(t, p.Halt(2))
		})
		var halted []int
		workers := map[int]int{}
		start := time.Now()
		for r := range pipeline.Through(pipeline.From(upTo(50)), p).Results(t.Context()) {
			workers[r.Worker]++
			if r.Err != nil {
				require.ErrorIs(t, r.Err, pool.ErrHalted)
				halted = append(halted, r.Worker)
			}
		}
		assert.Equal(t, []int{1}, halted)
		assert.Equal(t, 2, workers[1], "one call and the one in hand")
		assert.Equal(t, 2, workers[2])
		assert.Equal(t, 46, workers[0])
		assert.Equal(t, 46*time.Second, time.Since(start))
	})
}

// The pool's retries and timeouts hold for the calls, and results tell of them.
func TestThroughAPoolWithPolicies(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var calls [10]atomic.Int64
		p := poolOf(t, func(ctx context.Context, v int) (int, error) {
			n := int(calls[v].Add(1))
			switch {
			case v == 9: // too late
				<-ctx.Done()
				return 0, context.Cause(ctx)
			case n <= v%4:
				return 0, errBoom
			}
			time.Sleep(time.Second)
			return 10 * v, nil
		}, pool.Workers(2), pool.Timeout(time.Minute), pool.Retry(pool.RetryPolicy{Attempts: 3, Base: time.Second, Cap: time.Second, Steady: 1}))
		for r := range pipeline.Through(pipeline.From(upTo(10)), p).Results(t.Context()) {
			switch v := r.Index; {
			case v == 9:
				require.ErrorIs(t, r.Err, context.DeadlineExceeded)
				require.Equal(t, 3, r.Attempt)
				require.Equal(t, 3*time.Minute+2*time.Second, r.Timing.Run)
			case v%4 == 3:
				require.ErrorIs(t, r.Err, errBoom)
				require.Equal(t, 3, r.Attempt)
			default:
				require.NoError(t, r.Err)
				require.Equal(t, 10*v, r.Value)
				require.Equal(t, v%4+1, r.Attempt)
				require.Equal(t, time.Duration(v%4+1)*time.Second, r.Timing.Run)
			}
			require.Contains(t, []int{0, 1}, r.Worker)
		}
	})
}

// The timing of a result adds the pool's to that of the stages: what it waits there is
// Wait.
func TestTheTimingOfResultsThroughAPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		p := poolOf(t, sleepFor(2*time.Second), pool.Workers(1))
		f := pipeline.Through(pipeline.From(upTo(4)), p)
		f = pipeline.Map(f, sleepFor(time.Second), pipeline.Workers(4))
		n := 0
		for r := range f.Results(t.Context()) {
			assert.Equal(t, start, r.Timing.Queued)
			assert.Equal(t, 3*time.Second, r.Timing.Run)
			assert.Equal(t, time.Duration(2*r.Index)*time.Second, r.Timing.Wait)
			n++
		}
		assert.Equal(t, 4, n)
	})
}

// Panics and calls of Goexit are failures of their inputs, and the flow goes on.
func TestMishapsThroughAPool(t *testing.T) {
	pipelinetest.NoLeak(t)
	p := poolOf(t, mishap, pool.Workers(3))
	var statuses [result.Canceled + 1]int
	for r := range pipeline.Through(pipeline.From(upTo(1000)), p).Results(t.Context()) {
		statuses[r.Status()]++
		var failed *pipeline.StageError
		if r.Err != nil {
			require.ErrorAs(t, r.Err, &failed)
			require.Equal(t, r.Index, failed.Index)
			require.Equal(t, 1, r.Attempt)
		}
	}
	assert.Equal(t, 700, statuses[result.Succeeded])
	assert.Equal(t, 200, statuses[result.Failed])
	assert.Equal(t, 100, statuses[result.Panicked])
	var failed *pipeline.StageError
	require.ErrorAs(t, pipeline.Through(pipeline.From(naturals), p).Run(t.Context()), &failed)
	assert.Contains(t, []int{3, 5, 7}, failed.Index%10)
}

// OnError decides on what fails in the pool. Letters are told one after the other.
func TestOnErrorOfThrough(t *testing.T) {
	pipelinetest.NoLeak(t)
	p := poolOf(t, mishap, pool.Workers(3))
	got, err := pipeline.Through(pipeline.From(upTo(1000)), p, pipeline.OnError(pipeline.Skip)).Collect(t.Context())
	require.NoError(t, err)
	assert.Len(t, got, 700)

	var letters []pipeline.Letter
	got, err = pipeline.Through(pipeline.From(upTo(1000)), p, pipeline.Named("work"), pipeline.OnError(pipeline.DeadLetter(func(l pipeline.Letter) {
		letters = append(letters, l)
	}))).Collect(t.Context())
	require.NoError(t, err)
	assert.Len(t, got, 700)
	require.Len(t, letters, 300)
	for _, l := range letters {
		require.Equal(t, "work", l.Stage)
		require.Equal(t, l.Index, l.Input)
		require.Equal(t, 1, l.Attempts)
		require.Error(t, l.Err)
		require.Contains(t, []int{3, 5, 7}, l.Index%10)
	}
	// A letter that cannot be delivered is the failure of its input.
	for text, fn := range map[string]func(pipeline.Letter){
		"panic: lost":                    func(pipeline.Letter) { panic("lost") },
		"function called runtime.Goexit": func(pipeline.Letter) { runtime.Goexit() },
	} {
		f := pipeline.Through(pipeline.From(upTo(100)), p, pipeline.OnError(pipeline.DeadLetter(fn)))
		n := 0
		for r := range f.Results(t.Context()) {
			if r.Err != nil {
				assert.ErrorContains(t, r.Err, text)
				n++
			}
		}
		assert.Equal(t, 30, n)
		assert.ErrorContains(t, f.Run(t.Context()), text)
	}
}

// A limit of the pool that refuses is a failure that OnError sees, of an input that was
// never called.
func TestALimitOfThePoolThatRefuses(t *testing.T) {
	p := poolOf(t, same[int], pool.Limit(refusing{}))
	for r := range pipeline.Through(pipeline.From(upTo(3)), p).Results(t.Context()) {
		require.ErrorIs(t, r.Err, errBoom)
		assert.Equal(t, 0, r.Attempt)
		assert.Equal(t, -1, r.Worker)
		assert.Zero(t, r.Timing.Run)
	}
	got, err := pipeline.Through(pipeline.From(upTo(3)), p, pipeline.OnError(pipeline.Skip)).Collect(t.Context())
	require.NoError(t, err)
	assert.Empty(t, got)
}

type refusing struct{}

func (refusing) Wait(context.Context) error { return errBoom }

// A stuck loop stops the source: no more than 512 items are with the pool, and the rest
// in the queues before and behind it.
func TestThroughBoundsWhatIsUnderWay(t *testing.T) {
	for _, workers := range []int{1, 8} {
		for _, buffer := range []int{1, 100} {
			testkit.Bubble(t, func(t *testing.T) {
				p := poolOf(t, same[int], pool.Workers(workers))
				var given atomic.Int64
				ctx, cancel := context.WithCancel(t.Context())
				f := pipeline.Through(pipeline.From(counted(naturals, &given)), p, pipeline.Buffer(buffer))
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range f.All(ctx) { //nolint:errcheck // it ends with the context
						<-ctx.Done()
					}
				}()
				synctest.Wait()
				least := 512 + 2*buffer
				assert.GreaterOrEqual(t, int(given.Load()), least)
				assert.LessOrEqual(t, int(given.Load()), least+4*min(64, buffer)+3)
				cancel()
				<-done
			})
		}
	}
}

// Values and failures are passed on as they come, none is held back while others are
// waited for.
func TestThroughHoldsNothingBack(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := poolOf(t, stuckAt(2), pool.Workers(2))
		c := make(chan int)
		bad := pipeline.Map(pipeline.FromChan(c), failAt(1))
		got := make(chan outcome[int], 10)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for r := range pipeline.Through(bad, p).Results(ctx) {
				got <- outcome[int]{Index: r.Index, Value: r.Value}
			}
		}()
		for i, v := range []int{2, 0, 1, 0, 1} {
			c <- v
			synctest.Wait()
			require.Len(t, got, i, "all but the one that is stuck")
		}
		cancel()
		<-done
	})
}

// Ends by a Take behind, the context, a loop that is left: calls in flight are canceled,
// nothing is left, the pool can be used further.
func TestThroughThatEndsEarly(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var calls pipelinetest.Gauge
		p := poolOf(t, pipelinetest.Gauged(&calls, func(ctx context.Context, v int) (int, error) {
			if v%5 == 4 {
				return stuck(ctx, v)
			}
			return v, nil
		}), pool.Workers(30))
		for name, source := range map[string]func() pipeline.Flow[int]{
			"endless": func() pipeline.Flow[int] { return pipeline.From(naturals) },
			"silent": func() pipeline.Flow[int] {
				c := make(chan int, 20)
				for v := range 20 {
					c <- v
				}
				return pipeline.FromChan(c)
			},
		} {
			for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Buffer(1)}} {
				got, err := pooling(p, opts...)(source()).Take(10).Collect(t.Context())
				require.NoError(t, err)
				require.Len(t, got, 10, name)
				require.Zero(t, calls.Running())

				got, err = pooling(p, opts...)(source()).Take(0).Collect(t.Context())
				require.NoError(t, err)
				require.Empty(t, got)

				n := 0
				for range pooling(p, opts...)(source()).Results(t.Context()) {
					if n++; n == 10 {
						break
					}
				}
				require.Zero(t, calls.Running())

				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(errStop) })
				require.ErrorIs(t, pooling(p, opts...)(source()).Run(ctx), errStop)
				require.Zero(t, calls.Running())

				ctx, cancel = context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(errStop) })
				for r := range pooling(p, opts...)(source()).Results(ctx) {
					switch {
					case r.Err == nil:
					case r.Attempt == 0:
						require.Equal(t, errStop, r.Err)
						require.Equal(t, -1, r.Worker)
					default:
						require.ErrorIs(t, r.Err, context.Canceled)
						var failed *pipeline.StageError
						require.ErrorAs(t, r.Err, &failed)
					}
				}
			}
		}
		_, err := p.Do(t.Context(), 1)
		require.NoError(t, err)
	})
}

// When the context ends, all that has left the source has its result, once.
func TestResultsThroughAPoolAfterACancel(t *testing.T) {
	for _, workers := range []int{1, 8} {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			var given atomic.Int64
			p := poolOf(t, stuckAt(300), pool.Workers(workers))
			time.AfterFunc(time.Second, func() { cancel(errStop) })
			bad := pipeline.Map(pipeline.From(counted(upTo(1000), &given)), failAt(400))
			times := map[int]int{}
			for r := range pipeline.Through(bad, p, pipeline.OnError(pipeline.Skip)).Results(ctx) {
				times[r.Index]++
				switch {
				case r.Index == 400:
					require.ErrorIs(t, r.Err, errBoom)
				case r.Err != nil && r.Attempt == 0:
					require.Equal(t, errStop, r.Err)
				case r.Err != nil:
					require.Equal(t, 300, r.Index)
				}
			}
			for i, n := range times {
				require.Equal(t, 1, n, "input %d", i)
			}
			require.Equal(t, int(given.Load()), len(times), "each has its result") //nolint:testifylint // not all of them in the message
		})
	}
}

// A source that fails before a Through, and failed inputs, are passed on once.
func TestFailuresBeforeThrough(t *testing.T) {
	pipelinetest.NoLeak(t)
	p := poolOf(t, same[int], pool.Workers(2))
	got := outcomes(pipeline.Through(failing(100), p).Results(t.Context()))
	require.Len(t, got, 101)
	assert.Equal(t, "pipeline: stage from: input 100: panic: dry", got[100].Err)
	bad := pipeline.Map(pipeline.From(upTo(1000)), mishap, pipeline.Workers(2))
	times := map[int]int{}
	for r := range pipeline.Through(bad, p, pipeline.OnError(pipeline.Skip)).Results(t.Context()) {
		times[r.Index]++
		assert.Equal(t, slices.Contains([]int{3, 5, 7}, r.Index%10), r.Err != nil)
	}
	assert.Len(t, times, 1000, "they are not the stage's to skip")
	assert.EqualError(t, pipeline.Through(failing(5), p).Run(t.Context()), "pipeline: stage from: input 5: panic: dry")
}

// The name of the stage is that of the pool, unless it is given.
func TestThroughHasTheNameOfItsPool(t *testing.T) {
	f := pipeline.From(upTo(3))
	p := poolOf(t, same[int], pool.Name("fetch"))
	assert.Equal(t, "fetch", pipeline.Through(f, p).Plan().Stages[1].Name)
	assert.Equal(t, "through", pipeline.Through(f, p).Plan().Stages[1].Kind)
	assert.Equal(t, "load", pipeline.Through(f, p, pipeline.Named("load")).Plan().Stages[1].Name)
	assert.Equal(t, "load", pipeline.Through(f, p).Named("load").Plan().Stages[1].Name)
	assert.Equal(t, "through", pipeline.Through(f, poolOf(t, same[int])).Plan().Stages[1].Name)
}

func TestBadArgumentsOfThrough(t *testing.T) {
	f := pipeline.From(upTo(3))
	p := poolOf(t, same[int])
	build := func(opts ...pipeline.StageOption) func() { return func() { pipeline.Through(f, p, opts...) } }
	const own = ": the pool has its own"
	for _, tt := range []struct {
		want  string
		build func()
	}{
		{"pipeline: through: nil pool", func() { pipeline.Through[int, int](f, nil) }},
		{"pipeline: through work: nil pool", func() { pipeline.Through[int, int](f, nil, pipeline.Named("work")) }},
		{"pipeline: Through of a zero Flow: it has no source", func() { pipeline.Through(pipeline.Flow[int]{}, p) }},
		{"pipeline: through: Workers" + own, build(pipeline.Workers(2))},
		{"pipeline: through: Timeout" + own, build(pipeline.Timeout(time.Second))},
		{"pipeline: through: Retry" + own, build(pipeline.Retry(pool.RetryPolicy{Attempts: 2}))},
		{"pipeline: through: Limit" + own, build(pipeline.Limit(refusing{}))},
		{"pipeline: through: Ordered: a pool gives its outputs as they come; for order use Map(f, p.Do, Workers(n), Ordered())", build(pipeline.Ordered())},
		{"pipeline: through: Buffer(0): want at least 1", build(pipeline.Buffer(0))},
		{"pipeline: through: OnError: nil policy", build(pipeline.OnError(nil))},
		{"pipeline: through: nil option", build(nil)},
		{"pipeline: through a: Named given twice", func() { pipeline.Through(f, p, pipeline.Named("a")).Named("b") }},
	} {
		assert.Equal(t, tt.want, message(tt.build))
	}
}
