package pipeline_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
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

// eachFailure calls test for each kind of stage, each way to run it, and each way to fail.
func eachFailure(t *testing.T, test func(t *testing.T, k policied, w policiedWay, f failure)) {
	t.Helper()
	for _, k := range policiedKinds {
		for _, w := range k.ways() {
			for _, f := range breakages {
				if f.plain && !k.errors {
					continue
				}
				t.Run(k.name+" "+w.name+" "+f.name, func(t *testing.T) { test(t, k, w, f) })
			}
		}
	}
}

// survivors are the inputs below n that do not fail.
func survivors(n int) []int { return slices.DeleteFunc(numbers(n), thirds) }

// An input that is skipped or dead leaves its place, in every kind of stage, and is
// counted, and a letter tells of it.
func TestOnErrorDropsTheInput(t *testing.T) {
	const n = 90
	eachFailure(t, func(t *testing.T, k policied, w policiedWay, f failure) {
		pipelinetest.NoLeak(t)
		do := func(_ context.Context, v int) error {
			if thirds(v) {
				return f.do()
			}
			return nil
		}
		var box letterBox
		for _, policy := range []pipeline.ErrorPolicy{pipeline.Skip, pipeline.DeadLetter(box.put)} {
			flow := k.between(n, do, w.with(pipeline.OnError(policy))...)
			var report pipeline.Report
			got, err := flow.Collect(t.Context(), pipeline.ReportTo(&report))
			require.NoError(t, err)
			var kept []int
			for r := range flow.Results(t.Context()) {
				require.NoError(t, r.Err)
				kept = append(kept, r.Value)
			}
			if !w.ordered {
				slices.Sort(got)
				slices.Sort(kept)
			}
			require.Equal(t, survivors(n), got)
			require.Equal(t, survivors(n), kept)

			st := statsOf(&report, k.name)
			assert.EqualValues(t, n/3, st.Errors)
			letters := box.take()
			if policy == pipeline.ErrorPolicy(pipeline.Skip) {
				assert.EqualValues(t, n/3, st.Skipped)
				assert.Zero(t, st.Dead)
				require.Empty(t, letters)
				continue
			}
			assert.EqualValues(t, n/3, st.Dead)
			assert.Zero(t, st.Skipped)
			require.Len(t, letters, 2*n/3, "of two runs")
			attempts := 1
			if k.name == "throttle" {
				attempts = 0
			}
			for i, l := range letters {
				v := 3*(i/2) + 1
				require.True(t, f.is(l.Err), "%v", l.Err)
				require.False(t, l.Timing.Queued.IsZero(), "also in Collect")
				l.Err, l.Timing = nil, result.Timing{}
				require.Equal(t, pipeline.Letter{Stage: k.name, Index: v, Input: v, Attempts: attempts}, l)
			}
		}
	})
}

func TestForEachDropsTheInput(t *testing.T) {
	for _, s := range stages {
		for _, f := range breakages {
			if s.workers == 0 && f.name == "Goexit" {
				continue // it ends the caller's goroutine
			}
			t.Run(s.name+" "+f.name, func(t *testing.T) {
				var box letterBox
				err := pipeline.From(upTo(30)).ForEach(t.Context(), func(_ context.Context, v int) error {
					if thirds(v) {
						return f.do()
					}
					return nil
				}, options(append(slices.Clip(s.opts), pipeline.OnError(pipeline.DeadLetter(box.put)), pipeline.Named("write")))...)
				require.NoError(t, err)
				letters := box.take()
				require.Len(t, letters, 10)
				for i, l := range letters {
					assert.Equal(t, []any{"write", 3*i + 1, 3*i + 1, 1}, []any{l.Stage, l.Index, l.Input, l.Attempts})
					assert.True(t, f.is(l.Err))
				}
			})
		}
	}
}

