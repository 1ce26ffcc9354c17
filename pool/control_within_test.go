package pool_test

import (
	"context"
	"errors"
	"fmt"
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

// Control in all combinations with what is under way, and in random sequences.

// HaltNow ends the context of the call in hand, and of no other one.
func TestHaltNowEndsTheCallInHand(t *testing.T) {
	const wide = 3
	ways := map[string]func(t *testing.T, p *pool.Pool[task, int], ins []task) []error{
		"jobs": func(t *testing.T, p *pool.Pool[task, int], ins []task) (errs []error) {
			for _, j := range submitAll(t, p, ins...) {
				_, err := j.Wait(t.Context())
				errs = append(errs, err)
			}
			return errs
		},
		"do": func(t *testing.T, p *pool.Pool[task, int], ins []task) []error {
			errs := make([]error, len(ins))
			var wg sync.WaitGroup
			for i, in := range ins {
				wg.Go(func() { _, errs[i] = p.Do(t.Context(), in) })
			}
			wg.Wait()
			return errs
		},
		"stream": func(t *testing.T, p *pool.Pool[task, int], ins []task) []error {
			errs := make([]error, len(ins))
			for r := range p.Stream(t.Context(), slices.Values(ins)) {
				errs[r.Index] = r.Err
			}
			return errs
		},
		"map, whose function goes on": func(t *testing.T, p *pool.Pool[task, int], ins []task) []error {
			errs := make([]error, len(ins))
			for i, in := range ins {
				ins[i] = func(ctx context.Context) (int, error) {
					_, errs[i] = in(ctx)
					return i, nil
				}
			}
			outs, err := p.Map(t.Context(), ins)
			assert.NoError(t, err)
			for i, v := range outs {
				assert.Equal(t, i, v)
			}
			return errs
		},
	}
	for name, run := range ways {
		for victim := range wide {
			t.Run(fmt.Sprintf("%s, worker %d", name, victim), func(t *testing.T) {
				testkit.Bubble(t, func(t *testing.T) {
					p := newTasks(pool.Workers(wide))
					defer p.Close()
					go func() {
						time.Sleep(time.Minute)
						assert.NoError(t, p.HaltNow(victim))
						assert.NoError(t, p.HaltNow(victim), "again")
					}()
					var ended []time.Duration
					var mu sync.Mutex
					begin := time.Now()
					errs := run(t, p, repeat(3*wide, func(int) task {
						return func(ctx context.Context) (int, error) {
							select {
							case <-time.After(time.Hour):
								return 0, nil
							case <-ctx.Done():
								mu.Lock()
								defer mu.Unlock()
								ended = append(ended, time.Since(begin))
								assert.ErrorIs(t, context.Cause(ctx), pool.ErrHalted)
								return 0, context.Cause(ctx)
							}
						}
					}))
					assert.Equal(t, []time.Duration{time.Minute}, ended, "contexts that ended")
					halted := 0
					for _, err := range errs {
						if errors.Is(err, pool.ErrHalted) {
							halted++
						} else {
							assert.NoError(t, err)
						}
					}
					assert.Equal(t, 1, halted)
					assert.Len(t, p.Workers(), wide-1)
					assert.ErrorIs(t, p.Halt(victim), pool.ErrNoWorker)
				})
			})
		}
	}
}

// Jobs that a worker has taken in hand together are run by others, in order.
func TestHaltLosesNoJobs(t *testing.T) {
	for _, now := range []bool{false, true} {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1))
			defer p.Close()
			const many = 500
			var order []int
			p.Pause()
			jobs := submitAll(t, p, repeat(many, func(i int) task {
				return func(ctx context.Context) (int, error) {
					assert.NoError(t, ctx.Err(), "job %d", i)
					order = append(order, i)
					if i%100 == 10 { // in the middle of what it has taken
						if now {
							assert.NoError(t, p.HaltNow(0))
							assert.ErrorIs(t, context.Cause(ctx), pool.ErrHalted)
						} else {
							assert.NoError(t, p.Halt(0))
						}
					}
					return i, nil
				}
			})...)
			p.Resume()
			for i := 10; i < many; i += 100 {
				synctest.Wait()
				require.Len(t, order, i+1, "none starts without a worker")
				require.Empty(t, p.Workers())
				assert.Equal(t, many-i-1, p.Stats().Queued)
				require.NoError(t, p.Resize(1))
			}
			for i, j := range jobs {
				v, err := j.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, i, v)
			}
			assert.True(t, slices.IsSorted(order), "first come, first served")
			assert.Len(t, order, many)
		})
	}
}

