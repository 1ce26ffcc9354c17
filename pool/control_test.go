package pool_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// Control of a pool while it works: halting, resizing and pausing, what it does to
// calls under way and to those that wait, and what the pool tells about its workers.
// Virtual time says that what may start does so at once, and nothing else does.

// sleeperPool is a pool whose inputs are how long they take.
type sleeperPool = pool.Pool[time.Duration, time.Duration]

func newSleepers(opts ...pool.Option) *sleeperPool { return pool.New(sleepers, opts...) }

// crew tells the workers in short, such as "0 idle, 2 busy".
func crew[In, Out any](p *pool.Pool[In, Out]) string {
	var text []byte
	for i, w := range p.Workers() {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = fmt.Appendf(text, "%d %s", w.ID, w.State)
	}
	return string(text)
}

// begins are the times from since at which jobs were started, after their end.
func begins[Out any](since time.Time, jobs ...*pool.Job[Out]) []time.Duration {
	at := make([]time.Duration, len(jobs))
	for i, j := range jobs {
		<-j.Done()
		r, _ := j.Result()
		at[i] = r.Timing.Queued.Add(r.Timing.Wait).Sub(since)
	}
	return at
}

// submitAll hands in jobs that must all be taken.
func submitAll[In, Out any](t *testing.T, p *pool.Pool[In, Out], ins ...In) []*pool.Job[Out] {
	t.Helper()
	jobs := make([]*pool.Job[Out], len(ins))
	for i, in := range ins {
		jobs[i] = submit(t, p, in)
	}
	return jobs
}

// hours are n inputs of an hour each.
func hours(n int) []time.Duration { return slices.Repeat([]time.Duration{time.Hour}, n) }

// repeat makes n different tasks.
func repeat(n int, do func(i int) task) []task {
	all := make([]task, n)
	for i := range all {
		all[i] = do(i)
	}
	return all
}

func TestWorkersTellsWhatEachDoes(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2))
		defer p.Close()
		assert.Equal(t, []pool.WorkerInfo{{ID: 0}, {ID: 1}}, p.Workers(), "before there was work")

		begin := time.Now()
		j := submit(t, p, time.Hour)
		time.Sleep(time.Minute)
		ws := p.Workers()
		require.Len(t, ws, 2)
		at := slices.IndexFunc(ws, func(w pool.WorkerInfo) bool { return w.State == pool.WorkerBusy })
		require.GreaterOrEqual(t, at, 0, "%v", ws)
		assert.Equal(t, pool.WorkerInfo{ID: at, State: pool.WorkerBusy, Job: j.ID(), Since: begin}, ws[at])
		assert.Equal(t, pool.WorkerInfo{ID: 1 - at}, ws[1-at], "the other one")

		<-j.Done()
		time.Sleep(time.Minute)
		assert.Equal(t, pool.WorkerInfo{ID: at, Since: begin.Add(time.Hour), Done: 1}, p.Workers()[at])
		r, _ := j.Result()
		assert.Equal(t, at, r.Worker)

		go p.Do(t.Context(), time.Hour) //nolint:errcheck // of no interest here
		synctest.Wait()
		ws = p.Workers()
		at = slices.IndexFunc(ws, func(w pool.WorkerInfo) bool { return w.State == pool.WorkerBusy })
		require.GreaterOrEqual(t, at, 0, "%v", ws)
		assert.Zero(t, ws[at].Job, "a call of Do is no job")
		assert.Equal(t, pool.WorkerIdle, ws[1-at].State)

		ws[0].ID = 7
		assert.Zero(t, p.Workers()[0].ID, "what was returned is the caller's own")
	})
}

func TestHaltedWorkerEndsWhatItHasInHand(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2))
		defer p.Close()
		begin := time.Now()
		jobs := submitAll(t, p, hours(5)...)
		synctest.Wait()
		require.NoError(t, p.Halt(0))
		require.NoError(t, p.Halt(0), "again")
		assert.Equal(t, "0 halting, 1 busy", crew(p))
		assert.Equal(t, 1, p.Stats().Workers)
		assert.Equal(t, 2, p.Stats().Busy, "the halted one too")
		assert.Equal(t, []time.Duration{0, 0, time.Hour, 2 * time.Hour, 3 * time.Hour}, begins(begin, jobs...))
		synctest.Wait() // the last job has ended, its worker may not have looked for another yet
		for i, j := range jobs {
			r, _ := j.Result()
			assert.NoError(t, r.Err)
			if i >= 2 {
				assert.Equal(t, 1, r.Worker, "job %d", i)
			}
		}
		assert.Equal(t, "1 idle", crew(p))
		assert.ErrorIs(t, p.Halt(0), pool.ErrNoWorker, "it is gone")
	})
}

