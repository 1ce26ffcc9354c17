package pipeline_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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

// isLess is the order of ints.
func isLess(a, b int) bool { return a < b }

// every returns the flow of the values from start that are step apart, n of them; endless
// if n is below 0.
func every(start, step, n int) pipeline.Flow[int] {
	return pipeline.From(func(yield func(int) bool) {
		for i := 0; i != n; i++ {
			if !yield(start + i*step) {
				return
			}
		}
	})
}

// silent is a flow that never gives anything nor ends by itself.
func silent() pipeline.Flow[int] { return pipeline.FromChan(make(chan int)) }

// failing is a flow of n values behind which its source panics.
func failing(n int) pipeline.Flow[int] {
	return pipeline.From(func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
		panic("dry")
	})
}

// joinSteps are the steps that make one flow of several ints.
var joinSteps = []struct {
	name string
	join func(flows ...pipeline.Flow[int]) pipeline.Flow[int]
}{
	{"merge", pipeline.Merge[int]},
	{"mergeordered", func(flows ...pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.MergeOrdered(isLess, flows...) }},
	{"zip", func(flows ...pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(pipeline.Zip(flows[0], flows[1]),
			func(_ context.Context, p pipeline.Pair[int, int]) (int, error) { return p.A + p.B, nil })
	}},
}

// Merge gives all of each flow in its order, whatever the flows are made of.
func TestMergeKeepsTheOrderOfEachFlow(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		for _, behind := range stages {
			a, b := every(0, 1, 500), every(1000, 1, 700)
			f := pipeline.Merge(plus(0, s.opts...)(a), b, plus(0, s.opts...)(every(2000, 1, 0)))
			f = pipeline.Map(f, same, behind.opts...)
			for range 2 {
				var got [2][]int
				for v, err := range f.All(t.Context()) {
					require.NoError(t, err)
					got[v/1000] = append(got[v/1000], v%1000)
				}
				if !s.ordered || !behind.ordered {
					slices.Sort(got[0])
					slices.Sort(got[1])
				}
				require.Equal(t, numbers(500), got[0], "%s / %s", s.name, behind.name)
				require.Equal(t, numbers(700), got[1], "%s / %s", s.name, behind.name)
			}
		}
	}
}

// What one flow waits for holds up no other; the merge ends with the last.
func TestMergeWaitsForAll(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := make(chan int)
		var got []int
		done := make(chan struct{})
		go func() {
			defer close(done)
			for v, err := range pipeline.Merge(pipeline.FromChan(c), every(1, 1, 3)).All(t.Context()) {
				assert.NoError(t, err)
				got = append(got, v)
			}
		}()
		synctest.Wait()
		assert.Equal(t, []int{1, 2, 3}, got)
		c <- 4
		synctest.Wait()
		assert.Len(t, got, 4)
		close(c)
		<-done
	})
}

// A flow that is given twice runs twice, and one flow is itself.
func TestMergeOfOneFlowAndOfTheSame(t *testing.T) {
	for _, merge := range joinSteps[:2] {
		var pulled atomic.Int64
		f := pipeline.From(counted(upTo(100), &pulled))
		got, err := merge.join(f).Collect(t.Context())
		require.NoError(t, err)
		assert.Equal(t, numbers(100), got)
		got, err = merge.join(f, f).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 200)
		assert.EqualValues(t, 300, pulled.Load())
	}
}

// MergeOrdered gives the sorted union of sorted flows, of whatever lengths, and of equal
// values those of the flow that was given first.
func TestMergeOrderedOfUnequalFlows(t *testing.T) {
	pipelinetest.NoLeak(t)
	type value struct{ v, flow int }
	source := func(flow, step, n int) pipeline.Flow[value] {
		return pipeline.Map(every(0, step, n), func(_ context.Context, v int) (value, error) { return value{v, flow}, nil })
	}
	for _, s := range stages {
		if !s.ordered {
			continue
		}
		for k := 1; k <= 5; k++ {
			var flows []pipeline.Flow[value]
			var want []value
			for i := range k {
				n := []int{300, 0, 1, 1000, 77}[i]
				flows = append(flows, pipeline.Map(source(i, 1+i%2, n), same, s.opts...))
				for v := range n {
					want = append(want, value{v * (1 + i%2), i})
				}
			}
			slices.SortStableFunc(want, func(a, b value) int {
				return cmp.Or(cmp.Compare(a.v, b.v), cmp.Compare(a.flow, b.flow))
			})
			got, err := pipeline.MergeOrdered(func(a, b value) bool { return a.v < b.v }, flows...).Collect(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got, "%s, %d flows", s.name, k)
		}
	}
}

