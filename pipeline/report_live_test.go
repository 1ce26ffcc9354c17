package pipeline_test

import (
	"context"
	"errors"
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
	"github.com/millstream-go/millstream/result"
)

func TestZeroReport(t *testing.T) {
	var r pipeline.Report
	assert.Equal(t, pipeline.Snapshot{}, r.Snapshot())
	assert.Equal(t, "There is nothing to judge: no stages.", r.String())
	text, err := r.MarshalJSON()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"stages":[]`)
}

func TestReportOptionsRefuseNonsense(t *testing.T) {
	f := pipeline.From(upTo(3))
	r := new(pipeline.Report)
	to, told := pipeline.ReportTo(r), pipeline.Progress(func(pipeline.Snapshot) {}, sec)
	for want, use := range map[string]func(){
		"pipeline: run: ReportTo: nil report":                      func() { _ = f.Run(t.Context(), pipeline.ReportTo(nil)) },
		"pipeline: collect: ReportTo given twice":                  func() { _, _ = f.Collect(t.Context(), slices.Repeat([]pipeline.RunOption{to}, 2)...) },
		"pipeline: all: Progress: nil function":                    func() { f.All(t.Context(), pipeline.Progress(nil, sec)) },
		"pipeline: results: Progress: every 0s: want more than 0":  func() { f.Results(t.Context(), pipeline.Progress(func(pipeline.Snapshot) {}, 0)) },
		"pipeline: foreach: Progress: every -1s: want more than 0": func() { _ = f.ForEach(t.Context(), ignore, pipeline.Progress(func(pipeline.Snapshot) {}, -sec)) },
		"pipeline: run: Progress given twice": func() {
			_ = f.Run(t.Context(), slices.Repeat([]pipeline.RunOption{told}, 2)...)
		},
	} {
		assert.Equal(t, want, message(use))
	}
	assert.Equal(t, pipeline.Snapshot{}, r.Snapshot(), "nothing has run")
}

// What is under way shows, by the second.
func TestReportWhileItRuns(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			var r pipeline.Report
			done := make(chan error)
			go func() {
				done <- pipeline.Map(pipeline.From(upTo(1)), sleepFor(10*sec), s.opts...).Run(t.Context(), pipeline.ReportTo(&r))
			}()
			time.Sleep(4 * sec)
			synctest.Wait()
			got := r.Snapshot()
			soundReport(t, got)
			assert.False(t, got.Done)
			assert.Equal(t, 4*sec, got.Elapsed)
			assert.InDelta(t, 1/float64(max(1, s.workers)), got.Stages[1].Busy, 1e-9, "%s: the call goes on", s.name)
			assert.Equal(t, []uint64{1, 0}, []uint64{got.Stages[1].In, got.Stages[1].Out}, s.name)
			assert.Zero(t, got.Stages[1].Run, "%s: and is not measured yet", s.name)
			assert.Contains(t, r.String(), "running for 4s")
			require.NoError(t, <-done)
			assert.Equal(t, 10*sec, r.Snapshot().Stages[1].Run.P50)
			assert.Contains(t, r.String(), "done in 10s")
		})
	}
}

// What waits shows too: four inputs in the queue and the others on the way.
func TestReportOfQueuesWhileItRuns(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		f := pipeline.Map(pipeline.From(naturals), stuck[int], pipeline.Workers(2), pipeline.Buffer(4))
		go func() { done <- f.Run(ctx, pipeline.ReportTo(&r)) }()
		time.Sleep(8 * sec)
		s := r.Snapshot()
		soundReport(t, s)
		assert.Equal(t, [3]int{4, 4, 4}, [3]int{s.Stages[1].Queue, s.Stages[1].PeakQueue, s.Stages[1].Buffer})
		assert.EqualValues(t, 2, s.Stages[1].In)
		assert.InDelta(t, 1, s.Stages[0].Blocked, 1e-9)
		assert.Contains(t, s.String(), "4/4/4")
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
		assert.Zero(t, r.Snapshot().Stages[1].Errors-2, "the two that were called")
	})
}

// While everything moves, many read; no stage has taken more than was given, and nothing
// goes back.
func TestReportReadByMany(t *testing.T) {
	for _, s := range stages {
		var r pipeline.Report
		var over atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				last := make([]uint64, 8)
				for !over.Load() {
					got := r.Snapshot()
					soundReport(t, got)
					_ = got.String()
					for i, st := range got.Stages {
						if st.In < last[2*i] || st.Out < last[2*i+1] {
							assert.Fail(t, "a count has gone back")
						}
						last[2*i], last[2*i+1] = st.In, st.Out
					}
					runtime.Gosched()
				}
			})
		}
		n := 30_000
		if raceEnabled {
			n /= 10
		}
		f := pipeline.Map(pipeline.Map(pipeline.From(upTo(n)), same, s.opts...), same, s.opts...)
		assert.NoError(t, f.Run(t.Context(), pipeline.ReportTo(&r)), s.name)
		over.Store(true)
		wg.Wait()
		got := r.Snapshot()
		for i, st := range got.Stages {
			if i > 0 {
				assert.EqualValues(t, n, st.In, s.name)
			}
			if i < 3 {
				assert.EqualValues(t, n, st.Out, s.name)
			}
		}
	}
}

// A run of its own for each: what one does is not in the report of another.
func TestReportsOfRunsAtOnce(t *testing.T) {
	f := pipeline.Map(pipeline.From(upTo(1000)), same, pipeline.Workers(3))
	f = pipeline.Map(f, same)
	reports := make([]pipeline.Report, 8)
	var shared pipeline.Report
	var wg sync.WaitGroup
	for i := range reports {
		wg.Go(func() {
			assert.NoError(t, f.Take(100*(i+1)).Run(t.Context(), pipeline.ReportTo(&reports[i])))
			assert.NoError(t, f.Run(t.Context(), pipeline.ReportTo(&shared)))
		})
	}
	wg.Wait()
	for i := range reports {
		s := reports[i].Snapshot()
		require.Len(t, s.Stages, 5)
		assert.EqualValues(t, 100*(i+1), s.Stages[4].In)
		assert.True(t, s.Done)
	}
	assert.EqualValues(t, 1000, shared.Snapshot().Stages[3].In)
}

// The report tells of the run that was started last, also if another one is still on.
func TestReportTakesTheLastRun(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var r pipeline.Report
		done := make(chan error)
		go func() { done <- pipeline.From(makesIn(sec, 10)).Run(t.Context(), pipeline.ReportTo(&r)) }()
		time.Sleep(sec / 2)
		require.NoError(t, pipeline.From(makesIn(sec, 3)).Named("late").Run(t.Context(), pipeline.ReportTo(&r)))
		require.NoError(t, <-done)
		assert.Equal(t, "late", r.Snapshot().Stages[0].Name)
		assert.Equal(t, 3*sec, r.Snapshot().Elapsed)
	})
}

// One may change a snapshot without another one changing.
func TestSnapshotsOfAReportAreApart(t *testing.T) {
	var r pipeline.Report
	require.NoError(t, pipeline.From(upTo(3)).Run(t.Context(), pipeline.ReportTo(&r)))
	a, b := r.Snapshot(), r.Snapshot()
	a.Stages[0].Out = 99
	assert.EqualValues(t, 3, b.Stages[0].Out)
	assert.EqualValues(t, 3, r.Snapshot().Stages[0].Out)
}

// A report that is kept keeps nothing else.
func TestReportHoldsNothingBack(t *testing.T) {
	type big struct{ _ [1 << 20]byte }
	var r pipeline.Report
	gone := make(chan struct{})
	func() {
		used := new(big)
		runtime.AddCleanup(used, func(int) { close(gone) }, 0)
		f := pipeline.Map(pipeline.FromSlice([]*big{used}), func(_ context.Context, v *big) (*big, error) {
			_ = used
			return v, nil
		}, pipeline.Workers(1), pipeline.OnError(pipeline.DeadLetter(func(pipeline.Letter) { _ = *used })))
		require.NoError(t, f.Run(t.Context(), pipeline.ReportTo(&r)))
	}()
	assert.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	}, 20*sec, time.Millisecond)
	assert.True(t, r.Snapshot().Done)
}

// toldOf returns what Progress tells of a run of ten seconds.
func toldOf(t *testing.T, f pipeline.Flow[int], every time.Duration) []pipeline.Snapshot {
	t.Helper()
	var told []pipeline.Snapshot
	start := time.Now()
	assert.NoError(t, f.Run(t.Context(), pipeline.Progress(func(s pipeline.Snapshot) {
		assert.Equal(t, time.Since(start), s.Elapsed)
		told = append(told, s)
	}, every)))
	return told
}

func TestProgressTellsEverySoOften(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(makesIn(sec, 10)), sleepFor(0), s.opts...)
			told := toldOf(t, f, 3*sec)
			require.Len(t, told, 4, s.name)
			for i, at := range []time.Duration{3 * sec, 6 * sec, 9 * sec, 10 * sec} {
				assert.Equal(t, at, told[i].Elapsed, s.name)
				assert.Equal(t, i == 3, told[i].Done, s.name)
				soundReport(t, told[i])
			}
			assert.EqualValues(t, 10, told[3].Stages[2].In, s.name)

			told = toldOf(t, f, sec)
			assert.GreaterOrEqual(t, len(told), 10)
			for i, s := range told {
				assert.Equal(t, i == len(told)-1, s.Done, "Done comes once, and last")
			}

			told = toldOf(t, f, time.Minute)
			require.Len(t, told, 1, "none in between")
			assert.True(t, told[0].Done)
		})
	}
}

// Who is slow to be told holds up nobody but the end.
func TestProgressThatIsSlow(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		var r pipeline.Report
		require.NoError(t, pipeline.From(makesIn(sec, 10)).Run(t.Context(), pipeline.ReportTo(&r), pipeline.Progress(func(s pipeline.Snapshot) {
			calls++
			time.Sleep(4 * sec)
		}, sec)))
		assert.Equal(t, 10*sec, r.Snapshot().Elapsed, "the run itself")
		// Told at 1, 5 and 9 seconds, and at 13 of the end.
		assert.Equal(t, 17*sec, time.Since(start))
		assert.Equal(t, 4, calls)
	})
}

func TestProgressOfALoopLeftEarly(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			var last pipeline.Snapshot
			tell := pipeline.Progress(func(s pipeline.Snapshot) { last = s }, time.Minute)
			for _, err := range pipeline.Map(pipeline.From(naturals), sleepFor(sec), s.opts...).All(t.Context(), tell) {
				assert.NoError(t, err)
				break
			}
			assert.True(t, last.Done, s.name)
			assert.EqualValues(t, 1, last.Stages[2].In)

			last = pipeline.Snapshot{}
			assert.Panics(t, func() {
				for range pipeline.Map(pipeline.From(naturals), sleepFor(sec), s.opts...).Results(t.Context(), tell) {
					panic("mine")
				}
			})
			assert.True(t, last.Done, s.name)

			last = pipeline.Snapshot{}
			ended := make(chan struct{})
			go func() { // the loop's goroutine ends in the body
				defer close(ended)
				for range pipeline.Map(pipeline.From(naturals), sleepFor(sec), s.opts...).Results(t.Context(), tell) {
					runtime.Goexit()
				}
			}()
			<-ended
			assert.True(t, last.Done, s.name)
		})
	}
}

// Whoever does not return from being told has failed the run, or, in Results, itself.
func TestProgressThatDoesNotReturn(t *testing.T) {
	for name, fault := range map[string]struct {
		tell  func()
		check func(error) bool
	}{
		"panic": {func() { panic("boom") }, func(err error) bool {
			e, ok := errors.AsType[*result.PanicError](err)
			return ok && e.Value == "boom"
		}},
		"goexit": {runtime.Goexit, func(err error) bool { return errors.Is(err, pipeline.ErrGoexit) }},
	} {
		for _, s := range stages {
			for _, late := range []bool{false, true} {
				testkit.Bubble(t, func(t *testing.T) {
					calls := 0
					tell := pipeline.Progress(func(s pipeline.Snapshot) {
						calls++
						if s.Done == late {
							fault.tell()
						}
					}, 1500*time.Millisecond)
					check := func(err error) {
						t.Helper()
						at, ok := errors.AsType[*pipeline.StageError](err)
						if assert.True(t, ok, "%s, %s: %v", name, s.name, err) {
							assert.Equal(t, "progress", at.Stage)
							assert.Equal(t, -1, at.Index)
							assert.True(t, fault.check(err), "%v", err)
						}
					}
					f := pipeline.Map(pipeline.From(makesIn(sec, 4)), same, s.opts...)
					start := time.Now()
					values, err := f.Collect(t.Context(), tell)
					check(err)
					assert.Nil(t, values)
					if late {
						assert.Equal(t, 4*sec, time.Since(start))
						assert.Equal(t, 3, calls)
					} else {
						assert.Equal(t, 2*sec, time.Since(start), "nothing new is started")
						assert.Equal(t, 1, calls, "it is told no more")
					}
					for _, err = range f.All(t.Context(), tell) { // the last one counts
					}
					check(err)

					n := 0
					var last result.Result[int]
					for last = range f.Results(t.Context(), tell) {
						n++
					}
					assert.Equal(t, 5, n, "all of them, and the failure")
					check(last.Err)
				})
			}
		}
	}
}

func TestProgressLeavesNothingBehind(t *testing.T) {
	pipelinetest.NoLeak(t)
	for range 20 {
		f := pipeline.Map(pipeline.From(upTo(100)), same, pipeline.Workers(2))
		assert.NoError(t, f.Run(t.Context(), pipeline.Progress(func(pipeline.Snapshot) {}, time.Millisecond)))
	}
}

// With a report a run allocates for its stages, and not for its items.
func TestReportAllocatesNothingPerItem(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const few, many = 10_000, 40_000
	r := new(pipeline.Report)
	to := pipeline.ReportTo(r)
	for _, s := range stages {
		for kind, build := range map[string]func(n int) func(){
			"Run": func(n int) func() {
				f := pipeline.Map(pipeline.Map(pipeline.From(upTo(n)), same, s.opts...), same, s.opts...)
				return func() { _ = f.Run(t.Context(), to) }
			},
			"Results": func(n int) func() {
				f := pipeline.Map(pipeline.From(upTo(n)), same, s.opts...).Filter(isEven).Tap(func(int) {})
				return func() {
					for range f.Results(t.Context(), to, pipeline.Progress(func(pipeline.Snapshot) {}, time.Hour)) {
					}
				}
			},
		} {
			short := testing.AllocsPerRun(2, build(few))
			long := testing.AllocsPerRun(2, build(many))
			assert.Less(t, (long-short)/(many-few), 0.003, "%s, %s: %v for %d, %v for %d", s.name, kind, short, few, long, many)
		}
	}
}

// Without one nothing of it is there, whatever the terminal is.
func TestNoReportAllocatesNothingMore(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f := pipeline.From(upTo(100))
	for range 2 {
		f = pipeline.Map(f, same)
	}
	without := testing.AllocsPerRun(20, func() { _ = f.Run(t.Context()) })
	assert.LessOrEqual(t, without, 45.0, "a run of three stages")
	var r pipeline.Report
	with := testing.AllocsPerRun(20, func() { _ = f.Run(t.Context(), pipeline.ReportTo(&r)) })
	assert.Greater(t, with, without+4*2, "each of four stages has a meter and a probe")
}
