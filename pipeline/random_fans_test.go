package pipeline_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/millstream-go/millstream/pipeline"
)

// other returns a plan of its own that is as long as p by and large, to be joined with it.
func (p *plan) other(random *rand.Rand) *plan {
	o := &plan{
		inputs: max(0, len(p.model)-5+random.IntN(10)), mishaps: p.mishaps, ordered: true, indexed: true, single: true,
		depth: p.depth + 1, flavor: p.flavor, possible: p.possible, letters: p.letters, dropped: p.dropped,
	}
	for i := range o.inputs {
		o.model = append(o.model, outcome[int]{Index: i, Value: i})
	}
	for range random.IntN(3) {
		o.grow(random)
	}
	return o
}

// branch returns a plan for the items that a fan hands out.
func (p *plan) branch(random *rand.Rand, items []outcome[int]) *plan {
	b := &plan{
		mishaps: p.mishaps, ordered: p.ordered, indexed: p.indexed, single: true, model: items, depth: 2, flavor: p.flavor,
		possible: p.possible, letters: p.letters, dropped: p.dropped,
	}
	for range random.IntN(4) {
		b.grow(random)
	}
	return b
}

// stage is the plan as a stage.
func (p *plan) stage(c *choices) pipeline.Stage[int, int] {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] { return p.behind(f, c, false) }
}

func (p *plan) addMerge(random *rand.Rand, m mishaps) {
	if p.tooMany() {
		return
	}
	o := p.other(random)
	p.model = append(p.model, o.model...)
	p.cut, p.single, p.indexed = p.cut || o.cut, p.single && o.single, p.indexed && o.indexed
	p.add(randomStep{mixes: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Merge(f, o.behind(pipeline.From(upTo(o.inputs)), c, false)).Named(m.name)
	}}, "merge(%v)", o)
}

// failed reports whether some item of the model is.
func (p *plan) failed() bool {
	return slices.ContainsFunc(p.model, func(o outcome[int]) bool { return o.Err != "" })
}

func (p *plan) addMergeOrdered(random *rand.Rand, m mishaps) {
	if p.tooMany() {
		return
	}
	o := p.other(random)
	// A failed item is given as soon as it is next, and which flow is read first is not said.
	sorted := p.ordered && o.ordered && !p.failed() && !o.failed()
	if !sorted && p.flavor == sequences {
		return
	}
	p.cut, p.single, p.indexed = p.cut || o.cut, p.single && o.single, p.indexed && o.indexed
	if sorted {
		var after []outcome[int]
		a, b := p.model, o.model
		for len(a) > 0 && len(b) > 0 {
			if b[0].Value < a[0].Value {
				after, b = append(after, b[0]), b[1:]
			} else {
				after, a = append(after, a[0]), a[1:]
			}
		}
		p.model = append(append(after, a...), b...)
	} else {
		p.model = append(p.model, o.model...)
	}
	p.add(randomStep{sorted: sorted, mixes: !sorted, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		less := func(a, b int) bool { return a < b }
		return pipeline.MergeOrdered(less, f, o.behind(pipeline.From(upTo(o.inputs)), c, sorted)).Named(m.name)
	}}, "mergeordered %v(%v)", sorted, o)
}

func (p *plan) addZip(random *rand.Rand, m mishaps) {
	if !p.ordered || p.depth > 0 {
		return
	}
	o := p.other(random)
	if !o.ordered {
		return
	}
	p.single, p.cut, p.indexed = false, true, p.indexed && o.indexed
	n := min(len(p.model), len(o.model))
	after := make([]outcome[int], n)
	for i := range n {
		a, b := p.model[i], o.model[i]
		after[i] = outcome[int]{Index: a.Index, Value: digest([]int{a.Value, b.Value})}
		if err := strings.Trim(a.Err+"\n"+b.Err, "\n"); err != "" {
			after[i].Err = err
			p.possible[err] = true
		}
	}
	p.model = after
	p.add(randomStep{sorted: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		pairs := pipeline.Zip(f, o.behind(pipeline.From(upTo(o.inputs)), c, true)).Named(m.name)
		return pipeline.Map(pairs, func(_ context.Context, ab pipeline.Pair[int, int]) (int, error) {
			return digest([]int{ab.A, ab.B}), nil
		}, c.options(m.name+"-map", false)...)
	}}, "zip(%v)", o)
}

// tooMany reports whether the plan is to grow no more.
func (p *plan) tooMany() bool { return len(p.model) > 2000 || p.depth > 1 }

// split returns the items that have failed, and the others.
func (p *plan) split() (failed, items []outcome[int]) {
	for _, o := range p.model {
		if o.Err != "" {
			failed = append(failed, o)
		} else {
			items = append(items, o)
		}
	}
	return failed, items
}

// joined takes in what the branches have made.
func (p *plan) joined(after []outcome[int], branches ...*plan) (text string) {
	p.model = after
	for _, b := range branches {
		p.model = append(p.model, b.model...)
		p.indexed, p.single = p.indexed && b.indexed, p.single && b.single
		text += fmt.Sprintf("(%v)", b)
	}
	return text
}

func (p *plan) addBroadcast(random *rand.Rand, m mishaps) {
	if p.tooMany() {
		return
	}
	failed, items := p.split()
	var branches []*plan
	for range 1 + random.IntN(3) {
		branches = append(branches, p.branch(random, items))
	}
	text := p.joined(failed, branches...)
	p.add(randomStep{mixes: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Broadcast(f, stagesOf(branches, c)...).Named(m.name)
	}}, "broadcast%s", text)
}

func stagesOf(branches []*plan, c *choices) []pipeline.Stage[int, int] {
	var all []pipeline.Stage[int, int]
	for _, b := range branches {
		all = append(all, b.stage(c))
	}
	return all
}

func (p *plan) addRoute(random *rand.Rand, m mishaps) {
	if p.depth > 1 {
		return
	}
	n := 1 + random.IntN(3)
	place := func(v int) int {
		if p.mishaps && chance(v, m.salt+1, 100) {
			return n
		}
		return v % n
	}
	wanted := "0"
	if n > 1 {
		wanted = fmt.Sprintf("0 to %d", n-1)
	}
	items := make([][]outcome[int], n)
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		switch at := place(o.Value); {
		case m.of(o.Value) != "":
			return p.ends(m, o, false, after)
		case at == n:
			return p.fails(m, o.Index, fmt.Sprintf("pick returned %d, want %s", n, wanted), after)
		default:
			items[at] = append(items[at], o)
			return after
		}
	})
	var branches []*plan
	for _, of := range items {
		branches = append(branches, p.branch(random, of))
	}
	text := p.joined(p.model, branches...)
	p.add(randomStep{mixes: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Route(f, func(v int) int {
			if err := m.call(context.Background(), c, v); err != nil {
				panic(err)
			}
			return place(v)
		}, stagesOf(branches, c)...).Named(m.name)
	}}, "route%s", text)
}

func (p *plan) addPartition(random *rand.Rand, m mishaps) {
	if p.depth > 1 {
		return
	}
	var items []outcome[int]
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		if m.of(o.Value) != "" {
			return p.ends(m, o, false, after)
		}
		items = append(items, o)
		return after
	})
	copies, keys := 1+random.IntN(5), 1+random.IntN(20)
	b := p.branch(random, items)
	text := p.joined(p.model, b)
	p.add(randomStep{mixes: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Partition(f, copies, func(v int) int {
			if err := m.call(context.Background(), c, v); err != nil {
				panic(err)
			}
			return v % keys
		}, b.stage(c)).Named(m.name)
	}}, "partition %d of %d%s", copies, keys, text)
}