// Endless flows can be merged and taken from; nothing is pulled far beyond what is given.
func TestMergeOrderedOfEndlessFlows(t *testing.T) {
	pipelinetest.NoLeak(t)
	var pulled atomic.Int64
	endless := pipeline.From(counted(naturals, &pulled))
	got, err := pipeline.MergeOrdered(isLess, endless, every(2, 1, 3), endless).Take(9).Collect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{0, 0, 1, 1, 2, 2, 2, 3, 3}, got)
	assert.LessOrEqual(t, pulled.Load(), int64(2*(256+2*64+9)))
}

// It gives a value once it knows that no smaller one can come: a flow that is silent holds
// the others up, one that has ended does not.
func TestMergeOrderedWaitsForEachFlow(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := make(chan int)
		var got []int
		done := make(chan struct{})
		go func() {
			defer close(done)
			for v, err := range pipeline.MergeOrdered(isLess, every(0, 10, -1), pipeline.FromChan(c), every(3, 1, 1)).All(t.Context()) {
				assert.NoError(t, err)
				if got = append(got, v); v == 50 {
					break
				}
			}
		}()
		synctest.Wait()
		assert.Empty(t, got)
		c <- 15
		synctest.Wait()
		assert.Equal(t, []int{0, 3, 10, 15}, got)
		c <- 31
		synctest.Wait()
		assert.Equal(t, []int{0, 3, 10, 15, 20, 30, 31}, got)
		close(c)
		<-done
	})
}

// Failed inputs are given as soon as they are next in their flow, once, and the values
// around them are in order all the same.
func TestMergeOrderedWithFailedInputs(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		if !s.ordered {
			continue
		}
		bad := pipeline.Map(every(0, 2, 100), func(_ context.Context, v int) (int, error) {
			if v%10 == 4 {
				return 0, errBoom
			}
			return v, nil
		}, s.opts...)
		f := pipeline.MergeOrdered(isLess, bad, every(1, 2, 100), bad)
		var got []int
		failed := map[int]int{}
		for r := range f.Results(t.Context()) {
			if r.Err != nil {
				failed[r.Index]++
				continue
			}
			got = append(got, r.Value)
		}
		assert.True(t, slices.IsSorted(got), s.name)
		assert.Len(t, got, 100+2*80)
		assert.Len(t, failed, 20)
		for i, n := range failed {
			assert.Equal(t, 2, n, "input %d", i)
		}
		_, err := f.Collect(t.Context())
		require.ErrorIs(t, err, errBoom)
	}
}

// A comparison that does not return is the failure of the value that it was for, and the
// others are still merged.
func TestMergeOrderedWithALessThatFails(t *testing.T) {
	pipelinetest.NoLeak(t)
	bad := func(fail func()) func(a, b int) bool {
		return func(a, b int) bool {
			if a == 10 || b == 10 {
				fail()
			}
			return a < b
		}
	}
	for text, fail := range map[string]func(){
		"panic: boom":                    func() { panic("boom") },
		"function called runtime.Goexit": runtime.Goexit,
	} {
		// Behind a Buffer Goexit ends no goroutine of ours.
		f := pipeline.MergeOrdered(bad(fail), every(0, 2, 20), every(1, 2, 20)).Buffer(1)
		got := outcomes(f.Results(t.Context()))
		require.NotEmpty(t, got)
		var values []int
		failed := 0
		for _, o := range got {
			if o.Err != "" {
				assert.Contains(t, o.Err, "pipeline: stage mergeordered: input ")
				assert.Contains(t, o.Err, text)
				failed++
				continue
			}
			values = append(values, o.Value)
		}
		assert.True(t, slices.IsSorted(values))
		assert.Equal(t, 40, len(values)+failed)
		assert.Positive(t, failed)
		assert.ErrorContains(t, f.Run(t.Context()), text)
	}
}

