package pipeline_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

// modulus keeps values small.
const modulus = 100_003

// noLimit is a limit that lets everything pass.
type noLimit struct{}

func (noLimit) Wait(context.Context) error { return nil }

// grow adds a step that the plan allows.
func (p *plan) grow(random *rand.Rand) {
	single := []func(*rand.Rand, mishaps){p.addMap, p.addMap, p.addFlatMap, p.addFlatMap, p.addFilter, p.addTap, p.addPlain}
	sorted := []func(*rand.Rand, mishaps){
		p.addBatch, p.addGroups, p.addReduce, p.addDistinct, p.addScan, p.addWindow, p.addTake, p.addZip, p.addMergeOrdered,
	}
	mixes := []func(*rand.Rand, mishaps){p.addMerge, p.addBroadcast, p.addRoute, p.addPartition}
	several := append(slices.Clone(sorted), mixes...)
	switch p.flavor {
	case sequences:
		several = sorted
	case singles:
		several = mixes
	case everything:
	}
	m := mishaps{salt: random.IntN(1000), may: p.mishaps}
	m.name = fmt.Sprintf("s%d-%d", len(p.steps), m.salt)
	for n := len(p.steps); len(p.steps) == n; {
		if random.IntN(2) == 0 || p.depth > 1 {
			single[random.IntN(len(single))](random, m)
		} else {
			several[random.IntN(len(several))](random, m)
		}
	}
}

func (p *plan) add(s randomStep, text string, details ...any) {
	s.text = fmt.Sprintf(text, details...)
	if p.ordered {
		s.text += "."
	}
	p.steps = append(p.steps, s)
	p.ordered = p.ordered && !s.mixes
}

// withPolicies draws what the stage does beside calling its function.
func (m mishaps) withPolicies(random *rand.Rand, retries bool) mishaps {
	switch random.IntN(6) {
	case 0:
		m.skips = true
	case 1:
		m.dead = true
	case 2:
		m.retries = retries
	}
	return m
}

func (p *plan) addMap(random *rand.Rand, m mishaps) {
	m = m.withPolicies(random, true)
	m.crew = random.IntN(2) == 0
	work := func(v int) int { return (v + m.salt) % modulus }
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		if m.of(o.Value) != "" {
			return p.ends(m, o, true, after)
		}
		return append(after, outcome[int]{Index: o.Index, Value: work(o.Value)})
	})
	p.add(randomStep{build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		opts := append(c.options(m.name, m.crew), m.policies(c)...)
		if c.random.IntN(4) == 0 {
			opts = append(opts, pipeline.Timeout(time.Hour), pipeline.Limit(noLimit{}))
		}
		return pipeline.Map(f, func(ctx context.Context, v int) (int, error) { return work(v), m.call(ctx, c, v) }, opts...)
	}}, "map %+v", m)
}

func (p *plan) addFlatMap(random *rand.Rand, m mishaps) {
	m = m.withPolicies(random, true)
	m.crew = random.IntN(2) == 0
	most := 4
	if len(p.model) > 1000 {
		most = 2
	}
	inside := func(v int) bool { return !m.retries && chance(v, m.salt+300, 2) } // it fails within the sequence
	expand := func(v int) []int { return slices.Repeat([]int{(v + 1) % modulus}, v%most) }
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		if m.of(o.Value) != "" && !inside(o.Value) {
			return p.ends(m, o, true, after)
		}
		for _, v := range expand(o.Value) {
			after = append(after, outcome[int]{Index: o.Index, Value: v})
		}
		if m.of(o.Value) != "" {
			return p.ends(m, o, false, after)
		}
		return after
	})
	p.add(randomStep{build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.FlatMap(f, func(ctx context.Context, v int) (iter.Seq[int], error) {
			if !inside(v) {
				return slices.Values(expand(v)), m.call(ctx, c, v)
			}
			return func(yield func(int) bool) {
				for _, u := range expand(v) {
					if !yield(u) {
						return
					}
				}
				if err := m.call(ctx, c, v); err != nil {
					panic(err)
				}
			}, nil
		}, append(c.options(m.name, m.crew), m.policies(c)...)...)
	}}, "flatmap %+v", m)
}

