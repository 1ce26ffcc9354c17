package pipeline_test

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
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// makesIn makes n numbers, each of which takes d to make.
func makesIn(d time.Duration, n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			time.Sleep(d)
			if !yield(i) {
				return
			}
		}
	}
}

// oneEvery is a limit that lets a call through every so often.
type oneEvery struct {
	d    time.Duration
	next chan time.Time
}

func newOneEvery(d time.Duration) *oneEvery {
	l := &oneEvery{d, make(chan time.Time, 1)}
	l.next <- time.Time{}
	return l
}

func (l *oneEvery) Wait(context.Context) error {
	next, now := <-l.next, time.Now()
	if next.Before(now) {
		next = now
	}
	l.next <- next.Add(l.d)
	time.Sleep(next.Sub(now))
	return nil
}

// reportOn returns what a run in virtual time reports.
func reportOn(t *testing.T, run func(ctx context.Context, to pipeline.RunOption)) (s pipeline.Snapshot) {
	t.Helper()
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		run(t.Context(), pipeline.ReportTo(&r))
		s = r.Snapshot()
		time.Sleep(time.Hour)
		assert.Equal(t, s, r.Snapshot(), "it has ended")
	})
	assert.True(t, s.Done)
	soundReport(t, s)
	return s
}

// soundReport asserts what holds for each report.
func soundReport(t *testing.T, s pipeline.Snapshot) {
	t.Helper()
	given := make([]uint64, len(s.Stages))
	around := uint64(0) // what has failed goes around the branches
	for _, st := range s.Stages {
		if slices.Contains([]string{"broadcast", "route", "partition"}, st.Kind) {
			around += st.Out
		}
	}
	for _, st := range s.Stages {
		if sum := st.Busy + st.Starved + st.Blocked + st.Limited; sum != 0 {
			assert.InDelta(t, 1, sum, 1e-9, st.Name)
		}
		for _, share := range []float64{st.Busy, st.Starved, st.Blocked, st.Limited} {
			assert.GreaterOrEqual(t, share, 0.0, st.Name)
		}
		could := around
		for _, from := range st.From {
			could += s.Stages[from].Out
			given[from] += st.In
		}
		if len(st.From) == 0 {
			assert.Zero(t, st.In, st.Name)
		} else {
			assert.LessOrEqual(t, st.In, could, "%s took what nobody gave", st.Name)
		}
		assert.GreaterOrEqual(t, st.Errors, st.Skipped+st.Dead, st.Name)
		assert.LessOrEqual(t, st.PeakQueue, st.Buffer, st.Name)
		assert.LessOrEqual(t, st.Queue, st.PeakQueue, st.Name)
		assert.GreaterOrEqual(t, st.Copies, 1, st.Name)
		for _, q := range []result.Quantiles{st.Wait, st.Run} {
			assert.LessOrEqual(t, q.P50, q.P99, st.Name)
			assert.LessOrEqual(t, q.P99, q.Max, st.Name)
		}
	}
	if i, ok := s.Bottleneck(); ok {
		assert.Contains(t, s.Verdict(), "holds the run back")
		assert.Less(t, i, len(s.Stages))
	}
}

// spent is what the workers of a stage did with their time, in per cent.
type spent struct{ busy, starved, blocked, limited float64 }

// wantStage is what a test says of one stage. Run and wait are the longest.
type wantStage struct {
	name      string
	in, out   uint64
	spent     spent
	wait, run time.Duration
	peak      int // -1: whatever it is
}

func checkStages(t *testing.T, s pipeline.Snapshot, want ...wantStage) {
	t.Helper()
	require.Len(t, s.Stages, len(want), "%v", s)
	for i, w := range want {
		st := s.Stages[i]
		assert.Equal(t, w.name, st.Name)
		assert.Equal(t, [2]uint64{w.in, w.out}, [2]uint64{st.In, st.Out}, "%s: in and out", w.name)
		for what, got := range map[string][2]float64{
			"busy": {w.spent.busy, st.Busy}, "starved": {w.spent.starved, st.Starved},
			"blocked": {w.spent.blocked, st.Blocked}, "limited": {w.spent.limited, st.Limited},
		} {
			assert.InDelta(t, got[0], 100*got[1], 1e-6, "%s: %s", w.name, what)
		}
		assert.Equal(t, w.wait, st.Wait.Max, "%s: wait", w.name)
		assert.Equal(t, w.run, st.Run.Max, "%s: run", w.name)
		if w.peak >= 0 {
			assert.Equal(t, w.peak, st.PeakQueue, "%s: peak", w.name)
		}
		assert.Zero(t, st.Queue, w.name)
	}
}

