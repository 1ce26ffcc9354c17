package engine

import (
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

// stamped is an item that knows when it came.
type stamped struct {
	n  int
	at int64
}

// newLaned returns a queue with all that entries need.
func newLaned(limit int) *Queue[stamped] {
	q := NewQueue[stamped](NewClock(), limit)
	q.Age = func(v stamped) int64 { return v.at }
	q.Older = func(a, b stamped) bool { return a.at < b.at }
	q.Lanes(time.Second, 10)
	return q
}

// hired returns a taker that is not the only one.
func hired[T any](q *Queue[T]) *Taker[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.newTakerLocked()
}

// emptied takes what can be taken without waiting, one after the other.
func emptied(q *Queue[stamped], t *Taker[stamped]) []int {
	var got []int
	for {
		if it := t.Claim(); it != nil {
			got = append(got, it.n)
			continue
		}
		if n, _ := q.Counts(); n == 0 || !t.Next(0) {
			return got
		}
	}
}

func TestAnEntryGoesAheadOfWhatTakersHold(t *testing.T) {
	q := newLaned(100)
	first, second := hired(q), hired(q)
	first.pace, second.pace = 1, 1 // they think that items cost nothing
	for i := range 20 {
		require.NoError(t, q.TryPut(stamped{i, int64(i)}))
	}
	require.True(t, first.Next(0)) // takes all
	require.Equal(t, 0, first.Claim().n)
	require.True(t, second.Next(0)) // takes the earlier half of what is left
	require.Equal(t, 1, second.Claim().n)
	require.Zero(t, unclaimed(first))
	require.Equal(t, 9, unclaimed(second))

	require.NoError(t, q.TryEnter(&Entry[stamped]{Value: stamped{n: 99}, Priority: 1000}))
	require.Zero(t, unclaimed(first)+unclaimed(second), "all of it is back")
	n, accepted := q.Counts()
	require.Equal(t, 19, n)
	require.EqualValues(t, 21, accepted, "what went back was not accepted twice")
	got := emptied(q, first)
	require.Equal(t, 99, got[0])
	require.IsIncreasing(t, got[1:], "the others are in their old order")
	require.Len(t, got, 19)
}

func unclaimed(t *Taker[stamped]) int {
	next, end := unpack(t.span.Load())
	return max(end-next, 0)
}

func TestNobodyTakesSeveralBesideAnEntryThatMayGo(t *testing.T) {
	q := newLaned(100)
	taker := hired(q)
	taker.pace = 1
	now := q.clock.Now()
	for i := range 10 {
		require.NoError(t, q.TryPut(stamped{i, now}))
	}
	low := &Entry[stamped]{Value: stamped{n: 99}, Priority: -1000}
	require.NoError(t, q.TryEnter(low))
	require.True(t, taker.Next(0))
	require.Equal(t, 0, taker.Claim().n)
	require.Zero(t, unclaimed(taker))

	require.True(t, q.Remove(low))
	other := hired(q)
	other.pace = 1
	require.True(t, other.Next(0))
	require.Equal(t, 1, other.Claim().n)
	require.Equal(t, 8, unclaimed(other))
}

func TestHoldGivesNothing(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := newLaned(10)
		var got atomic.Int64
		var wg sync.WaitGroup
		wg.Add(1)
		crew := NewCrew(q, 3, &wg, func(int) Handler[stamped] { return counter{&got} }, wg.Done)
		q.Hold(true)
		require.NoError(t, q.TryPut(stamped{n: 1}))
		require.NoError(t, q.TryEnter(&Entry[stamped]{Value: stamped{n: 2}}))
		synctest.Wait()
		require.Zero(t, got.Load())
		q.Hold(false)
		synctest.Wait()
		require.EqualValues(t, 2, got.Load())
		q.Hold(true)
		require.NoError(t, q.TryPut(stamped{n: 3}))
		crew.Close()
		synctest.Wait()
		require.EqualValues(t, 2, got.Load(), "a closed one holds as well")
		q.Hold(false)
		wg.Wait()
		require.EqualValues(t, 3, got.Load())
	})
}

