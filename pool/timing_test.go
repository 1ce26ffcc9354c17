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

// "Each job and each result of a Stream records when it was accepted, how long it
// waited and how long its call ran": exactly, in the bubble's time.
func TestTimingOfJobs(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(2))
		defer p.Close()
		begin := time.Now()
		run := []time.Duration{4e9, 1e9, 2e9, 0, 5e9, 1e9}
		var jobs []*pool.Job[time.Duration]
		for _, d := range run {
			jobs = append(jobs, submit(t, p, d))
		}
		wait := []time.Duration{0, 0, 1e9, 3e9, 3e9, 4e9}
		for i, j := range jobs {
			_, err := j.Wait(t.Context())
			require.NoError(t, err)
			r, _ := j.Result()
			assert.True(t, begin.Equal(r.Timing.Queued), "job %d queued at %v", i, r.Timing.Queued)
			assert.Equal(t, wait[i], r.Timing.Wait, "job %d", i)
			assert.Equal(t, run[i], r.Timing.Run, "job %d", i)
		}
		time.Sleep(time.Hour)
		queued := time.Now()
		j := submit(t, p, time.Second)
		<-j.Done()
		r, _ := j.Result()
		assert.True(t, queued.Equal(r.Timing.Queued))
		assert.Zero(t, r.Timing.Wait, "a worker that was idle starts at once")
		assert.Equal(t, time.Second, r.Timing.Run)
	})
}

// However a call ends, and whoever held its worker before, its times are its own.
func TestTimingOfEveryEnd(t *testing.T) {
	after := func(do task) task {
		return func(ctx context.Context) (int, error) {
			time.Sleep(time.Second)
			return do(ctx)
		}
	}
	check := func(t *testing.T, place int, tm result.Timing, name string) {
		t.Helper()
		assert.Equal(t, time.Duration(place)*time.Second, tm.Wait, name)
		assert.Equal(t, time.Second, tm.Run, name)
	}
	t.Run("jobs", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1))
			defer p.Close()
			var jobs []*pool.Job[int]
			for _, e := range endings {
				jobs = append(jobs, submit(t, p, after(e.do)))
			}
			for i, j := range jobs {
				<-j.Done()
				r, _ := j.Result()
				check(t, i, r.Timing, endings[i].name)
			}
		})
	})
	t.Run("stream", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(1))
			defer p.Close()
			var ins []task
			for _, e := range endings {
				ins = append(ins, after(e.do))
			}
			for r := range p.Stream(t.Context(), slices.Values(ins)) {
				check(t, r.Index, r.Timing, endings[r.Index].name)
			}
		})
	})
}

func TestTimingOfStream(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(2))
		defer p.Close()
		begin := time.Now()
		source := func(yield func(time.Duration) bool) {
			for _, d := range []time.Duration{4e9, 1e9, 2e9} {
				if !yield(d) {
					return
				}
			}
			time.Sleep(10 * time.Second)
			yield(3e9)
		}
		queued := []time.Duration{0, 0, 0, 10e9}
		wait := []time.Duration{0, 0, 1e9, 0}
		for r := range p.Stream(t.Context(), source) {
			assert.Equal(t, queued[r.Index], r.Timing.Queued.Sub(begin), "%d", r.Index)
			assert.Equal(t, wait[r.Index], r.Timing.Wait, "%d", r.Index)
			assert.Equal(t, r.Value, r.Timing.Run, "%d", r.Index)
			time.Sleep(30 * time.Second) // what the loop does is no part of it
		}
	})
}

// An input that never started has waited until it was given up.
func TestTimingOfCanceledInputsOfStream(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1))
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		for r := range p.Stream(ctx, slices.Values([]time.Duration{time.Hour, 1, 1})) {
			assert.True(t, begin.Equal(r.Timing.Queued))
			assert.Equal(t, time.Minute, r.Timing.Total(), "%d", r.Index)
			if r.Attempt == 0 {
				assert.Zero(t, r.Timing.Run)
			}
		}
	})
}

// A worker that is busy for others counts as waiting.
func TestTimingWhileOthersHoldTheWorkers(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(1))
		defer p.Close()
		go p.Do(t.Context(), 5*time.Second) //nolint:errcheck // holds the worker
		synctest.Wait()
		j := submit(t, p, time.Second)
		_, err := j.Wait(t.Context())
		require.NoError(t, err)
		r, _ := j.Result()
		assert.Equal(t, 5*time.Second, r.Timing.Wait)
		assert.Equal(t, time.Second, r.Timing.Run)
	})
}

// A job cannot have started before it was accepted: a worker that has just ended
// a call finds one that came in since.
func TestWaitIsNeverNegative(t *testing.T) {
	p := pool.New(func(_ context.Context, v int) (int, error) { return v, nil }, pool.Workers(1))
	defer closing(t, p)
	var negative atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 5000 {
				j, err := p.Submit(t.Context(), i)
				if !assert.NoError(t, err) {
					return
				}
				for !j.Status().Terminal() {
					runtime.Gosched() // comes back sooner than by Wait
				}
				if r, _ := j.Result(); r.Timing.Wait < 0 {
					negative.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, negative.Load(), "of 20000 jobs")
}
