package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// grants notes when a limit has let somebody through, to hold against what it promises. A grant falls between the
// instants before and after the call; so one that was after the end of another is counted by the earlier one.
type grants struct {
	mu    sync.Mutex
	times []span
}

type span struct{ from, to time.Time }

func (g *grants) add(from, to time.Time) {
	g.mu.Lock()
	g.times = append(g.times, span{from, to})
	g.mu.Unlock()
}

// check holds each span of time against burst + perSecond x span. Only grants that surely fall into it count.
func (g *grants) check(b *book, what any, perSecond float64, burst int) {
	byEnd := slices.SortedFunc(slices.Values(g.times), func(a, b span) int { return a.to.Compare(b.to) })
	for i, first := range g.times {
		n := 0
		for _, last := range byEnd {
			if last.from.Before(first.from) {
				continue
			}
			n++
			if most := float64(burst) + perSecond*last.to.Sub(first.from).Seconds(); float64(n) > most+1e-6 {
				b.errorf("%v: %d grants in %v from number %d on, at most %.3f", what, n, last.to.Sub(first.from), i, most)
				return
			}
		}
	}
}

// ask waits for a limit, enters what came of it, and notes a grant.
func (g *grants) ask(b *book, wait func() error) {
	b.accepted.Add(1)
	from := time.Now()
	err := wait()
	b.calls.Add(1)
	switch {
	case err == nil:
		g.add(from, time.Now())
		b.ended[succeeded].Add(1)
	case errors.Is(err, context.Canceled):
		b.ended[canceled].Add(1)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, ratelimit.ErrFull):
		b.ended[failed].Add(1)
	default:
		b.ended[failed].Add(1)
		b.errorf("wait: %v", err)
	}
}

// keyedRound waits for the limits of more keys than are kept.
func keyedRound(ctx context.Context, r *rand.Rand, b *book) {
	const keys, kept = 12, 8
	limit, burst := ratelimit.Limit(200+r.IntN(2000)), 1+r.IntN(5)
	policy := ratelimit.FullPolicy(r.IntN(3))
	k := ratelimit.NewKeyed[int](limit, burst, ratelimit.MaxKeys(kept), ratelimit.WhenFull(policy))
	var one grants // of key 0, which is asked for all the time
	var rest grants
	var wg sync.WaitGroup
	for range 4 {
		own := fork(r)
		wg.Go(func() {
			for range 10 {
				limited, cancel := context.WithTimeout(ctx, time.Duration(own.IntN(8000))*time.Microsecond)
				g, key := &one, 0
				if own.IntN(2) == 0 {
					g, key = &rest, 1+own.IntN(keys)
				}
				g.ask(b, func() error { return k.Wait(limited, key) })
				cancel()
				if n := k.Len(); n > kept {
					b.errorf("%d keys are kept, at most %d", n, kept)
				}
			}
		})
	}
	wg.Wait()
	if policy == ratelimit.Deny { // under the others a key may have two buckets, one after the other
		one.check(b, "keyed", float64(limit), burst)
	}
}

// multiRound waits for two limits at once, and cancels and refunds.
func multiRound(ctx context.Context, r *rand.Rand, b *book) {
	limit, burst := ratelimit.Limit(300+r.IntN(2000)), 1+r.IntN(5)
	n, per := 5+r.IntN(30), time.Duration(5+r.IntN(30))*time.Millisecond
	m := ratelimit.Multi(ratelimit.NewLimiter(limit, burst), ratelimit.NewWindow(n, per))
	var g grants
	var wg sync.WaitGroup
	for range 4 {
		own := fork(r)
		wg.Go(func() {
			for range 10 {
				if own.IntN(8) == 0 {
					if held := m.Reserve(); held.OK() {
						held.Cancel() // as if it had never been
					}
				}
				limited, cancel := context.WithTimeout(ctx, time.Duration(own.IntN(8000))*time.Microsecond)
				g.ask(b, func() error { return m.WaitPriority(limited, 1, own.IntN(3)) })
				cancel()
			}
		})
	}
	wg.Wait()
	g.check(b, "multi", float64(limit), burst)
}

// concurrencyRound takes and gives back permits.
func concurrencyRound(ctx context.Context, r *rand.Rand, b *book) {
	c := ratelimit.NewConcurrency(ratelimit.Between(1, 6), ratelimit.StartAt(1+r.IntN(6)))
	var wg sync.WaitGroup
	for range 8 {
		own := fork(r)
		wg.Go(func() {
			for range 6 {
				b.accepted.Add(1)
				limited, cancel := context.WithTimeout(ctx, time.Duration(own.IntN(4000))*time.Microsecond)
				permit, err := c.Acquire(limited)
				if err != nil {
					b.ended[failed].Add(1)
					cancel()
					continue
				}
				b.calls.Add(1)
				if n := c.InFlight(); n < 1 || n > 6 {
					b.errorf("%d permits are out, at most 6", n)
				}
				_ = pause(limited, time.Duration(own.IntN(500))*time.Microsecond)
				permit.Release(ratelimit.OutcomeOf(limited.Err()))
				b.ended[succeeded].Add(1)
				cancel()
			}
		})
	}
	wg.Wait()
	if n := c.InFlight(); n != 0 {
		b.errorf("%d permits are out, and nobody has one", n)
	}
}
