package pool_test

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// count is the endless sequence 0, 1, 2, ... and says how far it was pulled.
func count(pulled *atomic.Int64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
			pulled.Add(1)
		}
	}
}

func same(_ context.Context, v int) (int, error) { return v, nil }

// "One Result for each input that it has taken; Index says which input a result belongs
// to."
func TestStreamGivesOneResultForEachInput(t *testing.T) {
	checkLeaks(t)
	p := pool.New(func(_ context.Context, v int) (int, error) {
		if v%3 == 0 {
			return 0, errBoom
		}
		return v * 2, nil
	}, pool.Workers(4))
	defer closing(t, p)
	for _, n := range []int{0, 1, 2, 255, 256, 257, 5000} {
		ins := make([]int, n)
		for i := range ins {
			ins[i] = i
		}
		seen := make([]int, n)
		for r := range p.Stream(t.Context(), slices.Values(ins)) {
			seen[r.Index]++
			if r.Index%3 == 0 {
				assert.Same(t, errBoom, r.Err, "as it is")
			} else {
				assert.NoError(t, r.Err)
				assert.Equal(t, 2*r.Index, r.Value)
			}
		}
		assert.Equal(t, slices.Repeat([]int{1}, n), seen)
	}
}

// Results come "as the calls end", not in the order of the inputs.
func TestStreamGivesResultsAsTheyCome(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(sleepers, pool.Workers(3))
		defer p.Close()
		var order []int
		begin := time.Now()
		for r := range p.Stream(t.Context(), slices.Values([]time.Duration{3e9, 1e9, 2e9})) {
			assert.Equal(t, r.Value, time.Since(begin), "at once")
			order = append(order, r.Index)
		}
		assert.Equal(t, []int{1, 2, 0}, order)
	})
}

// A single input passes at once although the source gives no more for a while.
func TestStreamDelaysNothing(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same, pool.Workers(2))
		defer p.Close()
		begin := time.Now()
		source := func(yield func(int) bool) {
			for i := range 5 {
				if !yield(i) {
					return
				}
				time.Sleep(time.Hour)
			}
		}
		n := 0
		for r := range p.Stream(t.Context(), source) {
			assert.Equal(t, time.Duration(r.Index)*time.Hour, time.Since(begin))
			n++
		}
		assert.Equal(t, 5, n)
	})
}

// "ins runs ahead of the results by a bounded number: at most 256 inputs wait for a
// worker and 256 results for the loop."
func TestStreamIsBounded(t *testing.T) {
	const workers = 4
	// Beside the two lots of 256, what workers and the source have in hand: at most
	// a chunk of 64 each, on the way in and on the way out.
	const bound = 2*256 + 64*(2*workers+1)
	t.Run("consumer is stuck", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			var pulled atomic.Int64
			p := pool.New(same, pool.Workers(workers))
			defer p.Close()
			for range p.Stream(t.Context(), count(&pulled)) {
				synctest.Wait()
				assert.Less(t, pulled.Load(), int64(bound))
				break
			}
		})
	})
	t.Run("calls are stuck", func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			var pulled atomic.Int64
			p := pool.New(func(ctx context.Context, _ int) (int, error) { return heed(ctx) }, pool.Workers(workers))
			ctx, cancel := context.WithCancel(t.Context())
			go drain(p.Stream(ctx, count(&pulled)))
			synctest.Wait()
			assert.LessOrEqual(t, pulled.Load(), int64(256+64+workers))
			cancel()
			assert.NoError(t, p.Close())
		})
	})
}

// "While results wait, they hold no worker of the pool."
func TestStreamHoldsNoWorkerForASlowLoop(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var pulled atomic.Int64
		p := pool.New(same, pool.Workers(1))
		defer p.Close()
		n := 0
		for range p.Stream(t.Context(), count(&pulled)) {
			if n++; n == 2000 {
				break
			}
			if n%500 == 0 {
				synctest.Wait() // all is full
				v, err := p.Do(t.Context(), n)
				assert.NoError(t, err)
				assert.Equal(t, n, v)
				v, err = submit(t, p, n).Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, n, v)
			}
		}
	})
}

