package pool

import (
	"context"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// worker is what one worker of the queue does with jobs.
type worker[In, Out any] struct {
	pool *Pool[In, Out]
	slot *engine.Slot
	mark int64 // clock reading at the end of the last call, which is the start of the next
}

// Begin starts a chunk.
func (w *worker[In, Out]) Begin(t *engine.Taker[*job[In, Out]]) { w.mark = t.Started() }

// Handle runs one job, unless it has ended before or the pool has.
func (w *worker[In, Out]) Handle(_ *engine.Taker[*job[In, Out]], item **job[In, Out]) {
	j := *item
	if w.slot == nil && !w.acquire() || w.pool.life.Err() != nil {
		j.ctx.end(context.Cause(w.pool.life))
		if j.state.CompareAndSwap(uint32(result.Queued), settling) {
			j.abandon()
		}
		return
	}
	if j.claim() {
		w.mark = j.start(w.slot, w.mark)
	}
}

// Failed ends a job whose function panicked or called Goexit.
func (w *worker[In, Out]) Failed(_ *engine.Taker[*job[In, Out]], item **job[In, Out], err error) {
	w.mark = (*item).end(err)
}

// End ends a chunk.
func (w *worker[In, Out]) End() int64 {
	if w.slot != nil {
		w.pool.slots.Release(w.slot)
		w.slot = nil
	}
	return w.mark
}

// acquire waits for a slot, until the pool ends.
func (w *worker[In, Out]) acquire() bool {
	slot, err := w.pool.slots.Acquire(w.pool.life)
	if err != nil {
		return false
	}
	w.slot = slot
	w.mark = w.pool.clock.Now()
	return true
}
