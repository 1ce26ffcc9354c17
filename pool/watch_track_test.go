package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
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
	"github.com/millstream-go/millstream/result"
)

// Track: all that live, and the last n that have ended, by number.
func TestTrackedJobs(t *testing.T) {
	for _, keep := range []int{0, 1, 3, 100} {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1), pool.Queue(4), pool.Track(keep))
			assert.Empty(t, p.Jobs())
			gate := make(chan struct{})
			j := fill(t, p, gate, 4)
			_, err := p.TrySubmit(give(0))
			assert.ErrorIs(t, err, pool.ErrFull)
			ids := func() (ids []uint64) {
				for _, info := range p.Jobs() {
					ids = append(ids, info.ID)
				}
				return ids
			}
			assert.Equal(t, []uint64{1, 2, 3, 4, 5}, ids(), "all live ones, and none that was refused")
			_, ok := p.Job(6)
			assert.False(t, ok, "a job that was not accepted")
			_, ok = p.Job(0)
			assert.False(t, ok)
			got, ok := p.Job(3)
			require.True(t, ok)
			assert.Same(t, j[1], got)

			// It ends by being canceled: that counts as one of the last.
			j[1].Cancel(nil)
			close(gate)
			synctest.Wait()
			ended := []uint64{3, 1, 2, 4, 5} // in the order of their ends
			want := slices.Sorted(slices.Values(ended[max(0, len(ended)-keep):]))
			assert.Equal(t, want, ids(), "keep %d", keep)
			for id := range uint64(7) {
				got, ok := p.Job(id)
				assert.Equal(t, slices.Contains(want, id), ok, "job %d", id)
				assert.Equal(t, ok, got != nil, "job %d", id)
			}
			assert.NoError(t, p.Close())
			assert.Equal(t, want, ids(), "also after the end of the pool")
		})
	}
}

// "Without Track it returns nil."
func TestJobsAreNotTrackedByDefault(t *testing.T) {
	p := newTasks()
	j := submit(t, p, give(1))
	assert.Nil(t, p.Jobs())
	got, ok := p.Job(j.ID())
	assert.False(t, ok)
	assert.Nil(t, got)
	closing(t, p)
}

// Each field of JobInfo, while the job waits, runs, pauses and has ended; the same from
// Job.Info, "also in a pool without Track".
func TestJobInfo(t *testing.T) {
	for name, watched := range map[string][]pool.Option{
		"tracked":  {pool.Track(10)},
		"observed": {pool.Observe(func(pool.Event) {})},
		"neither":  nil,
	} {
		t.Run(name, func(t *testing.T) { testkit.Bubble(t, func(t *testing.T) { lookAtJobs(t, watched) }) })
	}
}

