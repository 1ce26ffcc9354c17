package pool_test

import (
	"context"
	"math/rand/v2"
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
)

// The call of a halted worker may be stuck: the others still have goroutines of their own.
func TestHaltOfStuckJobLeavesTheOthersTheirGoroutines(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		gate := make(chan struct{})
		submit(t, p, block(gate))
		synctest.Wait()
		require.NoError(t, p.Halt(0))
		j := submit(t, p, give(1))
		synctest.Wait()
		_, ok := j.Result()
		assert.True(t, ok, "the other worker does not work")
		close(gate)
		closing(t, p)
	})
}

// A nested Map that has a worker of its own, which is taken away by Resize, goes on within
// the share of its outer call.
func TestNestedMapSurvivesResize(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		done := make(chan error, 1)
		go func() {
			_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
				ins := slices.Repeat([]task{func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil }}, 5)
				_, err := p.Map(ctx, ins)
				return 0, err
			})
			done <- err
		}()
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, p.Resize(1))
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(time.Hour):
			assert.Fail(t, "deadlock: the call holds the only slot, its Map waits for one")
		}
		require.NoError(t, p.Close())
	})
}

// The same for Halt.
func TestNestedMapSurvivesHalt(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		done := make(chan error, 1)
		go func() {
			_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
				ins := slices.Repeat([]task{func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil }}, 5)
				_, err := p.Map(ctx, ins)
				return 0, err
			})
			done <- err
		}()
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, p.Halt(1))
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(time.Hour):
			assert.Fail(t, "deadlock: the call holds the only slot, its Map waits for one")
		}
		require.NoError(t, p.Close())
	})
}

// HaltNow ends the call that has the worker, and not the Stream that it has used within.
func TestHaltNowEndsTheOuterDoOfANestedStream(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		done := make(chan error, 1)
		go func() {
			_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
				drain(p.Stream(ctx, slices.Values([]task{give(1)})))
				<-ctx.Done()
				return 0, context.Cause(ctx)
			})
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, p.HaltNow(0))
		select {
		case err := <-done:
			require.ErrorIs(t, err, pool.ErrHalted)
		case <-time.After(time.Hour):
			assert.Fail(t, "HaltNow ended another call, one that is over")
		}
		require.NoError(t, p.Close())
	})
}

// Who was just given a slot in line, and has not started, gives it back if it is asked for.
func TestHaltNowSeesWhoWasJustGivenTheSlot(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		p := newTasks(pool.Workers(1))
		var started, live atomic.Bool
		_, err := p.Do(t.Context(), func(context.Context) (int, error) {
			go p.Do(t.Context(), func(ctx context.Context) (int, error) { //nolint:errcheck // what it comes to is seen otherwise
				started.Store(true)
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
					live.Store(true)
				}
				return 0, nil
			})
			synctest.Wait()
			return 0, nil
		})
		require.NoError(t, err)
		require.False(t, started.Load())
		require.NoError(t, p.HaltNow(0))
		time.Sleep(2 * time.Hour)
		assert.False(t, live.Load(), "a call ran an hour on the halted worker, its context alive")
		require.NoError(t, p.Close())
	})
}

// The same with Pause: the call starts after Pause has returned.
func TestPauseLetsNoneStartWhoWasJustGivenTheSlot(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		p := newTasks(pool.Workers(1))
		var started atomic.Bool
		_, err := p.Do(t.Context(), func(context.Context) (int, error) {
			go p.Do(t.Context(), func(ctx context.Context) (int, error) { //nolint:errcheck // what it comes to is seen otherwise
				started.Store(true)
				return 0, nil
			})
			synctest.Wait()
			return 0, nil
		})
		require.NoError(t, err)
		p.Pause()
		require.False(t, started.Load())
		synctest.Wait()
		assert.False(t, started.Load(), "a call started after Pause had returned")
		p.Resume()
		require.NoError(t, p.Close())
	})
}

