package ratehttp

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// The fields are lists of structured fields, RFC 9651: strings with integers as parameters.

// largest is the largest integer of a structured field.
const largest = 999_999_999_999_999

// sfString returns the text as a string of a structured field. It panics if the text cannot be
// one.
func sfString(what, text string) string {
	if text == "" {
		panic("ratehttp: " + what + ": want a name")
	}
	out := make([]byte, 0, len(text)+2)
	out = append(out, '"')
	for i := range len(text) {
		b := text[i]
		switch {
		case b < 0x20 || b > 0x7e:
			panic(fmt.Sprintf("ratehttp: %s %q: want printable ASCII", what, text))
		case b == '"' || b == '\\':
			out = append(out, '\\')
		}
		out = append(out, b)
	}
	return string(append(out, '"'))
}

func sfInteger(out []byte, parameter string, n int64) []byte {
	out = append(out, parameter...)
	return strconv.AppendInt(out, min(max(n, 0), largest), 10)
}

// addFields adds RateLimit-Policy and RateLimit.
func addFields(h http.Header, all []taken) {
	var room [256]byte // on the stack, for most
	out := room[:0]
	for i := range all {
		quota, window, ok := all[i].policy.quotaOf(all[i].Decision)
		if !ok {
			continue
		}
		if len(out) > 0 {
			out = append(out, ", "...)
		}
		out = append(out, all[i].policy.label...)
		out = sfInteger(out, ";q=", quota)
		if all[i].policy.unit != "" {
			out = append(append(out, ";qu="...), all[i].policy.unit...)
		}
		if window > 0 {
			out = sfInteger(out, ";w=", window)
		}
	}
	if len(out) > 0 {
		h.Add("RateLimit-Policy", string(out))
	}
	out = room[:0]
	for i := range all {
		d := all[i].Decision
		if len(out) > 0 {
			out = append(out, ", "...)
		}
		out = append(out, all[i].policy.label...)
		out = sfInteger(out, ";r=", int64(d.Remaining))
		// The times of a decision are those before its refund.
		if next := all[i].policy.nextToken(d); next > 0 && next < ratelimit.InfDuration && !all[i].refunded {
			out = sfInteger(out, ";t=", seconds(next))
		}
	}
	if len(out) > 0 {
		h.Add("RateLimit", string(out))
	}
}

// quotaOf returns q and w. Windows are whole seconds. A bucket that is full again sooner is
// described by what comes in one second, any other by its size and the time that it takes to
// fill, rounded up, so that q/w is never above the rate.
func (p *policy) quotaOf(d ratelimit.Decision) (quota, window int64, ok bool) {
	switch {
	case p.window > 0:
		return int64(p.quota), seconds(p.window), true
	case p.limiter == nil:
		return int64(d.Limit), 0, true
	}
	limit, burst := float64(p.limiter.Limit()), p.limiter.Burst()
	switch {
	case math.IsInf(limit, 1) || limit >= largest:
		return 0, 0, false // no limit
	case !(limit > 0):
		return int64(burst), 0, true // and no more, forever
	case float64(burst) < limit:
		return int64(limit), 1, true
	}
	return int64(burst), int64(min(math.Ceil(float64(burst)/limit), largest)), true
}

// nextToken returns how long it takes until Remaining grows by one; before that, a client can use
// no more than Remaining. It is 0 if nothing is missing or the time is not known.
func (p *policy) nextToken(d ratelimit.Decision) time.Duration {
	if d.Remaining >= d.Limit || d.ResetAfter <= 0 {
		return 0
	}
	next, ok := p.untilRefilled(d, d.Remaining+1)
	if !ok {
		next = d.ResetAfter
	}
	if d.RetryAfter > 0 { // the draft: no effective window ends after it
		next = min(next, d.RetryAfter)
	}
	return next
}

// until returns how long it takes at least until Remaining is n, which it is not now.
func (p *policy) until(d ratelimit.Decision, n int) time.Duration {
	if n > d.Limit {
		return ratelimit.InfDuration
	}
	wait, _ := p.untilRefilled(d, n)
	return wait
}

// untilRefilled returns how long it takes until Remaining is n, and whether that is known.
func (p *policy) untilRefilled(d ratelimit.Decision, n int) (wait time.Duration, ok bool) {
	if n == d.Limit || d.ResetAfter == ratelimit.InfDuration {
		return d.ResetAfter, true
	}
	if p.limiter != nil {
		if limit := float64(p.limiter.Limit()); limit > 0 {
			rest := float64(d.Limit-n) / limit * float64(time.Second)
			return max(d.ResetAfter-time.Duration(min(rest, float64(d.ResetAfter))), 1), true
		}
	}
	return 0, false
}
