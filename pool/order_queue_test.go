package pool_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// "Such jobs count toward the bound of the queue": whatever a job waits for.
func TestQueueCountsJobsThatMayNotStartYet(t *testing.T) {
	for name, opts := range map[string]jobOptions{
		"key": keyed("k"), "after": delayed(2 * sec), "weight": weighing(1),
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(4), pool.Queue(3), pool.Capacity(1))
				defer p.Close()
				s := newStartLog()
				_, err := p.TrySubmit(s.task("x", 2*sec), pool.Key("k"), pool.Weight(1))
				require.NoError(t, err)
				synctest.Wait()
				for range 3 {
					_, err := p.TrySubmit(s.task("a", sec), opts...)
					require.NoError(t, err)
				}
				synctest.Wait()
				assert.Equal(t, 3, p.Stats().Queued)
				assert.Equal(t, 3, p.Stats().Idle, "those that wait hold no worker")
				_, err = p.TrySubmit(give(1))
				assert.ErrorIs(t, err, pool.ErrFull)
				go func() { _, _ = p.Submit(context.Background(), s.task("b", sec)) }()
				time.Sleep(2*sec - 1)
				synctest.Wait()
				assert.Equal(t, "x@0", s.String(), "a submitter waits for room, though workers are idle")
				time.Sleep(1 * time.Nanosecond)
				synctest.Wait()
				assert.Contains(t, s.String(), "b@2", "which there is at once when one of them starts")
			})
		})
	}
}

// "DropOldest takes the job that was accepted first out of the queue", also if it
// could not have started; and what it held up starts.
func TestDropOldestTakesWhatWasAcceptedFirst(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(4), pool.Queue(4), pool.Capacity(10), pool.WhenFull(pool.DropOldest))
		defer p.Close()
		s := newStartLog()
		put := func(name string, opts ...pool.JobOption) *pool.Job[int] {
			j, err := p.Submit(t.Context(), s.task(name, 5*sec), opts...)
			require.NoError(t, err)
			synctest.Wait()
			return j
		}
		put("x", pool.Key("k"), pool.Weight(1))
		late := put("late", pool.After(time.Hour), pool.Priority(100))
		heavy := put("heavy", pool.Weight(10), pool.Priority(100))
		same := put("same", pool.Key("k"))
		light := put("light", pool.Weight(1))
		dropped := func(j *pool.Job[int]) bool {
			r, ended := j.Result()
			return ended && errors.Is(r.Err, pool.ErrDropped)
		}
		put("a", pool.After(time.Hour))
		assert.True(t, dropped(late))
		assert.Equal(t, result.Queued, heavy.Status())
		put("b", pool.After(time.Hour))
		assert.True(t, dropped(heavy))
		assert.Equal(t, result.Running, light.Status(), "it starts when the one before it has gone")
		put("c", pool.After(time.Hour))
		put("d", pool.After(time.Hour))
		assert.True(t, dropped(same))
		assert.EqualValues(t, 3, p.Stats().Dropped)
		assert.Equal(t, "light@0 x@0", s.String())
	})
}

// "A job with options, whose order matters, waits for room instead."
func TestCallerRunsNoJobWithOptions(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2), pool.Queue(1), pool.WhenFull(pool.CallerRuns))
		defer p.Close()
		s := newStartLog()
		_, err := p.TrySubmit(s.task("late", sec), pool.After(10*sec))
		require.NoError(t, err)
		j, err := p.Submit(t.Context(), s.task("plain", sec))
		require.NoError(t, err)
		assert.Equal(t, result.Succeeded, j.Status(), "the caller has run it")
		_, err = p.Submit(t.Context(), s.task("keyed", sec), pool.Key("k"))
		assert.NoError(t, err)
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, "plain@0 keyed@10 late@10", s.String())
	})
}

