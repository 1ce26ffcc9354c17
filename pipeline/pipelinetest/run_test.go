package pipelinetest_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

func TestRunGivesWhatComesOut(t *testing.T) {
	for name, opts := range ways {
		inBothWorlds(t, func(t *testing.T) {
			double := func(_ context.Context, v int) (int, error) { return 2 * v, nil }
			out := pipelinetest.Run(t, mapped(double, opts...), numbers(50))
			slices.Sort(out.Values)
			require.Len(t, out.Values, 50, name)
			for i, v := range out.Values {
				require.Equal(t, 2*i, v, name)
			}
			assert.Nil(t, out.Results)
			assert.NoError(t, out.Err)
			assert.Nil(t, out.Panic)
			assert.False(t, out.Goexit)
			assert.Equal(t, 50, out.Given)
			assert.Positive(t, out.PeakInFlight)
		})
	}
}

func TestRunEndsWithTheFirstFailure(t *testing.T) {
	for name, opts := range ways {
		fail := pipelinetest.Inject(same).On(is(7), pipelinetest.Error(errBoom)).Call
		out := pipelinetest.Run(t, mapped(fail, opts...), numbers(1000))
		var err *pipeline.StageError
		require.ErrorAs(t, out.Err, &err, name)
		assert.Equal(t, &pipeline.StageError{Stage: "map", Index: 7, Input: 7, Attempts: 1, Err: errBoom}, err, name)
		assert.NotContains(t, out.Values, 7, name)
		assert.Less(t, len(out.Values), 1000, name)
	}
}

func TestRunWithResultsGoesOn(t *testing.T) {
	for name, opts := range ways {
		faulty := pipelinetest.Inject(same).
			On(is(7), pipelinetest.Error(errBoom)).
			On(is(8), pipelinetest.Panic("eight")).Call
		out := pipelinetest.Run(t, mapped(faulty, opts...), numbers(100), pipelinetest.Results())
		require.NoError(t, out.Err, name)
		assert.Len(t, out.Results, 100, name)
		assert.Len(t, out.Values, 98, name)
		statuses := map[int]result.Status{}
		for _, r := range out.Results {
			if r.Err != nil {
				statuses[r.Index] = r.Status()
			}
		}
		assert.Equal(t, map[int]result.Status{7: result.Failed, 8: result.Panicked}, statuses, name)
	}
}

func TestRunWhoseSourcePanics(t *testing.T) {
	for name, opts := range ways {
		out := pipelinetest.Run(t, mapped(same, opts...), numbers(10), pipelinetest.SourcePanicsAfter(4, "dry"))
		require.EqualError(t, out.Err, "pipeline: stage from: input 4: panic: dry", name)
		assert.Equal(t, 4, out.Given, name)

		out = pipelinetest.Run(t, mapped(same, opts...), numbers(10),
			pipelinetest.SourcePanicsAfter(4, "dry"), pipelinetest.Results())
		require.Len(t, out.Results, 5, name)
		slices.Sort(out.Values)
		assert.Equal(t, numbers(4), out.Values, name)
	}
	out := pipelinetest.Run(t, mapped(same), numbers(4), pipelinetest.SourcePanicsAfter(4, "at the end"))
	require.ErrorContains(t, out.Err, "at the end")
	out = pipelinetest.Run(t, mapped(same), numbers(4), pipelinetest.SourcePanicsAfter(5, "too late"))
	require.NoError(t, out.Err)
}

// A source that blocks keeps the run going until something else ends it.
func TestRunWhoseSourceBlocks(t *testing.T) {
	for name, opts := range ways {
		testkit.Bubble(t, func(t *testing.T) {
			blocks := pipelinetest.SourceBlocksAfter(4)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			out := pipelinetest.Run(t, mapped(same, opts...), numbers(10), blocks, pipelinetest.Context(ctx))
			assert.Equal(t, time.Hour, time.Since(start), name)
			assert.Equal(t, context.DeadlineExceeded, out.Err, name)
			slices.Sort(out.Values)
			assert.Equal(t, numbers(4), out.Values, name)
			assert.Equal(t, 4, out.Given, name)

			fail := pipelinetest.Inject(same).
				OnCall(3, pipelinetest.Delay(time.Minute), pipelinetest.Error(errBoom)).Call
			out = pipelinetest.Run(t, mapped(fail, opts...), numbers(10), blocks)
			require.ErrorIs(t, out.Err, errBoom, name)

			out = pipelinetest.Run(t, mapped(same, opts...), numbers(10), blocks, pipelinetest.LeaveAfter(4))
			assert.Len(t, out.Values, 4, name)

			out = pipelinetest.Run(t, mapped(same, opts...), numbers(10), blocks, pipelinetest.CancelAfter(4, errStop))
			assert.Equal(t, errStop, out.Err, name)
		})
	}
}

