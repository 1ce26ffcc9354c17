package pipeline_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
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

// branch is a stage from ints to ints.
type branch = pipeline.Stage[int, int]

// asIs is the stage that returns its flow as it is.
func asIs(f pipeline.Flow[int]) pipeline.Flow[int] { return f }

// plus returns the stage that adds n to each value.
func plus(n int, opts ...pipeline.StageOption) branch {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(f, func(_ context.Context, v int) (int, error) { return v + n, nil }, opts...)
	}
}

// calling returns the stage with fn.
func calling(fn func(context.Context, int) (int, error), opts ...pipeline.StageOption) branch {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, fn, opts...) }
}

// first returns the stage that takes n.
func first(n int) branch {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Take(n) }
}

// fanSteps are the steps that hand out to branches.
var fanSteps = []struct {
	name string
	fan  func(f pipeline.Flow[int], stages ...branch) pipeline.Flow[int]
	of   func(v, k int) []int // the branches of a value
}{
	{"broadcast", pipeline.Broadcast[int, int], func(_, k int) []int { return numbers(k) }},
	{"route", func(f pipeline.Flow[int], stages ...branch) pipeline.Flow[int] {
		return pipeline.Route(f, func(v int) int { return v % len(stages) }, stages...)
	}, func(v, k int) []int { return []int{v % k} }},
}

// Every branch gets what is for it, in order, however its stages and what is behind the
// fan run, and Run, Collect, All and Results agree.
func TestEachBranchGetsWhatIsForIt(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, fan := range fanSteps {
		for _, n := range []int{0, 1, 700} {
			for _, s := range stages {
				for _, behind := range stages {
					name := fmt.Sprint(fan.name, " ", n, " ", s.name, " / ", behind.name)
					f := fan.fan(pipeline.From(upTo(n)), plus(1e6, s.opts...), asIs, plus(2e6, s.opts...))
					f = pipeline.Map(f, same, behind.opts...)
					var got, want [3][]int
					for v := range n {
						for _, at := range fan.of(v, 3) {
							want[at] = append(want[at], []int{1e6, 0, 2e6}[at]+v)
						}
					}
					for v, err := range f.All(t.Context()) {
						require.NoError(t, err, name)
						at := []int{1, 0, 2}[v/1e6]
						got[at] = append(got[at], v)
					}
					for at := range got {
						if !s.ordered && at != 1 || !behind.ordered {
							slices.Sort(got[at])
						}
						require.Equal(t, want[at], got[at], name)
					}
				}
			}
		}
	}
}

// A fan is a plan: it runs again, also at the same time, and so do flows made of it twice.
func TestAFanRunsAgainAndAtTheSameTime(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.Broadcast(pipeline.From(upTo(300)),
		func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Partition(f, 3, func(v int) int { return v }, plus(1, pipeline.Workers(2)))
		}, first(3))
	f = pipeline.Merge(f, f.Named("again"))
	done := make(chan int)
	for range 4 {
		go func() {
			n := 0
			for range 5 {
				got, err := f.Collect(t.Context())
				assert.NoError(t, err)
				n += len(got)
			}
			done <- n
		}()
	}
	for range 4 {
		assert.Equal(t, 5*2*303, <-done)
	}
}

// A branch that ends early lets the others go on to the end.
func TestABranchThatEndsLetsTheOthersGoOn(t *testing.T) {
	for _, fan := range fanSteps {
		for _, s := range stages {
			for _, n := range []int{0, 1, 5} {
				testkit.Bubble(t, func(t *testing.T) {
					early := map[string]branch{
						"take":         first(n),
						"behind":       pipeline.Then(calling(same, s.opts...), first(n)),
						"before":       pipeline.Then(first(n), calling(same, s.opts...)),
						"behind stuck": pipeline.Then(calling(stuckAt(2*n), s.opts...), first(n)),
						"buffer":       func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Buffer(1).Take(n) },
						"zip":          zipWith(n),
						"flatmap": func(f pipeline.Flow[int]) pipeline.Flow[int] {
							return pipeline.FlatMap(f, evens, s.opts...).Take(n)
						},
					}
					for name, stage := range early {
						if name == "behind stuck" && s.workers == 1 {
							continue // it is stuck before the others get anywhere
						}
						f := fan.fan(pipeline.From(upTo(700)), stage, plus(1e6, pipeline.Workers(1), pipeline.Buffer(1)))
						got, err := f.Collect(t.Context())
						require.NoError(t, err)
						slow := slices.DeleteFunc(slices.Clone(got), func(v int) bool { return v < 1e6 })
						want := 0
						for v := range 700 {
							if slices.Contains(fan.of(v, 2), 1) {
								want++
							}
						}
						require.Len(t, slow, want, "%s, %s, %s, take %d", fan.name, s.name, name, n)
						require.Len(t, got, want+n, "%s, %s, %s, take %d", fan.name, s.name, name, n)
					}
				})
			}
		}
	}
}