// The same with a Stream.
func TestPauseLetsNoStreamStartThatWasJustGivenTheSlot(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		p := newTasks(pool.Workers(1))
		var started atomic.Bool
		_, err := p.Do(t.Context(), func(context.Context) (int, error) {
			go drain(p.Stream(t.Context(), slices.Values([]task{func(ctx context.Context) (int, error) {
				started.Store(true)
				return 0, nil
			}})))
			synctest.Wait()
			return 0, nil
		})
		require.NoError(t, err)
		p.Pause()
		require.False(t, started.Load())
		synctest.Wait()
		assert.False(t, started.Load(), "a call started after Pause had returned")
		p.Resume()
		require.NoError(t, p.Close())
	})
}

// A nested Stream whose outer call ends first gives back a share, and not the slot.
func TestStreamThatOutlivesItsOuterCallFreesNoSlotTwice(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		gate := make(chan struct{})
		over := make(chan struct{})
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			go func() {
				drain(p.Stream(ctx, slices.Values([]task{block(gate)})))
				close(over)
			}()
			synctest.Wait() // it runs in the share
			return 0, nil
		})
		require.NoError(t, err)
		close(gate)
		<-over
		assert.Equal(t, 0, p.Stats().Busy)
		var g gauge
		for range 4 {
			go p.Do(t.Context(), func(context.Context) (int, error) { //nolint:errcheck // what it comes to is seen otherwise
				g.enter()
				defer g.leave()
				time.Sleep(time.Second)
				return 0, nil
			})
		}
		time.Sleep(time.Hour)
		assert.EqualValues(t, 1, g.peak.Load(), "more calls under way than workers")
		require.NoError(t, p.Close())
	})
}

// A pool may be years old.
func TestTimingOfAnOldPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		time.Sleep(900 * 24 * time.Hour)
		j := submit(t, p, func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil })
		_, err := j.Wait(t.Context())
		require.NoError(t, err)
		r, _ := j.Result()
		assert.Equal(t, time.Second, r.Timing.Run)
		require.NoError(t, p.Close())
	})
}

// The context of a Stream's calls does not hang on the pool.
func TestStreamLeavesNothingOnThePoolsLife(t *testing.T) {
	p := newTasks(pool.Workers(1))
	defer closing(t, p)
	gone := make(chan struct{})
	func() {
		big := new([1 << 20]byte)
		runtime.AddCleanup(big, func(struct{}) { close(gone) }, struct{}{})
		ctx := context.WithValue(context.Background(), errBoom, big)
		drain(p.Stream(ctx, slices.Values([]task{func(ctx context.Context) (int, error) {
			select {
			case <-ctx.Done():
			default:
			}
			return 0, nil
		}})))
	}()
	assert.True(t, collected(func() bool {
		select {
		case <-gone:
			return true
		default:
			return false
		}
	}), "the context of a stream that is over is kept alive by the pool")
}

// A job that Wait runs itself while a worker has it in hand, waiting for its turn, frees its
// key when it ends.
func TestHelpedJobFreesItsKey(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	for i := range many(2000) {
		p := newTasks(pool.Workers(2))
		gate, held := make(chan struct{}), make(chan struct{})
		go p.Do(context.Background(), func(context.Context) (int, error) { close(held); <-gate; return 0, nil }) //nolint:errcheck // what it comes to is seen otherwise
		<-held
		a := submit(t, p, func(ctx context.Context) (int, error) {
			b, err := p.Submit(ctx, give(1), pool.Key("k"))
			if err != nil {
				return 0, err
			}
			for end := time.Now().Add(time.Duration(i%60) * 500 * time.Nanosecond); time.Now().Before(end); {
			}
			return b.Wait(ctx)
		})
		_, err := a.Wait(context.Background())
		require.NoError(t, err)
		close(gate)
		c, err := p.Submit(context.Background(), give(2), pool.Key("k"))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err = c.Wait(ctx)
		cancel()
		if !assert.NoError(t, err, "try %d: the key is taken forever", i) {
			_ = p.Close()
			return
		}
		_ = p.Close()
	}
}

