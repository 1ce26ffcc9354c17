package pool_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

// "Map returns the outputs in the same order", whatever the order of their ends.
func TestMapKeepsTheOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(4))
		defer p.Close()
		ins := make([]time.Duration, 50)
		for i := range ins {
			ins[i] = time.Duration((i*37)%50) * time.Millisecond
		}
		outs, err := p.Map(t.Context(), ins)
		assert.NoError(t, err)
		assert.Equal(t, ins, outs)
	})
}

func TestMapOfFew(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(4))
		defer p.Close()
		for _, ins := range [][]task{nil, {}} {
			outs, err := p.Map(t.Context(), ins)
			assert.NoError(t, err)
			assert.Empty(t, outs)
		}
		outs, err := p.Map(t.Context(), []task{give(7)})
		assert.NoError(t, err)
		assert.Equal(t, []int{7}, outs)
	})
}

func TestMapOfMany(t *testing.T) {
	checkLeaks(t)
	p := pool.New(func(_ context.Context, v int) (int, error) { return v + 1, nil }, pool.Workers(4))
	defer closing(t, p)
	ins := make([]int, 1_000_000)
	for i := range ins {
		ins[i] = i
	}
	outs, err := p.Map(t.Context(), ins)
	require.NoError(t, err)
	require.Len(t, outs, len(ins))
	for i, v := range outs {
		if v != i+1 {
			require.Equal(t, i+1, v, "element %d", i)
		}
	}
}

// "The first error, by time, ends the contexts of the calls under way; no new call
// starts, and Map returns that error and no outputs."
func TestMapStopsAtTheFirstError(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(3))
		defer p.Close()
		var started, cut atomic.Int64
		wait := func(ctx context.Context) (int, error) {
			started.Add(1)
			<-ctx.Done()
			assert.Equal(t, errBoom, context.Cause(ctx), "others are told why")
			cut.Add(1)
			return 0, errors.New("a consequence")
		}
		fail := func(context.Context) (int, error) {
			started.Add(1)
			time.Sleep(time.Second)
			return 0, errBoom
		}
		ins := append([]task{wait, fail, wait}, slices.Repeat([]task{wait}, 1000)...)
		begin := time.Now()
		outs, err := p.Map(t.Context(), ins)
		assert.Same(t, errBoom, err, "as it is")
		assert.Nil(t, outs)
		assert.EqualValues(t, 3, started.Load())
		assert.EqualValues(t, 2, cut.Load(), "calls under way have ended when Map returns")
		assert.Equal(t, time.Second, time.Since(begin))
	})
}

// "It does the same with ctx's cause if ctx ends first."
func TestMapStopsWithItsContext(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(2))
		defer p.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2500*time.Millisecond, errBoom)
		defer cancel()
		begin := time.Now()
		outs, err := p.Map(ctx, slices.Repeat([]time.Duration{time.Second}, 100))
		assert.Same(t, errBoom, err)
		assert.Nil(t, outs)
		assert.Equal(t, 2500*time.Millisecond, time.Since(begin))
	})
}

// A function that cancels the context itself: nothing new starts from then on, on
// no worker, also if the function returns no error.
func TestMapStartsNothingAfterItsContextEnded(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(4))
		defer p.Close()
		ctx, cancel := context.WithCancelCause(t.Context())
		var canceled atomic.Bool
		var late atomic.Int64
		fast := func(context.Context) (int, error) {
			if canceled.Load() {
				late.Add(1)
			}
			return 0, nil
		}
		ins := slices.Repeat([]task{fast}, 5000)
		ins[1000] = func(context.Context) (int, error) {
			cancel(errBoom)
			canceled.Store(true)
			return 0, nil
		}
		_, err := p.Map(ctx, ins)
		assert.Same(t, errBoom, err)
		// The others may have looked at the context a moment before it ended.
		assert.LessOrEqual(t, late.Load(), int64(3))
	})
}

// A context that ends when all has been done makes no difference.
func TestMapThatIsDoneHasItsOutputs(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		outs, err := p.Map(ctx, []task{give(1), func(context.Context) (int, error) {
			cancel()
			return 2, nil
		}})
		assert.NoError(t, err)
		assert.Equal(t, []int{1, 2}, outs)
	})
}

// "The caller's goroutine takes part, as one of the pool's workers; others join if they
// are free."
func TestMapUsesWhatIsFree(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(4))
		defer p.Close()
		for range 3 {
			submit(t, p, 3*time.Second)
		}
		synctest.Wait()
		begin := time.Now()
		// One worker for 3 s, then four: 3 + 4*2 elements of a second each.
		_, err := p.Map(t.Context(), slices.Repeat([]time.Duration{time.Second}, 11))
		assert.NoError(t, err)
		assert.Equal(t, 5*time.Second, time.Since(begin))
	})
}

// Maps that end leave nobody in the line for a worker.
func TestMapLeavesNoHelperBehind(t *testing.T) {
	checkLeaks(t)
	p := pool.New(func(_ context.Context, v int) (int, error) { return v, nil }, pool.Workers(8))
	before := len(ours())
	for range 1000 {
		_, err := p.Map(t.Context(), []int{1, 2, 3})
		require.NoError(t, err)
	}
	assert.LessOrEqual(t, len(ours()), before)
	closing(t, p)
}
