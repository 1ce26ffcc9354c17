package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// queue starts callers that wait, one after the other, and notes when each of them returns.
type queue struct {
	t     *testing.T
	start time.Time
	mu    sync.Mutex
	log   []string
}

func newQueue(t *testing.T) *queue { t.Helper(); return &queue{t: t, start: time.Now()} }

// wait starts a caller; when it returns, the caller stands in line or is served.
func (q *queue) wait(name string, wait func() error) {
	q.t.Helper()
	go func() {
		err := wait()
		entry := fmt.Sprint(name, " ", time.Since(q.start))
		if err != nil {
			entry += " " + errorName(err)
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.log = append(q.log, entry)
	}()
	synctest.Wait()
}

// served returns who has returned by now, and when.
func (q *queue) served() []string {
	synctest.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.log)
}

func errorName(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, ratelimit.ErrBurst):
		return "burst"
	}
	return err.Error()
}

// "Those who wait stand in line: first come, first served, also if a later one asks for
// less."
func TestWaitIsFirstComeFirstServed(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 5)
		q := newQueue(t)
		for i, n := range []int{5, 5, 1, 3, 1} {
			q.wait(fmt.Sprint(i), func() error { return l.WaitN(t.Context(), n) })
		}
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"0 0s", "1 5s", "2 6s", "3 9s", "4 10s"}, q.served())
	})
}

// "Nobody overtakes them, not even Limiter.Allow." Nothing is taken before it is granted.
func TestAllowCannotBargeIn(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 5)
		require.True(t, l.AllowN(time.Now(), 4))
		q := newQueue(t)
		q.wait("five", func() error { return l.WaitN(t.Context(), 5) })
		for range 3 {
			time.Sleep(time.Second)
			assert.False(t, l.Allow(), "there are tokens, but somebody waits for them")
			d := l.Take(1)
			assert.False(t, d.Allowed)
			assert.Zero(t, d.Remaining)
		}
		assert.InDelta(t, 4, l.Tokens(), 1e-9, "nothing is taken yet")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"five 4s"}, q.served())
		assert.False(t, l.Allow())
		time.Sleep(time.Second)
		assert.True(t, l.Allow())
	})
}

// Cancel of head, middle and tail: "as if the caller had never been in it".
func TestCancelLeavesNoTrace(t *testing.T) {
	for gone, want := range map[int][]string{
		0: {"0 500ms canceled", "1 1s", "2 2s"},
		1: {"1 500ms canceled", "0 1s", "2 2s"},
		2: {"2 500ms canceled", "0 1s", "1 2s"},
	} {
		testkit.Bubble(t, func(t *testing.T) {
			l := ratelimit.NewLimiter(1, 1)
			require.True(t, l.Allow())
			q := newQueue(t)
			var cancels []context.CancelFunc
			for i := range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				t.Cleanup(cancel)
				cancels = append(cancels, cancel)
				q.wait(fmt.Sprint(i), func() error { return l.Wait(ctx) })
			}
			time.Sleep(time.Second / 2)
			cancels[gone]()
			synctest.Wait()
			time.Sleep(time.Minute)
			assert.Equal(t, want, q.served())
			assert.InDelta(t, 1, l.Tokens(), 1e-9)
		})
	}
}

// The head asks for much and leaves: those behind get what is there at once.
func TestCancelOfTheHeadServesTheNext(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 10)
		require.True(t, l.AllowN(time.Now(), 7))
		ctx, cancel := context.WithCancel(t.Context())
		q := newQueue(t)
		q.wait("ten", func() error { return l.WaitN(ctx, 10) })
		for i := range 4 {
			q.wait(fmt.Sprint(i), func() error { return l.Wait(t.Context()) })
		}
		cancel()
		time.Sleep(time.Minute)
		assert.ElementsMatch(t, []string{"ten 0s canceled", "0 0s", "1 0s", "2 0s", "3 1s"}, q.served())
	})
}

// "A WaitN whose ctx has already ended takes nothing."
func TestEndedContextTakesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := ratelimit.NewLimiter(1, 3)
	for range 5 {
		require.Equal(t, context.Canceled, l.Wait(ctx))
	}
	assert.InDelta(t, 3, l.Tokens(), 0)
	assert.Equal(t, context.Canceled, ratelimit.NewWindow(1, time.Hour).Wait(ctx))
	assert.Equal(t, context.Canceled, ratelimit.Multi(l).Wait(ctx))
	assert.Equal(t, context.Canceled, ratelimit.NewKeyed[int](1, 1).Wait(ctx, 0))
}

