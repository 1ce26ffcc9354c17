package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrBurst says that n is above the burst, so that no wait would be long enough.
var ErrBurst = errors.New("ratelimit: n is above the burst")

// ErrFull says that a [Keyed] has no room for another key and was told to [Deny] it.
var ErrFull = errors.New("ratelimit: too many keys")

// WaitError is the error of a Wait that was not worth beginning. It wraps the reason:
// context.DeadlineExceeded if the context ends before the tokens would be there,
// as x/time does not (golang/go#54541); [ErrBurst]; or [ErrFull].
type WaitError struct {
	N          int           // events that were asked for
	RetryAfter time.Duration // the wait that it would have taken; InfDuration if none is long enough
	reason     error
}

// Error says what was asked for and why it was refused.
func (e *WaitError) Error() string {
	switch {
	case errors.Is(e.reason, context.DeadlineExceeded) && e.RetryAfter == InfDuration:
		return fmt.Sprintf("ratelimit: Wait(n=%d) would not end before the context does: %v", e.N, e.reason)
	case errors.Is(e.reason, context.DeadlineExceeded):
		return fmt.Sprintf("ratelimit: Wait(n=%d) would take %v: %v", e.N, e.RetryAfter, e.reason)
	}
	return fmt.Sprintf("ratelimit: Wait(n=%d): %v", e.N, e.reason)
}

// Unwrap returns the reason.
func (e *WaitError) Unwrap() error { return e.reason }

// Wait is WaitN for one event.
func (l *Limiter) Wait(ctx context.Context) error { return l.WaitN(ctx, 1) }

// WaitN waits until n events may happen, and takes their tokens then, not before.
//
// Those who wait stand in line: first come, first served, also if a later one asks for
// less. Nobody passes them, by [Limiter.Allow] neither. If the tokens are there and
// nobody waits, WaitN returns at once, without a timer or an allocation.
//
// It ends with ctx.Err() when ctx does, which then is as if it had never come: who
// stood behind it moves up. A ctx that has ended already takes nothing. If ctx has a deadline
// that is too near, WaitN does not wait for it and returns a [*WaitError] at once, which
// is context.DeadlineExceeded and says how long it would have taken. An n above the
// burst is a WaitError too, which is [ErrBurst], now or when [Limiter.SetBurst] makes
// it so, unless the limit is [Inf]. WaitN panics if n is negative.
//
// A change by SetLimit, SetBurst, Pause or Refund counts from then on for those who
// wait. With a limit of zero, WaitN waits for such a change.
func (l *Limiter) WaitN(ctx context.Context, n int) error {
	checkN("WaitN", n)
	return l.wait(ctx, n, 0)
}

// WaitPriority is WaitN for a caller who is urgent, or can wait if the priority is
// negative. A step of priority is worth a [HeadStart] in line: who has waited longer
// than that is not passed any more, so nobody waits for ever.
func (l *Limiter) WaitPriority(ctx context.Context, n, priority int) error {
	checkN("WaitPriority", n)
	return l.wait(ctx, n, priority)
}

func (l *Limiter) wait(ctx context.Context, n, priority int) error {
	if err := ctx.Err(); err != nil || n == 0 {
		return err
	}
	b := l.ready()
	if b.word.Load() < waiting && l.allow(b, int64(time.Since(b.epoch)), n) {
		return nil
	}
	if b.unlimited && !l.line.paused.Load() && l.state.Load() == b {
		return nil
	}
	return l.line.wait(ctx, n, priority)
}

// ready returns the bucket, also for a Limiter that is its zero value.
func (l *Limiter) ready() *bucket {
	if b := l.state.Load(); b != nil {
		return b
	}
	l.line.mu.Lock()
	defer l.line.mu.Unlock()
	if l.state.Load() == nil {
		l.set(time.Now(), 0, 0)
	}
	return l.state.Load()
}
