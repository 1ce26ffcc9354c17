package pool_test

import (
	"context"
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

// "A pool of n workers never has more than n calls under way, whichever methods they
// come from": counted inside the function.
func TestNeverMoreCallsThanWorkers(t *testing.T) {
	for _, workers := range []int{1, 3} {
		checkLeaks(t)
		var g gauge
		p := pool.New(func(_ context.Context, v int) (int, error) {
			g.enter()
			defer g.leave()
			if v%7 == 0 {
				runtime.Gosched() // lets the others overtake, so that a limit that leaks shows
			}
			return v, nil
		}, pool.Workers(workers), pool.Queue(8))

		const rounds, many = 30, 50
		ins := make([]int, many)
		for i := range ins {
			ins[i] = i
		}
		ctx := t.Context()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for i := range rounds * many {
					v, err := p.Do(ctx, i)
					assert.NoError(t, err)
					assert.Equal(t, i, v)
				}
			})
			wg.Go(func() {
				for i := range rounds * many {
					j, err := p.Submit(ctx, i)
					if !assert.NoError(t, err) {
						return
					}
					if i%3 == 0 {
						v, err := j.Wait(ctx)
						assert.NoError(t, err)
						assert.Equal(t, i, v)
					}
				}
			})
			wg.Go(func() {
				for range rounds {
					outs, err := p.Map(ctx, ins)
					assert.NoError(t, err)
					assert.Equal(t, ins, outs)
				}
			})
			wg.Go(func() {
				for range rounds {
					n := 0
					for r := range p.Stream(ctx, slices.Values(ins)) {
						assert.NoError(t, r.Err)
						assert.Equal(t, r.Index, r.Value)
						n++
					}
					assert.Equal(t, many, n)
				}
			})
		}
		wg.Wait()
		require.NoError(t, p.Shutdown(ctx))
		assert.LessOrEqual(t, g.peak.Load(), int64(workers), "calls at once")
		assert.EqualValues(t, 2*4*rounds*many, g.total.Load(), "calls")
	}
}

// All of the workers that a pool has are used, also when all inputs come at once.
func TestAllWorkersAreUsed(t *testing.T) {
	ways := map[string]func(p *pool.Pool[time.Duration, time.Duration], ins []time.Duration){
		"Do": func(p *pool.Pool[time.Duration, time.Duration], ins []time.Duration) {
			var wg sync.WaitGroup
			for _, in := range ins {
				wg.Go(func() { p.Do(context.Background(), in) }) //nolint:errcheck // the time it takes is the point
			}
			wg.Wait()
		},
		"Submit": func(p *pool.Pool[time.Duration, time.Duration], ins []time.Duration) {
			for _, in := range ins {
				p.Submit(context.Background(), in) //nolint:errcheck // the time it takes is the point
			}
			p.Shutdown(context.Background()) //nolint:errcheck // waits for all
		},
		"Map": func(p *pool.Pool[time.Duration, time.Duration], ins []time.Duration) {
			p.Map(context.Background(), ins) //nolint:errcheck // the time it takes is the point
		},
		"Stream": func(p *pool.Pool[time.Duration, time.Duration], ins []time.Duration) {
			drain(p.Stream(context.Background(), slices.Values(ins)))
		},
	}
	for name, run := range ways {
		t.Run(name, func(t *testing.T) {
			// A worker that takes several inputs at once, since they were fast until
			// now, must not keep slow ones from the others.
			for _, warm := range []int{0, 5000} {
				testkit.Bubble(t, func(t *testing.T) {
					p := pool.New(sleepers, pool.Workers(8))
					defer p.Close()
					for range warm {
						submit(t, p, 0)
					}
					synctest.Wait()
					begin := time.Now()
					run(p, slices.Repeat([]time.Duration{time.Second}, 16))
					assert.Equal(t, 2*time.Second, time.Since(begin), "16 calls of 1 s by 8 workers after %d fast ones", warm)
				})
			}
		})
	}
}

// Slow inputs behind thousands of fast ones of the same Map or Stream.
func TestSlowInputsBehindFastOnesAreShared(t *testing.T) {
	ins := slices.Concat(make([]time.Duration, 5000), slices.Repeat([]time.Duration{time.Second}, 16))
	t.Run("Map", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			p := pool.New(sleepers, pool.Workers(8))
			defer p.Close()
			begin := time.Now()
			_, err := p.Map(t.Context(), ins)
			require.NoError(t, err)
			assert.Equal(t, 2*time.Second, time.Since(begin))
		})
	})
	t.Run("Stream", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			p := pool.New(sleepers, pool.Workers(8))
			defer p.Close()
			begin := time.Now()
			for r := range p.Stream(t.Context(), slices.Values(ins)) {
				assert.NoError(t, r.Err)
			}
			assert.Equal(t, 2*time.Second, time.Since(begin))
		})
	})
}

