package pipeline_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
)

// foldInput is the input of a random fold: n numbers that fail before it or in it.
type foldInput struct {
	values []int
	before map[int]bool // by their place: they fail in a stage before
	within map[int]bool // by their value: they fail in the fold
}

func newFoldInput(random *rand.Rand) foldInput {
	in := foldInput{before: map[int]bool{}, within: map[int]bool{}}
	for i := range random.IntN(400) {
		in.values = append(in.values, random.IntN(50))
		in.before[i] = random.IntN(12) == 0
	}
	for v := range 50 {
		in.within[v] = random.IntN(9) == 0
	}
	return in
}

// flow gives the values; those that fail do so in a stage of its own.
func (in foldInput) flow(opts []pipeline.StageOption) pipeline.Flow[int] {
	return pipeline.Map(pipeline.From(upTo(len(in.values))), func(_ context.Context, i int) (int, error) {
		if in.before[i] {
			return 0, errBoom
		}
		return in.values[i], nil
	}, append([]pipeline.StageOption{pipeline.Named("before")}, opts...)...)
}

// add is the function of the folds: it depends on the order.
func (in foldInput) add(_ context.Context, sum, v int) (int, error) {
	if in.within[v] {
		return 0, errBoom
	}
	return 31*sum + v, nil
}

// failed is the outcome of a failed input.
func failed[T any](index int, stage string) outcome[T] {
	return outcome[T]{Index: index, Err: fmt.Sprintf("pipeline: stage %s: input %d: boom", stage, index)}
}

// foldLoop is a plain loop over the input: step is called for each value that has not failed
// before, and says whether it fails in the stage.
func foldLoop[T any](in foldInput, stage string, step func(i, v int) (emits []outcome[T], ok bool)) []outcome[T] {
	var all []outcome[T]
	for i, v := range in.values {
		if in.before[i] {
			all = append(all, failed[T](i, "before"))
			continue
		}
		emits, ok := step(i, v)
		if !ok {
			emits = []outcome[T]{failed[T](i, stage)}
		}
		all = append(all, emits...)
	}
	return all
}

func scanLoop(in foldInput) []outcome[int] {
	sum := 1
	return foldLoop(in, "scan", func(i, v int) ([]outcome[int], bool) {
		if in.within[v] {
			return nil, false
		}
		sum = 31*sum + v
		return []outcome[int]{{Index: i, Value: sum}}, true
	})
}

func reduceLoop(in foldInput) []outcome[int] {
	last := outcome[int]{Value: 1}
	all := foldLoop(in, "reduce", func(i, v int) ([]outcome[int], bool) {
		if in.within[v] {
			return nil, false
		}
		last = outcome[int]{Index: i, Value: 31*last.Value + v}
		return nil, true
	})
	return append(all, last)
}

type foldGroup = pipeline.Group[int, int]

func groupLoop(in foldInput, most, keys int) []outcome[foldGroup] {
	var open []outcome[foldGroup] // least recently added to first
	all := foldLoop(in, "groupby", func(i, v int) (emits []outcome[foldGroup], ok bool) {
		if in.within[v] {
			return nil, false
		}
		group := outcome[foldGroup]{Index: i, Value: foldGroup{Key: v % keys}}
		at := slices.IndexFunc(open, func(o outcome[foldGroup]) bool { return o.Value.Key == v%keys })
		if at >= 0 {
			group = open[at]
			open = slices.Delete(open, at, at+1)
		}
		group.Value.Value = 31*group.Value.Value + v
		group.Value.Count++
		open = append(open, group)
		if len(open) > most {
			emits, open = open[:1:1], open[1:]
		}
		return emits, true
	})
	return append(all, open...)
}

func distinctLoop(in foldInput, most, keys int) []outcome[int] {
	var seen []int
	return foldLoop(in, "distinct", func(i, v int) ([]outcome[int], bool) {
		if slices.Contains(seen, v%keys) {
			return nil, true
		}
		seen = append(seen, v%keys)
		seen = seen[max(len(seen)-most, 0):]
		return []outcome[int]{{Index: i, Value: v}}, true
	})
}

// foldSources are the ways in which inputs come to a fold in order.
func foldSources(in foldInput) map[string]pipeline.Flow[int] {
	all := map[string]pipeline.Flow[int]{"buffer": in.flow(nil).Buffer(7)}
	for _, s := range stages {
		if s.ordered {
			all[s.name] = in.flow(s.opts)
		}
	}
	return all
}

