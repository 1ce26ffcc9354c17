package pool_test

import (
	"context"
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

// One test for each kind of trouble that users of other libraries have reported,
// under the number of one of these reports.

// conc #88: Go blocks while all goroutines of the pool are busy, and nothing can
// end the wait. Here the submitter's context does.
func TestConc88SubmitCanBeCanceled(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		defer p.Close()
		submit(t, p, heed)
		synctest.Wait()
		submit(t, p, heed)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, err := p.Submit(ctx, give(1))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begin))
	})
}

// workerpool #76 and pond #20: a submit after, or during, the stop panics with a
// send on a closed channel. Here it is an error.
func TestWorkerpool76SubmitAfterCloseIsAnError(t *testing.T) {
	checkLeaks(t)
	for range 200 {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					if _, err := p.Submit(t.Context(), give(1)); err != nil {
						assert.ErrorIs(t, err, pool.ErrClosed)
						return
					}
				}
			})
		}
		runtime.Gosched()
		assert.NoError(t, p.Close())
		wg.Wait()
	}
}

// tunny #33: a job that waits for a worker panics when the pool is closed. Here it
// ends as canceled.
func TestTunny33CloseEndsWhatWaits(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		submit(t, p, heed)
		synctest.Wait()
		j := submit(t, p, give(1))
		assert.NoError(t, p.Close())
		_, err := j.Wait(t.Context())
		assert.ErrorIs(t, err, pool.ErrClosed)
		assert.Equal(t, result.Canceled, j.Status())
	})
}

// golang/go #54045: errgroup starts functions although the group's context has ended
// already. Here nothing new is started.
func TestGo54045NothingStartsAfterCancel(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var started atomic.Int64
		ins := slices.Repeat([]task{func(ctx context.Context) (int, error) {
			started.Add(1)
			<-ctx.Done()
			return 0, ctx.Err()
		}}, 100)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := p.Map(ctx, ins)
			assert.ErrorIs(t, err, context.Canceled)
		})
		wg.Go(func() { drain(p.Stream(ctx, slices.Values(ins))) })
		wg.Go(func() {
			_, err := p.Do(ctx, ins[0])
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		assert.EqualValues(t, 2, started.Load())
	})
}

// golang/go #61611 and pond #61: a backlog that nobody works off any more hangs
// Wait. Here what never started ends as canceled, with the cause.
func TestGo61611BacklogOfACanceledPoolEnds(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		submit(t, p, heed)
		synctest.Wait()
		var backlog []*pool.Job[int]
		for range 500 {
			backlog = append(backlog, submit(t, p, give(1)))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
		for _, j := range backlog {
			_, err := j.Wait(t.Context())
			assert.ErrorIs(t, err, errBoom)
			assert.ErrorIs(t, err, context.Canceled)
		}
	})
}

// conc #156: once a task has failed, the results of others are lost or shifted to
// wrong places. Here each input has its Result, under its index.
func TestConc156ResultsAreNeitherLostNorShifted(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(func(_ context.Context, v int) (int, error) {
			if v%10 == 3 {
				return 0, errBoom
			}
			return v, nil
		}, pool.Workers(4))
		defer p.Close()
		ins := make([]int, 1000)
		for i := range ins {
			ins[i] = i
		}
		ok, failed := result.Partition(p.Stream(t.Context(), slices.Values(ins)))
		assert.Len(t, ok, 900)
		assert.Len(t, failed, 100)
		for _, v := range ok {
			assert.NotEqual(t, 3, v%10)
		}
		for _, r := range failed {
			assert.Equal(t, 3, r.Index%10)
		}
	})
}

// golang/go #53757: a panic in a goroutine of an errgroup brings the program down,
// or is re-raised only when Wait is reached. pond #129: it vanishes. Here it is the
// error of its input, at once and with the stack.
func TestGo53757PanicIsTheErrorOfItsInput(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		defer p.Close()
		gate := make(chan struct{})
		defer close(gate)
		submit(t, p, block(gate)) // nobody waits for this one to see the panic
		_, err := submit(t, p, func(context.Context) (int, error) { panic(errBoom) }).Wait(t.Context())
		var caught *result.PanicError
		require.ErrorAs(t, err, &caught)
		assert.ErrorIs(t, err, errBoom)
		assert.Contains(t, string(caught.Stack), "TestGo53757")
	})
}

