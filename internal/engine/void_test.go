package engine

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// What is put into a void queue is gone, also what an ordered stage has kept for want of
// room: no window stays shut behind it.
func TestAVoidQueueTakesAllOfAnOrderedStage(t *testing.T) {
	for _, limit := range []int{1, 3, 64} {
		in, out := NewQueue[int](NewClock(), 16), NewQueue[int](NewClock(), limit)
		order := NewOrder(in, out, 2)
		p := &part{wake: make(chan struct{}, 1)}
		for seq := range 2 {
			for i := range 20 { // beyond the first slot's they are kept
				order.PutPart(p, uint64(seq), &i)
			}
		}
		order.Finish(1)
		order.Finish(0)
		out.Void()
		require.EqualValues(t, 2, order.window.passed.Load(), "limit %d", limit)
		require.Empty(t, order.many[0], "nothing is kept")
		waiting, _ := out.Depth()
		require.Zero(t, waiting)
	}
}

// A call that waits for its turn before a queue that becomes void goes on.
func TestACallThatWaitsForItsTurnBeforeAVoidQueue(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		in, out := NewQueue[int](NewClock(), 16), NewQueue[int](NewClock(), 1)
		order := NewOrder(in, out, 4)
		var calls sync.WaitGroup
		for seq := range uint64(3) {
			calls.Go(func() {
				p := &part{wake: make(chan struct{}, 1)}
				for i := range 300 {
					order.PutPart(p, seq, &i)
				}
				order.Finish(seq)
				order.Flush()
			})
		}
		synctest.Wait()
		out.Void()
		calls.Wait()
		require.EqualValues(t, 3, order.window.passed.Load())
	})
}

// A queue may become void after it was closed, while takers wait for a window to move:
// then there is nothing left for them.
func TestAClosedQueueThatBecomesVoidSendsItsTakersHome(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		in, out := NewQueue[int](NewClock(), 16), NewQueue[int](NewClock(), 16)
		NewOrder(in, out, 2)
		gate := make(chan struct{})
		c := &count{t: t, seen: make([]atomic.Int32, 10), wait: func(v int) {
			if v == 0 {
				<-gate
			}
		}}
		var wg sync.WaitGroup
		ended := make(chan struct{})
		crew := NewCrew(in, 2, &wg, func(int) Handler[int] { return c }, func() { close(ended) })
		for i := range 5 {
			require.NoError(t, in.TryPut(i))
		}
		synctest.Wait() // one worker is in its call, the other one waits behind the window
		crew.Close()
		synctest.Wait()
		in.Void()
		close(gate)
		<-ended
		wg.Wait()
		require.Zero(t, c.seen[2].Load())
	})
}

// The last worker may have gone before the queue becomes void: then the crew ends by that.
func TestACrewWithoutWorkersEndsWhenItsQueueBecomesVoid(t *testing.T) {
	q := NewQueue[int](NewClock(), 16)
	q.Hold(true)
	var wg sync.WaitGroup
	ended := false
	crew := NewCrew(q, 2, &wg, func(int) Handler[int] { return &count{t: t} }, func() { ended = true })
	require.NoError(t, q.TryPut(1))
	crew.Close()
	require.False(t, ended)
	q.Void()
	require.True(t, ended)
	q.Void()
}
