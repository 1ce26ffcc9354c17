package pool_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
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

// memory is what the program has in use now, heap and stacks, when all garbage has
// been collected.
func memory() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one has found is swept by now
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// spans is what the program has in use now with what the allocator cannot use for
// anything else.
func spans() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// needsFigures skips a test that measures memory if that means nothing.
func needsFigures(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector needs memory for each thing")
	}
}

// inTime fails the test if f takes longer than it does when each of many things costs
// the same, however many there are: limits are far above that.
func inTime(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	if raceEnabled {
		limit *= 10
	}
	begin := time.Now()
	f()
	took := time.Since(begin)
	t.Log(took)
	assert.Less(t, took, limit)
}

// many is n, or fewer of them where the race detector runs.
func many(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}

// gated returns a pool whose calls wait for the gate, and heed nothing else.
func gated(opts ...pool.Option) (p *pool.Pool[int, int], gate chan struct{}) {
	gate = make(chan struct{})
	return pool.New(func(_ context.Context, v int) (int, error) {
		<-gate
		return v, nil
	}, opts...), gate
}

// fillUp submits n jobs, of which there must be room for all.
func fillUp(t *testing.T, p *pool.Pool[int, int], n int, opts ...pool.JobOption) {
	t.Helper()
	for i := range n {
		if _, err := p.TrySubmit(i, opts...); err != nil {
			require.NoError(t, err)
		}
	}
}

// running waits until a call is under way.
func running(p *pool.Pool[int, int]) {
	for p.Stats().Running == 0 {
		runtime.Gosched()
	}
}

// A job that waits needs 176 bytes, and 8 in the queue, if nobody keeps its handle.
func TestMemoryOfAMillionQueuedJobs(t *testing.T) {
	needsFigures(t)
	const n = 1_000_000
	p, gate := gated(pool.Workers(2), pool.Queue(n))
	fillUp(t, p, 200) // so that the workers have what they take in hand
	before := memory()
	fillUp(t, p, n-200)
	grown := memory() - before
	assert.LessOrEqual(t, grown/n, 184, "bytes for each job")
	t.Log("bytes for each job:", grown/n)
	assert.GreaterOrEqual(t, p.Stats().Queued, n-200)
	close(gate)
	require.NoError(t, p.Shutdown(t.Context()))
	assert.EqualValues(t, n, p.Stats().Succeeded)
	// The pool is still there, with room in the queue for as many: a pointer each.
	assert.Less(t, memory()-before, 10*n, "and none of it is left")
	runtime.KeepAlive(p)
}

// A worker needs a small stack and little more, and nothing of it is left behind the
// pool but what the runtime keeps of a goroutine.
func TestMemoryOfManyWorkers(t *testing.T) {
	checkLeaks(t)
	n := many(100_000)
	before := spans()
	gate := make(chan struct{})
	var inside sync.WaitGroup
	inside.Add(n)
	p := pool.New(func(_ context.Context, wait bool) (int, error) {
		if wait {
			inside.Done()
			<-gate
		}
		return 1, nil
	}, pool.Workers(n), pool.Queue(n))
	for range n {
		if _, err := p.TrySubmit(true); err != nil {
			require.NoError(t, err)
		}
	}
	inside.Wait() // all at once
	s := p.Stats()
	assert.Equal(t, n, s.Running)
	assert.Equal(t, n, s.Busy)
	each := (spans() - before) / n
	close(gate)
	outs, err := p.Map(t.Context(), make([]bool, n))
	assert.NoError(t, err)
	assert.Len(t, outs, n)
	for range n {
		if _, err := p.Submit(t.Context(), false); err != nil {
			require.NoError(t, err)
		}
	}
	require.NoError(t, p.Shutdown(t.Context()))
	assert.EqualValues(t, 2*n, p.Stats().Succeeded)
	require.NoError(t, p.Close())
	left := (spans() - before) / n
	if raceEnabled {
		return
	}
	t.Log("bytes for each worker:", each, "left:", left)
	assert.LessOrEqual(t, each, 4<<10, "bytes for each worker, its stack and its job included")
	assert.LessOrEqual(t, left, 700, "bytes left of each: a descriptor, which goroutines to come use again")
}

