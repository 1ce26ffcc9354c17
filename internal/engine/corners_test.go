package engine

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// filled returns a queue with n items, and a taker that thinks that items cost nothing.
func filled(t *testing.T, n int) (*Queue[stamped], *Taker[stamped]) {
	t.Helper()
	q := newLaned(n)
	taker := hired(q)
	taker.pace = 1
	for i := range n {
		require.NoError(t, q.TryPut(stamped{i, int64(i)}))
	}
	return q, taker
}

// Who has an entry done may make the next one of its key ready: then that goes before
// what others hold and have not started.
func TestAnEntryThatBecomesReadyGoesAheadOfWhatTakersHold(t *testing.T) {
	q := newLaned(100)
	first, second := hired(q), hired(q)
	second.pace = 1
	before := &Entry[stamped]{Value: stamped{n: 98}, Key: "k", Priority: 1000}
	behind := &Entry[stamped]{Value: stamped{n: 99}, Key: "k", Priority: 1000}
	require.NoError(t, q.TryEnter(before))
	require.NoError(t, q.TryEnter(behind))
	require.True(t, first.Next(0))
	require.Equal(t, 98, first.Claim().n)
	for i := range 20 {
		require.NoError(t, q.TryPut(stamped{i, int64(i)}))
	}
	require.True(t, second.Next(0))
	require.Equal(t, 0, second.Claim().n)
	require.Equal(t, 19, unclaimed(second))

	q.Done(before)
	require.Zero(t, unclaimed(second), "all of it is back")
	require.Equal(t, 99, emptied(q, first)[0])
}

// A taker that puts back what it cannot start holds nothing, counts as on the way, and
// comes back for whatever there is: also for what another one holds.
func TestPutBackAndRetake(t *testing.T) {
	q, first := filled(t, 20)
	second := hired(q)
	second.pace = 1
	for range 3 {
		require.True(t, first.Next(0))
		require.Equal(t, 0, first.Claim().n)
		require.Len(t, q.loaded, 1)
		first.PutBack()
		require.Empty(t, q.loaded)
		require.True(t, q.onTheWay && first.roused, "nobody else is sent meanwhile")
		require.Equal(t, 0, first.Retake().n)
		require.Len(t, q.loaded, 1)
		require.False(t, first.roused)
		first.PutBack()
	}
	require.True(t, second.Next(0))
	require.Equal(t, 0, second.Claim().n)
	require.Zero(t, q.items.size)
	require.Equal(t, 1, first.Retake().n, "the first of what the other one has not started")
}

// What takers have given back may be more than fits: producers wait then.
func TestCollectFromProducersOfAQueueThatIsMoreThanFull(t *testing.T) {
	q, taker := filled(t, 4)
	require.True(t, taker.Next(0))
	for i := range 4 {
		require.NoError(t, q.TryPut(stamped{n: 10 + i}))
	}
	b := q.NewOutbox()
	b.Put(&stamped{n: 20})
	q.mu.Lock()
	q.recallLocked()
	size, came := q.items.size, q.collectLocked()
	q.unlock(nil)
	require.Equal(t, 8, size)
	require.False(t, came)
}

func TestPurgeLeavesNothing(t *testing.T) {
	q, taker := filled(t, 5)
	require.True(t, taker.Next(0))
	require.Equal(t, 0, taker.Claim().n)
	ready := &Entry[stamped]{Value: stamped{n: 6}}
	delayed := &Entry[stamped]{Value: stamped{n: 7}, Due: q.clock.Now() + int64(time.Hour)}
	require.NoError(t, q.TryEnter(ready))
	q.limit++
	require.NoError(t, q.TryEnter(delayed))
	require.NotZero(t, q.alarmAt)
	q.Close()
	var got []int
	for _, v := range q.Purge() {
		got = append(got, v.n)
	}
	require.ElementsMatch(t, []int{1, 2, 3, 4, 6, 7}, got, "but for the one that was started")
	waiting, _ := q.Counts()
	require.Zero(t, waiting)
	require.Zero(t, q.alarmAt, "nothing will be due")
	require.False(t, q.Remove(ready) || q.Remove(delayed))
}

// A crew that grows does what waits with the workers that come, also if it is in the
// hands of one of the others.
func TestACrewThatGrowsGoesOnWithWhatWaits(t *testing.T) {
	for _, chunk := range []int{1, 50} {
		testkit.Bubble(t, func(t *testing.T) {
			gate := make(chan struct{})
			var done atomic.Int32
			c := &count{t: t, seen: make([]atomic.Int32, 3000), wait: func(v int) {
				if v == 2900 {
					<-gate
				}
				done.Add(1)
			}}
			q := NewQueue[int](NewClock(), 3000)
			var wg sync.WaitGroup
			ended := make(chan struct{})
			crew := NewCrew(q, 1, &wg, func(int) Handler[int] { return c }, func() { close(ended) })
			for i := range 2900 {
				require.NoError(t, q.TryPut(i))
			}
			synctest.Wait()
			q.Hold(true)
			for i := 2900; i < 2900+chunk; i++ {
				require.NoError(t, q.TryPut(i))
			}
			q.Hold(false)
			synctest.Wait()
			if chunk == 1 { // else they are in the hands of the one that is stuck
				require.NoError(t, q.TryPut(2901))
			}
			synctest.Wait()
			before := done.Load()
			crew.Resize(2)
			synctest.Wait()
			require.EqualValues(t, 2900, before)
			require.EqualValues(t, 2900+max(chunk-1, 1), done.Load())
			close(gate)
			crew.Close()
			<-ended
			wg.Wait()
		})
	}
}
