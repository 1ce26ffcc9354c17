// Package ratehttp applies the limiters of package ratelimit to HTTP: to the requests that a
// server takes, and to those that a client makes.
//
// # Server
//
// [Middleware] lets a request through or answers it with 429 Too Many Requests:
//
//	limited := ratehttp.Middleware(
//		ratehttp.PerKey("per-client", ratelimit.NewKeyed[netip.Prefix](10, 20), ratehttp.ByIP(proxies...)),
//		ratehttp.Shared("all", ratelimit.NewLimiter(500, 100)),
//	)
//	http.ListenAndServe(addr, limited(mux))
//
// A request passes if all its policies let it through. If one denies it, what the others took is
// given back, if they have a method Refund. A denial has a Retry-After in whole seconds, rounded
// up. Responses of both kinds have the fields RateLimit-Policy and RateLimit of
// draft-ietf-httpapi-ratelimit-headers-11 (May 2026), such as
//
//	RateLimit-Policy: "per-client";q=20;w=2, "all";q=500;w=1
//	RateLimit: "per-client";r=19;t=1, "all";r=99;t=1
//	Retry-After: 1
//
// where q is the quota in a window of w seconds, and r is what may come within the next t
// seconds. A bucket that fills in less than a second is described by its rate, since windows are
// whole seconds. The body of a denial is the draft's problem type "quota-exceeded"; [Denied]
// sets another response.
//
// What a client writes into a request decides nothing unless you say so. [ByIP] uses
// X-Forwarded-For only as far as it comes from listed proxies, and a long key of [ByHeader]
// takes no more memory than a short one. How many keys are kept is up to the limiter, see
// ratelimit.MaxKeys.
//
// # Client
//
// [NewTransport] waits for a limiter before each request. If a server answers with 429 or 503
// and a Retry-After, it pauses that limiter for all requests that share it. It can repeat
// requests that the server has refused, see [Retries].
//
// # Concurrency
//
// What the functions of this package return may be used by any number of goroutines. The package
// starts no goroutine and has nothing to close.
package ratehttp
