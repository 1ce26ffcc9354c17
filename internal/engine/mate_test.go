package engine

import (
	"bytes"
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// chain is stages behind each other, with somebody who feeds and somebody who takes.
type chain struct {
	scope  *Scope
	queues []*Queue[Item[int]]
	first  *Crew[Item[int]]
	in     *Outbox[Item[int]]
	out    *Taker[Item[int]]
}

// newChain makes a stage of each function.
func newChain(workers, window int, fns ...Func[int, int]) *chain {
	c := &chain{scope: NewScope(context.Background(), true)}
	for range len(fns) + 1 {
		c.queues = append(c.queues, NewQueue[Item[int]](c.scope.Clock, 8))
	}
	behind := c.queues[len(fns)].Close
	for i, fn := range slices.Backward(fns) {
		s := &Stage[int, int]{Scope: c.scope, Workers: workers, Window: window, Map: fn}
		c.first = s.Run(c.queues[i], c.queues[i+1], behind)
		behind = c.first.Close
	}
	c.in, c.out = c.queues[0].NewOutbox(), c.queues[len(fns)].NewTaker()
	return c
}

func (c *chain) put(v int) { c.in.Put(&Item[int]{Value: v, Index: v, Queued: c.scope.Clock.Now()}) }

// close ends the intake, and end waits for all goroutines.
func (c *chain) close() {
	c.in.Flush()
	c.first.Close()
}

func (c *chain) end() {
	c.scope.Group.Done()
	c.scope.Group.Wait()
}

// goroutine is the number of the one that calls it.
func goroutine() int {
	stack := make([]byte, 64)
	fields := bytes.Fields(stack[:runtime.Stack(stack, false)])
	n, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		panic(err)
	}
	return n
}

// An item that is alone in a flow is taken from stage to stage by one goroutine, whatever
// number of workers they have, and in order or not.
func TestAMateGoesAlongWithItsItem(t *testing.T) {
	for _, workers := range []int{1, 3} {
		for _, window := range []int{0, 8} {
			testkit.Bubble(t, func(t *testing.T) {
				var went []int
				step := func(_ context.Context, v int) (int, error) {
					went = append(went, goroutine())
					return v + 1, nil
				}
				c := newChain(workers, window, step, step, step)
				for i := range 20 {
					went = went[:0]
					c.put(i)
					require.True(t, c.out.Next(0))
					got := c.out.Claim()
					require.Equal(t, i+3, got.Value)
					require.Nil(t, c.out.Claim())
					synctest.Wait() // all are idle again
					if i > 0 {      // the first item has hired them
						assert.Equal(t, went[0], went[1], "item %d", i)
						assert.Equal(t, went[0], went[2], "item %d", i)
					}
				}
				c.close()
				require.False(t, c.out.Next(0))
				c.end()
			})
		}
	}
}

// A mate that has more to do where it is sends the other one.
func TestAMateStaysWhereThereIsWork(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		arrived := make(chan int, 4)
		first := func(_ context.Context, v int) (int, error) {
			if v == 3 {
				<-release
			}
			return v, nil
		}
		second := func(_ context.Context, v int) (int, error) {
			arrived <- v
			return v, nil
		}
		c := newChain(1, 0, first, second)
		for i := range 2 { // hires both
			c.put(i)
			require.Equal(t, i, <-arrived)
			synctest.Wait()
		}
		c.put(2)
		c.put(3)
		assert.Equal(t, 2, <-arrived, "although what comes behind it hangs")
		synctest.Wait()
		assert.Empty(t, arrived)
		close(release)
		assert.Equal(t, 3, <-arrived)
		c.close()
		c.out.Drain()
		c.end()
	})
}

// Single items and bursts, calls that panic or end their goroutine, few workers or many: each
// item comes out once, no more calls of a stage run than it has workers, and all goroutines
// end.
func TestMatesLoseNothing(t *testing.T) {
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 21))
		workers, window := 1+rng.IntN(4), []int{0, 3, 64}[rng.IntN(3)]
		noise := rng.IntN(2) == 0
		var most [3]atomic.Int32
		var fns []Func[int, int]
		for i := range most {
			running := &most[i]
			fns = append(fns, func(_ context.Context, v int) (int, error) {
				if n := running.Add(1); int(n) > workers {
					t.Errorf("seed %d: %d calls of a stage with %d workers", seed, n, workers)
				}
				defer running.Add(-1)
				switch {
				case noise && v%11 == i:
					panic("noise")
				case noise && v%13 == i:
					runtime.Goexit()
				case v%17 == i:
					runtime.Gosched()
				}
				return v, nil
			})
		}
		c := newChain(workers, window, fns...)
		n := 3000
		var wg sync.WaitGroup
		back := make(chan struct{}, n)
		wg.Go(func() {
			sent, came := 0, 0
			for sent < n {
				for range min(1+rng.IntN(3)*rng.IntN(10), n-sent) {
					c.put(sent)
					sent++
				}
				c.in.Flush()
				for rng.IntN(4) > 0 && came < sent { // mostly until all of them have come out
					<-back
					came++
				}
			}
			c.close()
		})
		seen := make([]bool, n)
		for c.out.Next(0) {
			for it := c.out.Claim(); it != nil; it = c.out.Claim() {
				require.False(t, seen[it.Index], "seed %d: item %d came twice", seed, it.Index)
				seen[it.Index] = true
				failed := noise && (it.Index%11 < 3 || it.Index%13 < 3)
				require.Equal(t, failed, it.Err != nil, "seed %d: item %d: %v", seed, it.Index, it.Err)
				if failed && it.Index%11 >= 3 {
					require.ErrorIs(t, it.Err, ErrGoexit)
				}
				back <- struct{}{}
			}
		}
		wg.Wait()
		c.end()
		assert.NotContains(t, seen, false, "seed %d", seed)
	}
}
