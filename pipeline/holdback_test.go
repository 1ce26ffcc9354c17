package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// trickles are sources that give a number each second, for ever.
func trickles(stop <-chan struct{}) map[string]func() pipeline.Flow[int] {
	tick := func(yield func(int) bool) {
		for i := 0; ; i++ {
			time.Sleep(time.Second)
			if !yield(i) {
				return
			}
		}
	}
	return map[string]func() pipeline.Flow[int]{
		"from": func() pipeline.Flow[int] { return pipeline.From(tick) },
		"seq2": func() pipeline.Flow[int] {
			return pipeline.FromSeq2(func(yield func(int, error) bool) {
				tick(func(v int) bool { return yield(v, nil) })
			})
		},
		"chan": func() pipeline.Flow[int] {
			c := make(chan int)
			go func() {
				for i := 0; ; i++ {
					select {
					case <-time.After(time.Second):
					case <-stop:
						return
					}
					select {
					case c <- i:
					case <-stop:
						return
					}
				}
			}()
			return pipeline.FromChan(c)
		},
		"func": func() pipeline.Flow[int] {
			n := -1
			return pipeline.FromFunc(func(ctx context.Context) (int, error) {
				n++
				return n, pipelinetest.Delay(time.Second)(ctx)
			})
		},
		"lines": func() pipeline.Flow[int] {
			n := byte(0)
			lines := pipeline.Lines(readerFunc(func(p []byte) (int, error) {
				time.Sleep(time.Second)
				n++
				return copy(p, []byte{'0' + (n-1)%10, '\n'}), nil
			}))
			return pipeline.Map(lines, func(_ context.Context, s string) (int, error) { return int(s[0] - '0'), nil })
		},
	}
}

// holders are steps that hold something back, each as a flow of slices of inputs.
var holders = map[string]func(pipeline.Flow[int]) pipeline.Flow[[]int]{
	"batch":           func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return pipeline.Batch(f, 100, 0) },
	"batch, maxWait":  func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return pipeline.Batch(f, 100, time.Hour) },
	"window":          func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return pipeline.Window(f, 100, 3) },
	"window, windows": func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return concat(pipeline.Window(f, 2, 2)) },
	"reduce":          concatInts,
	"scan, reduce": func(f pipeline.Flow[int]) pipeline.Flow[[]int] {
		deltas := pipeline.Scan(f, 0, func(_ context.Context, _, v int) (int, error) { return v, nil })
		return concatInts(deltas)
	},
	"groupby": func(f pipeline.Flow[int]) pipeline.Flow[[]int] {
		groups := pipeline.GroupBy(f, 9, func(int) bool { return true }, appendTo)
		return pipeline.Map(groups, func(_ context.Context, g pipeline.Group[bool, []int]) ([]int, error) { return g.Value, nil })
	},
	"buffer": func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return concatInts(f.Buffer(100)) },
	"pool": func(f pipeline.Flow[int]) pipeline.Flow[[]int] {
		return concatInts(pipeline.Map(f, sleepFor(3*time.Second), pipeline.Workers(8), pipeline.Ordered()))
	},
	"through all": func(f pipeline.Flow[int]) pipeline.Flow[[]int] {
		f = unpacked(pipeline.Window(unpacked(pipeline.Batch(f.Buffer(2), 3, time.Hour)), 100, 100))
		return concat(pipeline.Batch(f, 5, 0))
	},
}

func appendTo(_ context.Context, all []int, v int) ([]int, error) { return append(all, v), nil }

func concatInts(f pipeline.Flow[int]) pipeline.Flow[[]int] { return pipeline.Reduce(f, nil, appendTo) }

// concat makes one slice of all.
func concat(f pipeline.Flow[[]int]) pipeline.Flow[[]int] {
	return pipeline.Reduce(f, nil, func(_ context.Context, all, vs []int) ([]int, error) { return append(all, vs...), nil })
}

// unpacked gives the values of slices.
func unpacked(f pipeline.Flow[[]int]) pipeline.Flow[int] { return pipeline.FlatMap(f, unbatch) }

