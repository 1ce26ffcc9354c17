package pipeline_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
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

// atOnce retries without a pause worth waiting for.
func atOnce(attempts int) pool.RetryPolicy {
	return pool.RetryPolicy{Attempts: attempts, Base: 1, Cap: 1}
}

// tries counts the calls for each input.
type tries struct {
	mu   sync.Mutex
	made map[int]int
}

// next returns how many calls there were for v, this one included.
func (c *tries) next(v int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made = make(map[int]int)
	}
	c.made[v]++
	return c.made[v]
}

// eachRetriable calls test for each kind of stage that can retry, and each way to run it.
func eachRetriable(t *testing.T, test func(t *testing.T, k policied, w policiedWay)) {
	t.Helper()
	for _, k := range policiedKinds {
		if !k.errors || k.name == "throttle" {
			continue
		}
		for _, w := range k.ways() {
			t.Run(k.name+" "+w.name, func(t *testing.T) { test(t, k, w) })
		}
	}
}

// An input that succeeds in the end is as if it had at once, but for the count.
func TestRetriesAreCounted(t *testing.T) {
	const n = 30
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		var c tries
		// Input v needs 1 to 4 calls, and has 3.
		do := func(_ context.Context, v int) error {
			if c.next(v) <= v%4 {
				return errBoom
			}
			return nil
		}
		var box letterBox
		opts := w.with(pipeline.Retry(atOnce(3)), pipeline.OnError(pipeline.DeadLetter(box.put)))
		var report pipeline.Report
		var kept []int
		for r := range k.between(n, do, opts...).Results(t.Context(), pipeline.ReportTo(&report)) {
			require.NoError(t, r.Err)
			kept = append(kept, r.Value)
		}
		slices.Sort(kept)
		require.Equal(t, slices.DeleteFunc(numbers(n), func(v int) bool { return v%4 == 3 }), kept)
		letters := box.take()
		require.Len(t, letters, n/4)
		for _, l := range letters {
			require.Equal(t, []any{3, errBoom, 3}, []any{l.Index % 4, l.Err, l.Attempts})
		}
		made, dead := 0, 0
		for v := range n {
			made += min(v%4, 2)
			if v%4 == 3 {
				dead++
			}
		}
		st := statsOf(&report, k.name)
		assert.EqualValues(t, made, st.Retries)
		assert.EqualValues(t, dead, st.Errors)
		assert.EqualValues(t, dead, st.Dead)
	})
}

// Result.Attempt is the number of calls, of those that failed too.
func TestAttemptsOfResults(t *testing.T) {
	for _, k := range policiedKinds[:2] {
		for _, w := range k.ways() {
			t.Run(k.name+" "+w.name, func(t *testing.T) {
				var c tries
				flow := k.build(pipeline.From(upTo(8)), func(_ context.Context, v int) error {
					if c.next(v) <= v%4 {
						return errBoom
					}
					return nil
				}, w.with(pipeline.Retry(atOnce(3)))...)
				for r := range flow.Results(t.Context()) {
					assert.Equal(t, min(r.Index%4+1, 3), r.Attempt)
					assert.Equal(t, r.Index%4 == 3, r.Err != nil)
					assert.GreaterOrEqual(t, r.Worker, 0)
					if r.Err != nil {
						require.ErrorIs(t, r.Err, errBoom)
						assert.Equal(t, result.Failed, r.Status())
					}
				}
			})
		}
	}
}