// zipWith returns the stage that pairs its values with n others and drops those.
func zipWith(n int) branch {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(pipeline.Zip(f, pipeline.From(upTo(n))),
			func(_ context.Context, p pipeline.Pair[int, int]) (int, error) { return p.A, nil })
	}
}

// Once no branch wants more the source is not asked for more, also if it is waiting on a
// channel then, or is endless.
func TestAFanEndsWhenAllBranchesHaveEnded(t *testing.T) {
	for _, fan := range fanSteps {
		for _, n := range []int{0, 3} {
			testkit.Bubble(t, func(t *testing.T) {
				c := make(chan int, 100)
				for v := range 2 * n {
					c <- v
				}
				f := fan.fan(pipeline.FromChan(c), first(n), pipeline.Then(plus(1e6, pipeline.Workers(2)), first(n)))
				got, err := f.Collect(t.Context())
				require.NoError(t, err)
				require.Len(t, got, 2*n, fan.name)

				f = fan.fan(pipeline.From(naturals), first(n), pipeline.Then(plus(1e6, pipeline.Workers(2)), first(n)))
				require.Len(t, outcomes(f.Results(t.Context())), 2*n, fan.name)

				// The fan is in a branch of another one, which goes on.
				f = pipeline.Broadcast(pipeline.From(upTo(2000)), asIs, func(f pipeline.Flow[int]) pipeline.Flow[int] {
					return fan.fan(f, first(n), first(n))
				})
				require.Len(t, outcomes(f.Results(t.Context())), 2000+2*n, fan.name)
			})
		}
	}
}

// A branch that ends early is through at once: what is behind it does not wait for the
// source, which goes on for the others.
func TestABranchThatEndsIsThroughAtOnce(t *testing.T) {
	for _, fan := range fanSteps {
		for _, s := range stages {
			testkit.Bubble(t, func(t *testing.T) {
				sum := func(f pipeline.Flow[int]) pipeline.Flow[int] {
					return pipeline.Reduce(f, 1e6, func(_ context.Context, sum, v int) (int, error) { return sum + v, nil })
				}
				c := make(chan int)
				f := fan.fan(pipeline.FromChan(c),
					pipeline.Then(pipeline.Then(calling(same, s.opts...), first(2)), sum), pipeline.Then(first(0), sum), asIs)
				var got []int
				done := make(chan struct{})
				go func() {
					defer close(done)
					for v, err := range f.Filter(func(v int) bool { return v >= 1e6 }).All(t.Context()) {
						assert.NoError(t, err)
						got = append(got, v)
					}
				}()
				synctest.Wait()
				require.Equal(t, []int{1e6}, got, "%s, %s", fan.name, s.name)
				for v := range 4 {
					c <- 3 * v
					synctest.Wait()
				}
				require.Equal(t, []int{1e6, 1e6 + 3}, got, "%s, %s", fan.name, s.name)
				close(c)
				<-done
			})
		}
	}
}

// What is put into a branch that has ended is not kept: it does not fill up and hold the
// others back, also behind ordered stages with small windows and buffers.
func TestABranchWithAMergeThatHasEnded(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		many := pipeline.FlatMap(pipeline.From(naturals), func(context.Context, int) (iter.Seq[int], error) {
			return upTo(20), nil
		}, pipeline.Workers(2), pipeline.Ordered(2))
		for _, workers := range []int{1, 3} {
			for n := range 4 {
				stage := func(f pipeline.Flow[int]) pipeline.Flow[int] {
					both := pipeline.Merge(f, many)
					return pipeline.Map(both, sleepFor(time.Second), pipeline.Workers(workers), pipeline.Buffer(1)).Take(n)
				}
				got, err := pipeline.Broadcast(pipeline.From(upTo(1000)), stage, plus(1e6)).Collect(t.Context())
				require.NoError(t, err)
				require.Len(t, got, 1000+n)
			}
		}
	})
}

