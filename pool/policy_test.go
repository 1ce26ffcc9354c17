package pool_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
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

var policies = []pool.Policy{pool.Block, pool.Reject, pool.DropOldest, pool.CallerRuns}

// "TrySubmit rejects, whatever is set here", and whatever the policy, what cannot go
// in changes nothing.
func TestWhatIsNotTakenChangesNothing(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1), pool.Queue(2), pool.WhenFull(policy), pool.Track(10))
				gate := make(chan struct{})
				jobs := fill(t, p, gate, 2)
				before := p.Stats()
				refused := func(want error) func(j *pool.Job[int], err error) {
					return func(j *pool.Job[int], err error) {
						t.Helper()
						assert.Nil(t, j)
						assert.ErrorIs(t, err, want)
					}
				}
				ended, end := context.WithCancelCause(t.Context())
				end(errBoom)
				refused(pool.ErrFull)(p.TrySubmit(give(1)))
				refused(pool.ErrFull)(p.TrySubmit(give(1), pool.Priority(1)))
				refused(errBoom)(p.Submit(ended, give(1)))
				j, err := p.Submit(t.Context(), give(1), pool.Weight(1))
				assert.Nil(t, j)
				assert.ErrorContains(t, err, "Weight")
				assert.Equal(t, before, p.Stats())
				assert.Len(t, p.Jobs(), 3)

				close(gate)
				assert.NoError(t, p.Shutdown(t.Context()))
				refused(pool.ErrClosed)(p.Submit(t.Context(), give(1)))
				refused(pool.ErrClosed)(p.TrySubmit(give(1)))
				for _, j := range jobs {
					assert.Equal(t, result.Succeeded, j.Status())
				}
			})
		})
	}
}

func TestRejectRefusesAtOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var d diary
		p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(pool.Reject), pool.Observe(d.note))
		gate := make(chan struct{})
		fill(t, p, gate, 1)
		_, err := p.Submit(t.Context(), give(1))
		assert.ErrorIs(t, err, pool.ErrFull)
		close(gate)
		synctest.Wait()
		submit(t, p, give(1)) // there is room again
		synctest.Wait()
		// It does not wait, so inside a call it has no other answer than outside.
		_, err = submit(t, p, func(ctx context.Context) (int, error) {
			for range 100 {
				if _, err := p.Submit(ctx, give(1)); err != nil {
					return 0, err
				}
			}
			return 0, nil
		}).Wait(t.Context())
		assert.ErrorIs(t, err, pool.ErrFull)
		assert.NoError(t, p.Close())
		assert.Equal(t, 2, d.count(pool.QueueFull), "once each time that it became full")
	})
}

// "DropOldest takes the job that was accepted first out of the queue: it ends with
// ErrDropped and never starts. The new job goes in."
func TestDropOldest(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var d diary
		p := newTasks(pool.Workers(1), pool.Queue(5), pool.WhenFull(pool.DropOldest), pool.Observe(d.note),
			pool.Capacity(2), pool.Track(100))
		gate, ctx := make(chan struct{}), t.Context()
		hold, err := p.Submit(ctx, block(gate), pool.Key(1), pool.Weight(1))
		require.NoError(t, err)
		synctest.Wait()
		var jobs []*pool.Job[int]
		for i, opts := range [][]pool.JobOption{
			{pool.Key(1)},           // which a running job holds back
			{pool.After(time.Hour)}, // which is to wait
			{pool.Weight(2)},        // for which there is no room
			{pool.Priority(100)},    // next in line
			nil,
		} {
			j, err := p.Submit(ctx, give(i), opts...)
			require.NoError(t, err)
			jobs = append(jobs, j)
			time.Sleep(time.Microsecond) // else they are equally old
		}
		for i, old := range jobs {
			assert.Equal(t, result.Queued, old.Status(), "job %d", i)
			woken := make(chan error, 1)
			go func() {
				_, err := old.Wait(ctx)
				woken <- err
			}()
			synctest.Wait()
			fresh := submit(t, p, give(10+i))
			assert.NotEqual(t, old, fresh)
			synctest.Wait()
			require.Len(t, woken, 1, "job %d is not dropped", i)
			err := <-woken
			assert.ErrorIs(t, err, pool.ErrDropped, "job %d", i)
			assert.ErrorIs(t, err, context.Canceled, "job %d", i)
			r, ok := old.Result()
			assert.True(t, ok && isDone(old))
			assert.Equal(t, result.Canceled, r.Status())
			assert.Zero(t, r.Attempt)
			assert.Equal(t, -1, r.Worker)
			synctest.Wait()
			es := d.of(old.ID())
			assert.Equal(t, pool.Event{Kind: pool.JobDropped, Job: old.ID(), Worker: -1, Status: result.Canceled, Err: r.Err}, es[len(es)-1])
		}
		s := p.Stats()
		assert.EqualValues(t, 5, s.Dropped)
		assert.Zero(t, s.Canceled, "dropped ones are not counted in it")
		assert.Equal(t, 5, s.Queued)
		close(gate)
		assert.NoError(t, p.Shutdown(ctx))
		d.check(t)
		assert.Equal(t, result.Succeeded, hold.Status())
		assert.EqualValues(t, 6, p.Stats().Succeeded)
	})
}

