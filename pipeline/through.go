package pipeline

import (
	"cmp"
	"context"
	"sync"

	"github.com/millstream-go/millstream/internal/engine"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// Through calls a pool's function on each value of f and returns its outputs, as the calls
// end. The pool's workers make the calls, in between those for other callers, and all
// settings of the pool apply: its limits, retries and timeouts. The pool's function may
// itself run flows through the same pool, with the context of its call.
//
// The flow does not close the pool. If the pool is closed, calls in flight are canceled,
// and items handed to it from then on fail with [pool.ErrClosed]. The pool's Shutdown waits
// until the flow has ended; its Close, if f gives nothing, waits until f gives a value or
// ends.
//
// An item's time in the queue of the pool counts as Wait. A [Report] counts a call when it
// has ended. At most 512 items are in the pool at once. Through takes these stage options:
// [Named]; [Buffer], for the queues before and after it; and [OnError], whose DeadLetter
// function is called by one goroutine at a time. Where order matters, write
//
//	pipeline.Map(f, p.Do, pipeline.Workers(n), pipeline.Ordered())
//
// The kind of the stage is "through"; its default name is that of the pool, if it has one. A
// nil pool panics.
func Through[T, U any](f Flow[T], p *pool.Pool[T, U], opts ...StageOption) Flow[U] {
	up, c := f.check("Through"), config{kind: "through", name: "through"}
	c.apply(opts)
	if p == nil {
		c.refuse("nil pool")
	}
	if !c.given["Named"] {
		c.name = cmp.Or(p.Stats().Name, c.name)
	}
	c.without("the pool has its own", "Workers", "Timeout", "Retry", "Limit")
	c.without("a pool gives its outputs as they come; for order use Map(f, p.Do, Workers(n), Ordered())", "Ordered")
	if c.buffer == 0 {
		c.buffer = defaultBuffer
	}
	return Flow[U]{&through[T, U]{base: c.on(up), up: up, pool: p}}
}

type through[T, U any] struct {
	base
	up   step[T]
	pool *pool.Pool[T, U]
}

// inPool is the most items in the stream of a pool at once.
const inPool = 512

func (s *through[T, U]) plan() *node {
	n := s.node(roleQueued, s.up.plan())
	n.keeps = inPool
	n.apart = true
	return n
}

func (s *through[T, U]) named(name string) step[U] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *through[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	q := engine.NewQueue[item[U]](seg.Clock, s.buffer)
	s.feed(seg.site, q, q.Close)
	driveQueue(seg, q, emit)
}

func (s *through[T, U]) feed(at site, q *engine.Queue[item[U]], done func()) {
	in := engine.NewQueue[item[T]](at.Clock, s.buffer)
	p := &passage[T, U]{
		site: at, cfg: &s.config, pool: s.pool, taker: in.NewTaker(), under: make(map[int]item[T]),
		out: q.NewOutbox(), around: q.NewOutbox(), judge: lost[T, U](&s.config, at.Clock),
	}
	p.room.L = &p.mu
	if m := at.meter(); m != nil {
		m.Watch(in.Depth)
		m.Hire(s.pool.Stats().Workers)
		p.probe = m.NewProbe()
	}
	at.Group.Go(func() {
		p.run()
		p.out.Flush()
		p.around.Flush()
		done()
	})
	s.up.feed(at.up(0), in, in.Close)
}

// passage is the state of a Through in a run. Inputs and outputs have a goroutine each:
// inputs that of the pool's stream, outputs its own.
type passage[T, U any] struct {
	site
	cfg   *config
	pool  *pool.Pool[T, U]
	probe *engine.Probe
	judge func(T, *item[U], error) engine.Fate

	taker       *engine.Taker[item[T]]
	out, around *engine.Outbox[item[U]] // for the outputs, and for items that bypass the pool

	mu    sync.Mutex
	under map[int]item[T] // under way, by number in the stream; at most inPool
	room  sync.Cond       // signals that there is room for another one
}

// run passes all inputs through the pool.
func (p *passage[T, U]) run() {
	for r := range p.pool.Stream(p.Ctx, p.inputs) {
		p.mu.Lock()
		it, ok := p.under[r.Index]
		delete(p.under, r.Index)
		p.room.Signal()
		p.mu.Unlock()
		if !ok { // a result of the stream itself: the pool is closed
			continue
		}
		p.settle(&it, r)
	}
	// The pool takes no more, or the run is over. Part of the current chunk may be left.
	for {
		it := p.taker.Claim()
		switch {
		case it == nil:
			if !p.taker.Next(0) {
				return
			}
		case p.came(it):
			p.settle(it, result.Result[U]{Err: pool.ErrClosed, Worker: -1})
		}
	}
}

// came counts an input, and passes it on if it has failed before. Otherwise todo is true.
func (p *passage[T, U]) came(it *item[T]) (todo bool) {
	p.probe.Came()
	if it.Err == nil {
		return true
	}
	failed := engine.Next(it, *new(U))
	p.probe.Went()
	p.around.Put(&failed)
	return false
}

// inputs is the sequence that the pool's stream reads.
func (p *passage[T, U]) inputs(yield func(T) bool) {
	next := 0
	for p.Live() {
		it := p.taker.Claim()
		if it == nil {
			p.around.Flush()
			if !p.taker.Next(0) {
				return
			}
			continue
		}
		if !p.came(it) {
			continue
		}
		p.mu.Lock()
		for len(p.under) == inPool {
			p.room.Wait()
		}
		p.under[next] = *it
		p.mu.Unlock()
		next++
		if !yield(it.Value) {
			return
		}
	}
}

// settle passes on the result of an input.
func (p *passage[T, U]) settle(it *item[T], r result.Result[U]) {
	out := engine.Next(it, r.Value)
	out.Attempt, out.Worker = int32(r.Attempt), int32(r.Worker)
	out.Run += int64(r.Timing.Run)
	begun := p.Clock.Now()
	out.Ended = begun
	if r.Attempt > 0 {
		out.Ended = p.Clock.Reading(r.Timing.Finished())
		begun = out.Ended - int64(r.Timing.Run)
	}
	if p.probe != nil {
		p.probe.Ended(max(it.Ended, it.Queued), begun, begun+int64(r.Timing.Run), r.Err)
		p.probe.Note(engine.Counts{Busy: int64(r.Timing.Run), Retries: uint64(max(r.Attempt-1, 0))})
	}
	if r.Err == nil {
		p.emit(&out)
		return
	}
	p.fail(it, &out, r.Err)
}

// fail resolves an input that has failed.
func (p *passage[T, U]) fail(it *item[T], out *item[U], err error) {
	switch {
	case p.Live():
		p.probe.Note(engine.Counts{Errors: 1})
		if p.judge != nil {
			fate := engine.Fails
			if judged := contained(func() { fate = p.judge(it.Value, out, err) }); judged != nil {
				err = judged
			}
			switch fate {
			case engine.Skips:
				p.probe.Note(engine.Counts{Skipped: 1})
				return
			case engine.Buried:
				p.probe.Note(engine.Counts{Dead: 1})
				return
			case engine.Fails:
			}
		}
	case p.Drops():
		return
	case out.Attempt == 0:
		out.Canceled(context.Cause(p.Ctx), out.Ended)
		p.emit(out)
		return
	}
	err = &StageError{Stage: p.cfg.name, Index: it.Index, Input: it.Value, Attempts: int(out.Attempt), Err: err}
	if !p.Keep {
		p.Fail(err)
		return
	}
	out.Err = err
	p.emit(out)
}

func (p *passage[T, U]) emit(out *item[U]) {
	p.probe.Went()
	p.out.Put(out)
}

// contained calls fn on a separate goroutine, so that a Goexit in fn does not end this one,
// and returns how fn ended other than by returning.
func contained(fn func()) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			if !returned {
				err = engine.Caught(recover()) //nolint:revive // read behind done
			}
		}()
		fn()
		returned = true
	}()
	<-done
	return err
}