func holdsBack(t *testing.T, s pipeline.Snapshot, name string, says ...string) {
	t.Helper()
	i, ok := s.Bottleneck()
	if name == "" {
		assert.False(t, ok, "%v", s)
	} else if assert.True(t, ok, "%v", s) {
		assert.Equal(t, name, s.Stages[i].Name, "%v", s)
	}
	for _, text := range says {
		assert.Contains(t, s.Verdict(), text)
	}
}

func ignore(context.Context, int) error { return nil }

// All of it on one goroutine: a second in the source, two in a, three in b, four in the loop.
func TestReportOfAPlainLoop(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Map(pipeline.From(makesIn(sec, 3)), sleepFor(2*sec), pipeline.Named("a"))
		f = pipeline.Map(f, sleepFor(3*sec), pipeline.Named("b"))
		for _, err := range f.All(ctx, to) {
			assert.NoError(t, err)
			time.Sleep(4 * sec)
		}
	})
	assert.Equal(t, 30*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 3, spent{busy: 10, blocked: 90}, 0, 0, 0},
		wantStage{"a", 3, 3, spent{20, 10, 70, 0}, 0, 2 * sec, 0},
		wantStage{"b", 3, 3, spent{30, 30, 40, 0}, 0, 3 * sec, 0},
		wantStage{"all", 3, 0, spent{busy: 40, starved: 60}, 0, 4 * sec, 0},
	)
	assert.Equal(t, []int{1, 1, 1, 1}, []int{s.Stages[0].Group, s.Stages[1].Group, s.Stages[2].Group, s.Stages[3].Group})
	holdsBack(t, s, "all", "The body of the loop over All", "Workers would take b off")
}

// Two workers share ten calls of a second.
func TestReportOfWorkers(t *testing.T) {
	for _, opts := range [][]pipeline.StageOption{
		{pipeline.Workers(2)}, {pipeline.Workers(2), pipeline.Ordered(64)},
	} {
		s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			_, err := pipeline.Map(pipeline.From(upTo(10)), sleepFor(sec), opts...).Collect(ctx, to)
			assert.NoError(t, err)
		})
		assert.Equal(t, 5*sec, s.Elapsed)
		st := s.Stages[1]
		assert.Equal(t, pipeline.StageStats{
			Name: "map", Kind: "map", From: []int{0}, Group: st.Group, Workers: 2, Copies: 1,
			Ordered: len(opts) == 2, Window: 64 * (len(opts) - 1), In: 10, Out: 10, Busy: 1, Wait: st.Wait,
			Run: result.Quantiles{P50: sec, P90: sec, P99: sec, Max: sec}, PeakQueue: 10, Buffer: 256,
		}, st)
		assert.Equal(t, 4*sec, st.Wait.Max)
		assert.InDelta(t, 2*sec, st.Wait.P50, 0.02*float64(2*sec), "the fifth of ten, within 2 %")
		holdsBack(t, s, "map", "its 2 workers were busy 100% of the time")
	}
}

func TestReportNamesASlowSource(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			f := pipeline.Map(pipeline.From(makesIn(2*sec, 50)).Named("feed"), sleepFor(sec), s.opts...)
			assert.NoError(t, f.Run(ctx, to))
		})
		holdsBack(t, got, "feed", "source feed")
		if s.workers > 0 {
			assert.Equal(t, 101*sec, got.Elapsed, s.name)
			assert.InDelta(t, 100.0/101, got.Stages[0].Busy, 1e-9)
			assert.InDelta(t, 50.0/101/float64(s.workers), got.Stages[1].Busy, 1e-9, s.name)
		}
	}
}

func TestReportNamesASlowStage(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			f := pipeline.Map(pipeline.From(upTo(640)), sleepFor(sec/100), pipeline.Named("quick"), pipeline.Workers(1), pipeline.Buffer(4))
			f = pipeline.Map(f, sleepFor(sec), append([]pipeline.StageOption{pipeline.Named("slow")}, s.opts...)...)
			f = pipeline.Map(f, sleepFor(sec/100), pipeline.Named("after"), pipeline.Workers(1))
			assert.NoError(t, f.Run(ctx, to))
		})
		holdsBack(t, got, "slow")
		assert.Greater(t, got.Stages[2].Busy, 0.95, s.name)
		assert.Equal(t, s.workers, got.Stages[2].Workers, s.name)
	}
}

