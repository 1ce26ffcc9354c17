package ratehttp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

func get(target string) *http.Request {
	return httptest.NewRequest(http.MethodGet, target, http.NoBody)
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	require.NoError(t, err)
	return d
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })

func serve(t *testing.T, r *http.Request, opts ...ratehttp.Option) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	ratehttp.Middleware(opts...)(ok).ServeHTTP(w, r)
	return w
}

func TestMiddlewareDeniesAndSaysWhenToComeBack(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		h := ratehttp.Middleware(ratehttp.Shared("all", ratelimit.NewLimiter(ratelimit.Every(1500*time.Millisecond), 2)))(ok)
		try := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, get("/"))
			return w
		}
		assert.Equal(t, http.StatusOK, try().Code)
		assert.Equal(t, http.StatusOK, try().Code)
		w := try()
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Equal(t, "2", w.Header().Get("Retry-After"), "1.5 s, rounded up")
		assert.Equal(t, `"all";r=0;t=2`, w.Header().Get("RateLimit"))
		assert.Equal(t, `"all";q=2;w=3`, w.Header().Get("RateLimit-Policy"))
		assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		var body struct {
			Type     string
			Violated []string `json:"violated-policies"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		assert.Equal(t, "https://iana.org/assignments/http-problem-types#quota-exceeded", body.Type)
		assert.Equal(t, []string{"all"}, body.Violated)

		// Whoever comes when he was told to is let in.
		s, err := strconv.Atoi(w.Header().Get("Retry-After"))
		require.NoError(t, err)
		time.Sleep(time.Duration(s) * time.Second)
		assert.Equal(t, http.StatusOK, try().Code)
	})
}

func TestRetryAfterIsNeverBeforeTheEndOfTheEffectiveWindow(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		for _, every := range []time.Duration{time.Millisecond, 333 * time.Millisecond, time.Second, 7 * time.Second, time.Hour} {
			h := ratehttp.Middleware(ratehttp.Shared("all", ratelimit.NewLimiter(ratelimit.Every(every), 4)))(ok)
			for range 50 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, get("/"))
				time.Sleep(every / 3)
				if w.Code == http.StatusOK {
					continue
				}
				after, err := strconv.Atoi(w.Header().Get("Retry-After"))
				require.NoError(t, err)
				items := mustParse(t, w.Header().Get("RateLimit"))
				window, err := strconv.Atoi(items[0].parameters["t"])
				require.NoError(t, err)
				assert.GreaterOrEqual(t, after, window)
				assert.Positive(t, after)
			}
		}
	})
}

func TestADeniedRequestTakesNothingOfTheOtherPolicies(t *testing.T) {
	first, second := ratelimit.NewLimiter(0, 5), ratelimit.NewLimiter(0, 1)
	third := ratelimit.NewLimiter(0, 5)
	h := ratehttp.Middleware(ratehttp.Shared("first", first), ratehttp.Shared("second", second), ratehttp.Shared("third", third))(ok)
	for i := range 4 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, get("/"))
		assert.Equal(t, i == 0, w.Code == http.StatusOK)
		assert.Equal(t, `"first";r=4, "second";r=0, "third";r=4`, w.Header().Get("RateLimit"))
	}
	assert.InDelta(t, 4, first.Tokens(), 1e-9)
	assert.InDelta(t, 4, third.Tokens(), 1e-9)
}

// A policy that comes after the one that denies is only asked what it has left. If that is too
// little, it is violated as well, and the client has to wait for it, too.
func TestADenialCountsThePoliciesThatWereOnlyAsked(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		first := ratehttp.Shared("first", ratelimit.NewLimiter(1, 1))
		hour := ratelimit.NewWindow(2, time.Hour)
		for _, test := range []struct {
			second     ratehttp.Option
			violated   []string
			retryAfter string
		}{
			{ratehttp.Shared("second", ratelimit.NewLimiter(ratelimit.Every(30*time.Second), 1)), []string{"first", "second"}, "30"},
			{ratehttp.Shared("second", ratelimit.NewLimiter(ratelimit.Every(30*time.Second), 2)), []string{"first"}, "1"},
			{ratehttp.Shared("second", ratelimit.NewLimiter(ratelimit.Every(30*time.Second), 4),
				ratehttp.Cost(func(*http.Request) int { return 3 })), []string{"first", "second"}, "60"},
			{ratehttp.Shared("second", ratelimit.NewLimiter(0, 1)), []string{"first", "second"}, ""},
			{ratehttp.Shared("second", ratelimit.NewWindow(1, time.Minute)), []string{"first", "second"}, "60"},
			{ratehttp.Shared("second", hour), []string{"first", "second"}, "1"}, // when the oldest event leaves it, it does not say
			{ratehttp.Shared("second", plain{Allowed: true}), []string{"first"}, "1"},
		} {
			var denial ratehttp.Denial
			h := ratehttp.Middleware(first, test.second, ratehttp.Denied(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				denial, _ = ratehttp.DenialOf(r)
			})))(ok)
			h.ServeHTTP(httptest.NewRecorder(), get("/"))
			for hour.Allow() { // until nothing is left
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, get("/"))
			assert.Equal(t, test.violated, denial.Policies)
			assert.Equal(t, test.retryAfter, w.Header().Get("Retry-After"))
			time.Sleep(time.Hour)
		}
	})
}

func TestDeniedForGoodHasNoRetryAfter(t *testing.T) {
	l := ratelimit.NewLimiter(1, 5)
	w := serve(t, get("/"), ratehttp.Shared("all", l, ratehttp.Cost(func(*http.Request) int { return 6 })))
	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.NotContains(t, w.Header(), "Retry-After")
	assert.InDelta(t, 5, l.Tokens(), 1e-9)
}

func TestCost(t *testing.T) {
	l := ratelimit.NewLimiter(0, 10)
	byLength := ratehttp.Cost(func(r *http.Request) int { return int(r.ContentLength) })
	h := ratehttp.Middleware(ratehttp.Shared("all", l, byLength))(ok)
	for _, test := range []struct {
		length int64
		left   float64
		code   int
	}{{4, 6, 200}, {7, 6, 429}, {-1, 6, 200}, {0, 6, 200}, {6, 0, 200}, {1, 0, 429}} {
		r, w := get("/"), httptest.NewRecorder()
		r.ContentLength = test.length
		h.ServeHTTP(w, r)
		assert.Equal(t, test.code, w.Code)
		assert.InDelta(t, test.left, l.Tokens(), 1e-9)
	}
}

func TestPerKeyIsNoBusinessOfRequestsWithoutKey(t *testing.T) {
	k := ratelimit.NewKeyed[string](0, 1)
	h := ratehttp.Middleware(ratehttp.PerKey("user", k, func(r *http.Request) (string, bool) {
		name, _, ok := r.BasicAuth()
		return name, ok
	}))(ok)
	try := func(user string) *httptest.ResponseRecorder {
		r, w := get("/"), httptest.NewRecorder()
		if user != "" {
			r.SetBasicAuth(user, "")
		}
		h.ServeHTTP(w, r)
		return w
	}
	for range 3 {
		w := try("")
		assert.Equal(t, http.StatusOK, w.Code)
		assert.NotContains(t, w.Header(), "Ratelimit")
		assert.NotContains(t, w.Header(), "Ratelimit-Policy")
	}
	assert.Equal(t, http.StatusOK, try("ann").Code)
	assert.Equal(t, http.StatusTooManyRequests, try("ann").Code)
	assert.Equal(t, http.StatusOK, try("bob").Code)
}

func TestDenied(t *testing.T) {
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, ok := ratehttp.DenialOf(r)
		assert.True(t, ok)
		assert.Equal(t, ratehttp.Denial{Policies: []string{"a", "b"}, RetryAfter: 2500 * time.Millisecond}, d)
		assert.Equal(t, "3", w.Header().Get("Retry-After"))
		http.Error(w, "later", http.StatusServiceUnavailable)
	})
	no := func(after time.Duration) plain { return plain{Limit: 1, RetryAfter: after, ResetAfter: after} }
	w := serve(t, get("/"), ratehttp.Shared("a", no(2500*time.Millisecond)), ratehttp.Shared("b", no(time.Second)),
		ratehttp.Denied(own), ratehttp.WithoutFields())
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.NotContains(t, w.Header(), "Ratelimit")
	_, denied := ratehttp.DenialOf(get("/"))
	assert.False(t, denied)
}

func TestMiddlewareRefusesWhatMakesNoSense(t *testing.T) {
	l := ratelimit.NewLimiter(1, 1)
	k := ratelimit.NewKeyed[string](1, 1)
	for want, f := range map[string]func(){
		"ratehttp: Middleware: no policy":                          func() { ratehttp.Middleware() },
		"ratehttp: Middleware: nil handler":                        func() { ratehttp.Middleware(ratehttp.Shared("a", l))(nil) },
		`ratehttp: two policies with the name "a"`:                 func() { ratehttp.Middleware(ratehttp.Shared("a", l), ratehttp.Shared("a", l)) },
		"ratehttp: Shared: nil limiter":                            func() { ratehttp.Shared("a", nil) },
		"ratehttp: PerKey: nil limiter":                            func() { ratehttp.PerKey("a", nil, ratehttp.ByHeader("X")) },
		"ratehttp: PerKey: nil key":                                func() { ratehttp.PerKey("a", k, nil) },
		"ratehttp: Denied: nil handler":                            func() { ratehttp.Denied(nil) },
		"ratehttp: Cost: nil function":                             func() { ratehttp.Cost(nil) },
		"ratehttp: ByHeader: no name":                              func() { ratehttp.ByHeader("") },
		"ratehttp: policy: want a name":                            func() { ratehttp.Shared("", l) },
		"ratehttp: Window(-1, 1s): want at least 0 and a second":   func() { ratehttp.Window(-1, time.Second) },
		"ratehttp: Window(1, 999ms): want at least 0 and a second": func() { ratehttp.Window(1, 999*time.Millisecond) },
		"ratehttp: NewTransport: no limit":                         func() { ratehttp.NewTransport(nil) },
		"ratehttp: Through: nil limiter":                           func() { ratehttp.Through(nil) },
		"ratehttp: ThroughPerHost: nil limiter":                    func() { ratehttp.ThroughPerHost(nil) },
		"ratehttp: MaxPause(0s): want more than 0":                 func() { ratehttp.MaxPause(0) },
		"ratehttp: Retries(-1): want at least 0":                   func() { ratehttp.Retries(-1) },
	} {
		assert.PanicsWithValue(t, want, f)
	}
}

func BenchmarkMiddleware(b *testing.B) {
	h := ratehttp.Middleware(ratehttp.Shared("all", ratelimit.NewLimiter(1e9, 1e6)))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), get("/")
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
