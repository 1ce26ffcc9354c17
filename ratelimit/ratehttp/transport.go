package ratehttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Limiter is what a [Transport] waits for and pauses, such as *ratelimit.Limiter.
type Limiter interface {
	Wait(ctx context.Context) error
	Pause(until time.Time)
}

// KeyedLimiter is the same for each key, such as *ratelimit.Keyed.
type KeyedLimiter[K comparable] interface {
	Wait(ctx context.Context, key K) error
	Pause(key K, until time.Time)
}

// TransportOption is an option of [NewTransport].
type TransportOption func(*Transport)

// Transport is an [http.RoundTripper] that keeps to limits, made by [NewTransport]. The zero value
// is of no use. It must not be copied, and may be used by any number of goroutines.
type Transport struct {
	base     http.RoundTripper
	limits   []limit
	maxPause time.Duration
	retries  int
}

// limit is a limiter, or what a keyed one has for the key of the request.
type limit struct {
	wait  func(*http.Request) error
	pause func(*http.Request, time.Time)
}

const (
	defaultMaxPause = 5 * time.Minute
	drained         = 64 << 10 // of a body, to use its connection again
)

// NewTransport returns a RoundTripper that has each request wait for all limits of opts, in their
// order, before base gets it. A wait ends with the context of the request, and is not begun if
// the limiter sees that its deadline is too near; the request is then not made and its body is
// closed. A nil base is [http.DefaultTransport].
//
// When a response has status 429 or 503 and a field Retry-After, all limits are paused for that
// long, but for no longer than [MaxPause] says, so that other requests through them wait as well.
// The response is returned as it is, unless [Retries] are allowed.
//
// It panics without a limit.
func NewTransport(base http.RoundTripper, opts ...TransportOption) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{base: base, maxPause: defaultMaxPause}
	for _, opt := range opts {
		opt(t)
	}
	if len(t.limits) == 0 {
		panic("ratehttp: NewTransport: no limit")
	}
	return t
}

// Through adds a limit for all requests together. A nil limiter panics.
func Through(limiter Limiter) TransportOption {
	if limiter == nil {
		panic("ratehttp: Through: nil limiter")
	}
	return func(t *Transport) {
		t.limits = append(t.limits, limit{
			wait:  func(r *http.Request) error { return limiter.Wait(r.Context()) },
			pause: func(_ *http.Request, until time.Time) { limiter.Pause(until) },
		})
	}
}

// ThroughPerHost adds a limit for the requests to each host by itself: the host and port of the
// URL, in lower case. A nil limiter panics.
func ThroughPerHost(limiter KeyedLimiter[string]) TransportOption {
	if limiter == nil {
		panic("ratehttp: ThroughPerHost: nil limiter")
	}
	return func(t *Transport) {
		t.limits = append(t.limits, limit{
			wait:  func(r *http.Request) error { return limiter.Wait(r.Context(), hostOf(r)) },
			pause: func(r *http.Request, until time.Time) { limiter.Pause(hostOf(r), until) },
		})
	}
}

func hostOf(r *http.Request) string { return strings.ToLower(r.URL.Host) }

// MaxPause bounds how long a server's Retry-After pauses the limits. The default is 5 minutes. It
// panics unless the duration is positive.
func MaxPause(d time.Duration) TransportOption {
	if d <= 0 {
		panic(fmt.Sprintf("ratehttp: MaxPause(%v): want more than 0", d))
	}
	return func(t *Transport) { t.maxPause = d }
}

// Retries has a request that was refused with Retry-After made again, up to n times, after the
// pause; the default is 0. With 429 the server has not done what was asked, so any method is
// repeated, with 503 only GET, HEAD, OPTIONS and TRACE. It is not repeated if it has a body and
// no GetBody, if the deadline of its context comes before the end of the pause, or if the server
// asks for more than [MaxPause]: then the response is returned, and what follows is for the
// caller to say. A negative n panics.
func Retries(n int) TransportOption {
	if n < 0 {
		panic(fmt.Sprintf("ratehttp: Retries(%d): want at least 0", n))
	}
	return func(t *Transport) { t.retries = n }
}

// RoundTrip makes the request, as [http.RoundTripper] says, after it has waited for the limits.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	attempt := r
	for made := 0; ; made++ {
		for _, l := range t.limits {
			if err := l.wait(r); err != nil {
				if attempt.Body != nil {
					_ = attempt.Body.Close() // as a RoundTripper has to; the error is that of the wait
				}
				return nil, err
			}
		}
		resp, err := t.base.RoundTrip(attempt)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
			return resp, err
		}
		now := time.Now()
		asked, ok := RetryAfter(resp.Header, now)
		if !ok {
			return resp, nil
		}
		until := now.Add(min(asked, t.maxPause))
		for _, l := range t.limits {
			l.pause(r, until)
		}
		if made >= t.retries || asked > t.maxPause || !repeatable(r, resp.StatusCode, until) {
			return resp, nil
		}
		if attempt, err = again(r); err != nil {
			return resp, nil //nolint:nilerr // a body that cannot be had again: what the server said counts
		}
		_, _ = io.CopyN(io.Discard, resp.Body, drained) // what is left costs the connection, no more
		_ = resp.Body.Close()
	}
}

// repeatable reports whether the request may be made again at a time.
func repeatable(r *http.Request, status int, at time.Time) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false
	}
	if deadline, ok := r.Context().Deadline(); ok && deadline.Before(at) {
		return false
	}
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return status == http.StatusTooManyRequests
}

// again returns the request with a body of its own.
func again(r *http.Request) (*http.Request, error) {
	next := r.Clone(r.Context())
	if r.GetBody == nil {
		return next, nil
	}
	body, err := r.GetBody()
	next.Body = body
	return next, err
}