// What is a bug, what says so itself, and what the policy does not want, is not retried.
func TestWhatIsNotRetried(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		for _, tt := range []struct {
			name   string
			do     func() error
			policy pool.RetryPolicy
		}{
			{"panic", breakages[1].do, atOnce(5)},
			{"Goexit", breakages[3].do, atOnce(5)},
			{"permanent", func() error { return pool.Permanent(errBoom) }, atOnce(5)},
			{"canceled", func() error { return context.Canceled }, atOnce(5)},
			{"one attempt", func() error { return errBoom }, atOnce(1)},
			{"If", func() error { return errBoom }, pool.RetryPolicy{Attempts: 5, If: func(err error) bool { return !errors.Is(err, errBoom) }}},
			{"If panics", func() error { return errBoom }, pool.RetryPolicy{Attempts: 5, If: func(error) bool { panic(errWithin) }}},
			{"If ends the goroutine", func() error { return errBoom }, pool.RetryPolicy{Attempts: 5, If: func(error) bool { return breakages[3].do() == nil }}},
		} {
			var calls atomic.Int64
			var box letterBox
			flow := k.between(6, func(_ context.Context, v int) error {
				if !thirds(v) {
					return nil
				}
				calls.Add(1)
				return tt.do()
			}, w.with(pipeline.Retry(tt.policy), pipeline.OnError(pipeline.DeadLetter(box.put)))...)
			require.NoError(t, flow.Run(t.Context()), tt.name)
			assert.EqualValues(t, 2, calls.Load(), tt.name)
			letters := box.take()
			require.Len(t, letters, 2, tt.name)
			for _, l := range letters {
				assert.Equal(t, 1, l.Attempts, tt.name)
				if tt.name == "If panics" {
					assert.True(t, breakages[1].is(l.Err), "%v", l.Err)
				}
			}
		}
	})
}

// A call that panics after others have failed ends the input with what it was.
func TestAPanicAfterARetry(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		for _, f := range breakages[1:] {
			var c tries
			var box letterBox
			var report pipeline.Report
			flow := k.between(6, func(_ context.Context, v int) error {
				if !thirds(v) {
					return nil
				}
				if c.next(v) == 1 {
					return errBoom
				}
				return f.do()
			}, w.with(pipeline.Retry(atOnce(5)), pipeline.OnError(pipeline.DeadLetter(box.put)))...)
			require.NoError(t, flow.Run(t.Context(), pipeline.ReportTo(&report)))
			letters := box.take()
			require.Len(t, letters, 2)
			for _, l := range letters {
				assert.Equal(t, 2, l.Attempts)
				assert.True(t, f.is(l.Err), "%v", l.Err)
			}
			assert.EqualValues(t, 2, statsOf(&report, k.name).Retries)
		}
	})
}

// The end of the run cuts a pause. What has failed for that reason is nobody's to drop.
func TestThePauseOfARetryIsCut(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		testkit.Bubble(t, func(t *testing.T) {
			letters := pipeline.DeadLetter(func(l pipeline.Letter) { t.Errorf("letter: %+v", l) })
			for _, end := range []func(context.Context) (context.Context, context.CancelFunc){
				func(ctx context.Context) (context.Context, context.CancelFunc) {
					return context.WithTimeoutCause(ctx, sec, errStop)
				},
				func(ctx context.Context) (context.Context, context.CancelFunc) {
					ctx, cancel := context.WithCancelCause(ctx)
					stop := time.AfterFunc(sec, func() { cancel(errStop) })
					return ctx, func() { stop.Stop(); cancel(nil) }
				},
			} {
				flow := k.between(1, func(context.Context, int) error { return pool.RetryAfter(errBoom, time.Hour) },
					w.with(pipeline.Retry(pool.RetryPolicy{Attempts: 9}), pipeline.OnError(letters))...)
				ctx, cancel := end(t.Context())
				start := time.Now()
				var report pipeline.Report
				require.Equal(t, errStop, flow.Run(ctx, pipeline.ReportTo(&report)))
				require.Equal(t, sec, time.Since(start))
				assert.Zero(t, statsOf(&report, k.name).Dead)
				cancel()

				ctx, cancel = end(t.Context())
				for r := range flow.Results(ctx) {
					if r.Err == nil || k.name == "reduce" && !errors.Is(r.Err, errBoom) {
						continue // what a Reduce has by then
					}
					require.ErrorIs(t, r.Err, errBoom)
					require.ErrorIs(t, r.Err, errStop)
					require.EqualError(t, r.Err, "pipeline: stage "+k.name+": input 0: boom; no retry: stop")
					assert.Equal(t, 1, r.Attempt)
					assert.Equal(t, sec, r.Timing.Run, "the pause counts")
				}
				cancel()
			}
		})
	})
}