// A run that drains gives all that its source gave before, at once, whoever held it back,
// and has no error.
func TestADrainGivesWhatWasHeldBack(t *testing.T) {
	for name, hold := range holders {
		for _, source := range []string{"from", "seq2", "chan", "func", "lines"} {
			testkit.Bubble(t, func(t *testing.T) {
				over := make(chan struct{})
				defer close(over)
				f := hold(trickles(over)[source]())
				drain, stop := context.WithTimeout(t.Context(), 5500*time.Millisecond)
				defer stop()
				start := time.Now()
				got, err := f.Collect(t.Context(), pipeline.Drain(drain))
				took := time.Since(start)
				require.NoError(t, err, "%s, %s", name, source)
				want, end := numbers(5), 5500*time.Millisecond
				if source != "chan" && source != "func" { // it blocks until the next value, which counts
					want, end = numbers(6), 6*time.Second
				}
				if name == "pool" { // the last call was under way, or had yet to begin
					end = time.Duration(len(want)+3) * time.Second
				}
				assert.Equal(t, [][]int{want}, got, "%s, %s", name, source)
				assert.Equal(t, end, took, "%s, %s", name, source)
			})
		}
	}
}

// The same in Results, where it is told from a cancel.
func TestADrainIsNoCancel(t *testing.T) {
	for name, hold := range holders {
		testkit.Bubble(t, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			drain, stop := context.WithTimeout(t.Context(), 5500*time.Millisecond)
			defer stop()
			assert.Equal(t, []outcome[[]int]{{0, numbers(5), ""}}, indexless(outcomes(
				hold(trickles(over)["chan"]()).Results(t.Context(), pipeline.Drain(drain)))), name)
		})
	}
}

func indexless[T any](all []outcome[T]) []outcome[T] {
	for i := range all {
		all[i].Index = 0
	}
	return all
}

// A drain that was there before the run: nothing is read, and there is no error.
func TestADrainBeforeTheStart(t *testing.T) {
	drain, stop := context.WithCancel(t.Context())
	stop()
	for name, hold := range holders {
		f := hold(pipeline.From(func(func(int) bool) { assert.Fail(t, "pulled") }))
		got, err := f.Collect(t.Context(), pipeline.Drain(drain))
		require.NoError(t, err, name)
		for _, vs := range got { // a Reduce gives its init
			assert.Empty(t, vs, name)
		}
	}
}

// What was held back when the run failed, or was canceled, is not passed on by a terminal
// that is fail-fast.
func TestAFailedRunGivesNothingThatWasHeldBack(t *testing.T) {
	for name, hold := range holders {
		for _, s := range stages {
			testkit.Bubble(t, func(t *testing.T) {
				for _, err := range hold(pipeline.Map(pipeline.From(upTo(5)), failAt(4), s.opts...)).All(t.Context()) {
					assert.ErrorIs(t, err, errBoom, "%s, %s", name, s.name)
				}
				over := make(chan struct{})
				defer close(over)
				ctx, cancel := context.WithTimeoutCause(t.Context(), 5500*time.Millisecond, errStop)
				defer cancel()
				for _, err := range hold(pipeline.Map(trickles(over)["chan"](), same, s.opts...)).All(ctx) {
					assert.Equal(t, errStop, err, "%s, %s", name, s.name)
				}
			})
		}
	}
}

// A loop that is left at a failure gets nothing of what was held back then.
func TestALoopLeftAtAFailureGetsNothingMore(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, hold := range holders {
		n := 0
		for r := range hold(pipeline.Map(pipeline.From(upTo(5)), failAt(3))).Results(t.Context()) {
			assert.ErrorIs(t, r.Err, errBoom, name)
			n++
			break
		}
		assert.Equal(t, 1, n, name)
		first, err := hold(pipeline.Map(pipeline.From(upTo(5)), failAt(3), pipeline.OnError(pipeline.Skip))).Take(1).Collect(t.Context())
		require.NoError(t, err)
		assert.Equal(t, [][]int{{0, 1, 2, 4}}, first, name)
	}
}

// Inputs that keep coming, but do not fill a batch, do not put it off: here failed ones,
// with which the loop is busy.
func TestABatchIsPassedOnWhileOthersPass(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(naturals), func(_ context.Context, v int) (int, error) {
			if v > 0 {
				return 0, errBoom
			}
			return v, nil
		})
		start := time.Now()
		for r := range pipeline.Batch(f, 10, 4500*time.Millisecond).Results(t.Context()) {
			if r.Err == nil {
				assert.GreaterOrEqual(t, time.Since(start), 4500*time.Millisecond)
				break
			}
			time.Sleep(time.Second)
			require.Less(t, time.Since(start), 3*chunk*time.Second)
		}
	})
}

