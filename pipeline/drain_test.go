package pipeline_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/result"
)

// until returns a context that ends by itself after d.
func until(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(d, cancel)
	t.Cleanup(func() {
		stop.Stop()
		cancel()
	})
	return ctx
}

// done is a context that has ended.
func done(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("not to be seen"))
	return ctx
}

// everySecond gives 0 at once, 1 after a second, and so on without end.
func everySecond(yield func(int) bool) {
	for i := 0; yield(i); i++ {
		time.Sleep(sec)
	}
}

// drainTerminals run a flow and return what came out.
var drainTerminals = map[string]func(context.Context, pipeline.Flow[int], pipeline.RunOption) ([]int, error){
	"Collect": func(ctx context.Context, f pipeline.Flow[int], o pipeline.RunOption) ([]int, error) {
		return f.Collect(ctx, o)
	},
	"Run": func(ctx context.Context, f pipeline.Flow[int], o pipeline.RunOption) ([]int, error) {
		var all []int
		err := f.Tap(func(v int) { all = append(all, v) }).Run(ctx, o)
		return all, err
	},
	"ForEach": func(ctx context.Context, f pipeline.Flow[int], o pipeline.RunOption) ([]int, error) {
		var all []int
		err := f.ForEach(ctx, func(_ context.Context, v int) error {
			all = append(all, v)
			return nil
		}, o)
		return all, err
	},
	"All": func(ctx context.Context, f pipeline.Flow[int], o pipeline.RunOption) (all []int, err error) {
		for v, failed := range f.All(ctx, o) {
			if failed != nil {
				err = failed
				continue
			}
			all = append(all, v)
		}
		return all, err
	},
	"Results": func(ctx context.Context, f pipeline.Flow[int], o pipeline.RunOption) (all []int, err error) {
		for r := range f.Results(ctx, o) {
			if r.Err != nil {
				err = r.Err
				continue
			}
			all = append(all, r.Value)
		}
		return all, err
	},
}

// A drain stops the intake and finishes what is in flight, in every terminal and way to
// run a stage: no call is cut, and there is no error.
func TestDrainFinishesWhatIsInFlight(t *testing.T) {
	for name, run := range drainTerminals {
		for _, s := range stages {
			t.Run(name+" "+s.name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					slow := func(ctx context.Context, v int) (int, error) {
						time.Sleep(10 * sec)
						return v, ctx.Err()
					}
					given := 0
					source := func(yield func(int) bool) {
						for v := range everySecond {
							given++
							if !yield(v) {
								return
							}
						}
					}
					got, err := run(t.Context(), pipeline.Map(pipeline.From(source), slow, s.opts...), pipeline.Drain(until(t, 3*sec+sec/2)))
					require.NoError(t, err)
					slices.Sort(got)
					assert.Equal(t, numbers(given), got, "all that was given")
					if s.workers == 0 {
						assert.Equal(t, 1, given, "the first call was still going on")
					} else {
						assert.LessOrEqual(t, given, 5, "0 to 3, and the one that the source was about to give")
						assert.GreaterOrEqual(t, given, 2)
					}
				})
			})
		}
	}
}

// Of a drain that is done nothing is taken, also of sources that serve one run: it is
// left to the next.
func TestDrainThatIsDone(t *testing.T) {
	for name, run := range drainTerminals {
		for _, s := range stages {
			never := func(func(int) bool) { t.Error("the source runs") }
			got, err := run(t.Context(), pipeline.Map(pipeline.From(never), same, s.opts...), pipeline.Drain(done(t)))
			require.NoError(t, err, name)
			assert.Empty(t, got)
		}
	}
	c := make(chan int, 3)
	c <- 1
	close(c)
	f := pipeline.FromChan(c)
	got, err := f.Collect(t.Context(), pipeline.Drain(done(t)))
	require.NoError(t, err)
	assert.Empty(t, got)
	got, err = f.Collect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{1}, got)
}

