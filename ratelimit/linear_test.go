package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/ratelimit"
)

// operation is a call in a concurrent history, with the instants at which it began and ended by
// a common counter, and what it returned.
type operation struct {
	kind       int
	at         int64 // s
	n          int
	began, end int64
	got        int
}

const (
	opAllow = iota
	opRefund
	opReserve
	opBurst
	opLimit
	opTokens
	opKinds
)

// state is a limiter to which calls are made one after the other: times are whole seconds, the
// limit is one in a second or none, so all is integer.
type state struct {
	full, burst int64
	stopped     bool // the limit is 0; full counts what is missing then
}

func (s state) step(o operation) (state, int) {
	debt := func() int64 {
		if s.stopped {
			return s.full
		}
		return max(s.full-o.at, 0)
	}
	set := func(d int64) {
		s.full = d
		if !s.stopped {
			s.full += o.at
		}
	}
	n := int64(o.n)
	switch o.kind {
	case opAllow:
		if n > s.burst || debt()+n > s.burst {
			return s, 0
		}
		set(debt() + n)
		return s, 1
	case opRefund:
		if s.stopped {
			s.full = max(s.full-n, 0)
		} else {
			s.full -= n
		}
		return s, 0
	case opReserve:
		if n > s.burst || s.stopped && debt()+n > s.burst {
			return s, -1
		}
		wait := max(debt()+n-s.burst, 0)
		set(debt() + n)
		return s, int(wait)
	case opBurst:
		d := max(debt()+n-s.burst, 0)
		s.burst = n
		set(d)
		return s, 0
	case opLimit:
		d := debt()
		s.stopped = o.n == 0
		set(d)
		return s, 0
	default:
		return s, int(s.burst - debt())
	}
}

// explained reports whether there is an order of the calls, in which none that had ended
// comes after one that had not begun, that gives the same results.
func explained(s state, history []operation, done uint) bool {
	if done == 1<<len(history)-1 {
		return true
	}
	first := int64(1 << 62)
	for i, o := range history {
		if done&(1<<i) == 0 {
			first = min(first, o.end)
		}
	}
	for i, o := range history {
		if done&(1<<i) != 0 || o.began > first {
			continue
		}
		if next, got := s.step(o); got == o.got && explained(next, history, done|1<<i) {
			return true
		}
	}
	return false
}

// Concurrent calls return what they would if they were made one after the other, in an order
// that agrees with when they were made: with changes of limit and burst, too.
func TestLinearizable(t *testing.T) {
	start := time.Now()
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 10))
		l := ratelimit.NewLimiter(1, 4)
		var clock atomic.Int64
		calls := make([][]operation, 3)
		for g := range calls {
			for range 4 {
				kind := opAllow
				if rnd.IntN(2) == 0 {
					kind = rnd.IntN(opKinds)
				}
				if kind == opReserve && seed%2 == 0 || kind == opRefund && seed%2 == 1 {
					kind = opAllow // a refund heeds reservations, which this model does not
				}
				o := operation{kind: kind, at: 10 + rnd.Int64N(4), n: 1 + rnd.IntN(3)}
				if kind == opLimit {
					o.n = rnd.IntN(2)
				}
				calls[g] = append(calls[g], o)
			}
		}
		var wg sync.WaitGroup
		ready := make(chan struct{})
		for _, mine := range calls {
			wg.Go(func() {
				<-ready
				for i := range mine {
					o := &mine[i]
					at := start.Add(time.Duration(o.at) * time.Second)
					o.began = clock.Add(1)
					o.got = run(l, *o, at)
					o.end = clock.Add(1)
				}
			})
		}
		close(ready)
		wg.Wait()
		var history []operation
		for _, mine := range calls {
			history = append(history, mine...)
		}
		require.True(t, explained(state{burst: 4}, history, 0), "seed %d: %+v", seed, history)
	}
}

func run(l *ratelimit.Limiter, o operation, at time.Time) int {
	switch o.kind {
	case opAllow:
		if l.AllowN(at, o.n) {
			return 1
		}
	case opRefund:
		l.Refund(o.n)
	case opReserve:
		r := l.ReserveN(at, o.n)
		if !r.OK() {
			return -1
		}
		return int(r.DelayFrom(at) / time.Second)
	case opBurst:
		l.SetBurstAt(at, o.n)
	case opLimit:
		l.SetLimitAt(at, ratelimit.Limit(o.n))
	case opTokens:
		return int(l.TokensAt(at))
	default:
		panic(fmt.Sprint("no operation ", o.kind))
	}
	return 0
}