// The plan says what a step holds. A batch with a wait has a queue and a goroutine of its
// own, and the report says so too.
func TestThePlanOfWhatIsHeldBack(t *testing.T) {
	plain := pipeline.Batch(pipeline.From(upTo(9)), 7, 0).Plan().Stages
	assert.Equal(t, []int{plain[0].Group, 0, 7}, []int{plain[1].Group, plain[1].Buffer, plain[1].Holds})
	window := pipeline.Window(pipeline.From(upTo(9)), 7, 2).Plan().Stages[1]
	groups := pipeline.GroupBy(pipeline.From(upTo(9)), 7, same1, sumUp).Plan().Stages[1]
	assert.Equal(t, []int{7, 7}, []int{window.Holds, groups.Holds})

	f := pipeline.Batch(pipeline.From(upTo(9000)), 7, time.Hour)
	timed := f.Plan().Stages
	assert.NotEqual(t, timed[0].Group, timed[1].Group)
	assert.Equal(t, []int{256, 256 + 2*chunk + 7}, []int{timed[1].Buffer, timed[1].Holds})
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		for _, err := range f.All(t.Context(), pipeline.ReportTo(&r)) {
			require.NoError(t, err)
			synctest.Wait()
			s := r.Snapshot().Stages
			assert.Equal(t, []int{256, 0}, []int{s[1].Queue, s[2].Queue})
			break
		}
	})
}

// A trickle flushes a batch after maxWait, and a drain the rest before that.
func TestADrainEndsTheWaitOfABatch(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		over := make(chan struct{})
		defer close(over)
		drain, stop := context.WithTimeout(t.Context(), 7500*time.Millisecond)
		defer stop()
		start := time.Now()
		var got []arrival
		f := pipeline.Batch(trickles(over)["chan"](), 100, 4500*time.Millisecond)
		for vs, err := range f.All(t.Context(), pipeline.Drain(drain)) {
			require.NoError(t, err)
			got = append(got, arrival{time.Since(start), vs})
		}
		assert.Equal(t, []arrival{{5500 * time.Millisecond, []int{0, 1, 2, 3, 4}}, {7500 * time.Millisecond, []int{5, 6}}}, got)
	})
}

// A failure while a run drains is the run's, and so is a cancel.
func TestWhatEndsADrain(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		over := make(chan struct{})
		defer close(over)
		slow := func(ctx context.Context, v int) (int, error) {
			if v == 1 {
				return v, pipelinetest.Delay(time.Minute)(ctx)
			}
			return v, nil
		}
		for _, s := range stages {
			drain, stop := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errStop)
			f := pipeline.Map(trickles(over)["chan"](), slow, s.opts...)
			assert.Equal(t, errStop, f.Run(ctx, pipeline.Drain(drain)), s.name)
			stop()
			cancel()

			drain, stop = context.WithTimeout(t.Context(), 2500*time.Millisecond)
			late := func(ctx context.Context, v int) (int, error) {
				if _, err := slow(ctx, v); err != nil || v == 0 {
					return v, err
				}
				return v, errBoom
			}
			assert.ErrorIs(t, pipeline.Map(trickles(over)["func"](), late, s.opts...).Run(t.Context(), pipeline.Drain(drain)), errBoom)
			stop()
		}
	})
}

// The steps before a Buffer may be ahead of those behind it by what it says, and by what
// both sides have in hand, and not by one item more.
func TestABufferHoldsWhatItSays(t *testing.T) {
	for _, n := range []int{1, 10, 64, 500} {
		testkit.Bubble(t, func(t *testing.T) {
			var pulled atomic.Int64
			before := make(chan string, 1)
			source := func(yield func(int) bool) {
				before <- goroutine()
				counted(naturals, &pulled)(yield)
			}
			taken := 0
			for _, err := range pipeline.From(source).Buffer(n).All(t.Context()) {
				require.NoError(t, err)
				if taken++; taken < 5000 { // so that chunks grow
					continue
				}
				synctest.Wait()
				held := int(pulled.Load()) - taken
				assert.GreaterOrEqual(t, held, n)
				assert.LessOrEqual(t, held, n+2*min(chunk, n))
				break
			}
			assert.NotEqual(t, goroutine(), <-before)
		})
	}
}

// The two sides of a Buffer work at the same time, and a single item does not wait in it.
func TestABufferLetsBothSidesWork(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		f := pipeline.Map(pipeline.From(upTo(10)), sleepFor(time.Second)).Buffer(5)
		assert.NoError(t, pipeline.Map(f, sleepFor(time.Second)).Run(t.Context()))
		assert.Equal(t, 11*time.Second, time.Since(start))

		start = time.Now()
		for v, err := range pipeline.From(timed(0, time.Hour, 2*time.Hour)).Buffer(100).All(t.Context()) {
			require.NoError(t, err)
			assert.Equal(t, time.Duration(v)*time.Hour, time.Since(start))
		}
	})
}

