package pool

import (
	"time"

	"github.com/millstream-go/millstream/internal/retry"
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

// Permanent returns an error that is not retried, whatever the policy says. It
// reads like err and unwraps to it. A nil err stays nil.
func Permanent(err error) error { return retry.Permanent(err) }

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
func RetryAfter(err error, d time.Duration) error { return retry.After(err, d) }
