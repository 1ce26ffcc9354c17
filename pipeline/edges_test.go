package pipeline_test

import (
	"context"
	"iter"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// The first items of a run were held back until four of them had come: a queue
// whose workers had not been started yet told nobody that it was hungry.
func TestTheFirstItemOfARunIsPassedOnAtOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(timed(0, time.Hour)), same, pipeline.Workers(1))
		start := time.Now()
		for v, err := range f.All(t.Context()) {
			require.NoError(t, err)
			assert.Equal(t, time.Duration(v)*time.Hour, time.Since(start))
		}
	})
}

// A run whose last calls heeded their context and returned its error gave nil, and
// Collect the values of the others: a canceled run that looked like a whole one.
func TestACallThatReturnsItsContextsErrorIsNoSuccess(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for name, err := range failures(ctx, pipeline.Map(pipeline.FromSlice([]int{1}), stuck, s.opts...)) {
				assert.Equal(t, context.DeadlineExceeded, err, "%s, %s", s.name, name)
			}
		})
	}
}

// The same for a source that panics once the context has ended.
func TestASourceThatPanicsAfterACancelIsNoSuccess(t *testing.T) {
	for _, s := range stages {
		ctx, cancel := context.WithCancelCause(t.Context())
		err := pipeline.Map(pipeline.From(func(func(int) bool) {
			cancel(errStop)
			panic("dry")
		}), same, s.opts...).Run(ctx)
		assert.Equal(t, errStop, err, s.name)
	}
}

// leaveAt calls Goexit for one value.
func leaveAt(bad int) func(context.Context, int) (int, error) {
	return func(_ context.Context, v int) (int, error) {
		if v == bad {
			runtime.Goexit()
		}
		return v, nil
	}
}

// hop puts steps between two pools, where they run on a goroutine of their own.
func hop(n int, steps func(pipeline.Flow[int]) pipeline.Flow[int]) pipeline.Flow[int] {
	f := steps(pipeline.Map(pipeline.From(upTo(n)), same, pipeline.Workers(1)))
	return pipeline.Map(f, same, pipeline.Workers(1))
}

// want is the outcomes of the numbers below n, of which one called Goexit in stage.
func wantExit(n, bad int, stage string) []outcome[int] {
	var all []outcome[int]
	for i := range n {
		o := outcome[int]{Index: i, Value: i}
		if i == bad {
			o.Value, o.Err = 0, (&pipeline.StageError{Stage: stage, Index: i, Err: pipeline.ErrGoexit}).Error()
		}
		all = append(all, o)
	}
	return all
}

// After a Goexit in a Map or Filter between two pools the next item that went well
// ended the run: everything behind it was lost without a word.
func TestGoexitBetweenPoolsLosesNothing(t *testing.T) {
	pipelinetest.NoLeak(t)
	for kind, step := range map[string]func(pipeline.Flow[int]) pipeline.Flow[int]{
		"map":     func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, leaveAt(3)) },
		"flatmap": func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.FlatMap(f, leaveFlatAt(3)) },
		"filter": func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return f.Filter(func(v int) bool {
				_, _ = leaveAt(3)(t.Context(), v)
				return true
			})
		},
	} {
		assert.Equal(t, wantExit(10, 3, kind), outcomes(hop(10, step).Results(t.Context())), kind)
	}
}

func leaveFlatAt(bad int) func(context.Context, int) (iter.Seq[int], error) {
	return func(ctx context.Context, v int) (iter.Seq[int], error) {
		_, err := leaveAt(bad)(ctx, v)
		return slices.Values([]int{v}), err
	}
}

// The last, short slice of a Batch on a goroutine that Goexit had ended was lost:
// the goroutine in its place went on with the items, but not with the end.
func TestGoexitBetweenPoolsKeepsTheLastBatch(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, wait := range waits {
		f := hop(10, func(f pipeline.Flow[int]) pipeline.Flow[int] {
			f = pipeline.FlatMap(f, leaveFlatAt(3))
			return pipeline.FlatMap(pipeline.Batch(f, 4, wait), unbatch, pipeline.Workers(1))
		})
		got, exits := 0, 0
		for r := range f.Results(t.Context()) {
			if r.Err != nil {
				exits++
				continue
			}
			got++
		}
		assert.Equal(t, 9, got, "wait %v", wait)
		assert.Equal(t, 1, exits)
	}
}

// Behind a Goexit between two pools a Take in the same place had let go of its
// steps: what came then was canceled with an inner error, "run is over".
func TestGoexitBetweenPoolsDoesNotEndATake(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := hop(10, func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.FlatMap(f, leaveFlatAt(3)).Take(8)
	})
	assert.Equal(t, wantExit(8, 3, "flatmap"), outcomes(f.Results(t.Context())))
}

