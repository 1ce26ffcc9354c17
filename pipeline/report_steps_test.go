package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// A second in the source for each of ten, a second in the loop for each of four batches.
func TestReportOfBatch(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		for _, err := range pipeline.Batch(pipeline.From(makesIn(sec, 10)), 3, 0).All(ctx, to) {
			assert.NoError(t, err)
			time.Sleep(sec)
		}
	})
	assert.Equal(t, 14*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 10, spent{busy: 1000.0 / 14, blocked: 400.0 / 14}, 0, 0, 0},
		wantStage{"batch", 10, 4, spent{starved: 1000.0 / 14, blocked: 400.0 / 14}, 0, 0, 0},
		wantStage{"all", 4, 0, spent{busy: 400.0 / 14, starved: 1000.0 / 14}, 0, sec, 0},
	)

	// With a maxWait the source is on a goroutine of its own, and goes on meanwhile.
	s = reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		for _, err := range pipeline.Batch(pipeline.From(makesIn(sec, 10)), 3, time.Minute).All(ctx, to) {
			assert.NoError(t, err)
			time.Sleep(sec)
		}
	})
	assert.Equal(t, 11*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 10, spent{busy: 1000.0 / 11, starved: 100.0 / 11}, 0, 0, 0},
		wantStage{"batch", 10, 4, spent{starved: 700.0 / 11, blocked: 400.0 / 11}, 0, 0, 1},
		wantStage{"all", 4, 0, spent{busy: 400.0 / 11, starved: 700.0 / 11}, 0, sec, 0},
	)
	assert.Equal(t, 256, s.Stages[1].Buffer)
	holdsBack(t, s, "from")
}

// What it takes to gather is the step's own time, and not the source's.
func TestReportOfTheTimeToGather(t *testing.T) {
	type large [1 << 16]byte
	for kind, flow := range map[string]pipeline.Flow[[]large]{
		"batch":  pipeline.Batch(pipeline.FromSlice(make([]large, 1000)), 100, 0),
		"window": pipeline.Window(pipeline.FromSlice(make([]large, 1000)), 100, 100),
	} {
		var report pipeline.Report
		require.NoError(t, flow.Run(t.Context(), pipeline.ReportTo(&report)))
		stages := report.Snapshot().Stages
		assert.Equal(t, kind, stages[1].Kind)
		assert.Greater(t, stages[1].Busy, 0.2, "%s\n%s", kind, report.String())
		assert.Less(t, stages[0].Starved, 0.2, "%s\n%s", kind, report.String())
	}
}

func TestReportOfStepsThatGather(t *testing.T) {
	add := func(_ context.Context, a, v int) (int, error) {
		time.Sleep(2 * sec)
		return a + v, nil
	}
	source := pipeline.From(makesIn(sec, 4))
	for name, tt := range map[string]struct {
		flow interface {
			Run(context.Context, ...pipeline.RunOption) error
		}
		out uint64
		run time.Duration
	}{
		"reduce":   {pipeline.Reduce(source, 0, add), 1, 2 * sec},
		"scan":     {pipeline.Scan(source, 0, add), 4, 2 * sec},
		"groupby":  {pipeline.GroupBy(source, 2, func(v int) int { return v / 2 }, add), 2, 2 * sec},
		"window":   {pipeline.Window(source, 2, 1), 3, 0},
		"distinct": {pipeline.Distinct(source, 9, func(v int) int { time.Sleep(2 * sec); return v % 3 }), 3, 2 * sec},
		"filter":   {source.Filter(func(v int) bool { time.Sleep(2 * sec); return v > 2 }), 1, 2 * sec},
		"tap":      {source.Tap(func(int) { time.Sleep(2 * sec) }), 4, 2 * sec},
		"take":     {source.Take(4), 4, 0},
	} {
		s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) { assert.NoError(t, tt.flow.Run(ctx, to)) })
		assert.Equal(t, 4*sec+4*tt.run, s.Elapsed, name)
		source, step := spent{busy: 100}, spent{starved: 100}
		if tt.run > 0 {
			source, step = spent{busy: 100.0 / 3, blocked: 200.0 / 3}, spent{busy: 200.0 / 3, starved: 100.0 / 3}
		}
		end := wantStage{"run", tt.out, 0, spent{starved: 100}, 0, 0, 0}
		if q := s.Stages[2].Wait; name == "groupby" || name == "reduce" {
			end.wait = q.Max // they hold values back
		}
		checkStages(t, s, wantStage{"from", 0, 4, source, 0, 0, 0}, wantStage{name, 4, tt.out, step, 0, tt.run, 0}, end)
	}
}