// Workers do not go on with what is in the queue while Close is about to empty it.
func TestCloseStartsNothing(t *testing.T) {
	for range 10 {
		var late atomic.Int64
		p := pool.New(func(ctx context.Context, _ int) (int, error) {
			if ctx.Err() != nil {
				late.Add(1)
			}
			return 0, nil
		}, pool.Workers(2), pool.Queue(1<<14))
		for i := range 1 << 14 {
			p.TrySubmit(i) //nolint:errcheck // what it comes to is seen otherwise
		}
		_ = p.Close()
		// The two that were under way may have been about to look.
		require.LessOrEqual(t, late.Load(), int64(2), "jobs that were started although Close had ended their context")
	}
}

// Resize to and fro keeps no memory.
func TestResizeToAndFroKeepsNothing(t *testing.T) {
	p := newTasks(pool.Workers(100))
	defer p.Close()
	require.NoError(t, p.Halt(99))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range 20_000 {
		require.NoError(t, p.Resize(1))
		require.NoError(t, p.Resize(100))
	}
	assert.Less(t, int64(heap())-int64(before), int64(1<<20), "bytes kept")
}

// Jobs that two workers had in hand start in their order behind a pause.
func TestPauseKeepsTheOrder(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const unit = 10 * time.Microsecond
		var mu sync.Mutex
		var order []int
		p := pool.New(func(_ context.Context, i int) (int, error) {
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			if i == 5 {
				time.Sleep(unit / 2)
			}
			time.Sleep(unit)
			return 0, nil
		}, pool.Workers(2))
		for range 100 { // they learn what jobs cost
			submit(t, p, -1)
		}
		time.Sleep(time.Second)
		mu.Lock()
		order = nil
		mu.Unlock()
		p.Pause()
		for i := range 40 {
			submit(t, p, i)
		}
		p.Resume()
		time.Sleep(unit / 2)
		p.Pause()
		time.Sleep(time.Second)
		p.Resume()
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		assert.Less(t, slices.Index(order, 1), slices.Index(order, 6), "%v", order)
		require.NoError(t, p.Close())
	})
}

// HaltNow ends no job that its worker had not started yet, and puts back.
func TestHaltNowEndsNoJobThatIsPutBack(t *testing.T) {
	end := time.Now().Add(2 * time.Second)
	var wrong atomic.Int64
	p := pool.New(func(ctx context.Context, _ int) (int, error) {
		if c, ok := pool.CallOf(ctx); ok && c.Worker != 0 && ctx.Err() != nil {
			wrong.Add(1) // only worker 0 is ever halted
		}
		return 0, nil
	}, pool.Workers(2))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				p.Submit(context.Background(), i) //nolint:errcheck // what it comes to is seen otherwise
			}
		}
	})
	n := 0
	for ; time.Now().Before(end) && wrong.Load() == 0; n++ {
		p.HaltNow(0) //nolint:errcheck // what it comes to is seen otherwise
		p.Resize(2)  //nolint:errcheck // what it comes to is seen otherwise
		time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
	}
	close(stop)
	wg.Wait()
	assert.Zero(t, wrong.Load(), "jobs of other workers whose context HaltNow(0) has ended, after %d tries", n)
	_ = p.Close()
}

// Each time a worker of a Stream has to give its slot back, it goes on with another context. The one before has ended by
// then, and an endless Stream keeps none of them.
func TestStreamEndsTheContextOfARecalledWorker(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var p *pool.Pool[int, int]
		var before context.Context
		p = pool.New(func(ctx context.Context, in int) (int, error) {
			if before != nil {
				assert.ErrorIs(t, before.Err(), context.Canceled, "input %d", in)
			}
			assert.NoError(t, ctx.Err())
			before = ctx  //nolint:fatcontext // one call's after the other
			before.Done() // from now on it is known to the Stream's context
			p.Pause()
			p.Resume()
			return in, nil
		}, pool.Workers(1))
		for r := range p.Stream(t.Context(), slices.Values([]int{0, 1, 2, 3})) {
			assert.NoError(t, r.Err)
		}
		assert.NoError(t, p.Close())
	})
}
