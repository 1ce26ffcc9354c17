package pool

import (
	"context"

	"github.com/millstream-go/millstream/internal/engine"
)

// worker handles jobs on one goroutine of the queue.
type worker[In, Out any] struct {
	pool *Pool[In, Out]
	slot *slot
	job  *job[In, Out] // the current one
	mark int64         // clock reading at the end of the last call, which is the start of the next

	_ [cacheLine]byte // separates what it writes for every job from what others write
}

// cacheLine is the smallest unit that processors exchange when one of them writes what
// another reads.
const cacheLine = 64

// Begin starts a chunk.
func (w *worker[In, Out]) Begin(t *engine.Taker[*job[In, Out]]) { w.mark = t.Started() }

// Handle runs one job, unless the job or the pool has already ended.
func (w *worker[In, Out]) Handle(t *engine.Taker[*job[In, Out]], item **job[In, Out]) {
	p := w.pool
	for ; item != nil; item = w.again(t) {
		w.job = *item
		if w.slot == nil {
			w.slot = p.slots.TryAcquire(nil)
		}
		if w.slot != nil {
			w.slot.call.Store(&w.job.ctx)
			if !w.slot.leave.Load() && p.life.Err() == nil {
				// The worker may have read the clock before the job was queued.
				begun := max(w.mark, w.job.queued)
				if !w.job.claim(begun) {
					w.slot.call.Store(nil) // it may run elsewhere
					t.Skip()
					return
				}
				w.mark = w.job.start(w.slot, begun)
				return
			}
			w.release()
		}
		if p.life.Err() != nil {
			w.job.abort(context.Cause(p.life), false)
			t.Skip()
			return
		}
	}
}

// again puts the current job back because no worker is free or none may start a call,
// waits for a worker, and takes the job that is now first. It returns nil if there is
// none or the pool has ended.
func (w *worker[In, Out]) again(t *engine.Taker[*job[In, Out]]) **job[In, Out] {
	w.job = nil
	t.PutBack()
	if w.slot = w.pool.slots.Acquire(w.pool.life); w.slot == nil {
		return nil
	}
	item := t.Retake()
	w.mark = t.Started()
	return item
}

// Failed ends a job whose function panicked or called Goexit.
func (w *worker[In, Out]) Failed(_ *engine.Taker[*job[In, Out]], _ **job[In, Out], err error) {
	w.mark = w.job.end(err)
}

// End ends a chunk.
func (w *worker[In, Out]) End() int64 {
	w.release()
	w.job = nil
	return w.mark
}

func (w *worker[In, Out]) release() {
	if w.slot != nil {
		w.pool.slots.Release(w.slot)
		w.slot = nil
	}
}