func (p *plan) addFilter(random *rand.Rand, m mishaps) {
	m = m.withPolicies(random, false)
	m.crew = random.IntN(2) == 0
	oneIn := 3 + random.IntN(20)
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		switch {
		case m.of(o.Value) != "":
			return p.ends(m, o, false, after)
		case chance(o.Value, m.salt+200, oneIn):
			return after
		}
		return append(after, o)
	})
	p.add(randomStep{build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return f.Filter(func(v int) bool {
			if err := m.call(context.Background(), c, v); err != nil {
				panic(err)
			}
			return !chance(v, m.salt+200, oneIn)
		}, append(c.options(m.name, m.crew), m.policies(c)...)...)
	}}, "filter %d %+v", oneIn, m)
}

func (p *plan) addTap(random *rand.Rand, m mishaps) {
	m = m.withPolicies(random, false)
	m.crew = random.IntN(2) == 0
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		if m.of(o.Value) != "" {
			return p.ends(m, o, false, after)
		}
		return append(after, o)
	})
	p.add(randomStep{build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return f.Tap(func(v int) {
			if err := m.call(context.Background(), c, v); err != nil {
				panic(err)
			}
		}, append(c.options(m.name, m.crew), m.policies(c)...)...)
	}}, "tap %+v", m)
}

// addPlain adds a step without mishaps of its own.
func (p *plan) addPlain(random *rand.Rand, m mishaps) {
	if n := random.IntN(300); n%2 == 0 {
		p.add(randomStep{build: func(f pipeline.Flow[int], _ *choices) pipeline.Flow[int] { return f.Buffer(1 + n) }}, "buffer")
		return
	}
	p.add(randomStep{build: func(f pipeline.Flow[int], _ *choices) pipeline.Flow[int] {
		return f.Throttle(noLimit{}, pipeline.Named(m.name))
	}}, "throttle")
}

func (p *plan) addScan(random *rand.Rand, m mishaps) {
	if !p.ordered {
		return
	}
	m = m.withPolicies(random, true)
	p.single = false
	sum := 7
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		if m.of(o.Value) != "" {
			return p.ends(m, o, true, after)
		}
		sum = (sum*3 + o.Value) % modulus
		return append(after, outcome[int]{Index: o.Index, Value: sum})
	})
	p.add(randomStep{sorted: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Scan(f, 7, func(ctx context.Context, sum, v int) (int, error) {
			return (sum*3 + v) % modulus, m.call(ctx, c, v)
		}, append(m.policies(c), pipeline.Named(m.name))...)
	}}, "scan %+v", m)
}

func (p *plan) addDistinct(random *rand.Rand, m mishaps) {
	if !p.ordered {
		return
	}
	most, keys := 1+random.IntN(20), 2+random.IntN(40)
	p.single = false
	var last []int // a key that was seen most recently comes last
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		k := o.Value % keys
		if m.of(o.Value) != "" {
			return p.ends(m, o, false, after)
		}
		if slices.Contains(last, k) {
			return after
		}
		if last = append(last, k); len(last) > most {
			last = last[1:]
		}
		return append(after, o)
	})
	p.add(randomStep{sorted: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Distinct(f, most, func(v int) int {
			if err := m.call(context.Background(), c, v); err != nil {
				panic(err)
			}
			return v % keys
		}, pipeline.Named(m.name))
	}}, "distinct %d of %d %+v", most, keys, m)
}

// digest makes one value of several. sorted says that their order is to show.
func digest(values []int) int {
	sum := len(values)
	for _, v := range values {
		sum = (sum*31 + v) % modulus
	}
	return sum
}

func (p *plan) addWindow(random *rand.Rand, m mishaps) {
	if !p.ordered {
		return
	}
	size, step := 1+random.IntN(10), 1+random.IntN(4)
	p.single = false
	var after, in []outcome[int]
	pass := func() {
		var values []int
		for _, o := range in {
			values = append(values, o.Value)
		}
		after = append(after, outcome[int]{Index: in[0].Index, Value: digest(values)})
	}
	fresh, skip := 0, 0
	for _, o := range p.model {
		switch {
		case o.Err != "":
			after = append(after, o)
		case skip > 0:
			skip--
		default:
			in, fresh = append(in, o), fresh+1
			if len(in) == size {
				pass()
				fresh, skip = 0, max(step-size, 0)
				in = in[min(step, size):]
			}
		}
	}
	if fresh > 0 {
		pass()
	}
	p.model = after
	p.add(randomStep{sorted: true, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Map(pipeline.Window(f, size, step), func(_ context.Context, all []int) (int, error) {
			return digest(all), nil
		}, c.options(m.name, false)...)
	}}, "window %d %d", size, step)
}

