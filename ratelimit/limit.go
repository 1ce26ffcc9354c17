package ratelimit

import (
	"math"
	"time"
)

// Limit is a number of events per second. Zero, and anything below, lets no event
// happen beyond the burst that a new [Limiter] starts with. Not a number is refused
// with a panic wherever a Limit is taken.
//
// A limit is turned into the time between two events once, exactly, and not
// rounded again: what [Every] has made counts as the duration that was given to it (up
// to 26 days; a float64 cannot tell longer ones apart), a whole number as itself,
// and any other as the simplest fraction that is this float64. So 10.0/13 means ten
// events in thirteen seconds, to the nanosecond (golang/go#34861, golang/go#46579).
// Less than one event in 292 years counts as none, and above 10^12 a second a limit may
// be rounded down.
type Limit float64

// Inf is the limit that lets everything happen, whatever the burst. Any limit that
// is not smaller, such as math.Inf(1), counts as Inf.
const Inf = Limit(math.MaxFloat64)

// InfDuration is what [Reservation.Delay] and the RetryAfter of a [Decision] and of
// a [WaitError] say when no wait would be long enough.
const InfDuration = time.Duration(math.MaxInt64)

// Every returns the limit of one event per interval; [Inf] if the interval is not
// above zero.
func Every(interval time.Duration) Limit {
	if interval <= 0 {
		return Inf
	}
	return 1 / Limit(interval.Seconds())
}