// What the folds give is what plain loops give, failures and all, whatever is before and
// behind them.
func TestFoldsGiveWhatALoopGives(t *testing.T) {
	pipelinetest.NoLeak(t)
	for seed := range uint64(25) {
		random := rand.New(rand.NewPCG(seed, 1))
		in := newFoldInput(random)
		most, keys := 1+random.IntN(12), 1+random.IntN(20)
		key := func(v int) int { return v % keys }
		for name, f := range foldSources(in) {
			name = fmt.Sprintf("seed %d, %s, most %d, keys %d", seed, name, most, keys)
			behind := []pipeline.StageOption(nil)
			if seed%2 == 1 {
				behind = []pipeline.StageOption{pipeline.Workers(2), pipeline.Ordered()}
			}
			scans := pipeline.Map(pipeline.Scan(f, 1, in.add), same, behind...)
			reduces := pipeline.Map(pipeline.Reduce(f, 1, in.add), same, behind...)
			groups := pipeline.Map(pipeline.GroupBy(f, most, key, in.add), same, behind...)
			distinct := pipeline.Map(pipeline.Distinct(f, most, key), same, behind...)
			require.Equal(t, scanLoop(in), outcomes(scans.Results(t.Context())), name)
			require.Equal(t, reduceLoop(in), outcomes(reduces.Results(t.Context())), name)
			require.Equal(t, groupLoop(in, most, keys), outcomes(groups.Results(t.Context())), name)
			require.Equal(t, distinctLoop(in, most, keys), outcomes(distinct.Results(t.Context())), name)
		}
	}
}

func sumUp(_ context.Context, sum, v int) (int, error) { return sum + v, nil }

// Nothing of a run is left in the flow: each run, also one beside others, begins anew.
func TestEachRunOfAFoldBeginsAnew(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.From(upTo(100))
	scan, reduce := pipeline.Scan(f, 5, sumUp), pipeline.Reduce(f, 5, sumUp)
	groups := pipeline.GroupBy(f, 10, func(v int) int { return v % 10 }, sumUp)
	distinct := pipeline.Distinct(f, 1000, func(v int) int { return v / 2 })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				for range scan.Results(t.Context()) { // a run that is left
					break
				}
				sums, err := scan.Collect(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 5+4950, sums[99])
				total, err := reduce.Collect(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, []int{5 + 4950}, total)
				all, err := groups.Collect(t.Context())
				assert.NoError(t, err)
				assert.Len(t, all, 10)
				assert.Equal(t, foldGroup{Key: 3, Value: 480, Count: 10}, all[3])
				few, err := distinct.Collect(t.Context())
				assert.NoError(t, err)
				assert.Len(t, few, 50)
			}
		})
	}
	wg.Wait()
}

// Of nothing: the folds that keep something back, but for Reduce, give nothing.
func TestFoldsOfNothing(t *testing.T) {
	f := pipeline.FromSlice[int](nil)
	assert.Empty(t, outcomes(pipeline.Scan(f, 9, sumUp).Results(t.Context())))
	assert.Equal(t, []outcome[int]{{0, 9, ""}}, outcomes(pipeline.Reduce(f, 9, sumUp).Results(t.Context())))
	assert.Empty(t, outcomes(pipeline.GroupBy(f, 1, same1, sumUp).Results(t.Context())))
	assert.Empty(t, outcomes(pipeline.Distinct(f, 1, same1).Results(t.Context())))
}

func same1(v int) int { return v }

// A Reduce whose inputs all failed gives init.
func TestAReduceOfFailuresIsInit(t *testing.T) {
	f := pipeline.Reduce(pipeline.From(upTo(2)), 9, func(context.Context, int, int) (int, error) { return 1, errBoom })
	assert.Equal(t, []outcome[int]{
		{0, 0, "pipeline: stage reduce: input 0: boom"},
		{1, 0, "pipeline: stage reduce: input 1: boom"},
		{0, 9, ""},
	}, outcomes(f.Results(t.Context())))
	assert.ErrorIs(t, f.Run(t.Context()), errBoom)
}

