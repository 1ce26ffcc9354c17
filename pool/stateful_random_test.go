package pool_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

// No state is lost, used twice or closed twice, whatever happens to the workers. A
// failure prints its seed; put it in place of the random one to see it again, as far
// as the scheduler lets you.
func TestRandomUseLeavesNoStateBehind(t *testing.T) {
	checkLeaks(t)
	rounds := 40
	if raceEnabled {
		rounds = 15
	}
	for range rounds {
		randomUseOfStates(t, rand.Uint64())
		if t.Failed() {
			return
		}
	}
}

func TestRandomUseLeavesNoStateBehindInABubble(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		testkit.Bubble(t, func(t *testing.T) { randomUseOfStates(t, seed) })
		if t.Failed() {
			return
		}
	}
}

func randomUseOfStates(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var bad atomic.Int64
	mishap := func(s *rand.Rand) error {
		switch s.IntN(6) {
		case 0:
			bad.Add(1)
			return errBoom
		case 1:
			bad.Add(1)
			panic("boom")
		case 2:
			runtime.Goexit()
		case 3:
			runtime.Gosched()
		case 4:
			time.Sleep(time.Microsecond)
		}
		return nil
	}
	var serial atomic.Uint64
	roll := func() *rand.Rand { return rand.New(rand.NewPCG(seed, serial.Add(1))) }
	ds := devices{
		opening: func(context.Context, int) error { return mishap(roll()) },
		closing: func(*device) error { return mishap(roll()) },
	}
	opts := []pool.Option{pool.Workers(1 + rng.IntN(4)), pool.Queue(1 + rng.IntN(8))}
	if rng.IntN(2) == 0 {
		opts = append(opts, pool.IdleTimeout(time.Duration(1+rng.IntN(50))*time.Microsecond, rng.IntN(2)))
	}
	if rng.IntN(2) == 0 {
		opts = append(opts, pool.WhenFull([]pool.Policy{pool.Reject, pool.DropOldest, pool.CallerRuns}[rng.IntN(3)]))
	}
	if rng.IntN(3) == 0 {
		opts = append(opts, pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Microsecond}))
	}
	p := ds.pool(opts...)
	var deeds func(s *rand.Rand, depth int) deed
	deeds = func(s *rand.Rand, depth int) deed {
		kind := s.IntN(4)
		return func(ctx context.Context, d *device) (int, error) {
			if kind == 0 && depth > 0 {
				d.lend(func() {
					inner := deeds(roll(), depth-1)
					switch roll().IntN(3) {
					case 0:
						p.Do(ctx, inner) //nolint:errcheck // how it ends does not matter
					case 1:
						p.Map(ctx, []deed{inner, number, number}) //nolint:errcheck // how it ends does not matter
					default:
						if j, err := p.Submit(ctx, inner); err == nil {
							j.Wait(ctx) //nolint:errcheck // how it ends does not matter
						}
					}
				})
			}
			err := mishap(roll())
			if err != nil && roll().IntN(2) == 0 {
				err = pool.Discard(err)
			}
			return d.worker, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var users, rulers sync.WaitGroup
	for range 1 + rng.IntN(4) {
		s := rand.New(rand.NewPCG(rng.Uint64(), 1))
		users.Go(func() {
			for range 60 {
				onItsOwn(func() {
					ctx, cancel := context.WithTimeout(ctx, time.Duration(s.IntN(300))*time.Microsecond)
					defer cancel()
					do := deeds(s, 2)
					switch s.IntN(4) {
					case 0:
						p.Do(ctx, do) //nolint:errcheck // how it ends does not matter
					case 1:
						if j, err := p.Submit(ctx, do); err == nil && s.IntN(2) == 0 {
							j.Cancel(nil)
						}
					case 2:
						p.Map(ctx, []deed{do, number, deeds(s, 1)}) //nolint:errcheck // how it ends does not matter
					default:
						for range p.Stream(ctx, slices.Values([]deed{do, number, deeds(s, 1), number})) {
							if s.IntN(5) == 0 {
								break
							}
						}
					}
				})
			}
		})
	}
	over := make(chan struct{})
	s := rand.New(rand.NewPCG(rng.Uint64(), 3))
	rulers.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			switch s.IntN(5) {
			case 0:
				_ = p.Halt(s.IntN(5))
			case 1:
				_ = p.HaltNow(s.IntN(5))
			case 2:
				_ = p.Resize(s.IntN(5))
			case 3:
				p.Pause()
				p.Resume()
			default:
				_ = p.Resize(1 + s.IntN(4))
			}
			time.Sleep(time.Duration(s.IntN(30)) * time.Microsecond)
		}
	})
	if rng.IntN(2) == 0 {
		users.Wait()
	} else {
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
	}
	if rng.IntN(2) == 0 {
		short, stop := context.WithTimeout(ctx, time.Duration(rng.IntN(300))*time.Microsecond)
		_ = p.Shutdown(short)
		stop()
	}
	_ = p.Close() // returns what a close has failed with
	close(over)
	users.Wait()
	rulers.Wait()
	assert.Len(t, ds.closed(), len(ds.opened()), "seed %d: states that were opened and not closed", seed)
	assert.Empty(t, ds.live, "seed %d", seed)
	assert.Empty(t, ds.wrong, "seed %d", seed)
}