// A Buffer keeps order, failures and results, wherever it is.
func TestABufferChangesNothing(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, n := range []int{1, 3, 1000} {
		for _, s := range stages {
			if !s.ordered {
				continue
			}
			f := pipeline.Map(pipeline.From(upTo(300)).Buffer(n), failAt(7), s.opts...).Buffer(n).Buffer(n)
			want := outcomes(pipeline.Map(pipeline.From(upTo(300)), failAt(7)).Results(t.Context()))
			assert.Equal(t, want, outcomes(f.Results(t.Context())), s.name)
			assert.ErrorIs(t, f.Run(t.Context()), errBoom)
			got, err := pipeline.Map(pipeline.From(naturals).Buffer(n), same, s.opts...).Buffer(n).Take(7).Collect(t.Context())
			require.NoError(t, err)
			assert.Equal(t, numbers(7), got)
			for range f.Results(t.Context()) {
				break
			}
		}
	}
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
		defer cancel()
		assert.Equal(t, errStop, pipeline.Map(pipeline.From(naturals).Buffer(9), stuckAt(50)).Buffer(9).Run(ctx))
	})
}

// A report shows the queue of a Buffer at the Buffer, and at nobody else.
func TestTheReportOfABuffer(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		f := pipeline.From(naturals).Buffer(10).Tap(func(int) {}).Named("behind")
		n := 0
		for _, err := range f.All(t.Context(), pipeline.ReportTo(&r)) {
			require.NoError(t, err)
			if n++; n == 50 {
				break
			}
			synctest.Wait()
			s := r.Snapshot()
			assert.Equal(t, []string{"from", "buffer", "tap"}, []string{s.Stages[0].Kind, s.Stages[1].Kind, s.Stages[2].Kind})
			assert.Equal(t, []int{10, 10}, []int{s.Stages[1].Buffer, s.Stages[1].Queue})
			assert.Equal(t, []int{0, 0, 0}, []int{s.Stages[2].Buffer, s.Stages[2].Queue, s.Stages[2].PeakQueue})
		}
		require.NoError(t, pipeline.From(upTo(40)).Buffer(10).Run(t.Context(), pipeline.ReportTo(&r)))
		s := r.Snapshot().Stages[1]
		assert.Equal(t, []uint64{40, 40}, []uint64{s.In, s.Out})
	})
}

// A throttled flow gives its values when the limit lets them, whatever is before it, and
// that time counts as Wait.
func TestThrottle(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(upTo(4)), sleepFor(time.Millisecond), s.opts...).
				Throttle(&ticks{every: time.Second})
			start := time.Now()
			n := 0
			for r := range f.Results(t.Context()) {
				n++
				require.NoError(t, r.Err)
				took := time.Since(start)
				assert.GreaterOrEqual(t, took, time.Duration(n)*time.Second, s.name)
				assert.LessOrEqual(t, took, time.Duration(n)*(time.Second+time.Millisecond), s.name)
				assert.Equal(t, time.Millisecond, r.Timing.Run, "no more than the call of the stage before")
			}
			assert.Equal(t, 4, n)
		})
	}
}

// What the limit refuses has failed and was not called; a policy may drop it.
func TestThrottleRefuses(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.From(upTo(3)).Throttle(&ticks{refuse: 2}, pipeline.Named("gate"))
		assert.EqualError(t, f.Run(t.Context()), "pipeline: stage gate: input 1: boom")
		f = pipeline.From(upTo(3)).Throttle(&ticks{refuse: 2})
		for r := range f.Results(t.Context()) {
			if r.Index == 1 {
				assert.EqualError(t, r.Err, "pipeline: stage throttle: input 1: boom")
				assert.Equal(t, []int{0, -1}, []int{r.Attempt, r.Worker})
			}
		}
		got, err := pipeline.From(upTo(3)).Throttle(&ticks{refuse: 2}, pipeline.OnError(pipeline.Skip)).Collect(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{0, 2}, got)
	})
}

