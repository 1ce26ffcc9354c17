package pipeline

import (
	"context"
	"iter"

	"github.com/millstream-go/millstream/internal/engine"
)

// Map returns the flow of fn's outputs, one for each value of f. Its kind, and so
// its default name, is "map". A nil fn panics.
func Map[T, U any](f Flow[T], fn func(context.Context, T) (U, error), opts ...StageOption) Flow[U] {
	up, c := f.check("Map"), configure("map", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	if c.workers > 0 {
		return Flow[U]{&pooled[T, U]{up: up, config: c, mapFn: fn}}
	}
	return Flow[U]{&mapped[T, U]{up: up, config: c, fn: fn}}
}

// FlatMap returns the flow of the values of the sequences that fn makes, one
// sequence for each value of f. They are passed on as they come: a sequence can
// be endless. All outputs of an input carry its index. If a sequence is cut
// because the run ends, its yield returns false, and there is no result for what it
// has not given yet. A nil sequence is an empty one, and a nil fn panics. The kind of the stage is "flatmap".
func FlatMap[T, U any](f Flow[T], fn func(context.Context, T) (iter.Seq[U], error), opts ...StageOption) Flow[U] {
	up, c := f.check("FlatMap"), configure("flatmap", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	if c.workers > 0 {
		return Flow[U]{&pooled[T, U]{up: up, config: c, flatFn: fn}}
	}
	return Flow[U]{&flattened[T, U]{up: up, config: c, fn: fn}}
}

// pooled is a stage with workers of its own.
type pooled[T, U any] struct {
	config
	up     step[T]
	mapFn  engine.Func[T, U]
	flatFn engine.FlatFunc[T, U]
}

func (s *pooled[T, U]) name() string { return s.config.name }

func (s *pooled[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	q := engine.NewQueue[item[U]](seg.Clock, s.buffer)
	s.feed(seg.Scope, q, q.Close)
	driveQueue(seg, q, emit)
}

func (s *pooled[T, U]) feed(sc *engine.Scope, out *engine.Queue[item[U]], done func()) {
	in := engine.NewQueue[item[T]](sc.Clock, s.buffer)
	stage := &engine.Stage[T, U]{
		Scope: sc, Workers: s.workers, Window: s.window,
		Map: s.mapFn, Flat: s.flatFn, Wrap: wrapper(s.name()),
	}
	crew := stage.Run(in, out, done)
	s.up.feed(sc, in, crew.Close)
}

// mapped is a Map without workers.
type mapped[T, U any] struct {
	config
	up step[T]
	fn engine.Func[T, U]
}

func (s *mapped[T, U]) name() string { return s.config.name }

func (s *mapped[T, U]) feed(sc *engine.Scope, q *engine.Queue[item[U]], done func()) {
	feedFrom(s, sc, q, done)
}

func (s *mapped[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	driveCalls(s.up, seg, s.name(), emit, s.call)
}

func (s *mapped[T, U]) call(c *call[U], v T) (wanted bool) {
	returned := false
	defer func() {
		if !returned {
			wanted = c.failed(recover())
		}
	}()
	u, err := s.fn(c.seg.Ctx, v)
	returned = true
	c.out.Value = u
	return c.end(err)
}

// flattened is a FlatMap without workers.
type flattened[T, U any] struct {
	config
	up step[T]
	fn engine.FlatFunc[T, U]
}

func (s *flattened[T, U]) name() string { return s.config.name }

func (s *flattened[T, U]) feed(sc *engine.Scope, q *engine.Queue[item[U]], done func()) {
	feedFrom(s, sc, q, done)
}

func (s *flattened[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	driveCalls(s.up, seg, s.name(), emit, s.call)
}

func (s *flattened[T, U]) call(c *call[U], v T) (wanted bool) {
	returned := false
	c.wanted = true
	defer func() {
		c.giving = false
		// What is emitted goes through other steps: they resolve what ends in them.
		switch {
		case returned || c.seg.inBody || c.seg.unwinding:
		case c.wanted:
			c.out.Value = *new(U) // not the last one again
			wanted = c.failed(recover())
		default: // it was cut: what becomes of it then is of no interest
			c.seg.unwinding = true
			_ = recover()
		}
	}()
	seq, err := s.fn(c.seg.Ctx, v)
	if err != nil {
		returned = true
		return c.end(err)
	}
	if seq != nil {
		if c.yield == nil {
			c.yield = c.give
		}
		c.giving = true
		seq(c.yield)
	}
	returned = true
	c.seg.mark = 0 // what went by since the last output belongs to none
	return c.wanted
}

// give emits one output of a sequence, and reports whether it may go on.
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

// call is what a fused step with a user's function needs in a run.
type call[U any] struct {
	seg  *segment
	wrap func(int, error) error
	emit func(*item[U]) bool
	out  item[U] // one for the whole run: emit does not keep it

	// For a sequence of outputs: its yield, one for the whole run, since the body of
	// a range loop would be an allocation for each input; whether it may be called;
	// and what emit said last.
	yield          func(U) bool
	giving, wanted bool
}

// driveCalls drives a fused step that calls do for each item of up.
func driveCalls[T, U any](up step[T], seg *segment, name string, emit func(*item[U]) bool, do func(*call[U], T) (wanted bool)) {
	c := &call[U]{seg: seg, wrap: wrapper(name), emit: emit}
	up.drive(seg, func(it *item[T]) bool {
		if wanted, over := begin(c, it); over {
			return wanted
		}
		wanted := do(c, it.Value)
		seg.unwinding = false
		return wanted
	})
}

// begin prepares the output of an input. It reports over if there is nothing to
// call: the input has failed before, or the run is over.
func begin[T, U any](c *call[U], it *item[T]) (wanted, over bool) {
	var none U
	c.out = engine.Next(it, none)
	if it.Err != nil {
		return c.emit(&c.out), true
	}
	if !c.seg.Live() {
		if c.seg.Drops() {
			return false, true
		}
		c.out.Canceled(context.Cause(c.seg.Ctx), c.seg.Clock.Now())
		return c.emit(&c.out), true
	}
	c.out.Attempt, c.out.Worker = 1, 0
	c.seg.start()
	return false, false
}

// end resolves the input after its call.
func (c *call[U]) end(err error) bool {
	c.seg.lap(&c.out.Run, &c.out.Ended)
	if err == nil {
		return c.emit(&c.out)
	}
	err = c.wrap(c.out.Index, err)
	if !c.seg.Keep {
		c.seg.Fail(err)
		return false
	}
	c.out.Err = err
	return c.emit(&c.out)
}

// failed resolves the input of a call that did not return. It does so while the
// call unwinds, since after a Goexit nothing behind the call will run.
func (c *call[U]) failed(recovered any) (wanted bool) {
	c.seg.unwinding = true
	return c.end(engine.Caught(recovered))
}
