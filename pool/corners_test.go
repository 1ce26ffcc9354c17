package pool_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

// "If it returns anything else, no call runs any more" than a StuckError, and nil is for
// those that have all ended by themselves: a job that is under way when ctx ends was cut
// off, also if it makes light of it.
func TestShutdownTellsThatAJobWasCutOff(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		j := submit(t, p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 7, nil
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
		v, err := j.Wait(context.Background())
		assert.NoError(t, err)
		assert.Equal(t, 7, v)
	})
}

// A pool that has ended is shut down, whatever the context says.
func TestShutdownAfterTheEndHeedsNoContext(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		submit(t, p, heed)
		synctest.Wait()
		require.NoError(t, p.Close())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 50 {
			require.NoError(t, p.Shutdown(ctx))
		}
	})
}

// A job in the share of another one is running: Stats tells of both, at once.
func TestStatsCountWhatRunsWithinAShare(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		var within, behind pool.Stats
		outer := submit(t, p, func(ctx context.Context) (int, error) {
			inner, err := p.Submit(ctx, func(context.Context) (int, error) {
				within = p.Stats()
				return 1, nil
			})
			require.NoError(t, err)
			v, err := inner.Wait(ctx)
			behind = p.Stats()
			return v, err
		})
		v, err := outer.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, v)
		assert.Equal(t, []int{1, 2, 0}, []int{within.Busy, within.Running, within.Queued}, "the outer one and the inner one")
		assert.Equal(t, []int{1, 1, 0}, []int{behind.Busy, behind.Running, behind.Queued}, "the inner one has ended")
		assert.EqualValues(t, 1, behind.Succeeded)
	})
}

// What has ended does not run any more, also in the moment before its worker looks for
// the next one.
func TestStatsCountNoJobThatHasEnded(t *testing.T) {
	p := newTasks(pool.Workers(1), pool.Track(1), pool.Observe(func(pool.Event) {}))
	for i := range 2000 {
		j, err := p.Submit(t.Context(), give(i), pool.Key("k"))
		require.NoError(t, err)
		for !j.Status().Terminal() {
			runtime.Gosched()
		}
		s := p.Stats()
		require.Equal(t, []int{0, 0}, []int{s.Queued, s.Running}, "%v", s)
		for _, w := range p.Workers() {
			require.Zero(t, w.Job)
		}
	}
	closing(t, p)
}

// The context of a call that has ended is no way into the pool any more: who submits
// with it waits for room like anybody else.
func TestContextOfAnEndedCallIsNoCall(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		defer p.Close()
		var kept context.Context
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			kept = context.WithoutCancel(ctx) //nolint:fatcontext // kept on purpose
			return 0, nil
		})
		require.NoError(t, err)
		_, in := pool.CallOf(kept)
		assert.False(t, in)

		gate := make(chan struct{})
		submit(t, p, block(gate))
		synctest.Wait()
		submit(t, p, give(1)) // the queue is full
		time.AfterFunc(time.Minute, func() { close(gate) })
		begin := time.Now()
		j, err := p.Submit(kept, give(2))
		require.NoError(t, err, "there is room once the first one has ended")
		assert.Equal(t, time.Minute, time.Since(begin))
		v, err := j.Wait(kept)
		require.NoError(t, err)
		assert.Equal(t, 2, v)
	})
}

// Whoever has a keyed job done, the next one of its key starts at once if a worker is
// idle: also behind one that ran in the share of a call which goes on.
func TestKeyIsPassedOnByWhoHelps(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		defer p.Close()
		nap := func(d time.Duration) task {
			return func(context.Context) (int, error) { time.Sleep(d); return 0, nil }
		}
		submit(t, p, nap(time.Second)) // the other worker is busy, and then idle
		var next *pool.Job[int]
		outer := submit(t, p, func(ctx context.Context) (int, error) {
			first, err := p.Submit(ctx, nap(2*time.Second), pool.Key("k"))
			require.NoError(t, err)
			next, err = p.Submit(ctx, nap(time.Second), pool.Key("k"))
			require.NoError(t, err)
			_, err = first.Wait(ctx)
			time.Sleep(time.Hour)
			return 0, err
		})
		_, err := outer.Wait(t.Context())
		require.NoError(t, err)
		r, ok := next.Result()
		require.True(t, ok, "a worker was idle for an hour")
		assert.Equal(t, 2*time.Second, r.Timing.Wait)
	})
}

