package engine

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One item at a time, handed from stage to stage: each arrives, whether the next taker
// sleeps by then or is just about to.
func TestASingleItemIsHandedOver(t *testing.T) {
	for _, workers := range []int{1, 2, 4} {
		c := NewClock()
		const stages, n = 3, 20_000
		var queues [stages + 1]*Queue[int]
		for i := range queues {
			queues[i] = NewQueue[int](c, 4)
		}
		var wg sync.WaitGroup
		var crews [stages]*Crew[int]
		for i := range stages {
			next := queues[i+1]
			crews[i] = NewCrew(queues[i], workers, &wg, func(int) Handler[int] { return &adder{box: next.NewOutbox()} }, func() {})
		}
		first, last := queues[0].NewOutbox(), queues[stages].NewTaker()
		for i := range n {
			first.Put(&i)
			require.True(t, last.Next(0))
			got := last.Claim()
			require.NotNil(t, got)
			require.Equal(t, i+stages, *got)
			require.Nil(t, last.Claim())
		}
		for _, q := range queues {
			q.mu.Lock()
			assert.EqualValues(t, n, q.taken)
			assert.EqualValues(t, n, q.accepted)
			assert.LessOrEqual(t, q.peak, 1)
			assert.Zero(t, q.items.size)
			q.mu.Unlock()
		}
		for _, crew := range crews {
			crew.Close()
		}
		wg.Wait()
	}
}

// A queue that is closed behind a single item lets all takers go.
func TestTheLastItemIsNotTheLastOfTheTakers(t *testing.T) {
	for range 2000 {
		q := NewQueue[int](NewClock(), 4)
		out := NewQueue[int](NewClock(), 4)
		var wg sync.WaitGroup
		crew := NewCrew(q, 3, &wg, func(int) Handler[int] { return &adder{box: out.NewOutbox()} }, out.Close)
		box, last := q.NewOutbox(), out.NewTaker()
		for i := range 3 {
			box.Put(&i)
		}
		box.Flush()
		crew.Close()
		sum := 0
		for last.Next(0) {
			for v := last.Claim(); v != nil; v = last.Claim() {
				sum += *v
			}
		}
		require.Equal(t, 6, sum)
		wg.Wait()
	}
}

// adder passes on what is one more.
type adder struct{ box *Outbox[int] }

func (a *adder) Begin(*Taker[int]) {}
func (a *adder) Handle(_ *Taker[int], v *int) {
	a.box.Look()
	*a.box.Place() = *v + 1
	a.box.Lay()
}
func (a *adder) Failed(*Taker[int], *int, error) {}
func (a *adder) End() int64 {
	a.box.Flush()
	return 0
}
