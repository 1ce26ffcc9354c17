package ratehttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") })

// ask prints what a handler answers.
func ask(h http.Handler, r *http.Request) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("RateLimit"))
}

func ExampleMiddleware() {
	clients := ratelimit.NewKeyed[netip.Prefix](ratelimit.Every(time.Hour), 2, ratelimit.MaxKeys(10_000))
	limited := ratehttp.Middleware(ratehttp.PerKey("per-client", clients, ratehttp.ByIP()))(hello)

	for range 2 {
		ask(limited, httptest.NewRequest(http.MethodGet, "/", nil))
	}
	w := httptest.NewRecorder()
	limited.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"))
	fmt.Print(w.Body)
	// Output:
	// 200 "per-client";r=1;t=3600
	// 200 "per-client";r=0;t=3600
	// 429 "per-client";q=2;w=7200
	// {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"violated-policies":["per-client"]}
}

func ExampleShared() {
	limiter := ratelimit.NewLimiter(0, 1) // one, and never another one
	limited := ratehttp.Middleware(ratehttp.Shared("all", limiter))(hello)
	ask(limited, httptest.NewRequest(http.MethodGet, "/", nil))
	ask(limited, httptest.NewRequest(http.MethodGet, "/", nil))
	// Output:
	// 200 "all";r=0
	// 429 "all";r=0
}

func ExamplePerKey() {
	users := ratelimit.NewKeyed[string](0, 1)
	byUser := func(r *http.Request) (string, bool) {
		name, _, ok := r.BasicAuth()
		return name, ok // who has not signed in is another policy's business
	}
	limited := ratehttp.Middleware(ratehttp.PerKey("user", users, byUser))(hello)
	for _, name := range []string{"ann", "ann", "bob"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(name, "")
		ask(limited, r)
	}
	// Output:
	// 200 "user";r=0
	// 429 "user";r=0
	// 200 "user";r=0
}

func ExampleByIP() {
	key := ratehttp.ByIP(netip.MustParsePrefix("10.0.0.0/8")) // where the load balancer is
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "1.2.3.4, 2001:db8:1:2:3:4:5:6") // the first one is a claim
	client, _ := key(r)
	fmt.Println(client)
	// Output: 2001:db8:1:2::/64
}

func ExampleByHeader() {
	key := ratehttp.ByHeader("X-API-Key")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-API-Key", "k-123")
	fmt.Println(key(r))
	// Output: k-123 true
}

func ExampleCost() {
	budget := ratelimit.NewLimiter(0, 100)
	cost := ratehttp.Cost(func(r *http.Request) int {
		if strings.HasPrefix(r.URL.Path, "/search") {
			return 30
		}
		return 1
	})
	limited := ratehttp.Middleware(ratehttp.Shared("budget", budget, cost))(hello)
	ask(limited, httptest.NewRequest(http.MethodGet, "/page", nil))
	ask(limited, httptest.NewRequest(http.MethodGet, "/search?q=x", nil))
	// Output:
	// 200 "budget";r=99
	// 200 "budget";r=69
}

func ExampleUnit() {
	uploads := ratelimit.NewLimiter(1<<20, 8<<20)
	limited := ratehttp.Middleware(ratehttp.Shared("uploads", uploads, ratehttp.Unit("content-bytes"),
		ratehttp.Cost(func(r *http.Request) int { return int(max(r.ContentLength, 1)) })))(hello)
	w := httptest.NewRecorder()
	limited.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Header().Get("RateLimit-Policy"))
	// Output: "uploads";q=8388608;qu="content-bytes";w=8
}

// daily is a limiter that does not describe itself.
type daily struct{ limiter *ratelimit.Limiter }

func (d daily) Take(n int) ratelimit.Decision { return d.limiter.Take(n) }

func ExampleWindow() {
	limiter := daily{ratelimit.NewLimiter(ratelimit.Every(time.Minute), 1440)}
	limited := ratehttp.Middleware(ratehttp.Shared("daily", limiter, ratehttp.Window(1440, 24*time.Hour)))(hello)
	w := httptest.NewRecorder()
	limited.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Header().Get("RateLimit-Policy"))
	// Output: "daily";q=1440;w=86400
}