// foldKinds are the folds that call a function, each as a flow of sums; a group is its sum.
var foldKinds = map[string]func(f pipeline.Flow[int], fn func(context.Context, int, int) (int, error), opts ...pipeline.StageOption) pipeline.Flow[int]{
	"scan": func(f pipeline.Flow[int], fn func(context.Context, int, int) (int, error), opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.Scan(f, 0, fn, opts...)
	},
	"reduce": func(f pipeline.Flow[int], fn func(context.Context, int, int) (int, error), opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.Reduce(f, 0, fn, opts...)
	},
	"groupby": func(f pipeline.Flow[int], fn func(context.Context, int, int) (int, error), opts ...pipeline.StageOption) pipeline.Flow[int] {
		groups := pipeline.GroupBy(f, 3, func(int) string { return "all" }, fn, opts...)
		return pipeline.Map(groups, func(_ context.Context, g pipeline.Group[string, int]) (int, error) { return g.Value, nil })
	},
}

// lastOf is the last value of a run.
func lastOf(t *testing.T, f pipeline.Flow[int], opts ...pipeline.RunOption) int {
	t.Helper()
	all, err := f.Collect(t.Context(), opts...)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all[len(all)-1]
}

// The policies of a stage hold for the folds. A call that failed has changed nothing.
func TestThePoliciesOfAFold(t *testing.T) {
	for kind, build := range foldKinds {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.From(upTo(5))
			calls := 0
			flaky := func(_ context.Context, sum, v int) (int, error) {
				if calls++; calls%3 != 0 {
					return -1000, errBoom
				}
				return sum + v, nil
			}
			assert.Equal(t, 10, lastOf(t, build(f, flaky, pipeline.Retry(pool.RetryPolicy{Attempts: 3}))), kind)
			assert.Equal(t, 15, calls, kind)

			some := func(_ context.Context, sum, v int) (int, error) {
				if v == 3 {
					return -1000, errBoom
				}
				return sum + v, nil
			}
			assert.Equal(t, 7, lastOf(t, build(f, some, pipeline.OnError(pipeline.Skip))), kind)
			var letters []pipeline.Letter
			bury := pipeline.DeadLetter(func(l pipeline.Letter) { letters = append(letters, l) })
			assert.Equal(t, 7, lastOf(t, build(f, some, pipeline.OnError(bury), pipeline.Named("sum"))), kind)
			require.Len(t, letters, 1, kind)
			letters[0].Timing.Queued = time.Time{}
			assert.Equal(t, pipeline.Letter{Stage: "sum", Index: 3, Input: 3, Err: errBoom, Attempts: 1}, letters[0], kind)

			slow := func(ctx context.Context, sum, v int) (int, error) {
				if v == 2 {
					return sum, pipelinetest.Hang()(ctx)
				}
				return sum + v, nil
			}
			start := time.Now()
			timeout := build(f, slow, pipeline.Timeout(time.Second), pipeline.OnError(pipeline.Skip))
			assert.Equal(t, 8, lastOf(t, timeout), kind)
			assert.Equal(t, time.Second, time.Since(start), kind)
			retried := build(f, slow, pipeline.Timeout(time.Second), pipeline.Retry(pool.RetryPolicy{Attempts: 2}))
			start = time.Now()
			assert.ErrorIs(t, retried.Run(t.Context()), context.DeadlineExceeded, kind)
			assert.GreaterOrEqual(t, time.Since(start), 2*time.Second, kind)

			refuse := &ticks{every: time.Minute, refuse: 4}
			start = time.Now()
			limited := build(f, sumUp, pipeline.Limit(refuse), pipeline.OnError(pipeline.Skip))
			assert.Equal(t, 7, lastOf(t, limited), kind)
			assert.Equal(t, 5*time.Minute, time.Since(start), kind)
		})
	}
}

// ticks is a limit of one call every so often, that refuses the n-th.
type ticks struct {
	every  time.Duration
	refuse int
	waited int
}

func (l *ticks) Wait(ctx context.Context) error {
	if err := pipelinetest.Delay(l.every)(ctx); err != nil {
		return err
	}
	if l.waited++; l.waited == l.refuse {
		return errBoom
	}
	return nil
}

