package pipeline

import "github.com/millstream-go/millstream/internal/engine"

// site is the place where a step is opened for a run.
type site struct {
	*engine.Scope
	run   *run
	lanes *binding // what the ports of branches are bound to
	node  *node    // of the step; nil if the run is not watched
}

// up returns the site of the i-th step before this one.
func (at site) up(i int) site {
	if at.node != nil {
		at.node = at.node.ups[i]
	}
	return at
}

// within returns the same site in another scope.
func (at site) within(sc *engine.Scope) site {
	at.Scope = sc
	return at
}

// meter returns the meter of the step, or nil if the run is not watched.
func (at site) meter() *engine.Meter {
	if at.node == nil {
		return nil
	}
	return at.node.meter
}

// segment is a step that is fused with others: the site where it is opened, and the
// goroutine that they share.
type segment struct {
	site
	*thread
	probe *engine.Probe // counts for the step; nil if the run is not watched
	below *node         // of the step after it
}

func newSegment(at site) *segment { return &segment{site: at, thread: new(thread)} }

// up returns the segment of the i-th step before, on the same goroutine.
func (seg *segment) up(i int) *segment {
	return &segment{site: seg.site.up(i), thread: seg.thread, below: seg.node}
}

// within returns the segment in a separate scope, for a step that ends early.
func (seg *segment) within(sc *engine.Scope) *segment {
	in := *seg
	in.site = in.site.within(sc)
	return &in
}

// enlist starts counting for the step, if the run is watched.
func (seg *segment) enlist() {
	if m := seg.meter(); m != nil && seg.probe == nil {
		m.Hire(1)
		seg.probe = m.NewProbe()
	}
}

// queued says that the step after this one has a queue before it.
func (seg *segment) queued(depth func() (waiting, peak int)) {
	if seg.below != nil {
		seg.below.meter.Watch(depth)
	}
}

// outgoing returns emit with the items counted, if the run is watched.
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

// incoming returns take with the items counted, if the run is watched.
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

// collecting is incoming and outgoing for a step without a function: the time of its own
// work until it emits something counts as busy.
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

// thread is the state that the fused steps of one goroutine share in a run.
type thread struct {
	// mark is the clock reading at the end of the last call, which is the start of the
	// next; 0 if time has passed since then.
	mark int64
	// inBody is true while the body of the user's range loop runs: a panic there is not
	// ours.
	inBody bool
	// unwinding is true when a step has resolved an item whose function did not return, and
	// the goroutine is unwinding out of that function or ending.
	unwinding bool
	// silent is true when that item was dropped by its stage's policy, so that nothing tells
	// of the end of the goroutine. It counts while unwinding is true.
	silent bool
	// rest goes on with what is left in the queue that feeds the segment; nil if a source
	// feeds it.
	rest func()
	// tails are what the steps do when the input before them has ended; those of the first
	// steps come last.
	tails []func()
	// drain discards what is left in that queue.
	drain func()
}

// start reads the clock before a call, if the time is not known from the call before.
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

// waits is called when the goroutine begins to wait for room after the step, and when that
// wait ends.
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

// and runs body and then tail, even if another goroutine has to finish body.
func (seg *segment) and(tail, body func()) {
	seg.tails = append(seg.tails, tail)
	body()
	seg.tail()
}

// tail runs the last of the tails. One that does not return is run again.
func (seg *segment) tail() {
	last := len(seg.tails) - 1
	seg.mark = 0 // the input may have ended long after the last call
	seg.tails[last]()
	seg.tails = seg.tails[:last]
}

// resume continues in place of a goroutine that a function has ended.
func (seg *segment) resume() {
	seg.unwinding = false
	if seg.rest != nil { // otherwise its source is gone
		seg.rest()
	}
	for len(seg.tails) > 0 {
		seg.tail()
	}
}

// leave ends the scope of the steps that feed the segment, unless it has ended by itself,
// and waits for them.
func (seg *segment) leave(sc *engine.Scope) {
	if sc.Live() {
		sc.Stop()
	}
	seg.drain()
}

// wanted reports whether items are still passed on: while the scope lives, and after that
// as canceled results, if results are kept.
func (seg *segment) wanted() bool { return seg.Live() || !seg.Drops() }

// feedFrom puts the outputs of a sequential step into q, on a goroutine of its own.
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

// launch runs body on a goroutine of the run, continues after a function that ends it, and
// finally calls end.
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

// driveQueue takes the outputs of a stage with workers from q and passes them to emit.
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
			// wanted is checked first: once the run is over, an item may be here
			// although one before it was dropped.
			if !seg.wanted() || !emit(it) {
				seg.leave(sc)
				return
			}
		}
	}
	seg.rest()
}
