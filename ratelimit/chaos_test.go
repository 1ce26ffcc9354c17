package ratelimit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/ratelimit"
)

// All that can be done to a limit at once, by goroutines that race. Nobody is forgotten in
// a line: when the limit is high again, all who wait are let through, and what nobody took
// is there.
func TestNobodyIsForgottenInALine(t *testing.T) {
	l := ratelimit.NewLimiter(20_000, 4)
	second := ratelimit.NewLimiter(20_000, 4)
	w := ratelimit.NewWindow(40, time.Millisecond)
	m := ratelimit.Multi(l, second, w)
	var wg sync.WaitGroup
	for worker := range uint64(8) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(worker, 3))
			for range 300 {
				chaos(t, random, l, second, w, m)
			}
			for _, limiter := range []*ratelimit.Limiter{l, second} {
				limiter.SetBurst(4)
				limiter.SetLimit(20_000)
			}
		})
	}
	wg.Wait()
	assert.NoError(t, m.WaitN(t.Context(), 4))
	for _, limiter := range []*ratelimit.Limiter{l, second} {
		limiter.Settle(1000, 0)
		assert.GreaterOrEqual(t, limiter.Tokens(), 0.0)
		assert.LessOrEqual(t, limiter.Tokens(), 4.0)
	}
}

func chaos(t *testing.T, random *rand.Rand, l, second *ratelimit.Limiter, w *ratelimit.Window, m *ratelimit.MultiLimiter) {
	n := 1 + random.IntN(4)
	if random.IntN(2) == 0 {
		l = second
	}
	wait := func(wait func(context.Context) error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if random.IntN(3) == 0 {
			time.AfterFunc(time.Duration(random.IntN(200))*time.Microsecond, cancel)
		}
		if err := wait(ctx); err != nil && !errors.Is(err, ratelimit.ErrBurst) {
			assert.ErrorIs(t, err, context.Canceled)
		}
	}
	switch random.IntN(16) {
	case 0:
		l.SetLimit(ratelimit.Limit(20_000 + random.IntN(3)*10_000))
	case 1:
		l.SetBurst(2 + random.IntN(3))
	case 2:
		l.Pause(time.Now().Add(time.Duration(random.IntN(300)) * time.Microsecond))
	case 3:
		w.Pause(time.Now().Add(time.Duration(random.IntN(300)) * time.Microsecond))
	case 4:
		l.Refund(n)
	case 5:
		l.Settle(n, random.IntN(6))
	case 6:
		l.ReserveN(time.Now(), n).Cancel()
	case 7:
		m.ReserveN(time.Now(), n).Cancel()
	case 8:
		l.SetLimit(ratelimit.Inf)
		l.SetLimit(20_000)
	case 9:
		wait(func(ctx context.Context) error { return l.WaitPriority(ctx, n, random.IntN(3)-1) })
	case 10:
		wait(func(ctx context.Context) error { return m.WaitPriority(ctx, n, random.IntN(3)-1) })
	case 11:
		wait(func(ctx context.Context) error { return w.WaitN(ctx, n) })
	case 12, 13:
		wait(func(ctx context.Context) error { return l.WaitN(ctx, n) })
	default:
		wait(func(ctx context.Context) error { return m.WaitN(ctx, n) })
	}
}
