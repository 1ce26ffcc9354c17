package ratehttp

import (
	"context"
	"net/http"
)

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