// A Stream under way is cut off by the end of Shutdown's context like any other call,
// also at a moment at which none of its calls runs.
func TestShutdownTellsThatAStreamWasCutOff(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range p.Stream(context.Background(), func(yield func(task) bool) {
				yield(give(1))
				time.Sleep(time.Second + 50*time.Millisecond) // until after the end, and within the grace
				yield(give(2))
			}) {
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
		<-over
	})
}

// The end of the pool is seen by all calls at once, whether they wait for it or ask.
func TestEndOfThePoolIsSeenByAllCallsAtOnce(t *testing.T) {
	for i := range 200 {
		p := newTasks(pool.Workers(2))
		var calls sync.WaitGroup
		begun, ended := make(chan struct{}), make(chan struct{})
		calls.Go(func() {
			_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
				if i%2 == 0 {
					ctx.Done()
				}
				close(begun)
				<-ended
				if i%4 < 2 {
					assert.ErrorIs(t, ctx.Err(), context.Canceled)
				}
				assert.ErrorIs(t, context.Cause(ctx), pool.ErrClosed)
				return 0, nil
			})
			assert.NoError(t, err)
		})
		<-begun
		j := submit(t, p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			close(ended)
			return 0, nil
		})
		for j.Status().String() == "queued" {
			runtime.Gosched()
		}
		require.NoError(t, p.Close())
		calls.Wait()
	}
}

// Who waits for a worker when the pool ends is told why it did.
func TestWhoWaitsForAWorkerIsToldWhyThePoolEnds(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		submit(t, p, heed)
		synctest.Wait()
		var calls sync.WaitGroup
		calls.Go(func() {
			_, err := p.Do(t.Context(), give(1))
			assert.ErrorIs(t, err, errBoom)
			assert.NotErrorIs(t, err, pool.ErrClosed)
		})
		calls.Go(func() {
			_, err := p.Map(t.Context(), []task{give(1), give(2)})
			assert.ErrorIs(t, err, errBoom)
			assert.NotErrorIs(t, err, pool.ErrClosed)
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
		calls.Wait()
	})
}

// A job with options that is canceled in a full queue makes room like any other.
func TestCanceledEntryMakesRoomAtOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(1))
		defer p.Close()
		full, err := p.Submit(t.Context(), give(1), pool.After(time.Hour))
		require.NoError(t, err)
		time.AfterFunc(time.Minute, func() { full.Cancel(nil) })
		begin := time.Now()
		v, err := submit(t, p, give(2)).Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, v)
		assert.Equal(t, time.Minute, time.Since(begin))
	})
}

// Shutdown waits for nothing once the last job is canceled, also if a worker is idle.
func TestShutdownEndsWithTheLastJobThatIsCanceled(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		_, err := submit(t, p, give(1)).Wait(t.Context())
		require.NoError(t, err)
		last, err := p.Submit(t.Context(), give(1), pool.After(time.Hour))
		require.NoError(t, err)
		time.AfterFunc(time.Minute, func() { last.Cancel(nil) })
		begin := time.Now()
		require.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, time.Minute, time.Since(begin))
	})
}

// "0 once Shutdown has begun" and "the last one" are refused during Close as well.
func TestControlDuringClose(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		gate := make(chan struct{})
		submit(t, p, block(gate))
		synctest.Wait()
		over := make(chan struct{})
		go func() { assert.NoError(t, p.Close()); close(over) }()
		synctest.Wait()
		assert.ErrorIs(t, p.Resize(0), pool.ErrClosed)
		assert.ErrorIs(t, p.Halt(0), pool.ErrClosed)
		assert.NoError(t, p.Resize(2))
		close(gate)
		<-over
	})
}

// A context that has ended already ends the pool before New returns.
func TestContextThatHasEndedLetsNothingIn(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBoom)
	for range 100 {
		p := newTasks(pool.Context(ctx))
		_, err := p.TrySubmit(give(1))
		require.ErrorIs(t, err, pool.ErrClosed)
		_, err = p.Do(t.Context(), give(1))
		require.ErrorIs(t, err, pool.ErrClosed)
		require.NoError(t, p.Close())
	}
}

// A context that lives on does not keep a pool that has ended.
func TestContextOfAPoolKeepsNoneThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var held watched
	run := func() {
		b := held.make()
		p := pool.New(func(context.Context, int) (byte, error) { return b[0], nil }, pool.Context(ctx))
		_, err := p.Do(ctx, 1)
		require.NoError(t, err)
		require.NoError(t, p.Shutdown(ctx))
	}
	run()
	assert.True(t, held.allGone())
}

