package pipeline_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
)

// A single item in an idle pipeline is passed on at once, from stage to stage: it
// takes no virtual time through four pools, whether it is the first one ever or
// comes after many.
func TestASingleItemIsPassedOnAtOnce(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			c := make(chan int)
			f := pipeline.FromChan(c)
			for range 4 {
				f = pipeline.Map(f, same, s.opts...)
			}
			var got []int
			var wg sync.WaitGroup
			wg.Go(func() {
				assert.NoError(t, f.ForEach(t.Context(), func(_ context.Context, v int) error {
					got = append(got, v)
					return nil
				}))
			})
			defer wg.Wait()
			defer close(c)
			for i := range 20 {
				c <- i
				synctest.Wait() // no time goes by in here
				require.Len(t, got, i+1, s.name)
			}
			for i := range 5000 { // makes chunks
				c <- i
			}
			synctest.Wait()
			for i := range 20 {
				c <- i
				synctest.Wait()
				require.Len(t, got, 5020+i+1, "%s, after a burst", s.name)
			}
		})
	}
}

// warmed is a source of many quick items, a pause, and then slow ones; a stage
// that calls quickThen has by then learned that it can take many at once.
func warmed(quick, slow int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range quick {
			if !yield(-1 - i) {
				return
			}
		}
		time.Sleep(time.Hour)
		for i := range slow {
			if !yield(i) {
				return
			}
		}
	}
}

// quickThen is quick on negative values and takes d on the others.
func quickThen(d time.Duration) func(context.Context, int) (int, error) {
	return func(_ context.Context, v int) (int, error) {
		if v >= 0 {
			time.Sleep(d)
		}
		return v, nil
	}
}

// A worker does not hoard slow items: 8 workers do 16 calls of a second each in
// 2 s, although thousands of quick calls before have made the chunks large.
func TestWorkersDoNotHoardSlowItems(t *testing.T) {
	for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Ordered()}, {pipeline.Buffer(8)}} {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(warmed(10_000, 16)), quickThen(time.Second), append(opts, pipeline.Workers(8))...)
			start := time.Now()
			require.NoError(t, f.Run(t.Context()))
			assert.Equal(t, time.Hour+2*time.Second, time.Since(start))
		})
	}
}

// The same with no pause: slow items sit among the quick ones.
func TestSlowItemsAmongQuickOnesAreShared(t *testing.T) {
	for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Ordered()}} {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(upTo(8*1000)), func(_ context.Context, v int) (int, error) {
				if v%1000 >= 992 {
					time.Sleep(time.Second)
				}
				return v, nil
			}, append(opts, pipeline.Workers(8))...)
			start := time.Now()
			require.NoError(t, f.Run(t.Context()))
			assert.Equal(t, 8*time.Second, time.Since(start))
		})
	}
}

// One very slow item delays no other while there are idle workers, however many
// its worker had taken along with it.
func TestASlowItemDelaysNoOther(t *testing.T) {
	for _, workers := range []int{2, 8} {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(warmed(10_000, 500)), func(_ context.Context, v int) (int, error) {
				if v == 7 {
					time.Sleep(24 * time.Hour)
				}
				return v, nil
			}, pipeline.Workers(workers))
			start, late := time.Now(), 0
			for _, err := range f.All(t.Context()) {
				require.NoError(t, err)
				if time.Since(start) > time.Hour {
					late++
				}
			}
			assert.Equal(t, 1, late)
			assert.Equal(t, 25*time.Hour, time.Since(start))
		})
	}
}

// An item that is finished goes on at once although its worker is busy with the
// next one, which it had taken in the same chunk.
func TestAFinishedItemDoesNotWaitForItsWorker(t *testing.T) {
	for _, opts := range [][]pipeline.StageOption{nil, {pipeline.Ordered()}} {
		testkit.Bubble(t, func(t *testing.T) {
			f := pipeline.Map(pipeline.From(warmed(10_000, 20)), quickThen(time.Minute), append(opts, pipeline.Workers(1))...)
			f = pipeline.Map(f, same, pipeline.Workers(2))
			start := time.Now()
			for v, err := range f.All(t.Context()) {
				require.NoError(t, err)
				if v >= 0 {
					assert.Equal(t, time.Hour+time.Duration(v+1)*time.Minute, time.Since(start))
				}
			}
		})
	}
}

// The same for a producer: what a source has given goes on although the source
// takes its time for the next value.
func TestAnItemDoesNotWaitForItsSource(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			var times []time.Duration
			for i := range 50 {
				times = append(times, time.Duration(i/5)*time.Hour) // five at a time
			}
			start := time.Now()
			for v, err := range pipeline.Map(pipeline.From(timed(times...)), same, s.opts...).All(t.Context()) {
				require.NoError(t, err)
				require.Equal(t, times[v], time.Since(start), s.name)
			}
		})
	}
}

// Stages work at the same time: a flow takes as long as its slowest stage, plus
// the way of the first item.
func TestStagesOverlap(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(upTo(10)), sleepFor(time.Second), pipeline.Workers(1))
		f = pipeline.Map(f, sleepFor(time.Second)) // between two pools, on a goroutine of its own
		f = pipeline.Map(f, sleepFor(time.Second), pipeline.Workers(1), pipeline.Ordered())
		start := time.Now()
		require.NoError(t, f.ForEach(t.Context(), func(context.Context, int) error {
			time.Sleep(time.Second)
			return nil
		}))
		assert.Equal(t, 13*time.Second, time.Since(start))
	})
}

// The end of the input is noticed at once, too.
func TestTheEndIsPassedOnAtOnce(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			c := make(chan int)
			var wg sync.WaitGroup
			wg.Go(func() { assert.NoError(t, pipeline.Map(pipeline.FromChan(c), same, s.opts...).Run(t.Context())) })
			c <- 1
			synctest.Wait()
			start := time.Now()
			close(c)
			wg.Wait()
			assert.Zero(t, time.Since(start), s.name)
		})
	}
}
