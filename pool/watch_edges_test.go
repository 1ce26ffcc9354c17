package pool_test

import (
	"context"
	"expvar"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// "Of one worker, WorkerStarted comes first and WorkerStopped last", also if its call
// ends just as it is halted.
func TestWorkerIsHaltedBeforeItStops(t *testing.T) {
	for range 3000 {
		var d diary
		p := newTasks(pool.Workers(1), pool.Observe(d.note))
		gate, started := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = p.Do(t.Context(), func(context.Context) (int, error) {
				close(started)
				<-gate
				return 0, nil
			})
		})
		<-started
		wg.Go(func() { close(gate) })
		assert.NoError(t, p.Halt(0))
		wg.Wait()
		assert.NoError(t, p.Close())
		var told []string
		for _, e := range d.events {
			told = append(told, e.Kind.String())
		}
		if !assert.Equal(t, "worker stopped", told[len(told)-1], "%v", told) {
			return
		}
	}
}

// "The job starts before those in the queue."
func TestCallerRunsAheadOfTheQueue(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(2), pool.WhenFull(pool.CallerRuns))
		var order []string
		note := func(s string) task {
			return func(context.Context) (int, error) {
				order = append(order, s)
				return 0, nil
			}
		}
		gate := make(chan struct{})
		submit(t, p, block(gate))
		synctest.Wait()
		submit(t, p, note("first"))
		submit(t, p, note("second"))
		go p.Submit(t.Context(), note("third")) //nolint:errcheck // noted inside
		synctest.Wait()
		close(gate)
		synctest.Wait()
		assert.Equal(t, []string{"third", "first", "second"}, order)
		assert.NoError(t, p.Close())
	})
}

// Stats.Retried is "calls that were repeated". One whose pause was cut was not.
func TestRetryThatWasNotMadeIsNotCounted(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Hour, Steady: 1}))
		j := submit(t, p, flaky(9, 0))
		synctest.Wait()
		j.Cancel(nil)
		synctest.Wait()
		r, ok := j.Result()
		assert.True(t, ok)
		assert.Equal(t, 1, r.Attempt)
		assert.Zero(t, p.Stats().Retried)
		assert.NoError(t, p.Close())
	})
}

// QueueFull is told once for each time that the queue becomes full.
func TestDropOldestFindsTheQueueFull(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var d diary
		p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(pool.DropOldest), pool.Observe(d.note))
		gate := make(chan struct{})
		fill(t, p, gate, 1)
		submit(t, p, give(1))
		submit(t, p, give(1))
		close(gate)
		assert.NoError(t, p.Close())
		assert.Equal(t, 1, d.count(pool.QueueFull))
	})
}

// "... to publish one that is always current: expvar.Publish(...)".
func TestExpvarFuncGivesWhatStringDoes(t *testing.T) {
	p := newTasks(pool.Workers(1), pool.Name("mill"))
	closing(t, p)
	s := p.Stats()
	assert.JSONEq(t, s.String(), expvar.Func(func() any { return s }).String())
}

// "DropOldest takes the job that was accepted first out of the queue", also among jobs
// that came at the same reading of the clock, which are many where it is coarse.
func TestDropOldestAmongEquallyOld(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(2), pool.WhenFull(pool.DropOldest))
		gate := make(chan struct{})
		submit(t, p, block(gate))
		synctest.Wait()
		first, err := p.Submit(t.Context(), give(1), pool.Priority(1))
		assert.NoError(t, err)
		second := submit(t, p, give(2))
		submit(t, p, give(3))
		assert.Equal(t, result.Canceled, first.Status())
		assert.Equal(t, result.Queued, second.Status())
		close(gate)
		assert.NoError(t, p.Close())
	})
}

// "Nothing of the pool runs after Close has returned", and it waits for the observer to
// have seen everything: also that a worker stops which IdleTimeout was just about to
// stop.
func TestWorkerStopsBeforeCloseReturns(t *testing.T) {
	for range 5000 {
		var d diary
		p := newTasks(pool.Workers(2), pool.IdleTimeout(time.Microsecond, 0), pool.Observe(d.note))
		for range 3 {
			_, err := submit(t, p, give(1)).Wait(t.Context())
			assert.NoError(t, err)
		}
		assert.NoError(t, p.Close())
		if !assert.Equal(t, d.count(pool.WorkerStarted), d.count(pool.WorkerStopped)) {
			return
		}
	}
}

// A job that is dropped just as it is canceled ends as one or the other: error, count
// and event agree.
func TestJobIsDroppedOrCanceled(t *testing.T) {
	var d diary
	p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(pool.DropOldest), pool.Observe(d.note))
	p.Pause()
	for range 10_000 {
		old := submit(t, p, give(1))
		var wg sync.WaitGroup
		wg.Go(func() { old.Cancel(errBoom) })
		submit(t, p, give(1)).Cancel(nil)
		wg.Wait()
	}
	assert.NoError(t, p.Close())
	for _, e := range d.events {
		if e.Kind == pool.JobDropped && !assert.ErrorIs(t, e.Err, pool.ErrDropped) {
			return
		}
	}
}