// The pause is what the error asks for, or between 0 and a bound that doubles.
func TestPauses(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			var pauses []time.Duration
			last := time.Now()
			fails := func(_ context.Context, v int) (int, error) {
				pauses = append(pauses, time.Since(last))
				last = time.Now()
				if v == 0 {
					return 0, pool.RetryAfter(errBoom, 20*sec)
				}
				return 0, errBoom
			}
			policy := pool.RetryPolicy{Attempts: 4, Base: sec, Cap: 3 * sec, Steady: 1}
			for v := range 2 {
				last, pauses = time.Now(), nil
				f := pipeline.Map(pipeline.FromSlice([]int{v}), fails, append(slices.Clip(s.opts), pipeline.Retry(policy))...)
				require.ErrorIs(t, f.Run(t.Context()), errBoom)
				assert.Equal(t, [][]time.Duration{{0, 20 * sec, 20 * sec, 20 * sec}, {0, sec, 2 * sec, 3 * sec}}[v], pauses, s.name)
			}
		})
	}
}

// The budget is earned and spent in each run anew, also if two go on at once.
func TestTheBudgetIsForEachRun(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		policy := atOnce(1000)
		policy.Budget = 0.1
		var calls atomic.Int64
		flow := k.between(100, func(context.Context, int) error {
			calls.Add(1)
			return errBoom
		}, w.with(pipeline.Retry(policy), pipeline.OnError(pipeline.Skip))...)
		for range 2 {
			calls.Store(0)
			require.NoError(t, flow.Run(t.Context()))
			assert.EqualValues(t, 100+10+10, calls.Load(), "each input, the reserve, and a tenth")
		}
		calls.Store(0)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { assert.NoError(t, flow.Run(t.Context())) })
		}
		both.Wait()
		assert.EqualValues(t, 2*120, calls.Load())
	})
}

// The error of an input says how many calls there were, and if the budget was empty.
func TestTheErrorAfterRetriesNamesThem(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		frugal := atOnce(1000)
		frugal.Budget = 0.1
		for text, policy := range map[string]pool.RetryPolicy{
			"boom":                   atOnce(1),
			"after 3 attempts: boom": atOnce(3),
			"after 11 attempts: boom; no retry: the retry budget is empty": frugal,
		} {
			err := k.between(1, func(context.Context, int) error { return errBoom }, w.with(pipeline.Retry(policy))...).Run(t.Context())
			require.ErrorIs(t, err, errBoom)
			assert.EqualError(t, err, "pipeline: stage "+k.name+": input 0: "+text)
		}
	})
}

// A limit refuses a further call: the input fails with both errors, and with the calls
// that were made.
func TestALimitThatRefusesARetry(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		errFull := errors.New("full")
		var waits atomic.Int64
		limit := waiterOf(func(context.Context) error {
			if waits.Add(1) == 3 {
				return errFull
			}
			return nil
		})
		var box letterBox
		flow := k.between(1, func(context.Context, int) error { return errBoom },
			w.with(pipeline.Retry(atOnce(9)), pipeline.Limit(limit), pipeline.OnError(pipeline.DeadLetter(box.put)))...)
		require.NoError(t, flow.Run(t.Context()))
		l := box.take()[0]
		assert.Equal(t, 2, l.Attempts)
		require.ErrorIs(t, l.Err, errFull)
		require.ErrorIs(t, l.Err, errBoom)
		require.EqualError(t, l.Err, "boom; no retry: full")
	})
}

// A limit that panics ahead of a further call is the failure of the input.
func TestALimitThatPanicsBeforeARetry(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		for _, f := range breakages[1:] {
			var waits atomic.Int64
			limit := waiterOf(func(context.Context) error {
				if waits.Add(1) == 2 {
					return f.do()
				}
				return nil
			})
			var box letterBox
			flow := k.between(1, func(context.Context, int) error { return errBoom },
				w.with(pipeline.Retry(atOnce(9)), pipeline.Limit(limit), pipeline.OnError(pipeline.DeadLetter(box.put)))...)
			require.NoError(t, flow.Run(t.Context()))
			l := box.take()[0]
			assert.Equal(t, 1, l.Attempts)
			assert.True(t, f.is(l.Err))
		}
	})
}

