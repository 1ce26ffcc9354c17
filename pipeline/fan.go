package pipeline

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/millstream-go/millstream/internal/engine"
)

// Broadcast returns what the stages make of f: each of them gets every value, and their
// outputs come as they are made, in the order of each stage. A value is not copied: the
// stages must not change what it points to.
//
// The stages run at the same time, each on goroutines of its own. A slow one holds up the
// others once the queue before it is full: 256 values, or as many as [Flow.Buffer] at its
// beginning says, or the [Buffer] of a first stage with workers. One that ends early, as
// [Flow.Take] does, gets no more and lets the others go on; when all have ended, what is
// before the fan ends as before a Take. An input that failed before is passed on once,
// around the stages, and may overtake values.
//
// Each stage is called once, here, and must use the flow that it gets exactly once: in a
// run of its own that flow fails. No stage, a nil one, and one that uses its flow
// otherwise, panic. The kind of the step is "broadcast".
func Broadcast[T, U any](f Flow[T], stages ...Stage[T, U]) Flow[U] {
	up, c := f.check("Broadcast"), configure("broadcast", nil)
	return newFan(up, c, nil, 0, stages)
}

// Route returns what the stages make of f: each value goes to the one that pick names by
// its place among the stages, from 0. Another place is the failure of that value, and so
// is a panic of pick, which is called by one goroutine at a time. A value whose stage has
// ended early is dropped. For the rest see [Broadcast]; a nil pick panics. The kind of the
// step is "route".
func Route[T, U any](f Flow[T], pick func(T) int, stages ...Stage[T, U]) Flow[U] {
	up, c := f.check("Route"), configure("route", nil)
	if pick == nil {
		c.refuse("nil function")
	}
	return newFan(up, c, pick, 0, stages)
}

// Partition runs n copies of a stage beside each other and hands all values of the same key
// to the same copy: so values of a key keep their order, if the stage keeps it, and those of
// different keys are worked on at the same time. Which copy serves a key is chosen by a hash
// and may differ from run to run; there is no rebalancing, so that a key that has most of the
// values has most of one copy's time. The stage is called once, here. What its steps
// remember, as [Scan] does, each copy remembers by itself, a Take counts in each, and a
// source that it merges in runs in each. key is called by one goroutine at a time; a key
// that cannot be compared is the failure of its value. For the rest see [Broadcast]. n below
// 1 and a nil key panic. The kind of the step is "partition".
func Partition[T any, K comparable, U any](f Flow[T], n int, key func(T) K, stage Stage[T, U]) Flow[U] {
	up, c := f.check("Partition"), configure("partition", nil)
	if n < 1 {
		c.refuse(fmt.Sprintf("%d copies: want at least 1", n))
	}
	if key == nil {
		c.refuse("nil function")
	}
	seed := maphash.MakeSeed()
	pick := func(v T) int { return int(maphash.Comparable(seed, key(v)) % uint64(n)) }
	return newFan(up, c, pick, n, []Stage[T, U]{stage})
}

// opens says how often a run opens the port with that id: each copy of a branch of a
// [Partition] opens what is in it.
func (n *node) opens(id *int) int {
	if len(n.ups) == 0 {
		return n.count(id)
	}
	total := 0
	for i, up := range n.ups {
		opened := up.opens(id)
		if n.lanes > 0 && i > 0 {
			opened *= n.lanes
		}
		total += opened
	}
	return total
}

// errStray is the error of a flow that was made for a stage and is run by itself.
var errStray = errors.New("pipeline: the flow that a stage was given is run outside of it")

// fan hands the outputs of a step out to branches, which all put into the queue behind.
type fan[T, U any] struct {
	base
	id       *int // known to its ports
	up       step[T]
	pick     func(T) int // the lane of a value; nil: all of them
	copies   int         // of the only branch; 0: there are as many lanes as branches
	branches []step[U]
}

func newFan[T, U any](up step[T], c config, pick func(T) int, copies int, stages []Stage[T, U]) Flow[U] {
	if len(stages) == 0 {
		c.refuse("no stage")
	}
	s := &fan[T, U]{id: new(int), up: up, pick: pick, copies: copies}
	start := configure("port", nil)
	clocked := []interface{ clocked() bool }{up}
	for i, stage := range stages {
		if stage == nil {
			c.refuse(fmt.Sprintf("stage %d: nil", i))
		}
		out := stage(Flow[T]{&port[T]{base: start.on(up), id: s.id}})
		if out.step == nil {
			c.refuse(fmt.Sprintf("stage %d: it returns a zero Flow", i))
		}
		if n := out.step.plan().opens(s.id); n != 1 {
			c.refuse(fmt.Sprintf("stage %d: it uses its flow %d times: want once; Broadcast copies it", i, n))
		}
		s.branches = append(s.branches, out.step)
		clocked = append(clocked, out.step)
	}
	s.base = c.on(clocked...)
	return Flow[U]{s}
}

func (s *fan[T, U]) plan() *node {
	ups := []*node{s.up.plan()}
	for _, branch := range s.branches {
		ups = append(ups, branch.plan())
	}
	n := s.node(roleFan, ups...)
	n.id, n.lanes = s.id, s.copies
	return n
}

func (s *fan[T, U]) named(name string) step[U] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *fan[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	q := engine.NewQueue[item[U]](seg.Clock, s.buffer)
	s.feed(seg.site, q, q.Close)
	driveQueue(seg, q, emit)
}