func lookAtJobs(t *testing.T, watched []pool.Option) {
	t.Helper()
	p := newTasks(append(watched, pool.Workers(2), pool.Capacity(3),
		pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Minute, Steady: 1}))...)
	var jobs []*pool.Job[int]
	look := func(want ...pool.JobInfo) {
		t.Helper()
		if tracked := p.Jobs(); tracked != nil {
			assert.Equal(t, want, tracked)
		}
		for i, j := range jobs {
			assert.Equal(t, want[i], j.Info())
		}
	}
	add := func(do task, opts ...pool.JobOption) *pool.Job[int] {
		j, err := p.Submit(t.Context(), do, opts...)
		require.NoError(t, err)
		jobs = append(jobs, j)
		return j
	}
	begin := time.Now()
	add(flaky(5, time.Second), pool.Key("k"), pool.Weight(2))
	synctest.Wait()
	second := add(give(1), pool.Key("k"), pool.Priority(-7), pool.After(time.Second))
	plain := add(flaky(1, time.Hour))
	synctest.Wait()
	first := pool.JobInfo{ID: 1, Status: result.Running, Attempt: 1, Key: "k", Weight: 2, Timing: result.Timing{Queued: begin}}
	other := pool.JobInfo{ID: 2, Worker: -1, Key: "k", Priority: -7, Timing: result.Timing{Queued: begin}}
	bare := pool.JobInfo{ID: 3, Status: result.Running, Attempt: 1, Worker: 1, Timing: result.Timing{Queued: begin}}
	look(first, other, bare)

	time.Sleep(2 * time.Second) // the call has failed, and the next one is to come
	first.Timing.Run, other.Timing.Wait, bare.Timing.Run = 2*time.Second, 2*time.Second, 2*time.Second
	look(first, other, bare)

	time.Sleep(59*time.Second + time.Second/2) // within the second call
	first.Attempt = 2
	first.Timing.Run, other.Timing.Wait, bare.Timing.Run = 61500*time.Millisecond, 61500*time.Millisecond, 61500*time.Millisecond
	look(first, other, bare)

	second.Cancel(errBoom)
	time.Sleep(3 * time.Hour)
	first.Status, first.Timing.Run, first.Err = result.Failed, 62*time.Second, errBoom
	_, other.Err = second.Wait(t.Context())
	other.Status = result.Canceled
	bare.Status, bare.Attempt, bare.Timing.Run = result.Succeeded, 2, 2*time.Hour+time.Minute
	look(first, other, bare)
	r, _ := plain.Result()
	assert.Equal(t, r.Timing, plain.Info().Timing)

	p.Pause()
	third := submit(t, p, heed)
	third.Cancel(errBoom)
	assert.Equal(t, result.Canceled, third.Info().Status, "it never started")
	assert.Equal(t, -1, third.Info().Worker)
	assert.NoError(t, p.Close())
}

// "It may be called at any time", from any goroutine; and what it says fits together.
func TestJobInfoFitsTogetherUnderLoad(t *testing.T) {
	for name, opts := range map[string][]pool.Option{
		"tracked": {pool.Track(10), pool.Workers(2)},
		"neither": {pool.Workers(2)},
	} {
		t.Run(name, func(t *testing.T) {
			p := pool.New(same, opts...)
			for i := range many(10_000) {
				j := submit(t, p, i)
				for ended := false; !ended; {
					info := j.Info()
					ended = info.Status.Terminal()
					if info.Status == result.Queued || ended {
						assert.Equal(t, ended, info.Worker >= 0, "%v", info)
					}
					assert.Equal(t, info.Worker >= 0, info.Attempt == 1, "%v", info)
				}
			}
			closing(t, p)
		})
	}
}

// asJSON returns v as JSON.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// "MarshalJSON returns the job as a JSON object with lower-case names, the error and the
// key as their texts and durations in seconds."
func TestJobInfoAsJSON(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 500, time.UTC)
	assert.JSONEq(t, `{
		"id": 7, "status": "failed", "attempt": 2, "worker": 0, "err": "boom",
		"queued": "2026-05-04T03:02:01.0000005Z", "wait_seconds": 1.5, "run_seconds": 60,
		"key": "42", "priority": -3, "weight": 5
	}`, asJSON(t, pool.JobInfo{
		ID: 7, Status: result.Failed, Attempt: 2, Err: errBoom, Key: 42, Priority: -3, Weight: 5,
		Timing: result.Timing{Queued: at, Wait: 1500 * time.Millisecond, Run: time.Minute},
	}))
	assert.JSONEq(t, `{"id": 1, "status": "queued", "attempt": 0, "wait_seconds": 0, "run_seconds": 0}`,
		asJSON(t, pool.JobInfo{ID: 1, Worker: -1}), "what is not set is left out")
	assert.Contains(t, asJSON(t, pool.JobInfo{Err: errors.New("")}), `"err":""`, "an error without a text is one")
	assert.Contains(t, asJSON(t, pool.JobInfo{Key: make(chan int)}), `"key":"0x`, "any key has a text")
}

