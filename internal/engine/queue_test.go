package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// count is a handler that does no more than tick off what it gets.
type count struct {
	t    *testing.T
	seen []atomic.Int32
	wait func(int)
}

func (c *count) Begin(*Taker[int])               {}
func (c *count) Failed(*Taker[int], *int, error) {}
func (c *count) End() int64                      { return 0 }
func (c *count) Handle(_ *Taker[int], v *int) {
	if c.wait != nil {
		c.wait(*v)
	}
	if n := c.seen[*v].Add(1); n != 1 {
		c.t.Errorf("item %d was handed out %d times", *v, n)
	}
}

// runCrew runs workers on a queue until produce has returned and all is handled.
func runCrew[T any](q *Queue[T], workers int, open func(int) Handler[T], produce func()) {
	var wg sync.WaitGroup
	wg.Add(1)
	done := make(chan struct{})
	crew := NewCrew(q, workers, &wg, open, func() { close(done) })
	produce()
	crew.Close()
	<-done
	wg.Done()
	wg.Wait()
}

func TestEachItemIsHandedOutOnce(t *testing.T) {
	const producers, each = 4, 5000
	for _, limit := range []int{1, 3, 64, 1000} {
		for _, workers := range []int{1, 3, 16} {
			rnd := rand.New(rand.NewPCG(uint64(limit), uint64(workers)))
			c := &count{t: t, seen: make([]atomic.Int32, producers*each)}
			q := NewQueue[int](NewClock(), limit)
			runCrew(q, workers, func(int) Handler[int] { return c }, func() {
				var all sync.WaitGroup
				for p := range producers {
					boxed, seed := p%2 == 0, rnd.Uint64()
					all.Go(func() {
						rnd := rand.New(rand.NewPCG(seed, 0))
						box := q.NewOutbox()
						for i := range each {
							v := p*each + i
							if !boxed {
								assert.NoError(t, q.Put(context.Background(), v))
							} else if box.Put(&v); rnd.IntN(20) == 0 {
								box.Flush()
							}
							if n := length(q); n > limit+workers*MaxChunk { // with what may come back
								t.Errorf("%d items in a queue of %d", n, limit)
							}
						}
						box.Flush()
					})
				}
				all.Wait()
			})
			for i := range c.seen {
				require.EqualValues(t, 1, c.seen[i].Load(), "item %d, limit %d, workers %d", i, limit, workers)
			}
		}
	}
}

func TestItemsOfOneProducerKeepTheirOrder(t *testing.T) {
	q := NewQueue[[2]int](NewClock(), 10)
	var all sync.WaitGroup
	for p := range 3 {
		all.Go(func() {
			box := q.NewOutbox()
			for i := range 10_000 {
				box.Put(&[2]int{p, i})
			}
			box.Flush()
		})
	}
	go func() {
		all.Wait()
		q.Close()
	}()
	var next [3]int
	for t1 := q.NewTaker(); t1.Next(0); {
		for it := t1.Claim(); it != nil; it = t1.Claim() {
			require.Equal(t, next[it[0]], it[1], "producer %d", it[0])
			next[it[0]]++
		}
	}
	require.Equal(t, [3]int{10_000, 10_000, 10_000}, next)
}

func TestPutWaitsInTurn(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := NewQueue[int](NewClock(), 1)
		require.NoError(t, q.TryPut(0))
		require.ErrorIs(t, q.TryPut(1), ErrFull)

		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		var in []int
		for i := 1; i <= 3; i++ {
			go func() {
				if i == 2 {
					assert.Equal(t, cause, q.Put(ctx, i))
					return
				}
				assert.NoError(t, q.Put(context.Background(), i))
				in = append(in, i)
			}()
			synctest.Wait() // so that they come in this order
		}
		require.Empty(t, in)
		cancel(cause)
		synctest.Wait()

		taker := q.NewTaker()
		for i, want := range []int{0, 1, 3} {
			require.True(t, taker.Next(0))
			require.Equal(t, want, *taker.Claim())
			require.Nil(t, taker.Claim())
			synctest.Wait()
			require.Len(t, in, min(i+1, 2), "the room must go to the next in line at once")
		}
		require.Equal(t, []int{1, 3}, in)
	})
}

func TestCloseTurnsAwayAndLetsDrain(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := NewQueue[int](NewClock(), 2)
		require.NoError(t, q.TryPut(1))
		require.NoError(t, q.TryPut(2))
		go func() { assert.Equal(t, ErrClosed, q.Put(context.Background(), 3)) }()
		synctest.Wait()
		q.Close()
		q.Close()
		require.Equal(t, ErrClosed, q.TryPut(4))
		require.Equal(t, ErrClosed, q.Put(context.Background(), 5))
		var got []int
		for taker := q.NewTaker(); taker.Next(0); {
			for it := taker.Claim(); it != nil; it = taker.Claim() {
				got = append(got, *it)
			}
		}
		require.Equal(t, []int{1, 2}, got)
	})
}

// What a busy producer holds back is fetched by a taker that has nothing else.
func TestIdleTakerFetchesWhatIsHeldBack(t *testing.T) {
	q := NewQueue[int](NewClock(), 100)
	taker, box := q.NewTaker(), q.NewOutbox()
	for i := range 3 {
		box.Put(&i)
	}
	require.Zero(t, length(q), "nobody is idle: the items are held back")
	var got []int
	for len(got) < 3 {
		require.True(t, taker.Next(0))
		for it := taker.Claim(); it != nil; it = taker.Claim() {
			got = append(got, *it)
		}
	}
	require.Equal(t, []int{0, 1, 2}, got)
}