// So it is for workers with a state, started by callers on their own goroutines.
func TestManyWorkersStartAndStop(t *testing.T) {
	checkLeaks(t)
	n := many(20_000)
	var opens, closes, calls atomic.Int64
	p := pool.NewStateful(func(context.Context, int) (int, error) {
		opens.Add(1)
		return 1, nil
	}, func(ctx context.Context, _, _ int) (int, error) {
		calls.Add(1)
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}, func(int) error {
		closes.Add(1)
		return nil
	}, pool.Workers(n), pool.Queue(n))
	inTime(t, 3*time.Second, func() {
		for i := range n {
			if _, err := p.TrySubmit(i); err != nil {
				require.NoError(t, err)
			}
		}
		for calls.Load() < int64(n) {
			runtime.Gosched()
		}
		for i := range n / 2 {
			if err := p.HaltNow(i); err != nil {
				require.NoError(t, err)
			}
		}
		assert.NoError(t, p.Resize(1))
		assert.NoError(t, p.Resize(n))
		assert.NoError(t, p.Close())
	})
	assert.EqualValues(t, n, opens.Load())
	assert.EqualValues(t, n, closes.Load())
}

// To cancel all that wait costs as much for each of them however many there are:
// none of these waits behind all the others.
func TestManyThatWaitAreCanceledAtOnce(t *testing.T) {
	n := many(20_000)
	ways := map[string]func(ctx context.Context, p *pool.Pool[int, int]) error{
		"Do":  func(ctx context.Context, p *pool.Pool[int, int]) error { _, err := p.Do(ctx, 1); return err },
		"Map": func(ctx context.Context, p *pool.Pool[int, int]) error { _, err := p.Map(ctx, []int{1}); return err },
		"Submit": func(ctx context.Context, p *pool.Pool[int, int]) error {
			_, err := p.Submit(ctx, 1)
			return err
		},
		"Submit with a key": func(ctx context.Context, p *pool.Pool[int, int]) error {
			_, err := p.Submit(ctx, 1, pool.Key("k"))
			return err
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			for _, each := range []bool{false, true} {
				inTime(t, 2*time.Second, func() {
					testkit.Bubble(t, func(t *testing.T) {
						p, gate := gated(pool.Workers(1), pool.Queue(1))
						fillUp(t, p, 1)
						synctest.Wait()
						fillUp(t, p, 1)
						ctx, cancel := context.WithCancelCause(t.Context())
						var wg sync.WaitGroup
						var ends []context.CancelCauseFunc
						var turned atomic.Int64
						for range n {
							one := ctx
							if each {
								var end context.CancelCauseFunc
								one, end = context.WithCancelCause(ctx)
								ends = append(ends, end)
							}
							wg.Go(func() {
								if errors.Is(way(one, p), errBoom) {
									turned.Add(1)
								}
							})
						}
						synctest.Wait()
						for _, end := range ends {
							end(errBoom)
						}
						cancel(errBoom)
						wg.Wait()
						assert.EqualValues(t, n, turned.Load())
						close(gate)
						assert.NoError(t, p.Shutdown(t.Context()))
						assert.EqualValues(t, 2, p.Stats().Accepted)
					})
				})
			}
		})
	}
}

// Close turns them away as quickly.
func TestManyThatWaitAreTurnedAwayByClose(t *testing.T) {
	n := many(20_000)
	inTime(t, 2*time.Second, func() {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1), pool.Queue(1))
			submit(t, p, heed)
			synctest.Wait()
			submit(t, p, heed)
			var wg sync.WaitGroup
			var turned atomic.Int64
			for i := range n {
				wg.Go(func() {
					var err error
					if i%2 == 0 {
						_, err = p.Submit(t.Context(), give(1))
					} else {
						_, err = p.Do(t.Context(), give(1))
					}
					if errors.Is(err, pool.ErrClosed) {
						turned.Add(1)
					}
				})
			}
			synctest.Wait()
			assert.NoError(t, p.Close())
			wg.Wait()
			assert.EqualValues(t, n, turned.Load())
		})
	})
}

// Jobs are canceled out of a long queue one by one, the last, the first or one in the
// middle, with options and without.
func TestManyJobsAreCanceledInTheQueue(t *testing.T) {
	n := many(50_000)
	orders := map[string]func(i int) int{
		"from the front": func(i int) int { return i },
		"from the back":  func(i int) int { return n - 1 - i },
		"here and there": func(i int) int { return i * 7919 % n }, // a prime that does not divide n
	}
	options := map[string]func(i int) []pool.JobOption{
		"none":     func(int) []pool.JobOption { return nil },
		"one key":  func(int) []pool.JobOption { return []pool.JobOption{pool.Key("k")} },
		"keys":     func(i int) []pool.JobOption { return []pool.JobOption{pool.Key(i)} },
		"priority": func(i int) []pool.JobOption { return []pool.JobOption{pool.Priority(i % 100)} },
		"weight":   func(int) []pool.JobOption { return []pool.JobOption{pool.Weight(2)} },
		"after":    func(int) []pool.JobOption { return []pool.JobOption{pool.After(time.Hour)} },
	}
	for name, order := range orders {
		for kind, option := range options {
			t.Run(name+"/"+kind, func(t *testing.T) {
				p, gate := gated(pool.Workers(1), pool.Queue(n+1), pool.Capacity(2))
				fillUp(t, p, 1)
				running(p)
				inTime(t, 2*time.Second, func() {
					jobs := make([]*pool.Job[int], n)
					for i := range jobs {
						var err error
						if jobs[i], err = p.TrySubmit(i, option(i)...); err != nil {
							require.NoError(t, err)
						}
					}
					for i := range jobs {
						jobs[order(i)].Cancel(errBoom)
					}
				})
				s := p.Stats()
				assert.EqualValues(t, n, s.Canceled)
				assert.Zero(t, s.Queued)
				close(gate)
				closing(t, p)
			})
		}
	}
}

