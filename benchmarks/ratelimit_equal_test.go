package benchmarks

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/millstream-go/millstream/ratelimit"
)

// twins are a limiter of each package, to which the same happens.
type twins struct {
	t      *testing.T
	random *rand.Rand
	theirs *rate.Limiter
	ours   *ratelimit.Limiter
	now    time.Time
	perSec float64
	last   time.Time // that a reservation stands for
	log    []string
}

// Where the documentation names no difference to x/time/rate, there is none. Time only goes
// forward, limits are such that x/time rounds little, and only the last reservation is canceled.
func TestRatelimitEqualsXTime(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			perSec, burst := math.Ldexp(1, random.IntN(12)-2), 1+random.IntN(20)
			w := &twins{
				t: t, random: random, now: time.Now(), perSec: perSec,
				theirs: rate.NewLimiter(rate.Limit(perSec), burst),
				ours:   ratelimit.NewLimiter(ratelimit.Limit(perSec), burst),
			}
			w.ours.SetLimitAt(w.now, w.ours.Limit()) // so that the clocks of both begin here
			w.theirs.SetLimitAt(w.now, w.theirs.Limit())
			for range 300 {
				w.step()
			}
		})
	}
}

// say notes what has happened last.
func (w *twins) say(format string, args ...any) {
	w.log = append(w.log[max(0, len(w.log)-4):], fmt.Sprintf(format, args...))
}

func (w *twins) step() {
	w.now = w.now.Add(time.Duration(w.random.ExpFloat64() / w.perSec * float64(time.Second)))
	n := w.random.IntN(w.theirs.Burst() + 2)
	require.Equal(w.t, w.theirs.Burst(), w.ours.Burst())
	require.Equal(w.t, float64(w.theirs.Limit()), float64(w.ours.Limit())) //nolint:testifylint // as it was set
	tokens := w.theirs.TokensAt(w.now)
	require.InDelta(w.t, tokens, w.ours.TokensAt(w.now), 1e-4, "%v", w.log)
	if math.Abs(tokens-float64(n)) < 1e-3 { // what rounding decides
		return
	}
	w.say("at %d: %d of %v", w.now.UnixNano(), n, tokens)
	switch w.random.IntN(8) {
	case 0:
		w.perSec = math.Ldexp(1, w.random.IntN(12)-2)
		w.say("limit %v", w.perSec)
		w.theirs.SetLimitAt(w.now, rate.Limit(w.perSec))
		w.ours.SetLimitAt(w.now, ratelimit.Limit(w.perSec))
	case 1:
		if burst := 1 + w.random.IntN(20); tokens <= float64(burst) || w.random.IntN(2) == 0 {
			w.say("burst %d", burst)
			w.theirs.SetBurstAt(w.now, burst)
			w.ours.SetBurstAt(w.now, burst)
			w.theirs.AllowN(w.now, 0) // theirs caps the tokens with the next call
		}
	case 2, 3:
		w.reserve(n)
	default:
		if n == 0 && tokens < 0 {
			return
		}
		require.Equal(w.t, w.theirs.AllowN(w.now, n), w.ours.AllowN(w.now, n), "%v", w.log)
	}
}

func (w *twins) reserve(n int) {
	if n == 0 {
		return
	}
	w.say("reserve %d", n)
	theirs, ours := w.theirs.ReserveN(w.now, n), w.ours.ReserveN(w.now, n)
	require.Equal(w.t, theirs.OK(), ours.OK(), "%v", w.log)
	if !ours.OK() {
		require.Equal(w.t, theirs.DelayFrom(w.now), ours.DelayFrom(w.now))
		return
	}
	delay := theirs.DelayFrom(w.now)
	require.InDelta(w.t, delay, ours.DelayFrom(w.now), 0.001/w.perSec*float64(time.Second)+2, "%v", w.log)
	due := w.now.Add(delay)
	if delay < 10 || due.Before(w.last) || w.random.IntN(2) == 0 {
		w.last = later(due, w.last)
		return
	}
	w.now = w.now.Add(delay / 3)
	w.say("cancel at %d", w.now.UnixNano())
	theirs.CancelAt(w.now)
	ours.CancelAt(w.now)
	ours.CancelAt(w.now) // nothing; theirs would give back a second time
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Both have the same methods: what is written for one compiles with the other.
var (
	_ sameMethods[rate.Limit]      = (*rate.Limiter)(nil)
	_ sameMethods[ratelimit.Limit] = (*ratelimit.Limiter)(nil)
)

type sameMethods[L any] interface {
	Allow() bool
	AllowN(t time.Time, n int) bool
	Burst() int
	Limit() L
	SetBurst(newBurst int)
	SetBurstAt(t time.Time, newBurst int)
	SetLimit(newLimit L)
	SetLimitAt(t time.Time, newLimit L)
	Tokens() float64
	TokensAt(t time.Time) float64
}

// Sometimes of both packages run the same calls, whatever is set and however time goes by.
func TestSometimesEqualsXTime(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			theirs := rate.Sometimes{
				First: random.IntN(6) - 1, Every: random.IntN(6) - 1,
				Interval: time.Duration(random.IntN(6)-1) * time.Second,
			}
			ours := ratelimit.Sometimes{First: theirs.First, Every: theirs.Every, Interval: theirs.Interval}
			for call := range 50 {
				long := time.Duration(random.IntN(3)/2) * time.Second
				var want, got bool
				do := func(ran *bool) func() {
					return func() {
						*ran = true
						time.Sleep(long)
						if call%7 == 3 {
							panic("the call does not count")
						}
					}
				}
				var wg sync.WaitGroup
				for _, one := range []func(){func() { theirs.Do(do(&want)) }, func() { ours.Do(do(&got)) }} {
					wg.Go(func() { // at the same time
						defer func() { _ = recover() }()
						one()
					})
				}
				wg.Wait()
				require.Equal(t, want, got, "call %d of %d, %d, %v", call, ours.First, ours.Every, ours.Interval)
				time.Sleep(time.Duration(random.IntN(4)) * time.Second / 2)
			}
		})
	}
}