// A cancel counts, before a drain, with it and after it.
func TestDrainAndCancel(t *testing.T) {
	for name, run := range drainTerminals {
		for _, s := range stages {
			t.Run(name+" "+s.name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					pipelinetest.NoLeak(t)
					for _, drain := range []time.Duration{sec / 2, 3 * sec} {
						ctx, cancel := context.WithCancelCause(t.Context())
						time.AfterFunc(2*sec, func() { cancel(errStop) })
						start := time.Now()
						flow := pipeline.Map(pipeline.From(everySecond), func(ctx context.Context, _ int) (int, error) {
							<-ctx.Done()
							return 0, context.Cause(ctx)
						}, s.opts...)
						got, err := run(ctx, flow, pipeline.Drain(until(t, drain)))
						require.ErrorIs(t, err, errStop)
						assert.Empty(t, got)
						assert.LessOrEqual(t, time.Since(start), 3*sec, "the source may sleep")
					}

					ctx, cancel := context.WithCancelCause(t.Context())
					cancel(errStop)
					got, err := run(ctx, pipeline.From(naturals), pipeline.Drain(ctx))
					if name != "Results" { // which has nothing to give
						require.Equal(t, errStop, err)
					}
					assert.Empty(t, got)
				})
			})
		}
	}
}

// A drain behind the last value changes nothing.
func TestDrainBehindTheEnd(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		got, err := pipeline.Map(pipeline.From(upTo(10)), sleepFor(sec), pipeline.Workers(2), pipeline.Ordered()).
			Collect(t.Context(), pipeline.Drain(until(t, 2*sec)))
		require.NoError(t, err)
		assert.Equal(t, numbers(10), got)
	})
}

// Failures while a run drains are failures.
func TestAFailureWhileItDrains(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			err := pipeline.Map(pipeline.From(everySecond), func(context.Context, int) (int, error) {
				time.Sleep(10 * sec)
				return 0, errBoom
			}, s.opts...).Run(t.Context(), pipeline.Drain(until(t, sec/2)))
			var failed *pipeline.StageError
			require.ErrorAs(t, err, &failed, s.name)
			require.ErrorIs(t, err, errBoom)
		})
	}
}

// What holds something back passes it on when the run drains.
func TestDrainFlushes(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		stop := 2*sec + sec/2 // 0, 1 and 2 have come; 3 is about to
		drain := func(f pipeline.Flow[[]int]) [][]int {
			got, err := f.Collect(t.Context(), pipeline.Drain(until(t, stop)))
			require.NoError(t, err)
			return got
		}
		c := pipeline.From(everySecond)
		assert.Equal(t, [][]int{{0, 1, 2, 3}}, drain(pipeline.Batch(c, 10, 0)))
		assert.Equal(t, [][]int{{0, 1, 2, 3}}, drain(pipeline.Batch(c, 10, time.Hour)))
		assert.Equal(t, [][]int{{0, 1, 2}, {3}}, drain(pipeline.Batch(c, 3, time.Hour)))
		assert.Equal(t, [][]int{{0, 1, 2}, {3}}, drain(pipeline.Window(c, 3, 3)))
		assert.Equal(t, [][]int{{0, 1, 2, 3}}, drain(pipeline.Reduce(c, nil, func(_ context.Context, all []int, v int) ([]int, error) {
			return append(all, v), nil
		})))
		groups, err := pipeline.GroupBy(c, 10, func(v int) int { return v % 2 }, func(_ context.Context, sum, v int) (int, error) {
			return sum + v, nil
		}).Collect(t.Context(), pipeline.Drain(until(t, stop)))
		require.NoError(t, err)
		assert.Equal(t, []pipeline.Group[int, int]{{Key: 0, Value: 2, Count: 2}, {Key: 1, Value: 4, Count: 2}}, groups)
	})
}

// Sources that can be told are told at once, and what they have by then is passed on.
func TestDrainOfEachSource(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := make(chan int)
		go func() {
			c <- 0
			c <- 1
		}()
		start := time.Now()
		take := func(f pipeline.Flow[int]) []int {
			got, err := f.Collect(t.Context(), pipeline.Drain(until(t, sec)))
			require.NoError(t, err)
			return got
		}
		assert.Equal(t, []int{0, 1}, take(pipeline.FromChan(c)))
		assert.Equal(t, sec, time.Since(start))

		for _, last := range []func(ctx context.Context) (int, error){
			func(ctx context.Context) (int, error) { return 0, ctx.Err() },
			func(ctx context.Context) (int, error) { return 0, context.Cause(ctx) },
			func(context.Context) (int, error) { return 0, io.EOF },
			func(context.Context) (int, error) { return 7, nil },
		} {
			next := 0
			start = time.Now()
			got := take(pipeline.FromFunc(func(ctx context.Context) (int, error) {
				if next++; next < 3 {
					return next, nil
				}
				<-ctx.Done()
				return last(ctx)
			}))
			assert.Equal(t, []int{1, 2}, got[:2])
			if len(got) > 2 {
				assert.Equal(t, []int{7}, got[2:])
			}
			assert.Equal(t, sec, time.Since(start))
		}

		pairs := func(yield func(int, error) bool) {
			for v := range everySecond {
				if !yield(v, nil) {
					return
				}
			}
		}
		assert.Equal(t, []int{0, 1}, take(pipeline.FromSeq2(pairs).Filter(func(int) bool {
			time.Sleep(sec / 4)
			return true
		})))
	})
}

