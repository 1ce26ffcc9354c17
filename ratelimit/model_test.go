package ratelimit_test

import (
	"math/big"
	"math/rand/v2"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// bucket is the token bucket without any rounding: what a Limiter has to agree with.
type bucket struct {
	interval *big.Rat // ns between two events
	burst    int64
	full     *big.Rat // when it will be full, in ns since some epoch; nil: it always was
}

// rate is a limit with what it means, exactly.
type rate struct {
	name     string
	limit    ratelimit.Limit
	interval *big.Rat // ns
}

func every(d time.Duration) rate {
	return rate{"every " + d.String(), ratelimit.Every(d), big.NewRat(int64(d), 1)}
}

// per is a events in b seconds.
func per(a, b int64) rate {
	interval := new(big.Rat).Mul(big.NewRat(int64(time.Second), 1), big.NewRat(b, a))
	return rate{big.NewRat(a, b).String() + " a second", ratelimit.Limit(float64(a) / float64(b)), interval}
}

var rates = []rate{
	every(24 * time.Hour), every(24*time.Hour + 1), every(time.Hour), every(3 * time.Second), every(7 * time.Millisecond),
	per(1, 86400), per(1, 3), per(10, 13), per(1000, 7), per(3, 1), per(10, 1), per(999, 1), per(1_000_000, 1),
	per(1_234_567, 1), per(355_000_000, 113), per(300_000_000, 1), per(999_999_937, 1), per(1_000_000_000, 1),
}

var bursts = []int{1, 2, 7, 1000, 1_000_000}

func newBucket(r rate, burst int) *bucket { return &bucket{interval: r.interval, burst: int64(burst)} }

func (b *bucket) price(n int) *big.Rat {
	return new(big.Rat).Mul(b.interval, big.NewRat(int64(n), 1))
}

func ns(t int64) *big.Rat { return new(big.Rat).SetInt64(t) }

// since returns the later of full and the time.
func (b *bucket) since(at int64) *big.Rat {
	if b.full == nil || b.full.Cmp(ns(at)) < 0 {
		return ns(at)
	}
	return b.full
}

func (b *bucket) allow(at int64, n int) bool {
	next := new(big.Rat).Add(b.since(at), b.price(n))
	depth := b.price(int(b.burst))
	if n == 0 {
		return true
	}
	if int64(n) > b.burst || next.Cmp(new(big.Rat).Add(ns(at), depth)) > 0 {
		return false
	}
	b.full = next
	return true
}

// refund gives n back.
func (b *bucket) refund(n int) {
	if b.full != nil {
		b.full = new(big.Rat).Sub(b.full, b.price(n))
	}
}

// bound adds up what was let through, by time, and tells when a window has too much: in none
// may there be more than burst + its length / interval.
type bound struct {
	*bucket
	excess *big.Rat // the most that any window which ends now has beyond length / interval, in ns
	last   int64
}

func (b *bound) add(at int64, n int) (ok bool) {
	if b.excess == nil {
		b.excess = new(big.Rat)
	} else {
		b.excess.Sub(b.excess, ns(at-b.last))
		if b.excess.Sign() < 0 {
			b.excess.SetInt64(0)
		}
	}
	b.last = at
	b.excess.Add(b.excess, b.price(n))
	return b.excess.Cmp(b.price(int(b.burst))) <= 0
}

// traffic yields times at which a bucket is asked, in ns, and how many for: bursts at one
// instant, a steady pace, and idle times, near the edges of what the bucket can do.
type traffic struct {
	*rand.Rand
	interval float64
	burst    int
	at       int64
	back     bool // clocks step back at times
}

func (f *traffic) next() (at int64, n int) {
	const most = float64(1 << 58)
	step := 0.0
	switch f.IntN(8) {
	case 0, 1:
	case 2:
		step = f.interval
	case 3:
		step = f.interval * f.Float64() * 3
	case 4:
		step = f.interval * float64(f.burst) * f.Float64()
	case 5:
		step = f.interval*float64(f.IntN(f.burst)) + float64(f.IntN(3)-1)
	case 6:
		step = float64(f.IntN(3))
	case 7:
		if f.IntN(10) == 0 {
			step = f.interval * float64(f.burst) * f.Float64() * 10
		}
	}
	if f.at > 1<<61 {
		step = 0
	}
	f.at += int64(min(max(step, 0), most))
	n = 1
	switch f.IntN(4) {
	case 0:
		n = f.IntN(f.burst + 2)
	case 1:
		n = f.IntN(min(f.burst, 4) + 1)
	}
	at = f.at
	if f.back && f.IntN(4) == 0 {
		at -= int64(min(f.interval*f.Float64()*float64(f.IntN(f.burst)+2), float64(f.at)))
	}
	return at, n
}
