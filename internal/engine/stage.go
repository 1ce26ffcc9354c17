package engine

import (
	"context"
	"errors"
	"iter"
)

// Func computes one output from one input.
type Func[In, Out any] func(context.Context, In) (Out, error)

// FlatFunc computes a sequence of outputs from one input.
type FlatFunc[In, Out any] func(context.Context, In) (iter.Seq[Out], error)

// Slot is the right to make one call at a time, and the worker that makes it.
type Slot interface {
	Worker() int
	// Recalled reports whether the slot is to be given back before the next call.
	Recalled() bool
}

// Places is where a stage gets the slots for its calls.
type Places interface {
	Acquire(ctx context.Context) (Slot, error)
	// Release gives a slot back. It reports whether the slot was asked for: then the
	// context of its calls must not be used again.
	Release(slot Slot) (asked bool)
}

// ErrSkip is returned by an internal Func for an input that has no output.
var ErrSkip = errors.New("no output")

// Stage is a crew that calls a user's function on each item of a queue and passes the
// outputs on to the next queue.
type Stage[In, Out any] struct {
	Scope   *Scope
	Workers int
	Window  int // bounds an ordered stage: inputs in flight or finished; 0: unordered

	// Exactly one of the two is set.
	Map  Func[In, Out]
	Flat FlatFunc[In, Out]

	// Wrap, if set, adds to an error of the function, which was called that often for in.
	Wrap func(in In, index int, calls int32, err error) error
	// Before, if set, is called before the first call for an item, and may wait.
	Before func(context.Context) error
	// Unused, if set, is called when Before has returned nil, but there is no call.
	Unused func()
	// Again, if set, makes the calls for an input, one or more, and counts them.
	Again func(ctx context.Context, calls *int32, call func() error) error
	// Lost, if set, decides what becomes of an input that has failed with err, which is
	// not wrapped; failed has everything but the value. It may run the user's code.
	Lost func(in In, failed *Item[Out], err error) Fate
	// Meter, if set, gathers what the stage does.
	Meter *Meter
	// Slots, if set, are shared with others: each chunk needs one. Bind makes the context
	// of a worker's calls, the function that records the worker's slot in it, and the one
	// that ends it.
	Slots Places
	Bind  func(context.Context) (context.Context, func(Slot), func())
	// Calls, if set, returns how many calls Map has made for its last input.
	Calls func(context.Context) int32
}

// Run puts the stage between two queues. It returns the crew, which the caller must
// close when all inputs are in; closeOut is called to close out when all outputs are.
func (s *Stage[In, Out]) Run(in *Queue[Item[In]], out *Queue[Item[Out]], closeOut func()) *Crew[Item[In]] {
	var order *Order[Item[Out]]
	if s.Window > 0 {
		order = NewOrder(in, out, s.Window)
	}
	return NewCrew(in, s.Workers, s.Scope.Group, func(id int) Handler[Item[In]] {
		w := &worker[In, Out]{stage: s, id: int32(id), ctx: s.Scope.Ctx, order: order}
		if order == nil {
			w.box = out.NewOutbox()
		}
		if s.Slots != nil {
			w.ctx, w.bind, w.end = s.Bind(w.ctx)
		}
		if s.Meter != nil {
			w.probe = s.Meter.NewProbe()
		}
		if w.box != nil && (w.probe != nil || s.Slots != nil) {
			w.box.Waits = w.waits
		}
		return w
	}, closeOut)
}

// worker is one worker of a stage.
type worker[In, Out any] struct {
	stage *Stage[In, Out]
	id    int32
	ctx   context.Context //nolint:containedctx // what its calls get
	slot  Slot
	bind  func(Slot)
	end   func()

	probe *Probe
	mate  *mate // the one that works, while there is a chunk

	calling bool  // the function runs
	calls   int32 // made for the current item, with Again
	judging bool  // Lost runs
	judged  bool  // Lost has ended its goroutine, but the item is resolved
	mark    int64 // clock reading at the end of the last call, which is the start of the next

	// The way out: one of box and order.
	box   *Outbox[Item[Out]]
	order *Order[Item[Out]]
	part  *part // for outputs of Flat that wait for their turn
	parts bool  // the current item has given some already

	// yield is what Flat's sequences get, and the fields below say whom it gives for. It
	// serves all calls, since the body of a range loop would cost an allocation for each.
	yield  func(Out) bool
	giving bool
	taker  *Taker[Item[In]]
	item   *Item[In]
}

// Begin starts a chunk.
func (w *worker[In, Out]) Begin(t *Taker[Item[In]]) {
	w.mark, w.mate = t.Started(), t.mate
	w.probe.Switch(Busy, w.mark)
}

