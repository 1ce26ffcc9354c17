package ratehttp_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

// base answers requests with what the test says, and notes them.
type base struct {
	answers []answer // of the first requests; further ones are answered with 200
	bodies  []string
	at      []time.Duration // since the first test step
	start   time.Time
	closed  int // bodies of responses
}

func (b *base) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.start.IsZero() {
		b.start = time.Now()
	}
	b.at = append(b.at, time.Since(b.start))
	body := ""
	if r.Body != nil {
		all, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(all)
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	b.bodies = append(b.bodies, body)
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r}
	resp.Body = closing{strings.NewReader("answer"), func() { b.closed++ }}
	if n := len(b.bodies) - 1; n < len(b.answers) {
		resp.StatusCode = b.answers[n](resp.Header)
	}
	return resp, nil
}

type closing struct {
	io.Reader
	closed func()
}

func (c closing) Close() error { c.closed(); return nil }

// An answer sets fields, and returns the status.
type answer func(http.Header) int

func refuse(status int, retryAfter string) answer {
	return func(h http.Header) int {
		if retryAfter != "" {
			h.Set("Retry-After", retryAfter)
		}
		return status
	}
}

func TestTransportWaitsForTheLimit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		b := &base{}
		client := &http.Client{Transport: ratehttp.NewTransport(b, ratehttp.Through(ratelimit.NewLimiter(1, 1)))}
		for range 3 {
			resp, err := client.Get("http://example.com")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		assert.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, b.at)
	})
}

func TestTransportWaitsForEachHostByItself(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		b := &base{answers: []answer{refuse(429, "10")}}
		client := &http.Client{Transport: ratehttp.NewTransport(b, ratehttp.ThroughPerHost(ratelimit.NewKeyed[string](1, 1)))}
		for _, url := range []string{"http://a.example", "http://b.example", "http://A.example/2", "http://a.example:81/"} {
			resp, err := client.Get(url)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		assert.Equal(t, []time.Duration{0, 0, 10 * time.Second, 10 * time.Second}, b.at)
	})
}

func TestTransportLearnsFromRetryAfter(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer answer
		pause  time.Duration
	}{
		{"429", refuse(429, "30"), 30 * time.Second},
		{"503", refuse(503, "30"), 30 * time.Second},
		{"another status", refuse(500, "30"), 0},
		{"no field", refuse(429, ""), 0},
		{"a date", func(h http.Header) int {
			h.Set("Date", "Fri, 07 Aug 2026 12:00:00 GMT") // our clock says 2000
			return refuse(429, "Fri, 07 Aug 2026 12:01:00 GMT")(h)
		}, time.Minute},
		{"a date that has passed", refuse(429, "Fri, 31 Dec 1999 00:00:00 GMT"), 0},
		{"capped", refuse(429, "86400"), 5 * time.Minute},
		{"more digits than a number has", refuse(429, strings.Repeat("9", 10000)), 5 * time.Minute},
		{"negative", refuse(429, "-5"), 0},
		{"a fraction", refuse(429, "1.5"), 0},
		{"garbage", refuse(429, "soon"), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				b := &base{answers: []answer{test.answer}}
				client := &http.Client{Transport: ratehttp.NewTransport(b, ratehttp.Through(ratelimit.NewLimiter(ratelimit.Inf, 1)))}
				for range 2 {
					resp, err := client.Get("http://example.com")
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					assert.Equal(t, "answer", string(body))
					require.NoError(t, resp.Body.Close())
				}
				assert.Equal(t, []time.Duration{0, test.pause}, b.at)
			})
		})
	}
}

func TestTransportRetries(t *testing.T) {
	replayable := func() *http.Request {
		return httptest.NewRequest(http.MethodPost, "http://example.com", strings.NewReader("body"))
	}
	post := func(t *testing.T) *http.Request {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "http://example.com", strings.NewReader("body"))
		require.NoError(t, err)
		return r
	}
	for _, test := range []struct {
		name    string
		request func(*testing.T) *http.Request
		status  int
		after   string
		made    int
	}{
		{"GET", func(*testing.T) *http.Request { return get("http://example.com") }, 503, "2", 4},
		{"a body that can be had again", post, 429, "2", 4},
		{"503 to a POST may have been half done", post, 503, "2", 1},
		{"a body that cannot be had again", func(t *testing.T) *http.Request {
			t.Helper()
			r := replayable()
			r.Body, r.GetBody = io.NopCloser(r.Body), nil
			return r
		}, 429, "2", 1},
		{"no Retry-After", post, 429, "", 1},
		{"longer than the cap", post, 429, "301", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				no := refuse(test.status, test.after)
				b := &base{answers: []answer{no, no, no, no, no, no}}
				tr := ratehttp.NewTransport(b, ratehttp.Through(ratelimit.NewLimiter(ratelimit.Inf, 1)), ratehttp.Retries(3))
				r := test.request(t)
				r.RequestURI = ""
				resp, err := tr.RoundTrip(r)
				require.NoError(t, err)
				assert.Equal(t, test.status, resp.StatusCode, "the last answer is the caller's")
				assert.Equal(t, test.made-1, b.closed, "the others are closed")
				require.NoError(t, resp.Body.Close())
				require.Len(t, b.at, test.made)
				for i, at := range b.at {
					assert.Equal(t, time.Duration(i)*2*time.Second, at)
					assert.Equal(t, b.bodies[0], b.bodies[i])
				}
			})
		})
	}
}

