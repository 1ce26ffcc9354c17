package ratehttp

import (
	"crypto/sha256"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const (
	longestKey  = 64 // bytes; longer keys are hashed
	longestHop  = 64 // bytes of an entry in X-Forwarded-For
	longestPath = 32 // entries of X-Forwarded-For that are read
)

// ByHeader returns a key function for [PerKey]: the key is the value of a header field, such as
// an API key. All requests without the field share one key, the empty one. The key of a value of
// more than 64 bytes is its SHA-256, so that no client decides how much memory a key takes.
// Values are the client's claim: if keys are not checked, anyone can make up as many as they
// like.
//
// ByHeader panics if name is empty.
func ByHeader(name string) func(*http.Request) (string, bool) {
	if name == "" {
		panic("ratehttp: ByHeader: no name")
	}
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) (string, bool) {
		value := ""
		if values := r.Header[name]; len(values) > 0 {
			value = values[0]
		} else if name == "Host" { // which the server takes out of the header
			value = r.Host
		}
		if len(value) <= longestKey {
			return strings.Clone(value), true // not a part of the request, which it would keep alive
		}
		sum := sha256.Sum256([]byte(value))
		return string(sum[:]), true
	}
}

// ByIP returns a key function for [PerKey]: the key is the address of the client or, for IPv6,
// its /64, since that is what one customer has. IPv4 addresses mapped into IPv6 count as IPv4
// addresses.
//
// The address is that of the connection. Only if it is one of the proxies, ByIP reads
// X-Forwarded-For, from the right: the first address that is not a proxy's is the client's, as
// seen by the proxy that added it. Entries further left are the client's claim, and are not read.
// If an entry is not an address, or 32 entries are all proxies, the last proxy found is the key:
// many clients share it, but none can choose it. A connection without an address, such as one
// through a Unix socket, has the zero Prefix as its key.
//
// List the proxies exactly: anyone who can connect from one of these addresses can pose as any
// client. ByIP panics if a prefix is invalid.
func ByIP(proxies ...netip.Prefix) func(*http.Request) (netip.Prefix, bool) {
	trusted := make([]netip.Prefix, len(proxies))
	for i, p := range proxies {
		if !p.IsValid() {
			panic("ratehttp: ByIP: invalid prefix")
		}
		trusted[i] = unmapped(p)
	}
	return func(r *http.Request) (netip.Prefix, bool) {
		addr, ok := parseAddr(r.RemoteAddr)
		if !ok {
			return netip.Prefix{}, true
		}
		if isProxy(trusted, addr) {
			addr = forwardedFor(r.Header["X-Forwarded-For"], trusted, addr)
		}
		return network(addr), true
	}
}

// unmapped turns a prefix of IPv4 addresses mapped into IPv6 into one of IPv4.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}

func isProxy(trusted []netip.Prefix, addr netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// network returns the prefix that the addresses of one client share.
func network(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // the address is valid, so there is no error
	return p
}

// forwardedFor returns the address that the nearest trusted proxy has seen; proxy is the one that
// has connected. Fields of the same name are one list, in order.
func forwardedFor(fields []string, trusted []netip.Prefix, proxy netip.Addr) netip.Addr {
	looked := 0
	for _, rest := range slices.Backward(fields) {
		more := true
		for more {
			if looked++; looked > longestPath {
				return proxy
			}
			var hop string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				hop, more = rest, false
			}
			addr, ok := parseAddr(hop)
			if !ok {
				return proxy
			}
			if !isProxy(trusted, addr) {
				return addr
			}
			proxy = addr
		}
	}
	return proxy
}

// parseAddr parses an address, also with a port or in brackets, as some proxies write it.
func parseAddr(text string) (netip.Addr, bool) {
	if len(text) > longestHop {
		return netip.Addr{}, false
	}
	text = strings.Trim(text, " \t")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		var ap netip.AddrPort
		if ap, err = netip.ParseAddrPort(text); err == nil {
			addr = ap.Addr()
		} else if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
			addr, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
			if err == nil && addr.Is4() {
				return netip.Addr{}, false
			}
		}
	}
	return addr.Unmap().WithZone(""), err == nil
}
