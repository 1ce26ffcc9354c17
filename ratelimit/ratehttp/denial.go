package ratehttp

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Denial is why a request was denied. It is a plain value, but copies share Policies. The zero
// value names no policy.
type Denial struct {
	// Policies are the names of the policies that did not have enough left.
	Policies []string
	// RetryAfter is how long until the request may be let through: the longest wait of these
	// policies, as far as it is known. If the request never can be let through, because its cost
	// is above what a policy ever has, it is ratelimit.InfDuration, and there is no Retry-After.
	RetryAfter time.Duration
}

// denial adds up what the policies have decided about a request that is denied.
func denial(all []taken) *Denial {
	d := &Denial{}
	for _, t := range all {
		wait := t.RetryAfter
		switch {
		case !t.Allowed:
		case t.onlyAsked && t.Remaining < t.cost && t.Limit > 0: // without a limit it says nothing
			wait = t.policy.until(t.Decision, t.cost)
		default:
			continue
		}
		d.Policies = append(d.Policies, t.policy.name)
		d.RetryAfter = max(d.RetryAfter, wait)
	}
	return d
}

type denialKey struct{}

func withDenial(ctx context.Context, d *Denial) context.Context {
	return context.WithValue(ctx, denialKey{}, d)
}

// DenialOf returns why the request was denied, in a handler set with [Denied]. In any other
// handler it reports false.
func DenialOf(r *http.Request) (Denial, bool) {
	d, ok := r.Context().Value(denialKey{}).(*Denial)
	if !ok {
		return Denial{}, false
	}
	return *d, true
}

// problem answers with the problem type quota-exceeded, section 5.1 of the draft.
func problem(w http.ResponseWriter, r *http.Request) {
	d, _ := DenialOf(r)
	body, err := json.Marshal(struct {
		Type     string   `json:"type"`
		Title    string   `json:"title"`
		Status   int      `json:"status"`
		Violated []string `json:"violated-policies"`
	}{
		"https://iana.org/assignments/http-problem-types#quota-exceeded",
		"Request cannot be satisfied as assigned quota has been exceeded",
		http.StatusTooManyRequests, d.Policies,
	})
	if err != nil { // never happens: these are strings
		http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}