// "MarshalJSON returns the worker as a JSON object with lower-case names."
func TestWorkerInfoAsJSON(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	assert.JSONEq(t, `[
		{"id": 0, "state": "busy", "job": 7, "since": "2026-05-04T03:02:01Z", "done": 9},
		{"id": 1, "state": "idle", "done": 0}
	]`, asJSON(t, []pool.WorkerInfo{{State: pool.WorkerBusy, Job: 7, Since: at, Done: 9}, {ID: 1}}))
	assert.JSONEq(t, `["idle", "busy", "halting"]`, asJSON(t, []pool.WorkerState{pool.WorkerIdle, pool.WorkerBusy, pool.WorkerHalting}))
	_, err := json.Marshal(pool.WorkerState(3))
	assert.ErrorContains(t, err, "pool: cannot marshal unknown worker state 3")
}

// Who looks at jobs while they come and go sees whole ones, by number, that do not
// go back.
func TestTrackedJobsAreSeenWhole(t *testing.T) {
	p := newTasks(pool.Workers(2), pool.Queue(8), pool.Track(4), pool.WhenFull(pool.DropOldest))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			was := map[uint64]result.Status{}
			for {
				infos := p.Jobs()
				for i, info := range infos {
					assert.True(t, i == 0 || infos[i-1].ID < info.ID, "%v", infos)
					assert.GreaterOrEqual(t, info.Status, was[info.ID], "job %d", info.ID)
					was[info.ID] = info.Status
					assert.GreaterOrEqual(t, info.Timing.Wait, time.Duration(0))
					assert.GreaterOrEqual(t, info.Timing.Run, time.Duration(0))
					if info.Status.Terminal() {
						assert.Equal(t, info.Status == result.Succeeded, info.Err == nil, "%+v", info)
					}
					if j, ok := p.Job(info.ID); ok {
						assert.Equal(t, info.ID, j.ID())
						assert.GreaterOrEqual(t, j.Status(), info.Status)
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range 2000 {
		j := submit(t, p, give(i))
		got, ok := p.Job(j.ID())
		assert.True(t, !ok || got == j)
		if i%7 == 0 {
			j.Cancel(nil)
		}
	}
	close(stop)
	wg.Wait()
	closing(t, p)
	assert.Len(t, p.Jobs(), 4)
}

// All numbers of a pool whose history is known.
func TestStatsOfAKnownHistory(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2), pool.Queue(3), pool.Name("mill"), pool.WhenFull(pool.DropOldest),
			pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Second, Steady: 1}))
		assert.Equal(t, pool.Stats{Name: "mill", Workers: 2, Idle: 2, Capacity: 3}, p.Stats())
		submit(t, p, flaky(1, time.Second)) // 3 s
		submit(t, p, flaky(2, time.Second)) // 3 s, fails
		synctest.Wait()
		dropped := submit(t, p, give(1))
		canceled := submit(t, p, give(1))
		submit(t, p, func(context.Context) (int, error) { panic(1) }) // waits for 3 s
		submit(t, p, flaky(0, 5*time.Second))                         // waits for 3 s
		canceled.Cancel(nil)
		_, err := p.Submit(t.Context(), give(0), pool.After(time.Hour))
		assert.NoError(t, err)
		_, err = dropped.Wait(t.Context())
		assert.ErrorIs(t, err, pool.ErrDropped)
		want := pool.Stats{Name: "mill", Workers: 2, Busy: 2, Capacity: 3, Queued: 3, Running: 2, Accepted: 7, Dropped: 1, Canceled: 1}
		assert.Equal(t, want, p.Stats())

		time.Sleep(10 * time.Second)
		p.Pause()
		assert.NoError(t, p.Resize(4))
		assert.Equal(t, pool.Stats{
			Name: "mill", Paused: true, Workers: 4, Idle: 4, Capacity: 3, Queued: 1,
			Accepted: 7, Succeeded: 2, Failed: 1, Panicked: 1, Canceled: 1, Dropped: 1, Retried: 2,
			Wait: result.Quantiles{P50: 0, P90: 3 * time.Second, P99: 3 * time.Second, Max: 3 * time.Second},
			Run:  result.Quantiles{P50: 3 * time.Second, P90: 5 * time.Second, P99: 5 * time.Second, Max: 5 * time.Second},
		}, roundQuantiles(t, p.Stats()))
		assert.NoError(t, p.Close())
		assert.EqualValues(t, 2, p.Stats().Canceled)
	})
}