// A Map or Stream that is paused, or has lost all its workers, still heeds its context.
func TestHeldCallsHeedTheirContext(t *testing.T) {
	hold := map[string]func(t *testing.T, p *sleeperPool){
		"pause": func(_ *testing.T, p *sleeperPool) { p.Pause() },
		"halt":  func(t *testing.T, p *sleeperPool) { assert.NoError(t, p.Halt(0)); assert.NoError(t, p.Halt(1)) },
	}
	for name, held := range hold {
		testkit.Bubble(t, func(t *testing.T) {
			p := newSleepers(pool.Workers(2))
			defer p.Close()
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := p.Map(ctx, hours(9))
				assert.Equal(t, context.DeadlineExceeded, err, name)
				assert.Equal(t, 3*time.Hour, time.Since(begin), name)
			})
			wg.Go(func() {
				for r := range p.Stream(ctx, slices.Values(hours(9))) {
					if r.Attempt == 0 {
						assert.Equal(t, context.DeadlineExceeded, r.Err, name)
						assert.Equal(t, -1, r.Worker, name)
					}
				}
				assert.Equal(t, 3*time.Hour, time.Since(begin), name)
			})
			time.Sleep(time.Minute)
			held(t, p)
			time.Sleep(time.Hour)
			assert.Zero(t, p.Stats().Busy, name)
			wg.Wait()
		})
	}
}

// Whatever is done to the workers of a Map or a Stream, each element is called once.
func TestMapAndStreamGoOnWhenTheirWorkersAreTaken(t *testing.T) {
	const wide = steeredWide
	control := map[string]steerFunc{
		"halt": func(t *testing.T, p *pool.Pool[task, int], i int) {
			// Another call may do the same at this moment, so that there are fewer, or this one has gone.
			if workers := p.Workers(); len(workers) > 0 {
				_ = p.Halt(workers[i%len(workers)].ID)
			}
			assert.NoError(t, p.Resize(wide))
		},
		"halt for a while": func(t *testing.T, p *pool.Pool[task, int], i int) {
			for _, w := range p.Workers() {
				haltOther(t, p, w.ID)
			}
			time.AfterFunc(time.Minute, func() { assert.NoError(t, p.Resize(1+i%wide)) })
		},
		"pause": func(_ *testing.T, p *pool.Pool[task, int], _ int) {
			p.Pause()
			time.AfterFunc(time.Minute, p.Resume)
		},
		"resize": func(t *testing.T, p *pool.Pool[task, int], i int) {
			assert.NoError(t, p.Resize(i%(wide+1)))
			time.AfterFunc(time.Minute, func() { assert.NoError(t, p.Resize(wide)) })
		},
	}
	for name, steer := range control {
		for _, length := range []time.Duration{0, time.Second} {
			if name == "halt" {
				mapGoesOn(t, name, length, steer)
			}
			streamGoesOn(t, name, length, steer)
		}
	}
}

// steerFunc changes a pool inside the call for element i.
type steerFunc = func(t *testing.T, p *pool.Pool[task, int], i int)

// steered are tasks some of which change the pool they run in.
func steered(t *testing.T, p *pool.Pool[task, int], g *gauge, length time.Duration, steer steerFunc) []task {
	return repeat(300, func(i int) task {
		return func(ctx context.Context) (int, error) {
			g.enter()
			defer g.leave()
			if i%7 == 3 {
				steer(t, p, i)
			}
			time.Sleep(length)
			return i, ctx.Err()
		}
	})
}

func mapGoesOn(t *testing.T, name string, length time.Duration, steer steerFunc) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(steeredWide))
		defer p.Close()
		var g gauge
		ins := steered(t, p, &g, length, steer)
		outs, err := p.Map(t.Context(), ins)
		assert.NoError(t, err, name)
		assert.Len(t, outs, len(ins), name)
		for i, v := range outs {
			assert.Equal(t, i, v, name)
		}
		assert.EqualValues(t, len(ins), g.total.Load(), "%s: calls", name)
		assert.LessOrEqual(t, g.peak.Load(), int64(steeredWide), name)
		time.Sleep(time.Hour) // until the last timer has set the pool in motion again
	})
}