// What a Batch had gathered was lost when a Goexit ended the source that it is fused
// with: these values were in front of it.
func TestGoexitWithTheSourceKeepsWhatABatchHas(t *testing.T) {
	pipelinetest.NoLeak(t)
	stage := pipeline.Map(pipeline.From(upTo(10)), leaveAt(6))
	source := pipeline.From(func(yield func(int) bool) {
		for i := range 6 {
			if !yield(i) {
				return
			}
		}
		runtime.Goexit()
	})
	for name, f := range map[string]pipeline.Flow[int]{"stage": stage, "source": source} {
		for _, wait := range waits {
			batches := pipeline.Map(pipeline.Batch(f, 4, wait), same, pipeline.Workers(1))
			var got []int
			for r := range batches.Results(t.Context()) {
				got = append(got, r.Value...)
			}
			assert.Equal(t, numbers(6), got, "%s, wait %v", name, wait)
		}
	}
}

// A panic of a deferred function during a Goexit can be recovered, but the goroutine
// ends all the same.
func TestAPanicWithinAGoexitIsNoSurprise(t *testing.T) {
	pipelinetest.NoLeak(t)
	both := func(_ context.Context, v int) (int, error) {
		if v == 3 {
			defer panic("deferred")
			runtime.Goexit()
		}
		return v, nil
	}
	for name, f := range map[string]pipeline.Flow[int]{
		"worker":  pipeline.Map(pipeline.From(upTo(10)), both, pipeline.Workers(1)),
		"between": hop(10, func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, both) }),
	} {
		got := outcomes(f.Results(t.Context()))
		require.Len(t, got, 10, name)
		assert.Equal(t, outcome[int]{3, 0, "pipeline: stage map: input 3: panic: deferred"}, got[3], name)
	}
}

// A Goexit behind a fused FlatMap was told twice, once for each of the two stages.
func TestGoexitBehindAFlatMapIsToldOnce(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.FlatMap(pipeline.From(upTo(1)), func(context.Context, int) (iter.Seq[int], error) {
		return upTo(3), nil
	})
	f = pipeline.Map(pipeline.Map(f, leaveAt(1)), same, pipeline.Workers(1))
	assert.Equal(t, []outcome[int]{
		{0, 0, ""},
		{0, 0, "pipeline: stage map: input 0: function called runtime.Goexit"},
	}, outcomes(f.Results(t.Context())))
}

// "If OnError drops the input, the source [...] then fails with ErrGoexit": else the rest of the source
// would be missing, and the run a success.
func TestGoexitOfAnInputThatIsDroppedIsNoSuccess(t *testing.T) {
	pipelinetest.NoLeak(t)
	for name, policy := range map[string]pipeline.ErrorPolicy{
		"skip": pipeline.Skip, "dead letter": pipeline.DeadLetter(func(pipeline.Letter) {}),
	} {
		f := pipeline.Map(pipeline.Map(pipeline.From(upTo(10)), leaveAt(5), pipeline.OnError(policy)), same, pipeline.Workers(1))
		got, err := f.Collect(t.Context())
		var at *pipeline.StageError
		require.ErrorAs(t, err, &at, name)
		assert.Equal(t, pipeline.StageError{Stage: "from", Index: 6, Attempts: 1, Err: pipeline.ErrGoexit}, *at, name)
		assert.Nil(t, got, name)
		all := outcomes(f.Results(t.Context()))
		require.Len(t, all, 6, name)
		assert.Equal(t, outcome[int]{6, 0, "pipeline: stage from: input 6: function called runtime.Goexit"}, all[5], name)
	}
}