func (s *fan[T, U]) feed(at site, q *engine.Queue[item[U]], done func()) {
	lanes := max(s.copies, len(s.branches))
	left := countdown(lanes+1, done)
	h := &handout[T]{above: at.Child(), lanes: make([]lane[T], lanes), opened: make(chan struct{})}
	h.closed.Store(int64(lanes))
	h.live.Store(int64(lanes))
	h.seg = newSegment(at.within(h.above))
	for i := range h.lanes {
		h.lanes[i].of = h
		branch := min(i, len(s.branches)-1)
		in := at.up(1 + branch)
		in.lanes = &binding{id: s.id, lane: &h.lanes[i], outer: at.lanes}
		s.branches[branch].feed(in, q, left)
	}
	around := q.NewOutbox()
	around.Waits = h.seg.waits
	h.seg.launch(func() {
		<-h.opened
		s.handOut(h, func(it *item[U]) bool {
			if around.Put(it) {
				h.seg.mark = 0
			}
			return h.seg.wanted()
		})
	}, func() {
		around.Flush()
		h.end()
		left()
	})
}

// handOut drives what is before the fan, until it ends or no lane wants more.
func (s *fan[T, U]) handOut(h *handout[T], around func(*item[U]) bool) {
	if s.pick == nil {
		var none U
		s.up.drive(h.seg.up(0), incoming(h.seg, func(it *item[T]) bool {
			if it.Err != nil {
				failed := engine.Next(it, none)
				h.seg.probe.Went()
				return around(&failed)
			}
			for i := range h.lanes {
				h.put(i, it)
			}
			return h.wanted()
		}))
		return
	}
	driveCalls(s.up, h.seg, &s.config, around, func(c *call[U], v T) (wanted bool) {
		returned := false
		defer func() {
			if !returned {
				wanted = c.failed(recover())
			}
		}()
		lane := s.pick(v)
		returned = true
		if lane < 0 || lane >= len(h.lanes) {
			return c.end(fmt.Errorf("no stage %d among %d", lane, len(h.lanes)))
		}
		c.dropped()
		out := engine.Next(&c.out, v)
		h.put(lane, &out)
		return h.wanted()
	})
}

// countdown calls done when it has been called n times.
func countdown(n int, done func()) func() {
	var left atomic.Int64
	left.Store(int64(n))
	return func() {
		if left.Add(-1) == 0 {
			done()
		}
	}
}

// handout is a fan in a run.
type handout[T any] struct {
	above  *engine.Scope // of what is before the fan
	seg    *segment      // of the fan
	lanes  []lane[T]
	live   atomic.Int64 // lanes whose branch wants more
	closed atomic.Int64 // lanes that are not open yet
	opened chan struct{}
}

// put hands an item to a lane, if its branch has not ended.
func (h *handout[T]) put(i int, it *item[T]) {
	l := &h.lanes[i]
	if l.void() {
		return
	}
	h.seg.probe.Went()
	l.probe.Went()
	if l.box.Put(it) {
		h.seg.mark = 0
	}
}

func (h *handout[T]) wanted() bool { return h.live.Load() > 0 && h.seg.wanted() }

// end closes the lanes behind the last item.
func (h *handout[T]) end() {
	for i := range h.lanes {
		l := &h.lanes[i]
		if l.forget() {
			h.seg.Group.Done()
		}
		l.box.Flush()
		l.close()
	}
	h.above.Release()
}

// lane leads from a fan to one branch.
type lane[T any] struct {
	of     *handout[T]
	box    *engine.Outbox[item[T]]
	probe  *engine.Probe // of the port, if anybody watches
	void   func() bool   // reports whether what is put vanishes
	done   func()
	forget func() bool
	over   atomic.Bool
}

// open has the lane lead into q.
func (l *lane[T]) open(sc *engine.Scope, q *engine.Queue[item[T]], done func()) {
	h := l.of
	l.box, l.void, l.done = q.NewOutbox(), q.IsVoid, done
	l.box.Waits = h.seg.waits
	sc.Group.Add(1)
	l.forget = context.AfterFunc(sc.Ctx, func() {
		defer sc.Group.Done()
		if !sc.Discarded() {
			return // the whole run ends, and so does what feeds the lane
		}
		q.Void()
		if h.live.Add(-1) == 0 {
			h.above.Stop()
		}
		l.close()
	})
	if h.closed.Add(-1) == 0 {
		close(h.opened)
	}
}

// close says that nothing more comes, whoever is first to know.
func (l *lane[T]) close() {
	if l.over.CompareAndSwap(false, true) {
		l.done()
	}
}

// binding is what the port with that id stands for in a branch.
type binding struct {
	id    *int
	lane  any
	outer *binding
}

// port is the start of a branch: what the fan hands to it.
type port[T any] struct {
	base
	id *int
}

func (s *port[T]) plan() *node {
	n := s.node(rolePort)
	n.id = s.id
	return n
}

func (s *port[T]) named(name string) step[T] {
	c := *s
	c.config = s.rename(name)
	return &c
}

// lane returns the lane that leads to the port in this run.
func (s *port[T]) lane(at site) *lane[T] {
	for b := at.lanes; b != nil; b = b.outer {
		if b.id == s.id {
			return b.lane.(*lane[T]) //nolint:forcetypeassert // the fan with that id made it
		}
	}
	return nil
}

func (s *port[T]) feed(at site, q *engine.Queue[item[T]], done func()) {
	l := s.lane(at)
	if l == nil {
		if at.Keep {
			at.FailLast(0, errStray)
		} else {
			at.Fail(errStray)
		}
		done()
		return
	}
	if m := at.meter(); m != nil {
		l.probe = m.NewProbe()
	}
	l.open(at.Scope, q, done)
}

func (s *port[T]) drive(seg *segment, emit func(*item[T]) bool) {
	q := engine.NewQueue[item[T]](seg.Clock, s.buffer)
	s.feed(seg.site, q, q.Close)
	driveQueue(seg, q, emit)
}
