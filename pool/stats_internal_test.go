package pool

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/result"
)

// A job that a worker is about to start may be started by a call that waits for it, in a slot of its own or in the share
// of the call. It runs once, and there.
func TestJobThatAWorkerIsLateForRunsOnce(t *testing.T) {
	for _, nested := range []bool{false, true} {
		p := New(func(ctx context.Context, in int) (int, error) { return in, context.Cause(ctx) }, Workers(2))
		late, helper := p.slots.TryAcquire(nil), p.slots.TryAcquire(nil)
		handle, err := p.TrySubmit(1) // stays queued: no slot is free
		require.NoError(t, err)
		j := handle.owner.(*job[int, int])

		late.call.Store(&j.ctx)
		assert.Equal(t, 1, p.Stats().Queued)
		assert.Zero(t, p.Stats().Running)

		hold := place{slot: helper, slots: p.slots}
		if nested {
			hold = place{slot: helper, share: make(chan struct{}, 1)}
		}
		require.True(t, j.claimAt(hold))
		s := p.Stats()
		assert.Equal(t, 1, s.Running, "nested %t", nested)
		assert.Zero(t, s.Queued, "nested %t", nested)
		assert.Zero(t, p.Workers()[late.id].Job)
		for _, c := range p.stuck() {
			assert.False(t, c.Worker == late.id && c.Job != 0, "%+v", c)
		}
		require.NoError(t, p.HaltNow(late.id))
		j.runAt(hold)
		late.call.Store(nil)
		p.slots.Release(late)
		p.slots.Release(helper)
		assert.Equal(t, result.Succeeded, handle.Status(), "it is not on the worker that was halted")
		require.NoError(t, p.Close())
	}
}
