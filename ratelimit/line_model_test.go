package ratelimit_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// standing is a bucket with a line before it, as the documentation tells it: tokens as a
// fraction, times in nanoseconds, and nothing of how the limiter does it.
type standing struct {
	now      int64
	tokens   *big.Rat
	interval int64 // 0 is a limit of zero
	burst    int64
	paused   int64 // until then
	line     []*caller
	returned map[string]int64 // when
	errors   map[string]string
}

type caller struct {
	name     string
	n        int64
	deadline int64 // 0 is none
}

func (s *standing) gain(to int64) {
	if s.interval > 0 && to > s.now {
		s.tokens.Add(s.tokens, big.NewRat(to-s.now, s.interval))
	}
	s.now = max(s.now, to)
	s.cap()
}

func (s *standing) cap() {
	if full := new(big.Rat).SetInt64(s.burst); s.tokens.Cmp(full) > 0 {
		s.tokens.Set(full)
	}
}

// at is when n tokens more than short are there; false is never.
func (s *standing) at(short, n int64) (int64, bool) {
	missing := new(big.Rat).Sub(new(big.Rat).SetInt64(n+short), s.tokens)
	if missing.Sign() <= 0 {
		return max(s.now, s.paused), true
	}
	if s.interval == 0 {
		return 0, false
	}
	missing.Mul(missing, new(big.Rat).SetInt64(s.interval))
	ceil := new(big.Int).Add(missing.Num(), new(big.Int).Sub(missing.Denom(), big.NewInt(1)))
	ceil.Div(ceil, missing.Denom())
	return max(s.now+ceil.Int64(), s.paused), true
}

// to lets time pass: who stands at the head is served as soon as the tokens are there.
func (s *standing) to(t int64) {
	for len(s.line) > 0 {
		head := s.line[0]
		at, ok := s.at(0, head.n)
		if !ok || at > t {
			break
		}
		s.gain(at)
		s.tokens.Sub(s.tokens, new(big.Rat).SetInt64(head.n))
		s.leave(head, "")
	}
	s.gain(t)
}

func (s *standing) leave(c *caller, err string) {
	for i, other := range s.line {
		if other == c {
			s.line = append(s.line[:i:i], s.line[i+1:]...)
			s.returned[c.name], s.errors[c.name] = s.now, err
			return
		}
	}
}

func (s *standing) clone() *standing {
	c := *s
	c.tokens = new(big.Rat).Set(s.tokens)
	c.line = append([]*caller(nil), s.line...)
	c.returned, c.errors = map[string]int64{}, map[string]string{}
	return &c
}

// come lets a caller in, or sends it away.
func (s *standing) come(c *caller) {
	s.line = append(s.line, c)
	switch {
	case c.n > s.burst:
		s.leave(c, "burst")
	case c.deadline > 0:
		future := s.clone()
		future.to(c.deadline)
		if at, ok := future.returned[c.name]; !ok || at > c.deadline {
			s.leave(c, "deadline")
		}
	}
	s.to(s.now)
}

func (s *standing) setBurst(n int64) {
	s.burst = n
	s.cap()
	for _, c := range append([]*caller(nil), s.line...) {
		if c.n > n {
			s.leave(c, "burst")
		}
	}
	s.to(s.now)
}

