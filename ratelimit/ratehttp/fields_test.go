package ratehttp_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

// item is an item of a list of structured fields: a string with parameters.
type item struct {
	name       string
	parameters map[string]string // integers as they are, strings in quotes
}

// parseList parses what section 4.2.1 of RFC 9651 allows of lists, as far as strings with integers and
// strings as parameters go, and nothing else.
func parseList(field string) ([]item, error) {
	var items []item
	rest := strings.TrimLeft(field, " ")
	for rest != "" {
		name, after, err := parseString(rest)
		if err != nil {
			return nil, err
		}
		it := item{name: name, parameters: map[string]string{}}
		for strings.HasPrefix(after, ";") {
			after = strings.TrimLeft(after[1:], " ")
			end := strings.IndexFunc(after, func(r rune) bool {
				return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_-.*", r)
			})
			if end <= 0 || after[end] != '=' {
				return nil, fmt.Errorf("a parameter without a value at %q", after)
			}
			key := after[:end]
			after = after[end+1:]
			var value string
			if strings.HasPrefix(after, `"`) {
				if value, after, err = parseString(after); err != nil {
					return nil, err
				}
				value = strconv.Quote(value)
			} else {
				end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
				if end < 0 {
					end = len(after)
				}
				if end == 0 || end > 15 {
					return nil, fmt.Errorf("no integer at %q", after)
				}
				value, after = after[:end], after[end:]
			}
			it.parameters[key] = value
		}
		items = append(items, it)
		if after == "" {
			return items, nil
		}
		after = strings.TrimLeft(after, " \t")
		if !strings.HasPrefix(after, ",") {
			return nil, fmt.Errorf("no comma at %q", after)
		}
		if rest = strings.TrimLeft(after[1:], " \t"); rest == "" {
			return nil, fmt.Errorf("a comma at the end of %q", field)
		}
	}
	return items, nil
}

func parseString(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", fmt.Errorf("no string at %q", s)
	}
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch b := s[i]; {
		case b == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", "", fmt.Errorf("a bad escape in %q", s)
			}
			out.WriteByte(s[i])
		case b == '"':
			return out.String(), s[i+1:], nil
		case b < 0x20 || b > 0x7e:
			return "", "", fmt.Errorf("a bad byte in %q", s)
		default:
			out.WriteByte(b)
		}
	}
	return "", "", fmt.Errorf("no end of the string in %q", s)
}

func mustParse(t *testing.T, field string) []item {
	t.Helper()
	items, err := parseList(field)
	require.NoError(t, err)
	return items
}

// described is a limiter that says of itself what a test wants.
type described struct {
	limit    ratelimit.Limit
	burst    int
	decision ratelimit.Decision
}

func (d described) Limit() ratelimit.Limit      { return d.limit }
func (d described) Burst() int                  { return d.burst }
func (d described) Take(int) ratelimit.Decision { return d.decision }

// plain is a limiter that says nothing of itself.
type plain ratelimit.Decision

func (p plain) Take(int) ratelimit.Decision { return ratelimit.Decision(p) }

func TestFields(t *testing.T) {
	allowed := func(limit, remaining int, reset string) ratelimit.Decision {
		return ratelimit.Decision{Allowed: true, Limit: limit, Remaining: remaining, ResetAfter: duration(t, reset)}
	}
	for _, test := range []struct {
		name      string
		limiter   ratehttp.Taker
		opts      []ratehttp.PolicyOption
		policy    string
		rateLimit string
	}{
		{"a burst for seconds", described{10, 25, allowed(25, 24, "100ms")}, nil, `"p";q=25;w=3`, `"p";r=24;t=1`},
		{"a burst of a second", described{10, 10, allowed(10, 0, "1s")}, nil, `"p";q=10;w=1`, `"p";r=0;t=1`},
		{"a burst for less than a second", described{100, 20, allowed(20, 19, "10ms")}, nil, `"p";q=100;w=1`, `"p";r=19;t=1`},
		{"once a minute", described{ratelimit.Limit(1.0 / 60), 1, allowed(1, 0, "1m")}, nil, `"p";q=1;w=60`, `"p";r=0;t=60`},
		{"ten that come each minute", described{ratelimit.Limit(1.0 / 60), 10, allowed(10, 7, "2m30s")}, nil, `"p";q=10;w=600`, `"p";r=7;t=30`},
		{"all there", described{10, 25, allowed(25, 25, "0s")}, nil, `"p";q=25;w=3`, `"p";r=25`},
		{"no limit", described{ratelimit.Inf, 5, allowed(5, 5, "0s")}, nil, ``, `"p";r=5`},
		{"nothing comes back", described{0, 5, ratelimit.Decision{Limit: 5, Remaining: 2, ResetAfter: ratelimit.InfDuration}}, nil, `"p";q=5`, `"p";r=2`},
		{"says nothing of itself", plain(allowed(8, 3, "90s")), nil, `"p";q=8`, `"p";r=3;t=90`},
		{"a window", plain(allowed(8, 3, "90s")), []ratehttp.PolicyOption{ratehttp.Window(8, 3600e9)}, `"p";q=8;w=3600`, `"p";r=3;t=90`},
		{"one that knows its window", ratelimit.NewWindow(100, time.Hour), nil, `"p";q=100;w=3600`, `"p";r=99;t=3600`},
		{"a unit", described{10, 10, allowed(10, 10, "0s")}, []ratehttp.PolicyOption{ratehttp.Unit("content-bytes")},
			`"p";q=10;qu="content-bytes";w=1`, `"p";r=10`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := serve(t, get("/"), ratehttp.Shared("p", test.limiter, test.opts...))
			assert.Equal(t, test.policy, w.Header().Get("RateLimit-Policy"))
			assert.Equal(t, test.rateLimit, w.Header().Get("RateLimit"))
			mustParse(t, test.policy)
			mustParse(t, test.rateLimit)
		})
	}
}