// A function of a DeadLetter that does not return is the failure of the input, once,
// wherever that failed, and the stage goes on behind it.
func TestADeadLetterThatDoesNotReturn(t *testing.T) {
	const n = 30
	eachFailure(t, func(t *testing.T, k policied, w policiedWay, f failure) {
		pipelinetest.NoLeak(t)
		for _, last := range breakages[1:] {
			opts := w.with(pipeline.OnError(pipeline.DeadLetter(func(pipeline.Letter) { _ = last.do() })))
			flow := k.between(n, func(_ context.Context, v int) error {
				if thirds(v) {
					return f.do()
				}
				return nil
			}, opts...)
			var report pipeline.Report
			var kept, lost []int
			for r := range flow.Results(t.Context(), pipeline.ReportTo(&report)) {
				if r.Err == nil {
					kept = append(kept, r.Value)
					continue
				}
				lost = append(lost, r.Index)
				var failed *pipeline.StageError
				require.ErrorAs(t, r.Err, &failed)
				require.Equal(t, []any{k.name, r.Index}, []any{failed.Stage, failed.Index})
				require.True(t, last.is(failed.Err), "%v", failed.Err)
			}
			slices.Sort(kept)
			slices.Sort(lost)
			require.Equal(t, survivors(n), kept, last.name)
			require.Equal(t, slices.DeleteFunc(numbers(n), func(v int) bool { return !thirds(v) }), lost, last.name)
			st := statsOf(&report, k.name)
			assert.Equal(t, []uint64{n / 3, 0, 0}, []uint64{st.Errors, st.Dead, st.Skipped})

			_, err := flow.Collect(t.Context())
			var failed *pipeline.StageError
			require.ErrorAs(t, err, &failed)
			require.True(t, thirds(failed.Index))
			require.True(t, last.is(failed.Err), "%v", failed.Err)
		}
	})
}

// The same where the limit is what refused the input: an error, a panic, a Goexit.
func TestALimitThatRefuses(t *testing.T) {
	const n = 30
	for _, k := range policiedKinds {
		if k.name == "throttle" {
			continue // its limit is its function
		}
		for _, w := range k.ways() {
			for _, f := range breakages {
				t.Run(k.name+" "+w.name+" "+f.name, func(t *testing.T) {
					pipelinetest.NoLeak(t)
					var gauge pipelinetest.Gauge
					called := pipelinetest.Gauged(&gauge, func(context.Context, int) (int, error) { return 0, nil })
					do := func(ctx context.Context, v int) error {
						_, err := called(ctx, v)
						return err
					}
					waits := 0
					lock := make(chan struct{}, 1)
					limit := waiterOf(func(context.Context) error {
						lock <- struct{}{}
						waits++
						bad := waits%3 == 0
						<-lock
						if bad {
							return f.do()
						}
						return nil
					})
					opts := w.with(pipeline.Limit(limit))
					var report pipeline.Report
					failed := 0
					for r := range k.between(n, do, opts...).Results(t.Context(), pipeline.ReportTo(&report)) {
						if r.Err == nil {
							continue
						}
						failed++
						require.True(t, f.is(errors.Unwrap(r.Err)), "%v", r.Err)
						require.Equal(t, []int{0, -1}, []int{r.Attempt, r.Worker})
					}
					assert.Equal(t, n/3, failed)
					assert.Equal(t, 2*n/3, gauge.Total(), "what was refused is not called")
					assert.EqualValues(t, n/3, statsOf(&report, k.name).Errors)

					_, err := k.between(n, do, opts...).Collect(t.Context())
					require.True(t, f.is(errors.Unwrap(err)), "%v", err)

					for _, last := range breakages {
						waits = 0
						var box letterBox
						dead := w.with(pipeline.Limit(limit), pipeline.OnError(pipeline.DeadLetter(func(l pipeline.Letter) {
							box.put(l)
							if !last.plain {
								_ = last.do()
							}
						})))
						failed = 0
						for r := range k.between(n, do, dead...).Results(t.Context()) {
							if r.Err != nil {
								failed++
								require.True(t, last.is(errors.Unwrap(r.Err)), "%v", r.Err)
							}
						}
						if last.plain {
							assert.Zero(t, failed)
						} else {
							assert.Equal(t, n/3, failed)
						}
						letters := box.take()
						require.Len(t, letters, n/3)
						for _, l := range letters {
							require.True(t, f.is(l.Err))
							require.Zero(t, l.Attempts)
							require.Equal(t, l.Index, l.Input)
						}
					}
				})
			}
		}
	}
}

