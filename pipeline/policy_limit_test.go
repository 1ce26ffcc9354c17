package pipeline_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// Waiting for limits is Wait, one limit after the other, and the call is Run.
func TestWaitingForALimitIsNotRun(t *testing.T) {
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var order []string
				var mu sync.Mutex
				named := func(name string, d time.Duration) pipeline.Waiter {
					return waiterOf(func(ctx context.Context) error {
						mu.Lock()
						order = append(order, name)
						mu.Unlock()
						return waitFor(d).Wait(ctx)
					})
				}
				limits := pipeline.Limit(named("a", sec), named("b", 2*sec))
				var report pipeline.Report
				for r := range pipeline.Map(pipeline.FromSlice([]int{1}), sleepFor(4*sec), append(slices.Clip(s.opts), limits)...).
					Results(t.Context(), pipeline.ReportTo(&report)) {
					assert.Equal(t, []time.Duration{3 * sec, 4 * sec}, []time.Duration{r.Timing.Wait, r.Timing.Run})
				}
				assert.Equal(t, []string{"a", "b"}, order)
				st := statsOf(&report, "map")
				assert.Equal(t, []time.Duration{4 * sec}, []time.Duration{st.Run.Max})
				assert.InDelta(t, 3.0/4, st.Limited/st.Busy, 1e-6)
			})
		})
	}
}

// The second limit is not asked if the first one refuses.
func TestTheFirstLimitThatRefusesCounts(t *testing.T) {
	for _, s := range stages {
		never := waiterOf(func(context.Context) error {
			t.Error("asked")
			return nil
		})
		err := pipeline.Map(pipeline.From(upTo(1)), same, append(slices.Clip(s.opts),
			pipeline.Limit(waiterOf(func(context.Context) error { return errBoom }), never))...).Run(t.Context())
		require.EqualError(t, err, "pipeline: stage map: input 0: boom", s.name)
	}
}

// An input whose limit is waited for when the run ends comes as canceled with the cause,
// whatever the limit says of it, and is neither skipped nor dead.
func TestCancelWhileWaitingForALimit(t *testing.T) {
	for _, k := range policiedKinds {
		for _, w := range k.ways() {
			t.Run(k.name+" "+w.name, func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					letters := pipeline.OnError(pipeline.DeadLetter(func(l pipeline.Letter) { t.Errorf("letter: %+v", l) }))
					own := waiterOf(func(ctx context.Context) error {
						<-ctx.Done()
						return errors.New("its own words")
					})
					deaf := waiterOf(func(context.Context) error {
						time.Sleep(time.Hour)
						return nil
					})
					for _, limit := range []pipeline.Waiter{waitFor(2 * time.Hour), own, deaf} {
						for _, opts := range [][]pipeline.StageOption{w.with(), w.with(letters)} {
							do := func(context.Context, int) error {
								t.Error("called")
								return nil
							}
							if k.name == "throttle" {
								do = func(ctx context.Context, _ int) error { return limit.Wait(ctx) }
							} else {
								opts = append(opts, pipeline.Limit(limit))
							}
							flow := k.between(2, do, opts...)
							ctx, cancel := context.WithTimeoutCause(t.Context(), sec, errStop)
							var report pipeline.Report
							require.Equal(t, errStop, flow.Run(ctx, pipeline.ReportTo(&report)))
							cancel()
							st := statsOf(&report, k.name)
							assert.Zero(t, st.Errors+st.Dead+st.Skipped)

							ctx, cancel = context.WithTimeoutCause(t.Context(), sec, errStop)
							n := 0
							for r := range flow.Results(ctx) {
								if r.Err == nil {
									continue // what a GroupBy has by then
								}
								n++
								require.Equal(t, errStop, r.Err)
								assert.Equal(t, []int{0, -1}, []int{r.Attempt, r.Worker})
								assert.Equal(t, result.Canceled, r.Status())
								assert.Zero(t, r.Timing.Run)
								assert.GreaterOrEqual(t, r.Timing.Wait, sec)
							}
							assert.Equal(t, 2, n)
							cancel()
						}
					}
				})
			})
		}
	}
}

// A limit that panics when the run ends is a bug that is seen.
func TestALimitThatPanicsAtTheEnd(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), sec, errStop)
			defer cancel()
			limit := waiterOf(func(ctx context.Context) error {
				<-ctx.Done()
				panic(errWithin)
			})
			for r := range pipeline.Map(pipeline.From(upTo(1)), same, append(slices.Clip(s.opts), pipeline.Limit(limit))...).Results(ctx) {
				require.ErrorIs(t, r.Err, errWithin, s.name)
				require.EqualError(t, r.Err, "pipeline: stage map: input 0: panic: within")
				assert.Equal(t, []int{0, -1}, []int{r.Attempt, r.Worker})
			}
		})
	}
}