// roundQuantiles takes away what quantiles may be off by.
func roundQuantiles(t *testing.T, s pool.Stats) pool.Stats {
	t.Helper()
	for _, d := range []*time.Duration{&s.Wait.P50, &s.Wait.P90, &s.Wait.P99, &s.Run.P50, &s.Run.P90, &s.Run.P99} {
		near := d.Round(time.Second)
		assert.InEpsilon(t, near+1, *d+1, 0.02)
		*d = near
	}
	return s
}

// "At one instant: Accepted is the sum."
func TestStatsAreConsistentUnderLoad(t *testing.T) {
	const workers = 3
	p := newTasks(pool.Workers(workers), pool.Queue(16), pool.WhenFull(pool.DropOldest),
		pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Microsecond}))
	tasks := []task{
		give(1),
		func(context.Context) (int, error) { return 0, errBoom },
		func(context.Context) (int, error) { panic(errBoom) },
		func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
	}
	var load, watch sync.WaitGroup
	var looks, accepted atomic.Int64
	stop := make(chan struct{})
	for range 2 {
		watch.Go(func() {
			var was pool.Stats
			for {
				looks.Add(1)
				s := p.Stats()
				ended := s.Succeeded + s.Failed + s.Panicked + s.Canceled + s.Dropped
				assert.Equal(t, s.Accepted, ended+uint64(s.Queued)+uint64(s.Running), "%v", s)
				assert.GreaterOrEqual(t, min(s.Queued, s.Running, s.Busy, s.Idle), 0, "%v", s)
				assert.LessOrEqual(t, max(s.Running, s.Busy), workers, "%v", s)
				assert.LessOrEqual(t, s.Running, s.Busy, "a job that runs keeps a worker busy: %v", s)
				assert.Equal(t, workers, s.Busy+s.Idle, "%v", s)
				assert.LessOrEqual(t, s.Queued, 16+64*workers, "%v", s)
				assert.GreaterOrEqual(t, s.Accepted, was.Accepted)
				assert.GreaterOrEqual(t, ended, was.Succeeded+was.Failed+was.Panicked+was.Canceled+was.Dropped)
				was = s
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 3 {
		load.Go(func() {
			for n := 0; n < 1000 || looks.Load() < 200; n++ {
				j := submit(t, p, tasks[rand.IntN(len(tasks))])
				accepted.Add(1)
				switch rand.IntN(10) {
				case 0:
					j.Cancel(nil)
				case 1:
					_, _ = p.Do(t.Context(), give(1))
				}
			}
		})
	}
	load.Wait()
	close(stop)
	watch.Wait()
	closing(t, p)
	s := p.Stats()
	assert.EqualValues(t, accepted.Load(), s.Accepted)
	assert.EqualValues(t, accepted.Load(), s.Succeeded+s.Failed+s.Panicked+s.Canceled+s.Dropped)
}

// "A function that returns Stats makes an expvar.Var."
func TestStatsAreAnExpvar(t *testing.T) {
	p := newTasks(pool.Workers(1), pool.Name("a \"name\" <with> \x00 bytes \xff"))
	_, err := submit(t, p, give(1)).Wait(t.Context())
	assert.NoError(t, err)
	var _ expvar.Var = pool.Stats{}
	for name, v := range map[string]expvar.Var{
		"by value": p.Stats(),
		"as Func":  expvar.Func(func() any { return p.Stats() }),
	} {
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(v.String()), &got), "%s: %s", name, v)
		assert.NotEmpty(t, got, name)
	}
	closing(t, p)
}