// A producer that sees an idle taker passes on at once.
func TestItemForAnIdleTakerIsNotHeldBack(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := NewQueue[int](NewClock(), 100)
		box, got := q.NewOutbox(), make(chan int)
		go func() {
			for taker := q.NewTaker(); taker.Next(0); {
				for it := taker.Claim(); it != nil; it = taker.Claim() {
					got <- *it
				}
			}
		}()
		for i := range 10 {
			synctest.Wait() // it is idle
			box.Put(&i)
			require.Equal(t, i, <-got)
		}
		q.Close()
	})
}

// However many a taker has in hand, nobody is idle while one of them waits.
func TestNoItemWaitsBehindASlowOne(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const workers, fast, slow = 8, 1000, 16
		c := &count{t: t, seen: make([]atomic.Int32, fast+slow), wait: func(v int) {
			if v >= fast {
				time.Sleep(time.Second)
			}
		}}
		q := NewQueue[int](NewClock(), fast+slow)
		runCrew(q, workers, func(int) Handler[int] { return c }, func() {
			for i := range fast { // the takers learn that items cost nothing
				require.NoError(t, q.TryPut(i))
			}
			synctest.Wait()
			start := time.Now()
			for i := range slow {
				require.NoError(t, q.TryPut(fast+i))
			}
			time.Sleep(slow / workers * time.Second)
			synctest.Wait()
			for i := range c.seen {
				require.EqualValues(t, 1, c.seen[i].Load(), "item %d after %v", i, time.Since(start))
			}
		})
	})
}

// One item that never seems to end leaves the others of its chunk to the rest.
func TestChunkOfAStuckWorkerIsTakenOver(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const fast = 64
		stuck := make(chan struct{})
		c := &count{t: t, seen: make([]atomic.Int32, 3*fast), wait: func(v int) {
			if v == fast {
				<-stuck
			}
		}}
		q := NewQueue[int](NewClock(), 3*fast)
		runCrew(q, 2, func(int) Handler[int] { return c }, func() {
			for i := range 3 * fast {
				require.NoError(t, q.TryPut(i))
			}
			synctest.Wait()
			for i := range c.seen {
				if i != fast {
					require.EqualValues(t, 1, c.seen[i].Load(), "item %d waits behind a stuck one", i)
				}
			}
			close(stuck)
		})
	})
}

func TestNextBeforeEndsTheWaiting(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := NewQueue[int](NewClock(), 4)
		taker, start := q.NewTaker(), time.Now()
		ok, more, late := taker.NextBefore(time.After(time.Second))
		require.False(t, ok)
		require.True(t, more)
		require.True(t, late)
		require.Equal(t, time.Second, time.Since(start))

		go func() {
			time.Sleep(time.Second)
			assert.NoError(t, q.TryPut(7))
			q.Close()
		}()
		ok, _, late = taker.NextBefore(time.After(time.Minute))
		require.True(t, ok)
		require.False(t, late)
		require.Equal(t, 7, *taker.Claim())
		require.Equal(t, 2*time.Second, time.Since(start))
		ok, more, _ = taker.NextBefore(time.After(time.Minute))
		require.False(t, ok)
		require.False(t, more, "closed and empty")
	})
}

// A timeout that fires while an item comes is not lost: there is the item, or the end of the
// waiting, and in either case it is told.
func TestNextBeforeTellsOfATimeoutWhileAnItemComes(t *testing.T) {
	for range 500 {
		testkit.Bubble(t, func(t *testing.T) {
			q := NewQueue[int](NewClock(), 4)
			taker := q.NewTaker()
			timeout := time.NewTimer(time.Second)
			go func() {
				time.Sleep(time.Second)
				assert.NoError(t, q.TryPut(7))
			}()
			ok, more, late := taker.NextBefore(timeout.C)
			require.True(t, more)
			require.True(t, ok || late)
			if !late {
				<-timeout.C // which has not been received
			}
			if !ok {
				require.True(t, taker.Next(0))
			}
			require.Equal(t, 7, *taker.Claim())
		})
	}
}

// Neither the queue nor a taker keeps alive what was handled.
func TestNothingTakenIsKeptAlive(t *testing.T) {
	q := NewQueue[*int](NewClock(), 1000)
	box := q.NewOutbox()
	for range 500 {
		v := new(int)
		box.Put(&v)
	}
	box.Flush()
	q.Close()
	taker := q.NewTaker()
	for taker.Next(0) {
		for taker.Claim() != nil { // all of them
		}
	}
	for _, kept := range [][]*int{q.items.buf, taker.chunk, box.buf} {
		for _, v := range kept {
			require.Nil(t, v)
		}
	}
}

// An item that came while a taker was on the way, to another item, is not left in
// its outbox when that taker is then busy and another one is idle.
func TestItemBehindATakerOnTheWayIsNotHeldBack(t *testing.T) {
	for range 300 { // whether the taker arrives in between is a matter of chance
		testkit.Bubble(t, func(t *testing.T) {
			stuck := make(chan struct{})
			c := &count{t: t, seen: make([]atomic.Int32, 4), wait: func(v int) {
				if v == 2 {
					<-stuck
				}
			}}
			q := NewQueue[int](NewClock(), 10)
			runCrew(q, 2, func(int) Handler[int] { return c }, func() {
				box := q.NewOutbox()
				for i := range 2 { // both are started
					require.NoError(t, q.TryPut(i))
				}
				synctest.Wait()
				for i := 2; i < 4; i++ {
					box.Put(&i)
				}
				synctest.Wait()
				require.EqualValues(t, 1, c.seen[3].Load())
				close(stuck)
				box.Flush()
			})
		})
	}
}

// length is how many items wait in q.
func length[T any](q *Queue[T]) int {
	n, _ := q.Counts()
	return n
}
