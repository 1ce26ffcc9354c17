package pipeline

import (
	"context"
	"iter"

	"github.com/millstream-go/millstream/internal/engine"
)

// Map returns the flow of fn's outputs, one for each value of f. Its kind, and so its
// default name, is "map". A nil fn panics.
func Map[T, U any](f Flow[T], fn func(context.Context, T) (U, error), opts ...StageOption) Flow[U] {
	up, c := f.check("Map"), configure("map", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	return mapping(up, c, fn)
}

// mapping is Map with a configuration that is already checked.
func mapping[T, U any](up step[T], c config, fn engine.Func[T, U]) Flow[U] {
	if c.workers > 0 {
		return Flow[U]{&pooled[T, U]{base: c.on(up), up: up, mapFn: fn}}
	}
	return Flow[U]{&mapped[T, U]{base: c.on(up), up: up, open: func() engine.Func[T, U] { return fn }}}
}

// FlatMap returns the flow of the values of the sequences that fn returns, one sequence for
// each value of f. To give the elements of a slice:
//
//	return slices.Values(links), nil
//
// Values are passed on as they come, so a sequence can be endless. All outputs of an input
// carry its index. If the run ends in the middle of a sequence, the
// sequence's yield returns false, and there is no result for the values not given yet. If a
// sequence fails midway, its input fails, and the values already given stand. A nil
// sequence is an empty one. The kind of the stage is "flatmap". A nil fn panics.
func FlatMap[T, U any](f Flow[T], fn func(context.Context, T) (iter.Seq[U], error), opts ...StageOption) Flow[U] {
	up, c := f.check("FlatMap"), configure("flatmap", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	if c.workers > 0 {
		return Flow[U]{&pooled[T, U]{base: c.on(up), up: up, flatFn: fn}}
	}
	return Flow[U]{&flattened[T, U]{base: c.on(up), up: up, fn: fn}}
}

// pooled is a stage with its own workers.
type pooled[T, U any] struct {
	base
	up     step[T]
	mapFn  engine.Func[T, U]
	flatFn engine.FlatFunc[T, U]
}

func (s *pooled[T, U]) plan() *node { return s.node(rolePooled, s.up.plan()) }

func (s *pooled[T, U]) named(name string) step[U] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *pooled[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	q := engine.NewQueue[item[U]](seg.Clock, s.buffer)
	s.feed(seg.site, q, q.Close)
	driveQueue(seg, q, emit)
}

func (s *pooled[T, U]) feed(at site, out *engine.Queue[item[U]], done func()) {
	in := engine.NewQueue[item[T]](at.Clock, s.buffer)
	stage := &engine.Stage[T, U]{
		Scope: at.Scope, Workers: s.workers, Window: s.window,
		Wrap: wrapper[T](s.name), Meter: at.meter(), Lost: lost[T, U](&s.config, at.Clock),
	}
	if s.mapFn != nil {
		stage.Map = bounded(&s.config, s.mapFn)
	} else {
		stage.Flat = boundedFlat(&s.config, s.flatFn)
	}
	policies := s.config.open()
	if policies.limits != nil {
		stage.Before, stage.Unused = policies.limits.Wait, policies.limits.Release
	}
	if policies.retry != nil {
		stage.Again = policies.again
	}
	if s.most > s.workers && stage.Meter == nil {
		stage.Meter = engine.NewMeter(at.Clock)
	}
	if stage.Meter != nil {
		stage.Meter.Hire(s.workers)
		stage.Meter.Watch(in.Depth)
	}
	over := make(chan struct{})
	crew := stage.Run(in, out, func() {
		close(over)
		done()
	})
	if s.most > s.workers {
		at.Group.Go(func() { tune(at, crew, stage.Meter, s.workers, s.most, over) })
	}
	s.up.feed(at.up(0), in, crew.Close)
}

// mapped is a Map without workers.
type mapped[T, U any] struct {
	base
	up   step[T]
	open func() engine.Func[T, U] // makes the function for a run
}

func (s *mapped[T, U]) plan() *node { return s.node(roleFused, s.up.plan()) }

func (s *mapped[T, U]) named(name string) step[U] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *mapped[T, U]) feed(at site, q *engine.Queue[item[U]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *mapped[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	fn := bounded(&s.config, s.open())
	driveCalls(s.up, seg, &s.config, emit, func(c *call[U], v T) (wanted bool) {
		returned := false
		defer func() {
			if !returned {
				wanted = c.unwound(recover())
			}
		}()
		if err := c.before(); err != nil {
			returned = true
			return c.refuse(err)
		}
		var u U
		var err error
		if c.retries {
			u, err = again(c, fn, v)
		} else {
			u, err = fn(c.seg.Ctx, v)
		}
		returned = true
		c.out.Value = u
		return c.end(err)
	})
}

// again makes the calls for an input when there may be more than one.
func again[T, U, V any](c *call[V], fn func(context.Context, T) (U, error), v T) (u U, err error) {
	err = c.policies.again(c.seg.Ctx, &c.out.Attempt, func() (err error) {
		u, err = fn(c.seg.Ctx, v)
		return err
	})
	return u, err
}

// flattened is a FlatMap without workers.
type flattened[T, U any] struct {
	base
	up step[T]
	fn engine.FlatFunc[T, U]
}

func (s *flattened[T, U]) plan() *node { return s.node(roleFused, s.up.plan()) }

func (s *flattened[T, U]) named(name string) step[U] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *flattened[T, U]) feed(at site, q *engine.Queue[item[U]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *flattened[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	fn := boundedFlat(&s.config, s.fn)
	driveCalls(s.up, seg, &s.config, emit, func(c *call[U], v T) bool { return flatCall(c, fn, v) })
}

func flatCall[T, U any](c *call[U], fn engine.FlatFunc[T, U], v T) (wanted bool) {
	returned, given := false, false
	c.wanted = true
	defer func() {
		cut := given && !c.giving // yield has returned false
		c.giving = false
		switch {
		case returned || c.seg.inBody:
		case cut: // a panic after that is ignored
			c.seg.unwinding, c.seg.silent = true, false
			_ = recover()
			c.sequenceEnded()
			wanted = c.wanted
		case !c.seg.unwinding:
			c.out.Value = *new(U) // not the last one again
			wanted = c.unwound(recover())
		case c.seg.silent && c.seg.Live():
			// A later step has called Goexit and resolved its item, but what the sequence had
			// left is lost.
			c.seg.start()
			c.out.Value = *new(U)
			wanted = c.unwound(nil)
		}
	}()
	err := c.before()
	if err != nil {
		returned = true
		return c.refuse(err)
	}
	var seq iter.Seq[U]
	if c.retries {
		seq, err = again(c, fn, v)
	} else {
		seq, err = fn(c.seg.Ctx, v)
	}
	if err != nil {
		returned = true
		return c.end(err)
	}
	if seq != nil {
		if c.yield == nil {
			c.yield = c.give
		}
		given, c.giving = true, true
		seq(c.yield)
	}
	returned = true
	c.sequenceEnded()
	return c.wanted
}