// Waiting in FromChan is not the source's work; in FromFunc, as in a sequence, it may be.
func TestReportOfSources(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		c := make(chan int)
		go func() {
			for v := range makesIn(sec, 5) {
				c <- v
			}
			close(c)
		}()
		assert.NoError(t, pipeline.Map(pipeline.FromChan(c), sleepFor(sec/2), pipeline.Workers(2)).Run(ctx, to))
	})
	assert.Equal(t, 5500*time.Millisecond, s.Elapsed)
	checkStages(t, s,
		wantStage{"from", 0, 5, spent{starved: 100}, 0, 0, 0},
		wantStage{"map", 5, 5, spent{busy: 250.0 / 11, starved: 850.0 / 11}, 0, sec / 2, 1},
		wantStage{"run", 5, 0, spent{starved: 100}, 0, 0, 1},
	)
	holdsBack(t, s, "", "the source had nothing to give for 100% of it")

	s = reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		left := 3
		f := pipeline.FromFunc(func(context.Context) (int, error) {
			if time.Sleep(sec); left == 0 {
				return 0, errBoom
			}
			left--
			return left, nil
		})
		assert.ErrorIs(t, f.ForEach(ctx, ignore, to), errBoom)
	})
	assert.EqualValues(t, 1, s.Stages[0].Errors)
	checkStages(t, s,
		wantStage{"from", 0, 3, spent{busy: 100}, 0, 0, 0},
		wantStage{"foreach", 3, 3, spent{starved: 100}, 0, 0, 0},
		wantStage{"run", 3, 0, spent{starved: 100}, 0, 0, 0},
	)
}

// Errors that come with the values are the source's.
func TestReportOfFailedSources(t *testing.T) {
	seq := func(yield func(int, error) bool) {
		_ = yield(0, nil) && yield(0, errBoom) && yield(2, nil)
	}
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		for range pipeline.Map(pipeline.FromSeq2(seq), same).Results(ctx, to) {
		}
	})
	assert.EqualValues(t, 1, s.Stages[0].Errors)
	assert.EqualValues(t, 0, s.Stages[1].Errors)
	checkStages(t, s,
		wantStage{name: "from", out: 3}, wantStage{name: "map", in: 3, out: 3}, wantStage{name: "results", in: 3},
	)
	assert.Contains(t, s.Verdict(), "no time has passed")
}

func TestReportOfBuffer(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		for _, err := range pipeline.From(makesIn(sec, 10)).Buffer(4).All(ctx, to) {
			assert.NoError(t, err)
			time.Sleep(2 * sec)
		}
	})
	assert.Equal(t, 21*sec, s.Elapsed)
	assert.Equal(t, 4, s.Stages[1].Buffer)
	assert.InDelta(t, 20.0/21, s.Stages[2].Busy, 1e-9)
	assert.InDelta(t, 20.0/21, s.Stages[1].Blocked, 1e-9)
	assert.InDelta(t, 10.0/21, s.Stages[0].Busy, 1e-9)
	holdsBack(t, s, "all")
}

// sleepStage is a branch of one stage.
func sleepStage(name string, d time.Duration, opts ...pipeline.StageOption) pipeline.Stage[int, int] {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(f, sleepFor(d), append(opts, pipeline.Named(name))...)
	}
}

func TestReportNamesASlowBranch(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Broadcast(pipeline.From(upTo(1000)), sleepStage("quick", sec/10), sleepStage("slow", sec))
		assert.NoError(t, f.Run(ctx, to))
	})
	assert.Equal(t, 1000*sec, s.Elapsed)
	assert.Equal(t, [2]uint64{1000, 2000}, [2]uint64{s.Stages[1].In, s.Stages[1].Out})
	assert.InDelta(t, 0.1, s.Stages[2].Busy, 1e-9)
	assert.InDelta(t, 1, s.Stages[3].Busy, 1e-9)
	assert.InDelta(t, s.Stages[0].Blocked, s.Stages[1].Blocked, 1e-9, "the source is on its goroutine")
	assert.Greater(t, s.Stages[0].Blocked, 0.7)
	assert.Equal(t, 256, s.Stages[3].PeakQueue)
	assert.EqualValues(t, 2000, s.Stages[4].In)
	assert.Equal(t, []int{2, 3}, s.Stages[4].From)
	holdsBack(t, s, "slow")

	s = reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		pick := func(v int) int { time.Sleep(sec / 100); return v % 3 }
		f := pipeline.Route(pipeline.From(upTo(999)), pick,
			sleepStage("quick", 0), sleepStage("slow", sec, pipeline.Workers(2)), sleepStage("other", sec/10, pipeline.Workers(4)))
		assert.NoError(t, f.Run(ctx, to))
	})
	assert.Equal(t, [2]uint64{999, 999}, [2]uint64{s.Stages[1].In, s.Stages[1].Out})
	assert.Equal(t, sec/100, s.Stages[1].Run.Max)
	assert.InDelta(t, 9.99, s.Stages[1].Busy*s.Elapsed.Seconds(), 1e-6)
	assert.Equal(t, []uint64{333, 333, 333}, []uint64{s.Stages[2].Out, s.Stages[3].Out, s.Stages[4].Out})
	holdsBack(t, s, "slow", "its 2 workers were busy")
}

