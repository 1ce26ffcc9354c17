package pool_test

import (
	"math/rand/v2"
	"time"
)

// dice decide what a game does: a seed, without end, or the bytes of a fuzz input, as long as
// there are any; behind them all throws are 0.
type dice struct {
	random *rand.Rand // nil: of bytes
	data   []byte
}

// seeded returns dice of a seed.
func seeded(seed, salt uint64) *dice { return &dice{random: rand.New(rand.NewPCG(seed, salt))} }

// throw returns a number below n.
func (d *dice) throw(n int) int {
	if d.random != nil {
		return d.random.IntN(n)
	}
	if len(d.data) == 0 {
		return 0
	}
	v := int(d.data[0])
	d.data = d.data[1:]
	return v % n
}

// one is true for one throw in n.
func (d *dice) one(n int) bool { return d.throw(n) == n-1 }

// seed is one for dice of their own.
func (d *dice) seed() uint64 {
	if d.random != nil {
		return d.random.Uint64()
	}
	return uint64(d.throw(256))
}

// upTo returns a time of at most d, in 16 steps.
func (d *dice) upTo(limit time.Duration) time.Duration {
	return limit * time.Duration(d.throw(16)) / 16
}

// over reports whether the bytes have come to their end.
func (d *dice) over() bool { return d.random == nil && len(d.data) == 0 }

// deal returns dice for n goroutines. Those of bytes get every n-th one.
func (d *dice) deal(n int) []*dice {
	all := make([]*dice, n)
	for i := range all {
		if d.random != nil {
			all[i] = seeded(d.random.Uint64(), 1)
			continue
		}
		all[i] = &dice{}
		for at := i; at < len(d.data); at += n {
			all[i].data = append(all[i].data, d.data[at])
		}
	}
	return all
}