// What a dropped job held back goes on.
func TestDroppedJobLetsItsKeyGo(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Queue(2), pool.WhenFull(pool.DropOldest))
		gate := make(chan struct{})
		submit(t, p, block(gate))
		synctest.Wait()
		_, err := p.Submit(t.Context(), give(1), pool.Key("k"))
		assert.NoError(t, err)
		second, err := p.Submit(t.Context(), give(2), pool.Key("k"))
		assert.NoError(t, err)
		submit(t, p, give(3))
		close(gate)
		v, err := second.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 2, v)
		assert.NoError(t, p.Close())
	})
}

// Nothing is lost or ends twice when jobs are dropped, canceled and waited for at once,
// also inside calls.
func TestDropOldestRaces(t *testing.T) {
	checkLeaks(t)
	var started atomic.Int64
	run := func(context.Context) (int, error) { started.Add(1); return 1, nil }
	p := newTasks(pool.Workers(2), pool.Queue(2), pool.WhenFull(pool.DropOldest))
	var wg sync.WaitGroup
	var dropped, ran, canceled atomic.Int64
	account := func(ctx context.Context, j *pool.Job[int]) {
		_, err := j.Wait(ctx)
		switch {
		case err == nil:
			ran.Add(1)
		case errors.Is(err, pool.ErrDropped):
			dropped.Add(1)
		case errors.Is(err, errBoom):
			canceled.Add(1)
		default:
			assert.NoError(t, err)
		}
	}
	for i := range 6 {
		wg.Go(func() {
			for range 300 {
				switch i % 3 {
				case 0:
					account(t.Context(), submit(t, p, run))
				case 1:
					j := submit(t, p, run)
					j.Cancel(errBoom)
					account(t.Context(), j)
				case 2:
					_, _ = p.Do(t.Context(), func(ctx context.Context) (int, error) {
						j, err := p.Submit(ctx, run)
						assert.NoError(t, err)
						account(ctx, j) // runs it, if it still waits
						return 0, nil
					})
				}
			}
		})
	}
	wg.Wait()
	closing(t, p)
	s := p.Stats()
	assert.EqualValues(t, 1800, dropped.Load()+ran.Load()+canceled.Load())
	assert.EqualValues(t, dropped.Load()+canceled.Load(), s.Dropped+s.Canceled)
	assert.Equal(t, ran.Load(), started.Load(), "what ended otherwise never started")
}

