package pool

import (
	"time"

	"github.com/millstream-go/millstream/internal/retry"
)

// RetryPolicy says which failed calls are repeated, and when. It is a plain value
// that may be copied and used for several pools; each pool has a Budget of its own.
// The zero value is not valid: Attempts must be set.
//
// The wait before a further call is random between 0 and a bound that doubles from
// call to call ("full jitter"), so that inputs that failed together do not come back
// together. [RetryAfter] replaces it. Calls that panicked or called [runtime.Goexit]
// are never repeated, so that bugs are seen, and neither are calls whose error is
// [Permanent].
type RetryPolicy struct {
	// Attempts is the maximum number of calls for an input, including the first one. It
	// must be at least 1, which means no retry.
	Attempts int
	// Base is the bound of the wait before the second call; the bound doubles before
	// each further call. Default (0): 100 ms.
	Base time.Duration
	// Cap is the largest value of the bound. Default (0): 10 s, or Base if that is more.
	// It must not be below Base.
	Cap time.Duration
	// Steady is the share of the bound that is not random, from 0 to 1. With 0.5, a wait
	// is between half the bound and the bound; with 1, it is the bound. Default (0): the
	// wait is all random.
	Steady float64
	// Budget is how many retries each input earns for the whole pool, to a millionth.
	// Beyond a reserve of 10, the pool makes no more retries than were earned. With 0.1,
	// a server that is down gets, in the long run, a tenth more calls than usual, not
	// Attempts times as many. At most 100 retries are kept for later; any earned beyond that are lost.
	// Default (0): no bound.
	Budget float64
	// If reports whether an error is worth another call. It may be called by several
	// goroutines at once. If it panics, the input fails with that panic. Default (nil):
	// every error but [context.Canceled].
	If func(error) bool
}

// Permanent returns an error that is not retried, whatever the policy says. It has
// the same text as err and unwraps to it. A nil err stays nil.
func Permanent(err error) error { return retry.Permanent(err) }

// RetryAfter returns an error that asks for a wait of d before the next call, like a
// server's Retry-After: exactly d, or 0 if d is below 0, without jitter and even
// beyond the policy's Cap. Whether there is a next call is up to the policy. The
// error has the same text as err and unwraps to it. A nil err stays nil.
//
// Errors of other packages can ask in the same way if they have a method
//
//	RetryAfter() time.Duration
//
// that [errors.As] finds; the outermost one counts.
func RetryAfter(err error, d time.Duration) error { return retry.After(err, d) }
