package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

func TestSlotsAreServedInTurn(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		s := NewSlots(1)
		slot := s.TryAcquire()
		require.NotNil(t, slot)
		require.Nil(t, s.TryAcquire())

		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		var served []int
		for i := range 3 {
			go func() {
				ctx := ctx
				if i != 1 {
					ctx = context.Background()
				}
				got, err := s.Acquire(ctx)
				if i == 1 {
					assert.Equal(t, cause, err)
					return
				}
				assert.NoError(t, err)
				served = append(served, i)
				s.Release(got)
			}()
			synctest.Wait()
		}
		require.True(t, s.Crowded())
		cancel(cause)
		synctest.Wait()
		require.Empty(t, served)
		s.Release(slot)
		synctest.Wait()
		require.Equal(t, []int{0, 2}, served)
		require.Zero(t, s.Held())
		require.False(t, s.Crowded())

		held := s.TryAcquire()
		go func() {
			_, err := s.Acquire(context.Background())
			assert.Equal(t, ErrClosed, err)
		}()
		synctest.Wait()
		s.Close()
		s.Release(held)
		_, err := s.Acquire(context.Background())
		require.Equal(t, ErrClosed, err)
	})
}

// Under races no slot is held twice and none gets lost.
func TestSlotIsHeldByOne(t *testing.T) {
	const slots, users = 3, 12
	s := NewSlots(slots)
	var held [slots]atomic.Int32
	var all sync.WaitGroup
	for u := range users {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(u), 3))
			for range 2000 {
				ctx, cancel := context.WithCancel(context.Background())
				if rnd.IntN(4) == 0 {
					go cancel()
				}
				slot, err := s.Acquire(ctx)
				if err == nil {
					if held[slot.ID].Add(1) != 1 {
						t.Error("a slot was held twice")
					}
					held[slot.ID].Add(-1)
					s.Release(slot)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.Zero(t, s.Held())
	for range slots {
		require.NotNil(t, s.TryAcquire(), "a slot was lost")
	}
	require.Nil(t, s.TryAcquire())
}

func TestEachIndexIsTakenOnce(t *testing.T) {
	for _, n := range []int{0, 1, 5, 1000, 100_000} {
		x := NewIndices(NewClock(), n)
		seen := make([]atomic.Int32, n)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for r := x.NewRunner(); r.Next(); {
					for i, ok := r.Claim(); ok; i, ok = r.Claim() {
						seen[i].Add(1)
					}
				}
			})
		}
		all.Wait()
		require.False(t, x.Left())
		for i := range seen {
			require.EqualValues(t, 1, seen[i].Load(), "index %d of %d", i, n)
		}
	}
}

// A runner that is stuck leaves the rest of its range to the others.
func TestRangeOfAStuckRunnerIsTakenOver(t *testing.T) {
	x := NewIndices(NewClock(), 100_000)
	stuck, other := x.NewRunner(), x.NewRunner()
	for range 3 { // until it takes more than one at once
		require.True(t, stuck.Next())
		for _, ok := stuck.Claim(); ok; _, ok = stuck.Claim() { // all of them
		}
	}
	require.True(t, stuck.Next())
	first, ok := stuck.Claim()
	require.True(t, ok)
	_, end := unpack(stuck.span.Load())
	require.Greater(t, end, 1, "the test needs a range")

	taken := make(map[int]bool)
	for other.Next() {
		for i, ok := other.Claim(); ok; i, ok = other.Claim() {
			taken[i] = true
		}
	}
	require.False(t, taken[first])
	for i := first + 1; i < 100_000; i++ {
		require.True(t, taken[i], "index %d waits behind a stuck one", i)
	}
	_, ok = stuck.Claim()
	require.False(t, ok)
}