func ExampleDenied() {
	sorry := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		denial, _ := ratehttp.DenialOf(r)
		http.Error(w, fmt.Sprint("too much for ", denial.Policies), http.StatusServiceUnavailable)
	})
	limited := ratehttp.Middleware(ratehttp.Shared("all", ratelimit.NewLimiter(0, 0)), ratehttp.Denied(sorry))(hello)
	w := httptest.NewRecorder()
	limited.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 503 too much for [all]
}

func ExampleDenialOf() {
	_, denied := ratehttp.DenialOf(httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(denied)
	// Output: false
}

func ExampleWithoutFields() {
	limited := ratehttp.Middleware(ratehttp.Shared("all", ratelimit.NewLimiter(1, 1)), ratehttp.WithoutFields())(hello)
	w := httptest.NewRecorder()
	limited.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Printf("%q\n", w.Header().Get("RateLimit"))
	// Output: ""
}

// busyServer turns the first request away.
func busyServer() *httptest.Server {
	first := true
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if first {
			first = false
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, "welcome")
	}))
}

func ExampleNewTransport() {
	server := busyServer()
	defer server.Close()

	client := &http.Client{Transport: ratehttp.NewTransport(nil,
		ratehttp.Through(ratelimit.NewLimiter(10, 5)), ratehttp.Retries(2))}
	start := time.Now()
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err, time.Since(start) >= time.Second)
	// Output: welcome <nil> true
}

func ExampleThrough() {
	limiter := ratelimit.NewLimiter(10, 5)
	client := &http.Client{Transport: ratehttp.NewTransport(nil, ratehttp.Through(limiter))}
	fmt.Println(client.Transport != nil)
	// Output: true
}

func ExampleThroughPerHost() {
	server := httptest.NewServer(hello)
	defer server.Close()
	hosts := ratelimit.NewKeyed[string](10, 1, ratelimit.MaxKeys(1000))
	client := &http.Client{Transport: ratehttp.NewTransport(nil, ratehttp.ThroughPerHost(hosts))}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.StatusCode, resp.Body.Close(), hosts.Len())
	// Output: 200 <nil> 1
}

func ExampleMaxPause() {
	transport := ratehttp.NewTransport(nil, ratehttp.Through(ratelimit.NewLimiter(10, 5)), ratehttp.MaxPause(time.Minute))
	fmt.Println(transport != nil)
	// Output: true
}

func ExampleRetries() {
	server := busyServer()
	defer server.Close()
	client := &http.Client{Transport: ratehttp.NewTransport(nil, ratehttp.Through(ratelimit.NewLimiter(10, 5)), ratehttp.Retries(1))}
	resp, err := client.Post(server.URL, "text/plain", strings.NewReader("a body that can be had again"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.StatusCode, resp.Body.Close())
	// Output: 200 <nil>
}

func ExampleTransport_RoundTrip() {
	server := httptest.NewServer(hello)
	defer server.Close()
	transport := ratehttp.NewTransport(nil, ratehttp.Through(ratelimit.NewLimiter(10, 5)))
	r, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.StatusCode, resp.Body.Close())
	// Output: 200 <nil>
}

func ExampleTransport_CloseIdleConnections() {
	server := httptest.NewServer(hello)
	defer server.Close()
	client := &http.Client{Transport: ratehttp.NewTransport(nil, ratehttp.Through(ratelimit.NewLimiter(10, 5)))}
	defer client.CloseIdleConnections() // calls the method of the Transport, which calls that of its base
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.StatusCode, resp.Body.Close())
	// Output: 200 <nil>
}

func ExampleRetryAfter() {
	h := http.Header{"Retry-After": {"120"}}
	fmt.Println(ratehttp.RetryAfter(h, time.Now()))
	// Output: 2m0s true
}