func streamGoesOn(t *testing.T, name string, length time.Duration, steer steerFunc) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(steeredWide))
		defer p.Close()
		var g gauge
		ins := steered(t, p, &g, length, steer)
		seen := map[int]bool{}
		for r := range p.Stream(t.Context(), slices.Values(ins)) {
			assert.NoError(t, r.Err, name)
			assert.Equal(t, r.Index, r.Value, name)
			assert.False(t, seen[r.Index], "%s: %d came twice", name, r.Index)
			assert.GreaterOrEqual(t, r.Worker, 0, name)
			assert.Less(t, r.Worker, 2*steeredWide, name)
			seen[r.Index] = true
		}
		assert.Len(t, seen, len(ins), name)
		assert.EqualValues(t, len(ins), g.total.Load(), "%s: calls", name)
		assert.LessOrEqual(t, g.peak.Load(), int64(steeredWide), name)
		time.Sleep(time.Hour)
	})
}

// A call steers the pool that it runs in.
func TestControlInsideACall(t *testing.T) {
	nested := map[string]func(ctx context.Context, p *pool.Pool[task, int]) error{
		"do": func(ctx context.Context, p *pool.Pool[task, int]) error {
			_, err := p.Do(ctx, give(1))
			return err
		},
		"map": func(ctx context.Context, p *pool.Pool[task, int]) error {
			_, err := p.Map(ctx, repeat(20, give))
			return err
		},
		"stream": func(ctx context.Context, p *pool.Pool[task, int]) error {
			if n := drain(p.Stream(ctx, slices.Values(repeat(20, give)))); n != 20 {
				return fmt.Errorf("%d results of 20", n)
			}
			return nil
		},
		"job": func(ctx context.Context, p *pool.Pool[task, int]) error {
			j, err := p.Submit(ctx, give(1))
			if err == nil {
				_, err = j.Wait(ctx)
			}
			return err
		},
	}
	steer := map[string]func(p *pool.Pool[task, int], self int) error{
		"pauses":       func(p *pool.Pool[task, int], _ int) error { p.Pause(); return nil },
		"halts itself": func(p *pool.Pool[task, int], self int) error { return p.Halt(self) },
		"resizes to 1": func(p *pool.Pool[task, int], _ int) error { return p.Resize(1) },
		"resizes to 0": func(p *pool.Pool[task, int], _ int) error { return p.Resize(0) },
		"resizes to 1 and 9": func(p *pool.Pool[task, int], _ int) error {
			return errors.Join(p.Resize(1), p.Resize(9))
		},
	}
	ways := map[string]func(ctx context.Context, p *pool.Pool[task, int], do task) error{
		"do": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
			_, err := p.Do(ctx, do)
			return err
		},
		"job": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
			j, err := p.Submit(ctx, do)
			if err == nil {
				_, err = j.Wait(ctx)
			}
			return err
		},
		"map": func(ctx context.Context, p *pool.Pool[task, int], do task) error {
			_, err := p.Map(ctx, []task{do})
			return err
		},
		"stream": func(ctx context.Context, p *pool.Pool[task, int], do task) (err error) {
			for r := range p.Stream(ctx, slices.Values([]task{do})) {
				err = errors.Join(err, r.Err)
			}
			return err
		},
	}
	for steering, change := range steer {
		for asking, ask := range nested {
			for way, run := range ways {
				testkit.Bubble(t, func(t *testing.T) {
					name := way + " that " + steering + " and asks for a " + asking
					p := newTasks(pool.Workers(2))
					defer p.Close()
					err := run(t.Context(), p, func(ctx context.Context) (int, error) {
						self := slices.IndexFunc(p.Workers(), func(w pool.WorkerInfo) bool { return w.State == pool.WorkerBusy })
						assert.NoError(t, change(p, self), name)
						assert.NoError(t, ask(ctx, p), name)
						return 0, ctx.Err()
					})
					assert.NoError(t, err, name)
					p.Resume()
					require.NoError(t, p.Resize(2))
					outs, err := p.Map(t.Context(), repeat(10, give))
					require.NoError(t, err, name)
					assert.Len(t, outs, 10)
				})
			}
		}
	}
}

