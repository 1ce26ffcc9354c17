package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

// hosts has for each host how many requests may be in flight to it, and what was done. It stands
// around polite, which waits for rates, and has a sender at the other end.
type hosts struct {
	polite http.RoundTripper
	most   int // in flight to one host

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
	flying  int       // requests that were sent and are not answered
	most    int       // of these at once
	pages   int
	took    []time.Duration
}

// newHosts returns hosts that send their requests to base, through what polite makes of it.
func newHosts(base http.RoundTripper, most int, polite func(http.RoundTripper) http.RoundTripper) *hosts {
	h := &hosts{most: most, known: map[string]*host{}}
	h.polite = polite(&sender{h, base})
	return h
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

// A sending is a request on its way.
type sending struct {
	host    *host
	permit  ratelimit.Permit
	outcome ratelimit.Outcome
}

type sendingKey struct{}

// RoundTrip sends a request when its host has room for it and its rate allows it. The room comes
// first: requests that have waited for the rate and then for room could go in a bunch.
func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	one := h.of(r.URL.Host)
	permit, err := one.limit.Acquire(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	s := &sending{host: one, permit: permit}
	defer func() { permit.Release(s.outcome) }()
	return h.polite.RoundTrip(r.WithContext(context.WithValue(r.Context(), sendingKey{}, s)))
}

// A sender sends what hosts have let through, each time that it is sent.
type sender struct {
	*hosts
	base http.RoundTripper
}

func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Context().Value(sendingKey{}).(*sending) //nolint:forcetypeassert // hosts has put it there
	out.permit.Start()                                // to wait for the rate is not the host's time
	start := time.Now()
	s.note(func() {
		out.host.sent = append(out.host.sent, start)
		out.host.flying++
		out.host.most = max(out.host.most, out.host.flying)
	})
	resp, err := s.base.RoundTrip(r)
	switch {
	case err != nil:
		out.outcome = ratelimit.OutcomeOf(err)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		out.outcome = ratelimit.Dropped
	case out.outcome != ratelimit.Dropped: // nor was it refused before
		out.outcome = ratelimit.Success
	}
	s.note(func() { out.host.ended(resp, err, start) })
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
	o.flying--
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