// Four lanes, but two keys: two of them do nothing.
func TestReportOfPartition(t *testing.T) {
	odd := func(v int) int { return v % 2 }
	for range 20 { // the hash may put both keys into one lane
		s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			f := pipeline.Partition(pipeline.From(upTo(40)), 4, odd, sleepStage("lane", sec, pipeline.Workers(1), pipeline.Buffer(8)))
			assert.NoError(t, f.Run(ctx, to))
		})
		st := s.Stages[2]
		assert.Equal(t, [4]int{4, 1, 32, 0}, [4]int{st.Copies, st.Workers, st.Buffer, st.MaxWorkers})
		assert.EqualValues(t, 40, st.In)
		assert.InDelta(t, 40/s.Elapsed.Seconds()/4, st.Busy, 1e-9)
		if s.Elapsed == 20*sec {
			assert.InDelta(t, 0.5, st.Busy, 1e-9)
			return
		}
		assert.Equal(t, 40*sec, s.Elapsed)
		holdsBack(t, s, "lane", "One of its 4 lanes may get most of the items.")
	}
	assert.Fail(t, "two keys were never in two lanes")
}

func TestReportOfFanIn(t *testing.T) {
	x, y := pipeline.From(makesIn(sec, 10)).Named("x"), pipeline.From(makesIn(3*sec, 5)).Named("y")
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		assert.NoError(t, pipeline.Merge(x, y).Run(ctx, to))
	})
	assert.Equal(t, 15*sec, s.Elapsed)
	checkStages(t, s,
		wantStage{"x", 0, 10, spent{busy: 1000.0 / 15, starved: 500.0 / 15}, 0, 0, 0},
		wantStage{"y", 0, 5, spent{busy: 100}, 0, 0, 0},
		wantStage{name: "merge", in: 15, out: 15},
		wantStage{"run", 15, 0, spent{starved: 100}, 0, 0, -1},
	)
	holdsBack(t, s, "y")

	s = reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		assert.NoError(t, pipeline.Zip(x, y).Run(ctx, to))
	})
	assert.Equal(t, 15*sec, s.Elapsed)
	assert.Equal(t, [2]uint64{5 + 6, 5}, [2]uint64{s.Stages[2].In, s.Stages[2].Out}, "the sixth of x has no partner")
	assert.Equal(t, 2*256, s.Stages[2].Buffer)
	holdsBack(t, s, "y")

	s = reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		less := func(a, b int) bool { time.Sleep(sec); return a < b }
		assert.NoError(t, pipeline.MergeOrdered(less, pipeline.From(upTo(5)), pipeline.From(upTo(5))).Run(ctx, to))
	})
	assert.Equal(t, [2]uint64{10, 10}, [2]uint64{s.Stages[2].In, s.Stages[2].Out})
	assert.InDelta(t, 1, s.Stages[2].Busy, 1e-9)
	holdsBack(t, s, "mergeordered")
}

func TestReportOfMergesOfMerges(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Merge(pipeline.Merge(pipeline.From(upTo(2)), pipeline.From(upTo(3))), pipeline.From(upTo(5)))
		assert.NoError(t, f.Run(ctx, to))
	})
	got := make([][2]uint64, len(s.Stages))
	for i, st := range s.Stages {
		got[i] = [2]uint64{st.In, st.Out}
	}
	assert.Equal(t, [][2]uint64{{0, 2}, {0, 3}, {5, 5}, {0, 5}, {10, 10}, {10, 0}}, got)
}