// "the source, or the input of the FlatMap, then fails with ErrGoexit": behind a queue there
// was no such failure, and the rest of the sequence was missing from a success.
func TestGoexitOfAnInputThatIsDroppedFailsTheFlatMap(t *testing.T) {
	pipelinetest.NoLeak(t)
	spread := func(context.Context, int) (iter.Seq[int], error) { return upTo(10), nil }
	leaving := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(pipeline.Map(f, leaveAt(5), pipeline.OnError(pipeline.Skip)), same, pipeline.Workers(1))
	}
	for name, f := range map[string]pipeline.Flow[int]{
		"source": pipeline.From(upTo(1)),
		"buffer": pipeline.From(upTo(1)).Buffer(1),
		"pool":   pipeline.Map(pipeline.From(upTo(1)), same, pipeline.Workers(1)),
		"merge":  pipeline.Merge(pipeline.From(upTo(1))),
		"branch": pipeline.Broadcast(pipeline.From(upTo(1)), identity),
	} {
		got, err := leaving(pipeline.FlatMap(f, spread)).Collect(t.Context())
		want := &pipeline.StageError{Stage: "flatmap", Index: 0, Input: 0, Attempts: 1, Err: pipeline.ErrGoexit}
		assert.Equal(t, want, err, name)
		assert.Nil(t, got, name)

		var box letterBox
		got, err = leaving(pipeline.FlatMap(f, spread, pipeline.OnError(pipeline.DeadLetter(box.put)))).Collect(t.Context())
		letters := box.take()
		require.Len(t, letters, 1, name)
		assert.Equal(t, pipeline.ErrGoexit, letters[0].Err, name)
		if name == "source" { // the rest of it is lost as well
			assert.EqualError(t, err, "pipeline: stage from: input 1: function called runtime.Goexit")
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, numbers(5), got, name)
	}
	// With one FlatMap in another, what is lost of the outer one is told, too.
	pair := func(context.Context, int) (iter.Seq[int], error) { return upTo(2), nil }
	inner := pipeline.FlatMap(pipeline.FlatMap(pipeline.From(upTo(1)).Buffer(1), pair, pipeline.Named("outer")), spread, pipeline.OnError(pipeline.Skip))
	assert.EqualError(t, leaving(inner).Run(t.Context()), "pipeline: stage outer: input 0: function called runtime.Goexit")
}

// dirty is a sequence that panics when it is cut; so does one that forgets to look
// at what yield says, for then the next yield panics.
func dirty(yield func(int) bool) {
	for i := 0; ; i++ {
		if !yield(i) {
			panic("cleanup")
		}
	}
}

// A sequence that panics when the loop is left: Results called yield again, which
// crashes the caller's loop.
func TestResultsDoesNotYieldAfterALoopIsLeft(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.From(dirty)
	g := pipeline.FlatMap(pipeline.From(upTo(1)), func(context.Context, int) (iter.Seq[int], error) { return dirty, nil })
	for name, f := range map[string]pipeline.Flow[int]{"from": f, "flatmap": g} {
		assert.NotPanics(t, func() {
			for range f.Results(t.Context()) {
				break
			}
		}, name)
	}
}

// The same behind a Take: one result more than n, and a failure that should be
// forgotten, as it is if there is a pool in between.
func TestTakeForgetsASequenceThatPanicsWhenItIsCut(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.From(dirty)
	g := pipeline.FlatMap(pipeline.From(upTo(1)), func(context.Context, int) (iter.Seq[int], error) { return dirty, nil })
	for name, f := range map[string]pipeline.Flow[int]{
		"from":             f.Take(2),
		"flatmap":          g.Take(2),
		"pool in between":  pipeline.Map(f, same, pipeline.Workers(1)).Take(2),
		"pool behind from": pipeline.Map(f.Take(2), same, pipeline.Workers(1)),
		"pool behind flat": pipeline.Map(g.Take(2), same, pipeline.Workers(1)),
	} {
		got, err := f.Collect(t.Context())
		assert.NoError(t, err, name)
		assert.Equal(t, []int{0, 1}, got, name)
		assert.Len(t, outcomes(f.Results(t.Context())), 2, name)
	}
}

// "A failure of the source itself comes last", but it overtook the calls in flight.
func TestAFailureOfTheSourceComesLast(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(func(yield func(int) bool) {
			yield(0)
			panic("dry")
		}), sleepFor(time.Second), pipeline.Workers(2))
		assert.Equal(t, []outcome[int]{{0, 0, ""}, {1, 0, "pipeline: stage from: input 1: panic: dry"}},
			outcomes(f.Results(t.Context())))
	})
}

// "In Results a failed input counts as one of the n", and there is no more than n;
// but the failure of a source goes past a Take that has had enough.
func TestAFailureOfTheSourceIsNoMoreThanATakeTakes(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(func(yield func(int) bool) {
			_ = yield(0) && yield(1)
			panic("dry")
		}), sleepFor(time.Second), pipeline.Workers(2)).Take(2)
		assert.Len(t, outcomes(f.Results(t.Context())), 2)
	})
}

// A value that the source gave when the context had ended has no result; and from
// a channel one more was received, every other time.
func TestWhatHasLeftTheSourceHasAResult(t *testing.T) {
	for range 50 {
		c := make(chan int, 10)
		for i := range 10 {
			c <- i
		}
		ctx, cancel := context.WithCancel(t.Context())
		results := 0
		for range pipeline.FromChan(c).Results(ctx) {
			results++
			cancel()
		}
		cancel()
		require.Len(t, c, 10-results, "received, but no result")
	}
}

