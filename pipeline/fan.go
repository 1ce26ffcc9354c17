package pipeline

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/millstream-go/millstream/internal/engine"
)

// Broadcast gives every value of f to each of the stages and returns all their outputs, as
// they are made; the outputs of each stage keep their order. Values are not copied: the
// stages must not change what a value points to.
//
// The stages run concurrently, each on its own goroutines. A slow stage holds up the others
// once the queue before it is full: 256 values, or as many as a [Flow.Buffer] at the start
// of the stage says, or the option [Buffer] if it starts with a stage with workers. A stage
// that ends early, as with [Flow.Take], gets no more values, and the others go on; when all
// have ended, the steps before the fan-out end as before a Take. An input that failed
// before is passed on once, around the stages, and may overtake values.
//
// Each stage is called once, when the flow is built, and must use the flow that it gets
// exactly once; running that flow on its own fails. Giving no stage panics, and so do a nil
// stage and one that uses its flow otherwise. The kind of the step is "broadcast".
func Broadcast[T, U any](f Flow[T], stages ...Stage[T, U]) Flow[U] {
	up, c := f.check("Broadcast"), configure("broadcast", nil)
	return newFan(up, c, nil, 0, stages)
}

// Route gives each value of f to one of the stages and returns all their outputs. pick
// returns the position of the stage, from 0. A position out of range is a failure of the
// value, and so is a panic of pick. pick is called by one goroutine at a time. A value
// whose stage has ended early is dropped. In all else Route is like [Broadcast]. A nil pick
// panics. The kind of the step is "route".
func Route[T, U any](f Flow[T], pick func(T) int, stages ...Stage[T, U]) Flow[U] {
	up, c := f.check("Route"), configure("route", nil)
	if pick == nil {
		c.refuse("nil function")
	}
	return newFan(up, c, pick, 0, stages)
}

// Partition runs n copies of a stage concurrently and gives all values with the same key to
// the same copy. So the values of one key keep their order, if the stage keeps it, and the
// values of different keys are worked on at the same time. The copy for a key is chosen by
// a hash and may differ from run to run. There is no rebalancing: a key that has most of
// the values takes most of the time of one copy.
//
// The stage is called once, when the flow is built. Each copy has its own state: what a
// step such as [Scan] remembers, it remembers for each copy; a Take counts in each copy;
// and a source merged in by the stage runs in each copy. key is called by one goroutine at
// a time. A key that cannot be compared is a failure of its value. In all else Partition is
// like [Broadcast]. n below 1 panics, and so does a nil key. The kind of the step is
// "partition".
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

// opens returns how often a run opens the port with that id: each copy of a branch of a
// [Partition] opens the steps in it.
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

// errStray is the error of a flow that was given to a stage and is run on its own.
var errStray = errors.New("pipeline: the flow that a stage was given is run outside of it")

// fan hands the outputs of a step to branches, which all put their outputs into the queue
// after it.
type fan[T, U any] struct {
	base
	id       *int // known to its ports
	up       step[T]
	pick     func(T) int // the lane of a value; nil: all of them
	copies   int         // of the only branch; 0: as many lanes as branches
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
	h.unopened.Store(int64(lanes))
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

// handOut drives the steps before the fan, until they end or no lane wants more.
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
				wanted = c.unwound(recover())
			}
		}()
		lane := s.pick(v)
		returned = true
		if lane < 0 || lane >= len(h.lanes) {
			return c.end(h.outOfRange(lane))
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

// handout is the state of a fan in a run.
type handout[T any] struct {
	above    *engine.Scope // of the steps before the fan
	seg      *segment      // of the fan
	lanes    []lane[T]
	live     atomic.Int64 // lanes whose branch wants more
	unopened atomic.Int64
	opened   chan struct{} // closed once all lanes are open
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

// outOfRange returns the error of an item for which pick returned a lane that there is not.
func (h *handout[T]) outOfRange(lane int) error {
	if len(h.lanes) == 1 {
		return fmt.Errorf("pick returned %d, want 0", lane)
	}
	return fmt.Errorf("pick returned %d, want 0 to %d", lane, len(h.lanes)-1)
}

func (h *handout[T]) wanted() bool { return h.live.Load() > 0 && h.seg.wanted() }

// end closes the lanes after the last item.
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
	probe  *engine.Probe // of the port; nil if the run is not watched
	void   func() bool   // reports whether items put into it vanish
	done   func()
	forget func() bool
	over   atomic.Bool
}

// open connects the lane to q.
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
	if h.unopened.Add(-1) == 0 {
		close(h.opened)
	}
}

// close says that nothing more will come. Only the first call does anything.
func (l *lane[T]) close() {
	if l.over.CompareAndSwap(false, true) {
		l.done()
	}
}

// binding is what the port with that id stands for in a copy of a branch.
type binding struct {
	id    *int
	lane  any
	outer *binding
}

// port is the start of a branch: the items that the fan hands to it.
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