// A merge in a branch counts what comes to that branch, and one behind a fan also what goes
// around the branches.
func TestReportOfMergesBesideFans(t *testing.T) {
	merges := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Merge(f, pipeline.From(upTo(5))).Named("inner")
	}
	failing := pipeline.Map(pipeline.From(upTo(9)), failAt(4))
	for _, c := range []struct {
		name         string
		fan          pipeline.Flow[int]
		inner, outer uint64
	}{
		{"route", pipeline.Route(failing, func(v int) int { return v % 3 }, pass, merges, pass), 2 + 5, 8 + 5 + 1 + 3},
		{"broadcast", pipeline.Broadcast(failing, pass, merges), 8 + 5, 8 + 8 + 5 + 1 + 3},
		{"partition", pipeline.Partition(failing, 2, func(v int) int { return v }, merges), 8 + 2*5, 8 + 2*5 + 1 + 3},
	} {
		s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			for range pipeline.Merge(c.fan, pipeline.From(upTo(3))).Named("outer").Results(ctx, to) {
			}
		})
		got := map[string][2]uint64{}
		for _, st := range s.Stages {
			got[st.Name] = [2]uint64{st.In, st.Out}
		}
		assert.Equal(t, [2]uint64{c.inner, c.inner}, got["inner"], c.name)
		assert.Equal(t, [2]uint64{c.outer, c.outer}, got["outer"], c.name)
		assert.Equal(t, c.outer, got["results"][0], c.name)
	}
}

// pass is a branch that does nothing.
func pass(f pipeline.Flow[int]) pipeline.Flow[int] { return f }

// The calls are those of the pool, and so are the workers.
func TestReportOfThrough(t *testing.T) {
	s := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		p := pool.New(sleepFor(sec), pool.Workers(2))
		assert.NoError(t, pipeline.Through(pipeline.From(upTo(10)), p).Run(ctx, to))
		assert.NoError(t, p.Shutdown(ctx))
	})
	assert.Equal(t, 5*sec, s.Elapsed)
	assert.Equal(t, [2]uint64{10, 10}, [2]uint64{s.Stages[1].In, s.Stages[1].Out})
	assert.InDelta(t, 1, s.Stages[1].Busy, 1e-9)
	assert.Equal(t, sec, s.Stages[1].Run.Max)
	assert.Equal(t, 4*sec, s.Stages[1].Wait.Max)
	holdsBack(t, s, "through")
}

// What a run leaves behind is counted as far as it came.
func TestReportOfRunsThatEndEarly(t *testing.T) {
	for _, st := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			var r pipeline.Report
			f := pipeline.Map(pipeline.From(naturals), sleepFor(sec), st.opts...)
			n := 0
			for _, err := range f.All(t.Context(), pipeline.ReportTo(&r)) {
				assert.NoError(t, err)
				if n++; n == 20 {
					break
				}
			}
			s := r.Snapshot()
			assert.True(t, s.Done, st.name)
			soundReport(t, s)
			assert.EqualValues(t, 20, s.Stages[2].In)
			assert.Greater(t, s.Stages[1].Busy, 0.5, st.name)

			ctx, cancel := context.WithTimeout(t.Context(), 10*sec)
			defer cancel()
			assert.ErrorIs(t, pipeline.Map(pipeline.From(naturals), sleepFor(20*sec), st.opts...).Run(ctx, pipeline.ReportTo(&r)), context.DeadlineExceeded)
			s = r.Snapshot()
			assert.True(t, s.Done, st.name)
			assert.Equal(t, 20*sec, s.Elapsed, "a call that does not heed its context is waited for")
			soundReport(t, s)
			assert.InDelta(t, 1, s.Stages[1].Busy, 1e-9)
			assert.Equal(t, 20*sec, s.Stages[1].Run.P50)

			assert.ErrorIs(t, pipeline.Map(pipeline.From(naturals), failAt(9), st.opts...).Run(t.Context(), pipeline.ReportTo(&r)), errBoom)
			s = r.Snapshot()
			assert.True(t, s.Done, st.name)
			assert.Positive(t, s.Stages[1].Errors)

			assert.Panics(t, func() {
				for _, err := range f.All(t.Context(), pipeline.ReportTo(&r)) {
					assert.NoError(t, err)
					time.Sleep(sec)
					panic("the loop's own")
				}
			})
			s = r.Snapshot()
			assert.True(t, s.Done, st.name)
			soundReport(t, s)
			assert.Greater(t, s.Elapsed, sec)
		})
	}
}
