package ratehttp_test

import (
	"bufio"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

func TestRetryAfterOfHostileServers(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, " 7 ": 7 * time.Second, "007": 7 * time.Second,
		"9223372036": 9223372036 * time.Second, "9223372037": math.MaxInt64, strings.Repeat("9", 1000): math.MaxInt64,
		"Wed, 02 Jan 2030 03:04:15 GMT":     10 * time.Second,
		"Wed, 02 Jan 2030 03:03:15 GMT":     0,
		"Mon, 01 Jan 0001 00:00:00 GMT":     0,
		"Fri, 31 Dec 9999 23:59:59 GMT":     math.MaxInt64,
		"Wednesday, 02-Jan-30 03:04:15 GMT": 10 * time.Second, // RFC 850
		"Wed Jan  2 03:04:15 2030":          10 * time.Second, // asctime
	} {
		got, ok := ratehttp.RetryAfter(http.Header{"Retry-After": {value}}, now)
		assert.True(t, ok, value)
		assert.Equal(t, want, got, value)
	}
	for _, value := range []string{"", " ", "-1", "+1", "1.5", "1e3", "0x10", "1 2", "1,2", "１２", "soon", "1\x00", "Inf"} {
		got, ok := ratehttp.RetryAfter(http.Header{"Retry-After": {value}}, now)
		assert.False(t, ok, "%q: %v", value, got)
	}
	_, ok := ratehttp.RetryAfter(http.Header{"Retry-After": {}}, now)
	assert.False(t, ok)
	got, ok := ratehttp.RetryAfter(http.Header{"Retry-After": {"Wed, 02 Jan 2030 03:04:15 GMT"}, "Date": {"rubbish"}}, now)
	assert.True(t, ok)
	assert.Equal(t, 10*time.Second, got)
}

func TestByIPOfHostileClients(t *testing.T) {
	key := ratehttp.ByIP(prefixes("10.0.0.0/8", "fd00::/8", "::ffff:192.168.0.0/112")...)
	many := strings.Repeat("10.0.0.9,", 5000)
	for _, test := range []struct{ remote, forwarded, want string }{
		{"[2001:db8:1:2:3:4:5:6]:1", "", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1", "", "fe80::/64"},
		{"[fe80::1%eth1]:1", "", "fe80::/64"},
		{"[::ffff:1.2.3.4]:1", "", "1.2.3.4/32"},
		{"[::ffff:10.1.1.1]:1", "9.9.9.9", "9.9.9.9/32"}, // a proxy, in other words
		{"192.168.7.7:1", "9.9.9.9", "9.9.9.9/32"},
		{"[fd00::1%eth0]:1", "9.9.9.9", "9.9.9.9/32"},
		{"1.2.3.4:1", "9.9.9.9", "1.2.3.4/32"}, // nobody that is believed
		{"10.0.0.1:1", "8.8.8.8, 9.9.9.9", "9.9.9.9/32"},
		{"10.0.0.1:1", "8.8.8.8, 9.9.9.9, 10.0.0.2", "9.9.9.9/32"},
		{"10.0.0.1:1", "9.9.9.9, unknown, 10.0.0.2", "10.0.0.2/32"},
		{"10.0.0.1:1", "9.9.9.9,", "10.0.0.1/32"},
		{"10.0.0.1:1", "1.2.3.4.5", "10.0.0.1/32"},
		{"10.0.0.1:1", "0x7f.1", "10.0.0.1/32"},
		{"10.0.0.1:1", "010.0.0.3", "10.0.0.1/32"},
		{"10.0.0.1:1", "\"9.9.9.9\"", "10.0.0.1/32"},
		{"10.0.0.1:1", "[9.9.9.9]", "10.0.0.1/32"},
		{"10.0.0.1:1", "9.9.9.9:99999", "10.0.0.1/32"},
		{"10.0.0.1:1", "[2001:db8::1%a]:80", "2001:db8::/64"},
		{"10.0.0.1:1", "::ffff:9.9.9.9%x", "9.9.9.9/32"},
		{"10.0.0.1:1", "2001:db8::1%" + strings.Repeat("z", 1000), "10.0.0.1/32"},
		{"10.0.0.1:1", many + "10.0.0.3", "10.0.0.9/32"},
		{"10.0.0.1:1", strings.Repeat(",", 100000), "10.0.0.1/32"},
	} {
		r := get("/")
		r.RemoteAddr = test.remote
		r.Header["X-Forwarded-For"] = []string{test.forwarded}
		if test.forwarded == "" {
			delete(r.Header, "X-Forwarded-For")
		}
		got, ok := key(r)
		assert.True(t, ok)
		assert.Equal(t, netip.MustParsePrefix(test.want), got, "%s %.60q", test.remote, test.forwarded)
	}
	for _, remote := range []string{"", "@", "/run/socket", "localhost:80", ":80", "1.2.3:80"} {
		r := get("/")
		r.RemoteAddr = remote
		got, ok := key(r)
		assert.True(t, ok)
		assert.Zero(t, got, remote)
	}
}

// What a handler can do with its ResponseWriter, it can do behind the middleware.
func TestMiddlewarePassesTheWriterOn(t *testing.T) {
	limited := ratehttp.Middleware(ratehttp.Shared("all", ratelimit.NewLimiter(1000, 1000)))
	server := httptest.NewServer(limited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/flush":
			_, _ = w.Write([]byte("first"))
			assert.NoError(t, http.NewResponseController(w).Flush())
			<-r.Context().Done() // the client has seen it and gone
		case "/hijack":
			h, ok := w.(http.Hijacker)
			if !assert.True(t, ok) {
				return
			}
			conn, _, err := h.Hijack()
			if assert.NoError(t, err) {
				_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n"))
				_ = conn.Close()
			}
		case "/panic":
			panic(http.ErrAbortHandler)
		}
	})))
	defer server.Close()

	resp, err := server.Client().Get(server.URL + "/flush")
	require.NoError(t, err)
	got := make([]byte, 5)
	_, err = bufio.NewReader(resp.Body).Read(got)
	require.NoError(t, err)
	assert.Equal(t, "first", string(got))
	require.NoError(t, resp.Body.Close())

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	_, err = conn.Write([]byte("GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 101 Switching Protocols\r\n", line)
	require.NoError(t, conn.Close())

	_, err = server.Client().Get(server.URL + "/panic") //nolint:bodyclose // there is none: the connection is cut
	require.Error(t, err)
	resp, err = server.Client().Head(server.URL + "/head")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.NotEmpty(t, resp.Header.Get("RateLimit"))
}

// A key or cost function that panics leaves no policy with less than it had.
func TestMiddlewareGivesBackWhenAFunctionPanics(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		first := ratelimit.NewLimiter(0, 5)
		limited := ratehttp.Middleware(
			ratehttp.Shared("first", first),
			ratehttp.Shared("second", ratelimit.NewLimiter(0, 5), ratehttp.Cost(func(*http.Request) int { panic("cost") })),
		)(http.NotFoundHandler())
		assert.PanicsWithValue(t, "cost", func() { limited.ServeHTTP(httptest.NewRecorder(), get("/")) })
		assert.InDelta(t, 5, first.Tokens(), 1e-6)
	})
}