// What comes behind a limit that panics is no waiting for it.
func TestALimitThatPanicsIsNotWaitedFor(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			limit := waiterOf(func(context.Context) error {
				time.Sleep(sec)
				panic(errWithin)
			})
			letter := pipeline.DeadLetter(func(pipeline.Letter) { time.Sleep(time.Hour) })
			var report pipeline.Report
			require.NoError(t, pipeline.Map(pipeline.From(upTo(1)), same, append(slices.Clip(s.opts), pipeline.Limit(limit),
				pipeline.OnError(letter))...).Run(t.Context(), pipeline.ReportTo(&report)))
			st := statsOf(&report, "map")
			assert.Less(t, st.Limited, 0.001, s.name)
			assert.Positive(t, st.Limited)
		})
	}
}

// The limits of a stage are those that it was given.
func TestLimitsAreCopied(t *testing.T) {
	waits := 0
	limits := []pipeline.Waiter{waiterOf(func(context.Context) error {
		waits++
		return nil
	})}
	opt := pipeline.Limit(limits...)
	f := pipeline.Map(pipeline.From(upTo(3)), same, opt)
	limits[0] = nil
	require.NoError(t, f.Run(t.Context()))
	assert.Equal(t, 3, waits)
}

// A limit that refuses in time, because it sees that it would take too long, is a failure
// as any other.
func TestALimitThatSeesTheDeadlineComing(t *testing.T) {
	for _, s := range stages {
		var box letterBox
		limit := waiterOf(func(context.Context) error { return errors.New("would exceed context deadline") })
		require.NoError(t, pipeline.Map(pipeline.From(upTo(3)), same, append(slices.Clip(s.opts),
			pipeline.Limit(limit), pipeline.OnError(pipeline.DeadLetter(box.put)))...).Run(t.Context()))
		assert.Len(t, box.take(), 3, s.name)
	}
}

// stumble does one of many things, by the dice.
func stumble(ctx context.Context, throw func(int) int) error {
	switch throw(12) {
	case 0:
		return errBoom
	case 1:
		panic(errWithin)
	case 2:
		runtime.Goexit()
	case 3, 4:
		time.Sleep(time.Duration(throw(3)) * sec)
	case 5: // it does not heed its context
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
	}
	return nil
}

// "Release() is called once for each Wait that has returned nil."
func TestEachWaitOfALimitIsReleasedOnce(t *testing.T) {
	for _, k := range policiedKinds {
		if k.name == "throttle" {
			continue // it takes no Limit
		}
		for _, w := range k.ways() {
			t.Run(k.name+" "+w.name, func(t *testing.T) {
				for seed := range uint64(8) {
					testkit.Bubble(t, func(t *testing.T) {
						throw := testkit.NewDice(seed, 18).Shared()
						first, last := testkit.NewTurnstile(t), testkit.NewTurnstile(t)
						trouble := waiterOf(func(ctx context.Context) error { return stumble(ctx, throw) })
						opts := w.with(pipeline.Limit(first, trouble, last))
						if k.errors {
							opts = append(opts, pipeline.Timeout(2*sec), pipeline.Retry(pool.RetryPolicy{Attempts: 1 + throw(3), Base: sec}))
						}
						if throw(2) == 0 {
							opts = append(opts, pipeline.OnError(pipeline.Skip))
						}
						flow := k.between(30, func(ctx context.Context, _ int) error {
							assert.Positive(t, first.Inside.Load())
							assert.Positive(t, last.Inside.Load())
							return stumble(ctx, throw)
						}, opts...)
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(throw(60))*sec)
						defer cancel()
						for range flow.Results(ctx) {
							if throw(30) == 0 {
								break
							}
						}
						_ = flow.Run(t.Context())
						synctest.Wait()
						assert.Positive(t, first.Waits.Load())
						assert.Zero(t, first.Inside.Load())
						assert.Zero(t, last.Inside.Load())
					})
				}
			})
		}
	}
}

// The call of a FlatMap lasts until its sequence has ended, and a Throttle has none.
func TestWhenALimitIsReleased(t *testing.T) {
	for _, s := range stages {
		limit := testkit.NewTurnstile(t)
		opts := append(slices.Clip(s.opts), pipeline.Limit(limit))
		require.NoError(t, pipeline.FlatMap(pipeline.From(upTo(9)), func(context.Context, int) (iter.Seq[int], error) {
			return func(yield func(int) bool) {
				assert.Positive(t, limit.Inside.Load())
				yield(1)
				assert.Positive(t, limit.Inside.Load())
			}, nil
		}, opts...).Run(t.Context()), s.name)
		assert.EqualValues(t, 9, limit.Waits.Load(), s.name)
		assert.Zero(t, limit.Inside.Load(), s.name)
	}
	limit := testkit.NewTurnstile(t)
	require.NoError(t, pipeline.From(upTo(9)).Throttle(limit).Tap(func(int) { assert.Zero(t, limit.Inside.Load()) }).Run(t.Context()))
	assert.EqualValues(t, 9, limit.Waits.Load())
	assert.Zero(t, limit.Inside.Load())
}