// Zip pairs up to the end of the shorter flow, and then ends the other one.
func TestZipOfUnequalFlows(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		for _, n := range []int{0, 1, 600} {
			var pulled atomic.Int64
			long := pipeline.From(counted(naturals, &pulled))
			short := plus(1000, s.opts...)(pipeline.From(upTo(n)))
			ab, err := pipeline.Zip(long, short).Collect(t.Context())
			require.NoError(t, err)
			ba, err := pipeline.Zip(short, long).Collect(t.Context())
			require.NoError(t, err)
			require.Len(t, ab, n)
			require.Len(t, ba, n)
			sum := 0
			for i := range n {
				require.Equal(t, i, ab[i].A)
				require.Equal(t, i, ba[i].B)
				if s.ordered {
					require.Equal(t, 1000+i, ab[i].B)
					require.Equal(t, 1000+i, ba[i].A)
				}
				sum += ab[i].B
			}
			require.Equal(t, n*1000+n*(n-1)/2, sum)
			require.LessOrEqual(t, pulled.Load(), int64(2*(n+1+256+3*64)))
		}
	}
}

// A flow that has ended ends the other one also while that is waited for, but not before
// all pairs are there.
func TestZipEndsWithTheShorterFlowWhileTheOtherIsSilent(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for n := range 3 {
			for _, swap := range []bool{false, true} {
				c := make(chan int)
				a, b := pipeline.FromChan(c), pipeline.From(upTo(n))
				if swap {
					a, b = b, a
				}
				var got []pipeline.Pair[int, int]
				var err error
				done := make(chan struct{})
				go func() {
					defer close(done)
					got, err = pipeline.Zip(a, b).Collect(t.Context())
				}()
				for range n {
					synctest.Wait() // the other one has ended long since
					select {
					case <-done:
						require.Fail(t, "there was to be another pair")
					default:
					}
					c <- 7
				}
				<-done // although c is not closed
				require.NoError(t, err)
				require.Len(t, got, n)
			}
		}
	})
}

// When one flow has ended, calls in flight in the other one are canceled, and failures
// there are nobody's business.
func TestZipEndsTheOtherFlow(t *testing.T) {
	for _, s := range stages[1:] {
		testkit.Bubble(t, func(t *testing.T) {
			for _, swap := range []bool{false, true} {
				a, b := pipeline.Map(pipeline.From(naturals), stuckAt(5), s.opts...), pipeline.From(upTo(3))
				if s.workers == 1 || s.ordered {
					b = pipeline.From(upTo(2))
				}
				if swap {
					a, b = b, a
				}
				got := slices.Collect(pipeline.Zip(a, b).Results(t.Context()))
				for _, r := range got {
					require.NoError(t, r.Err)
				}
				_, err := pipeline.Zip(a, b).Collect(t.Context())
				require.NoError(t, err)
			}
		})
	}
}

// A pair of a failed input is a failed pair, with what went wrong on both sides.
func TestZipOfFailedInputs(t *testing.T) {
	pipelinetest.NoLeak(t)
	errB := errors.New("bang")
	a := pipeline.Map(pipeline.From(upTo(6)), func(_ context.Context, v int) (int, error) {
		if v == 1 || v == 3 {
			return 0, errBoom
		}
		return v, nil
	}, pipeline.Named("a"), pipeline.Workers(3), pipeline.Ordered())
	b := pipeline.Map(pipeline.From(upTo(9)).Filter(func(v int) bool { return v > 2 }), func(_ context.Context, v int) (int, error) {
		if v == 5 || v == 6 {
			return 0, errB
		}
		return v, nil
	}, pipeline.Named("b"))
	var got []string
	for r := range pipeline.Zip(a, b).Results(t.Context()) {
		if r.Err != nil {
			got = append(got, fmt.Sprint(r.Index, " ", r.Err))
			assert.Equal(t, 1, r.Attempt)
			assert.Equal(t, r.Index == 1 || r.Index == 3, errors.Is(r.Err, errBoom))
			assert.Equal(t, r.Index == 2 || r.Index == 3, errors.Is(r.Err, errB))
			continue
		}
		got = append(got, fmt.Sprint(r.Index, " ", r.Value))
	}
	assert.Equal(t, []string{
		"0 {0 3}",
		"1 pipeline: stage a: input 1: boom",
		"2 pipeline: stage b: input 5: bang",
		"3 pipeline: stage a: input 3: boom\npipeline: stage b: input 6: bang",
		"4 {4 7}",
		"5 {5 8}",
	}, got)
}