func TestReportNamesASlowBody(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			for range pipeline.Map(pipeline.From(upTo(50)), sleepFor(sec/100), s.opts...).Results(ctx, to) {
				time.Sleep(sec)
			}
		})
		holdsBack(t, got, "results", "The body of the loop over Results")
		assert.EqualValues(t, 50, got.Stages[2].In)
	}
}

func TestReportNamesASlowForEach(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			slow := func(context.Context, int) error { time.Sleep(sec); return nil }
			assert.NoError(t, pipeline.From(upTo(80)).ForEach(ctx, slow, append(options(s.opts), to)...))
		})
		holdsBack(t, got, "foreach")
		assert.EqualValues(t, 80, got.Stages[1].In)
		assert.Equal(t, []string{"from", "foreach", "run"}, []string{got.Stages[0].Kind, got.Stages[1].Kind, got.Stages[2].Kind})
	}
}

// One slow call in twenty keeps the window full, and the workers wait.
func TestReportNamesASlowHead(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Map(pipeline.From(upTo(200)), func(_ context.Context, v int) (int, error) {
			if v%20 == 0 {
				time.Sleep(20 * sec)
			}
			return v, nil
		}, pipeline.Workers(8), pipeline.Ordered(8), pipeline.Buffer(8))
		assert.NoError(t, pipeline.Map(f, sleepFor(sec/100), pipeline.Workers(2), pipeline.Named("next")).Run(ctx, to))
	})
	holdsBack(t, s, "map", "though it was busy only", "a window larger than 8 may help")
	st := s.Stages[1]
	assert.InDelta(t, 200.0/8/s.Elapsed.Seconds(), st.Busy, 1e-9, "ten calls of 20 s on 8 workers")
	assert.InDelta(t, 1-st.Busy, st.Starved, 1e-9)
	assert.Equal(t, 8, st.PeakQueue)
	assert.Equal(t, 8, st.Window)
}

// A limit of a call each 4 s: the first of ten goes through at once.
func TestReportNamesALimit(t *testing.T) {
	run := func(opts ...pipeline.StageOption) func(context.Context, pipeline.RunOption) {
		return func(ctx context.Context, to pipeline.RunOption) {
			opts := append(opts, pipeline.Limit(newOneEvery(4*sec)))
			assert.NoError(t, pipeline.Map(pipeline.From(upTo(10)), sleepFor(sec), opts...).Run(ctx, to))
		}
	}
	s := reportOn(t, run())
	assert.Equal(t, 37*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 10, spent{blocked: 100}, 0, 0, 0},
		wantStage{"map", 10, 10, spent{busy: 1000.0 / 37, limited: 2700.0 / 37}, 3 * sec, sec, 0},
		wantStage{"run", 10, 0, spent{starved: 100}, 0, 0, 0},
	)
	holdsBack(t, s, "map", "The limit sets the pace")

	// Of the second worker's last call on there is nothing for the first to wait for.
	s = reportOn(t, run(pipeline.Workers(2)))
	assert.Equal(t, 37*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 10, spent{starved: 100}, 0, 0, 0},
		wantStage{"map", 10, 10, spent{1000.0 / 74, 400.0 / 74, 0, 6000.0 / 74}, 36 * sec, sec, 10},
		wantStage{"run", 10, 0, spent{starved: 100}, 0, 0, 1},
	)
	holdsBack(t, s, "map", "The limit sets the pace")

	s = reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		assert.NoError(t, pipeline.From(upTo(10)).Throttle(newOneEvery(sec)).Run(ctx, to))
	})
	assert.InDelta(t, 1, s.Stages[1].Limited, 1e-9)
	holdsBack(t, s, "throttle", "The limit sets the pace")
}

// Each function counts what its own stage did.
func TestReportCountsFailures(t *testing.T) {
	odd := func(_ context.Context, v int) (int, error) {
		time.Sleep(sec)
		if v%2 == 1 {
			return v, errBoom
		}
		return v, nil
	}
	for _, s := range stages {
		for name, tt := range map[string]struct {
			policy                 pipeline.ErrorPolicy
			out, skipped, dead, in uint64
		}{
			"kept":    {pipeline.FailFast, 10, 0, 0, 10},
			"skipped": {pipeline.Skip, 5, 5, 0, 5},
			"dead":    {pipeline.DeadLetter(func(pipeline.Letter) {}), 5, 0, 5, 5},
		} {
			got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
				f := pipeline.Map(pipeline.From(upTo(10)), odd, append([]pipeline.StageOption{pipeline.OnError(tt.policy)}, s.opts...)...)
				for range pipeline.Map(f, same, s.opts...).Results(ctx, to) {
				}
			})
			st, next := got.Stages[1], got.Stages[2]
			assert.Equal(t, []uint64{10, tt.out, 5, 0, tt.skipped, tt.dead}, []uint64{st.In, st.Out, st.Errors, st.Retries, st.Skipped, st.Dead}, "%s, %s", s.name, name)
			assert.Equal(t, sec, st.Run.P50, "failed calls are calls")
			assert.Equal(t, []uint64{tt.in, tt.in, 0}, []uint64{next.In, next.Out, next.Errors}, "%s, %s: the stage behind", s.name, name)
			assert.Equal(t, tt.in, got.Stages[3].In)
		}
	}
}

