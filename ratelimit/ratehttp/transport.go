package ratehttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Limiter is what a [Transport] waits for and pauses, such as *ratelimit.Limiter. It must be safe
// for use by several goroutines.
type Limiter interface {
	Wait(ctx context.Context) error
	Pause(until time.Time)
}

// KeyedLimiter is a [Limiter] for each key, such as *ratelimit.Keyed. It must be safe for use by
// several goroutines.
type KeyedLimiter[K comparable] interface {
	Wait(ctx context.Context, key K) error
	Pause(key K, until time.Time)
}

// TransportOption is an option of [NewTransport]. Options may be reused and shared by goroutines;
// nil is not an option.
type TransportOption func(*Transport)

// Transport is an [http.RoundTripper] that keeps to limits. Create it with [NewTransport]; the
// zero value is not usable. A Transport must not be copied. It may be used by any number of
// goroutines.
type Transport struct {
	base     http.RoundTripper
	limits   []limit
	maxPause time.Duration
	retries  int
}

// limit is a limiter, or a keyed one with the key of the request.
type limit struct {
	wait  func(*http.Request) error
	pause func(*http.Request, time.Time)
}

const (
	defaultMaxPause = 5 * time.Minute
	drained         = 64 << 10 // bytes of a body to read so that its connection can be reused
)

// NewTransport returns a RoundTripper that makes each request wait for all limits of opts, in
// their order, before it passes the request to base. A wait ends with the context of the request,
// and is not begun if the limiter sees that its deadline is too near; the request is then not
// made and its body is closed. A nil base is [http.DefaultTransport].
//
// The wait is part of the request, so it counts towards [http.Client.Timeout], and towards the
// Timeout of a pool or a pipeline stage whose function makes the request: if many requests are
// for one host, those at the end of the line fail, without being made, as soon as their turn is
// further away than the timeout. To bound only the request itself, wait for the limiter before
// the context with the timeout is made, as in the example of ratelimit.Keyed, or, with one limit
// for all requests, give the limiter to the Limit of the pool or the stage.
//
// If a response has status 429 or 503 and a field Retry-After, all limits are paused for that
// long, but at most for [MaxPause], so that other requests through them wait as well. The
// response is returned as it is, unless [Retries] are allowed.
//
// NewTransport panics if there is no limit.
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

// Through adds a limit for all requests together. It panics if the limiter is nil.
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

// ThroughPerHost adds a limit for the requests to each host separately. The key is the host and
// port of the URL, in lower case. The wait counts towards the timeout of the request: see
// [NewTransport]. It panics if the limiter is nil.
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

// Retries repeats a request that was refused with Retry-After up to n times, after the pause. The
// default is 0. After a 429 the server has not done what was asked, so any method is repeated;
// after a 503 only GET, HEAD, OPTIONS and TRACE. A request is not repeated if it has a body and
// no GetBody, if the deadline of its context comes before the end of the pause, or if the server
// asks for more than [MaxPause]. Then the response is returned, and the caller decides what to
// do. Retries panics if n is negative.
func Retries(n int) TransportOption {
	if n < 0 {
		panic(fmt.Sprintf("ratehttp: Retries(%d): want at least 0", n))
	}
	return func(t *Transport) { t.retries = n }
}

// RoundTrip waits for the limits and then makes the request, as [http.RoundTripper] says.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	attempt := r
	for made := 0; ; made++ {
		for _, l := range t.limits {
			if err := l.wait(r); err != nil {
				if attempt.Body != nil {
					_ = attempt.Body.Close() // required of a RoundTripper; the error of the wait counts
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
		_, _ = io.CopyN(io.Discard, resp.Body, drained) // if more is left, only the connection is lost
		_ = resp.Body.Close()
	}
}

// CloseIdleConnections closes the idle connections of the base if it has that method, as
// [http.Client.CloseIdleConnections] says.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
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

// again returns a copy of the request with a new body.
func again(r *http.Request) (*http.Request, error) {
	next := r.Clone(r.Context())
	if r.GetBody == nil {
		return next, nil
	}
	body, err := r.GetBody()
	next.Body = body
	return next, err
}