// A Submit with options that waits for room heeds its context, and the end of the pool.
func TestSubmitWithOptionsGivesUpWaitingForRoom(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2), pool.Queue(1), pool.Capacity(1))
		late, err := p.TrySubmit(give(1), pool.After(time.Hour))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeoutCause(t.Context(), sec, errBoom)
		defer cancel()
		_, err = p.Submit(ctx, give(1), pool.Key(1), pool.Weight(1), pool.After(sec))
		assert.ErrorIs(t, err, errBoom)
		refused := make(chan error, 1)
		go func() {
			_, err := p.Submit(context.Background(), give(1), pool.Key(1), pool.Weight(1))
			refused <- err
		}()
		synctest.Wait()
		assert.NoError(t, p.Close())
		assert.ErrorIs(t, <-refused, pool.ErrClosed)
		_, err = late.Wait(t.Context())
		assert.ErrorIs(t, err, pool.ErrClosed)
		assert.Equal(t, result.Canceled, late.Status())
		_, err = p.TrySubmit(give(1), pool.After(sec))
		assert.ErrorIs(t, err, pool.ErrClosed)
	})
}

// A Shutdown whose context ends cancels what is not yet due or waits for others.
func TestShutdownThatEndsCancelsOrderedJobs(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2), pool.Capacity(1))
		var jobs []*pool.Job[int]
		for _, opts := range []jobOptions{
			{pool.Key(1), pool.Weight(1)}, keyed(1), weighing(1), delayed(time.Hour), {pool.Key(1), pool.After(time.Hour)},
		} {
			j, err := p.TrySubmit(heed, opts...)
			require.NoError(t, err)
			jobs = append(jobs, j)
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), sec, errBoom)
		defer cancel()
		begin := time.Now()
		assert.ErrorIs(t, p.Shutdown(ctx), errBoom)
		assert.Equal(t, sec, time.Since(begin))
		for i, j := range jobs {
			r, ended := j.Result()
			require.True(t, ended, i)
			assert.Equal(t, result.Canceled, r.Status(), i)
			assert.Equal(t, min(i, 1), 1-r.Attempt, i)
			if i > 0 {
				assert.ErrorIs(t, r.Err, errBoom)
			}
		}
	})
}

// "Wait does not wait for a job that may not start yet because of a Key, a Weight or
// After: it returns ErrWouldDeadlock." One that may is run by who waits.
func TestWaitInsideACallForAnOrderedJob(t *testing.T) {
	for _, tc := range []struct {
		name         string
		outer, inner jobOptions
		want         error
	}{
		{"the same key", keyed(1), keyed(1), pool.ErrWouldDeadlock},
		{"another key", keyed(1), keyed(2), nil},
		{"too much weight", weighing(5), weighing(6), pool.ErrWouldDeadlock},
		{"weight that fits", weighing(5), weighing(5), nil},
		{"not due", nil, delayed(1), pool.ErrWouldDeadlock},
		{"due at once", nil, delayed(0), nil},
		{"a low priority", ranked(5), ranked(-5), nil},
		{"all of it", jobOptions{pool.Key(1), pool.Weight(5)}, jobOptions{pool.Key(2), pool.Weight(5), pool.Priority(-1)}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(1), pool.Capacity(10))
				defer p.Close()
				j, err := p.TrySubmit(func(ctx context.Context) (int, error) {
					inner, err := p.Submit(ctx, give(42), tc.inner...)
					if err != nil {
						return 0, err
					}
					return inner.Wait(ctx)
				}, tc.outer...)
				require.NoError(t, err)
				v, err := j.Wait(t.Context())
				assert.ErrorIs(t, err, tc.want)
				if tc.want == nil {
					assert.Equal(t, 42, v)
				}
				assert.NoError(t, p.Shutdown(t.Context()))
				assert.EqualValues(t, 2, p.Stats().Succeeded+p.Stats().Failed, "the inner job runs in any case")
			})
		})
	}
}