// A letter tells the whole time up to the failure, through all stages, in terminals that
// show no timing too.
func TestTheTimingOfALetter(t *testing.T) {
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				start := time.Now()
				var box letterBox
				dead := func(opts ...pipeline.StageOption) []pipeline.StageOption {
					return append(append(opts, s.opts...), pipeline.OnError(pipeline.DeadLetter(box.put)))
				}
				source := pipeline.Map(pipeline.From(timed(5*sec)), sleepFor(sec))
				fails := func(context.Context, int) (int, error) {
					time.Sleep(3 * sec)
					return 0, pool.RetryAfter(errBoom, 4*sec)
				}
				twice := pool.RetryPolicy{Attempts: 2}

				require.NoError(t, pipeline.Map(source, fails, dead(pipeline.Retry(twice), pipeline.Limit(waitFor(2*sec)))...).Run(t.Context()))
				l := box.take()[0]
				assert.Equal(t, timing{5 * sec, 2 * sec, (1 + 3 + 4 + 2 + 3) * sec}, timing{l.Timing.Queued.Sub(start), l.Timing.Wait, l.Timing.Run})
				assert.Equal(t, 2, l.Attempts)

				start = time.Now()
				refuses := waiterOf(func(context.Context) error {
					time.Sleep(7 * sec)
					return errBoom
				})
				require.NoError(t, pipeline.Map(source, fails, dead(pipeline.Limit(refuses))...).Run(t.Context()))
				l = box.take()[0]
				assert.Equal(t, timing{5 * sec, 7 * sec, 1 * sec}, timing{l.Timing.Queued.Sub(start), l.Timing.Wait, l.Timing.Run})
				assert.Zero(t, l.Attempts)

				start = time.Now()
				panics := waiterOf(func(context.Context) error {
					time.Sleep(7 * sec)
					panic(errWithin)
				})
				require.NoError(t, pipeline.Map(source, fails, dead(pipeline.Limit(panics))...).Run(t.Context()))
				l = box.take()[0]
				assert.Equal(t, timing{5 * sec, 7 * sec, 1 * sec}, timing{l.Timing.Queued.Sub(start), l.Timing.Wait, l.Timing.Run})
			})
		})
	}
}

// What a DeadLetter takes is time of nobody: neither of the input nor of the next.
func TestTheTimeOfADeadLetterIsNotThatOfTheNextInput(t *testing.T) {
	for _, s := range stages {
		for _, last := range breakages[:3] {
			t.Run(s.name+" "+last.name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					slow := pipeline.DeadLetter(func(pipeline.Letter) {
						time.Sleep(time.Hour)
						if !last.plain {
							_ = last.do()
						}
					})
					var busy time.Duration
					failed := 0
					two := pipeline.FlatMap(pipeline.From(upTo(1000)).Buffer(256), evens)
					bad := pipelinetest.Inject(same[int]).On(func(v int) bool { return v%100 == 50 }, pipelinetest.Error(errBoom)).Call
					for r := range pipeline.Map(two, bad, append(slices.Clip(s.opts), pipeline.OnError(slow))...).Buffer(4096).Results(t.Context()) {
						busy += r.Timing.Run
						if r.Err != nil {
							failed++
						}
					}
					assert.Zero(t, busy)
					if last.plain {
						assert.Zero(t, failed)
					} else {
						assert.Equal(t, 20, failed)
					}
				})
			})
		}
	}
}

// The time that a limit took before it refused is Wait.
func TestARefusalIsTimedInResults(t *testing.T) {
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				refuses := waiterOf(func(context.Context) error {
					time.Sleep(7 * sec)
					return errBoom
				})
				times, all := timings(t, pipeline.Map(pipeline.From(upTo(1)), same, append(slices.Clip(s.opts), pipeline.Limit(refuses))...))
				assert.Equal(t, []timing{{0, 7 * sec, 0}}, times)
				assert.Equal(t, []int{0, -1}, []int{all[0].Attempt, all[0].Worker})
				assert.Equal(t, result.Canceled, all[0].Status(), "never started")
			})
		})
	}
}