// A panic and a Goexit in a fold fail their input and nothing else, also if the goroutine
// has to be replaced.
func TestAFoldThatDoesNotReturn(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, end := range map[string]pipelinetest.Fault{"panic": pipelinetest.Panic("no"), "goexit": pipelinetest.Goexit()} {
		for kind, build := range foldKinds {
			f := hop(500, func(f pipeline.Flow[int]) pipeline.Flow[int] {
				return build(f, func(ctx context.Context, sum, v int) (int, error) {
					if v%100 == 50 {
						return 0, end(ctx)
					}
					return sum + v, nil
				})
			})
			require.Error(t, f.Run(t.Context()), kind)
			var errs []int
			last := 0
			for r := range f.Results(t.Context()) {
				if r.Err != nil {
					errs = append(errs, r.Index)
					if name == "goexit" {
						require.ErrorIs(t, r.Err, pipeline.ErrGoexit)
					}
					continue
				}
				last = r.Value
			}
			assert.Equal(t, []int{50, 150, 250, 350, 450}, errs, "%s, %s", kind, name)
			assert.Equal(t, 500*499/2-(50+150+250+350+450), last, "%s, %s", kind, name)
		}
	}
}

// The same for the functions that name keys.
func TestAKeyThatDoesNotReturn(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, end := range []pipelinetest.Fault{pipelinetest.Panic("no"), pipelinetest.Goexit()} {
		key := func(v int) int {
			if v == 7 {
				_ = end(t.Context())
			}
			return v % 5
		}
		groups := hop(20, func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Map(pipeline.GroupBy(f, 9, key, sumUp), func(_ context.Context, g foldGroup) (int, error) {
				return g.Count, nil
			})
		})
		got := outcomes(groups.Results(t.Context()))
		require.Len(t, got, 6)
		assert.Contains(t, got[0].Err, "pipeline: stage groupby: input 7: ")
		// Behind the failure the groups, that of 7 with one value less, but 17 came after all.
		assert.Equal(t, []outcome[int]{{0, 4, ""}, {1, 4, ""}, {2, 3, ""}, {3, 4, ""}, {4, 4, ""}}, got[1:])

		distinct := hop(20, func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Distinct(f, 9, key) })
		got = outcomes(distinct.Results(t.Context()))
		require.Len(t, got, 6)
		assert.Contains(t, got[5].Err, "pipeline: stage distinct: input 7: ")
	}
}

// A key of a type that cannot be compared fails its input.
func TestAKeyThatCannotBeCompared(t *testing.T) {
	key := func(v int) any {
		if v == 1 {
			return []int{v}
		}
		return v
	}
	f := pipeline.From(upTo(3))
	got := outcomes(pipeline.GroupBy(f, 9, key, sumUp).Results(t.Context()))
	require.Len(t, got, 3)
	assert.Contains(t, got[0].Err, "unhashable")
	seen := outcomes(pipeline.Distinct(f, 9, key).Results(t.Context()))
	require.Len(t, seen, 3)
	assert.Contains(t, seen[1].Err, "unhashable")
}

// A function behind a GroupBy that ended its goroutine took the groups that were left with
// it: they were lost without a word.
func TestGoexitBehindAGroupByLosesNoGroup(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, before := range map[string]func(pipeline.Flow[int]) pipeline.Flow[int]{
		"queue":  func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Buffer(3) },
		"source": func(f pipeline.Flow[int]) pipeline.Flow[int] { return f },
	} {
		groups := pipeline.GroupBy(before(pipeline.From(upTo(40))), 10, func(v int) int { return v % 10 }, sumUp)
		f := pipeline.Map(groups, func(_ context.Context, g foldGroup) (int, error) {
			if g.Key%3 == 0 {
				runtime.Goexit()
			}
			return g.Key, nil
		}).Buffer(1)
		var want []outcome[int]
		for k := range 10 {
			o := outcome[int]{Index: k, Value: k}
			if k%3 == 0 {
				o = outcome[int]{Index: k, Err: (&pipeline.StageError{Stage: "map", Index: k, Err: pipeline.ErrGoexit}).Error()}
			}
			want = append(want, o)
		}
		assert.Equal(t, want, outcomes(f.Results(t.Context())), name)
	}
}