func (p *plan) addTake(random *rand.Rand, _ mishaps) {
	if !p.ordered || p.depth > 0 || random.IntN(3) > 0 {
		return
	}
	n := len(p.model) - random.IntN(1+len(p.model)/4)
	p.model, p.cut = p.model[:n], true
	p.add(randomStep{sorted: true, build: func(f pipeline.Flow[int], _ *choices) pipeline.Flow[int] { return f.Take(n) }}, "take %d", n)
}

// addBatch adds slices, and takes them apart.
func (p *plan) addBatch(random *rand.Rand, m mishaps) {
	size, wait := 1+random.IntN(30), time.Duration(random.IntN(2))*time.Hour
	p.single = p.single && size == 1
	p.indexed = p.indexed && p.ordered
	var after, in []outcome[int]
	pass := func() {
		for _, o := range in {
			after = append(after, outcome[int]{Index: in[0].Index, Value: o.Value})
		}
		in = nil
	}
	for _, o := range p.model {
		if o.Err != "" {
			after = append(after, o)
			continue
		}
		if in = append(in, o); len(in) == size {
			pass()
		}
	}
	pass()
	p.model = after
	p.add(randomStep{sorted: p.ordered, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.FlatMap(pipeline.Batch(f, size, wait), unbatch, c.options(m.name, false)...)
	}}, "batch %d %v", size, wait)
}

func (p *plan) addGroups(random *rand.Rand, m mishaps) {
	most, keys := 1+random.IntN(10), 1+random.IntN(30)
	if !p.ordered {
		most = keys // none is passed on early
	}
	p.single = false
	p.indexed = p.indexed && p.ordered
	m = m.withPolicies(random, true)
	type group struct{ key, sum, count, index int }
	var groups []group // the one that was added to last comes last
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		if m.of(o.Value) != "" {
			return p.ends(m, o, true, after)
		}
		g := group{key: o.Value % keys, index: o.Index}
		if i := slices.IndexFunc(groups, func(has group) bool { return has.key == g.key }); i >= 0 {
			g = groups[i]
			groups = slices.Delete(groups, i, i+1)
		}
		g.sum, g.count = (g.sum+o.Value)%modulus, g.count+1
		groups = append(groups, g)
		if len(groups) > most {
			after = append(after, outcome[int]{Index: groups[0].index, Value: digest([]int{groups[0].key, groups[0].sum, groups[0].count})})
			groups = groups[1:]
		}
		return after
	})
	for _, g := range groups {
		p.model = append(p.model, outcome[int]{Index: g.index, Value: digest([]int{g.key, g.sum, g.count})})
	}
	p.add(randomStep{sorted: p.ordered, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		all := pipeline.GroupBy(f, most, func(v int) int { return v % keys }, func(ctx context.Context, sum, v int) (int, error) {
			return (sum + v) % modulus, m.call(ctx, c, v)
		}, append(m.policies(c), pipeline.Named(m.name))...)
		return pipeline.Map(all, func(_ context.Context, g pipeline.Group[int, int]) (int, error) {
			return digest([]int{g.Key, g.Value, g.Count}), nil
		}, c.options(m.name+"-map", false)...)
	}}, "groups %d of %d %+v", most, keys, m)
}

func (p *plan) addReduce(random *rand.Rand, m mishaps) {
	if random.IntN(6) > 0 {
		return
	}
	p.single = false
	p.indexed = p.indexed && p.ordered
	m = m.withPolicies(random, true)
	sum := outcome[int]{Value: 5}
	p.each(func(o outcome[int], after []outcome[int]) []outcome[int] {
		if m.of(o.Value) != "" {
			return p.ends(m, o, true, after)
		}
		sum = outcome[int]{Index: o.Index, Value: (sum.Value + o.Value) % modulus}
		return after
	})
	p.model = append(p.model, sum)
	p.add(randomStep{sorted: p.ordered, build: func(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
		return pipeline.Reduce(f, 5, func(ctx context.Context, sum, v int) (int, error) {
			return (sum + v) % modulus, m.call(ctx, c, v)
		}, append(m.policies(c), pipeline.Named(m.name))...)
	}}, "reduce %+v", m)
}
