package pipeline

import (
	"context"

	"github.com/millstream-go/millstream/internal/engine"
)

// call is the state of a run for a fused step that calls a user's function.
type call[U any] struct {
	seg  *segment
	wrap func(error) error // adds the stage and the current input
	emit func(*item[U]) bool
	out  item[U] // one for the whole run: emit does not keep it

	policies *calls
	limited  bool // there are limits to wait for
	waiting  bool // the current call waits for them
	carries  bool // no function of the user is called
	retries  bool // there may be more than one call
	judge    func(failed *item[U], err error) engine.Fate

	from, begun, ran int64 // of the current call, for a report

	// For a sequence of outputs: its yield, created once per run, since the body of a range
	// loop would be an allocation for each input; whether yield may be called; and the last
	// result of emit.
	yield          func(U) bool
	giving, wanted bool
}

// driveCalls drives a fused step that calls do for each item of up.
func driveCalls[T, U any](up step[T], seg *segment, cfg *config, emit func(*item[U]) bool, do func(*call[U], T) (wanted bool)) {
	c := &call[U]{seg: seg, emit: outgoing(seg, emit), policies: cfg.open()}
	c.limited, c.retries = c.policies.limits != nil, c.policies.retry != nil
	c.carries = cfg.carries
	var at *item[T]
	wrap := wrapper[T](cfg.name)
	c.wrap = func(err error) error { return wrap(at.Value, at.Index, c.out.Attempt, err) }
	if decide := lost[T, U](cfg, seg.Clock); decide != nil {
		c.judge = func(failed *item[U], err error) engine.Fate { return decide(at.Value, failed, err) }
	}
	up.drive(seg.up(0), incoming(seg, func(it *item[T]) bool {
		if wanted, over := begin(c, it); over {
			return wanted
		}
		at = it
		wanted := do(c, it.Value)
		seg.unwinding = false
		return wanted
	}))
}

// begin prepares the output of an input. over is true if there is nothing to call, because
// the input has failed before or the run is over.
func begin[T, U any](c *call[U], it *item[T]) (wanted, over bool) {
	var none U
	c.out = engine.Next(it, none)
	if it.Err != nil {
		return c.emit(&c.out), true
	}
	if !c.seg.Live() {
		return c.cancel(), true
	}
	if !c.carries {
		c.out.Attempt, c.out.Worker = 1, 0
	}
	if !c.limited {
		c.seg.start()
	}
	if c.seg.probe != nil {
		c.from, c.begun, c.ran = max(it.Ended, it.Queued), c.seg.mark, it.Run
	}
	return false, false
}

// before waits for the limits of the call. Its error is the reason why the call does not
// start. After nil, there must be a call, with whose end the limits are released: see
// bounded.
func (c *call[U]) before() error {
	if !c.limited {
		return nil
	}
	if c.seg.probe != nil {
		c.seg.probe.Switch(engine.Limited, c.seg.Clock.Now())
	}
	c.waiting = true
	err := c.policies.limits.Wait(c.seg.Ctx)
	c.waiting = false
	c.seg.mark = 0
	switch {
	case !c.seg.Live(): // whatever the limit has returned
		if err == nil {
			c.policies.limits.Release()
		}
		return context.Cause(c.seg.Ctx)
	case err == nil:
		c.seg.start()
		c.begun = c.seg.mark
	}
	return err
}

// refuse resolves an input whose call does not start, for the error that before returned.
func (c *call[U]) refuse(err error) bool {
	if !c.seg.Live() {
		return c.cancel()
	}
	return c.refused(err)
}

// refused resolves an input whose call a limit has refused.
func (c *call[U]) refused(err error) bool {
	c.notCalled(nil)
	c.seg.probe.Note(engine.Counts{Errors: 1})
	return c.settle(err)
}

// cancel resolves an input whose call does not start because the run is over.
func (c *call[U]) cancel() bool {
	if c.seg.Drops() {
		return false
	}
	c.notCalled(context.Cause(c.seg.Ctx))
	return c.emit(&c.out)
}