// End ends a chunk.
func (w *worker[In, Out]) End() int64 {
	waited := false
	if w.box != nil {
		waited = w.box.flush(w.mate)
	} else {
		w.order.flush(w.mate)
	}
	w.release()
	if w.probe != nil {
		now := w.stage.Scope.Clock.Now()
		w.probe.Switch(Idle, now)
		return now
	}
	if waited || !w.stage.Scope.Timed {
		return 0
	}
	return w.mark
}

// Leave ends the worker.
func (w *worker[In, Out]) Leave() { w.probe.Leave() }

// waits is told when the worker begins to wait for room, and when that ends.
func (w *worker[In, Out]) waits(begins bool) {
	if begins {
		w.release() // a worker that waits for room makes no call
	}
	if w.probe != nil {
		w.probe.Switch(blockedIf(begins), w.stage.Scope.Clock.Now())
	}
}

func blockedIf(waits bool) Mode {
	if waits {
		return Blocked
	}
	return Busy
}

// Handle calls the function on one item, unless the item has failed before or the run
// is over.
func (w *worker[In, Out]) Handle(t *Taker[Item[In]], it *Item[In]) {
	s := w.stage
	w.look()
	w.probe.Came()
	if it.Err != nil {
		var none Out
		out := Next(it, none)
		w.emit(t, &out)
		return
	}
	if !s.Scope.Live() {
		w.cancel(t, it)
		return
	}
	for s.Slots != nil && (w.slot == nil || w.slot.Recalled()) {
		w.release()
		if err := w.acquire(); err != nil {
			w.refuse(t, it, err)
			return
		}
	}
	if s.Before != nil && !w.before(t, it) {
		return
	}
	if s.Flat != nil {
		w.flat(t, it)
		return
	}
	var v Out
	var err error
	w.calling, w.calls = true, 1
	if s.Again == nil {
		v, err = s.Map(w.ctx, it.Value)
	} else {
		v, err = w.mapAgain(it.Value)
	}
	w.calling = false
	calls := w.calls
	run, ended := it.Run, it.Ended
	if s.Scope.Timed {
		begun := w.mark
		w.lap(&run, &ended)
		w.probe.Ended(max(it.Ended, it.Queued), begun, w.mark, err)
	}
	if s.Calls != nil {
		calls = s.Calls(w.ctx)
	}
	switch err {
	case nil:
		out := w.place(t)
		out.Value, out.Err, out.Index = v, nil, it.Index
		out.Queued, out.Ended, out.Run = it.Queued, ended, run
		out.Attempt, out.Worker = calls, w.id
		w.lay(t)
	case ErrSkip: //nolint:errorlint // it is never wrapped
		w.finish(t)
	default:
		out := Item[Out]{
			Value: v, Index: it.Index, Queued: it.Queued, Ended: ended, Run: run,
			Attempt: calls, Worker: w.id,
		}
		w.fail(t, it, &out, err)
	}
}

// before waits for Stage.Before. It reports whether the call may start; if not, the
// item is resolved.
func (w *worker[In, Out]) before(t *Taker[Item[In]], it *Item[In]) bool {
	s := w.stage
	if w.probe != nil {
		w.probe.Switch(Limited, s.Scope.Clock.Now())
	}
	err := s.Before(w.ctx)
	w.mark = s.Scope.Clock.Now()
	w.probe.Switch(Busy, w.mark)
	switch {
	case !s.Scope.Live(): // the wait lasted until the run ended, whatever the error says
		if err == nil && s.Unused != nil {
			s.Unused()
		}
		w.cancel(t, it)
	case err != nil:
		w.refuse(t, it, err)
	default:
		return true
	}
	return false
}

// mapAgain is separate from Handle so that v does not escape there.
func (w *worker[In, Out]) mapAgain(in In) (v Out, err error) {
	err = w.stage.Again(w.ctx, &w.calls, func() (err error) {
		v, err = w.stage.Map(w.ctx, in)
		return err
	})
	w.noteRetries()
	return v, err
}

// flatAgain is mapAgain for a sequence.
func (w *worker[In, Out]) flatAgain(in In) (seq iter.Seq[Out], err error) {
	err = w.stage.Again(w.ctx, &w.calls, func() (err error) {
		seq, err = w.stage.Flat(w.ctx, in)
		return err
	})
	w.noteRetries()
	return seq, err
}

// noteRetries counts the calls for the current item after the first one.
func (w *worker[In, Out]) noteRetries() {
	if w.calls > 1 {
		w.probe.Note(Counts{Retries: uint64(w.calls - 1)})
	}
}