// No call is made behind a limit that took no notice of the end of the run.
func TestNoCallIsMadeBehindTheEnd(t *testing.T) {
	eachRetriable(t, func(t *testing.T, k policied, w policiedWay) {
		testkit.Bubble(t, func(t *testing.T) {
			for first := range int64(2) { // waiting for the first call, and for the second
				var waits atomic.Int64
				limit := waiterOf(func(context.Context) error {
					if waits.Add(1) > first {
						time.Sleep(time.Hour)
					}
					return nil
				})
				var gauge pipelinetest.Gauge
				do := pipelinetest.Gauged(&gauge, func(context.Context, int) (int, error) { return 0, errBoom })
				ctx, cancel := context.WithTimeoutCause(t.Context(), sec, errStop)
				flow := k.between(1, func(ctx context.Context, v int) error {
					_, err := do(ctx, v)
					return err
				}, w.with(pipeline.Retry(atOnce(2)), pipeline.Limit(limit))...)
				for r := range flow.Results(ctx) {
					if r.Err == nil || k.name == "reduce" && r.Attempt == 0 && first == 1 {
						continue // what a Reduce has by then
					}
					require.ErrorIs(t, r.Err, errStop)
					assert.EqualValues(t, first, r.Attempt)
				}
				assert.EqualValues(t, first, gauge.Total())
				cancel()
			}
		})
	})
}

// Of a FlatMap the function is called again, and not its sequence: what fails there has
// been given in part.
func TestASequenceIsNotRetried(t *testing.T) {
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			var c tries
			fn := func(_ context.Context, v int) (iter.Seq[int], error) {
				if c.next(v) == 1 {
					return func(func(int) bool) { t.Error("the sequence of a failed call") }, errBoom
				}
				return func(yield func(int) bool) {
					if yield(v) {
						panic(errWithin)
					}
				}, nil
			}
			var box letterBox
			var report pipeline.Report
			got, err := pipeline.FlatMap(pipeline.From(upTo(3)), fn,
				append(slices.Clip(s.opts), pipeline.Retry(atOnce(5)), pipeline.OnError(pipeline.DeadLetter(box.put)))...).
				Collect(t.Context(), pipeline.ReportTo(&report))
			require.NoError(t, err)
			assert.EqualValues(t, 3, statsOf(&report, "flatmap").Retries)
			slices.Sort(got)
			assert.Equal(t, numbers(3), got)
			for i, l := range box.take() {
				assert.Equal(t, []int{i, 2}, []int{l.Index, l.Attempts})
				assert.True(t, breakages[1].is(l.Err))
			}
			assert.Equal(t, map[int]int{0: 2, 1: 2, 2: 2}, c.made)
		})
	}
}

// All policies beside each other, in order: the outputs are those of a loop.
func TestPoliciesBesideEachOther(t *testing.T) {
	for _, s := range stages {
		t.Run(s.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				const n = 40
				var c tries
				var timeouts atomic.Int64
				fn := func(ctx context.Context, v int) (int, error) {
					call := c.next(v)
					switch {
					case v%5 == 1 && call == 1: // is slow once
						<-ctx.Done()
						assert.EqualError(t, context.Cause(ctx), "call exceeded its timeout of 1s")
						timeouts.Add(1)
						return 0, ctx.Err()
					case v%5 == 2: // fails for good
						return 0, errBoom
					case v%5 == 3 && call < 3: // fails twice
						return 0, errBoom
					case v%5 == 4: // is slow for good
						<-ctx.Done()
						return 0, ctx.Err()
					}
					return v, nil
				}
				var waits atomic.Int64
				limit := waiterOf(func(ctx context.Context) error {
					waits.Add(1)
					return waitFor(10 * time.Second).Wait(ctx)
				})
				var box letterBox
				opts := append(slices.Clip(s.opts), pipeline.Named("all"), pipeline.Timeout(sec), pipeline.Retry(atOnce(3)),
					pipeline.Limit(limit), pipeline.OnError(pipeline.DeadLetter(box.put)))
				got, err := pipeline.Map(pipeline.From(upTo(n)), fn, opts...).Collect(t.Context())
				require.NoError(t, err)
				if !s.ordered {
					slices.Sort(got)
				}
				assert.Equal(t, slices.DeleteFunc(numbers(n), func(v int) bool { return v%5 == 2 || v%5 == 4 }), got)
				assert.EqualValues(t, n/5, timeouts.Load())
				assert.EqualValues(t, n/5*(1+2+3+3+3), waits.Load(), "each call waits")
				for _, l := range box.take() {
					assert.Equal(t, 3, l.Attempts)
					if l.Index%5 == 4 {
						require.ErrorIs(t, l.Err, context.DeadlineExceeded)
					} else {
						require.ErrorIs(t, l.Err, errBoom)
					}
				}
			})
		})
	}
}