// What fails because the run ends is for the terminal: it is neither skipped nor dead.
func TestWhatFailsAtTheEndIsNotDropped(t *testing.T) {
	for _, s := range stages {
		for _, mode := range []string{"skip", "letter"} {
			t.Run(s.name+" "+mode, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					policy := pipeline.ErrorPolicy(pipeline.Skip)
					if mode == "letter" {
						policy = pipeline.DeadLetter(func(l pipeline.Letter) { t.Errorf("letter: %+v", l) })
					}
					ctx, cancel := context.WithCancelCause(t.Context())
					flow := pipeline.Map(pipeline.From(upTo(3)), stuck[int], append(slices.Clip(s.opts), pipeline.OnError(policy))...)
					var report pipeline.Report
					time.AfterFunc(sec, func() { cancel(errStop) })
					require.Equal(t, errStop, flow.Run(ctx, pipeline.ReportTo(&report)))
					st := statsOf(&report, "map")
					assert.Zero(t, st.Skipped+st.Dead)

					ctx, cancel = context.WithCancelCause(t.Context())
					time.AfterFunc(sec, func() { cancel(errStop) })
					n := 0
					for r := range flow.Results(ctx) {
						n++
						assert.Equal(t, result.Canceled, r.Status(), "%v", r.Err)
					}
					assert.Positive(t, n)
				})
			})
		}
	}
}

// Also behind the end of a part of the run: Take has what it wants.
func TestWhatFailsBehindATakeIsNotDropped(t *testing.T) {
	for _, s := range stages[1:] {
		t.Run(s.name, func(t *testing.T) {
			letters := pipeline.DeadLetter(func(l pipeline.Letter) { t.Errorf("letter: %+v", l) })
			fn := func(ctx context.Context, v int) (int, error) {
				if v == 0 {
					return 0, nil
				}
				<-ctx.Done()
				return 0, ctx.Err()
			}
			got, err := pipeline.Map(pipeline.From(naturals), fn, append(slices.Clip(s.opts), pipeline.OnError(letters))...).
				Take(1).Collect(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []int{0}, got)
		})
	}
}

// What a sequence has given before it panics stays, and the rest of the input vanishes.
func TestASequenceThatFailsMidway(t *testing.T) {
	for _, s := range stages {
		for _, f := range breakages[1:] {
			t.Run(s.name+" "+f.name, func(t *testing.T) {
				pipelinetest.NoLeak(t)
				const outs = 100 // more than one chunk
				var box letterBox
				many := func(_ context.Context, v int) (iter.Seq[int], error) {
					return func(yield func(int) bool) {
						for i := range outs {
							if thirds(v) && i == outs/2 {
								_ = f.do()
							}
							if !yield(v*outs + i) {
								return
							}
						}
					}, nil
				}
				flow := pipeline.FlatMap(pipeline.From(upTo(9)).Buffer(4), many, append(slices.Clip(s.opts), pipeline.OnError(pipeline.DeadLetter(box.put)))...).Buffer(4)
				got, err := flow.Collect(t.Context())
				require.NoError(t, err)
				if !s.ordered {
					slices.Sort(got)
				}
				require.Equal(t, slices.DeleteFunc(numbers(9*outs), func(out int) bool {
					return thirds(out/outs) && out%outs >= outs/2
				}), got)
				letters := box.take()
				require.Len(t, letters, 3)
				for i, l := range letters {
					assert.Equal(t, []any{3*i + 1, 3*i + 1, 1}, []any{l.Index, l.Input, l.Attempts})
					assert.True(t, f.is(l.Err))
				}
			})
		}
	}
}

// The default and FailFast are the same: the first failure ends the run, and is found
// through the StageError.
func TestFailFastGivesTheFirstFailure(t *testing.T) {
	eachFailure(t, func(t *testing.T, k policied, w policiedWay, f failure) {
		for _, opts := range [][]pipeline.StageOption{w.with(), w.with(pipeline.OnError(pipeline.FailFast))} {
			flow := k.between(50, func(_ context.Context, v int) error {
				if v == 7 {
					return f.do()
				}
				return nil
			}, opts...).Named("end")
			got, err := flow.Collect(t.Context())
			require.Nil(t, got)
			var failed *pipeline.StageError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, []any{k.name, 7}, []any{failed.Stage, failed.Index})
			require.True(t, f.is(failed.Err))
			require.Equal(t, "pipeline: stage "+k.name+": input 7: "+failed.Err.Error(), err.Error())
			if f.name == "panic" {
				require.ErrorIs(t, err, errWithin)
			}
		}
	})
}