// A slow branch holds the others back by no more than what it can buffer.
func TestASlowBranchHoldsOthersBackByItsBuffer(t *testing.T) {
	for _, buffer := range []int{1, 10, 1000} {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			fast := 0
			f := pipeline.Broadcast(pipeline.From(naturals),
				calling(stuck[int], pipeline.Workers(1), pipeline.Buffer(buffer)),
				func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Tap(func(int) { fast++ }) })
			done := make(chan error)
			go func() { done <- f.Run(ctx) }()
			synctest.Wait()
			held := 2*min(buffer, 64) + 2 // in the hands of the fan and of the worker
			assert.GreaterOrEqual(t, fast, buffer)
			assert.LessOrEqual(t, fast, buffer+held)
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
		})
	}
}

// Branches run at the same time.
func TestBranchesRunAtTheSameTime(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		slow := calling(sleepFor(time.Second))
		start := time.Now()
		require.NoError(t, pipeline.Broadcast(pipeline.From(upTo(10)), slow, slow, slow).Run(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
}

// Values of a key go through the same copy, one after the other and in order; keys of
// other copies at the same time.
func TestPartitionKeepsTheOrderOfEachKey(t *testing.T) {
	pipelinetest.NoLeak(t)
	const keys, n = 17, 2000
	for _, s := range stages {
		for _, copies := range []int{1, 2, 8} {
			f := pipeline.Partition(pipeline.From(upTo(n)), copies, func(v int) string { return fmt.Sprint(v % keys) },
				calling(same, s.opts...))
			next := map[int]int{}
			total := 0
			for v, err := range f.All(t.Context()) {
				require.NoError(t, err)
				if total++; !s.ordered {
					continue
				}
				require.Equal(t, next[v%keys], v/keys, "%s, %d copies: key %d", s.name, copies, v%keys)
				next[v%keys]++
			}
			require.Equal(t, n, total)
		}
	}
}

// A key has one copy, with what that remembers.
func TestACopyOfAPartitionRemembersByItself(t *testing.T) {
	counts := func(f pipeline.Flow[int]) pipeline.Flow[[2]int] {
		return pipeline.Scan(f, [2]int{}, func(_ context.Context, was [2]int, v int) ([2]int, error) {
			return [2]int{v, was[1] + 1}, nil
		})
	}
	built := 0
	f := pipeline.Partition(pipeline.From(upTo(1000)), 4, func(v int) int { return v % 2 },
		func(f pipeline.Flow[int]) pipeline.Flow[[2]int] {
			built++
			return counts(f)
		})
	assert.Equal(t, 1, built)
	for range 2 {
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		last := map[int]int{}
		for _, c := range got {
			last[c[0]%2] = c[1]
		}
		if last[0] != 500 { // both keys have the same copy
			assert.Equal(t, 1000, max(last[0], last[1]))
			continue
		}
		assert.Equal(t, map[int]int{0: 500, 1: 500}, last)
	}
}

// Keys are worked on at the same time, and each copy has one call under way.
func TestCopiesOfAPartitionRunAtTheSameTime(t *testing.T) {
	for _, s := range stages[:2] {
		testkit.Bubble(t, func(t *testing.T) {
			var calls, perKey pipelinetest.Gauge
			const copies, each = 8, 20
			work := pipelinetest.Gauged(&calls, sleepFor(time.Second))
			one := pipelinetest.Gauged(&perKey, same[int])
			f := pipeline.Partition(pipeline.From(upTo(64*each)), copies, func(v int) int { return v % 64 },
				calling(func(ctx context.Context, v int) (int, error) {
					if v%64 == 0 {
						_, _ = one(ctx, v)
					}
					return work(ctx, v)
				}, s.opts...))
			start := time.Now()
			require.NoError(t, f.Run(t.Context()))
			took := time.Since(start)
			assert.Equal(t, copies, calls.Peak(), "64 keys leave none of 8 copies without one, but for one run in a thousand")
			assert.Equal(t, 1, perKey.Peak())
			assert.Less(t, took, 64*each*time.Second/3, "how the keys fall is up to the hash")
		})
	}
}

// A key that cannot be hashed, and a key or a pick that does not return, fail their value.
func TestAFailureOfKeyAndPick(t *testing.T) {
	pipelinetest.NoLeak(t)
	boom := func(v int) int {
		switch v {
		case 3:
			panic("boom")
		case 7:
			return -1
		case 8:
			return 2
		}
		return v % 2
	}
	want := map[int]string{
		3: "pipeline: stage route: input 3: panic: boom",
		7: "pipeline: stage route: input 7: pick returned -1, want 0 to 1",
		8: "pipeline: stage route: input 8: pick returned 2, want 0 to 1",
	}
	for _, s := range stages {
		f := pipeline.Route(pipeline.From(upTo(20)), boom, calling(same, s.opts...), calling(same, s.opts...))
		failed := map[int]string{}
		n := 0
		for r := range f.Results(t.Context()) {
			n++
			if r.Err != nil {
				failed[r.Index] = r.Err.Error()
				assert.Equal(t, 1, r.Attempt)
				assert.Zero(t, r.Worker)
			}
		}
		assert.Equal(t, want, failed)
		assert.Equal(t, 20, n)
		_, err := f.Collect(t.Context())
		assert.EqualError(t, err, want[3])
	}
	f := pipeline.Partition(pipeline.From(upTo(3)), 2, func(v int) any { return []any{1, []int{2}, 3}[v] }, asIs).Named("by")
	got := byIndex(outcomes(f.Results(t.Context())))
	require.Len(t, got, 3)
	assert.Contains(t, got[1].Err, "pipeline: stage by: input 1: panic: ")

	// On the goroutine of the fan Goexit ends the source, unless a queue feeds it.
	goexit := func(v int) int {
		if v == 5 {
			runtime.Goexit()
		}
		return 0
	}
	f = pipeline.Route(pipeline.From(upTo(20)).Buffer(4), goexit, asIs)
	got = byIndex(outcomes(f.Results(t.Context())))
	require.Len(t, got, 20)
	assert.Equal(t, "pipeline: stage route: input 5: function called runtime.Goexit", got[5].Err)
	f = pipeline.Route(pipeline.From(upTo(20)), goexit, asIs)
	assert.Len(t, outcomes(f.Results(t.Context())), 6)
}

// An input that failed before a fan is given once, and no branch sees it.
func TestFailedInputsPassAroundBranchesOnce(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages[1:] {
		bad := pipeline.Map(pipeline.From(upTo(100)), mishap, s.opts...) // 3 of 10 fail
		seen := func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return f.Tap(func(v int) { assert.NotContains(t, []int{3, 5, 7}, v%10) })
		}
		for name, tt := range map[string]struct {
			f    pipeline.Flow[int]
			want int
		}{
			"broadcast": {pipeline.Broadcast(bad, seen, seen, seen), 30 + 3*70},
			"route":     {pipeline.Route(bad, func(v int) int { return v % 2 }, seen, seen), 100},
			"partition": {pipeline.Partition(bad, 3, func(v int) int { return v }, seen), 100},
			"nested": {pipeline.Broadcast(bad, seen, func(f pipeline.Flow[int]) pipeline.Flow[int] {
				return pipeline.Broadcast(f, seen, seen)
			}), 30 + 3*70},
			"all ended": {pipeline.Broadcast(bad, asIs, first(0)), 100},
		} {
			times := map[int]int{}
			n := 0
			for r := range tt.f.Results(t.Context()) {
				n++
				if r.Err != nil {
					times[r.Index]++
				}
			}
			assert.Equal(t, tt.want, n, name)
			assert.Len(t, times, 30, name)
			for i, n := range times {
				assert.Equal(t, 1, n, "%s: %d", name, i)
			}
		}
	}
}

// A failure in a branch ends a fail-fast run, and is a result in Results while the other
// branches go on.
func TestAFailureInABranch(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages[1:] {
		f := pipeline.Broadcast(pipeline.From(upTo(200)), calling(mishap, append(s.opts, pipeline.Named("bad"))...), plus(1e6))
		var bad [result.Canceled + 1]int
		fine := 0
		for r := range f.Results(t.Context()) {
			if r.Value >= 1e6 {
				fine++
				continue
			}
			bad[r.Status()]++
		}
		assert.Equal(t, 200, fine)
		assert.Equal(t, 140, bad[result.Succeeded])
		assert.Equal(t, 40, bad[result.Failed])
		assert.Equal(t, 20, bad[result.Panicked])
		var failed *pipeline.StageError
		require.ErrorAs(t, f.Run(t.Context()), &failed)
		assert.Equal(t, "bad", failed.Stage)

		endless := pipeline.Broadcast(pipeline.From(naturals), calling(failAt(300), s.opts...), calling(same, s.opts...))
		_, err := endless.Collect(t.Context())
		require.ErrorIs(t, err, errBoom)
	}
}

// The end of the context ends all branches, with its cause; in Results all that has left
// the source is told once by each branch.
func TestAFanThatIsCanceled(t *testing.T) {
	for _, fan := range fanSteps {
		for _, s := range stages {
			testkit.Bubble(t, func(t *testing.T) {
				for _, results := range []bool{false, true} {
					ctx, cancel := context.WithCancelCause(t.Context())
					pulled := 0
					source := pipeline.From(func(yield func(int) bool) {
						for i := 0; ; i++ {
							if i == 500 {
								cancel(errStop)
							}
							pulled++
							if !yield(i) {
								return
							}
						}
					})
					f := fan.fan(source, calling(same, s.opts...), asIs)
					if !results {
						require.ErrorIs(t, f.Run(ctx), errStop, fan.name, s.name)
						continue
					}
					times := map[int]int{}
					for r := range f.Results(ctx) {
						times[r.Index]++
						if r.Err != nil {
							require.Equal(t, errStop, r.Err)
							require.Equal(t, 0, r.Attempt)
							require.Equal(t, -1, r.Worker)
						}
					}
					require.InDelta(t, pulled, len(times), 1)
					for i := range min(len(times), 500) {
						require.Equal(t, len(fan.of(i, 2)), times[i], "%s, %s: input %d", fan.name, s.name, i)
					}
				}
			})
		}
	}
}

// A loop that is left, at whatever place, leaves nothing behind; no branch is stuck.
func TestAFanThatIsLeft(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, fan := range fanSteps {
		for _, s := range stages {
			f := fan.fan(pipeline.From(naturals), calling(same, s.opts...), asIs, pipeline.Then(first(2), calling(same, s.opts...)))
			for _, at := range []int{1, 2, 3, 100, 1000} {
				for name, loop := range loops(t, f) {
					n := 0
					loop(func() bool {
						n++
						return n < at
					})
					require.Equal(t, at, n, "%s, %s, %s", fan.name, s.name, name)
				}
			}
		}
	}
}

// A panic of the source, of the loop's body and Goexit in a branch.
func TestWhatGoesWrongAroundAFan(t *testing.T) {
	for _, fan := range fanSteps {
		for _, s := range stages[1:] {
			stage := func(f pipeline.Flow[int]) pipeline.Flow[int] {
				return fan.fan(f, calling(same, s.opts...), asIs)
			}
			name := fan.name + " " + s.name
			out := pipelinetest.Run(t, stage, numbers(500), pipelinetest.SourcePanicsAfter(300, "dry"))
			assert.ErrorContains(t, out.Err, "pipeline: stage from: input 300: panic: dry", name)
			out = pipelinetest.Run(t, stage, numbers(500), pipelinetest.SourcePanicsAfter(300, "dry"), pipelinetest.Results())
			assert.Len(t, out.Results, 300*len(fan.of(0, 2))+1, name)
			out = pipelinetest.Run(t, stage, numbers(500), pipelinetest.SinkPanicsAfter(100, "sink"))
			assert.Equal(t, "sink", out.Panic, name)
			out = pipelinetest.Run(t, stage, numbers(500), pipelinetest.SourceBlocksAfter(300), pipelinetest.LeaveAfter(250))
			assert.NoError(t, out.Err, name)
			out = pipelinetest.Run(t, calling(func(ctx context.Context, v int) (int, error) { return v, nil }), []int{1})
			assert.NoError(t, out.Err)
		}
		goexit := calling(func(_ context.Context, v int) (int, error) {
			if v%10 == 4 {
				runtime.Goexit()
			}
			return v, nil
		})
		out := pipelinetest.Run(t, func(f pipeline.Flow[int]) pipeline.Flow[int] { return fan.fan(f, goexit, goexit) },
			numbers(100), pipelinetest.Results())
		assert.Len(t, out.Results, 100*len(fan.of(0, 2)), fan.name)
		assert.Len(t, out.Values, 90*len(fan.of(0, 2)), fan.name)
	}
}

// Fans in branches of fans, three deep, with stages that are ordered and have windows and
// buffers of the smallest size, before one queue of size 1.
func TestNestedFans(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		for _, behind := range stages {
			add := func(n int) branch { return plus(n, s.opts...) }
			f := pipeline.Partition(pipeline.From(upTo(150)), 2, func(v int) int { return v }, func(f pipeline.Flow[int]) pipeline.Flow[int] {
				return pipeline.Broadcast(f, add(1e3), func(f pipeline.Flow[int]) pipeline.Flow[int] {
					return pipeline.Broadcast(f, add(1e4), asIs, func(f pipeline.Flow[int]) pipeline.Flow[int] {
						return pipeline.Route(f, func(v int) int { return v % 2 }, add(1e5), add(2e5))
					})
				})
			})
			got, err := pipeline.Map(f, same, behind.opts...).Collect(t.Context())
			require.NoError(t, err)
			var want []int
			for v := range 150 {
				want = append(want, 1e3+v, 1e4+v, v, 1e5*(1+v%2)+v)
			}
			slices.Sort(want)
			slices.Sort(got)
			require.Equal(t, want, got, "%s / %s", s.name, behind.name)
		}
	}
}