// pond #135: a function that calls runtime.Goexit, as t.FailNow does, takes its worker
// with it, and the pool hangs. Here the worker is replaced.
func TestPond135GoexitDoesNotHangThePool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		var jobs []*pool.Job[int]
		for range 20 {
			jobs = append(jobs, submit(t, p, func(context.Context) (int, error) {
				runtime.Goexit()
				return 0, nil
			}))
		}
		assert.NoError(t, p.Shutdown(t.Context()))
		for _, j := range jobs {
			_, err := j.Wait(t.Context())
			assert.ErrorIs(t, err, pool.ErrGoexit)
		}
	})
}

// workerpool #71 and pond #99: the queue has no bound, and a producer that is faster
// fills the memory. Here it is bounded unless said otherwise, and what happens when
// it is full is the caller's choice between two methods.
func TestWorkerpool71QueueIsBoundedByDefault(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		submit(t, p, heed)
		synctest.Wait()
		n := 0
		for {
			if _, err := p.TrySubmit(give(1)); err != nil {
				assert.ErrorIs(t, err, pool.ErrFull)
				break
			}
			n++
		}
		assert.Equal(t, 1024, n)
	})
}

// ants #26 and #374: under load more tasks run than the pool is large. The limit is
// counted inside the function here, while everything goes on at once.
func TestAnts26NoMoreCallsThanWorkers(t *testing.T) {
	checkLeaks(t)
	var g gauge
	p := newTasks(pool.Workers(2), pool.Queue(4))
	do := func(context.Context) (int, error) {
		g.enter()
		defer g.leave()
		runtime.Gosched()
		return 0, nil
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 300 {
				p.Do(t.Context(), do)                      //nolint:errcheck // counted inside
				p.TrySubmit(do)                            //nolint:errcheck // counted inside
				p.Map(t.Context(), []task{do, do, do, do}) //nolint:errcheck // counted inside
			}
		})
	}
	wg.Wait()
	closing(t, p)
	assert.LessOrEqual(t, g.peak.Load(), int64(2))
}

// ants #146 and pond #108: a wake-up is lost and a task stays in the queue although
// workers are idle. Here each job comes alone, at the moment in which the worker that
// did the last one goes to sleep.
func TestPond108NoWakeupIsLost(t *testing.T) {
	checkLeaks(t)
	p := newTasks(pool.Workers(2))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 20_000 {
		v, err := submit(t, p, give(i)).Wait(ctx)
		require.NoError(t, err, "job %d", i)
		require.Equal(t, i, v)
	}
	closing(t, p)
}

// ants #197 and pond #56: a task that submits to its own pool, which is full, waits
// for room that only it can make. Here it is told.
func TestAnts197NestedSubmitDoesNotDeadlock(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		v, err := submit(t, p, func(ctx context.Context) (int, error) {
			for n := 0; ; n++ {
				if _, err := p.Submit(ctx, give(1)); err != nil {
					return n, err
				}
			}
		}).Wait(t.Context())
		assert.ErrorIs(t, err, pool.ErrWouldDeadlock)
		assert.Equal(t, 1, v, "the queue has room for one")
		assert.NoError(t, p.Shutdown(t.Context()))
	})
}

// pond #125: a slow task and a full queue look the same from outside. Here a Result
// tells the two apart.
func TestPond125WaitAndRunAreToldApart(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1))
		defer p.Close()
		submit(t, p, 3*time.Second)
		j := submit(t, p, time.Second)
		<-j.Done()
		r, _ := j.Result()
		assert.Equal(t, 3*time.Second, r.Timing.Wait)
		assert.Equal(t, time.Second, r.Timing.Run)
	})
}

// rill #19 and #109: a consumer that leaves early leaves goroutines behind. Here the
// loop waits for them before it is left.
func TestRill19EarlyExitLeavesNothing(t *testing.T) {
	checkLeaks(t)
	p := pool.New(same, pool.Workers(4))
	for range 100 {
		var pulled atomic.Int64
		for range p.Stream(t.Context(), count(&pulled)) {
			break
		}
	}
	closing(t, p)
}