func TestTransportRetriesUntilItSucceeds(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		b := &base{answers: []answer{refuse(429, "2"), refuse(503, "3")}}
		tr := ratehttp.NewTransport(b, ratehttp.Through(ratelimit.NewLimiter(ratelimit.Inf, 1)), ratehttp.Retries(5))
		resp, err := (&http.Client{Transport: tr}).Get("http://example.com")
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, []time.Duration{0, 2 * time.Second, 5 * time.Second}, b.at)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 3, b.closed)
	})
}

// A deadline that comes before the end of the pause gives the answer that is there, at once.
func TestTransportReturnsTheRefusalWhenTheDeadlineIsTooNear(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		b := &base{answers: []answer{refuse(429, "60")}}
		tr := ratehttp.NewTransport(b, ratehttp.Through(ratelimit.NewLimiter(ratelimit.Inf, 1)), ratehttp.Retries(1))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com", nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(r)
		require.NoError(t, err)
		assert.Equal(t, 429, resp.StatusCode)
		assert.Zero(t, time.Since(start))
		require.NoError(t, resp.Body.Close())

		_, err = tr.RoundTrip(r) //nolint:bodyclose // there is no response
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, time.Since(start), "the limiter knows that it would take longer")
	})
}

func TestTransportThatDoesNotGetThroughClosesTheBody(t *testing.T) {
	b := &base{}
	tr := ratehttp.NewTransport(b, ratehttp.Through(ratelimit.NewLimiter(1, 1)))
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	closed := 0
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://example.com", closing{strings.NewReader("x"), func() { closed++ }})
	require.NoError(t, err)
	_, err = tr.RoundTrip(r) //nolint:bodyclose // there is no response
	require.Error(t, err)
	assert.Equal(t, 1, closed)
	assert.Empty(t, b.at)
}

type idleBase struct {
	base
	closed int
}

func (b *idleBase) CloseIdleConnections() { b.closed++ }

func TestTransportClosesIdleConnectionsOfItsBase(t *testing.T) {
	b := &idleBase{}
	through := ratehttp.Through(ratelimit.NewLimiter(1, 1))
	(&http.Client{Transport: ratehttp.NewTransport(b, through)}).CloseIdleConnections()
	assert.Equal(t, 1, b.closed)
	ratehttp.NewTransport(&base{}, through).CloseIdleConnections() // does nothing
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 8, 7, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		value, date string
		want        time.Duration
		ok          bool
	}{
		{"0", "", 0, true},
		{"120", "", 2 * time.Minute, true},
		{" 120\t", "", 2 * time.Minute, true},
		{"0120", "", 2 * time.Minute, true},
		{"9223372036", "", 9223372036 * time.Second, true},
		{"9223372037", "", math.MaxInt64, true},
		{"99999999999999999999", "", math.MaxInt64, true},
		{"Fri, 07 Aug 2026 12:00:30 GMT", "", 30 * time.Second, true},
		{"Friday, 07-Aug-26 12:00:30 GMT", "", 30 * time.Second, true},
		{"Fri Aug  7 12:00:30 2026", "", 30 * time.Second, true},
		{"Fri, 07 Aug 2026 12:00:30 GMT", "Fri, 07 Aug 2026 12:00:10 GMT", 20 * time.Second, true},
		{"Fri, 07 Aug 2026 12:00:30 GMT", "yesterday", 30 * time.Second, true},
		{"Fri, 07 Aug 2026 11:00:00 GMT", "", 0, true},
		{"", "", 0, false}, {"+5", "", 0, false}, {"-5", "", 0, false}, {"5s", "", 0, false},
		{"1e3", "", 0, false}, {"0x10", "", 0, false}, {"5, 6", "", 0, false}, {"tomorrow", "", 0, false},
		{"\u0665", "", 0, false},
	} {
		h := http.Header{}
		h.Set("Retry-After", test.value)
		h.Set("Date", test.date)
		got, ok := ratehttp.RetryAfter(h, now)
		assert.Equal(t, test.ok, ok, "%q", test.value)
		assert.Equal(t, test.want, got, "%q", test.value)
	}
}