// "CallerRuns runs the job on the caller's own goroutine, as soon as fewer calls are
// under way than the pool has workers; Submit returns when the job has ended."
func TestCallerRuns(t *testing.T) {
	type key struct{}
	for name, tt := range map[string]struct {
		do       task
		status   result.Status
		returned bool
	}{
		"value":  {give(7), result.Succeeded, true},
		"error":  {func(context.Context) (int, error) { return 0, errBoom }, result.Failed, true},
		"panic":  {func(context.Context) (int, error) { panic(errBoom) }, result.Panicked, true},
		"Goexit": {func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, result.Failed, false},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(pool.CallerRuns), pool.Track(9))
				gate := make(chan struct{})
				fill(t, p, gate, 1)
				var got *pool.Job[int]
				var err error
				begin := time.Now()
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "lent"))
				defer cancel()
				go func() {
					time.Sleep(time.Second)
					assert.Len(t, p.Jobs(), 2, "it is not accepted before it can run")
					close(gate)
				}()
				returned := onItsOwn(func() {
					got, err = p.Submit(ctx, func(ctx context.Context) (int, error) {
						cancel() // the job does not depend on it any more
						assert.NoError(t, ctx.Err())
						assert.Equal(t, "lent", ctx.Value(key{}))
						time.Sleep(time.Minute)
						return tt.do(ctx)
					})
				})
				assert.Equal(t, tt.returned, returned)
				assert.Equal(t, time.Minute+time.Second, time.Since(begin))
				id := p.Jobs()[len(p.Jobs())-1].ID
				job, ok := p.Job(id)
				require.True(t, ok)
				if returned {
					assert.NoError(t, err, "Submit took it")
					assert.Same(t, got, job)
				}
				r, ok := job.Result()
				assert.True(t, ok)
				assert.Equal(t, tt.status, r.Status())
				assert.Equal(t, 1, r.Attempt)
				assert.Equal(t, time.Minute, r.Timing.Run)

				v, err := p.Do(t.Context(), give(1))
				assert.NoError(t, err)
				assert.Equal(t, 1, v, "the worker is free again")
				assert.NoError(t, p.Close())
				assert.EqualValues(t, 3, p.Stats().Accepted)
			})
		})
	}
}

// A caller that waits for its turn to run the job gives up like any other.
func TestWaitingForAFullQueueEnds(t *testing.T) {
	for _, policy := range []pool.Policy{pool.Block, pool.CallerRuns} {
		for _, opts := range [][]pool.JobOption{nil, {pool.Priority(1)}} {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(policy), pool.Track(9))
				gate := make(chan struct{})
				fill(t, p, gate, 1)
				ctx, cancel := context.WithCancelCause(t.Context())
				errs := make(chan error, 2)
				wait := func(ctx context.Context) {
					_, err := p.Submit(ctx, give(1), opts...)
					errs <- err
				}
				go wait(ctx)
				synctest.Wait()
				assert.Empty(t, errs)
				cancel(errBoom)
				assert.ErrorIs(t, <-errs, errBoom)
				go wait(t.Context())
				synctest.Wait()
				assert.Len(t, p.Jobs(), 2, "what waits for room is no job yet")
				go p.Close() //nolint:errcheck // always nil
				assert.ErrorIs(t, <-errs, pool.ErrClosed)
				close(gate)
				assert.NoError(t, p.Close())
				assert.EqualValues(t, 2, p.Stats().Accepted)
			})
		}
	}
}

// Inside a call nobody waits for room: each policy has its answer.
func TestFullQueueInsideACall(t *testing.T) {
	for policy, want := range map[pool.Policy]error{
		pool.Block: pool.ErrWouldDeadlock, pool.Reject: pool.ErrFull, pool.DropOldest: nil, pool.CallerRuns: nil,
	} {
		testkit.Bubble(t, func(t *testing.T) {
			var first, second *pool.Job[int]
			p := newTasks(pool.Workers(1), pool.Queue(1), pool.WhenFull(policy))
			outer := submit(t, p, func(ctx context.Context) (int, error) {
				first, _ = p.Submit(ctx, give(1))
				var err error
				second, err = p.Submit(ctx, func(ctx context.Context) (int, error) { return p.Do(ctx, give(2)) })
				assert.Equal(t, policy == pool.CallerRuns, second != nil && isDone(second))
				assert.Equal(t, policy == pool.DropOldest, isDone(first))
				if policy == pool.CallerRuns {
					_, err := p.Submit(ctx, give(1), pool.Priority(1))
					assert.ErrorIs(t, err, pool.ErrWouldDeadlock, "with options it is to wait for room")
				}
				return 0, err
			})
			_, err := outer.Wait(t.Context())
			assert.ErrorIs(t, err, want, policy.String())
			assert.NoError(t, p.Shutdown(t.Context()))
			if want == nil {
				v, err := second.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 2, v)
			}
		})
	}
}