// What a channel could not get rid of has not been given.
func TestGivenOfAChannelIsWhatWasTaken(t *testing.T) {
	out := pipelinetest.Run(t, mapped(same), numbers(10), pipelinetest.SourceBlocksAfter(10), pipelinetest.LeaveAfter(3))
	assert.Equal(t, numbers(3), out.Values)
	assert.Equal(t, 3, out.Given)
}

func TestRunThatIsCanceled(t *testing.T) {
	out := pipelinetest.Run(t, mapped(same), numbers(10), pipelinetest.CancelAfter(4, errStop))
	assert.Equal(t, errStop, out.Err)
	assert.Equal(t, numbers(4), out.Values)

	out = pipelinetest.Run(t, mapped(same), numbers(10), pipelinetest.CancelAfter(0, nil))
	assert.Equal(t, context.Canceled, out.Err)
	assert.Empty(t, out.Values)

	out = pipelinetest.Run(t, mapped(same), numbers(10), pipelinetest.CancelAfter(4, errStop), pipelinetest.Results())
	require.Len(t, out.Results, 5, "what has left the source has its result")
	assert.Equal(t, errStop, out.Results[4].Err)
	assert.Equal(t, result.Canceled, out.Results[4].Status())

	out = pipelinetest.Run(t, mapped(same), numbers(10), pipelinetest.CancelAfter(11, errStop))
	require.NoError(t, out.Err)
}

func TestRunWhoseSinkLeaves(t *testing.T) {
	for name, opts := range ways {
		for _, with := range [][]pipelinetest.Option{nil, {pipelinetest.Results()}} {
			out := pipelinetest.Run(t, mapped(same, opts...), numbers(1000), append(with, pipelinetest.LeaveAfter(3))...)
			require.NoError(t, out.Err, name)
			assert.Len(t, out.Values, 3, name)
			if len(opts) == 0 {
				assert.Equal(t, 3, out.Given)
			}
		}
	}
}

func TestRunWhoseSinkPanics(t *testing.T) {
	for name, opts := range ways {
		out := pipelinetest.Run(t, mapped(same, opts...), numbers(1000), pipelinetest.SinkPanicsAfter(3, errBoom))
		assert.Equal(t, errBoom, out.Panic, name)
		assert.Len(t, out.Values, 3, name)
		assert.False(t, out.Goexit, name)
	}
}

// A Goexit in a stage that is fused with the terminal ends Run's goroutine and not the
// test's; with workers it is an error.
func TestRunThatIsEndedByGoexit(t *testing.T) {
	exit := pipelinetest.Inject(same).On(is(3), pipelinetest.Goexit()).Call
	out := pipelinetest.Run(t, mapped(exit), numbers(10))
	assert.True(t, out.Goexit)
	assert.Nil(t, out.Panic)
	assert.Equal(t, numbers(3), out.Values)

	out = pipelinetest.Run(t, mapped(exit, pipeline.Workers(2)), numbers(10))
	assert.False(t, out.Goexit)
	require.ErrorIs(t, out.Err, pipeline.ErrGoexit)
}

// A sink that is slow makes the source wait: no more is under way than the buffers
// hold.
func TestASlowSinkBoundsWhatIsInFlight(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		out := pipelinetest.Run(t, mapped(same), numbers(20), pipelinetest.SlowSink(time.Second))
		assert.Equal(t, 20*time.Second, time.Since(start))
		assert.Equal(t, 1, out.PeakInFlight, "a plain loop")

		small := mapped(same, pipeline.Workers(1), pipeline.Buffer(1))
		out = pipelinetest.Run(t, small, numbers(100), pipelinetest.SlowSink(time.Second))
		assert.Greater(t, out.PeakInFlight, 1)
		assert.Less(t, out.PeakInFlight, 10)
		large := mapped(same, pipeline.Workers(1), pipeline.Buffer(100))
		out = pipelinetest.Run(t, large, numbers(100), pipelinetest.SlowSink(time.Second))
		assert.Greater(t, out.PeakInFlight, 50)
	})
}

// A stage that pulls from its flow and does not stop leaves that flow's goroutines.
func TestRunSeesAPullWithoutItsStop(t *testing.T) {
	inBothWorlds(t, func(t *testing.T) {
		var stop func()
		first := func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.From(func(yield func(int) bool) {
				var next func() (int, error, bool)
				next, stop = iter.Pull2(f.All(t.Context()))
				v, _, _ := next()
				yield(v)
			})
		}
		failures := reported(first)
		require.Len(t, failures, 1)
		assert.Contains(t, failures[0], "Run: goroutines of the run are left")
		assert.Contains(t, failures[0], "iter.Pull2[...]")
		assert.Contains(t, failures[0], "millstream/pipeline.consume[...]")
		stop()
		assert.Empty(t, reported(mapped(same, pipeline.Workers(2))), "nothing of it is said of the next run")
	})
}

