package engine

import "context"

// Fate is what becomes of an input that has failed.
type Fate uint8

// The possible fates.
const (
	Fails  Fate = iota // it ends the run, or is a failed output
	Skips              // it vanishes
	Buried             // it vanishes, and has been reported
)

// Failed resolves an item whose call panicked or ended its goroutine.
func (w *worker[In, Out]) Failed(t *Taker[Item[In]], it *Item[In], err error) {
	if w.judged {
		w.judged = false
		return
	}
	// If Lost ends this goroutine as well, this is not called again for the same item.
	defer func() { w.judged = false }()
	if !w.calling { // the wait before the call has failed
		w.refuse(t, it, err)
		return
	}
	if w.item == nil { // otherwise its sequence was running, and they are noted
		w.noteRetries()
	} else if !w.giving { // yield has returned false: a panic after that is ignored
		err = nil
	}
	w.calling, w.giving, w.item = false, false, nil
	var none Out
	out := Next(it, none)
	out.Attempt, out.Worker = w.calls, w.id
	if w.stage.Scope.Timed {
		begun := w.mark
		w.lap(&out.Run, &out.Ended)
		w.probe.Ended(max(it.Ended, it.Queued), begun, w.mark, err)
	}
	if err == nil {
		w.finish(t)
		return
	}
	if w.stage.Calls != nil {
		out.Attempt = w.stage.Calls(w.ctx)
	}
	w.fail(t, it, &out, err)
}

// fail resolves an item that has failed with err: as the stage's Lost says, as an output,
// or as the end of the run.
func (w *worker[In, Out]) fail(t *Taker[Item[In]], it *Item[In], out *Item[Out], err error) {
	s := w.stage
	w.probe.Note(Counts{Errors: 1})
	if s.Lost != nil && s.Scope.Live() { // otherwise it may have failed because the run ends
		w.judge(t, it, out, err)
		return
	}
	w.failFor(t, it, out, err)
}

// judge asks Lost what becomes of a failed item. If Lost does not return, the item fails
// for that reason.
func (w *worker[In, Out]) judge(t *Taker[Item[In]], it *Item[In], out *Item[Out], err error) {
	clock := w.stage.Scope.Clock
	w.judging = true
	defer func() {
		if w.judging {
			w.judging = false
			recovered := recover()
			w.judged = recovered == nil // this goroutine ends
			w.mark = clock.Now()
			w.failFor(t, it, out, Caught(recovered))
		}
	}()
	failed := *out // a copy, so that out need not be on the heap if nothing fails
	fate := w.stage.Lost(it.Value, &failed, err)
	w.judging = false
	w.mark = clock.Now() // the time that it took does not count for the next call
	switch fate {
	case Fails:
		w.failFor(t, it, out, err)
		return
	case Skips:
		w.probe.Note(Counts{Skipped: 1})
	case Buried:
		w.probe.Note(Counts{Dead: 1})
	}
	w.finish(t)
}

// failFor resolves an item with an error: as an output, or as the end of the run.
func (w *worker[In, Out]) failFor(t *Taker[Item[In]], it *Item[In], out *Item[Out], err error) {
	if w.stage.Wrap != nil {
		err = w.stage.Wrap(it.Value, out.Index, out.Attempt, err)
	}
	if !w.stage.Scope.Keep {
		w.stage.Scope.Fail(err)
		w.finish(t)
		return
	}
	out.Err = err
	w.emit(t, out)
}

// cancel resolves an item whose call does not start because the run is over.
func (w *worker[In, Out]) cancel(t *Taker[Item[In]], it *Item[In]) {
	scope := w.stage.Scope
	if scope.Drops() {
		w.finish(t)
		return
	}
	var none Out
	out := Next(it, none)
	out.Canceled(context.Cause(scope.Ctx), scope.Clock.Now())
	w.emit(t, &out)
}

// refuse resolves an item whose call does not start, for a reason of its own.
func (w *worker[In, Out]) refuse(t *Taker[Item[In]], it *Item[In], why error) {
	var none Out
	out := Next(it, none)
	w.mark = w.stage.Scope.Clock.Now()
	w.probe.Switch(Busy, w.mark)
	out.Canceled(nil, w.mark)
	w.fail(t, it, &out, why)
}
