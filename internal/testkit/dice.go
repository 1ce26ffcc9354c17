package testkit

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Dice decide what a random test does: by a seed, without end, or by the bytes of a fuzz
// input as long as there are any; behind them all throws are 0. They must not be used by two
// goroutines at once.
type Dice struct {
	random *rand.Rand // nil: of bytes
	data   []byte
}

// NewDice returns dice of a seed. Those of another salt throw something else.
func NewDice(seed, salt uint64) *Dice { return &Dice{random: rand.New(rand.NewPCG(seed, salt))} }

// DiceOf returns dice of bytes.
func DiceOf(data []byte) *Dice { return &Dice{data: data} }

// Shared returns Throw for any number of goroutines. The dice must not be used otherwise from then on.
func (d *Dice) Shared() func(n int) int {
	var mu sync.Mutex
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return d.Throw(n)
	}
}

// Throw returns a number below n.
func (d *Dice) Throw(n int) int {
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

// One is true for one throw in n.
func (d *Dice) One(n int) bool { return d.Throw(n) == n-1 }

// Seed returns one for dice of their own.
func (d *Dice) Seed() uint64 {
	if d.random != nil {
		return d.random.Uint64()
	}
	return uint64(d.Throw(256))
}

// Time returns a time below limit, which is a multiple of a 16th of it.
func (d *Dice) Time(limit time.Duration) time.Duration {
	return limit * time.Duration(d.Throw(16)) / 16
}

// Over reports whether the bytes have come to their end.
func (d *Dice) Over() bool { return d.random == nil && len(d.data) == 0 }

// Deal returns dice for n goroutines. Those of bytes get every n-th one that is left.
func (d *Dice) Deal(n int) []*Dice {
	all := make([]*Dice, n)
	for i := range all {
		if d.random != nil {
			all[i] = NewDice(d.random.Uint64(), 1)
			continue
		}
		all[i] = &Dice{}
		for at := i; at < len(d.data); at += n {
			all[i].data = append(all[i].data, d.data[at])
		}
	}
	return all
}