// A run in the background that a stage starts is stuck in a call.
func TestRunSeesACallThatGoesOn(t *testing.T) {
	for name, opts := range ways {
		inBothWorlds(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			started, over := make(chan struct{}), make(chan error)
			var calls pipelinetest.Gauge
			hang := pipelinetest.Inject(same).
				OnCall(1, pipelinetest.Hook(func() { close(started) })).Always(pipelinetest.Hang()).Call
			inner := mapped(pipelinetest.Gauged(&calls, hang), opts...)(pipeline.FromSlice(numbers(1)))
			failures := reported(func(f pipeline.Flow[int]) pipeline.Flow[int] {
				return f.Tap(func(v int) {
					if v == 0 {
						go func() { over <- inner.Run(ctx) }()
						<-started
					}
				})
			}, pipelinetest.Watch(new(pipelinetest.Gauge), &calls))
			require.Len(t, failures, 2, name)
			assert.Contains(t, failures[0], "pipelinetest/fault.go:", name)
			assert.Equal(t, "pipelinetest: Run: 1 of 1 calls are still under way (gauge 1 of Watch)", failures[1], name)
			cancel()
			require.Error(t, <-over)
		})
	}
}

// A pool that a stage uses is to outlive the run, with workers that the run has
// started.
func TestRunLeavesPoolsAlone(t *testing.T) {
	p := pool.New(same, pool.Workers(4))
	defer p.Close()
	out := pipelinetest.Run(t, mapped(func(ctx context.Context, v int) (int, error) {
		j, err := p.Submit(ctx, v)
		if err != nil {
			return 0, err
		}
		return j.Wait(ctx)
	}, pipeline.Workers(4)), numbers(100))
	require.NoError(t, out.Err)
	assert.Len(t, out.Values, 100)
}

func TestBadPlansPanicOnTheTestsGoroutine(t *testing.T) {
	assert.PanicsWithValue(t, "pipelinetest: Run: nil stage", func() {
		pipelinetest.Run[int, int](t, nil, nil)
	})
	assert.PanicsWithValue(t, "pipeline: All of a zero Flow: it has no source", func() {
		pipelinetest.Run(t, func(pipeline.Flow[int]) (none pipeline.Flow[int]) { return none }, nil,
			pipelinetest.SourceBlocksAfter(1))
	})
}

func TestOptionsOfRun(t *testing.T) {
	run := func(opts ...pipelinetest.Option) func() {
		return func() { pipelinetest.Run(t, mapped(same), numbers(3), opts...) }
	}
	for text, fn := range map[string]func(){
		"Context: nil context":                   run(pipelinetest.Context(nil)),
		"Watch: nil gauge":                       run(pipelinetest.Watch(nil)),
		"Run: nil option":                        run(nil),
		"SourcePanicsAfter(-1): want at least 0": run(pipelinetest.SourcePanicsAfter(-1, 0)),
		"SourceBlocksAfter(-1): want at least 0": run(pipelinetest.SourceBlocksAfter(-1)),
		"CancelAfter(-1): want at least 0":       run(pipelinetest.CancelAfter(-1, nil)),
		"LeaveAfter(0): want at least 1":         run(pipelinetest.LeaveAfter(0)),
		"SinkPanicsAfter(0): want at least 1":    run(pipelinetest.SinkPanicsAfter(0, 0)),
		"SlowSink: negative duration":            run(pipelinetest.SlowSink(-1)),
		"SourcePanicsAfter and SourceBlocksAfter: the source can do only one of them": run(
			pipelinetest.SourcePanicsAfter(1, 0), pipelinetest.SourceBlocksAfter(1)),
	} {
		assert.PanicsWithValue(t, "pipelinetest: "+text, fn)
	}
	once := map[string]pipelinetest.Option{
		"Context":           pipelinetest.Context(t.Context()),
		"Results":           pipelinetest.Results(),
		"Watch":             pipelinetest.Watch(),
		"SourcePanicsAfter": pipelinetest.SourcePanicsAfter(1, 0),
		"SourceBlocksAfter": pipelinetest.SourceBlocksAfter(1),
		"CancelAfter":       pipelinetest.CancelAfter(1, nil),
		"LeaveAfter":        pipelinetest.LeaveAfter(1),
		"SinkPanicsAfter":   pipelinetest.SinkPanicsAfter(1, 0),
		"SlowSink":          pipelinetest.SlowSink(1),
	}
	for name, opt := range once {
		assert.PanicsWithValue(t, "pipelinetest: "+name+" given twice", run(slices.Repeat([]pipelinetest.Option{opt}, 2)...))
	}
}
