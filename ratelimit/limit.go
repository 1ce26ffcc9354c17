package ratelimit

import (
	"math"
	"time"
)

// Limit is a number of events per second. A limit of zero or less allows no event
// beyond the burst that a new [Limiter] starts with. Every function that takes a Limit
// panics if it is NaN. A Limit is a plain value.
//
// A limit is converted to the time between two events once, exactly, and not rounded
// again. A limit made by [Every] counts as exactly the duration that was given (up to
// 26 days; a float64 cannot tell longer ones apart), a whole number as itself, and any
// other limit as the simplest fraction that is this float64. So 10.0/13 means ten
// events in thirteen seconds, to the nanosecond (golang/go#34861, golang/go#46579).
// Less than one event in 292 years counts as none, and above 10^12 a second a limit may
// be rounded down.
type Limit float64

// Inf is the limit that allows all events, whatever the burst. Any limit that is not
// smaller, such as math.Inf(1), counts as Inf.
const Inf = Limit(math.MaxFloat64)

// InfDuration is the value of [Reservation.Delay], and of RetryAfter in a [Decision]
// and a [WaitError], if no wait would be long enough.
const InfDuration = time.Duration(math.MaxInt64)

// Every returns the limit of one event per interval, or [Inf] if the interval is zero
// or negative.
func Every(interval time.Duration) Limit {
	if interval <= 0 {
		return Inf
	}
	return 1 / Limit(interval.Seconds())
}
