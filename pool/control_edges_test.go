package pool_test

import (
	"context"
	"runtime"
	"slices"
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

// A Map whose workers are all held for a moment goes on behind it, also if others have
// run the rest of what a worker that waits had begun.
func TestMapOutlivesAPause(t *testing.T) {
	for range 50 { // who comes first after the pause is up to the scheduler
		testkit.Bubble(t, mapOutlivesAPause)
	}
}

func mapOutlivesAPause(t *testing.T) {
	p := newTasks(pool.Workers(2))
	defer p.Close()
	outs, err := p.Map(t.Context(), []task{
		func(context.Context) (int, error) {
			p.Pause()
			time.AfterFunc(time.Minute, p.Resume)
			return 1, nil
		},
		give(2),
	})
	assert.NoError(t, err)
	assert.Equal(t, []int{1, 2}, outs)
}

// The same, by halting and resizing. All that happens to a pool in the middle of a Map.
func TestMapOutlivesWhatHoldsAllWorkers(t *testing.T) {
	hold := map[string]steerFunc{
		"halt for a while": func(t *testing.T, p *pool.Pool[task, int], i int) {
			for _, w := range p.Workers() {
				haltOther(t, p, w.ID)
			}
			time.AfterFunc(time.Minute, func() { assert.NoError(t, p.Resize(1+i%steeredWide)) })
		},
		"pause": func(_ *testing.T, p *pool.Pool[task, int], _ int) {
			p.Pause()
			time.AfterFunc(time.Minute, p.Resume)
		},
		"resize": func(t *testing.T, p *pool.Pool[task, int], i int) {
			assert.NoError(t, p.Resize(i%(steeredWide+1)))
			time.AfterFunc(time.Minute, func() { assert.NoError(t, p.Resize(steeredWide)) })
		},
	}
	for name, steer := range hold {
		for _, length := range []time.Duration{0, time.Second} {
			mapGoesOn(t, name, length, steer)
		}
	}
}

// HaltNow and then Resize, while the call still runs: the worker stays, but the context
// that HaltNow has ended is not that of the elements behind.
func TestHaltNowAndResizeLeaveLaterElementsAlone(t *testing.T) {
	ways := map[string]func(ctx context.Context, p *pool.Pool[task, int], ins []task){
		"map": func(ctx context.Context, p *pool.Pool[task, int], ins []task) { _, _ = p.Map(ctx, ins) },
		"stream": func(ctx context.Context, p *pool.Pool[task, int], ins []task) {
			drain(p.Stream(ctx, slices.Values(ins)))
		},
	}
	for name, run := range ways {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1))
				defer p.Close()
				go func() {
					time.Sleep(time.Minute)
					assert.NoError(t, p.HaltNow(0))
					assert.NoError(t, p.Resize(1))
				}()
				run(t.Context(), p, repeat(4, func(i int) task {
					return func(ctx context.Context) (int, error) {
						if i == 0 {
							<-ctx.Done()
							time.Sleep(time.Second)
							return 0, nil
						}
						assert.NoError(t, context.Cause(ctx), "element %d, which began later", i)
						return i, nil
					}
				}))
			})
		})
	}
}

// To halt a worker again does nothing, also while the pool shuts down and one other
// worker is left; and HaltNow ends the call that it has in hand.
func TestHaltAgainDuringShutdown(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2))
		defer p.Close()
		jobs := submitAll(t, p, hours(2)...)
		synctest.Wait()
		require.NoError(t, p.Halt(0))
		go p.Shutdown(t.Context()) //nolint:errcheck // of no interest here
		synctest.Wait()
		assert.NoError(t, p.Halt(0), "again, and not the last one")
		assert.NoError(t, p.HaltNow(0))
		assert.ErrorIs(t, p.Halt(7), pool.ErrNoWorker)
		for _, j := range jobs {
			<-j.Done()
		}
	})
}

// The error of HaltNow names it, and not Halt.
func TestErrorOfHaltNowNamesIt(t *testing.T) {
	p := newTasks(pool.Workers(1))
	defer closing(t, p)
	assert.ErrorContains(t, p.HaltNow(3), "HaltNow(3)")
}