// "If the deadline of ctx is too near, WaitN does not wait": the error says how
// long it would take, with all who wait before. A deadline that is just enough is enough.
func TestDeadlineThatIsTooNear(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(1, 4)
		require.True(t, l.AllowN(time.Now(), 4))
		q := newQueue(t)
		q.wait("first", func() error { return l.WaitN(t.Context(), 3) })

		short, cancel := context.WithTimeout(t.Context(), 5*time.Second-1)
		defer cancel()
		err := l.WaitN(short, 2)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var wait *ratelimit.WaitError
		require.ErrorAs(t, err, &wait)
		assert.Equal(t, 5*time.Second, wait.RetryAfter)
		assert.Equal(t, 2, wait.N)
		assert.Zero(t, time.Since(q.start), "it has not waited")
		require.NoError(t, short.Err())

		enough, cancel := context.WithTimeout(t.Context(), 5*time.Second+1)
		defer cancel()
		q.wait("second", func() error { return l.WaitN(enough, 2) })
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"first 3s", "second 5s"}, q.served())
	})
}

// "If n is above the burst ... the error is a WaitError that is ErrBurst, unless the limit is Inf."
func TestWaitForMoreThanTheBurst(t *testing.T) {
	l := ratelimit.NewLimiter(1, 2)
	err := l.WaitN(t.Context(), 3)
	require.ErrorIs(t, err, ratelimit.ErrBurst)
	assert.EqualError(t, err, "ratelimit: Wait(n=3): n is above the burst")
	assert.EqualError(t, new(ratelimit.WaitError), "ratelimit: Wait(n=0): <nil>")
	var wait *ratelimit.WaitError
	require.ErrorAs(t, err, &wait)
	assert.Equal(t, ratelimit.InfDuration, wait.RetryAfter)
	assert.NotErrorIs(t, err, context.DeadlineExceeded)
	assert.InDelta(t, 2, l.Tokens(), 0)
	l.SetLimit(ratelimit.Inf)
	assert.NoError(t, l.WaitN(t.Context(), math.MaxInt))
}

// A cancel that races with a grant has one winner: who got an error has taken nothing.
func TestCancelRacesWithGrant(t *testing.T) {
	for range 200 {
		l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 3)
		require.True(t, l.AllowN(time.Now(), 3))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		for range 3 {
			go func() { done <- l.Wait(ctx) }()
		}
		go cancel()
		l.Refund(2)
		granted := 0
		for range 3 {
			if <-done == nil {
				granted++
			}
		}
		assert.InDelta(t, 2-granted, l.Tokens(), 1e-3)
		cancel()
	}
}

// A deadline at the very instant of the grant: either wins, and the tokens agree.
func TestDeadlineAtTheInstantOfTheGrant(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for range 50 {
			l := ratelimit.NewLimiter(1, 2)
			require.True(t, l.AllowN(time.Now(), 2))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			want := 0.0
			if l.Wait(ctx) != nil {
				want = 1
			}
			assert.InDelta(t, want, l.Tokens(), 1e-9)
			cancel()
		}
	})
}

// "Each step of priority is worth a HeadStart in line."
func TestPriorityIsAHeadStart(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(ratelimit.Every(time.Minute), 1)
		require.True(t, l.Allow())
		q := newQueue(t)
		wait := func(name string, priority int) {
			q.wait(name, func() error { return l.WaitPriority(t.Context(), 1, priority) })
		}
		wait("a", 0)
		wait("b", 0)
		time.Sleep(ratelimit.HeadStart / 2)
		wait("urgent", 1)
		wait("urgent too", 1)
		wait("can wait", -1)
		time.Sleep(ratelimit.HeadStart)
		wait("late", 1) // b came more than a head start before
		wait("last", 0)
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"urgent 1m0s", "urgent too 2m0s", "a 3m0s", "b 4m0s", "late 5m0s", "can wait 6m0s", "last 7m0s"}, q.served())
	})
}

// With a limit of zero, WaitN waits for a change, and fails at once if ctx has a deadline.
func TestWaitWithALimitOfZero(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		l := ratelimit.NewLimiter(0, 1)
		require.NoError(t, l.Wait(t.Context()), "the bucket is full at first")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := l.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var wait *ratelimit.WaitError
		require.ErrorAs(t, err, &wait)
		assert.Equal(t, ratelimit.InfDuration, wait.RetryAfter)

		q := newQueue(t)
		q.wait("a", func() error { return l.Wait(t.Context()) })
		q.wait("b", func() error { return l.Wait(t.Context()) })
		q.wait("c", func() error { return l.Wait(t.Context()) })
		time.Sleep(time.Hour)
		l.Refund(1)
		time.Sleep(time.Hour)
		l.SetLimit(1)
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"a 1h0m0s", "b 2h0m1s", "c 2h0m2s"}, q.served())
	})
}
