package pipeline

import (
	"container/list"
	"context"
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Scan returns the running results of fn. fn is called with its last result, at first init,
// and the next value of f, and each of its results is passed on. An input for which fn
// fails does not change the last result. Each run begins with init; if init is a map, a
// slice or a pointer, fn must not change what it refers to. fn is called by one goroutine
// at a time. The kind of the stage is "scan"; it has no workers. A nil fn panics.
func Scan[T, A any](f Flow[T], init A, fn func(context.Context, A, T) (A, error), opts ...StageOption) Flow[A] {
	up, c := f.check("Scan"), configure("scan", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	c.inSequence()
	return Flow[A]{&mapped[T, A]{base: c.on(up), up: up, open: func() engine.Func[T, A] {
		sum := init
		return func(ctx context.Context, v T) (A, error) {
			next, err := fn(ctx, sum, v)
			if err == nil {
				sum = next
			}
			return next, err
		}
	}}}
}

// Reduce returns a flow of one value: the result of the last successful call of fn, called
// as in [Scan], once f has ended. It is init if no call succeeded, as when f is empty. The
// value carries the index and timing of the input of that call. Inputs that failed, here or
// before, are passed on individually. If the run is canceled before f has ended, there is
// no value; only Results yields the one so far, as a canceled result. The kind of the stage
// is "reduce"; it has no workers. A nil fn panics.
func Reduce[T, A any](f Flow[T], init A, fn func(context.Context, A, T) (A, error), opts ...StageOption) Flow[A] {
	up, c := f.check("Reduce"), configure("reduce", opts)
	if fn == nil {
		c.refuse("nil function")
	}
	c.inSequence()
	return Flow[A]{&gathered[T, A]{base: c.on(up), up: up, open: func() gatherer[T, A] {
		return &reducing[T, A]{sum: item[A]{Value: init, Worker: -1}, fn: fn}
	}}}
}

// Group is what [GroupBy] makes of the values of one key. It is a plain value and belongs
// to its receiver. The zero Group has no values.
type Group[K comparable, A any] struct {
	Key   K
	Value A
	Count int // number of values in it, at least 1
}

// GroupBy combines the values of each key into a [Group]. fn is called with its last result
// for that key, at first the zero A, and the next value. The groups are passed on when f
// has ended, those least recently added to first.
//
// most bounds the memory. When there would be more groups than that, the group least
// recently added to is passed on as it is, and a later value of its key begins a new one.
// So a key whose values are far apart may come more than once, and the receiver has to
// combine its groups. This does not happen where values come roughly in the order of their
// keys, as in a log grouped by the minute. A group carries the index, Queued and Run of its
// first value, and the Attempt of its last one; its Wait lasts until the call for the last
// one has ended. Inputs that failed before are passed on individually. If the run is
// canceled before f has ended, the groups left are dropped; only Results yields them, as
// they are, as canceled results.
//
// key and fn are called by one goroutine at a time. An input for which one of them fails
// changes nothing. A key that is not equal to itself (a NaN) puts each of its values into a
// group of its own. To aggregate on several goroutines, put GroupBy into a [Partition] by
// the same key. The kind of the stage is "groupby"; it has no workers. Nil functions panic,
// and so does a most below 1.
func GroupBy[T any, K comparable, A any](
	f Flow[T], most int, key func(T) K, fn func(context.Context, A, T) (A, error), opts ...StageOption,
) Flow[Group[K, A]] {
	up, c := f.check("GroupBy"), configure("groupby", opts)
	if key == nil || fn == nil {
		c.refuse("nil function")
	}
	if most < 1 {
		c.refuse(fmt.Sprintf("at most %d groups: want at least 1", most))
	}
	c.inSequence()
	return Flow[Group[K, A]]{&gathered[T, Group[K, A]]{base: c.on(up), up: up, keeps: most, open: func() gatherer[T, Group[K, A]] {
		return &grouping[T, K, A]{most: most, key: key, fn: fn, groups: make(map[K]*list.Element), order: list.New()}
	}}}
}

// Distinct returns the values of f without those whose key has come before. most bounds the
// memory: only keys are remembered, and beyond most of them the one that came first is
// forgotten. The age of a key counts from when its value was passed on; seeing the key
// again does not renew it. A NaN equals no key, so its values always pass. key is called by
// one goroutine at a time. The kind of the stage is "distinct"; it has no workers. A nil
// key panics, and so does a most below 1.
func Distinct[T any, K comparable](f Flow[T], most int, key func(T) K, opts ...StageOption) Flow[T] {
	up, c := f.check("Distinct"), configure("distinct", opts)
	if key == nil {
		c.refuse("nil function")
	}
	if most < 1 {
		c.refuse(fmt.Sprintf("at most %d keys: want at least 1", most))
	}
	c.inSequence()
	c.plain()
	return Flow[T]{&filtered[T]{base: c.on(up), up: up, open: func() func(T) bool {
		seen := make(map[K]struct{})
		var order []K // a ring once it is full
		next := 0
		return func(v T) bool {
			k := key(v)
			if _, ok := seen[k]; ok || isNaN(k) {
				return !ok
			}
			seen[k] = struct{}{}
			if len(order) < most {
				order = append(order, k)
				return true
			}
			delete(seen, order[next])
			order[next] = k
			next = (next + 1) % most
			return true
		}
	}}}
}

// isNaN reports whether k equals no key, not even itself: a NaN, or a value that contains
// one.
func isNaN[K comparable](k K) bool {
	return k != k //nolint:gocritic,revive // that is the test
}

// gatherer is the state, in a run, of a step that combines several inputs.
type gatherer[T, U any] interface {
	// add takes in a value. It runs the user's code.
	add(ctx context.Context, v T) error
	// took is called after a successful add. out is the input as the call left it.
	took(out *item[U])
	// ready returns the next item to pass on, or nil if there is none. After the last input
	// it is called until it returns nil.
	ready(ended bool) *item[U]
}

// gathered is a fused step that combines several inputs.
type gathered[T, U any] struct {
	base
	up    step[T]
	keeps int
	open  func() gatherer[T, U]
}

func (s *gathered[T, U]) plan() *node {
	n := s.node(roleFused, s.up.plan())
	n.keeps = s.keeps
	return n
}

func (s *gathered[T, U]) named(name string) step[U] {
	c := *s
	c.config = s.rename(name)
	return &c
}

func (s *gathered[T, U]) feed(at site, q *engine.Queue[item[U]], done func()) {
	feedFrom(s, at, q, done)
}

func (s *gathered[T, U]) drive(seg *segment, emit func(*item[U]) bool) {
	g := s.open()
	ended := false // emit wants no more
	pass := func(it *item[U]) bool {
		ended = !emit(it)
		return !ended
	}
	add := bounded(&s.config, func(ctx context.Context, v T) (struct{}, error) { return struct{}{}, g.add(ctx, v) })
	seg.and(leftovers(seg, g, &ended, outgoing(seg, pass)), func() {
		driveCalls(s.up, seg, &s.config, pass, func(c *call[U], v T) bool {
			if wanted, over := gatherCall(c, add, v); over {
				return wanted
			}
			g.took(&c.out)
			for it := g.ready(false); it != nil; it = g.ready(false) {
				if !c.emit(it) {
					return false
				}
			}
			return true
		})
	})
}

// gatherCall adds a value. over is true if the input has failed and is resolved.
func gatherCall[T, U any](c *call[U], add engine.Func[T, struct{}], v T) (wanted, over bool) {
	returned := false
	defer func() {
		if !returned {
			wanted, over = c.unwound(recover()), true
		}
	}()
	if err := c.before(); err != nil {
		returned = true
		return c.refuse(err), true
	}
	var err error
	if c.retries {
		_, err = again(c, add, v)
	} else {
		_, err = add(c.seg.Ctx, v)
	}
	returned = true
	if err != nil {
		return c.end(err), true
	}
	return c.dropped(), false
}

// leftovers returns the tail that passes on what g still holds when the input has ended. If
// the input was cut off, the rest is passed on as canceled, since it is incomplete.
func leftovers[T, U any](seg *segment, g gatherer[T, U], ended *bool, pass func(*item[U]) bool) (tail func()) {
	return func() {
		for !*ended {
			it := g.ready(true)
			if it == nil || !seg.wanted() {
				return
			}
			if !seg.Live() {
				if it.Attempt == 0 { // nothing has gone into it
					return
				}
				it.Canceled(context.Cause(seg.Ctx), seg.Clock.Now())
			}
			pass(it)
		}
	}
}

// adopt gives it everything of an input but its value.
func adopt[U any](it, of *item[U]) {
	v := it.Value
	*it = *of
	it.Value = v
}

type reducing[T, A any] struct {
	sum  item[A]
	fn   func(context.Context, A, T) (A, error)
	done bool
}

func (r *reducing[T, A]) add(ctx context.Context, v T) error {
	sum, err := r.fn(ctx, r.sum.Value, v)
	if err == nil {
		r.sum.Value = sum
	}
	return err
}

func (r *reducing[T, A]) took(out *item[A]) { adopt(&r.sum, out) }

func (r *reducing[T, A]) ready(ended bool) *item[A] {
	if !ended || r.done {
		return nil
	}
	r.done = true
	return &r.sum
}

type grouping[T any, K comparable, A any] struct {
	most   int
	key    func(T) K
	fn     func(context.Context, A, T) (A, error)
	groups map[K]*list.Element
	order  *list.List // of *item[Group[K, A]], the most recently added to at the back
}

func (g *grouping[T, K, A]) add(ctx context.Context, v T) error {
	k := g.key(v)
	at, known := g.groups[k]
	var group Group[K, A]
	if known {
		group = groupAt[K, A](at).Value
	}
	sum, err := g.fn(ctx, group.Value, v)
	if err != nil {
		return err
	}
	if known {
		g.order.MoveToBack(at)
	} else {
		at = g.order.PushBack(&item[Group[K, A]]{})
		if !isNaN(k) { // it would never be found again, and could not be deleted
			g.groups[k] = at
		}
	}
	groupAt[K, A](at).Value = Group[K, A]{Key: k, Value: sum, Count: group.Count + 1}
	return nil
}

// groupAt returns the group at a place in the order.
func groupAt[K comparable, A any](at *list.Element) *item[Group[K, A]] {
	return at.Value.(*item[Group[K, A]]) //nolint:forcetypeassert // see order
}

func (g *grouping[T, K, A]) took(out *item[Group[K, A]]) {
	group := groupAt[K, A](g.order.Back())
	if group.Value.Count == 1 {
		adopt(group, out)
		return
	}
	group.Ended, group.Attempt = out.Ended, out.Attempt
}

func (g *grouping[T, K, A]) ready(ended bool) *item[Group[K, A]] {
	first := g.order.Front()
	if first == nil || !ended && g.order.Len() <= g.most {
		return nil
	}
	group := groupAt[K, A](first)
	g.order.Remove(first)
	delete(g.groups, group.Value.Key)
	return group
}
