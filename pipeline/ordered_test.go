package pipeline_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// Outputs are in the order of the inputs, however long each call takes.
func TestOrderedKeepsTheOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 4))
		const n = 2000
		delays := make([]time.Duration, n)
		for i := range delays {
			if random.IntN(3) > 0 {
				delays[i] = time.Duration(random.IntN(1000)) * time.Millisecond
			}
		}
		delayed := func(_ context.Context, v int) (int, error) {
			time.Sleep(delays[v])
			return v, nil
		}
		for _, opts := range [][]pipeline.StageOption{
			{pipeline.Ordered()}, {pipeline.Ordered(7)}, {pipeline.Ordered(8)}, {pipeline.Ordered(100)},
			{pipeline.Ordered(), pipeline.Buffer(1)},
		} {
			opts = append(opts, pipeline.Workers(7))
			f := pipeline.Map(pipeline.Map(pipeline.From(upTo(n)), delayed, opts...), delayed, opts...)
			got, err := f.Collect(t.Context())
			require.NoError(t, err)
			require.Equal(t, numbers(n), got)
		}
	})
}

// The window bounds, at every instant, how many inputs have been started and not
// been passed on, behind a head that is stuck as behind one that moves.
func TestTheWindowBoundsWhatIsInTheStage(t *testing.T) {
	for _, tt := range []struct{ workers, window, given int }{
		{2, 2, 2}, {4, 5, 5}, {4, 64, 64}, {3, 3 * 128, 0}, {1, 1, 1},
	} {
		testkit.Bubble(t, func(t *testing.T) {
			release := make(chan struct{})
			var started atomic.Int64
			order := pipeline.Ordered()
			if tt.given > 0 {
				order = pipeline.Ordered(tt.given)
			}
			f := pipeline.Map(pipeline.From(naturals), func(ctx context.Context, v int) (int, error) {
				started.Add(1)
				if v%1000 == 0 {
					select {
					case <-release:
					case <-ctx.Done():
					}
				}
				return v, nil
			}, pipeline.Workers(tt.workers), order, pipeline.Buffer(1))
			done := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			passed := 0
			go func() {
				defer close(done)
				for _, err := range f.All(ctx) {
					if err == nil {
						passed++
					}
				}
			}()
			for round := range 3 {
				synctest.Wait()
				assert.Equal(t, 1000*round, passed, "what is behind a stuck head waits")
				// A single worker sits in the head; more of them fill the window.
				want := 1000*round + 1
				if tt.workers > 1 {
					want = 1000*round + tt.window
				}
				assert.EqualValues(t, want, started.Load(), "%+v", tt)
				release <- struct{}{}
			}
			cancel()
			<-done
		})
	}
}

// A failed, a dropped, a panicked input leaves its place at once.
func TestOrderedInputsWithoutOutputLeaveTheirPlace(t *testing.T) {
	pipelinetest.NoLeak(t)
	const n = 5000
	for _, window := range []int{8, 100} {
		opts := []pipeline.StageOption{pipeline.Workers(8), pipeline.Ordered(window)}
		f := pipeline.Map(pipeline.From(upTo(n)), mishap, opts...).Filter(func(v int) bool { return v%2 == 0 }, opts...)
		next := 0
		for r := range f.Results(t.Context()) {
			for next%10 == 1 || next%10 == 9 { // odd ones that did not fail
				next++
			}
			require.Equal(t, next, r.Index)
			next++
		}
		assert.Equal(t, n-1, next)
	}
}

// A worker that is ended by Goexit is replaced, and the order is kept.
func TestOrderedWithGoexitEverywhere(t *testing.T) {
	pipelinetest.NoLeak(t)
	f := pipeline.Map(pipeline.From(upTo(300)), func(context.Context, int) (int, error) {
		runtime.Goexit()
		return 0, nil
	}, pipeline.Workers(4), pipeline.Ordered(4))
	next := 0
	for r := range f.Results(t.Context()) {
		require.ErrorIs(t, r.Err, pipeline.ErrGoexit)
		require.Equal(t, next, r.Index)
		next++
	}
	assert.Equal(t, 300, next)
}

// Without workers a stage is in order anyway, and Ordered says nothing more.
func TestOrderedWithoutWorkers(t *testing.T) {
	got, err := pipeline.Map(pipeline.From(upTo(100)), same, pipeline.Ordered(3)).Collect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, numbers(100), got)
}

// Without Ordered outputs come as the calls end.
func TestUnorderedGivesOutputsAsTheCallsEnd(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		f := pipeline.Map(pipeline.From(upTo(8)), func(_ context.Context, v int) (int, error) {
			time.Sleep(time.Duration(8-v) * time.Second)
			return v, nil
		}, pipeline.Workers(8))
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{7, 6, 5, 4, 3, 2, 1, 0}, got)
	})
}
