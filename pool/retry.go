package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/result"
)

// RetryPolicy says which failed calls are made again, and when. It is a plain
// value, to be copied and used for several pools; each pool has a Budget of its own.
// The zero value is not valid: Attempts must be given.
//
// The wait before a further call is random between 0 and a bound that doubles from
// call to call ("full jitter"), so that inputs which failed together do not come
// back together. [RetryAfter] replaces it. Never made again are calls that panicked
// or called [runtime.Goexit], since a bug is to be seen, and those whose error is
// [Permanent].
type RetryPolicy struct {
	// Attempts is how many calls are made for an input at most, with the first
	// one. At least 1, which is no retry.
	Attempts int
	// Base is the bound of the wait before the second call; it doubles before each
	// further one. Default (0): 100 ms.
	Base time.Duration
	// Cap is what the bound stays at once it is there. Default (0): 10 s, or Base if
	// that is more. It must not be below Base.
	Cap time.Duration
	// Steady is the share of the bound that is not random, from 0 to 1. With 0.5 a
	// wait is between half the bound and the bound, with 1 it is the bound.
	// Default (0): all of it is random.
	Steady float64
	// Budget is how many retries each input earns for the whole pool, to a
	// millionth; beyond a reserve of 10 the pool makes no more of them than were
	// earned. With 0.1, a server that is down gets a tenth more calls than usual,
	// not Attempts times as many. At most 100 are kept for later, and what is
	// earned beyond is lost. Default (0): no bound.
	Budget float64
	// If says whether an error is worth another call. It may be called by several
	// goroutines at once; if it panics, that is the panic of the input. Default (nil): every error but [context.Canceled].
	If func(error) bool
}

const (
	defaultBase = 100 * time.Millisecond
	defaultCap  = 10 * time.Second
)

// Permanent returns an error that is not retried, whatever the policy says. It
// reads like err and unwraps to it. A nil err stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// RetryAfter returns an error that asks for a wait of d before the next call, as a
// server's Retry-After does: exactly d, or 0 if it is below 0, without jitter and
// also beyond the policy's Cap. Whether there is a next call is for the policy to
// say. The error reads like err and unwraps to it. A nil err stays nil.
//
// Errors of other packages ask in the same way if they have a method
//
//	RetryAfter() time.Duration
//
// and [errors.As] finds them; the outermost one counts.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// asksToWait is an error that knows when the next call makes sense.
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

// validate panics if the policy makes no sense.
func (r RetryPolicy) validate() {
	base, top := r.bounds()
	switch {
	case r.Attempts < 1:
		panic(fmt.Sprintf("pool: Retry: Attempts %d: want at least 1", r.Attempts))
	case r.Base < 0:
		panic(fmt.Sprintf("pool: Retry: Base %v: want at least 0", r.Base))
	case r.Cap < 0:
		panic(fmt.Sprintf("pool: Retry: Cap %v: want at least 0", r.Cap))
	case top < base:
		panic(fmt.Sprintf("pool: Retry: Cap %v is below Base %v", top, base))
	case math.IsNaN(r.Steady) || r.Steady < 0 || r.Steady > 1:
		panic(fmt.Sprintf("pool: Retry: Steady %v: want 0 to 1", r.Steady))
	case math.IsNaN(r.Budget) || math.IsInf(r.Budget, 0) || r.Budget < 0:
		panic(fmt.Sprintf("pool: Retry: Budget %v: want at least 0, and finite", r.Budget))
	}
}

// bounds returns Base and Cap with the defaults in place.
func (r RetryPolicy) bounds() (base, top time.Duration) {
	base = cmp.Or(r.Base, defaultBase)
	return base, cmp.Or(r.Cap, max(defaultCap, base))
}

// worth reports whether an error is worth another call. It may run the user's code.
func (r RetryPolicy) worth(err error) bool {
	if err == nil || errors.Is(err, ErrGoexit) {
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

// retrier applies a policy to all calls of a pool. It must not be copied; its
// methods may be called from any goroutine at any time.
type retrier struct {
	policy RetryPolicy // Base and Cap are set
	gain   int64       // credit for each input
	credit atomic.Int64
}

// Credit counts millionths of a retry, and not parts of a power of two: a budget of
// 0.1 is then exact, and the tenth input has earned the retry.
const (
	oneRetry    = 1_000_000
	startCredit = 10 * oneRetry
	maxCredit   = 100 * oneRetry
)

// newRetrier returns a retrier for a policy that is valid.
func newRetrier(policy RetryPolicy) *retrier {
	policy.Base, policy.Cap = policy.bounds()
	r := &retrier{policy: policy, gain: int64(math.Round(min(policy.Budget*oneRetry, maxCredit)))}
	r.credit.Store(startCredit)
	return r
}

// first notes that the first call for an input is made. A pool whose calls succeed
// has all the credit that it can keep, and then only reads it here.
func (r *retrier) first() {
	for {
		had := r.credit.Load()
		if had == maxCredit || r.gain == 0 || r.credit.CompareAndSwap(had, min(had+r.gain, maxCredit)) {
			return
		}
	}
}

// next reports whether a further call is made for an input of which made calls, at
// least 1, have failed, the last one with err, and after which wait. It may run the
// user's code, which may panic; then no credit was taken.
func (r *retrier) next(err error, made int) (wait time.Duration, ok bool) {
	if made >= r.policy.Attempts || !r.policy.worth(err) {
		return 0, false
	}
	if e, asks := errors.AsType[asksToWait](err); asks {
		wait = max(e.RetryAfter(), 0)
	} else {
		wait = r.wait(made)
	}
	if !r.take() {
		return 0, false
	}
	return wait, true
}

// take takes the credit for one retry.
func (r *retrier) take() bool {
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
func (r *retrier) wait(made int) time.Duration {
	bound := r.bound(made)
	steady := bound
	if r.policy.Steady < 1 { // times 1 the largest durations would round up and overflow
		steady = time.Duration(float64(bound) * r.policy.Steady)
	}
	return steady + time.Duration(rand.Uint64N(uint64(bound-steady)+1))
}

// bound is what the wait after made calls is bound to.
func (r *retrier) bound(made int) time.Duration {
	doublings := made - 1
	// The Cap is halved for the comparison, since the Base doubled may overflow; a
	// shift by more than there are bits gives 0.
	if r.policy.Base <= r.policy.Cap>>doublings {
		return r.policy.Base << doublings
	}
	return r.policy.Cap
}

// sleep waits d, or until ctx ends: then the error is ctx's cause, also if d was not
// positive.
func (*retrier) sleep(ctx context.Context, d time.Duration) error {
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
