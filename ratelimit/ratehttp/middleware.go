package ratehttp

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// Option is an option of [Middleware]. Options may be reused and shared by goroutines; nil is
// not an option.
type Option func(*middleware)

// Middleware returns a function that puts policies around a handler: [Shared], [PerKey] and
// more of them, in the order in which they are asked. A request that all of them let through,
// or that none applies to, goes to the handler. The fields are set before it is called, and it
// may change them; the fields of a Middleware within another are added to those of the outer one. A request that one policy denies is answered with 429, or as [Denied] says.
// What other policies took for it is given back if they have a method Refund. This also
// happens if a function that was given to a policy panics.
//
// Middleware panics if there is no policy, or if two have the same name.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	m := &middleware{denied: http.HandlerFunc(problem)}
	for _, opt := range opts {
		opt(m)
	}
	if len(m.policies) == 0 {
		panic("ratehttp: Middleware: no policy")
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("ratehttp: Middleware: nil handler")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) })
	}
}

// Denied sets the handler that answers denied requests. It can get the reason from [DenialOf].
// The fields RateLimit-Policy, RateLimit and Retry-After are set before it is called; it sets
// the status itself. The default answers 429 with the problem type "quota-exceeded" in JSON.
// Denied panics if the handler is nil.
func Denied(handler http.Handler) Option {
	if handler == nil {
		panic("ratehttp: Denied: nil handler")
	}
	return func(m *middleware) { m.denied = handler }
}

// WithoutFields turns off RateLimit-Policy and RateLimit, for servers that do not want to
// publish their limits. Retry-After stays.
func WithoutFields() Option { return func(m *middleware) { m.silent = true } }

type middleware struct {
	policies []*policy
	denied   http.Handler
	silent   bool
}

func (m *middleware) add(p *policy) {
	if slices.ContainsFunc(m.policies, func(other *policy) bool { return other.name == p.name }) {
		panic("ratehttp: two policies with the name " + strconv.Quote(p.name))
	}
	m.policies = append(m.policies, p)
}

// taken is what one policy has decided about a request.
type taken struct {
	policy *policy
	ratelimit.Decision
	cost      int
	onlyAsked bool   // for its state, since another policy had denied the request
	refund    func() // nil if nothing was taken or it cannot be given back
	refunded  bool
}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	var few [4]taken // on the stack, for most
	all, denied := m.ask(r, few[:0])
	if !m.silent && len(all) > 0 {
		addFields(w.Header(), all)
	}
	if !denied {
		next.ServeHTTP(w, r)
		return
	}
	d := denial(all)
	if d.RetryAfter < ratelimit.InfDuration {
		w.Header().Set("Retry-After", strconv.FormatInt(seconds(d.RetryAfter), 10))
	}
	m.denied.ServeHTTP(w, r.WithContext(withDenial(r.Context(), d)))
}

// ask asks all policies that apply. If one denies, the others get back what they gave; those
// after it are only asked for their state.
func (m *middleware) ask(r *http.Request, all []taken) (_ []taken, denied bool) {
	asked := false
	defer func() {
		if !asked { // a key or cost function has panicked
			giveBack(all)
		}
	}()
	for _, p := range m.policies {
		t, applies := p.take(r, denied)
		if !applies {
			continue
		}
		t.policy = p
		all = append(all, t)
		denied = denied || !t.Allowed
	}
	asked = true
	if denied {
		giveBack(all)
	}
	return all, denied
}

// giveBack gives back what was taken for a request that will not be served.
func giveBack(all []taken) {
	for i := range all {
		if t := &all[i]; t.refund != nil {
			t.refund()
			t.refunded = true
			if missing := t.Limit - t.Remaining; missing > 0 {
				t.Remaining += min(t.cost, missing)
			}
		}
	}
}

// seconds rounds up, so that no client comes back too early.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return max(s, 0)
}