// A run that is canceled has no end result; Results says so of what there is.
func TestACanceledFold(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for kind, build := range foldKinds {
			if kind == "scan" {
				continue
			}
			run := func(values ...int) (pipeline.Flow[int], context.Context) {
				c := make(chan int, len(values))
				for _, v := range values {
					c <- v
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
				t.Cleanup(cancel)
				return build(pipeline.FromChan(c), sumUp), ctx
			}
			f, ctx := run(1, 2)
			for name, err := range failures(ctx, f) {
				assert.Equal(t, errStop, err, "%s, %s", kind, name)
				break // the source serves one run
			}
			f, ctx = run()
			assert.Empty(t, outcomes(f.Results(ctx)), kind)
		}
		c := make(chan int, 3)
		c <- 4
		c <- 5
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
		defer cancel()
		for r := range pipeline.Reduce(pipeline.FromChan(c), 0, sumUp).Results(ctx) {
			assert.Equal(t, outcome[int]{1, 9, "stop"}, outcome[int]{r.Index, r.Value, r.Err.Error()})
			assert.Equal(t, []int{0, -1}, []int{r.Attempt, r.Worker})
			assert.Equal(t, time.Second, r.Timing.Wait)
		}
		c <- 4
		c <- 5
		ctx, cancel = context.WithTimeoutCause(t.Context(), time.Second, errStop)
		defer cancel()
		assert.Equal(t, []outcome[foldGroup]{
			{0, foldGroup{4, 4, 1}, "stop"}, {1, foldGroup{5, 5, 1}, "stop"},
		}, outcomes(pipeline.GroupBy(pipeline.FromChan(c), 9, same1, sumUp).Results(ctx)))
	})
}

// A run that is canceled when its source ends is complete if nothing is left to pass on.
func TestAFoldWithNothingLeftIsComplete(t *testing.T) {
	run := func(end func(context.Context, pipeline.Flow[int]) error) error {
		ctx, cancel := context.WithCancelCause(t.Context())
		return end(ctx, pipeline.From(func(func(int) bool) { cancel(errStop) }))
	}
	require.NoError(t, run(func(ctx context.Context, f pipeline.Flow[int]) error {
		return pipeline.GroupBy(f, 9, same1, sumUp).Run(ctx)
	}))
	require.NoError(t, run(func(ctx context.Context, f pipeline.Flow[int]) error { return pipeline.Batch(f, 9, 0).Run(ctx) }))
	assert.Equal(t, errStop, run(func(ctx context.Context, f pipeline.Flow[int]) error {
		return pipeline.Reduce(f, 9, sumUp).Run(ctx)
	}), "its value is missing")
}

// A fold that is left, or of which enough was taken, gives nothing more.
func TestAFoldThatIsLeft(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Map(pipeline.From(naturals), same, s.opts...)
		groups := pipeline.GroupBy(f, 3, same1, sumUp)
		got, err := groups.Take(4).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 4)
		n := 0
		for range groups.Results(t.Context()) {
			if n++; n == 3 {
				break
			}
		}
		n = 0
		for range pipeline.GroupBy(f.Take(9), 5, same1, sumUp).Results(t.Context()) { // four at once, five at the end
			if n++; n == 7 {
				break
			}
		}
		assert.Equal(t, 7, n)
		firstFew, err := pipeline.GroupBy(f.Take(9), 9, same1, sumUp).Take(2).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, firstFew, 2)
		sums, err := pipeline.Reduce(f.Take(10), 0, func(_ context.Context, n, _ int) (int, error) { return n + 1, nil }).Collect(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{10}, sums)
	}
}

// A value that carries several inputs says of which one index, times and calls are.
func TestTheTimingOfAFold(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const s = time.Second
		slow := func(_ context.Context, sum, v int) (int, error) {
			time.Sleep(time.Duration(v+1) * s)
			return sum + v, nil
		}
		start := time.Now()
		sum := slices.Collect(pipeline.Reduce(pipeline.From(timed(0, 10*s, 20*s)), 0, slow).Results(t.Context()))
		require.Len(t, sum, 1)
		assert.Equal(t, []int{3, 2, 1, 0}, []int{sum[0].Value, sum[0].Index, sum[0].Attempt, sum[0].Worker})
		assert.Equal(t, 20*s, sum[0].Timing.Queued.Sub(start))
		assert.Equal(t, []time.Duration{0, 3 * s}, []time.Duration{sum[0].Timing.Wait, sum[0].Timing.Run})

		start = time.Now()
		calls := 0
		flaky := func(ctx context.Context, sum, v int) (int, error) {
			if calls++; calls == 3 {
				return 0, errBoom
			}
			return slow(ctx, sum, v)
		}
		parity := func(v int) int { return v % 2 }
		f := pipeline.GroupBy(pipeline.From(timed(0, 10*s, 20*s)), 9, parity, flaky, pipeline.Retry(pool.RetryPolicy{Attempts: 2, Base: s, Steady: 1}))
		groups := slices.Collect(f.Results(t.Context()))
		require.Len(t, groups, 2)
		odd, even := groups[0], groups[1]
		assert.Equal(t, []int{1, 1, 0}, []int{odd.Index, odd.Attempt, odd.Worker})
		assert.Equal(t, []int{0, 2, 0}, []int{even.Index, even.Attempt, even.Worker})
		assert.Equal(t, []time.Duration{10 * s, 0, 2 * s}, []time.Duration{odd.Timing.Queued.Sub(start), odd.Timing.Wait, odd.Timing.Run})
		// Queued at 0; the call for its last value ended at 24, its first one had run a second.
		assert.Equal(t, []time.Duration{0, 23 * s, s}, []time.Duration{even.Timing.Queued.Sub(start), even.Timing.Wait, even.Timing.Run})
	})
}

