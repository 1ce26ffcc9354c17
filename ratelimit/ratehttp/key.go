package ratehttp

import (
	"crypto/sha256"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const (
	longestKey  = 64 // bytes; longer ones count by their hash
	longestHop  = 64 // bytes of an address in X-Forwarded-For, with all that may be around it
	longestPath = 32 // addresses in X-Forwarded-For that are looked at
)

// ByHeader returns a key function for [PerKey]: the value of a header field, such as an API key.
// All requests without it share one key, the empty one. The key of a value of more than 64 bytes
// is its SHA-256, so that no client decides how much memory a key takes. Values are the client's
// claim: for a key that was not checked, anybody can make up as many as he likes.
//
// It panics without a name.
func ByHeader(name string) func(*http.Request) (string, bool) {
	if name == "" {
		panic("ratehttp: ByHeader: no name")
	}
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) (string, bool) {
		value := ""
		if values := r.Header[name]; len(values) > 0 {
			value = values[0]
		}
		if len(value) <= longestKey {
			return strings.Clone(value), true // not a part of the whole request
		}
		sum := sha256.Sum256([]byte(value))
		return string(sum[:]), true
	}
}

// ByIP returns a key function for [PerKey]: the address of the client, of IPv6 its /64, since
// that is what one customer has. IPv4 addresses that are mapped into IPv6 count as what they are.
//
// The address is that of the connection. Only if that is one of the proxies, X-Forwarded-For is
// asked, from the right: the first address there that is not a proxy's is the client's, as the
// proxy beside it has seen it. What is further left is the client's claim, and is not looked at.
// If an entry is no address, or 32 entries are all proxies, the last proxy is the key: that is
// shared by many, but cannot be chosen by one. A connection without an address, such as one
// through a Unix socket, has the zero Prefix as its key.
//
// List the proxies exactly: whoever can connect from one of these addresses can be any client. An
// invalid prefix panics.
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

// unmapped returns a prefix of IPv4 for one of IPv4 addresses mapped into IPv6.
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

// network returns what addresses of one client have in common.
func network(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // of a valid address, and so never an error
	return p
}

// forwardedFor returns the address that the nearest proxy who is believed has seen; proxy is the
// one that has connected. Fields of the same name are one list, in order.
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

// parseAddr reads an address, with a port or in brackets as some proxies write it.
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
