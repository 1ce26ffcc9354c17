package ratelimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/ratelimit"
)

var (
	_ pool.Waiter     = (*ratelimit.Limiter)(nil)
	_ pool.Waiter     = (*ratelimit.Window)(nil)
	_ pool.Waiter     = (*ratelimit.MultiLimiter)(nil)
	_ pool.Waiter     = (*ratelimit.KeyLimit[string])(nil)
	_ pipeline.Waiter = (*ratelimit.Limiter)(nil)
)

// limits are all kinds of one call a second, one of which can be made at once.
func limits() map[string]pool.Waiter {
	return map[string]pool.Waiter{
		"Limiter":      ratelimit.NewLimiter(1, 1),
		"Window":       ratelimit.NewWindow(1, time.Second),
		"MultiLimiter": ratelimit.Multi(ratelimit.NewLimiter(1, 1), ratelimit.NewLimiter(5, 5)),
		"KeyLimit":     ratelimit.NewKeyed[string](1, 1).At("key"),
	}
}

func slow(_ context.Context, v int) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return v, nil
}

// A limit of a pool is waited for before the call starts, and that time is Wait, not Run.
func TestLimitOfAPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for name, limit := range limits() {
			p := pool.New(slow, pool.Workers(4), pool.Limit(limit))
			var jobs []*pool.Job[int]
			for i := range 4 {
				j, err := p.Submit(t.Context(), i)
				require.NoError(t, err)
				jobs = append(jobs, j)
			}
			waits := map[time.Duration]bool{}
			for _, j := range jobs {
				<-j.Done()
				r, _ := j.Result()
				waits[r.Timing.Wait] = true
				assert.Equal(t, 100*time.Millisecond, r.Timing.Run, name)
			}
			assert.Equal(t, map[time.Duration]bool{0: true, time.Second: true, 2 * time.Second: true, 3 * time.Second: true}, waits, name)
			require.NoError(t, p.Close())
		}
	})
}

// So is the limit of a stage, and Throttle.
func TestLimitOfAStage(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for name, limit := range limits() {
			source := pipeline.FromSlice([]int{0, 1, 2, 3})
			begin, run := time.Now(), time.Duration(0)
			for r := range pipeline.Map(source, slow, pipeline.Workers(4), pipeline.Limit(limit)).Results(t.Context()) {
				require.NoError(t, r.Err)
				run += r.Timing.Run
				assert.Equal(t, time.Since(begin), r.Timing.Total(), name)
			}
			assert.Equal(t, 3100*time.Millisecond, time.Since(begin), name)
			assert.Equal(t, 400*time.Millisecond, run, name)

			time.Sleep(time.Second)
			begin = time.Now()
			require.NoError(t, source.Throttle(limit).Run(t.Context()))
			assert.Equal(t, 3*time.Second, time.Since(begin), name)
		}
	})
}

// A run with a deadline that the limit cannot meet fails at once, and says so.
func TestLimitThatCannotMeetTheDeadline(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(slow, pool.Limit(ratelimit.NewLimiter(ratelimit.Every(time.Hour), 1)))
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := p.Do(ctx, 0)
		require.NoError(t, err)
		begin := time.Now()
		_, err = p.Do(ctx, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var wait *ratelimit.WaitError
		require.ErrorAs(t, err, &wait)
		assert.Equal(t, time.Hour-100*time.Millisecond, wait.RetryAfter)
		assert.Zero(t, time.Since(begin))
	})
}