// A NaN is a key of its own each time, and is not kept.
func TestNaNsAreKeysOfTheirOwn(t *testing.T) {
	nan := func(v int) float64 {
		if v%2 == 0 {
			return math.NaN()
		}
		return 1
	}
	f := pipeline.From(upTo(6))
	groups, err := pipeline.GroupBy(f, 9, nan, sumUp).Collect(t.Context())
	require.NoError(t, err)
	var counts []int
	for _, g := range groups {
		counts = append(counts, g.Count)
	}
	assert.Equal(t, []int{1, 1, 1, 3}, counts)
	values, err := pipeline.Distinct(f, 1, nan).Collect(t.Context()) // they push no other key out
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1, 2, 4}, values)
}

// Ten million keys take the memory of the few that are kept.
func TestFoldsOfManyKeysInSmallMemory(t *testing.T) {
	pipelinetest.NoLeak(t)
	n := 10_000_000
	if raceEnabled || testing.Short() {
		n /= 50
	}
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	source, fewer := pipeline.From(upTo(n)), pipeline.From(upTo(n/5))
	nan := func(int) float64 { return math.NaN() }
	ignore := func(_ context.Context, _ struct{}, _ int) (struct{}, error) { return struct{}{}, nil }
	for name, f := range map[string]pipeline.Flow[struct{}]{
		"groupby":       dropped(pipeline.GroupBy(source, 1000, same1, ignore)),
		"groupby, NaNs": dropped(pipeline.GroupBy(fewer, 1000, nan, ignore)),
		"distinct":      dropped(pipeline.Distinct(source, 1000, same1)),
		"distinct, NaN": dropped(pipeline.Distinct(fewer, 1000, nan)),
		"window":        dropped(pipeline.Window(fewer, 100, 30)),
		"window, apart": dropped(pipeline.Window(fewer, 30, 100)),
	} {
		before, most, count := live(), int64(0), 0
		for _, err := range f.All(t.Context()) {
			require.NoError(t, err)
			if count++; count&(count-1) == 0 { // now and then, and late
				most = max(most, live()-before)
			}
		}
		require.Greater(t, count, n/600, name)
		assert.Less(t, most, int64(2<<20), name)
	}
}

func dropped[T any](f pipeline.Flow[T]) pipeline.Flow[struct{}] {
	return pipeline.Map(f, func(context.Context, T) (struct{}, error) { return struct{}{}, nil })
}

// What a report counts of a fold: each input once, each output once, failed or not.
func TestTheReportOfAFold(t *testing.T) {
	in := foldInput{values: []int{1, 2, 3, 4, 5, 6}, before: map[int]bool{1: true}, within: map[int]bool{4: true}}
	var r pipeline.Report
	groups := pipeline.GroupBy(in.flow(nil), 2, same1, in.add)
	for range groups.Results(t.Context(), pipeline.ReportTo(&r)) {
	}
	stats := r.Snapshot().Stages[2]
	assert.Equal(t, "groupby", stats.Kind)
	assert.EqualValues(t, 6, stats.In)
	assert.EqualValues(t, 4+2, stats.Out, "four groups, two failures")
	assert.EqualValues(t, 1, stats.Errors)

	for range pipeline.Reduce(in.flow(nil), 2, in.add).Results(t.Context(), pipeline.ReportTo(&r)) {
	}
	stats = r.Snapshot().Stages[2]
	assert.EqualValues(t, 6, stats.In)
	assert.EqualValues(t, 1+2, stats.Out)
}