// A queue full of jobs drains at a steady pace, whatever options they have.
func TestManyJobsWithOptionsAreDone(t *testing.T) {
	n := many(50_000)
	options := map[string]func(i int) []pool.JobOption{
		"one key":    func(int) []pool.JobOption { return []pool.JobOption{pool.Key("k")} },
		"two keys":   func(i int) []pool.JobOption { return []pool.JobOption{pool.Key(i % 2)} },
		"keys":       func(i int) []pool.JobOption { return []pool.JobOption{pool.Key(i)} },
		"priorities": func(i int) []pool.JobOption { return []pool.JobOption{pool.Priority(i)} },
		"weights":    func(i int) []pool.JobOption { return []pool.JobOption{pool.Weight(1 + int64(i%2))} },
		"delays":     func(i int) []pool.JobOption { return []pool.JobOption{pool.After(time.Duration(i))} },
		"all": func(i int) []pool.JobOption {
			return []pool.JobOption{
				pool.Key(i % 100), pool.Priority(i % 7), pool.Weight(1 + int64(i%2)), pool.After(time.Duration(i % 1000)),
			}
		},
	}
	for kind, option := range options {
		t.Run(kind, func(t *testing.T) {
			p, gate := gated(pool.Workers(2), pool.Queue(n), pool.Capacity(2))
			inTime(t, 2*time.Second, func() {
				for i := range n {
					if _, err := p.TrySubmit(i, option(i)...); err != nil {
						require.NoError(t, err)
					}
				}
				close(gate)
				assert.NoError(t, p.Shutdown(t.Context()))
			})
			assert.EqualValues(t, n, p.Stats().Succeeded)
		})
	}
}

// Jobs that make room for others, one by one.
func TestManyJobsAreDropped(t *testing.T) {
	n := many(50_000)
	for kind, opts := range map[string][]pool.JobOption{
		"none": nil, "key": {pool.Key("k")}, "after": {pool.After(time.Hour)}, "priority": {pool.Priority(1)},
	} {
		t.Run(kind, func(t *testing.T) {
			p, gate := gated(pool.Workers(1), pool.Queue(n), pool.WhenFull(pool.DropOldest))
			inTime(t, 2*time.Second, func() {
				for i := range 2 * n {
					if _, err := p.Submit(t.Context(), i, opts...); err != nil {
						require.NoError(t, err)
					}
				}
			})
			s := p.Stats()
			assert.InDelta(t, n, s.Dropped, 200)
			assert.EqualValues(t, 2*n, s.Dropped+uint64(s.Queued+s.Running))
			go p.Close() //nolint:errcheck // it is nil
			close(gate)
			closing(t, p)
		})
	}
}

// steady checks that memory does not grow with how often round is run.
func steady(t *testing.T, rounds, limit int, round func(i int)) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	rounds = many(rounds)
	for i := range rounds / 4 {
		round(i)
	}
	before := memory()
	for i := range rounds {
		round(i)
	}
	grown := memory() - before
	t.Log("bytes that were added:", grown)
	if !raceEnabled {
		assert.Less(t, grown, limit, "bytes more after %d rounds", rounds)
	}
}