// What a result tells of its input is known behind a fan.
func TestTheTimingOfResultsBehindAFan(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		f := pipeline.Broadcast(pipeline.From(upTo(3)), calling(sleepFor(2*time.Second), pipeline.Workers(1)), calling(sleepFor(time.Second)))
		ends := map[time.Duration]int{}
		for r := range f.Results(t.Context()) {
			assert.Equal(t, start, r.Timing.Queued)
			assert.Equal(t, 1, r.Attempt)
			assert.Equal(t, 0, r.Worker)
			assert.Equal(t, time.Duration(r.Index)*r.Timing.Run, r.Timing.Wait)
			ends[r.Timing.Run]++
		}
		assert.Equal(t, map[time.Duration]int{time.Second: 3, 2 * time.Second: 3}, ends)

		// pick is a function of a stage like others.
		slow := pipeline.Route(pipeline.From(upTo(3)), func(int) int {
			time.Sleep(time.Minute)
			return 0
		}, asIs)
		for r := range slow.Results(t.Context()) {
			assert.Equal(t, time.Minute, r.Timing.Run)
			assert.Equal(t, 1, r.Attempt)
		}
		// A fan by itself is none.
		for r := range pipeline.Broadcast(pipeline.From(upTo(3)), asIs).Results(t.Context()) {
			assert.Zero(t, r.Attempt)
			assert.Equal(t, -1, r.Worker)
		}
	})
}