// Callers that come, give up and are served, and limits that change under them, each at its
// own instant: who is served and when is what the documentation says. A change of the limit rounds to a tick of the
// new one, to the side of fewer tokens: hence a microsecond and a part of a token.
func TestLineAgreesWithItsModel(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) { lineAgainstModel(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func lineAgainstModel(t *testing.T, random *rand.Rand) {
	intervals := []time.Duration{time.Millisecond, 2 * time.Millisecond, 8 * time.Millisecond, 64 * time.Millisecond}
	interval := intervals[random.IntN(len(intervals))]
	burst := 1 + random.IntN(6)
	start := time.Now()
	limiter := ratelimit.NewLimiter(ratelimit.Every(interval), burst)
	model := &standing{
		tokens: big.NewRat(int64(burst), 1), interval: int64(interval), burst: int64(burst),
		returned: map[string]int64{}, errors: map[string]string{},
	}
	q := newQueue(t)
	type leaver struct {
		*caller
		cancel context.CancelFunc
	}
	var all []leaver
	served := map[string]string{}
	var script []string
	say := func(format string, args ...any) {
		script = append(script, fmt.Sprintf("%v ", time.Since(start))+fmt.Sprintf(format, args...))
	}

	for step := range 120 {
		time.Sleep(time.Duration(1+random.Int64N(int64(4*time.Millisecond))) | 1)
		synctest.Wait()
		now := time.Since(start)
		// Deadlines of those in line come true as time passes.
		for {
			var first *caller
			for _, c := range model.line {
				if c.deadline > 0 && c.deadline <= int64(now) && (first == nil || c.deadline < first.deadline) {
					first = c
				}
			}
			if first == nil {
				break
			}
			model.to(first.deadline)
			model.leave(first, "deadline")
		}
		model.to(int64(now))
		n := 1 + random.IntN(burst)
		switch op := random.IntN(20); {
		case op < 7:
			c := &caller{name: fmt.Sprint("c", step), n: int64(n)}
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			if random.IntN(4) == 0 {
				d := time.Duration(random.Int64N(int64(100 * time.Millisecond)))
				c.deadline = int64(now + d)
				ctx, cancel = context.WithDeadline(ctx, start.Add(now+d))
				t.Cleanup(cancel)
			}
			all = append(all, leaver{c, cancel})
			say("%s waits for %d until %v", c.name, n, time.Duration(c.deadline))
			q.wait(c.name, func() error { return limiter.WaitN(ctx, n) })
			model.come(c)
		case op < 9 && len(all) > 0:
			c := all[random.IntN(len(all))]
			say("%s gives up", c.name)
			c.cancel()
			model.leave(c.caller, "canceled")
			model.to(int64(now))
		case op < 12:
			want := len(model.line) == 0 && model.paused <= model.now && model.tokens.Cmp(big.NewRat(int64(n), 1)) >= 0
			if want {
				model.tokens.Sub(model.tokens, big.NewRat(int64(n), 1))
			}
			say("allow %d: %v", n, want)
			require.Equal(t, want, limiter.AllowN(time.Now(), n), "%v", script)
		case op < 13:
			interval = intervals[random.IntN(len(intervals))]
			if random.IntN(5) == 0 {
				interval = 0
				limiter.SetLimit(0)
			} else {
				limiter.SetLimit(ratelimit.Every(interval))
			}
			say("limit %v", interval)
			model.interval = int64(interval)
			model.to(int64(now))
		case op < 14:
			burst = 1 + random.IntN(6)
			say("burst %d", burst)
			limiter.SetBurst(burst)
			model.setBurst(int64(burst))
		case op < 15:
			until := now + time.Duration(random.Int64N(int64(30*time.Millisecond)))
			say("pause until %v", until)
			limiter.Pause(start.Add(until))
			model.paused = max(model.paused, int64(until))
		case op < 16:
			say("refund %d", n)
			limiter.Refund(n)
			model.tokens.Add(model.tokens, big.NewRat(int64(n), 1))
			model.cap()
			model.to(int64(now))
		case op < 18:
			actual := random.IntN(7)
			say("settle %d %d", n, actual)
			limiter.Settle(n, actual)
			model.tokens.Add(model.tokens, big.NewRat(int64(n-actual), 1))
			model.cap()
			model.to(int64(now))
		default:
		}
		synctest.Wait()
		tokens, _ := model.tokens.Float64()
		require.InDelta(t, tokens, limiter.Tokens(), 1e-4, "%v", script)
		for _, entry := range q.served() {
			var name, at, failure string
			_, _ = fmt.Sscan(entry, &name, &at, &failure)
			if _, ok := served[name]; ok {
				continue
			}
			served[name] = failure
			got, err := time.ParseDuration(at)
			require.NoError(t, err)
			want, ok := model.returned[name]
			if failure == "deadline" && !ok { // sent away, or about to be
				for _, c := range all {
					if c.name == name {
						model.leave(c.caller, failure)
						model.to(int64(now))
					}
				}
				continue
			}
			require.True(t, ok, "%s has returned %q and should not: %v", name, failure, script)
			require.Equal(t, model.errors[name], failure, "%s: %v", name, script)
			require.InDelta(t, want, int64(got), 1000, "%s: %v", name, script)
		}
		for name := range model.returned {
			require.Contains(t, served, name, "should have returned: %v", script)
		}
	}
	for _, c := range all {
		c.cancel()
	}
	synctest.Wait()
}
