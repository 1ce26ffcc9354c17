package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrBurst reports that n is above the burst, so that no wait would be long enough.
var ErrBurst = errors.New("ratelimit: n is above the burst")

// ErrFull reports that a [Keyed] has no room for another key and denies it: see [Deny]
// and [Evict].
var ErrFull = errors.New("ratelimit: too many keys")

// WaitError is the error of a Wait that cannot succeed, or not in time. It wraps the
// reason: context.DeadlineExceeded if the context would end before the tokens are
// available, which x/time does not wrap (golang/go#54541); [ErrBurst]; or [ErrFull]. The
// zero value has no reason. A WaitError may be copied, and read by any goroutine.
type WaitError struct {
	N          int           // the events asked for
	RetryAfter time.Duration // how long the wait would have been; InfDuration if no wait is long enough
	reason     error
}

// Error returns what was asked for and why it was refused.
func (e *WaitError) Error() string {
	switch {
	case errors.Is(e.reason, context.DeadlineExceeded) && e.RetryAfter == InfDuration:
		return fmt.Sprintf("ratelimit: Wait(n=%d) would not end before the context does: %v", e.N, e.reason)
	case errors.Is(e.reason, context.DeadlineExceeded):
		return fmt.Sprintf("ratelimit: Wait(n=%d) would take %v: %v", e.N, e.RetryAfter, e.reason)
	}
	// ErrBurst and ErrFull name the package, too.
	return fmt.Sprintf("ratelimit: Wait(n=%d): %s", e.N, strings.TrimPrefix(fmt.Sprint(e.reason), "ratelimit: "))
}

// Unwrap returns the reason.
func (e *WaitError) Unwrap() error { return e.reason }

// Wait is WaitN for one event.
func (l *Limiter) Wait(ctx context.Context) error { return l.WaitN(ctx, 1) }

// WaitN waits until n events may happen, and takes their tokens then, not before.
//
// Callers wait in line: first come, first served, even if a later one asks for less.
// Nobody overtakes them, not even [Limiter.Allow]. If the tokens are available and no
// caller waits, WaitN returns at once, without a timer or an allocation.
//
// If ctx ends, WaitN returns ctx.Err(), as in x/time, and not its cause, and leaves the
// line as if the caller had never been in it: the callers after it move up. A WaitN whose ctx has already ended takes
// nothing. If the deadline of ctx is too near, WaitN does not wait: it returns at once a
// [*WaitError] that is context.DeadlineExceeded and says how long the wait would have
// been. If n is above the burst, now or after a call of [Limiter.SetBurst], the error is
// a WaitError that is [ErrBurst], unless the limit is [Inf]. WaitN panics if n is
// negative.
//
// SetLimit, SetBurst, Pause and Refund take effect at once for callers that are waiting.
// With a limit of zero, WaitN waits for such a change.
func (l *Limiter) WaitN(ctx context.Context, n int) error {
	checkN("WaitN", n)
	return l.wait(ctx, n, 0)
}

// WaitPriority is WaitN for a caller that is urgent, or, with a negative priority, one
// that can wait. Each step of priority is worth a [HeadStart] in line. A caller that has
// waited longer than that is not overtaken any more, so no caller waits forever.
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

// ready returns the bucket. It initializes a zero Limiter first.
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