func TestReportCountsPanics(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			f := pipeline.Map(pipeline.From(upTo(4)), func(_ context.Context, v int) (int, error) {
				if time.Sleep(sec); v == 2 {
					panic("boom")
				}
				return v, nil
			}, s.opts...)
			for range f.Results(ctx, to) {
			}
		})
		st := got.Stages[1]
		assert.Equal(t, []uint64{4, 4, 1}, []uint64{st.In, st.Out, st.Errors}, s.name)
		assert.InDelta(t, 4*sec.Seconds(), st.Busy*got.Elapsed.Seconds()*float64(max(1, s.workers)), 1e-6, "%s: the panic took its second too", s.name)
	}
}

// Every input fails thrice, each time after a second, and is waited for a second in between.
func TestReportCountsRetries(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			fails := func(context.Context, int) (int, error) { time.Sleep(sec); return 0, errBoom }
			retry := pipeline.Retry(pool.RetryPolicy{Attempts: 3, Base: sec, Cap: sec, Steady: 1})
			opts := append([]pipeline.StageOption{retry, pipeline.OnError(pipeline.Skip)}, s.opts...)
			assert.NoError(t, pipeline.Map(pipeline.From(upTo(4)), fails, opts...).Run(ctx, to))
		})
		st := got.Stages[1]
		assert.Equal(t, []uint64{4, 0, 4, 8, 4}, []uint64{st.In, st.Out, st.Errors, st.Retries, st.Skipped}, s.name)
		assert.Equal(t, 5*sec, st.Run.Max)
		assert.InDelta(t, 20/float64(max(1, s.workers)), st.Busy*got.Elapsed.Seconds(), 1e-6, "pauses count as busy")
	}
}

// The sequence is part of the call, the time behind it is not.
func TestReportOfFlatMap(t *testing.T) {
	two := func(context.Context, int) (iter.Seq[int], error) {
		time.Sleep(sec)
		return makesIn(sec, 2), nil
	}
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		for _, err := range pipeline.FlatMap(pipeline.From(upTo(3)), two).All(ctx, to) {
			assert.NoError(t, err)
			time.Sleep(sec)
		}
	})
	assert.Equal(t, 15*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 3, spent{blocked: 100}, 0, 0, 0},
		wantStage{"flatmap", 3, 6, spent{busy: 60, blocked: 40}, 0, 3 * sec, 0},
		wantStage{"all", 6, 0, spent{busy: 40, starved: 60}, 0, sec, 0},
	)
	s = reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		assert.NoError(t, pipeline.FlatMap(pipeline.From(upTo(4)), two, pipeline.Workers(2)).Run(ctx, to))
	})
	assert.Equal(t, 6*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 4, spent{starved: 100}, 0, 0, 0},
		wantStage{"flatmap", 4, 8, spent{busy: 100}, 3 * sec, 3 * sec, 4},
		wantStage{"run", 8, 0, spent{starved: 100}, 0, 0, -1},
	)
}

// Workers wait for room behind them while the loop does its seconds.
func TestReportOfBlockedWorkers(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Map(pipeline.From(upTo(100)), same, pipeline.Workers(1), pipeline.Buffer(1), pipeline.Named("first"))
		f = pipeline.Map(f, same, pipeline.Workers(1), pipeline.Buffer(1), pipeline.Named("second"))
		for _, err := range f.All(ctx, to) {
			assert.NoError(t, err)
			time.Sleep(sec)
		}
	})
	assert.Equal(t, 100*sec, s.Elapsed)
	for i := range 3 {
		assert.Greater(t, s.Stages[i].Blocked, 0.9, "%s: but for what was in the hands of those behind at the end", s.Stages[i].Name)
		assert.Zero(t, s.Stages[i].Busy)
		assert.Equal(t, min(i, 1), s.Stages[i].PeakQueue)
	}
	holdsBack(t, s, "all")
}