// A pool that lives on does not keep the context of a call that has asked for its end.
func TestPoolKeepsNoContextOfACallThatWatchedIt(t *testing.T) {
	type key struct{}
	p := newTasks(pool.Workers(1))
	var held watched
	run := func() {
		ctx := context.WithValue(t.Context(), key{}, held.make())
		_, err := p.Do(ctx, func(ctx context.Context) (int, error) {
			assert.NotNil(t, ctx.Done())
			return 0, nil
		})
		require.NoError(t, err)
	}
	run()
	_, err := p.Do(t.Context(), give(1)) // the worker has something else in hand
	require.NoError(t, err)
	assert.True(t, held.allGone())
	closing(t, p)
}

// "Since is when the current job started or, for an idle worker, when its last job
// ended": a call that is no job has none.
func TestWorkerBusyWithACallTellsNoTime(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		time.Sleep(time.Minute)
		_, err := submit(t, p, give(1)).Wait(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []pool.WorkerInfo{{Since: time.Now(), Done: 1}}, p.Workers())
		_, err = p.Do(t.Context(), func(context.Context) (int, error) {
			assert.Equal(t, []pool.WorkerInfo{{State: pool.WorkerBusy, Done: 1}}, p.Workers())
			return 0, nil
		})
		require.NoError(t, err)
	})
}

// A cancellation says its cause once, and the cause of another one does not stand in
// for it.
func TestCancellationIsSaidOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		errInner, errOuter := errors.New("inner"), errors.New("outer")
		p := newTasks(pool.Workers(1), pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Hour}))
		defer p.Close()
		j := submit(t, p, func(context.Context) (int, error) { return 0, errBoom })
		synctest.Wait()
		j.Cancel(errOuter)
		_, err := j.Wait(t.Context())
		assert.EqualError(t, err, "canceled: outer: boom")

		j = submit(t, p, func(ctx context.Context) (int, error) {
			inner, err := p.Submit(ctx, give(1))
			require.NoError(t, err)
			inner.Cancel(errInner)
			<-ctx.Done()
			return inner.Wait(context.WithoutCancel(ctx))
		})
		synctest.Wait()
		j.Cancel(errOuter)
		_, err = j.Wait(t.Context())
		assert.ErrorIs(t, err, errOuter)
		assert.ErrorIs(t, err, errInner)
	})
}

// What a busy worker holds is shared again as soon as a pause is over, with one that
// has become idle meanwhile.
func TestResumeSharesWhatABusyWorkerHolds(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		defer p.Close()
		for range 5000 { // so fast that a worker takes several at once
			submit(t, p, give(0))
		}
		synctest.Wait()
		gate := make(chan struct{})
		submit(t, p, func(context.Context) (int, error) { <-gate; p.Pause(); return 0, nil })
		synctest.Wait()
		p.Pause()
		submit(t, p, func(context.Context) (int, error) { close(gate); time.Sleep(time.Hour); return 0, nil })
		var last *pool.Job[int]
		for range 20 {
			last = submit(t, p, give(1))
		}
		p.Resume()
		synctest.Wait()
		assert.True(t, p.Stats().Paused)
		time.Sleep(time.Minute)
		p.Resume()
		synctest.Wait()
		_, ended := last.Result()
		assert.True(t, ended, "a worker is idle")
	})
}

// Shutdown tells that it has cut off jobs, also if no call was under way.
func TestShutdownTellsThatWhatWaitedWasCutOff(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		j, err := p.Submit(t.Context(), give(1), pool.After(time.Hour))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
		_, err = j.Wait(context.Background())
		assert.ErrorIs(t, err, errBoom)
	})
}

// The same for the call of a worker that was halted.
func TestShutdownTellsThatAHaltedCallWasCutOff(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		submit(t, p, func(ctx context.Context) (int, error) { <-ctx.Done(); return 1, nil })
		synctest.Wait()
		require.NoError(t, p.Halt(0))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
	})
}