// The failure of a source is told, also if the join ends because of it.
func TestTheFailureOfAJoinedSource(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, join := range joinSteps {
		for _, flows := range [][]pipeline.Flow[int]{
			{failing(3), every(0, 1, 50)}, {every(0, 1, 50), failing(3)}, {failing(0), every(0, 1, 50)},
		} {
			f := join.join(flows...)
			got := outcomes(f.Results(t.Context()))
			require.NotEmpty(t, got, join.name)
			assert.Contains(t, got[len(got)-1].Err, "panic: dry", join.name)
			if join.name != "zip" { // it may have enough before
				assert.ErrorContains(t, f.Run(t.Context()), "panic: dry", join.name)
			}
		}
	}
	// Nobody wants to know what became of a flow that was left.
	got := outcomes(pipeline.Zip(every(0, 1, 3), failing(3)).Results(t.Context()))
	assert.Len(t, got, 3)
}

// Loops that are left, and contexts that end, leave nothing behind, and Results tells what
// was canceled until it is left.
func TestJoinsThatAreLeftOrCanceled(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, join := range joinSteps {
		for _, s := range stages {
			slow := func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, same, s.opts...) }
			for name, f := range map[string]pipeline.Flow[int]{
				"ready":  join.join(slow(pipeline.From(naturals)), slow(pipeline.From(naturals))),
				"buffer": join.join(slow(pipeline.From(naturals)), slow(pipeline.From(naturals))).Buffer(1),
			} {
				for _, at := range []int{1, 2, 300} {
					for terminal, loop := range loops(t, f) {
						n := 0
						loop(func() bool {
							n++
							return n < at
						})
						require.Equal(t, at, n, "%s, %s, %s, %s", join.name, s.name, name, terminal)
					}
				}
				for _, more := range []int{0, 1, 2, 1 << 30} {
					ctx, cancel := context.WithCancelCause(t.Context())
					n, canceled := 0, 0
					for r := range f.Results(ctx) {
						if n++; n == 100 {
							cancel(errStop)
						}
						if r.Err == nil {
							continue
						}
						require.ErrorIs(t, r.Err, errStop)
						if canceled++; canceled > more {
							break
						}
					}
					ctx, cancel = context.WithCancelCause(t.Context())
					time.AfterFunc(time.Millisecond, func() { cancel(errStop) })
					require.ErrorIs(t, f.Run(ctx), errStop, "%s, %s, %s", join.name, s.name, name)
				}
			}
		}
	}
}

// A flow that is silent does not keep a join from ending with the run.
func TestASilentFlowBeforeAJoin(t *testing.T) {
	for _, join := range joinSteps {
		testkit.Bubble(t, func(t *testing.T) {
			for i := range 2 {
				run := func(ctx context.Context, fn func(context.Context, int) (int, error)) error {
					flows := []pipeline.Flow[int]{silent(), pipeline.Map(every(0, 1, -1), fn)}
					if i == 1 {
						slices.Reverse(flows)
					}
					return join.join(flows...).Run(ctx)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Minute, func() { cancel(errStop) })
				require.ErrorIs(t, run(ctx, sleepFor(time.Second)), errStop, join.name)
				// The other one comes to its failure although nobody may read what it gives.
				require.ErrorIs(t, run(t.Context(), failAt(100)), errBoom, join.name)
			}
		})
	}
}

// What goes wrong in the body of a loop behind a join.
func TestAPanicBehindAJoin(t *testing.T) {
	for _, join := range joinSteps {
		stage := func(f pipeline.Flow[int]) pipeline.Flow[int] { return join.join(f, every(0, 1, -1)) }
		out := pipelinetest.Run(t, stage, numbers(500), pipelinetest.SinkPanicsAfter(20, "sink"))
		assert.Equal(t, "sink", out.Panic, join.name)
		goexit := pipeline.Then(stage, calling(func(_ context.Context, v int) (int, error) {
			if v == 40 {
				runtime.Goexit()
			}
			return v, nil
		}))
		out = pipelinetest.Run(t, goexit, numbers(500), pipelinetest.LeaveAfter(450))
		assert.True(t, out.Goexit, join.name)
		behind := pipeline.Then(goexit, func(f pipeline.Flow[int]) pipeline.Flow[int] { return f.Buffer(3) })
		out = pipelinetest.Run(t, behind, numbers(500), pipelinetest.Results(), pipelinetest.LeaveAfter(100))
		require.Len(t, out.Results, 100, "the run goes on behind a Goexit on a goroutine of its own")
	}
}