// "Integers of structured fields have 15 digits at most", which an int of 32 bits has not.
func TestNumbersLargerThanAnIntegerMayBe(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("an int has 32 bits")
	}
	burst, left := int64(2_000_000_000_000_000), int64(1_500_000_000_000_000)
	limiter := described{1e-9, int(burst), ratelimit.Decision{Allowed: true, Limit: int(burst), Remaining: int(left)}}
	w := serve(t, get("/"), ratehttp.Shared("p", limiter))
	assert.Equal(t, `"p";q=999999999999999;w=999999999999999`, w.Header().Get("RateLimit-Policy"))
	assert.Equal(t, `"p";r=999999999999999`, w.Header().Get("RateLimit"))
}

func TestNamesOfPoliciesAreEscaped(t *testing.T) {
	for _, name := range []string{`say "so"`, `back\slash`, `both\"`, `a;b=c,d`, " ", "~"} {
		w := serve(t, get("/"), ratehttp.Shared(name, plain{Allowed: true, Limit: 2, Remaining: 1}))
		for _, field := range []string{"RateLimit-Policy", "RateLimit"} {
			items := mustParse(t, w.Header().Get(field))
			require.Len(t, items, 1)
			assert.Equal(t, name, items[0].name)
		}
	}
	for _, name := range []string{"", "caf\u00e9", "a\nb", "\x7f", "\x00"} {
		assert.Panics(t, func() { ratehttp.Shared(name, plain{}) }, "%q", name)
		assert.Panics(t, func() { ratehttp.Unit(name) }, "%q", name)
	}
}

func TestFieldsOfSeveralPoliciesAreOneList(t *testing.T) {
	w := serve(t, get("/"), ratehttp.Shared("a", ratelimit.NewLimiter(1, 5)), ratehttp.Shared("b", ratelimit.NewLimiter(1, 50)))
	policies := mustParse(t, w.Header().Get("RateLimit-Policy"))
	limits := mustParse(t, w.Header().Get("RateLimit"))
	assert.Equal(t, []item{{"a", map[string]string{"q": "5", "w": "5"}}, {"b", map[string]string{"q": "50", "w": "50"}}}, policies)
	assert.Equal(t, []item{{"a", map[string]string{"r": "4", "t": "1"}}, {"b", map[string]string{"r": "49", "t": "1"}}}, limits)
}

// A middleware within another adds its policies to those of the outer one.
func TestFieldsOfNestedMiddlewares(t *testing.T) {
	inner := ratehttp.Middleware(ratehttp.Shared("inner", ratelimit.NewLimiter(1, 5)))(ok)
	outer := ratehttp.Middleware(ratehttp.Shared("outer", ratelimit.NewLimiter(1, 2)))(inner)
	w := httptest.NewRecorder()
	outer.ServeHTTP(w, get("/"))
	assert.Equal(t, []string{`"outer";r=1;t=1`, `"inner";r=4;t=1`}, w.Header().Values("RateLimit"))
	assert.Equal(t, []string{`"outer";q=2;w=2`, `"inner";q=5;w=5`}, w.Header().Values("RateLimit-Policy"))
}

// What a policy without a limit has left does not change when a request is denied.
func TestFieldsOfAPolicyWithoutALimit(t *testing.T) {
	h := ratehttp.Middleware(ratehttp.Shared("free", ratelimit.NewLimiter(ratelimit.Inf, 10)), ratehttp.Shared("tight", ratelimit.NewLimiter(0, 1)))(ok)
	for _, code := range []int{http.StatusOK, http.StatusTooManyRequests} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, get("/"))
		assert.Equal(t, code, w.Code)
		left := min(math.MaxInt, int64(999_999_999_999_999))
		assert.Equal(t, fmt.Sprintf(`"free";r=%d, "tight";r=0`, left), w.Header().Get("RateLimit"))
	}
}