// Attempts count anew for each element, and those of calls that are no jobs are neither
// counted nor told.
func TestRetriesOfElements(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var d diary
		p := newTasks(pool.Workers(1), pool.Observe(d.note),
			pool.Retry(pool.RetryPolicy{Attempts: 3, Base: time.Second}))
		var attempts []int
		element := func(failures int) task {
			return func(ctx context.Context) (int, error) {
				call, ok := pool.CallOf(ctx)
				assert.True(t, ok)
				attempts = append(attempts, call.Attempt)
				if call.Attempt <= failures {
					return 0, errBoom
				}
				return call.Attempt, nil
			}
		}
		outs, err := p.Map(t.Context(), []task{element(2), element(0), element(1)})
		require.NoError(t, err)
		assert.Equal(t, []int{3, 1, 2}, outs)
		assert.Equal(t, []int{1, 2, 3, 1, 1, 2}, attempts)
		assert.Zero(t, p.Stats().Retried)
		require.NoError(t, p.Close())
		assert.Zero(t, d.count(pool.JobRetried))
	})
}

// "It first stops idle ones, then others after their current call", and of either the
// highest numbers; "it first keeps those that are about to stop".
func TestResizeChoosesWhoStopsAndWhoStays(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(4))
		gates := make([]chan struct{}, 4)
		for i := range gates {
			gates[i] = make(chan struct{})
			submit(t, p, block(gates[i]))
			synctest.Wait()
		}
		states := func() map[int]pool.WorkerState {
			all := map[int]pool.WorkerState{}
			for _, w := range p.Workers() {
				all[w.ID] = w.State
			}
			return all
		}
		close(gates[0])
		close(gates[2])
		synctest.Wait()
		require.NoError(t, p.Resize(3))
		assert.Equal(t, map[int]pool.WorkerState{0: pool.WorkerIdle, 1: pool.WorkerBusy, 3: pool.WorkerBusy}, states())
		require.NoError(t, p.Resize(1))
		assert.Equal(t, map[int]pool.WorkerState{1: pool.WorkerBusy, 3: pool.WorkerHalting}, states())
		require.NoError(t, p.Resize(2))
		assert.Equal(t, map[int]pool.WorkerState{1: pool.WorkerBusy, 3: pool.WorkerBusy}, states())
		close(gates[1])
		close(gates[3])
		synctest.Wait()
		assert.Equal(t, map[int]pool.WorkerState{1: pool.WorkerIdle, 3: pool.WorkerIdle}, states())
		require.NoError(t, p.Close())
	})
}

// A pause holds what a worker has in hand as well.
func TestPauseHoldsWhatAWorkerHasInHand(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		for range 5000 { // so fast that a worker takes several at once
			submit(t, p, give(0))
		}
		synctest.Wait()
		p.Pause()
		submit(t, p, func(context.Context) (int, error) { p.Pause(); return 0, nil })
		next, last := submit(t, p, give(1)), submit(t, p, give(2))
		p.Resume()
		synctest.Wait()
		assert.Equal(t, 2, p.Stats().Queued)
		_, ended := next.Result()
		assert.False(t, ended)
		p.Resume()
		v, err := last.Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, v)
		_, ended = next.Result()
		assert.True(t, ended, "in their order")
	})
}

// Halt: "The call, which may be stuck, does not hold up the other workers." So it is
// for callers of Do, and so it has to be for jobs, whoever has worked before.
func TestHaltedCallThatIsStuckKeepsNobodyFromAnything(t *testing.T) {
	ways := map[string]func(t *testing.T, p *pool.Pool[task, int]) *pool.Job[int]{
		"job": func(t *testing.T, p *pool.Pool[task, int]) *pool.Job[int] { return submit(t, p, give(1)) },
		"job behind a call of Do": func(t *testing.T, p *pool.Pool[task, int]) *pool.Job[int] {
			_, err := p.Do(t.Context(), give(1))
			require.NoError(t, err, "the other worker is there for callers")
			return submit(t, p, give(1))
		},
	}
	for name, run := range ways {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(2))
				gate := make(chan struct{})
				submit(t, p, block(gate))
				synctest.Wait()
				require.NoError(t, p.Halt(0))
				j := run(t, p)
				time.Sleep(time.Hour)
				_, ended := j.Result()
				assert.True(t, ended, "worker 1 is idle: %v", p.Workers())
				close(gate)
				require.NoError(t, p.Close())
			})
		})
	}
}