// A letter that ends the goroutine also ends the sequence of a FlatMap that is fused with
// the stage, and that is told once, as the failure of the stage.
func TestALetterThatEndsASequence(t *testing.T) {
	for _, last := range breakages[1:] {
		letter := pipeline.DeadLetter(func(pipeline.Letter) { _ = last.do() })
		fails := pipelinetest.Inject(same[int]).Always(pipelinetest.Error(errBoom)).Call
		flow := pipeline.Map(pipeline.FlatMap(pipeline.From(upTo(5)).Buffer(4), evens), fails, pipeline.OnError(letter)).Buffer(4)
		var lost []int
		for r := range flow.Results(t.Context()) {
			lost = append(lost, r.Index)
			var failed *pipeline.StageError
			require.ErrorAs(t, r.Err, &failed)
			assert.Equal(t, "map", failed.Stage)
			assert.True(t, last.is(failed.Err))
		}
		if last.name == "Goexit" {
			assert.Equal(t, []int{0, 1, 2, 3, 4}, lost)
		} else {
			assert.Equal(t, []int{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}, lost)
		}
	}
}

// A letter that calls Goexit is told once, also if an earlier one was delivered: the source
// had failed as well.
func TestALetterThatCallsGoexitIsToldOnce(t *testing.T) {
	letter := pipeline.DeadLetter(func(l pipeline.Letter) {
		if l.Index == 2 {
			runtime.Goexit()
		}
	})
	fails := func(_ context.Context, v int) (int, error) {
		if v == 1 || v == 2 {
			return v, errBoom
		}
		return v, nil
	}
	flow := pipeline.Map(pipeline.Map(pipeline.From(upTo(5)), fails, pipeline.OnError(letter)), same, pipeline.Workers(1))
	var lost []string
	for r := range flow.Results(t.Context()) {
		if r.Err != nil {
			lost = append(lost, r.Err.Error())
		}
	}
	assert.Equal(t, []string{"pipeline: stage map: input 2: function called runtime.Goexit"}, lost)
}

func TestErrorModeString(t *testing.T) {
	assert.Equal(t, "FailFast", pipeline.FailFast.String())
	assert.Equal(t, "Skip", pipeline.Skip.String())
	assert.Equal(t, "ErrorMode(7)", pipeline.ErrorMode(7).String())
	var zero pipeline.ErrorMode
	assert.Equal(t, pipeline.FailFast, zero)
}

// However a call fails and its letter does not return, the next failure is not lost: each
// combination behind each other one.
func TestFailuresOfLettersDoNotHideTheNext(t *testing.T) {
	type combination struct{ call, letter failure }
	var combinations []combination
	for _, call := range breakages {
		for _, letter := range breakages[1:] {
			combinations = append(combinations, combination{call, letter})
		}
	}
	var pairs []combination
	for _, a := range combinations {
		for _, b := range combinations {
			pairs = append(pairs, a, b)
		}
	}
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			fails := func(_ context.Context, v int) (int, error) { return v, pairs[v].call.do() }
			letter := pipeline.DeadLetter(func(l pipeline.Letter) {
				assert.True(t, pairs[l.Index].call.is(l.Err))
				_ = pairs[l.Index].letter.do()
			})
			flow := pipeline.Map(pipeline.From(upTo(len(pairs))).Buffer(4), fails, append(slices.Clip(s.opts), pipeline.OnError(letter))...)
			var lost []int
			for r := range flow.Buffer(4).Results(t.Context()) {
				lost = append(lost, r.Index)
				assert.True(t, pairs[r.Index].letter.is(errors.Unwrap(r.Err)), "%v", r.Err)
			}
			if !s.ordered {
				slices.Sort(lost)
			}
			assert.Equal(t, numbers(len(pairs)), lost)
		})
	}
}
