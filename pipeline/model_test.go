package pipeline_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// The model of flows: random flows of all sources, steps and policies are run by all
// terminals, once and several times at once, and are left, canceled and drained. What random
// plans and trees compare with a loop is what comes out; here a ledger is kept of what goes on.
//
//   - No stage makes more calls at once than it has workers, and none when the terminal has returned.
//   - What comes out is of the run that is ranged over, in order where all steps keep it, and
//     nothing comes behind the end; failures are those that there were.
//   - The report adds up in the end, also with what the functions have seen.
//   - When a run is over its items are garbage, while flow, pool and report are still there;
//     no goroutine is left.
//
// A failure prints how to play its game again, as far as the scheduler lets you:
//
//	go test ./pipeline -run 'TestModel/virtual' -model.seed=17
//
// The long form does so many operations, half of them in virtual time. One is a value that a source
// gives, a call of a function, or an item that comes to the end:
//
//	go test ./pipeline -run TestModel -v -model.ops=10000000 -timeout=1h
var (
	modelSeed = flag.Uint64("model.seed", 0, "play the game of this seed only; 0: games from a random one on")
	modelOps  = flag.Int64("model.ops", 0, "how many operations the games have in all; 0: some")
)

func TestModel(t *testing.T) {
	ops := *modelOps
	if ops == 0 {
		ops = 150_000
		if raceEnabled {
			ops /= 5
		}
	}
	t.Run("virtual", func(t *testing.T) {
		flowGames(t, ops/2, func(t *testing.T, seed uint64) (done int64) {
			testkit.Bubble(t, func(t *testing.T) { done = playFlow(t, seedName(seed), testkit.NewDice(seed, 5)) })
			return done
		})
	})
	t.Run("real", func(t *testing.T) {
		pipelinetest.NoLeak(t)
		flowGames(t, ops/2, func(t *testing.T, seed uint64) int64 {
			return playFlow(t, seedName(seed), testkit.NewDice(seed, 5))
		})
	})
}

func seedName(seed uint64) string { return fmt.Sprintf("-model.seed=%d", seed) }

// flowGames plays one game after the other, until they have had so many operations.
func flowGames(t *testing.T, ops int64, play func(t *testing.T, seed uint64) int64) {
	t.Helper()
	seed, only := *modelSeed, *modelSeed != 0
	if !only {
		seed = rand.Uint64N(1 << 48)
	}
	defer func() {
		if v := recover(); v != nil { // a deadlock, in a bubble
			panic(fmt.Sprintf("%s: %v", seedName(seed), v))
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

// FuzzFlow has the bytes decide what the model does:
//
//	go test ./pipeline -run=- -fuzz=FuzzFlow -fuzztime=2m
func FuzzFlow(f *testing.F) {
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 98))
		data := make([]byte, 64+32*seed)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1024 {
			data = data[:1024]
		}
		testkit.Bubble(t, func(t *testing.T) { playFlow(t, "the bytes", testkit.DiceOf(data)) })
	})
}