// A nil context panics with a message that names the method, also in an ended pool; and
// whoever recovers can still close the pool.
func TestNilContextLeavesNothingBehind(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks()
		j := submit(t, p, give(1))
		for range 2 {
			for name, use := range map[string]func(){
				"Do":       func() { p.Do(nil, give(1)) },          //nolint:errcheck // it panics
				"Map":      func() { p.Map(nil, []task{give(1)}) }, //nolint:errcheck // it panics
				"Stream":   func() { p.Stream(nil, slices.Values([]task{give(1)})) },
				"Submit":   func() { p.Submit(nil, give(1)) }, //nolint:errcheck // it panics
				"Shutdown": func() { p.Shutdown(nil) },        //nolint:errcheck // it panics
				"Job.Wait": func() { j.Wait(nil) },            //nolint:errcheck // it panics
			} {
				assert.PanicsWithValue(t, "pool: "+name+": nil context", use)
			}
			assert.NoError(t, p.Close())
		}
	})
}

// "The time counts as Wait", also of a job that is looked at meanwhile.
func TestJobInfoOfAJobThatWaitsForALimit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		slow := waiterFunc(func(context.Context) error { time.Sleep(10 * time.Second); return nil })
		p := newTasks(pool.Workers(1), pool.Track(1), pool.Limit(slow))
		submit(t, p, func(context.Context) (int, error) { time.Sleep(5 * time.Second); return 1, nil })
		time.Sleep(4 * time.Second)
		info := p.Jobs()[0]
		assert.Equal(t, 4*time.Second, info.Timing.Wait)
		assert.Zero(t, info.Timing.Run)
		time.Sleep(8 * time.Second)
		info = p.Jobs()[0]
		assert.Equal(t, 10*time.Second, info.Timing.Wait)
		assert.Equal(t, 2*time.Second, info.Timing.Run)
		assert.NoError(t, p.Shutdown(t.Context()))
	})
}

// "A job without options that waits for a Limit shows the worker and the attempt of the
// call that is to come, and the wait counts as Run until the call starts."
func TestInfoOfAJobThatWaitsForALimit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		slow := waiterFunc(func(context.Context) error { time.Sleep(10 * time.Second); return nil })
		p := newTasks(pool.Workers(1), pool.Limit(slow))
		j := submit(t, p, func(context.Context) (int, error) { time.Sleep(5 * time.Second); return 1, nil })
		time.Sleep(4 * time.Second)
		info := j.Info()
		assert.Equal(t, 1, info.Attempt)
		assert.Zero(t, info.Worker)
		assert.Equal(t, 4*time.Second, info.Timing.Run)
		time.Sleep(8 * time.Second)
		info = j.Info()
		assert.Equal(t, 10*time.Second, info.Timing.Wait)
		assert.Equal(t, 2*time.Second, info.Timing.Run)
		assert.NoError(t, p.Shutdown(t.Context()))
	})
}

// "Nothing starts once the context of the caller has ended", even if a limit does not heed it.
func TestLimitThatDoesNotHeedTheContext(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		deaf := waiterFunc(func(context.Context) error { time.Sleep(10 * time.Second); return nil })
		p := newTasks(pool.Workers(1), pool.Limit(deaf))
		never := func(context.Context) (int, error) {
			assert.Fail(t, "called")
			return 0, nil
		}
		for way, hand := range handIn {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
			if way == "Submit" || way == "TrySubmit" { // which depend on the job's own context
				j := submit(t, p, never)
				time.Sleep(time.Second)
				j.Cancel(errBoom)
				_, err := j.Wait(t.Context())
				assert.ErrorIs(t, err, errBoom)
			} else {
				assert.ErrorIs(t, hand(ctx, p, never), errBoom, way)
			}
			cancel()
		}
		assert.NoError(t, p.Close())
	})
}

// A worker that closes its state can make no call, and is not told to be idle.
func TestWorkerThatClosesItsStateIsNotIdle(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Minute); return nil }}
		p := ds.pool(pool.Workers(1))
		_, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.NoError(t, p.Halt(0))
		synctest.Wait()
		assert.NoError(t, p.Resize(1))
		assert.Equal(t, pool.WorkerHalting, p.Workers()[0].State)
		assert.Equal(t, 1, p.Stats().Workers)
		assert.Zero(t, p.Stats().Idle)
		start := time.Now()
		_, err = p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.Equal(t, time.Minute, time.Since(start), "its number is not used again before close has returned")
		assert.Equal(t, 1, p.Stats().Idle)
		assert.NoError(t, p.Close())
	})
}