// "A sequence that, each time it is ranged over, calls the function on the inputs
// of ins."
func TestStreamIsRangedOverAgain(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same, pool.Workers(2))
		defer p.Close()
		s := p.Stream(t.Context(), slices.Values([]int{5, 6, 7}))
		for range 3 {
			got := []int{}
			for r := range s {
				got = append(got, r.Value)
			}
			slices.Sort(got)
			assert.Equal(t, []int{5, 6, 7}, got)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { assert.Equal(t, 3, drain(s), "at the same time") })
		}
		wg.Wait()
		nested := 0
		for range s {
			for range s {
				nested++
			}
		}
		assert.Equal(t, 9, nested)
	})
}

// "When ctx ends or the pool is closed, no more inputs are taken, and those that were
// not started come as canceled results with the cause."
func TestStreamEndsWithItsContext(t *testing.T) {
	for name, cause := range map[string]error{"context": errBoom, "pool": pool.ErrClosed} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := pool.New(func(ctx context.Context, v int) (int, error) { return heed(ctx) }, pool.Workers(2))
				ctx, cancel := context.WithCancelCause(t.Context())
				var pulled atomic.Int64
				var rs []result.Result[int]
				done := make(chan struct{})
				go func() {
					defer close(done)
					rs = slices.Collect(p.Stream(ctx, count(&pulled)))
				}()
				synctest.Wait()
				if name == "context" {
					cancel(errBoom)
				} else {
					assert.NoError(t, p.Close())
				}
				<-done
				started := 0
				seen := map[int]bool{}
				for _, r := range rs {
					assert.False(t, seen[r.Index], "index %d twice", r.Index)
					seen[r.Index] = true
					assert.Equal(t, result.Canceled, r.Status())
					if r.Attempt > 0 {
						started++
						assert.Equal(t, context.Canceled, r.Err, "what the function made of it")
						continue
					}
					assert.Equal(t, cause, r.Err)
					assert.Equal(t, -1, r.Worker)
				}
				assert.Equal(t, 2, started)
				for i := range rs {
					assert.True(t, seen[i], "no result for %d of %d", i, len(rs))
				}
				assert.InDelta(t, pulled.Load(), len(rs), 1, "what was taken has its result")
				cancel(nil)
				assert.NoError(t, p.Close())
			})
		})
	}
}

// "If ins panics, the last result has its *result.PanicError [and] the next index."
func TestStreamOfASourceThatPanics(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same, pool.Workers(2))
		defer p.Close()
		seen := map[int]error{}
		for r := range p.Stream(t.Context(), func(yield func(int) bool) {
			_ = yield(0) && yield(1)
			panic("source")
		}) {
			seen[r.Index] = r.Err
			if r.Index == 2 {
				assert.Equal(t, -1, r.Worker)
				assert.Zero(t, r.Attempt)
			}
		}
		assert.Len(t, seen, 3)
		assert.NoError(t, seen[0])
		assert.NoError(t, seen[1])
		var caught *result.PanicError
		if assert.ErrorAs(t, seen[2], &caught) {
			assert.Equal(t, "source", caught.Value)
		}
	})
}

// The source runs on a goroutine of its own, but not when nobody asks.
func TestStreamStartsWhenItIsRangedOver(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same)
		defer p.Close()
		var pulled atomic.Int64
		p.Stream(t.Context(), count(&pulled))
		synctest.Wait()
		assert.Zero(t, pulled.Load())
	})
}

func TestStreamOfNilPanics(t *testing.T) {
	p := pool.New(same)
	defer p.Close()
	assert.PanicsWithValue(t, "pool: Stream: nil sequence", func() { p.Stream(t.Context(), nil) })
}

// A source and a loop that use the pool themselves get their turn.
func TestStreamWhoseSourceAndLoopUseThePool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.New(same, pool.Workers(1))
		defer p.Close()
		source := func(yield func(int) bool) {
			for i := range 300 {
				v, err := p.Do(t.Context(), i)
				assert.NoError(t, err)
				if !yield(v) {
					return
				}
			}
		}
		n := 0
		for r := range p.Stream(t.Context(), source) {
			v, err := p.Do(t.Context(), r.Value)
			assert.NoError(t, err)
			assert.Equal(t, r.Index, v)
			n++
		}
		assert.Equal(t, 300, n)
	})
}
