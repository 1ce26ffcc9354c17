package pool_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// A job that is canceled in the queue has waited until then.
func TestCanceledJobKnowsItsTiming(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		submit(t, p, heed)
		synctest.Wait()
		queued := time.Now()
		j := submit(t, p, give(1))
		time.Sleep(3 * time.Second)
		j.Cancel(nil)
		r, ok := j.Result()
		require.True(t, ok)
		assert.True(t, queued.Equal(r.Timing.Queued), "queued at %v", r.Timing.Queued)
		assert.Equal(t, 3*time.Second, r.Timing.Wait)
		assert.Zero(t, r.Timing.Run)
	})
}

// A job is accepted when there is room for it, and waits from then on.
func TestTimingStartsWhenTheJobIsAccepted(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1), pool.Queue(1))
		defer p.Close()
		submit(t, p, 3*time.Second)
		synctest.Wait()
		submit(t, p, time.Second)
		j := submit(t, p, time.Second) // gets in at second 3
		accepted := time.Now()
		_, err := j.Wait(t.Context())
		require.NoError(t, err)
		r, _ := j.Result()
		assert.Equal(t, accepted.Sub(accepted), r.Timing.Queued.Sub(accepted), "Queued")
		assert.Equal(t, time.Second, r.Timing.Wait)
	})
}

// A limiter that panics keeps the function from being called, for all that come.
func TestPanicOfLimiterIsNoCall(t *testing.T) {
	check := func(t *testing.T, r result.Result[int]) {
		t.Helper()
		assert.Equal(t, result.Panicked, r.Status())
		assert.Zero(t, r.Attempt, "calls")
		assert.Equal(t, -1, r.Worker, "worker")
		assert.Equal(t, time.Second, r.Timing.Wait)
		assert.Zero(t, r.Timing.Run)
	}
	limit := waiterFunc(func(context.Context) error {
		time.Sleep(time.Second)
		panic("limiter")
	})
	t.Run("job", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Limit(limit))
			defer p.Close()
			j := submit(t, p, give(1))
			<-j.Done()
			r, _ := j.Result()
			check(t, r)
		})
	})
	t.Run("stream", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Limit(limit))
			defer p.Close()
			for r := range p.Stream(t.Context(), slices.Values([]task{give(1)})) {
				check(t, r)
			}
		})
	})
}

// All has ended before Shutdown is called: that its context has ended too makes no
// difference, and above all not by chance.
func TestShutdownOfEndedPoolIsNil(t *testing.T) {
	p := newTasks()
	require.NoError(t, p.Close())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	failed := 0
	for range 100 {
		if p.Shutdown(ended) != nil {
			failed++
		}
	}
	assert.Zero(t, failed, "of 100 calls")
}

// Shutdown of a pool with nothing to do does not fail for want of time.
func TestShutdownOfIdlePoolIsNil(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p := newTasks()
	assert.NoError(t, p.Shutdown(ended))
}

// When Cancel has returned, a job that was in the queue has ended, also if
// somebody else canceled it at the same moment.
func TestCancelTwiceAtOnceHasEndedForBoth(t *testing.T) {
	const rounds = 5000
	p := newTasks(pool.Workers(1), pool.Queue(rounds+1))
	gate := make(chan struct{})
	submit(t, p, block(gate))
	var early atomic.Int64
	for range rounds {
		j := submit(t, p, give(1))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				j.Cancel(nil)
				if !j.Status().Terminal() {
					early.Add(1)
				}
			})
		}
		wg.Wait()
	}
	assert.Zero(t, early.Load(), "canceled and not ended")
	close(gate)
	closing(t, p)
}

// What was canceled in the queue is not kept by its handle, as for other ends.
func TestHandleOfCanceledJobDoesNotKeepTheInput(t *testing.T) {
	var ins watched
	p := pool.New(func(ctx context.Context, in *big) (int, error) { return heed(ctx) }, pool.Workers(1))
	defer p.Close()
	submit(t, p, nil)
	j := submit(t, p, ins.make())
	j.Cancel(nil)
	assert.True(t, ins.allGone(), "the input is kept")
	runtime.KeepAlive(j)
}

// A context that is looked at after its call, as a tracer does, leaves nothing
// behind in the pool.
func TestContextOfEndedCallIsNotKept(t *testing.T) {
	p := newTasks(pool.Workers(1))
	defer closing(t, p)
	var values watched
	func() {
		var kept context.Context
		ctx := context.WithValue(t.Context(), key{}, values.make())
		_, err := p.Do(ctx, func(ctx context.Context) (int, error) {
			kept = ctx //nolint:fatcontext // it is looked at after its call
			return 0, nil
		})
		require.NoError(t, err)
		assert.NotNil(t, kept.Value(key{}))
		<-kept.Done()
	}()
	assert.True(t, values.allGone(), "the caller's values are kept by the pool")
}

// A stream whose loop is slow, or whose inputs block, has no call under way, and is still what
// Shutdown has not seen the end of.
func TestStuckStreamHasNoCalls(t *testing.T) {
	for name, stream := range map[string]func(t *testing.T, p *pool.Pool[task, int]){
		"loop": func(t *testing.T, p *pool.Pool[task, int]) {
			t.Helper()
			for range p.Stream(t.Context(), slices.Values([]task{give(1)})) {
				time.Sleep(time.Minute)
			}
		},
		"inputs": func(t *testing.T, p *pool.Pool[task, int]) {
			t.Helper()
			for range p.Stream(t.Context(), func(func(task) bool) { time.Sleep(time.Minute) }) {
				assert.Fail(t, "a result of nothing")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks()
				var wg sync.WaitGroup
				wg.Go(func() { stream(t, p) })
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := p.Shutdown(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				stuck, ok := errors.AsType[*pool.StuckError](err)
				require.True(t, ok, "%v", err)
				assert.Empty(t, stuck.Calls)
				assert.Contains(t, err.Error(), "a Stream has not ended")
				wg.Wait()
			})
		})
	}
}

// Error of a call whose context ended stays the same, as package context asks.
func TestErrOfContextIsStable(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks()
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var kept context.Context
		_, err := p.Do(ctx, func(ctx context.Context) (int, error) {
			kept = ctx //nolint:fatcontext // it is looked at after its call
			time.Sleep(2 * time.Second)
			assert.Equal(t, context.DeadlineExceeded, ctx.Err())
			return 0, nil
		})
		require.NoError(t, err)
		assert.Equal(t, context.DeadlineExceeded, kept.Err())
	})
}

// The waiters of a limit are those that were given, whatever the caller does with
// the slice later.
func TestLimitKeepsItsWaiters(t *testing.T) {
	pass := waiterFunc(func(context.Context) error { return nil })
	ws := []pool.Waiter{pass}
	p := newTasks(pool.Limit(ws...))
	defer closing(t, p)
	ws[0] = waiterFunc(func(context.Context) error { return errBoom })
	_, err := p.Do(t.Context(), give(1))
	assert.NoError(t, err)
}
