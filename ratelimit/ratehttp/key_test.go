package ratehttp_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

func TestByIP(t *testing.T) {
	proxies := prefixes("10.0.0.0/8", "2001:db8:ffff::/48", "::ffff:192.0.2.0/120")
	list := func(n int, address string) string { return strings.Repeat(address+", ", n-1) + address }
	for _, test := range []struct {
		name      string
		remote    string
		forwarded []string
		want      string // empty: the zero Prefix
	}{
		{"a connection", "198.51.100.7:1234", nil, "198.51.100.7/32"},
		{"IPv6 by its /64", "[2001:db8:1:2:3:4:5:6]:1234", nil, "2001:db8:1:2::/64"},
		{"with a zone", "[fe80::1%eth0]:1234", nil, "fe80::/64"},
		{"IPv4 in IPv6", "[::ffff:198.51.100.7]:1234", nil, "198.51.100.7/32"},
		{"a stranger's claim", "198.51.100.7:1234", []string{"203.0.113.9"}, "198.51.100.7/32"},
		{"a stranger who claims to be a proxy", "198.51.100.7:1234", []string{"203.0.113.9, 10.0.0.1"}, "198.51.100.7/32"},
		{"a proxy", "10.0.0.1:1234", []string{"203.0.113.9"}, "203.0.113.9/32"},
		{"a proxy in IPv6", "[2001:db8:ffff::1]:1", []string{"2001:db8:7:8::9"}, "2001:db8:7:8::/64"},
		{"a proxy, IPv4 in IPv6", "[::ffff:10.1.2.3]:1", []string{"203.0.113.9"}, "203.0.113.9/32"},
		{"a proxy listed as IPv4 in IPv6", "192.0.2.77:1", []string{"203.0.113.9"}, "203.0.113.9/32"},
		{"two proxies", "10.0.0.1:1234", []string{"203.0.113.9, 10.9.9.9"}, "203.0.113.9/32"},
		{"spoofed on the left", "10.0.0.1:1234", []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9/32"},
		{"spoofed as a proxy", "10.0.0.1:1234", []string{"1.1.1.1, 10.4.4.4, 203.0.113.9"}, "203.0.113.9/32"},
		{"several fields", "10.0.0.1:1234", []string{"1.1.1.1", "203.0.113.9, 10.7.7.7"}, "203.0.113.9/32"},
		{"the last field is all proxies", "10.0.0.1:1234", []string{"1.1.1.1, 203.0.113.9", "10.7.7.7"}, "203.0.113.9/32"},
		{"garbage on the left", "10.0.0.1:1234", []string{"<script>, 203.0.113.9"}, "203.0.113.9/32"},
		{"garbage on the right", "10.0.0.1:1234", []string{"203.0.113.9, unknown"}, "10.0.0.1/32"},
		{"garbage beside a proxy", "10.0.0.1:1234", []string{"nonsense, 10.5.5.5"}, "10.5.5.5/32"},
		{"only proxies", "10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3/32"},
		{"an empty field", "10.0.0.1:1234", []string{""}, "10.0.0.1/32"},
		{"commas", "10.0.0.1:1234", []string{",,,"}, "10.0.0.1/32"},
		{"no field", "10.0.0.1:1234", nil, "10.0.0.1/32"},
		{"with a port", "10.0.0.1:1234", []string{"203.0.113.9:4711"}, "203.0.113.9/32"},
		{"IPv6 with a port", "10.0.0.1:1234", []string{"[2001:db8:7:8::9]:4711"}, "2001:db8:7:8::/64"},
		{"IPv6 in brackets", "10.0.0.1:1234", []string{"[2001:db8:7:8::9]"}, "2001:db8:7:8::/64"},
		{"IPv4 in brackets", "10.0.0.1:1234", []string{"[203.0.113.9]"}, "10.0.0.1/32"},
		{"tabs", "10.0.0.1:1234", []string{"\t203.0.113.9\t"}, "203.0.113.9/32"},
		{"leading zeros", "10.0.0.1:1234", []string{"203.0.113.009"}, "10.0.0.1/32"},
		{"a giant list of proxies", "10.0.0.1:1234", []string{list(100_000, "10.0.0.2")}, "10.0.0.2/32"},
		{"behind more proxies than are looked at", "10.0.0.1:1234", []string{"203.0.113.9, " + list(40, "10.0.0.2")}, "10.0.0.2/32"},
		{"a giant address", "10.0.0.1:1234", []string{strings.Repeat("1", 1<<20)}, "10.0.0.1/32"},
		{"giant blanks", "10.0.0.1:1234", []string{"203.0.113.9" + strings.Repeat(" ", 1<<20)}, "10.0.0.1/32"},
		{"a Unix socket", "@", []string{"203.0.113.9"}, ""},
		{"nothing", "", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := get("/")
			r.RemoteAddr = test.remote
			r.Header["X-Forwarded-For"] = test.forwarded
			want := netip.Prefix{}
			if test.want != "" {
				want = netip.MustParsePrefix(test.want)
			}
			got, ok := ratehttp.ByIP(proxies...)(r)
			assert.True(t, ok)
			assert.Equal(t, want, got)
		})
	}
	assert.Panics(t, func() { ratehttp.ByIP(netip.Prefix{}) })
}

// Whatever a client writes on the left, its key is what the proxy has seen.
func FuzzByIPCannotBeChosenByTheClient(f *testing.F) {
	for _, seed := range []string{"", "1.1.1.1", "10.0.0.1", "a,b", "::1, [::1]:80", "10.0.0.1, 10.0.0.2,"} {
		f.Add(seed)
	}
	key := ratehttp.ByIP(prefixes("10.0.0.0/8")...)
	f.Fuzz(func(t *testing.T, claim string) {
		r := get("/")
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Forwarded-For"] = []string{claim + ", 203.0.113.9"}
		got, ok := key(r)
		assert.True(t, ok)
		assert.Equal(t, netip.MustParsePrefix("203.0.113.9/32"), got)

		r.RemoteAddr = "198.51.100.7:1"
		got, _ = key(r)
		assert.Equal(t, netip.MustParsePrefix("198.51.100.7/32"), got)
	})
}

func TestByHeader(t *testing.T) {
	key := ratehttp.ByHeader("x-api-key")
	of := func(values ...string) string {
		r := get("/")
		r.Header["X-Api-Key"] = values
		k, ok := key(r)
		assert.True(t, ok)
		return k
	}
	assert.Equal(t, "abc", of("abc"))
	assert.Equal(t, "abc", of("abc", "def"), "the first one, as Header.Get does")
	assert.Empty(t, of())
	long := strings.Repeat("k", 1<<20)
	assert.Len(t, of(long), 32)
	first := of(long)
	assert.Equal(t, first, of(long))
	assert.NotEqual(t, of(long), of(long+"k"))
	assert.Equal(t, strings.Repeat("k", 64), of(strings.Repeat("k", 64)))
	r := get("/")
	r.Header = http.Header{}
	k, ok := key(r)
	assert.True(t, ok)
	assert.Empty(t, k)
}

// A server takes the field Host out of the header.
func TestByHeaderHost(t *testing.T) {
	key := ratehttp.ByHeader("host")
	for _, host := range []string{"a.example", "b.example:8080"} {
		r := get("/")
		r.Host = host
		k, ok := key(r)
		assert.True(t, ok)
		assert.Equal(t, host, k)
	}
}
