package pipeline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// autoStage returns how many workers a stage of Auto has after a while, and what it says.
func autoStage(t *testing.T, source pipeline.Flow[int], fn func(context.Context, int) (int, error), after time.Duration, opts ...pipeline.StageOption) (st pipeline.StageStats, s pipeline.Snapshot) {
	t.Helper()
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- pipeline.Map(source, fn, opts...).Run(ctx, pipeline.ReportTo(&r)) }()
		time.Sleep(after)
		synctest.Wait()
		s = r.Snapshot()
		soundReport(t, s)
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	return s.Stages[1], s
}

// Calls that wait get as many workers as there may be.
func TestAutoGivesWaitingCallsAllWorkers(t *testing.T) {
	for _, more := range [][]pipeline.StageOption{nil, {pipeline.Ordered()}} {
		opts := append([]pipeline.StageOption{pipeline.Workers(pipeline.Auto(1, 32))}, more...)
		st, s := autoStage(t, pipeline.From(naturals), sleepFor(sec/10), time.Minute, opts...)
		assert.Equal(t, [2]int{32, 32}, [2]int{st.Workers, st.MaxWorkers})
		assert.NotEmpty(t, st.Choice)
		assert.Contains(t, s.String(), "32/32")
		holdsBack(t, s, "map", "as many workers as Auto may give it")
	}
}

// Calls that need what there are two of gain nothing from a third worker.
func TestAutoFindsWhatIsShort(t *testing.T) {
	var gauge pipelinetest.Gauge
	var processors chan struct{}
	fn := pipelinetest.Gauged(&gauge, func(_ context.Context, v int) (int, error) {
		processors <- struct{}{}
		time.Sleep(sec / 100)
		<-processors
		return v, nil
	})
	source := pipeline.From(func(yield func(int) bool) {
		processors = make(chan struct{}, 2) // of the bubble
		naturals(yield)
	})
	st, s := autoStage(t, source, fn, 5*time.Minute, pipeline.Workers(pipeline.Auto(1, 32)))
	assert.GreaterOrEqual(t, st.Workers, 2)
	assert.LessOrEqual(t, st.Workers, 4, "two, and a try")
	assert.NotEmpty(t, st.Choice)
	assert.Less(t, gauge.Peak(), 16, "it has not tried what cannot help")
	assert.Contains(t, s.Verdict(), st.Choice)
}

// Ten inputs a second of a second each need ten workers, and a reserve.
func TestAutoFollowsTheSource(t *testing.T) {
	st, _ := autoStage(t, pipeline.From(makesIn(sec/10, 1<<30)), sleepFor(sec), 5*time.Minute, pipeline.Workers(pipeline.Auto(1, 64)))
	assert.GreaterOrEqual(t, st.Workers, 10)
	assert.LessOrEqual(t, st.Workers, 20)

	// Then the source slows down, and workers leave.
	source := pipeline.From(func(yield func(int) bool) {
		for i := 0; i < 3000 && yield(i); i++ {
			time.Sleep(sec / 10)
		}
		for yield(0) {
			time.Sleep(sec)
		}
	})
	st, _ = autoStage(t, source, sleepFor(sec), 30*time.Minute, pipeline.Workers(pipeline.Auto(1, 64)))
	assert.LessOrEqual(t, st.Workers, 4)
}

// It begins with the least, stays between the two, and works without a report.
func TestAutoStaysInItsRange(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var gauge pipelinetest.Gauge
		f := pipeline.Map(pipeline.From(upTo(5000)), pipelinetest.Gauged(&gauge, sleepFor(sec/10)), pipeline.Workers(pipeline.Auto(3, 7)))
		start := time.Now()
		seen := map[int]int{}
		var r pipeline.Report
		require.NoError(t, f.Run(t.Context(), pipeline.ReportTo(&r), pipeline.Progress(func(s pipeline.Snapshot) {
			st := s.Stages[1]
			seen[st.Workers]++
			assert.Equal(t, 7, st.MaxWorkers)
			assert.NotEmpty(t, st.Choice)
		}, 90*time.Millisecond)))
		assert.Positive(t, seen[3], "at first")
		assert.Greater(t, seen[7], seen[3])
		for n := range seen {
			assert.LessOrEqual(t, 3, n)
			assert.LessOrEqual(t, n, 7)
		}
		assert.Equal(t, 7, gauge.Peak())
		withReport := time.Since(start)

		start = time.Now()
		require.NoError(t, f.Run(t.Context()))
		assert.InDelta(t, withReport, time.Since(start), float64(withReport)/10, "it is measured all the same")
	})
}