// A report counts what a fan takes in and hands out: failed inputs once.
func TestTheReportOfAFan(t *testing.T) {
	var report pipeline.Report
	bad := pipeline.Map(pipeline.From(upTo(10)), failAt(4))
	f := pipeline.Broadcast(bad, asIs, asIs)
	for range f.Results(t.Context(), pipeline.ReportTo(&report)) {
	}
	for _, s := range report.Snapshot().Stages {
		if s.Kind == "broadcast" {
			assert.EqualValues(t, 10, s.In)
			assert.EqualValues(t, 19, s.Out)
		}
	}
}

func TestBadArgumentsOfFans(t *testing.T) {
	f := pipeline.From(upTo(3))
	var none pipeline.Flow[int]
	zero := func(pipeline.Flow[int]) pipeline.Flow[int] { return none }
	other := func(pipeline.Flow[int]) pipeline.Flow[int] { return f }
	twice := func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Merge(f, f.Filter(isEven)) }
	pick := func(int) int { return 0 }
	copied := func(outer pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Partition(f, 3, pick, func(in pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Merge(in, outer) })
	}
	for want, build := range map[string]func(){
		"broadcast: no stage":                        func() { pipeline.Broadcast[int, int](f) },
		"broadcast: stage 1: nil":                    func() { pipeline.Broadcast(f, asIs, nil) },
		"broadcast: stage 0: it returns a zero Flow": func() { pipeline.Broadcast(f, zero) },
		"broadcast: stage 1: it uses its flow 0 times: want once; Broadcast copies it": func() { pipeline.Broadcast(f, asIs, other) },
		"broadcast: stage 0: it uses its flow 2 times: want once; Broadcast copies it": func() { pipeline.Broadcast(f, twice) },
		"broadcast: stage 0: it uses its flow 3 times: want once; Broadcast copies it": func() { pipeline.Broadcast(f, copied) },
		"Broadcast of a zero Flow: it has no source":                                   func() { pipeline.Broadcast(none, asIs) },

		"route: nil function": func() { pipeline.Route(f, nil, asIs) },
		"route: no stage":     func() { pipeline.Route[int, int](f, pick) },
		"route: stage 0: nil": func() { pipeline.Route[int, int](f, pick, nil) },
		"route: stage 0: it uses its flow 0 times: want once; Broadcast copies it": func() { pipeline.Route(f, pick, other) },
		"Route of a zero Flow: it has no source":                                   func() { pipeline.Route(none, pick, asIs) },

		"partition: 0 copies: want at least 1":  func() { pipeline.Partition(f, 0, pick, asIs) },
		"partition: -1 copies: want at least 1": func() { pipeline.Partition(f, -1, pick, asIs) },
		"partition: nil function":               func() { pipeline.Partition[int, int](f, 1, nil, asIs) },
		"partition: stage 0: nil":               func() { pipeline.Partition[int, int, int](f, 1, pick, nil) },
		"partition: stage 0: it uses its flow 2 times: want once; Broadcast copies it": func() { pipeline.Partition(f, 2, pick, twice) },
		"Partition of a zero Flow: it has no source":                                   func() { pipeline.Partition(none, 1, pick, asIs) },

		"broadcast: Named given twice": func() { pipeline.Broadcast(f, asIs).Named("a").Named("b") },
		"broadcast: Named: empty name": func() { pipeline.Broadcast(f, asIs).Named("") },
	} {
		got := message(build)
		if strings.Contains(want, "Named given twice") {
			want = "broadcast a: Named given twice"
		}
		assert.Equal(t, "pipeline: "+want, got)
	}
}