// A limit that panics, or ends its goroutine, fails the value that waited.
func TestALimitThatDoesNotReturn(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, end := range map[string]pipelinetest.Fault{"panic: no": pipelinetest.Panic("no"), pipeline.ErrGoexit.Error(): pipelinetest.Goexit()} {
		n := 0
		f := pipeline.From(upTo(4)).Buffer(9).Throttle(waiterFunc(func(ctx context.Context) error {
			if n++; n == 3 {
				return end(ctx)
			}
			return nil
		})).Buffer(9)
		assert.Equal(t, []outcome[int]{{0, 0, ""}, {1, 1, ""}, {2, 0, "pipeline: stage throttle: input 2: " + name}, {3, 3, ""}},
			outcomes(f.Results(t.Context())))
	}
}

type waiterFunc func(context.Context) error

func (f waiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// A cancel ends the waiting of a throttled flow; a drain does not.
func TestTheEndOfAThrottledRun(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.From(naturals).Throttle(&ticks{every: time.Minute})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
		defer cancel()
		start := time.Now()
		assert.Equal(t, errStop, f.Run(ctx))
		assert.Equal(t, time.Second, time.Since(start))

		drain, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		start = time.Now()
		got, err := f.Collect(t.Context(), pipeline.Drain(drain))
		require.NoError(t, err)
		assert.Equal(t, []int{0}, got)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// Named gives any step a name, which the plan has and the flow that was named has not.
func TestNamedNamesEveryStep(t *testing.T) {
	f := pipeline.From(upTo(1))
	for kind, named := range map[string]func(name string) pipeline.Plan{
		"from":     func(name string) pipeline.Plan { return named(f, name) },
		"lines":    func(name string) pipeline.Plan { return named(pipeline.Lines(strings.NewReader("")), name) },
		"map":      func(name string) pipeline.Plan { return named(pipeline.Map(f, same), name) },
		"flatmap":  func(name string) pipeline.Plan { return named(pipeline.FlatMap(f, evens), name) },
		"filter":   func(name string) pipeline.Plan { return named(f.Filter(isEven), name) },
		"tap":      func(name string) pipeline.Plan { return named(f.Tap(func(int) {}), name) },
		"take":     func(name string) pipeline.Plan { return named(f.Take(1), name) },
		"throttle": func(name string) pipeline.Plan { return named(f.Throttle(&ticks{}), name) },
		"buffer":   func(name string) pipeline.Plan { return named(f.Buffer(1), name) },
		"batch":    func(name string) pipeline.Plan { return named(pipeline.Batch(f, 1, 0), name) },
		"window":   func(name string) pipeline.Plan { return named(pipeline.Window(f, 1, 1), name) },
		"scan":     func(name string) pipeline.Plan { return named(pipeline.Scan(f, 0, sumUp), name) },
		"reduce":   func(name string) pipeline.Plan { return named(pipeline.Reduce(f, 0, sumUp), name) },
		"groupby":  func(name string) pipeline.Plan { return named(pipeline.GroupBy(f, 1, same1, sumUp), name) },
		"distinct": func(name string) pipeline.Plan { return named(pipeline.Distinct(f, 1, same1), name) },
	} {
		stages := named("this one").Stages
		last := stages[len(stages)-2]
		assert.Equal(t, []string{kind, "this one"}, []string{last.Kind, last.Name})
		assert.Equal(t, fmt.Sprintf("pipeline: %s this one: Named given twice", kind), message(func() { named("twice") }))
		assert.Equal(t, "pipeline: "+kind+": Named: empty name", message(func() { named("") }))
	}
	// Steps behind a name have none of it, and the option counts as well.
	g := pipeline.Map(f, same, pipeline.Named("a"))
	assert.Equal(t, "pipeline: map a: Named given twice", message(func() { g.Named("b") }))
	twice := g.Tap(func(int) {}).Named("c")
	assert.Equal(t, []string{"from", "a", "c"}, namesOf(twice.Plan()))
	assert.Equal(t, []string{"from", "a"}, namesOf(g.Plan()))
}

// named is the plan of f under the name; for "twice" it names f twice.
func named[T any](f pipeline.Flow[T], name string) pipeline.Plan {
	if name == "twice" {
		_ = f.Named("this one").Named("again")
	}
	after := f.Named(name)
	if slices.Contains(namesOf(f.Plan()), name) {
		panic("the flow itself was named")
	}
	return after.Plan()
}

func namesOf(p pipeline.Plan) []string {
	var all []string
	for _, s := range p.Stages[:len(p.Stages)-1] {
		all = append(all, s.Name)
	}
	return all
}

// Bad arguments of sources, folds, windows and buffers panic when the flow is built.
func TestBadArgumentsOfSourcesAndFolds(t *testing.T) {
	f := pipeline.From(upTo(1))
	drain := pipeline.Drain(t.Context())
	scan := func(opts ...pipeline.StageOption) func() {
		return func() { pipeline.Scan(f, 0, sumUp, opts...) }
	}
	for _, tt := range []struct {
		want  string
		build func()
	}{
		{"pipeline: FromFunc: nil function", func() { pipeline.FromFunc[int](nil) }},
		{"pipeline: FromSeq2: nil sequence", func() { pipeline.FromSeq2[int](nil) }},
		{"pipeline: Lines: nil reader", func() { pipeline.Lines(nil) }},
		{"pipeline: Lines: limit 0: want at least 1", func() { pipeline.Lines(strings.NewReader(""), 0) }},
		{"pipeline: Lines: limit -1: want at least 1", func() { pipeline.Lines(strings.NewReader(""), -1) }},
		{"pipeline: Lines: more than one limit", func() { pipeline.Lines(strings.NewReader(""), 1, 2) }},
		{"pipeline: scan: nil function", func() { pipeline.Scan[int, int](f, 0, nil) }},
		{"pipeline: reduce: nil function", func() { pipeline.Reduce[int, int](f, 0, nil) }},
		{"pipeline: groupby: nil function", func() { pipeline.GroupBy[int, int, int](f, 1, nil, sumUp) }},
		{"pipeline: groupby: nil function", func() { pipeline.GroupBy[int, int, int](f, 1, same1, nil) }},
		{"pipeline: groupby g: at most 0 groups: want at least 1", func() { pipeline.GroupBy(f, 0, same1, sumUp, pipeline.Named("g")) }},
		{"pipeline: distinct: nil function", func() { pipeline.Distinct[int, int](f, 1, nil) }},
		{"pipeline: distinct: at most -1 keys: want at least 1", func() { pipeline.Distinct(f, -1, same1) }},
		{"pipeline: distinct: Timeout: the function has no context", func() { pipeline.Distinct(f, 1, same1, pipeline.Timeout(1)) }},
		{"pipeline: distinct: Workers: it needs its inputs one after the other", func() { pipeline.Distinct(f, 1, same1, pipeline.Workers(1)) }},
		{"pipeline: window: size 0: want at least 1", func() { pipeline.Window(f, 0, 1) }},
		{"pipeline: window: step 0: want at least 1", func() { pipeline.Window(f, 1, 0) }},
		{"pipeline: buffer: Buffer(0): want at least 1", func() { f.Buffer(0) }},
		{"pipeline: throttle: Limit: nil waiter", func() { f.Throttle(nil) }},
		{"pipeline: throttle: Limit: Throttle is a limit", func() { f.Throttle(&ticks{}, pipeline.Limit(&ticks{})) }},
		{"pipeline: throttle: Timeout: it calls no function", func() { f.Throttle(&ticks{}, pipeline.Timeout(1)) }},
		{"pipeline: throttle: Workers: it needs its inputs one after the other", func() { f.Throttle(&ticks{}, pipeline.Workers(1)) }},
		{"pipeline: scan: Workers: it needs its inputs one after the other", scan(pipeline.Workers(2))},
		{"pipeline: scan: Ordered: it needs its inputs one after the other", scan(pipeline.Ordered())},
		{"pipeline: scan: nil option", scan(nil)},
		{"pipeline: run: Drain: nil context", func() { _ = f.Run(t.Context(), pipeline.Drain(nil)) }},
		{"pipeline: all: Drain given twice", func() { f.All(t.Context(), []pipeline.RunOption{drain, drain}...) }},
	} {
		assert.Equal(t, tt.want, message(tt.build))
	}
	var zero pipeline.Flow[int]
	for where, use := range map[string]func(){
		"Scan":     func() { pipeline.Scan(zero, 0, sumUp) },
		"Reduce":   func() { pipeline.Reduce(zero, 0, sumUp) },
		"GroupBy":  func() { pipeline.GroupBy(zero, 1, same1, sumUp) },
		"Distinct": func() { pipeline.Distinct(zero, 1, same1) },
		"Window":   func() { pipeline.Window(zero, 1, 1) },
		"Buffer":   func() { zero.Buffer(1) },
		"Throttle": func() { zero.Throttle(&ticks{}) },
		"Named":    func() { zero.Named("a") },
	} {
		assert.Equal(t, "pipeline: "+where+" of a zero Flow: it has no source", message(use))
	}
}