// What a function returns beside its error is in the Result, as package result
// says, if the stage has workers, and is not, if it has none.
func TestAValueBesideAnErrorIsTheSameInAllStages(t *testing.T) {
	for _, s := range stages {
		f := pipeline.Map(pipeline.FromSlice([]int{9}), func(_ context.Context, v int) (int, error) {
			return v, errBoom
		}, s.opts...)
		for r := range f.Results(t.Context()) {
			assert.Equal(t, 9, r.Value, s.name)
		}
	}
}

// A time that a fused FlatMap had spent without an output was the Run of the next
// item, if that one was in the same chunk.
func TestTimeWithoutAnOutputIsNotTheNextItems(t *testing.T) {
	for name, expand := range map[string]func(v int) (iter.Seq[int], error){
		"nil": func(v int) (iter.Seq[int], error) {
			if v%2 == 0 {
				time.Sleep(sec)
				return nil, nil
			}
			return slices.Values([]int{v}), nil
		},
		"tail": func(v int) (iter.Seq[int], error) {
			return func(yield func(int) bool) {
				if yield(v) && v >= 0 && v%2 == 0 {
					time.Sleep(sec)
				}
			}, nil
		},
	} {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(warmed(10_000, 20)), same, pipeline.Workers(1))
			f = pipeline.FlatMap(f, func(_ context.Context, v int) (iter.Seq[int], error) {
				if v < 0 {
					return slices.Values([]int{v}), nil
				}
				return expand(v)
			})
			for r := range f.Results(t.Context()) {
				require.Zero(t, r.Timing.Run, "%s: %d", name, r.Value)
			}
		})
	}
}

// On a goroutine between a batch with a maxWait and a pool the time in which no
// batch came was the Run of the next one.
func TestWaitingForABatchIsNotRun(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Batch(pipeline.From(timed(0, 0, time.Hour, time.Hour, 2*time.Hour)), 2, time.Second)
		f = pipeline.Map(f, func(_ context.Context, vs []int) ([]int, error) {
			time.Sleep(time.Second)
			return vs, nil
		})
		f = pipeline.Map(f, same, pipeline.Workers(1))
		for r := range f.Results(t.Context()) {
			assert.Equal(t, time.Second, r.Timing.Run, "%v", r.Value)
		}
	})
}

// A Filter with workers makes a closure for every value that it keeps.
func TestAFilterWithWorkersDoesNotAllocatePerItem(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	run := func(n int) func() {
		f := pipeline.From(upTo(n)).Filter(isEven, pipeline.Workers(2))
		return func() { _ = f.Run(t.Context()) }
	}
	perItem := (testing.AllocsPerRun(3, run(60_000)) - testing.AllocsPerRun(3, run(20_000))) / 40_000
	assert.Less(t, perItem, 0.01)
}

// A huge number is how one says "no limit". Buffer(math.MaxInt) crashed the program
// on a goroutine of the engine (a sum that overflows), Batch with such a size and a
// maxWait too; Ordered(math.MaxInt) never came back; and Ordered() with a huge
// number of workers was silently unordered or out of memory.
func TestHugeSizes(t *testing.T) {
	const which = "PIPELINE_TEST_HUGE"
	source := pipeline.From(upTo(100_000))
	flows := map[string]func() error{
		"Buffer": func() error {
			return pipeline.Map(source, same, pipeline.Workers(2), pipeline.Buffer(math.MaxInt)).Run(t.Context())
		},
		"Batch": func() error { return pipeline.Batch(source, math.MaxInt, time.Hour).Run(t.Context()) },
		"Ordered": func() error {
			return pipeline.Map(source, same, pipeline.Workers(2), pipeline.Ordered(math.MaxInt)).Run(t.Context())
		},
		"Workers": func() error {
			defer func() { _ = recover() }()
			f := pipeline.Map(source.Take(100), func(_ context.Context, v int) (int, error) {
				time.Sleep(time.Duration(100-v) * 10 * time.Microsecond)
				return v, nil
			}, pipeline.Workers(math.MaxInt), pipeline.Ordered())
			got, err := f.Collect(t.Context())
			assert.Equal(t, numbers(100), got)
			return err
		},
	}
	if run, ok := flows[os.Getenv(which)]; ok {
		require.NoError(t, run())
		return
	}
	for name := range flows {
		// In a process of its own, for a crash cannot be caught nor a loop be stopped.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHugeSizes$")
		cmd.Env = append(os.Environ(), which+"="+name, "GORACE=atexit_sleep_ms=0")
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s: %.300s", name, out)
		cancel()
	}
}