// Lines are read no further.
func TestDrainOfLines(t *testing.T) {
	stop, cancel := context.WithCancel(t.Context())
	got, err := pipeline.Lines(strings.NewReader("a\nb\nc\n")).Tap(func(line string) {
		if line == "b" {
			cancel()
		}
	}).Collect(t.Context(), pipeline.Drain(stop))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, got)
}

// All sources of a run drain, wherever they stand.
func TestDrainOfManySources(t *testing.T) {
	even := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return f.Filter(func(v int) bool { return v%2 == 0 })
	}
	slow := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(f, sleepFor(5*sec), pipeline.Workers(3), pipeline.Ordered())
	}
	pick := func(v int) int { return v % 2 }
	source := func() pipeline.Flow[int] { return pipeline.From(everySecond) }
	less := func(a, b int) bool { return a < b }
	sum := func(_ context.Context, p pipeline.Pair[int, int]) (int, error) { return p.A + p.B, nil }
	for name, flow := range map[string]pipeline.Flow[int]{
		"Merge":        pipeline.Merge(source(), slow(source()), source().Buffer(1)),
		"MergeOrdered": pipeline.MergeOrdered(less, source(), slow(source())),
		"Zip":          pipeline.Map(pipeline.Zip(source(), slow(source())), sum),
		"Broadcast":    pipeline.Broadcast(source(), even, slow),
		"Route":        pipeline.Route(source(), pick, even, slow),
		"Partition":    pipeline.Partition(source(), 3, pick, slow),
		"both":         pipeline.Merge(pipeline.Broadcast(source(), even, slow), pipeline.Map(pipeline.Zip(source(), source()), sum)),
		"Take":         pipeline.Merge(source().Take(2), source()),
	} {
		for terminal, run := range drainTerminals {
			t.Run(name+" "+terminal, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					pipelinetest.NoLeak(t)
					start := time.Now()
					got, err := run(t.Context(), flow, pipeline.Drain(until(t, 4*sec+sec/2)))
					require.NoError(t, err)
					assert.GreaterOrEqual(t, len(got), 3)
					assert.Less(t, time.Since(start), 30*sec)
				})
			})
		}
	}
}

// Each run drains by itself, and one that was drained leaves the flow as it was.
func TestDrainIsOfOneRun(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.From(upTo(10)).Tap(func(int) { time.Sleep(sec) })
		ended := make(chan []int)
		go func() {
			got, err := f.Collect(t.Context())
			assert.NoError(t, err)
			ended <- got
		}()
		got, err := f.Collect(t.Context(), pipeline.Drain(until(t, 2*sec+sec/2)))
		require.NoError(t, err)
		assert.Equal(t, numbers(3), got)
		assert.Equal(t, numbers(10), <-ended)
	})
}

// A loop over a flow that drains can be left, and ranged over again.
func TestALoopThatDrainsCanBeLeft(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		pipelinetest.NoLeak(t)
		seq := pipeline.Map(pipeline.From(everySecond), sleepFor(sec), pipeline.Workers(2)).
			Results(t.Context(), pipeline.Drain(until(t, 3*sec)))
		for r := range seq {
			require.NoError(t, r.Err)
			break
		}
		var rest []result.Result[int]
		rest = slices.AppendSeq(rest, seq)
		assert.NotEmpty(t, rest)
		assert.Empty(t, slices.Collect(seq), "it is done by now")
	})
}

// A sequence that goes on behind yield's false, because the run drains, is no failure.
func TestDrainOfASequenceThatGoesOn(t *testing.T) {
	for name, run := range drainTerminals {
		stop, drain := context.WithCancel(t.Context())
		got, err := run(t.Context(), pipeline.From(func(yield func(int) bool) {
			yield(1)
			drain()
			yield(2)
			yield(3)
		}), pipeline.Drain(stop))
		require.NoError(t, err, name)
		assert.Equal(t, []int{1, 2}, got, name)
	}
}
