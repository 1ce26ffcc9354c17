package pool

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/result"
)

// Submit enqueues in as a job. While the queue is full, it waits until there is room,
// ctx ends (the error is its cause) or the pool is closed ([ErrClosed]); waiting
// callers are served in turn. [WhenFull] can set another policy for a full queue.
// Once accepted, the job no longer depends on ctx, except for the values it provides:
// the job ends by itself, by [Job.Cancel], by [Pool.HaltNow], or with the pool. For
// options that are invalid or given twice, Submit returns an error that names them.
//
// Inside a call of the same pool, with that call's context, Submit does not wait for
// room: it returns an error that matches [ErrWouldDeadlock] and [ErrFull]. Pass it the
// context as the call got it: with one derived from it, such as one with a timeout, the
// new job keeps the job of that call in memory, and through it all jobs that it descends
// from.
func (p *Pool[In, Out]) Submit(ctx context.Context, in In, opts ...JobOption) (*Job[Out], error) {
	if ctx == nil {
		panic("pool: Submit: nil context")
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	j := p.newJob(ctx, in)
	if err := j.prepare(opts); err != nil {
		return nil, err
	}
	err := j.tryPut()
	if errors.Is(err, engine.ErrFull) {
		err = j.whenFull(ctx)
	}
	return j.accepted(err)
}

// TrySubmit is like Submit but never blocks and ignores [WhenFull]: it returns
// [ErrFull] if the queue is full. The call's context carries none of the submitter's
// values.
//
// A handler whose jobs need values of the request's context, such as a trace ID, uses a
// pool with [WhenFull] set to [Reject] instead, and calls [Pool.Submit] with that
// context: this does not block either, and the job outlives the request.
func (p *Pool[In, Out]) TrySubmit(in In, opts ...JobOption) (*Job[Out], error) {
	j := p.newJob(context.Background(), in)
	if err := j.prepare(opts); err != nil {
		return nil, err
	}
	return j.accepted(j.tryPut())
}

// tryPut puts the job into the queue, or returns why it could not.
func (j *job[In, Out]) tryPut() (err error) {
	p := j.pool
	if e := j.entry(); e != nil {
		err = p.queue.TryEnter(e)
	} else {
		err = p.queue.TryPut(j)
	}
	if p.watch == nil {
		return err
	}
	if full := errors.Is(err, engine.ErrFull); p.full.Swap(full) != full && full {
		p.note(Event{Kind: QueueFull, Time: p.clock.Time(p.clock.Now()), Worker: -1})
	}
	return err
}

// whenFull applies the pool's policy to a job that finds no room.
func (j *job[In, Out]) whenFull(ctx context.Context) error {
	p := j.pool
	policy := p.policy
	if policy == CallerRuns && j.entry() != nil {
		policy = Block // it must not run out of turn
	}
	switch policy {
	case Reject:
		return engine.ErrFull
	case DropOldest:
		old, full, err := p.queue.Replace(j, j.entry())
		if full {
			old.abort(ErrDropped, true)
		}
		return err
	case CallerRuns:
		return j.runHere(ctx)
	case Block:
	}
	if outerCall(ctx, p.life) != nil {
		return fullInsideError{}
	}
	if e := j.entry(); e != nil {
		return p.queue.Enter(ctx, e)
	}
	return p.queue.Put(ctx, j)
}

// runHere accepts the job and runs it on the caller's goroutine.
func (j *job[In, Out]) runHere(ctx context.Context) error {
	p := j.pool
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	hold, err := p.acquire(ctx, nil, nil)
	switch {
	case err != nil && ctx.Err() == nil:
		return ErrClosed // not the cause, as for every input that was not accepted
	case err != nil:
		return context.Cause(ctx)
	}
	defer hold.release()
	t := p.tally.part(int32(hold.slot.id))
	t.mu.Lock()
	t.accepted++
	t.mu.Unlock()
	if j.x != nil {
		j.x.accepted.Store(true)
		j.tell(Event{Kind: JobQueued})
	}
	if j.claimAt(hold) {
		j.runAt(hold)
	}
	return nil
}

// accepted completes a Submit. err says why the job was not accepted, if it was not.
func (j *job[In, Out]) accepted(err error) (*Job[Out], error) {
	if j.x != nil {
		if err == nil {
			j.tell(Event{Kind: JobQueued})
		} else if j.pool.track != nil {
			j.pool.track.forget(j.ID())
		}
	}
	switch {
	case err == nil:
		return &j.Job, nil
	case errors.Is(err, engine.ErrClosed):
		return nil, ErrClosed
	case errors.Is(err, engine.ErrFull):
		return nil, ErrFull
	}
	return nil, err
}

// extra is what only some jobs need: those with options, and those of a pool that is
// observed or tracked.
type extra[In, Out any] struct {
	entry    engine.Entry[*job[In, Out]]
	hasEntry bool // the job goes into the queue as an entry

	announced bool         // guarded by the watch
	accepted  atomic.Bool  // set under the lock of the queue
	worker    atomic.Int32 // the one that has called the function; -1: none
}

// entry is the job's entry in the queue, or nil.
func (j *job[In, Out]) entry() *engine.Entry[*job[In, Out]] {
	if j.x == nil || !j.x.hasEntry {
		return nil
	}
	return &j.x.entry
}

// prepare allocates what the job needs beyond itself.
func (j *job[In, Out]) prepare(opts []JobOption) error {
	p := j.pool
	if len(opts) == 0 && p.watch == nil && p.track == nil {
		return nil
	}
	j.x = new(extra[In, Out])
	j.x.worker.Store(-1)
	if len(opts) > 0 {
		if err := j.configure(opts); err != nil {
			return err
		}
	}
	if p.track != nil {
		p.track.add(j)
	}
	return nil
}

// configure fills in the job's queue entry from its options.
func (j *job[In, Out]) configure(opts []JobOption) error {
	c := &jobConfig{capacity: j.pool.capacity}
	for _, opt := range opts {
		if opt == nil {
			return errors.New("pool: Submit: nil option")
		}
		opt(c)
	}
	if c.err != nil {
		return c.err
	}
	j.x.hasEntry = true
	e := &j.x.entry
	e.Value, e.Key, e.Priority, e.Weight = j, c.key, c.priority, c.weight
	if c.after > 0 {
		if e.Due = j.queued + int64(c.after); e.Due < 0 {
			e.Due = math.MaxInt64
		}
	}
	return nil
}

// tell notes an event of this job.
func (j *job[In, Out]) tell(e Event) {
	if w := j.pool.watch; w != nil {
		e.Job = j.ID()
		w.noteJob(&j.x.announced, j.pool.clock.Time(j.queued), e)
	}
}

// ended tells the observer and the registry of a job that has just ended, and frees
// its key and its weight.
func (j *job[In, Out]) ended(now int64, status result.Status, dropped bool) {
	p := j.pool
	kind := JobFinished
	if dropped {
		kind = JobDropped
	}
	e := Event{Kind: kind, Time: p.clock.Time(now), Worker: int(j.worker), Status: status, Err: j.err}
	if !dropped {
		e.Attempt, e.Wait, e.Run = j.attempts(), j.wait(), j.run
	}
	j.tell(e)
	if p.track != nil {
		p.track.ended(j.ID())
	}
	if e := &j.x.entry; e.Key != nil || e.Weight > 0 { // others hold nothing
		p.queue.Done(e)
	}
}
