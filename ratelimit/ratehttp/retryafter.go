package ratehttp

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter parses the field Retry-After of a response, RFC 9110, section 10.2.3: a number of
// seconds, or a date. A date is taken relative to the field Date if there is one, so that the two
// clocks need not agree, or else relative to now; a date in the past is 0. RetryAfter reports
// false if there is no such field or it is malformed. The duration is as long as the server says:
// callers should cap it.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := strings.Trim(h.Get("Retry-After"), " \t")
	if value == "" {
		return 0, false
	}
	if strings.Trim(value, "0123456789") == "" {
		s, err := strconv.ParseInt(value, 10, 64)
		if err != nil || s > math.MaxInt64/int64(time.Second) { // digits alone: too many of them
			return math.MaxInt64, true
		}
		return time.Duration(s) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0), true
}