// An outer flow may be used in a branch of an inner fan, if that is opened once.
func TestTheFlowOfAnOuterStageInABranchOfAnInnerFan(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.Broadcast(pipeline.From(upTo(10)), func(outer pipeline.Flow[int]) pipeline.Flow[int] {
		inner := plus(1e6)(pipeline.From(upTo(5)))
		return pipeline.Partition(inner, 1, func(v int) int { return v }, func(in pipeline.Flow[int]) pipeline.Flow[int] {
			return pipeline.Broadcast(outer, asIs, func(out pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Merge(in, out) })
		})
	})
	got, err := f.Collect(t.Context())
	require.NoError(t, err)
	assert.Len(t, got, 25)
}

// A flow that a stage was given means nothing outside of it.
func TestAFlowThatIsRunOutsideOfItsStage(t *testing.T) {
	pipelinetest.NoLeak(t)
	var stray pipeline.Flow[int]
	f := pipeline.Broadcast(pipeline.From(upTo(10)), func(f pipeline.Flow[int]) pipeline.Flow[int] {
		stray = f
		return f
	})
	const text = "pipeline: the flow that a stage was given is run outside of it"
	assert.EqualError(t, stray.Run(t.Context()), text)
	assert.EqualError(t, pipeline.Merge(f, stray).Run(t.Context()), text)
	assert.EqualError(t, pipeline.Map(stray, same, pipeline.Workers(2)).Run(t.Context()), text)
	got := outcomes(pipeline.Merge(stray, f).Results(t.Context()))
	require.Len(t, got, 11)
	assert.Equal(t, text, got[10].Err)
	assert.NotEmpty(t, stray.Plan().Stages)
}