// "No input waits while a worker is free, not even one that a slow worker has already
// taken: a worker that has taken several inputs at once leaves them to workers that
// have nothing to do."
func TestNoInputWaitsBehindASlowOne(t *testing.T) {
	ins := make([]time.Duration, 200)
	for _, slow := range []int{0, 1, 50, 198, 199} {
		ins := slices.Clone(ins)
		ins[slow] = time.Hour
		testkit.Bubble(t, func(t *testing.T) {
			p := pool.New(sleepers, pool.Workers(2))
			defer p.Close()
			for range 1000 {
				submit(t, p, 0) // from now on many are taken at once
			}
			synctest.Wait()
			begin := time.Now()
			jobs := make([]*pool.Job[time.Duration], len(ins))
			for i, in := range ins {
				jobs[i] = submit(t, p, in)
			}
			for i, j := range jobs {
				if i != slow {
					_, err := j.Wait(t.Context())
					require.NoError(t, err)
				}
			}
			assert.Zero(t, time.Since(begin), "behind a slow one at %d", slow)
		})
		testkit.Bubble(t, func(t *testing.T) {
			p := pool.New(sleepers, pool.Workers(2))
			defer p.Close()
			fast := 0
			begin := time.Now()
			for r := range p.Stream(t.Context(), slices.Values(ins)) {
				if r.Index != slow {
					fast++
					assert.Zero(t, time.Since(begin), "%d in a stream behind a slow one at %d", r.Index, slow)
				}
			}
			assert.Equal(t, len(ins)-1, fast)
		})
	}
}

// "Workers are assigned in turn: callers of Do, jobs, and chunks of a Map or Stream
// wait in one line."
func TestWorkersAreTakenInTurn(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1))
		defer p.Close()
		gate := make(chan struct{})
		go p.Do(t.Context(), block(gate)) //nolint:errcheck // holds the worker
		synctest.Wait()

		var order []int // written by one call at a time, since there is one worker
		note := func(i int) task {
			return func(context.Context) (int, error) {
				order = append(order, i)
				return i, nil
			}
		}
		var wg sync.WaitGroup
		enqueue := []func(i int){
			func(i int) { wg.Go(func() { p.Do(t.Context(), note(i)) }) },                                   //nolint:errcheck // noted inside
			func(i int) { wg.Go(func() { p.Map(t.Context(), []task{note(i)}) }) },                          //nolint:errcheck // noted inside
			func(i int) { wg.Go(func() { drain(p.Stream(t.Context(), slices.Values([]task{note(i)}))) }) }, // noted inside
		}
		submit(t, p, note(0))
		synctest.Wait()
		for i := 1; i <= 9; i++ {
			enqueue[i%len(enqueue)](i)
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, order)
	})
}

// A long Map takes turns with others instead of keeping its workers to the end.
func TestLongMapDoesNotStarveOthers(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(2))
		defer p.Close()
		var wg sync.WaitGroup
		long := slices.Repeat([]time.Duration{time.Second}, 1000)
		for range 2 {
			wg.Go(func() {
				begin := time.Now()
				_, err := p.Map(t.Context(), long)
				assert.NoError(t, err)
				// Each of the two gets its half of the workers: neither is done much earlier.
				assert.Greater(t, time.Since(begin), 950*time.Second)
			})
		}
		time.Sleep(time.Minute + time.Second/2)
		begin := time.Now()
		_, err := p.Do(t.Context(), 0)
		assert.NoError(t, err)
		assert.LessOrEqual(t, time.Since(begin), 2*time.Second, "Do")
		begin = time.Now()
		_, err = submit(t, p, 0).Wait(t.Context())
		assert.NoError(t, err)
		assert.LessOrEqual(t, time.Since(begin), 2*time.Second, "Submit")
		wg.Wait()
	})
}

// "Workers start when there is work for them; a pool that is not used costs no
// goroutine." Outside of a bubble, where the stacks of others can be seen.
func TestPoolThatIsNotUsedCostsNoGoroutine(t *testing.T) {
	checkLeaks(t)
	before := len(ours())
	p := newTasks(pool.Workers(8))
	assert.Len(t, ours(), before, "after New")
	_, err := p.Do(t.Context(), give(1))
	require.NoError(t, err)
	assert.Len(t, ours(), before, "Do works on its caller's goroutine")
	some := []task{give(1), give(2), give(3)}
	_, err = p.Map(t.Context(), some)
	require.NoError(t, err)
	noMoreThan(t, before) // a Map ends its goroutines
	drain(p.Stream(t.Context(), slices.Values(some)))
	noMoreThan(t, before) // and so does a Stream
	_, err = submit(t, p, give(1)).Wait(t.Context())
	require.NoError(t, err)
	assert.Len(t, ours(), before+1, "one job needs one worker")
	require.NoError(t, p.Close())
}

// "By default workers stay, which costs a goroutine each", until the end of the pool.
func TestWorkersOfTheQueueStay(t *testing.T) {
	checkLeaks(t)
	before := len(ours())
	p := newTasks(pool.Workers(50))
	gate := make(chan struct{})
	for range 200 {
		submit(t, p, block(gate))
	}
	for p.Stats().Running < 50 {
		runtime.Gosched()
	}
	close(gate)
	for p.Stats().Succeeded < 200 {
		runtime.Gosched()
	}
	assert.Len(t, ours(), before+50)
	require.NoError(t, p.Close())
	noMoreThan(t, before)
}

// The workers' numbers in results are those from 0 up to the number of workers.
func TestWorkersAreNumberedFrom0(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(3))
		defer p.Close()
		seen := map[int]int{}
		for r := range p.Stream(t.Context(), slices.Values(slices.Repeat([]time.Duration{time.Second}, 9))) {
			seen[r.Worker]++
		}
		assert.Equal(t, map[int]int{0: 3, 1: 3, 2: 3}, seen)
		for range 3 {
			submit(t, p, time.Second)
		}
		j := submit(t, p, time.Second)
		_, err := j.Wait(t.Context())
		require.NoError(t, err)
		r, _ := j.Result()
		assert.Contains(t, seen, r.Worker)
	})
}
