package pipeline

import "github.com/millstream-go/millstream/internal/engine"

// site is where a step is opened for a run.
type site struct {
	*engine.Scope
	run   *run
	lanes *binding // what the ports of branches are bound to
	node  *node    // of the step; nil if nobody watches the run
}

// up is the site of the step that is the i-th before this one.
func (at site) up(i int) site {
	if at.node != nil {
		at.node = at.node.ups[i]
	}
	return at
}

// within is the same place in another scope.
func (at site) within(sc *engine.Scope) site {
	at.Scope = sc
	return at
}

// meter is that of the step; nil if nobody watches.
func (at site) meter() *engine.Meter {
	if at.node == nil {
		return nil
	}
	return at.node.meter
}

// segment is a step that is fused with others: where it is opened, and the goroutine
// that they share.
type segment struct {
	site
	*thread
	probe *engine.Probe // counts for the step, if anybody watches
	below *node         // of the step behind it
}

func newSegment(at site) *segment { return &segment{site: at, thread: new(thread)} }

// up is the segment of the i-th step before, on the same goroutine.
func (seg *segment) up(i int) *segment {
	return &segment{site: seg.site.up(i), thread: seg.thread, below: seg.node}
}

// within is the segment in a scope of its own, for a step that ends early.
func (seg *segment) within(sc *engine.Scope) *segment {
	in := *seg
	in.site = in.site.within(sc)
	return &in
}

// enlist has the step counted, if anybody watches.
func (seg *segment) enlist() {
	if m := seg.meter(); m != nil && seg.probe == nil {
		m.Hire(1)
		seg.probe = m.NewProbe()
	}
}

// queued says that the step behind this one has a queue before it.
func (seg *segment) queued(depth func() (waiting, peak int)) {
	if seg.below != nil {
		seg.below.meter.Watch(depth)
	}
}

// outgoing counts what is emitted, if anybody watches.
func outgoing[T any](seg *segment, emit func(*item[T]) bool) func(*item[T]) bool {
	seg.enlist()
	p := seg.probe
	if p == nil {
		return emit
	}
	return func(it *item[T]) bool {
		p.Went()
		return emit(it)
	}
}

// incoming counts what comes, if anybody watches.
func incoming[T any](seg *segment, take func(*item[T]) bool) func(*item[T]) bool {
	seg.enlist()
	p := seg.probe
	if p == nil {
		return take
	}
	return func(it *item[T]) bool {
		p.Came()
		return take(it)
	}
}

// collecting is incoming and outgoing for a step that has no function to be busy with,
// but work of its own: the time until it emits something is its busy time.
func collecting[T, U any](seg *segment, take func(*item[T]) bool, emit *func(*item[U]) bool) func(*item[T]) bool {
	*emit = outgoing(seg, *emit)
	p, in, out := seg.probe, incoming(seg, take), *emit
	if p == nil {
		return in
	}
	*emit = func(it *item[U]) bool {
		p.Switch(engine.Idle, seg.Clock.Now())
		return out(it)
	}
	return func(it *item[T]) bool {
		p.Switch(engine.Busy, seg.Clock.Now())
		wanted := in(it)
		p.Switch(engine.Idle, seg.Clock.Now())
		return wanted
	}
}

// thread is what the fused steps of one goroutine share in a run.
type thread struct {
	// mark is the clock reading at the end of the last call, which is the
	// start of the next; 0 if time has passed since.
	mark int64
	// inBody says that the body of the user's range loop runs: a panic is not ours.
	inBody bool
	// unwinding says that a step has resolved an item whose function did not
	// return, and the goroutine is on its way out of it, or to its end.
	unwinding bool
	// rest goes on with what is left in the queue that feeds the segment; nil
	// if it is a source that feeds it.
	rest func()
	// tails are what steps do when what comes before them has ended, first steps
	// last.
	tails []func()
	// drain throws away what is left in that queue.
	drain func()
}

// start notes the time before a call, if it is not known from the call before.
func (seg *segment) start() {
	if seg.Timed && seg.mark == 0 {
		seg.mark = seg.Clock.Now()
	}
	seg.probe.Switch(engine.Busy, seg.mark)
}

// lap adds the time since start to an item's run time.
func (seg *segment) lap(run, ended *int64) {
	if !seg.Timed {
		return
	}
	now := seg.Clock.Now()
	*run += now - seg.mark
	*ended, seg.mark = now, now
	seg.probe.Switch(engine.Idle, now)
}

// waits is told when the goroutine begins to wait for room behind the step, and when
// that ends.
func (seg *segment) waits(begins bool) {
	if seg.probe == nil {
		return
	}
	mode := engine.Idle
	if begins {
		mode = engine.Blocked
	}
	seg.probe.Switch(mode, seg.Clock.Now())
}

// and runs body and then tail, also if body is gone on with by another goroutine.
func (seg *segment) and(tail, body func()) {
	seg.tails = append(seg.tails, tail)
	body()
	seg.tail()
}

// tail runs the last of the tails.
func (seg *segment) tail() {
	last := len(seg.tails) - 1
	tail := seg.tails[last]
	seg.tails = seg.tails[:last]
	tail()
}

// resume goes on in place of a goroutine that a function has ended.
func (seg *segment) resume() {
	seg.unwinding = false
	if seg.rest != nil { // else what it came from is gone
		seg.rest()
	}
	for len(seg.tails) > 0 {
		seg.tail()
	}
}

// leave ends the scope of what feeds the segment, if it has not ended by itself, and
// waits for it.
func (seg *segment) leave(sc *engine.Scope) {
	if sc.Live() {
		sc.Stop()
	}
	seg.drain()
}

// wanted reports whether items are still passed on: as long as the scope lives,
// and behind that as results that say that they were canceled.
func (seg *segment) wanted() bool { return seg.Live() || !seg.Drops() }

// feedFrom puts what a sequential step gives into q, on a goroutine of its own.
func feedFrom[T any](s step[T], at site, q *engine.Queue[item[T]], done func()) {
	box := q.NewOutbox()
	seg := newSegment(at)
	box.Waits = seg.waits
	emit := func(it *item[T]) bool {
		if box.Put(it) {
			seg.mark = 0
		}
		return seg.wanted()
	}
	seg.launch(func() { s.drive(seg, emit) }, func() {
		box.Flush()
		done()
	})
}

// launch runs body on a goroutine of the run, goes on behind a function that ends it, and
// calls end at last.
func (seg *segment) launch(body, end func()) {
	seg.Group.Go(func() {
		returned := false
		defer func() {
			if !returned {
				seg.launch(seg.resume, end)
				return
			}
			end()
		}()
		body()
		returned = true
	})
}

// driveQueue takes what a stage with workers gives and passes it to emit.
func driveQueue[T any](seg *segment, q *engine.Queue[item[T]], emit func(*item[T]) bool) {
	t := q.NewTaker()
	sc := seg.Scope
	seg.queued(q.Depth)
	seg.drain = t.Drain
	seg.rest = func() {
		for {
			it := t.Claim()
			if it == nil {
				if !t.Next(0) {
					return
				}
				seg.mark = t.Started()
				continue
			}
			// The look comes first: once the run is over, an item may be here
			// although one before it was dropped.
			if !seg.wanted() || !emit(it) {
				seg.leave(sc)
				return
			}
		}
	}
	seg.rest()
}
