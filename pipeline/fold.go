package pipeline

import (
	"container/list"
	"context"
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// Scan returns the running results of fn: it is called with what it returned last, at
// first init, and the next value of f, and each of its results is passed on. An input for
// which it fails changes nothing. Each run begins with init, which fn must not change if it
// is a map, a slice or a pointer. The kind of the stage is "scan"; it has no workers. A nil fn
// panics.
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

// Reduce returns a flow of one value: what the last call of fn returned, as in [Scan], when
// f has ended; init if f is empty. It carries the index of the last input. The kind of
// the stage is "reduce"; it has no workers. A nil fn panics.
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

// Group is what [GroupBy] makes of the values of one key.
type Group[K comparable, A any] struct {
	Key   K
	Value A
	Count int // values that are in it
}

// GroupBy returns what fn makes of the values of each key: it is called with what it
// returned last for that key, at first the zero A, and the next value. The groups are passed on
// when f has ended, those first that were added to least recently.
//
// most bounds the memory: when there would be more groups than that, the one that was added
// to least recently is passed on as it is, and a later value of its key begins another one.
// So a key whose values are far apart may come more than once, and who reads adds them up;
// where values come roughly in the order of their keys, as in a log by the minute, it does
// not. A group carries the index of its first value.
//
// key and fn are called by one goroutine at a time; an input for which one of them fails
// changes nothing. To aggregate on several goroutines put it into a [Partition] by the same
// key. The kind of the stage is "groupby"; it has no workers. Nil functions, and a most
// below 1, panic.
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

// Distinct returns the values of f without those whose key has come before, among the
// last most keys that differ; the others are forgotten, those first that came first. The
// kind of the stage is "distinct"; it has no workers. A nil key and a most below 1 panic.
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
	return filtering(up, c, func() func(T) bool {
		seen := make(map[K]struct{})
		var order []K // a ring once it is full
		next := 0
		return func(v T) bool {
			k := key(v)
			if _, ok := seen[k]; ok || k != k { //nolint:gocritic,staticcheck // a NaN is like no other
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
	})
}

// gatherer is a step in a run that makes something of several inputs.
type gatherer[T, U any] interface {
	// add takes an input in. It runs the user's code.
	add(ctx context.Context, it *item[T]) error
	// ready returns what can be passed on; nil if there is nothing. Behind the last input
	// it is called until there is nothing.
	ready(ended bool) *item[U]
}

// gathered is a fused step that makes something of several inputs.
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
	wanted := true
	out := outgoing(seg, emit)
	pass := func(it *item[U]) bool {
		wanted = out(it)
		return wanted
	}
	last := func() {
		for wanted && seg.wanted() {
			it := g.ready(true)
			if it == nil {
				return
			}
			pass(it)
		}
	}
	seg.and(last, func() {
		var at item[T]
		gather(s.up, seg, &s.config, pass, func(c *call[U], it *item[T]) bool {
			at = *it
			if again, over := gatherCall(c, g, &at); over {
				return again
			}
			for ready := g.ready(false); ready != nil; ready = g.ready(false) {
				if !pass(ready) {
					return false
				}
			}
			return true
		})
	})
}

// gather is driveCalls for a step that wants the item and not only its value.
func gather[T, U any](up step[T], seg *segment, cfg *config, emit func(*item[U]) bool, do func(*call[U], *item[T]) bool) {
	var at *item[T]
	driveCalls(tapped[T]{up, func(it *item[T]) { at = it }}, seg, cfg, emit, func(c *call[U], _ T) bool { return do(c, at) })
}

// tapped shows each item of a step before it is passed on.
type tapped[T any] struct {
	step[T]
	see func(*item[T])
}

func (s tapped[T]) drive(seg *segment, emit func(*item[T]) bool) {
	s.step.drive(seg, func(it *item[T]) bool {
		s.see(it)
		return emit(it)
	})
}

// gatherCall adds an item. It reports over if the item is resolved: it has failed.
func gatherCall[T, U any](c *call[U], g gatherer[T, U], it *item[T]) (wanted, over bool) {
	returned := false
	defer func() {
		if !returned {
			wanted, over = c.failed(recover()), true
		}
	}()
	if err := c.before(); err != nil {
		returned = true
		return c.refuse(err), true
	}
	var err error
	if c.retries {
		err = c.policies.again(c.seg.Ctx, &c.out.Attempt, func() error { return g.add(c.seg.Ctx, it) })
	} else {
		err = g.add(c.seg.Ctx, it)
	}
	returned = true
	if err != nil {
		return c.end(err), true
	}
	return c.dropped(), false
}

type reducing[T, A any] struct {
	sum  item[A]
	fn   func(context.Context, A, T) (A, error)
	done bool
}

func (r *reducing[T, A]) add(ctx context.Context, it *item[T]) error {
	sum, err := r.fn(ctx, r.sum.Value, it.Value)
	if err == nil {
		r.sum = engine.Next(it, sum)
	}
	return err
}

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
	order  *list.List // of *item[Group[K, A]], the one that was added to last at the back
}

func (g *grouping[T, K, A]) add(ctx context.Context, it *item[T]) error {
	k := g.key(it.Value)
	if at, ok := g.groups[k]; ok {
		group := at.Value.(*item[Group[K, A]]) //nolint:forcetypeassert // see order
		sum, err := g.fn(ctx, group.Value.Value, it.Value)
		if err != nil {
			return err
		}
		group.Value.Value = sum
		group.Value.Count++
		group.Ended = it.Ended
		g.order.MoveToBack(at)
		return nil
	}
	var none A
	sum, err := g.fn(ctx, none, it.Value)
	if err != nil {
		return err
	}
	group := engine.Next(it, Group[K, A]{Key: k, Value: sum, Count: 1})
	g.groups[k] = g.order.PushBack(&group)
	return nil
}

func (g *grouping[T, K, A]) ready(ended bool) *item[Group[K, A]] {
	if first := g.order.Front(); first != nil && (ended || g.order.Len() > g.most) {
		group := g.order.Remove(first).(*item[Group[K, A]]) //nolint:forcetypeassert // see order
		delete(g.groups, group.Value.Key)
		return group
	}
	return nil
}