// counter is a handler that counts.
type counter struct{ n *atomic.Int64 }

func (counter) Begin(*Taker[stamped])                   {}
func (counter) End() int64                              { return 0 }
func (counter) Failed(*Taker[stamped], *stamped, error) {}
func (h counter) Handle(_ *Taker[stamped], it *stamped) { h.n.Add(1) }

func TestReplaceTakesOutTheOldest(t *testing.T) {
	q := newLaned(3)
	entry := &Entry[stamped]{Value: stamped{n: 2, at: 2}, Key: "k"}
	behind := &Entry[stamped]{Value: stamped{n: 3, at: 3}, Key: "k"}
	require.NoError(t, q.TryPut(stamped{n: 1, at: 1}))
	require.NoError(t, q.TryEnter(entry))
	require.NoError(t, q.TryEnter(behind))
	for i, want := range []int{1, 2, 3, 4} {
		dropped, full, err := q.Replace(stamped{n: 4 + i, at: int64(4 + i)}, nil)
		require.NoError(t, err)
		require.True(t, full)
		require.Equal(t, want, dropped.n)
	}
	require.False(t, q.Remove(entry), "it is gone")
	taker := hired(q)
	taker.Next(0)
	require.Equal(t, 5, taker.Claim().n)
	dropped, full, err := q.Replace(stamped{n: 9, at: 9}, nil)
	require.NoError(t, err)
	require.False(t, full, "there is room: %v", dropped)
	q.Close()
	_, full, err = q.Replace(stamped{n: 10}, nil)
	require.False(t, full)
	require.Equal(t, ErrClosed, err)
}

func TestClaimTakesWhatMayGoOnly(t *testing.T) {
	q := newLaned(10)
	free := &Entry[stamped]{}
	first, second := &Entry[stamped]{Key: 1}, &Entry[stamped]{Key: 1}
	heavy, heavier := &Entry[stamped]{Weight: 6}, &Entry[stamped]{Weight: 5}
	late := &Entry[stamped]{Due: q.clock.Now() + int64(time.Hour)}
	for _, e := range []*Entry[stamped]{free, first, second, heavy, heavier, late} {
		require.NoError(t, q.TryEnter(e))
	}
	claim := func(e *Entry[stamped], got, waits bool) {
		t.Helper()
		isGot, isWaiting := q.Claim(e)
		assert.Equal(t, got, isGot)
		assert.Equal(t, waits, isWaiting)
	}
	claim(free, true, false)
	claim(free, false, false) // it is taken
	claim(first, true, false)
	claim(second, false, true)
	claim(heavy, true, false)
	claim(heavier, false, true)
	claim(late, false, true)
	q.Done(first)
	claim(second, true, false)
	q.Done(heavy)
	claim(heavier, true, false)
	q.Done(free)
	claim(free, false, false)
	require.True(t, q.Remove(late))
	require.Zero(t, length(q))
}

// A closed queue that a Remove empties is over, also if nobody has ever taken from it.
func TestRemoveCanEndACrew(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := newLaned(10)
		var wg sync.WaitGroup
		wg.Add(1)
		crew := NewCrew(q, 3, &wg, func(int) Handler[stamped] { return counter{new(atomic.Int64)} }, wg.Done)
		late := &Entry[stamped]{Due: q.clock.Now() + int64(time.Hour)}
		require.NoError(t, q.TryEnter(late))
		crew.Close()
		begin := time.Now()
		require.True(t, q.Remove(late))
		wg.Wait()
		require.Zero(t, time.Since(begin))
	})
}