// "The same holds for jobs that run within the share of that call because it waits for them with Job.Wait, but not for jobs
// that other workers run": at any depth, with a call of Do in between.
func TestHaltNowEndsJobsInTheShareOfTheCall(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		defer p.Close()
		gate := make(chan struct{})
		other := submit(t, p, block(gate)) // the other worker is busy
		synctest.Wait()
		var causes []error
		var jobs []*pool.Job[int]
		nest := func(in task) task {
			return func(ctx context.Context) (int, error) {
				j, err := p.Submit(ctx, in)
				if err != nil {
					return 0, err
				}
				jobs = append(jobs, j)
				_, err = j.Wait(ctx)
				causes = append(causes, context.Cause(ctx))
				return 0, err
			}
		}
		outer := submit(t, p, nest(nest(func(ctx context.Context) (int, error) { return p.Do(ctx, nest(heed)) })))
		synctest.Wait()
		require.Len(t, jobs, 3)
		at := slices.IndexFunc(p.Workers(), func(w pool.WorkerInfo) bool { return w.Job == outer.ID() })
		require.GreaterOrEqual(t, at, 0)
		require.NoError(t, p.HaltNow(at))
		synctest.Wait()
		assert.Equal(t, []error{pool.ErrHalted, pool.ErrHalted, pool.ErrHalted}, causes)
		for _, j := range append(jobs, outer) {
			assert.Equal(t, result.Canceled, j.Status(), "job %d", j.ID())
		}
		assert.Equal(t, result.Running, other.Status(), "it is on another worker")
		assert.Equal(t, 1, p.Stats().Running)
		close(gate)
	})
}

// HaltNow of a worker that a caller has taken to run its own job, at any moment of that.
func TestHaltNowReachesAJobThatItsCallerRuns(t *testing.T) {
	checkLeaks(t)
	p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(pool.CallerRuns))
	_, err := p.Submit(t.Context(), give(0), pool.After(time.Hour)) // the queue is full
	require.NoError(t, err)
	for range many(500) + 100 {
		require.NoError(t, p.Resize(1))
		miss, ended := make(chan struct{}), make(chan error)
		go func() {
			_, err := p.Submit(t.Context(), func(ctx context.Context) (int, error) {
				select {
				case <-ctx.Done():
				case <-miss:
				}
				return 0, nil
			})
			ended <- err
		}()
		for p.Stats().Busy == 0 {
			runtime.Gosched()
		}
		require.NoError(t, p.HaltNow(0))
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(10 * time.Second):
			close(miss)
			t.Fatal("HaltNow has missed the job: ", <-ended)
		}
	}
	require.NoError(t, p.Close())
}

// "Jobs start in the order in which they came": if a worker takes several jobs in hand,
// since those before were fast, and its first one is slow, another worker that becomes
// free starts those first.
func TestJobsInHandAreNotOvertaken(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2))
		defer p.Close()
		submitAll(t, p, make([]time.Duration, 200)...) // no time at all
		synctest.Wait()
		go p.Do(t.Context(), time.Second) //nolint:errcheck // of no interest here
		synctest.Wait()
		begin := time.Now()
		p.Pause() // so that the three wait in the queue when the worker comes
		early := submitAll(t, p, hours(3)...)
		p.Resume()
		synctest.Wait()
		late := submitAll(t, p, hours(3)...)
		at := begins(begin, append(early, late...)...)
		assert.True(t, slices.IsSorted(at), "starts: %v", at)
	})
}

// "No new call starts until fewer than n are under way": a worker that stays goes on
// with what it has in hand, jobs or elements, while those that were halted still run.
func TestResizeDownHoldsBackWhoStays(t *testing.T) {
	ways := map[string]func(t *testing.T, p *pool.Pool[task, int], ins []task){
		"jobs": func(t *testing.T, p *pool.Pool[task, int], ins []task) {
			p.Pause()
			jobs := submitAll(t, p, ins...)
			p.Resume()
			begins(time.Now(), jobs...)
		},
		"map": func(t *testing.T, p *pool.Pool[task, int], ins []task) {
			_, err := p.Map(t.Context(), ins)
			assert.NoError(t, err)
		},
		"stream": func(t *testing.T, p *pool.Pool[task, int], ins []task) {
			assert.Equal(t, len(ins), drain(p.Stream(t.Context(), slices.Values(ins))))
		},
	}
	for name, run := range ways {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(4))
				defer p.Close()
				submitAll(t, p, repeat(300, give)...) // so that jobs look fast, and are taken together
				synctest.Wait()
				var g gauge
				var resized atomic.Bool
				go func() {
					time.Sleep(time.Second / 2)
					assert.NoError(t, p.Resize(1))
					resized.Store(true)
				}()
				run(t, p, repeat(40, func(i int) task {
					return func(context.Context) (int, error) {
						g.enter()
						defer g.leave()
						assert.True(t, !resized.Load() || g.now.Load() <= 1, "%d starts as one of %d", i, g.now.Load())
						time.Sleep(time.Duration(1+i%4*10) * time.Second)
						return i, nil
					}
				}))
			})
		})
	}
}