// What has come and gone leaves nothing in a pool that goes on.
func TestMemoryOfALongRun(t *testing.T) {
	const limit = 256 << 10
	next := func(p *pool.Pool[int, int], i int, opts ...pool.JobOption) *pool.Job[int] {
		j, err := p.Submit(context.Background(), i, opts...)
		if err != nil {
			panic(err)
		}
		return j
	}
	wait := func(j *pool.Job[int]) {
		if _, err := j.Wait(context.Background()); err != nil {
			panic(err)
		}
	}
	t.Run("plain", func(t *testing.T) {
		p := pool.New(same, pool.Workers(2))
		steady(t, 200_000, limit, func(i int) { next(p, i) })
		closing(t, p)
	})
	t.Run("new keys", func(t *testing.T) {
		p := pool.New(same, pool.Workers(2))
		steady(t, 200_000, limit, func(i int) { next(p, i, pool.Key(i)) })
		closing(t, p)
	})
	t.Run("few keys", func(t *testing.T) {
		p := pool.New(same, pool.Workers(2))
		steady(t, 200_000, limit, func(i int) { next(p, i, pool.Key(i%3), pool.Priority(i%5)) })
		closing(t, p)
	})
	t.Run("weights and delays", func(t *testing.T) {
		p := pool.New(same, pool.Workers(2), pool.Capacity(3))
		steady(t, 100_000, limit, func(i int) { next(p, i, pool.Weight(1+int64(i%3)), pool.After(time.Duration(i%100))) })
		closing(t, p)
	})
	t.Run("Track", func(t *testing.T) {
		p := pool.New(same, pool.Workers(2), pool.Track(100))
		steady(t, 200_000, limit, func(i int) { wait(next(p, i)) })
		assert.LessOrEqual(t, len(p.Jobs()), 100)
		closing(t, p)
	})
	t.Run("Track and keys", func(t *testing.T) {
		p := pool.New(same, pool.Workers(2), pool.Track(0))
		steady(t, 200_000, limit, func(i int) { next(p, i, pool.Key(i)) })
		closing(t, p)
	})
	t.Run("Observe slowly", func(t *testing.T) {
		stop := make(chan struct{})
		p := pool.New(same, pool.Workers(2), pool.Observe(func(pool.Event) { <-stop }))
		steady(t, 200_000, limit, func(i int) { next(p, i, pool.Key(i)) })
		assert.Positive(t, p.Stats().EventsLost)
		close(stop)
		closing(t, p)
	})
	canceled := func(name string, opts ...pool.JobOption) {
		t.Run(name, func(t *testing.T) {
			p, gate := gated(pool.Workers(1), pool.Queue(1000), pool.Capacity(2))
			next(p, 0, pool.Weight(2), pool.Key("k"))
			steady(t, 200_000, limit, func(i int) { next(p, i, opts...).Cancel(nil) })
			close(gate)
			closing(t, p)
		})
	}
	canceled("canceled in the queue")
	canceled("canceled with a key", pool.Key("k"))
	canceled("canceled with a weight", pool.Weight(1))
	canceled("canceled with a delay", pool.After(time.Hour))
	canceled("canceled with a priority", pool.Priority(3))
	t.Run("canceled behind one that stays", func(t *testing.T) {
		p, gate := gated(pool.Workers(1), pool.Queue(1000))
		next(p, 0)
		next(p, 1) // nobody comes by here and clears up
		steady(t, 200_000, limit, func(i int) {
			j := next(p, i)
			j.Cancel(nil)
		})
		assert.LessOrEqual(t, p.Stats().Queued, 1)
		close(gate)
		closing(t, p)
	})
	t.Run("given up", func(t *testing.T) {
		p, gate := gated(pool.Workers(1), pool.Queue(1))
		fillUp(t, p, 1)
		running(p)
		fillUp(t, p, 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		steady(t, 20_000, limit, func(int) {
			ctx, cancel := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Go(func() { p.Do(ctx, 1) })     //nolint:errcheck // canceled
			wg.Go(func() { p.Submit(ctx, 1) }) //nolint:errcheck // canceled
			runtime.Gosched()
			cancel()
			wg.Wait()
		})
		close(gate)
		closing(t, p)
	})
	t.Run("waited for in vain", func(t *testing.T) {
		p, gate := gated(pool.Workers(1))
		j := next(p, 1)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		steady(t, 200_000, limit, func(int) { j.Wait(ctx) }) //nolint:errcheck // canceled
		close(gate)
		closing(t, p)
	})
	t.Run("workers come and go", func(t *testing.T) {
		p := pool.New(same, pool.Workers(8))
		steady(t, 4_000, limit, func(i int) {
			wait(next(p, i))
			_ = p.Resize(1 + i%8)
			_ = p.Halt(i % 8)
			_ = p.Resize(8)
		})
		closing(t, p)
	})
	t.Run("states come and go", func(t *testing.T) {
		p := pool.NewStateful(func(context.Context, int) (*[1024]byte, error) { return new([1024]byte), nil },
			func(_ context.Context, _ *[1024]byte, v int) (int, error) { return v, nil }, nil, pool.Workers(4))
		steady(t, 4_000, limit, func(i int) {
			wait(next(p, i))
			_ = p.Resize(1 + i%4)
			_ = p.Halt(i % 4)
			_ = p.Resize(4)
		})
		closing(t, p)
	})
}
