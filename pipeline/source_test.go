package pipeline_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// A plan is cold: building it pulls nothing.
func TestNothingHappensBeforeATerminal(t *testing.T) {
	var pulled atomic.Int64
	f := pipeline.Map(pipeline.From(counted(naturals, &pulled)), same, pipeline.Workers(4)).Take(3)
	all, results := f.All(t.Context()), f.Results(t.Context())
	assert.Zero(t, pulled.Load())
	for _, err := range all {
		require.NoError(t, err)
		break
	}
	assert.Positive(t, pulled.Load())
	for range results {
		break
	}
}

// FromSlice does not copy: a run sees the elements as they are then.
func TestFromSliceDoesNotCopy(t *testing.T) {
	s := []int{1, 2, 3}
	f := pipeline.FromSlice(s)
	s[1] = 20
	got, err := f.Collect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{1, 20, 3}, got)
}

// A channel serves one run; the second one says so.
func TestFromChanServesOneRun(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		c := make(chan int, 3)
		c <- 1
		c <- 2
		close(c)
		f := pipeline.Map(pipeline.FromChan(c), same, s.opts...)
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.ElementsMatch(t, []int{1, 2}, got)

		for name, err := range failures(t.Context(), f) {
			require.ErrorIs(t, err, pipeline.ErrSourceUsed, name)
		}
		n := 0
		for r := range f.Results(t.Context()) {
			require.ErrorIs(t, r.Err, pipeline.ErrSourceUsed)
			require.EqualError(t, r.Err, "pipeline: stage from: input 0: the source serves one run only")
			n++
		}
		assert.Equal(t, 1, n)
	}
}

// Two flows that share a channel source share its one run.
func TestFlowsUponOneChannelShareItsRun(t *testing.T) {
	c := make(chan int)
	close(c)
	base := pipeline.FromChan(c)
	require.NoError(t, base.Tap(func(int) {}).Run(t.Context()))
	assert.ErrorIs(t, base.Filter(func(int) bool { return true }).Run(t.Context()), pipeline.ErrSourceUsed)
}

// A channel is never closed by a flow, and what a flow has not received is still
// there when it was left.
func TestFromChanIsLeftOpen(t *testing.T) {
	pipelinetest.NoLeak(t)
	c := make(chan int, 10)
	for i := range 10 {
		c <- i
	}
	for v, err := range pipeline.FromChan(c).All(t.Context()) {
		require.NoError(t, err)
		if v == 3 {
			break
		}
	}
	assert.Len(t, c, 6)
	c <- 10 // panics if it was closed
}

// Items that come from a channel one at a time are passed on one at a time.
func TestFromChanPassesOnWhatComes(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := make(chan int)
		var got []int
		done := make(chan error)
		go func() {
			done <- pipeline.FromChan(c).ForEach(t.Context(), func(_ context.Context, v int) error {
				got = append(got, v)
				return nil
			})
		}()
		for i := range 5 {
			c <- i
			synctest.Wait()
			assert.Len(t, got, i+1)
		}
		close(c)
		assert.NoError(t, <-done)
	})
}

// A flow can be run again and again, also concurrently, and several flows can be
// built upon one.
func TestFlowsAreReusable(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		base := pipeline.Map(pipeline.From(upTo(300)), same, s.opts...)
		odd := base.Filter(func(v int) bool { return v%2 == 1 })
		few := base.Take(7)
		batches := pipeline.Batch(base, 50, 0)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				got, err := base.Collect(t.Context())
				assert.NoError(t, err)
				assert.Len(t, got, 300)
			})
			wg.Go(func() {
				got, err := odd.Collect(t.Context())
				assert.NoError(t, err)
				assert.Len(t, got, 150)
			})
			wg.Go(func() {
				got, err := few.Collect(t.Context())
				assert.NoError(t, err)
				assert.Len(t, got, 7)
			})
			wg.Go(func() {
				got, err := batches.Collect(t.Context())
				assert.NoError(t, err)
				assert.Len(t, got, 6)
			})
		}
		wg.Wait()
	}
}

// The sequences of All and Results run the flow each time they are ranged over.
func TestEveryRangeIsARun(t *testing.T) {
	pipelinetest.NoLeak(t)
	var pulled atomic.Int64
	f := pipeline.Map(pipeline.From(counted(upTo(3), &pulled)), same, pipeline.Workers(2))
	all, results := f.All(t.Context()), f.Results(t.Context())
	for range 2 {
		for _, err := range all {
			require.NoError(t, err)
		}
		for range results {
		}
	}
	assert.EqualValues(t, 12, pulled.Load())
}

// After a failed, a canceled and a left run the next one starts afresh.
func TestAFlowOutlivesItsRuns(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		var fail atomic.Bool
		f := pipeline.Map(pipeline.From(upTo(100)), func(_ context.Context, v int) (int, error) {
			if fail.Load() {
				return 0, errBoom
			}
			return v, nil
		}, s.opts...)
		fail.Store(true)
		require.ErrorIs(t, f.Run(t.Context()), errBoom)
		fail.Store(false)
		for range f.Results(t.Context()) {
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, f.Run(ctx), context.Canceled)
		got, err := f.Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 100)
	}
}