func TestHaltedIdleWorkerIsGoneAtOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(3))
		defer p.Close()
		require.NoError(t, p.Halt(1), "it has never started")
		assert.Equal(t, "0 idle, 2 idle", crew(p))
		_, err := p.Map(t.Context(), hours(4))
		require.NoError(t, err)
		require.NoError(t, p.HaltNow(2))
		assert.Equal(t, "0 idle", crew(p))
	})
}

// Idle is "workers that are free to make one": what a halted worker still does is no call of one of those that are left.
func TestIdleCountsTheWorkersBesideAHaltedOne(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(3))
		defer p.Close()
		submitAll(t, p, hours(1)...)
		synctest.Wait()
		require.NoError(t, p.Halt(0))
		s := p.Stats()
		assert.Equal(t, []int{2, 1, 2}, []int{s.Workers, s.Busy, s.Idle}, "workers, busy, idle")
		submitAll(t, p, hours(2)...)
		synctest.Wait()
		s = p.Stats()
		assert.Equal(t, []int{2, 3, 0}, []int{s.Workers, s.Busy, s.Idle}, "workers, busy, idle")
	})
}

// An idle worker's HaltNow has no call to end: later ones of its number are not touched.
func TestHaltNowOfIdleWorkerEndsNothing(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(1))
		defer p.Close()
		for range 3 {
			_, err := p.Do(t.Context(), time.Hour)
			require.NoError(t, err)
			_, err = submit(t, p, time.Hour).Wait(t.Context())
			require.NoError(t, err)
			require.NoError(t, p.HaltNow(0))
			require.NoError(t, p.Resize(1))
			assert.Equal(t, "0 idle", crew(p), "the lowest number that is free")
		}
	})
}

func TestResizeUpStartsWhatWaits(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(1))
		defer p.Close()
		begin := time.Now()
		jobs := submitAll(t, p, hours(4)...)
		synctest.Wait()
		did := make(chan time.Duration)
		go func() {
			_, err := p.Do(t.Context(), time.Hour)
			assert.NoError(t, err)
			did <- time.Since(begin)
		}()
		time.Sleep(time.Minute)
		require.NoError(t, p.Resize(3))
		synctest.Wait()
		assert.Equal(t, "0 busy, 1 busy, 2 busy", crew(p))
		require.NoError(t, p.Resize(5))
		assert.Equal(t, 61*time.Minute, <-did)
		m := time.Minute
		assert.Equal(t, []time.Duration{0, m, m, m}, begins(begin, jobs...))
	})
}

func TestResizeDownLetsCallsEnd(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(5))
		defer p.Close()
		begin := time.Now()
		s := time.Second
		jobs := submitAll(t, p, 1*s, 2*s, 3*s, 4*s)
		synctest.Wait()
		require.NoError(t, p.Resize(4))
		assert.Equal(t, "0 busy, 1 busy, 2 busy, 3 busy", crew(p), "the idle one stops first")
		require.NoError(t, p.Resize(2))
		assert.Equal(t, 2, p.Stats().Workers)
		jobs = append(jobs, submitAll(t, p, s, s, s)...)
		// Fewer than two are under way once the third one has ended.
		assert.Equal(t, []time.Duration{0, 0, 0, 0, 3 * s, 4 * s, 4 * s}, begins(begin, jobs...))
		for _, j := range jobs {
			_, err := j.Wait(t.Context())
			assert.NoError(t, err)
		}
		assert.Len(t, p.Workers(), 2)
	})
}

func TestResizeTo0StartsNothing(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2))
		defer p.Close()
		begin := time.Now()
		first := submit(t, p, time.Minute)
		synctest.Wait()
		require.NoError(t, p.Resize(0))
		assert.Equal(t, []pool.WorkerState{pool.WorkerHalting}, []pool.WorkerState{p.Workers()[0].State})
		job := submit(t, p, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := p.Do(ctx, 0)
		assert.Equal(t, context.DeadlineExceeded, err)
		_, err = p.Map(ctx, hours(1))
		assert.Equal(t, context.DeadlineExceeded, err)
		assert.Empty(t, p.Workers())
		assert.Equal(t, result.Queued, job.Status())
		require.NoError(t, p.Resize(1))
		assert.Equal(t, []time.Duration{0, time.Hour}, begins(begin, first, job))
	})
}