// flat calls the function on one item and passes on what its sequence gives.
func (w *worker[In, Out]) flat(t *Taker[Item[In]], it *Item[In]) {
	s := w.stage
	it.Attempt, it.Worker = 1, w.id
	began, begun, ran := max(it.Ended, it.Queued), w.mark, it.Run
	w.calling, w.calls = true, 1
	var seq iter.Seq[Out]
	var err error
	if s.Again == nil {
		seq, err = s.Flat(w.ctx, it.Value)
	} else {
		seq, err = w.flatAgain(it.Value)
		it.Attempt = w.calls
	}
	if err == nil && seq != nil {
		if w.yield == nil {
			w.yield = w.give
		}
		w.giving, w.taker, w.item = true, t, it
		seq(w.yield)
		w.giving, w.item = false, nil
	}
	w.calling = false
	if s.Scope.Timed {
		w.lap(&it.Run, &it.Ended)
		w.probe.Ended(began, begun, begun+it.Run-ran, err)
	}
	if err != nil {
		var none Out
		out := Next(it, none)
		w.fail(t, it, &out, err)
		return
	}
	w.finish(t)
}

// give passes on one output of the current item, and reports whether more are wanted.
func (w *worker[In, Out]) give(v Out) bool {
	if !w.giving {
		panic(YieldedLate)
	}
	s := w.stage.Scope
	if s.Timed {
		w.lap(&w.item.Run, &w.item.Ended)
	}
	out := Next(w.item, v)
	w.emitPart(w.taker, &out)
	if w.giving = s.Live(); !w.giving {
		s.Cut()
	}
	return w.giving
}

// YieldedLate is the panic of a sequence that goes on after yield has returned false,
// as in a range loop.
const YieldedLate = "sequence called yield after it returned false or the loop ended"

// lap adds the time since the last boundary to run and sets the next one.
func (w *worker[In, Out]) lap(run, ended *int64) {
	now := w.stage.Scope.Clock.Now()
	*run += now - w.mark
	*ended, w.mark = now, now
}

// look passes on what earlier items have left, if a taker of the next queue is idle.
// Each item begins with it: what was laid must not wait for the coming call.
func (w *worker[In, Out]) look() {
	waited := false
	if w.box != nil {
		waited = w.box.Look()
	} else {
		w.order.Look()
	}
	w.resume(waited)
}

// place returns where the only output of the current item goes, to be laid there.
func (w *worker[In, Out]) place(t *Taker[Item[In]]) *Item[Out] {
	if w.box != nil {
		return w.box.Place()
	}
	return w.order.Place(t.Seq())
}

// lay passes on what is in place. It is published by the atomic change of the next
// Claim, after which look is called, or by End.
func (w *worker[In, Out]) lay(t *Taker[Item[In]]) {
	w.probe.Went()
	if w.box != nil {
		w.resume(w.box.Lay())
	} else {
		w.order.Lay(t.Seq())
	}
}

// resume goes on after a step that may have waited for room.
func (w *worker[In, Out]) resume(waited bool) {
	if waited {
		w.mark = w.stage.Scope.Clock.Now()
	}
}

// emit passes on the only, or the last, output of the current item.
func (w *worker[In, Out]) emit(t *Taker[Item[In]], out *Item[Out]) {
	if w.parts {
		w.emitPart(t, out)
		w.finish(t)
		return
	}
	*w.place(t) = *out
	w.lay(t)
}

// emitPart passes on one output of several.
func (w *worker[In, Out]) emitPart(t *Taker[Item[In]], out *Item[Out]) {
	var waited bool
	w.probe.Went()
	if w.box != nil {
		waited = w.box.Put(out)
	} else {
		if w.part == nil {
			w.part = &part{wake: make(chan struct{}, 1), waits: w.waits}
		}
		w.parts = true
		waited = w.order.PutPart(w.part, t.Seq(), out)
	}
	w.resume(waited)
}

// finish says that the current item has no more outputs, or none. In an ordered stage
// it marks the item's slot as done.
func (w *worker[In, Out]) finish(t *Taker[Item[In]]) {
	if w.order != nil {
		w.parts = false
		w.order.Finish(t.Seq())
	}
}

// acquire gets a slot for the coming calls, or returns why there is none.
func (w *worker[In, Out]) acquire() error {
	s := w.stage
	slot, err := s.Slots.Acquire(s.Scope.Ctx)
	if err != nil {
		return err
	}
	w.slot, w.id = slot, int32(slot.Worker())
	w.bind(slot)
	w.mark = s.Scope.Clock.Now()
	return nil
}

// release gives the slot back, if there is one.
func (w *worker[In, Out]) release() {
	if w.slot == nil {
		return
	}
	w.bind(nil)
	if s := w.stage; s.Slots.Release(w.slot) {
		w.end()
		w.ctx, w.bind, w.end = s.Bind(s.Scope.Ctx)
	}
	w.slot = nil
}