// Whatever comes together, each job that was taken ends, and Close leaves nothing.
func TestPoliciesRaceWithClose(t *testing.T) {
	checkLeaks(t)
	for _, policy := range policies {
		for range 20 {
			p := newTasks(pool.Workers(2), pool.Queue(1), pool.WhenFull(policy), pool.Track(2))
			var wg sync.WaitGroup
			var taken atomic.Uint64
			for range 4 {
				wg.Go(func() {
					for {
						j, err := p.Submit(context.Background(), give(1))
						if errors.Is(err, pool.ErrFull) {
							continue
						}
						if err != nil {
							assert.ErrorIs(t, err, pool.ErrClosed)
							return
						}
						taken.Add(1)
						_, err = j.Wait(context.Background())
						assert.True(t, err == nil || errors.Is(err, pool.ErrClosed) || errors.Is(err, pool.ErrDropped), "%v", err)
					}
				})
			}
			for taken.Load() < 50 {
				runtime.Gosched()
			}
			assert.NoError(t, p.Close())
			wg.Wait()
			s := p.Stats()
			assert.Equal(t, taken.Load(), s.Accepted)
			assert.Equal(t, s.Accepted, s.Succeeded+s.Canceled+s.Dropped)
		}
	}
}

func TestBadPoliciesPanic(t *testing.T) {
	with := func(opts ...pool.Option) func() { return func() { pool.New(same, opts...) } }
	retry := func(r pool.RetryPolicy) func() { return with(pool.Retry(r)) }
	quiet := func(pool.Event) {}
	for _, tt := range []struct {
		names []string
		make  func()
	}{
		{[]string{"Observe", "nil"}, with(pool.Observe(nil))},
		{[]string{"Observe", "twice"}, with(pool.Observe(quiet), pool.Observe(pool.LogTo(slog.Default())))},
		{[]string{"LogTo", "nil"}, func() { pool.LogTo(nil) }},
		{[]string{"Track(-1)"}, with(pool.Track(-1))},
		{[]string{"Track", "twice"}, with(pool.Track(0), pool.Track(1))},
		{[]string{"Name", "empty"}, with(pool.Name(""))},
		{[]string{"Name", "twice"}, with(pool.Name("a"), pool.Name("b"))},
		{[]string{"WhenFull", "99"}, with(pool.WhenFull(99))},
		{[]string{"WhenFull", "twice"}, with(pool.WhenFull(pool.Block), pool.WhenFull(pool.Reject))},
		{[]string{"Retry", "twice"}, with(pool.Retry(pool.RetryPolicy{Attempts: 1}), pool.Retry(pool.RetryPolicy{Attempts: 2}))},
		{[]string{"Retry", "Attempts", "0"}, retry(pool.RetryPolicy{})},
		{[]string{"Retry", "Attempts", "-1"}, retry(pool.RetryPolicy{Attempts: -1})},
		{[]string{"Retry", "Base"}, retry(pool.RetryPolicy{Attempts: 2, Base: -1})},
		{[]string{"Retry", "Cap"}, retry(pool.RetryPolicy{Attempts: 2, Cap: -1})},
		{[]string{"Retry", "Cap"}, retry(pool.RetryPolicy{Attempts: 2, Base: 2, Cap: 1})},
		{[]string{"Retry", "Cap"}, retry(pool.RetryPolicy{Attempts: 2, Cap: 1})}, // below the default of Base
		{[]string{"Retry", "Steady", "NaN"}, retry(pool.RetryPolicy{Attempts: 2, Steady: math.NaN()})},
		{[]string{"Retry", "Steady"}, retry(pool.RetryPolicy{Attempts: 2, Steady: -0.1})},
		{[]string{"Retry", "Steady"}, retry(pool.RetryPolicy{Attempts: 2, Steady: 1.1})},
		{[]string{"Retry", "Budget", "NaN"}, retry(pool.RetryPolicy{Attempts: 2, Budget: math.NaN()})},
		{[]string{"Retry", "Budget"}, retry(pool.RetryPolicy{Attempts: 2, Budget: -1})},
		{[]string{"Retry", "Budget"}, retry(pool.RetryPolicy{Attempts: 2, Budget: math.Inf(1)})},
	} {
		func() {
			defer func() {
				text, _ := recover().(string)
				for _, name := range append(tt.names, "pool: ") {
					assert.Contains(t, text, name, "%v", tt.names)
				}
			}()
			tt.make()
		}()
	}
	assert.NotPanics(t, with(pool.Track(0), pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Hour, Steady: 1, Budget: 0.1})))
	assert.True(t, slices.IsSorted(policies))
}