// notCalled records that there is no call.
func (c *call[U]) notCalled(why error) {
	c.seg.mark = c.seg.Clock.Now()
	c.out.Canceled(why, c.seg.mark)
	c.seg.probe.Switch(engine.Idle, c.seg.mark)
}

// give emits one output of a sequence, and reports whether the sequence may go on.
func (c *call[U]) give(u U) bool {
	switch {
	case !c.giving:
		panic(engine.YieldedLate)
	case !c.seg.Live():
		c.seg.Cut()
		c.giving = false
		return false
	}
	c.seg.lap(&c.out.Run, &c.out.Ended)
	c.out.Value = u
	c.wanted = c.emit(&c.out)
	if c.giving = c.wanted; c.wanted {
		c.seg.start()
	}
	return c.wanted
}

// sequenceEnded records that a sequence has ended.
func (c *call[U]) sequenceEnded() {
	if c.seg.probe != nil {
		if c.wanted {
			c.seg.lap(&c.out.Run, &c.out.Ended)
		}
		c.note(nil)
	}
	c.seg.mark = 0 // the time since the last output belongs to no call
}

// end resolves the input after its call.
func (c *call[U]) end(err error) bool {
	c.seg.lap(&c.out.Run, &c.out.Ended)
	if c.seg.probe != nil {
		c.note(err)
	}
	if err == nil {
		return c.emit(&c.out)
	}
	return c.settle(err)
}

// settle resolves an input that has failed.
func (c *call[U]) settle(err error) bool {
	if c.judge != nil && c.seg.Live() {
		return c.judged(err)
	}
	return c.fail(err)
}

// note counts the current call.
func (c *call[U]) note(err error) {
	c.seg.probe.Ended(c.from, c.begun, c.begun+c.out.Run-c.ran, err)
	n := engine.Counts{Retries: uint64(max(c.out.Attempt-1, 0))}
	if err != nil {
		n.Errors = 1
	}
	if n != (engine.Counts{}) {
		c.seg.probe.Note(n)
	}
}

// judged decides what happens to a failed input. If judge does not return, the input fails
// with that panic or Goexit.
func (c *call[U]) judged(err error) (wanted bool) {
	returned := false
	defer func() {
		if !returned {
			c.seg.unwinding, c.seg.silent = true, false
			c.seg.mark = 0
			wanted = c.fail(engine.Caught(recover()))
		}
	}()
	failed := c.out
	if c.seg.probe != nil {
		c.seg.probe.Switch(engine.Busy, c.seg.Clock.Now())
		defer func() { c.seg.probe.Switch(engine.Idle, c.seg.Clock.Now()) }()
	}
	fate := c.judge(&failed, err)
	returned = true
	c.seg.mark = 0 // the time it took is not part of the next call
	c.seg.silent = fate == engine.Skips || fate == engine.Buried
	switch fate {
	case engine.Skips:
		c.seg.probe.Note(engine.Counts{Skipped: 1})
		return true
	case engine.Buried:
		c.seg.probe.Note(engine.Counts{Dead: 1})
		return true
	default:
		return c.fail(err)
	}
}

// fail resolves the input with an error.
func (c *call[U]) fail(err error) bool {
	err = c.wrap(err)
	if !c.seg.Keep {
		c.seg.Fail(err)
		return false
	}
	c.out.Err = err
	return c.emit(&c.out)
}

// unwound resolves the input of a call that did not return. It does so while the call
// unwinds, since after a Goexit nothing after the call will run.
func (c *call[U]) unwound(recovered any) (wanted bool) {
	c.seg.unwinding, c.seg.silent = true, false
	err := engine.Caught(recovered)
	if c.waiting {
		return c.refused(err)
	}
	return c.end(err)
}

// dropped ends an input that has no output.
func (c *call[U]) dropped() bool {
	c.seg.lap(&c.out.Run, &c.out.Ended)
	if c.seg.probe != nil {
		c.note(nil)
	}
	return true
}