// What is run by who waits keeps its key and weight busy, and frees them.
func TestWaitInsideACallTakesKeyAndWeight(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2), pool.Capacity(10))
		defer p.Close()
		s := newStartLog()
		_, err := p.Do(t.Context(), func(ctx context.Context) (int, error) {
			p.Pause() // so that nobody else starts it
			inner, err := p.Submit(ctx, s.task("inner", 2*sec), pool.Key("k"), pool.Weight(6))
			if err != nil {
				return 0, err
			}
			for name, opts := range map[string]jobOptions{"same key": keyed("k"), "heavy": weighing(5), "free": keyed("j")} {
				_, err := p.Submit(ctx, s.task(name, sec), opts...)
				assert.NoError(t, err)
			}
			time.AfterFunc(sec, p.Resume)
			return inner.Wait(ctx)
		})
		assert.NoError(t, err)
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.Equal(t, "inner@0 free@1 heavy@2 same key@2", s.String())
	})
}

// Inside a call, a full queue is not waited for, whatever the options.
func TestSubmitInsideACallWithOptionsAndNoRoom(t *testing.T) {
	for policy, want := range map[pool.Policy]error{
		pool.Block: pool.ErrWouldDeadlock, pool.Reject: pool.ErrFull, pool.DropOldest: nil, pool.CallerRuns: pool.ErrWouldDeadlock,
	} {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(pool.Workers(2), pool.Queue(1), pool.WhenFull(policy))
			defer p.Close()
			_, err := p.TrySubmit(give(1), pool.After(sec))
			require.NoError(t, err)
			_, err = p.Do(t.Context(), func(ctx context.Context) (int, error) {
				_, err := p.Submit(ctx, give(2), pool.Key(1), pool.After(sec))
				return 0, err
			})
			assert.ErrorIs(t, err, want, policy)
		})
	}
}

// "For options that are invalid or given twice, Submit returns an error that names them."
func TestOrderOptionsThatMakeNoSense(t *testing.T) {
	p := newTasks(pool.Workers(1), pool.Capacity(10))
	defer p.Close()
	without := newTasks(pool.Workers(1))
	defer without.Close()
	for _, tc := range []struct {
		p     *pool.Pool[task, int]
		names string
		opts  jobOptions
	}{
		{p, "Key", keyed(nil)}, {p, "Key", keyed([]int{1})}, {p, "Key", keyed(map[int]int{})}, {p, "Key", keyed(func() {})},
		{p, "Key", keyed(struct{ v any }{[]int{1}})}, {p, "Key", keyed([2]any{1, []int{}})},
		{p, "Weight", weighing(0)}, {p, "Weight", weighing(-1)}, {p, "Weight", weighing(11)}, {p, "Weight", weighing(math.MaxInt64)},
		{without, "Weight", weighing(1)},
		{p, "Key", jobOptions{pool.Key(1), pool.Key(1)}}, {p, "Weight", jobOptions{pool.Weight(1), pool.Weight(1)}},
		{p, "Priority", jobOptions{pool.Priority(0), pool.Priority(0)}}, {p, "After", jobOptions{pool.After(0), pool.After(0)}},
		{p, "After", jobOptions{pool.After(sec), pool.Key(1), pool.After(sec)}}, {p, "option", jobOptions{nil}},
	} {
		j, err := tc.p.Submit(t.Context(), give(1), tc.opts...)
		assert.ErrorContains(t, err, tc.names)
		assert.Nil(t, j)
		_, err = tc.p.TrySubmit(give(1), tc.opts...)
		assert.ErrorContains(t, err, tc.names)
	}
	assert.Zero(t, p.Stats().Accepted+without.Stats().Accepted)
	assert.Panics(t, func() { newTasks(pool.Capacity(0)) })
	assert.Panics(t, func() { newTasks(pool.Aging(0)) })
	assert.Panics(t, func() { newTasks(pool.Aging(sec), pool.Aging(2*sec)) })
}

// NaN is not equal to itself, so such keys are all different.
func TestKeyThatIsNotEqualToItself(t *testing.T) {
	type point struct{ x, y float64 }
	for _, k := range []any{math.NaN(), point{1, math.NaN()}, [1]any{math.NaN()}} {
		scenario{"", twoWorkers, []cue{
			{0, "a", sec, keyed(k), nil}, {0, "b", 2 * sec, keyed(k), nil}, {0, "c", sec, keyed(k), nil},
		}, "a@0 b@0 c@1"}.play(t)
	}
}

