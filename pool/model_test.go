package pool_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

// The model: goroutines do random operations on a pool with random options, all that a pool
// and its jobs have, and a ledger of what they saw is compared with what the pool says of
// itself.
//
//   - Each input ends once, in the way that its function says or as canceled; it is called as
//     often as it was to be and, if it was canceled before, not at all.
//   - Never are more calls under way than there are workers; jobs with a key run one at a time
//     and in order; no more weight is under way than the capacity; none starts before its time.
//   - Counts add up: what callers saw, what Stats says, and what the observer was told.
//   - When Close has returned nothing runs or starts any more, and all jobs have ended.
//   - What has ended is garbage while the pool lives, and the pool when it is closed: no
//     timer, goroutine or context keeps it.
//
// A failure prints how to play its game again, as far as the scheduler lets you:
//
//	go test ./pool -run 'TestModel/virtual' -model.seed=17
//
// The long form does so many operations, half of them in virtual time:
//
//	go test ./pool -run TestModel -v -model.ops=10000000 -timeout=1h
var (
	modelSeed = flag.Uint64("model.seed", 0, "play the game of this seed only; 0: games from a random one on")
	modelOps  = flag.Int64("model.ops", 0, "how many operations the games have in all; 0: a few")
)

func TestModel(t *testing.T) {
	ops := *modelOps
	if ops == 0 {
		ops = int64(many(200_000))
	}
	t.Run("virtual", func(t *testing.T) {
		games(t, ops/2, func(t *testing.T, seed uint64) int64 {
			var done int64
			testkit.Bubble(t, func(t *testing.T) { done = playSeed(t, seed, true) })
			return done
		})
	})
	t.Run("real", func(t *testing.T) {
		checkLeaks(t)
		games(t, ops/2, func(t *testing.T, seed uint64) int64 { return playSeed(t, seed, false) })
	})
}

// games plays one game after the other, until they have had so many operations.
func games(t *testing.T, ops int64, play func(t *testing.T, seed uint64) int64) {
	t.Helper()
	seed, only := *modelSeed, *modelSeed != 0
	if !only {
		seed = rand.Uint64N(1 << 48)
	}
	defer func() {
		if v := recover(); v != nil { // a deadlock, in a bubble
			panic(fmt.Sprintf("-model.seed=%d: %v", seed, v))
		}
	}()
	begin, done, n := time.Now(), int64(0), 0
	for ; done < ops && !t.Failed(); seed++ {
		done += play(t, seed)
		if n++; only {
			break
		}
	}
	t.Logf("%d operations in %d games up to seed %d in %v", done, n, seed-1, time.Since(begin).Round(time.Millisecond))
}

// playSeed plays the game of a seed and returns how many operations it had.
func playSeed(t *testing.T, seed uint64, virtual bool) int64 {
	t.Helper()
	d := testkit.NewDice(seed, 0)
	return playWith(t, fmt.Sprintf("-model.seed=%d", seed), d, 20+d.Throw(200), virtual)
}

func playWith(tb testing.TB, name string, d *testkit.Dice, rounds int, virtual bool) int64 {
	tb.Helper()
	var ops atomic.Int64
	p, weighed := func() (weak.Pointer[pool.Pool[*order, *answer]], bool) {
		g := newGame(tb, name, d, virtual)
		if !virtual {
			defer time.AfterFunc(time.Minute, func() { stalled(g) }).Stop()
		}
		g.play(d, rounds)
		ops.Store(g.ops.Load())
		return weak.Make(g.p), g.scale != nil
	}()
	if weighed {
		gone(tb, name, p)
	}
	return ops.Load()
}

// stalled ends a test that hangs, with all that is to be known of it.
func stalled(g *game) {
	buf := make([]byte, 1<<20)
	fmt.Fprintf(os.Stderr, "%s hangs: %v\n%s\n", g.name, g.p.Stats(), buf[:runtime.Stack(buf, true)])
	panic(g.name + " hangs")
}

// FuzzPool has the bytes decide what the model does:
//
//	go test ./pool -run=- -fuzz=FuzzPool -fuzztime=2m
func FuzzPool(f *testing.F) {
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 99))
		data := make([]byte, 64<<(seed%4))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2048 {
			data = data[:2048]
		}
		testkit.Bubble(t, func(t *testing.T) { playWith(t, "the bytes", testkit.DiceOf(data), len(data), true) })
	})
}