// However its workers were taken, a pool can be shut down and closed.
func TestEndOfHeldPool(t *testing.T) {
	holds := map[string]func(t *testing.T, p *sleeperPool){
		"paused":         func(_ *testing.T, p *sleeperPool) { p.Pause() },
		"resized to 0":   func(t *testing.T, p *sleeperPool) { assert.NoError(t, p.Resize(0)) },
		"halted":         func(t *testing.T, p *sleeperPool) { assert.NoError(t, p.Halt(1)); assert.NoError(t, p.Halt(0)) },
		"paused, halted": func(t *testing.T, p *sleeperPool) { p.Pause(); assert.NoError(t, p.Resize(0)) },
	}
	for name, held := range holds {
		for i := range 4 {
			busy, closes := i%2 == 0, i/2 == 0
			testkit.Bubble(t, func(t *testing.T) {
				endHeld(t, fmt.Sprintf("%s, busy %t, closes %t", name, busy, closes), busy, closes, held)
			})
		}
	}
}

func endHeld(t *testing.T, why string, busy, closes bool, held func(*testing.T, *sleeperPool)) {
	p := newSleepers(pool.Workers(2))
	check := func(err error) {
		if closes {
			assert.ErrorIs(t, err, pool.ErrClosed, why)
		} else {
			assert.NoError(t, err, why)
		}
	}
	var before []*pool.Job[time.Duration]
	if busy {
		before = submitAll(t, p, hours(2)...)
		time.Sleep(time.Minute)
	}
	held(t, p)
	jobs := submitAll(t, p, hours(3)...)
	var wg sync.WaitGroup
	wg.Go(func() { _, err := p.Do(t.Context(), time.Hour); check(err) })
	wg.Go(func() { _, err := p.Map(t.Context(), hours(3)); check(err) })
	wg.Go(func() {
		n := 0
		for r := range p.Stream(t.Context(), slices.Values(hours(3))) {
			check(r.Err)
			n++
		}
		assert.True(t, closes || n == 3, why)
	})
	time.Sleep(3 * time.Hour)
	if closes {
		assert.NoError(t, p.Close(), why)
	} else {
		assert.NoError(t, p.Shutdown(t.Context()), why)
		assert.False(t, p.Stats().Paused, "%s: Shutdown ends a pause", why)
		p.Pause()
		assert.False(t, p.Stats().Paused, "%s: and after it there is none", why)
	}
	wg.Wait()
	for _, j := range before {
		_, err := j.Wait(t.Context())
		assert.NoError(t, err, why)
	}
	for _, j := range jobs {
		r, ended := j.Result()
		assert.True(t, ended, why)
		check(r.Err)
	}
	p.Pause()
	p.Resume()
	for _, n := range []int{0, 1, 7} {
		assert.Equal(t, pool.ErrClosed, p.Resize(n), why)
		assert.ErrorIs(t, p.Halt(n), pool.ErrClosed, why)
		assert.ErrorIs(t, p.HaltNow(n), pool.ErrClosed, why)
	}
	assert.ErrorContains(t, p.Resize(-1), "-1", why)
}

// While a pool shuts down it keeps a worker, and nothing can pause it.
func TestControlDuringShutdown(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2))
		begin := time.Now()
		jobs := submitAll(t, p, hours(8)...)
		go func() {
			time.Sleep(time.Minute)
			assert.Equal(t, pool.ErrClosed, p.Resize(0))
			p.Pause()
			assert.False(t, p.Stats().Paused)
			assert.NoError(t, p.Halt(0))
			assert.ErrorIs(t, p.Halt(1), pool.ErrClosed, "the last one")
			assert.ErrorIs(t, p.HaltNow(1), pool.ErrClosed, "the last one")
			time.Sleep(2 * time.Hour)
			assert.NoError(t, p.Resize(3))
		}()
		require.NoError(t, p.Shutdown(t.Context()))
		// Two at first, then one at a time, and from 2:01 on three workers in all.
		m := time.Minute
		want := []time.Duration{0, 0, 60 * m, 120 * m, 121 * m, 121 * m, 180 * m, 181 * m}
		// Two end at 1:00, and which of their goroutines finds its worker halted is chance: it puts back what it
		// has just taken, and the other one may have started the next by then.
		got := begins(begin, jobs...)
		slices.Sort(got)
		assert.Equal(t, want, got)
	})
}

// haltOther halts a worker that another call may have halted meanwhile.
func haltOther(t *testing.T, p *pool.Pool[task, int], worker int) {
	t.Helper()
	if err := p.Halt(worker); err != nil {
		assert.ErrorIs(t, err, pool.ErrNoWorker)
	}
}
