package ratehttp

import (
	"fmt"
	"net/http"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// Taker is a limiter that all requests share, such as *ratelimit.Limiter. It must be safe for use
// by several goroutines. A limiter that has the methods Limit and Burst, as *ratelimit.Limiter
// has, or N and Per, as *ratelimit.Window has, describes itself in RateLimit-Policy; for others,
// see [Window]. A limiter with a method Refund(n int) gets back what a denied request took.
type Taker interface {
	Take(n int) ratelimit.Decision
}

// KeyedTaker is a limiter with a limit for each key, such as *ratelimit.Keyed. It must be safe
// for use by several goroutines. The further methods of [Taker] apply here, too, with Refund(key
// K, n int).
type KeyedTaker[K comparable] interface {
	Take(key K, n int) ratelimit.Decision
}

// Shared adds a policy for all requests together. The name is what clients see in the fields.
// Shared panics unless the name is printable ASCII, and if the limiter is nil.
func Shared(name string, limiter Taker, opts ...PolicyOption) Option {
	if limiter == nil {
		panic("ratehttp: Shared: nil limiter")
	}
	p := newPolicy(name, limiter, opts)
	refunder, refunds := limiter.(interface{ Refund(n int) })
	p.take = func(r *http.Request, denied bool) (taken, bool) {
		cost, n := p.price(r, denied)
		t := taken{Decision: limiter.Take(n), cost: cost, onlyAsked: denied}
		if refunds && t.Allowed && n > 0 {
			t.refund = func() { refunder.Refund(n) }
		}
		return t, true
	}
	return func(m *middleware) { m.add(p) }
}

// PerKey adds a policy that limits the requests of each key separately. Requests for which key
// reports false are not limited by this policy. The name is what clients see in the fields.
// PerKey panics unless the name is printable ASCII, and if the limiter or key is nil.
func PerKey[K comparable](name string, limiter KeyedTaker[K], key func(*http.Request) (K, bool), opts ...PolicyOption) Option {
	switch {
	case limiter == nil:
		panic("ratehttp: PerKey: nil limiter")
	case key == nil:
		panic("ratehttp: PerKey: nil key")
	}
	p := newPolicy(name, limiter, opts)
	refunder, refunds := limiter.(interface{ Refund(key K, n int) })
	p.take = func(r *http.Request, denied bool) (taken, bool) {
		k, ok := key(r)
		if !ok {
			return taken{}, false
		}
		cost, n := p.price(r, denied)
		t := taken{Decision: limiter.Take(k, n), cost: cost, onlyAsked: denied}
		if refunds && t.Allowed && n > 0 {
			t.refund = func() { refunder.Refund(k, n) }
		}
		return t, true
	}
	return func(m *middleware) { m.add(p) }
}

// PolicyOption is an option of [Shared] and [PerKey]. Options may be reused and shared by
// goroutines; nil is not an option.
type PolicyOption func(*policy)

// Cost sets how much of the quota a request takes; a cost below 0 counts as 0. The default is 1.
// A request that costs more than the policy ever has is always denied. Cost panics if the
// function is nil.
func Cost(cost func(*http.Request) int) PolicyOption {
	if cost == nil {
		panic("ratehttp: Cost: nil function")
	}
	return func(p *policy) { p.cost = cost }
}

// Unit names in the fields what is counted: "content-bytes" or another unit of the draft's
// registry. The default is the draft's, "requests". Unit panics unless the unit is printable
// ASCII.
func Unit(unit string) PolicyOption {
	text := sfString("Unit", unit)
	return func(p *policy) { p.unit = text }
}

// Window describes the policy in RateLimit-Policy as quota in every window, for a limiter that
// does not describe itself. It panics if quota is negative or the window is shorter than a
// second.
func Window(quota int, window time.Duration) PolicyOption {
	if quota < 0 || window < time.Second {
		panic(fmt.Sprintf("ratehttp: Window(%d, %v): want at least 0 and a second", quota, window))
	}
	return func(p *policy) { p.quota, p.window = quota, window }
}

type policy struct {
	name    string
	label   string // the name as a string of a structured field
	unit    string // the unit in the same form; empty for the default
	cost    func(*http.Request) int
	quota   int
	window  time.Duration // 0: as the limiter says
	limiter limits        // nil if the limiter does not describe itself
	take    func(r *http.Request, denied bool) (taken, bool)
}

// limits is a limiter that describes itself.
type limits interface {
	Limit() ratelimit.Limit
	Burst() int
}

func newPolicy(name string, limiter any, opts []PolicyOption) *policy {
	p := &policy{name: name, label: sfString("policy", name), cost: func(*http.Request) int { return 1 }}
	p.limiter, _ = limiter.(limits)
	if w, ok := limiter.(interface {
		N() int
		Per() time.Duration
	}); ok {
		p.quota, p.window = w.N(), w.Per()
	}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// price returns what the request costs, and what it takes: nothing if it is denied anyway.
func (p *policy) price(r *http.Request, denied bool) (cost, take int) {
	cost = max(p.cost(r), 0)
	if denied {
		return cost, 0
	}
	return cost, cost
}