// The longest delay does not wrap, nor together with the highest priority.
func TestAfterForEver(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		j, err := p.TrySubmit(give(1), pool.After(math.MaxInt64))
		require.NoError(t, err)
		k, err := p.TrySubmit(give(1), pool.After(math.MaxInt64), pool.Priority(math.MaxInt))
		require.NoError(t, err)
		time.Sleep(200 * 365 * 24 * time.Hour)
		synctest.Wait()
		assert.Equal(t, result.Queued, j.Status())
		assert.Equal(t, result.Queued, k.Status())
		assert.NoError(t, p.Close())
	})
}

// What a worker has taken in hand together is overtaken too.
func TestPriorityOvertakesJobsInHand(t *testing.T) {
	scenario{"", oneWorker, []cue{
		{0, "", 0, nil, pausing}, {0, "x", sec, nil, nil}, {0, "y", sec, nil, nil}, {0, "a", sec, nil, nil}, {0, "b", sec, nil, nil},
		{0, "c", sec, nil, nil}, {0, "", 0, nil, canceling("x", "y")}, {sec, "", 0, nil, resuming},
		{sec, "urgent", sec, ranked(1), nil}, {2*sec - 1, "more urgent", sec, ranked(2), nil},
	}, "a@1 more urgent@2 urgent@3 b@4 c@5"}.play(t)
}

// doing has the pool busy with a call of Do: the workers of the queue wait for it.
func doing(d time.Duration) func(*pool.Pool[task, int], map[string]*pool.Job[int]) {
	return func(p *pool.Pool[task, int], _ map[string]*pool.Job[int]) {
		go func() {
			_, _ = p.Do(context.Background(), func(context.Context) (int, error) { time.Sleep(d); return 0, nil })
		}()
	}
}

// The rules hold as well where the workers are busy with what is no job.
func TestOrderBehindCallsOfDo(t *testing.T) {
	heavy := []pool.Option{pool.Workers(1), pool.Capacity(1)}
	for _, sc := range []scenario{
		{"a canceled job frees its key", oneWorker, []cue{
			{0, "", 0, nil, doing(5 * sec)}, {1 * sec, "a1", sec, keyed("a"), nil}, {1 * sec, "a2", sec, keyed("a"), nil},
			{2 * sec, "", 0, nil, canceling("a1")}, {3 * sec, "a3", sec, keyed("a"), nil}, {8 * sec, "a4", sec, keyed("a"), nil},
		}, "a2@5 a3@6 a4@8"},
		{"and its weight", heavy, []cue{
			{0, "", 0, nil, doing(5 * sec)}, {1 * sec, "a", sec, weighing(1), nil}, {1 * sec, "b", sec, weighing(1), nil},
			{2 * sec, "", 0, nil, canceling("a")},
		}, "b@5"},
		{"in line with the callers of Do", oneWorker, []cue{
			{0, "", 0, nil, doing(5 * sec)}, {1 * sec, "a", sec, keyed(1), nil}, {2 * sec, "", 0, nil, doing(5 * sec)}, {3 * sec, "b", sec, keyed(2), nil},
			{0, "late", sec, delayed(4 * sec), nil},
		}, "a@5 b@11 late@12"},
		{"paused behind a Do", oneWorker, []cue{
			{0, "", 0, nil, doing(5 * sec)}, {1 * sec, "a1", sec, keyed("a"), nil}, {2 * sec, "", 0, nil, pausing},
			{6 * sec, "", 0, nil, canceling("a1")}, {6 * sec, "a2", sec, keyed("a"), nil}, {6 * sec, "high", sec, ranked(5), nil},
			{7 * sec, "", 0, nil, resuming},
		}, "high@7 a2@8"},
	} {
		sc.play(t)
	}
}