// A range of one number is that number, and nothing is found out.
func TestAutoOfOneNumber(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Map(pipeline.From(upTo(100)), sleepFor(sec), pipeline.Workers(pipeline.Auto(4, 4)))
		assert.NoError(t, f.Run(ctx, to))
	})
	assert.Equal(t, 25*sec, s.Elapsed)
	assert.Equal(t, []any{4, 0, ""}, []any{s.Stages[1].Workers, s.Stages[1].MaxWorkers, s.Stages[1].Choice})
}

// Whatever becomes of a run, the tuner ends with it.
func TestAutoEndsWithTheRun(t *testing.T) {
	auto := pipeline.Workers(pipeline.Auto(1, 16))
	testkit.Bubble(t, func(t *testing.T) { // in which nothing may be left running
		assert.NoError(t, pipeline.Map(pipeline.From(upTo(0)), same, auto).Run(t.Context()))
		assert.NoError(t, pipeline.Map(pipeline.From(upTo(1)), same, auto).Run(t.Context()))
		assert.NoError(t, pipeline.Map(pipeline.From(naturals), sleepFor(sec), auto).Take(50).Run(t.Context()))
		f := pipeline.Map(pipeline.From(upTo(500)), pipelinetest.Inject(sleepFor(sec/10)).On(is(300), pipelinetest.Error(errBoom)).Call, auto)
		assert.ErrorIs(t, f.Run(t.Context()), errBoom)
		n := 0
		for range f.Results(t.Context()) {
			n++
		}
		assert.Equal(t, 500, n)
		for _, err := range f.All(t.Context()) {
			assert.NoError(t, err)
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*sec)
		defer cancel()
		assert.ErrorIs(t, pipeline.Map(pipeline.From(naturals), stuck[int], auto).Run(ctx), context.DeadlineExceeded)
	})
}

// In lanes each copy of the stage finds its own number; the report has their mean.
func TestAutoInLanes(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		f := pipeline.Partition(pipeline.From(naturals), 2, func(v int) int { return v % 64 }, sleepStage("work", sec/10, pipeline.Workers(pipeline.Auto(1, 8))))
		go func() { done <- f.Run(ctx, pipeline.ReportTo(&r)) }()
		time.Sleep(time.Minute)
		st := r.Snapshot().Stages[2]
		assert.Equal(t, [2]int{8, 2}, [2]int{st.MaxWorkers, st.Copies})
		assert.GreaterOrEqual(t, st.Workers, 1, "how the keys fall to the lanes is up to a hash")
		assert.LessOrEqual(t, st.Workers, 8)
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
}

// Workers that only wait for room behind them are not wanted.
func TestAutoLooksBehind(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		f := pipeline.Map(pipeline.From(naturals), sleepFor(sec/10), pipeline.Workers(pipeline.Auto(1, 64)))
		f = pipeline.Map(f, sleepFor(sec/20), pipeline.Workers(1), pipeline.Named("behind"))
		go func() { done <- f.Run(ctx, pipeline.ReportTo(&r)) }()
		time.Sleep(10 * time.Minute)
		s := r.Snapshot()
		assert.LessOrEqual(t, s.Stages[1].Workers, 8, "two would do: %v", s)
		holdsBack(t, s, "behind")
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
}

// Calls of half a minute are not waited for.
func TestAutoOfLongCalls(t *testing.T) {
	st, _ := autoStage(t, pipeline.From(naturals), sleepFor(30*sec), 10*time.Minute, pipeline.Workers(pipeline.Auto(1, 64)))
	assert.GreaterOrEqual(t, st.Workers, 16)
}

// The copies of a stage in the lanes of a partition find their numbers each for itself.
func TestAutoInLanesClimbs(t *testing.T) {
	for range 5 {
		testkit.Bubble(t, func(t *testing.T) {
			var r pipeline.Report
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			f := pipeline.Partition(pipeline.From(naturals), 4, func(v int) int { return v % 1024 }, sleepStage("work", sec/10, pipeline.Workers(pipeline.Auto(1, 8))))
			go func() { done <- f.Run(ctx, pipeline.ReportTo(&r)) }()
			time.Sleep(5 * time.Minute)
			assert.GreaterOrEqual(t, r.Snapshot().Stages[2].Workers, 6)
			cancel()
			assert.ErrorIs(t, <-done, context.Canceled)
		})
	}
}
