package pool

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// HaltNow may come when a worker has been taken for a job that has not started: its context has ended when it does. So it is
// for a job that a caller is about to run, on a worker of its own or in the share of its call.
func TestHaltNowReachesTheJobThatIsAboutToStart(t *testing.T) {
	for _, nested := range []bool{false, true} {
		var cause error
		p := New(func(ctx context.Context, in int) (int, error) { cause = context.Cause(ctx); return in, nil }, Workers(2))
		hold, err := p.acquire(t.Context(), nil, nil)
		require.NoError(t, err)
		at := hold
		if nested {
			at = place{slot: hold.slot, share: make(chan struct{}, 1)}
		}
		j := p.newJob(t.Context(), 1)
		require.NoError(t, p.HaltNow(hold.slot.id))
		require.True(t, j.claimAt(at))
		j.runAt(at)
		hold.release()
		assert.Equal(t, ErrHalted, cause, "nested %t", nested)
	}
}

// When the slots are closed, a caller in line gets an error, even if the pool's life has not ended yet.
func TestCallerInLineGetsAnErrorFromSlotsThatAreClosed(t *testing.T) {
	p := New(func(_ context.Context, in int) (int, error) { return in, nil }, Workers(1))
	p.slots.Close()
	_, err := p.Do(t.Context(), 1)
	assert.Equal(t, ErrClosed, err)
}
