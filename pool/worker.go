package pool

import (
	"context"

	"github.com/millstream-go/millstream/internal/engine"
)

// worker is what one goroutine of the queue does with jobs.
type worker[In, Out any] struct {
	pool *Pool[In, Out]
	slot *slot
	mark int64 // clock reading at the end of the last call, which is the start of the next
}

// Begin starts a chunk.
func (w *worker[In, Out]) Begin(t *engine.Taker[*job[In, Out]]) { w.mark = t.Started() }

// Handle runs one job, unless it has ended before or the pool has.
func (w *worker[In, Out]) Handle(_ *engine.Taker[*job[In, Out]], item **job[In, Out]) {
	j := *item
	switch {
	case !w.ready(j):
		j.abort(context.Cause(w.pool.life), false)
	case j.claim(w.mark):
		w.mark = j.start(w.slot, w.mark)
		return
	}
	if j.x != nil && j.x.hasEntry {
		w.pool.queue.Done(&j.x.entry)
	}
}

// ready gets a slot for the job, or the one that it has already, and reports whether
// the call may be made. While the pool is paused, or this worker halted and no other
// one free, it waits.
func (w *worker[In, Out]) ready(j *job[In, Out]) bool {
	for {
		if w.slot == nil && !w.acquire() {
			return false
		}
		w.slot.call.Store(&j.ctx)
		if !w.slot.leave.Load() {
			return w.pool.life.Err() == nil
		}
		w.release()
	}
}

// Failed ends a job whose function panicked or called Goexit.
func (w *worker[In, Out]) Failed(_ *engine.Taker[*job[In, Out]], item **job[In, Out], err error) {
	w.mark = (*item).end(err)
}

// End ends a chunk.
func (w *worker[In, Out]) End() int64 {
	w.release()
	return w.mark
}

func (w *worker[In, Out]) release() {
	if w.slot != nil {
		w.pool.slots.Release(w.slot)
		w.slot = nil
	}
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