func TestTheAlarmIsOnTime(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := newLaned(100)
		var wg sync.WaitGroup
		wg.Add(1)
		var got atomic.Int64
		crew := NewCrew(q, 3, &wg, func(int) Handler[stamped] { return counter{&got} }, wg.Done)
		now := q.clock.Now()
		var es []*Entry[stamped]
		for _, at := range []int64{30, 10, 20, 10, 40} {
			e := &Entry[stamped]{Due: now + at*int64(time.Second)}
			es = append(es, e)
			require.NoError(t, q.TryEnter(e))
		}
		require.True(t, q.Remove(es[2]))
		for _, want := range []int64{2, 2, 3, 4} {
			time.Sleep(10*time.Second - 1)
			time.Sleep(1 * time.Nanosecond)
			synctest.Wait()
			require.Equal(t, want, got.Load())
		}
		crew.Close()
		wg.Wait()
	})
}

// A crew that is resized and trimmed all the time hands out each item once, and never
// has more workers than it may.
func TestACrewChangesItsSize(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const n = 20_000
		rnd := rand.New(rand.NewPCG(1, 2))
		q := NewQueue[int](NewClock(), 50)
		seen := make([]atomic.Int32, n)
		h := &sized{seen: seen}
		var wg sync.WaitGroup
		wg.Add(1)
		crew := NewCrew(q, 4, &wg, func(int) Handler[int] { return h }, wg.Done)
		wg.Go(func() {
			for i := range n {
				assert.NoError(t, q.Put(t.Context(), i))
			}
			crew.Close()
		})
		for range 200 {
			time.Sleep(time.Duration(rnd.IntN(20)) * time.Microsecond)
			if rnd.IntN(3) == 0 {
				crew.Trim(rnd.IntN(3))
			} else {
				crew.Resize(1 + rnd.IntN(8))
			}
		}
		crew.Resize(2)
		synctest.Wait()
		wg.Wait()
		for i := range seen {
			require.EqualValues(t, 1, seen[i].Load(), "item %d", i)
		}
		require.Zero(t, crew.active)
		require.Zero(t, crew.parted)
	})
}

// sized counts who takes an item; some take their time.
type sized struct{ seen []atomic.Int32 }

func (*sized) Begin(*Taker[int])               {}
func (*sized) End() int64                      { return 0 }
func (*sized) Failed(*Taker[int], *int, error) {}
func (h *sized) Handle(_ *Taker[int], v *int) {
	h.seen[*v].Add(1)
	if *v%64 == 0 {
		time.Sleep(10 * time.Microsecond)
	}
}

func TestAResizedCrewHasItsSize(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		q := NewQueue[int](NewClock(), 100)
		h := &waits{gate: make(chan struct{}), done: make(chan struct{}, 100)}
		var wg sync.WaitGroup
		wg.Add(1)
		crew := NewCrew(q, 2, &wg, func(int) Handler[int] { return h }, wg.Done)
		for i := range 20 {
			require.NoError(t, q.TryPut(i))
		}
		for _, size := range []int{5, 8, 3, 1, 4} {
			crew.Resize(size)
			for range h.now.Load() { // those that are too many end behind their items
				h.gate <- struct{}{}
				<-h.done
			}
			time.Sleep(time.Second)
			require.EqualValues(t, size, h.now.Load(), "size %d", size)
			for range 20 - length(q) - size {
				require.NoError(t, q.TryPut(1))
			}
		}
		close(h.gate)
		crew.Close()
		wg.Wait()
		require.Zero(t, crew.active)
	})
}

// waits holds each item until the gate lets it go.
type waits struct {
	now  atomic.Int64
	gate chan struct{}
	done chan struct{}
}

func (*waits) Begin(*Taker[int])               {}
func (*waits) End() int64                      { return 0 }
func (*waits) Failed(*Taker[int], *int, error) {}
func (h *waits) Handle(*Taker[int], *int) {
	time.Sleep(time.Millisecond) // long enough to be taken one at a time
	h.now.Add(1)
	<-h.gate
	h.now.Add(-1)
	select {
	case h.done <- struct{}{}:
	default:
	}
}