// Timing, Index, Attempt and Worker of pairs and merged items.
func TestTheTimingOfResultsBehindAJoin(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		a := pipeline.Map(every(0, 1, 3), sleepFor(time.Second))
		b := pipeline.Map(every(0, 1, 5), sleepFor(3*time.Second), pipeline.Workers(5), pipeline.Ordered())
		i := 0
		for r := range pipeline.Zip(a, b).Results(t.Context()) {
			assert.Equal(t, i, r.Index)
			assert.Equal(t, 1, r.Attempt)
			assert.Equal(t, 0, r.Worker)
			assert.Equal(t, start, r.Timing.Queued)
			assert.Equal(t, 4*time.Second, r.Timing.Run)
			assert.Equal(t, max(0, time.Duration(max(i+1, 3)-4)*time.Second), r.Timing.Wait)
			i++
		}
		assert.Equal(t, 3, i)
		for r := range pipeline.MergeOrdered(isLess, a, b).Results(t.Context()) {
			assert.Equal(t, r.Value, r.Index)
			assert.Contains(t, []time.Duration{time.Second, 3 * time.Second}, r.Timing.Run)
			assert.Zero(t, r.Timing.Wait, "what it waits for in the merge is behind its last call")
		}
		// One that is called by nobody.
		for r := range pipeline.Zip(every(0, 1, 2), every(0, 1, 2)).Results(t.Context()) {
			assert.Equal(t, result.Succeeded, r.Status())
			assert.Zero(t, r.Attempt)
			assert.Equal(t, -1, r.Worker)
		}
		// Of two that failed the pair tells of the one, unless only the other one has.
		bad := pipeline.Map(every(0, 1, 2), failAt(1), pipeline.Workers(1))
		for r := range pipeline.Zip(every(0, 1, 2), bad).Results(t.Context()) {
			assert.Equal(t, r.Index == 1, r.Err != nil)
			assert.Equal(t, r.Index, r.Attempt)
			assert.Equal(t, r.Index-1, r.Worker)
		}
	})
}

// A flow that is merged is not held in memory beyond its own window.
func TestJoinsDoNotAllocateForEachItem(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const n = 20000
	for name, f := range map[string]pipeline.Flow[int]{
		"merge":        pipeline.Merge(every(0, 2, n), every(1, 2, n)),
		"mergeordered": pipeline.MergeOrdered(isLess, every(0, 2, n), every(1, 2, n), every(5, 2, n)),
		"zip":          joinSteps[2].join(every(0, 2, n), every(1, 2, n)),
		"broadcast":    pipeline.Broadcast(every(0, 1, n), asIs, asIs),
		"route":        pipeline.Route(every(0, 1, n), func(v int) int { return v % 2 }, asIs, asIs),
		"partition":    pipeline.Partition(every(0, 1, n), 2, func(v int) int { return v }, asIs),
	} {
		allocs := testing.AllocsPerRun(3, func() { _ = f.Run(t.Context()) })
		assert.Less(t, allocs, float64(n)/20, name)
	}
}

func TestBadArgumentsOfJoins(t *testing.T) {
	f := pipeline.From(upTo(3))
	var none pipeline.Flow[int]
	for _, tt := range []struct {
		want  string
		build func()
	}{
		{"pipeline: merge: no flow", func() { pipeline.Merge[int]() }},
		{"pipeline: Merge of a zero Flow: it has no source", func() { pipeline.Merge(f, none) }},
		{"pipeline: mergeordered: nil function", func() { pipeline.MergeOrdered(nil, f) }},
		{"pipeline: mergeordered: no flow", func() { pipeline.MergeOrdered(isLess) }},
		{"pipeline: MergeOrdered of a zero Flow: it has no source", func() { pipeline.MergeOrdered(isLess, f, none) }},
		{"pipeline: Zip of a zero Flow: it has no source", func() { pipeline.Zip(none, f) }},
		{"pipeline: Zip of a zero Flow: it has no source", func() { pipeline.Zip(f, none) }},
		{"pipeline: merge: Named: empty name", func() { pipeline.Merge(f).Named("") }},
		{"pipeline: zip a: Named given twice", func() { pipeline.Zip(f, f).Named("a").Named("b") }},
	} {
		assert.Equal(t, tt.want, message(tt.build))
	}
	// Names of steps stand in errors.
	bad := func(int, int) bool { panic("boom") }
	err := pipeline.MergeOrdered(bad, f, f).Named("by time").Run(t.Context())
	assert.EqualError(t, err, "pipeline: stage by time: input 0: panic: boom")
}
