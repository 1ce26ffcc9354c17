package main

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

// hosts keeps for each host how many requests may be in flight to it, and what was done. It is the
// innermost RoundTripper: the wait for a rate lies outside, so that it does not count as latency.
type hosts struct {
	base http.RoundTripper
	most int // in flight to one host

	mu    sync.Mutex
	known map[string]*host
}

// A host is what is known of one. All but limit is guarded by the mutex of hosts.
type host struct {
	limit   *ratelimit.Concurrency
	sent    []time.Time // requests, in order
	refused int         // of these
	paused  time.Duration
	waiting time.Time // until when a server has asked to wait
	most    int       // requests in flight at once
	pages   int
	took    []time.Duration
}

func newHosts(base http.RoundTripper, most int) *hosts {
	return &hosts{base: base, most: most, known: map[string]*host{}}
}

func (h *hosts) of(name string) *host {
	h.mu.Lock()
	defer h.mu.Unlock()
	one, ok := h.known[name]
	if !ok {
		one = &host{limit: ratelimit.NewConcurrency(ratelimit.Between(1, h.most))}
		h.known[name] = one
	}
	return one
}

// RoundTrip sends a request when its host has room for it, and tells the limit how it went.
func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	one := h.of(r.URL.Host)
	permit, err := one.limit.Acquire(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	start := time.Now()
	h.note(func() {
		one.sent = append(one.sent, start)
		one.most = max(one.most, one.limit.InFlight())
	})
	resp, err := h.base.RoundTrip(r)
	outcome := ratelimit.OutcomeOf(err)
	if err == nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable) {
		outcome = ratelimit.Dropped
	}
	permit.Release(outcome)
	h.note(func() { one.ended(resp, err, start) })
	return resp, err
}

func (h *hosts) note(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// ended notes an answer. Pauses that overlap count once.
func (o *host) ended(resp *http.Response, err error, start time.Time) {
	now := time.Now()
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusTooManyRequests:
		o.refused++
		wait, _ := ratehttp.RetryAfter(resp.Header, now)
		until := now.Add(wait)
		if from := later(now, o.waiting); until.After(from) {
			o.paused += until.Sub(from)
			o.waiting = until
		}
	case resp.StatusCode == http.StatusOK:
		o.pages++
		o.took = append(o.took, now.Sub(start))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// busiest is the most requests that were sent within a window.
func (o *host) busiest(window time.Duration) int {
	slices.SortFunc(o.sent, time.Time.Compare)
	most, from := 0, 0
	for to := range o.sent {
		for o.sent[to].Sub(o.sent[from]) >= window {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// median of the times that pages took.
func (o *host) median() time.Duration {
	if len(o.took) == 0 {
		return 0
	}
	slices.Sort(o.took)
	return o.took[len(o.took)/2]
}
