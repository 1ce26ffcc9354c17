package pipeline_test

import (
	"context"
	"errors"
	"fmt"
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

// More of what users of other libraries have reported: a run that slows down and does not
// say where, and what else a flow has to answer. See pains_test.go.

// chain is three stages with workers of their own, of which one is slow.
func chain(slow string, run time.Duration) pipeline.Flow[int] {
	f := pipeline.From(upTo(300))
	for _, name := range []string{"fetch", "parse", "store"} {
		d := time.Millisecond
		if name == slow {
			d = run
		}
		f = pipeline.Map(f, sleepFor(d), pipeline.Workers(2), pipeline.Buffer(4), pipeline.Named(name))
	}
	return f
}

// akka #17614: a stream of ten stages over five services loses half of its throughput, and
// there is hardly a way to find the culprit; a stage that counts elements does not tell, for
// under back-pressure all of them slow down alike. Here the report names it.
func TestAkka17614TheCulpritIsNamed(t *testing.T) {
	for _, slow := range []string{"fetch", "parse", "store"} {
		testkit.Bubble(t, func(t *testing.T) {
			var r pipeline.Report
			require.NoError(t, chain(slow, 10*time.Millisecond).Run(t.Context(), pipeline.ReportTo(&r)))
			s := r.Snapshot()
			i, ok := s.Bottleneck()
			require.True(t, ok)
			assert.Equal(t, slow, s.Stages[i].Name)
			assert.Contains(t, s.Verdict(), slow)
		})
	}
}

// akka #24216: to know the figures of every stage, each has to be wrapped by hand. Here one
// option of the run has them all, and the flow stays as it is.
func TestAkka24216EveryStageHasItsFigures(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		require.NoError(t, chain("parse", 10*time.Millisecond).Run(t.Context(), pipeline.ReportTo(&r)))
		named := map[string]pipeline.StageStats{}
		for _, s := range r.Snapshot().Stages {
			named[s.Name] = s
		}
		for name, run := range map[string]time.Duration{"fetch": time.Millisecond, "parse": 10 * time.Millisecond, "store": time.Millisecond} {
			s := named[name]
			assert.EqualValues(t, 300, s.In, name)
			assert.EqualValues(t, 300, s.Out, name)
			assert.InDelta(t, 1, s.Busy+s.Starved+s.Blocked+s.Limited, 1e-9, name)
			assert.InEpsilon(t, run, s.Run.P50, 0.02, name)
		}
		assert.Greater(t, named["fetch"].Blocked, 0.8, "it waits for parse")
		assert.Greater(t, named["parse"].Busy, 0.95)
		assert.Greater(t, named["store"].Starved, 0.8, "parse gives it too little")
	})
}

// akka #27509: a stream that has stalled says nothing, and the stages that wait for it look
// the same as the one that all wait for. Here the two can be told apart while it lasts.
func TestAkka27509AStallShowsWhileItLasts(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var r pipeline.Report
		done := make(chan error)
		f := pipeline.Map(pipeline.From(naturals), same, pipeline.Workers(2), pipeline.Named("before"))
		f = pipeline.Map(f, stuckAt(1000), pipeline.Workers(1), pipeline.Named("stalled"))
		f = pipeline.Map(f, same, pipeline.Workers(2), pipeline.Named("behind"))
		go func() { done <- f.Run(ctx, pipeline.ReportTo(&r)) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		s := r.Snapshot()
		assert.False(t, s.Done)
		i, ok := s.Bottleneck()
		require.True(t, ok)
		assert.Equal(t, "stalled", s.Stages[i].Name)
		for _, st := range s.Stages {
			switch st.Name {
			case "before":
				assert.Greater(t, st.Blocked, 0.99)
			case "stalled":
				assert.Greater(t, st.Busy, 0.99)
			case "behind":
				assert.Greater(t, st.Starved, 0.99)
			}
		}
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
}

// golang/go #72101: whoever wants to run all and report every error at the end has to
// collect them by hand. Here they are in the results, each under the number of its input.
func TestGo72101EveryErrorCanBeReportedAtTheEnd(t *testing.T) {
	for _, s := range stages {
		var errs []error
		f := pipeline.Map(pipeline.From(upTo(7)), func(_ context.Context, v int) (int, error) {
			if v%3 == 0 {
				return 0, fmt.Errorf("input %d: %w", v, errBoom)
			}
			return v, nil
		}, s.opts...)
		for r := range f.Results(t.Context()) {
			if r.Err != nil {
				errs = append(errs, r.Err)
			}
		}
		require.Len(t, errs, 3, s.name)
		for _, err := range errs {
			stage, ok := errors.AsType[*pipeline.StageError](err)
			require.True(t, ok, s.name)
			assert.Equal(t, fmt.Sprintf("input %d: %v", stage.Index, errBoom), stage.Err.Error(), s.name)
		}
	}
}

// rill #109: a sink returns with the first error while calls go on behind its back, so what
// they use must not be let go. Here it returns when the last one has, and they are told to
// hurry.
func TestRill109ASinkReturnsWhenAllHasSettled(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for name, sink := range map[string]func(f pipeline.Flow[int]) error{
			"Run":     func(f pipeline.Flow[int]) error { return f.Run(t.Context()) },
			"Collect": func(f pipeline.Flow[int]) error { _, err := f.Collect(t.Context()); return err },
			"ForEach": func(f pipeline.Flow[int]) error {
				return f.ForEach(t.Context(), func(context.Context, int) error { return nil })
			},
			"All": func(f pipeline.Flow[int]) (err error) {
				for _, e := range f.All(t.Context()) {
					err = e
				}
				return err
			},
		} {
			var g pipelinetest.Gauge
			begin := time.Now()
			err := sink(pipeline.Map(pipeline.From(naturals), pipelinetest.Gauged(&g, func(ctx context.Context, v int) (int, error) {
				if v == 3 {
					return 0, errBoom
				}
				<-ctx.Done() // told at once
				time.Sleep(time.Second)
				return 0, ctx.Err()
			}), pipeline.Workers(4)))
			assert.ErrorIs(t, err, errBoom, name)
			assert.Zero(t, g.Running(), name)
			assert.Equal(t, time.Second, time.Since(begin), name)
		}
	})
}

// Measured of other libraries: stages whose work is small take longer with workers than a
// plain loop does without. Here stages that say nothing of workers are that loop: no
// goroutine is started, and nothing is allocated for an item. What stages with workers take
// beside a loop stands in docs/speed.md, and benchmarks/compare checks it.
func TestFineGrainedStagesAreAPlainLoop(t *testing.T) {
	caller := goroutine()
	var elsewhere atomic.Int64
	step := func(_ context.Context, v int) (int, error) {
		if v%1000 == 0 && goroutine() != caller {
			elsewhere.Add(1)
		}
		return v + 1, nil
	}
	three := func(n int) func() {
		f := pipeline.Map(pipeline.Map(pipeline.Map(pipeline.From(upTo(n)), step), step), step)
		return func() { assert.NoError(t, f.Run(t.Context())) }
	}
	few, many := testing.AllocsPerRun(5, three(1)), testing.AllocsPerRun(5, three(900))
	assert.InDelta(t, few, many, 2, "allocations of a run of 1 and of 900 items")
	three(5000)()
	assert.Zero(t, elsewhere.Load(), "calls on other goroutines")
}