// Values behind a Throttle come at its pace, and the time is Wait.
func TestThrottlePaces(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		times, all := timings(t, pipeline.Map(pipeline.From(upTo(3)), sleepFor(sec)).Throttle(waitFor(10*sec)))
		assert.Equal(t, []timing{{0, 10 * sec, sec}, {11 * sec, 10 * sec, sec}, {22 * sec, 10 * sec, sec}}, times)
		for i, r := range all {
			assert.Equal(t, []int{i, i, 1, 0}, []int{r.Index, r.Value, r.Attempt, r.Worker})
		}
	})
}

// The timeout runs from the start of each call, not while a limit is waited for, and
// names itself in the cause of the call's context, and of nothing else.
func TestTimeoutIsOfEachCall(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		testkit.Bubble(t, func(t *testing.T) {
			var c tries
			start := time.Now()
			flow := k.between(2, func(ctx context.Context, v int) error {
				deadline, ok := ctx.Deadline()
				assert.True(t, ok)
				assert.Equal(t, 2*sec, time.Until(deadline))
				assert.NoError(t, ctx.Err())
				if c.next(v) == 3 {
					time.Sleep(sec)
					return context.Cause(ctx)
				}
				<-ctx.Done()
				assert.EqualError(t, context.Cause(ctx), "call exceeded its timeout of 2s")
				return context.Cause(ctx)
			}, w.with(pipeline.Named("slow"), pipeline.Timeout(2*sec), pipeline.Limit(waitFor(5*sec)),
				pipeline.Retry(pool.RetryPolicy{Attempts: 3, Base: sec, Cap: sec, Steady: 1}))...)
			require.NoError(t, flow.Run(t.Context()))
			one := 3*5*sec + 2*sec + sec + 2*sec + sec + sec
			assert.Contains(t, []time.Duration{one, 2 * one}, time.Since(start))

			c.made = nil
			flow = k.between(1, func(ctx context.Context, _ int) error {
				<-ctx.Done()
				return ctx.Err()
			}, w.with(pipeline.Timeout(2*sec))...)
			err := flow.Run(t.Context())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			var failed *pipeline.StageError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, k.name, failed.Stage)
		})
	})
}

// The context of a call ends with the call, however that ends, and not with the run.
func TestTheContextOfATimedCallEnds(t *testing.T) {
	for _, s := range stages {
		if s.workers > 1 {
			continue // here calls follow each other
		}
		var last context.Context
		keep := func(ctx context.Context, v int) (int, error) {
			if last != nil {
				assert.Equal(t, context.Canceled, last.Err(), "%s: before %d", s.name, v)
			}
			last = ctx //nolint:fatcontext // to look at it when its call has ended
			switch v % 5 {
			case 1:
				return 0, errBoom
			case 2:
				panic(errWithin)
			}
			return v, nil
		}
		opts := append(slices.Clip(s.opts), pipeline.Timeout(time.Hour), pipeline.OnError(pipeline.Skip))
		require.NoError(t, pipeline.Map(pipeline.From(upTo(10)), keep, opts...).Run(t.Context()))
		last = nil
		require.NoError(t, pipeline.FlatMap(pipeline.From(upTo(10)), func(ctx context.Context, v int) (iter.Seq[int], error) {
			_, err := keep(ctx, v)
			switch v % 5 {
			case 3:
				return nil, nil
			case 4:
				return func(yield func(int) bool) {
					yield(v)
					assert.NoError(t, ctx.Err(), "the sequence is part of the call")
					panic(errWithin)
				}, nil
			}
			return slices.Values([]int{1, 2}), err
		}, opts...).Run(t.Context()))
	}
}

// Of a FlatMap the call lasts until its sequence is through, also while that waits for room.
func TestTheTimeoutOfAFlatMapIsOfItsSequence(t *testing.T) {
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				fn := func(ctx context.Context, _ int) (iter.Seq[time.Duration], error) {
					start := time.Now()
					return func(yield func(time.Duration) bool) {
						for range 5 {
							if !yield(time.Since(start)) {
								return
							}
							select {
							case <-time.After(2 * sec):
							case <-ctx.Done():
								assert.EqualError(t, context.Cause(ctx), "call exceeded its timeout of 5s")
								assert.Equal(t, 5*sec, time.Since(start))
								yield(-1)
								return
							}
						}
						t.Error("not ended by the timeout")
					}, nil
				}
				got, err := pipeline.FlatMap(pipeline.From(upTo(1)), fn, append(slices.Clip(s.opts), pipeline.Timeout(5*sec))...).Collect(t.Context())
				require.NoError(t, err)
				assert.Equal(t, []time.Duration{0, 2 * sec, 4 * sec, -1}, got)
			})
		})
	}
}

// The cause of the run's end, and not the timeout, is what a call sees that is canceled.
func TestATimedCallSeesTheCauseOfTheRun(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), sec, errStop)
			defer cancel()
			err := pipeline.Map(pipeline.From(upTo(1)), func(ctx context.Context, v int) (int, error) {
				<-ctx.Done()
				assert.Equal(t, errStop, context.Cause(ctx))
				return v, ctx.Err()
			}, append(slices.Clip(s.opts), pipeline.Timeout(time.Hour))...).Run(ctx)
			assert.Equal(t, errStop, err, s.name)
		})
	}
}