// "A Map or Stream that has already begun uses no more workers than there were when it
// began."
func TestMapAndStreamStayAsWideAsTheyBegan(t *testing.T) {
	ways := map[string]func(t *testing.T, p *sleeperPool){
		"map": func(t *testing.T, p *sleeperPool) {
			_, err := p.Map(t.Context(), hours(12))
			assert.NoError(t, err)
		},
		"stream": func(t *testing.T, p *sleeperPool) {
			assert.Equal(t, 12, drain(p.Stream(t.Context(), slices.Values(hours(12)))))
		},
	}
	for name, run := range ways {
		testkit.Bubble(t, func(t *testing.T) {
			p := newSleepers(pool.Workers(3))
			defer p.Close()
			begin := time.Now()
			go func() {
				time.Sleep(time.Minute)
				assert.NoError(t, p.Resize(9))
				synctest.Wait()
				assert.Equal(t, 3, p.Stats().Busy, name)
				time.Sleep(time.Hour) // the second of four rounds
				assert.NoError(t, p.Resize(1))
				time.Sleep(time.Hour)
				assert.Equal(t, 1, p.Stats().Busy, name)
				assert.NoError(t, p.Resize(9))
				synctest.Wait()
				assert.Equal(t, 3, p.Stats().Busy, name)
			}()
			run(t, p)
			// 3 and 3 in two hours, then 1 that is joined by 2 at 2:01; 3 are left at 3:00.
			assert.Equal(t, 4*time.Hour+time.Minute, time.Since(begin), name)
		})
	}
}

func TestNumbersAreUsedAgain(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(4))
		defer p.Close()
		require.NoError(t, p.Halt(2))
		require.NoError(t, p.Halt(0))
		require.NoError(t, p.Resize(3))
		assert.Equal(t, "0 idle, 1 idle, 3 idle", crew(p))
		require.NoError(t, p.Resize(5))
		assert.Equal(t, "0 idle, 1 idle, 2 idle, 3 idle, 4 idle", crew(p))
		for r := range p.Stream(t.Context(), slices.Values(hours(20))) {
			assert.Contains(t, []int{0, 1, 2, 3, 4}, r.Worker)
		}
		for _, n := range []int{-1, 5, math.MaxInt} {
			assert.ErrorIs(t, p.Halt(n), pool.ErrNoWorker)
			assert.ErrorContains(t, p.Halt(n), fmt.Sprintf("Halt(%d)", n))
			assert.ErrorIs(t, p.HaltNow(n), pool.ErrNoWorker)
			assert.ErrorContains(t, p.HaltNow(n), fmt.Sprintf("(%d)", n))
		}
		err := p.Resize(-3)
		assert.ErrorContains(t, err, "Resize(-3)")
		assert.NotErrorIs(t, err, pool.ErrClosed)
		assert.Len(t, p.Workers(), 5, "bad input changes nothing")
	})
}

func TestPauseLetsNothingStart(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2), pool.Queue(3))
		defer p.Close()
		p.Resume() // without a pause
		begin := time.Now()
		running := submit(t, p, time.Minute)
		synctest.Wait()
		p.Pause()
		p.Pause()
		assert.True(t, p.Stats().Paused)
		jobs := submitAll(t, p, hours(3)...)
		_, err := p.TrySubmit(0)
		assert.Equal(t, pool.ErrFull, err, "inputs are accepted as far as there is room")
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := p.Do(t.Context(), 0)
			assert.NoError(t, err)
			assert.GreaterOrEqual(t, time.Since(begin), time.Hour)
		})
		wg.Go(func() {
			_, err := p.Map(t.Context(), hours(2))
			assert.NoError(t, err)
			assert.GreaterOrEqual(t, time.Since(begin), 2*time.Hour)
		})
		wg.Go(func() {
			for r := range p.Stream(t.Context(), slices.Values(hours(2))) {
				assert.NoError(t, r.Err)
				assert.GreaterOrEqual(t, r.Timing.Wait, time.Hour)
			}
		})
		time.Sleep(time.Hour)
		assert.Equal(t, []time.Duration{0}, begins(begin, running), "goes on")
		assert.Equal(t, "0 idle, 1 idle", crew(p))
		assert.Equal(t, 3, p.Stats().Queued)

		p.Resume()
		synctest.Wait()
		assert.False(t, p.Stats().Paused)
		assert.Equal(t, 2, p.Stats().Busy, "one Resume ends any number of pauses")
		wg.Wait()
		for _, at := range begins(begin, jobs...) {
			assert.GreaterOrEqual(t, at, time.Hour)
		}
		// Seven hours of work, and a call that takes no time, for two workers.
		assert.LessOrEqual(t, time.Since(begin), 5*time.Hour)
	})
}

// stops is an observer that keeps when and which workers stopped.
type stops struct {
	mu sync.Mutex
	at map[int][]time.Duration
}

