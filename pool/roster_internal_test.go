package pool

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A worker that stops for being idle while it is halted is not told to be halted behind that.
func TestWorkerThatHasStoppedIsNotHalted(t *testing.T) {
	for range 100 {
		var mu sync.Mutex
		var told []EventKind
		p := New(func(context.Context, int) (int, error) { return 0, nil }, Workers(2), Observe(func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Worker == 0 && e.Job == 0 {
				told = append(told, e.Kind)
			}
		}))
		_, err := p.Do(t.Context(), 1)
		require.NoError(t, err)

		s := p.slots
		s.mu.Lock()
		r := s.seats[0].slot
		s.unlinkLocked(r)
		s.partLocked(r)
		s.mu.Unlock()
		p.watch.mu.Lock() // whatever is to be told now waits
		var both sync.WaitGroup
		both.Go(func() { s.retire(r) })
		both.Go(func() { assert.NoError(t, p.Halt(0)) })
		p.watch.mu.Unlock()
		both.Wait()
		require.NoError(t, p.Close())

		mu.Lock()
		require.NotEmpty(t, told)
		require.Equal(t, WorkerStopped, told[len(told)-1], "%v", told)
		mu.Unlock()
	}
}
