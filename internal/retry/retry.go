package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Policy has the fields of pool.RetryPolicy, so that one converts to the other.
type Policy struct {
	Attempts int
	Base     time.Duration
	Cap      time.Duration
	Steady   float64
	Budget   float64
	If       func(error) bool
}

const (
	defaultBase = 100 * time.Millisecond
	defaultCap  = 10 * time.Second
)

// Permanent returns an error like err that is not retried, or nil if err is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// After returns an error like err that asks for a wait of d, or nil if err is nil.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// asksToWait is an error that knows when the next call is worth making.
type asksToWait interface {
	error
	RetryAfter() time.Duration
}

type retryAfterError struct {
	err   error
	after time.Duration
}

func (e *retryAfterError) Error() string             { return e.err.Error() }
func (e *retryAfterError) Unwrap() error             { return e.err }
func (e *retryAfterError) RetryAfter() time.Duration { return e.after }

// Complaint says what is invalid in the policy; it is empty if nothing is.
func (r Policy) Complaint() string {
	base, top := r.bounds()
	switch {
	case r.Attempts < 1:
		return fmt.Sprintf("Retry: Attempts %d: want at least 1", r.Attempts)
	case r.Base < 0:
		return fmt.Sprintf("Retry: Base %v: want at least 0", r.Base)
	case r.Cap < 0:
		return fmt.Sprintf("Retry: Cap %v: want at least 0", r.Cap)
	case top < base:
		return fmt.Sprintf("Retry: Cap %v is below Base %v", top, base)
	case math.IsNaN(r.Steady) || r.Steady < 0 || r.Steady > 1:
		return fmt.Sprintf("Retry: Steady %v: want 0 to 1", r.Steady)
	case math.IsNaN(r.Budget) || math.IsInf(r.Budget, 0) || r.Budget < 0:
		return fmt.Sprintf("Retry: Budget %v: want at least 0, and finite", r.Budget)
	}
	return ""
}

// bounds returns Base and Cap with defaults applied.
func (r Policy) bounds() (base, top time.Duration) {
	base = cmp.Or(r.Base, defaultBase)
	return base, cmp.Or(r.Cap, max(defaultCap, base))
}

// worth reports whether an error is worth another call. It may run the user's code.
func (r Policy) worth(err error) bool {
	if errors.Is(err, engine.ErrGoexit) {
		return false
	}
	if _, panicked := errors.AsType[*result.PanicError](err); panicked {
		return false
	}
	if _, permanent := errors.AsType[*permanentError](err); permanent {
		return false
	}
	if r.If == nil {
		return !errors.Is(err, context.Canceled)
	}
	return r.If(err)
}

// Retrier applies a policy to all calls of a pool or a stage. It must not be copied;
// its methods may be called from any goroutine at any time.
type Retrier struct {
	policy Policy // Base and Cap are set
	gain   int64  // credit for each input
	credit atomic.Int64
}

// Credit counts millionths of a retry, not parts that are a power of two: a budget of
// 0.1 is then exact, and the tenth input earns the retry.
const (
	oneRetry    = 1_000_000
	startCredit = 10 * oneRetry
	maxCredit   = 100 * oneRetry
)

// New returns a Retrier for a valid policy.
func New(policy Policy) *Retrier {
	policy.Base, policy.Cap = policy.bounds()
	r := &Retrier{policy: policy, gain: int64(math.Round(min(policy.Budget*oneRetry, maxCredit)))}
	r.credit.Store(startCredit)
	return r
}

// First records that the first call for an input is made. A pool whose calls succeed
// has all the credit that it can keep, and then First only reads it.
func (r *Retrier) First() {
	for {
		had := r.credit.Load()
		if had == maxCredit || r.gain == 0 || r.credit.CompareAndSwap(had, min(had+r.gain, maxCredit)) {
			return
		}
	}
}

// Next returns the wait before another call for an input, or the input's final error if
// there is none: err, with a note if the budget is empty. made, at least 1, is how many
// calls for the input have failed, the last one with err, which is not nil. Next may run
// the user's code; if that panics, no credit is taken.
func (r *Retrier) Next(err error, made int) (wait time.Duration, final error) {
	if made >= r.policy.Attempts || !r.policy.worth(err) {
		return 0, err
	}
	if e, asks := errors.AsType[asksToWait](err); asks {
		wait = max(e.RetryAfter(), 0)
	} else {
		wait = r.wait(made)
	}
	if !r.take() {
		return 0, fmt.Errorf("%w; no retry: the retry budget is empty", err)
	}
	return wait, nil
}

// take takes the credit for one retry.
func (r *Retrier) take() bool {
	if r.policy.Budget == 0 {
		return true
	}
	for {
		had := r.credit.Load()
		if had < oneRetry {
			return false
		}
		if r.credit.CompareAndSwap(had, had-oneRetry) {
			return true
		}
	}
}

// wait draws the wait after made calls.
func (r *Retrier) wait(made int) time.Duration {
	bound := r.bound(made)
	steady := bound
	if r.policy.Steady < 1 { // times 1 the largest durations would round up and overflow
		steady = time.Duration(float64(bound) * r.policy.Steady)
	}
	return steady + time.Duration(rand.Uint64N(uint64(bound-steady)+1))
}

// bound returns the bound of the wait after made calls.
func (r *Retrier) bound(made int) time.Duration {
	doublings := made - 1
	// The Cap is halved for the comparison, since the Base doubled may overflow; a
	// shift by more than there are bits gives 0.
	if r.policy.Base <= r.policy.Cap>>doublings {
		return r.policy.Base << doublings
	}
	return r.policy.Cap
}

// Sleep waits for d, or until ctx ends: then it returns ctx's cause, even if d is not
// positive.
func (*Retrier) Sleep(ctx context.Context, d time.Duration) error {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