func newStops() (*stops, pool.Option) {
	s := &stops{at: map[int][]time.Duration{}}
	begin := time.Now()
	return s, pool.Observe(func(e pool.Event) {
		if e.Kind == pool.WorkerStopped {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.at[e.Worker] = append(s.at[e.Worker], e.Time.Sub(begin))
		}
	})
}

func (s *stops) all() map[int][]time.Duration {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.at)
}

// Idle workers stop at exactly the timeout, down to the floor, with their goroutines.
func TestIdleWorkersStopAtTheirTime(t *testing.T) {
	for keep, want := range [][]time.Duration{{61, 62, 63}, {61, 62}, {61}, nil, nil} {
		testkit.Bubble(t, func(t *testing.T) {
			before := len(ours())
			stopped, observe := newStops()
			p := newSleepers(pool.Workers(3), pool.IdleTimeout(time.Minute, keep), observe)
			submitAll(t, p, time.Second, 2*time.Second, 3*time.Second)
			for sec := time.Duration(1); sec < 70; sec++ {
				time.Sleep(time.Second)
				var at []time.Duration
				for _, times := range stopped.all() {
					require.Len(t, times, 1)
					at = append(at, times[0]/time.Second)
				}
				slices.Sort(at)
				gone := 0
				for gone < len(want) && want[gone] <= sec {
					gone++
				}
				require.Equal(t, want[:gone], append(want[:0:0], at...), "keep %d, at %d s", keep, sec)
				// One goroutine tells the observer.
				require.LessOrEqual(t, len(ours())-before, 3-gone+1, "keep %d, at %d s", keep, sec)
			}
			assert.Equal(t, "0 idle, 1 idle, 2 idle", crew(p), "they are still the pool's")
			begin := time.Now()
			_, err := p.Map(t.Context(), hours(3))
			require.NoError(t, err)
			assert.Equal(t, time.Hour, time.Since(begin), "they start again")
			require.NoError(t, p.Close())
			assert.LessOrEqual(t, len(ours()), before+1, "nothing is left")
		})
	}
}

// Work that comes at the very moment in which the worker stops is not kept waiting.
func TestWorkAtTheIdleTimeout(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newSleepers(pool.Workers(2), pool.IdleTimeout(time.Minute, 0))
		defer p.Close()
		for i := range 200 {
			var jobs []*pool.Job[time.Duration]
			begin := time.Now()
			switch i % 3 {
			case 0:
				_, err := p.Do(t.Context(), time.Second)
				require.NoError(t, err)
			case 1:
				_, err := p.Map(t.Context(), []time.Duration{time.Second, time.Second})
				require.NoError(t, err)
			default:
				jobs = submitAll(t, p, time.Second, time.Second)
				assert.Equal(t, []time.Duration{0, 0}, begins(begin, jobs...))
			}
			require.Equal(t, time.Second, time.Since(begin))
			time.Sleep(time.Minute)
		}
	})
}

func TestContextEndsThePool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "not lent"))
		p := newTasks(pool.Workers(1), pool.Context(ctx))
		running := submit(t, p, func(ctx context.Context) (int, error) {
			assert.Nil(t, ctx.Value(key{}))
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		queued := submit(t, p, give(1))
		synctest.Wait()
		cancel(errBoom)
		for _, j := range []*pool.Job[int]{running, queued} {
			_, err := j.Wait(t.Context())
			assert.ErrorIs(t, err, errBoom)
		}
		synctest.Wait()
		assert.Equal(t, result.Canceled, queued.Status())
		_, err := p.Do(t.Context(), give(1))
		assert.ErrorIs(t, err, pool.ErrClosed)
		_, err = p.TrySubmit(give(1))
		assert.ErrorIs(t, err, pool.ErrClosed)
		assert.Equal(t, pool.ErrClosed, p.Resize(3))
		assert.NoError(t, p.Close())

		late := newTasks(pool.Context(ctx))
		synctest.Wait()
		_, err = late.Do(t.Context(), give(1))
		assert.ErrorIs(t, err, pool.ErrClosed, "a context that has ended already")
		assert.NoError(t, late.Close())
	})
}

func TestControlOptionsNameWhatIsWrong(t *testing.T) {
	for name, option := range map[string]func() pool.Option{
		"Context":        func() pool.Option { return pool.Context(nil) },
		"IdleTimeout":    func() pool.Option { return pool.IdleTimeout(0, 1) },
		"IdleTimeout(1s": func() pool.Option { return pool.IdleTimeout(time.Second, -1) },
	} {
		func() {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), name) }()
			newTasks(option())
		}()
	}
}
