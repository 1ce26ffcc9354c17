package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// plan is a random flow and, step by step, what a plain loop makes of its inputs. It can be
// built in many ways, all of which have to give the same.
type plan struct {
	inputs  int
	mishaps bool // calls fail
	steps   []randomStep
	model   []outcome[int]

	ordered bool // while every stage keeps its order, the model is a sequence
	indexed bool // which index an output has does not depend on the order of others
	cut     bool // a step ends those before it: what fails there may go unseen
	single  bool // each output is of one input: what a canceled run gives is part of the model
	depth   int  // of fans within fans
	flavor  flavor

	possible map[string]bool // all failures that can end a run
	letters  map[string]int  // all failures that are written, and how often
	dropped  map[string]bool // all failures that the stages keep to themselves while the run lasts
}

// flavor is what steps a plan has.
type flavor int

const (
	everything flavor = iota
	sequences         // none that mixes
	singles           // none that makes an output of several inputs
)

// randomStep is one step of a plan.
type randomStep struct {
	text   string
	sorted bool // what it makes depends on the order of its inputs
	mixes  bool // its outputs come in any order
	build  func(f pipeline.Flow[int], c *choices) pipeline.Flow[int]
}

// choices is one way to build and run a plan.
type choices struct {
	random *rand.Rand
	keep   bool // the stage at hand has to keep the order
	strict bool // so have all of them
	slow   bool // calls take time
	text   []string

	calls atomic.Int64 // under way
	count atomic.Int64 // calls of stages that retry

	mu      sync.Mutex
	letters map[string]int
}

func (p *plan) String() string {
	text := []string{fmt.Sprintf("%d inputs", p.inputs)}
	for _, s := range p.steps {
		text = append(text, s.text)
	}
	return strings.Join(text, " | ")
}

// chance is a coin that shows the same side for the same value and salt.
func chance(v, salt, oneIn int) bool {
	h := uint64(v+1)*0x9e3779b97f4a7c15 ^ uint64(salt+1)*0xbf58476d1ce4e5b9
	h ^= h >> 29
	h *= 0x94d049bb133111eb
	return (h>>32)%uint64(oneIn) == 0
}

// newPlan makes a plan of n inputs and so many steps. mishaps says whether calls fail.
func newPlan(random *rand.Rand, n, steps int, like flavor, mishaps bool) *plan {
	p := &plan{
		inputs: n, mishaps: mishaps, flavor: like, ordered: true, indexed: true, single: true,
		possible: map[string]bool{}, letters: map[string]int{}, dropped: map[string]bool{},
	}
	for i := range n {
		p.model = append(p.model, outcome[int]{Index: i, Value: i})
	}
	for range steps {
		p.grow(random)
	}
	return p
}

// flow builds the plan in one way.
func (p *plan) flow(c *choices) pipeline.Flow[int] {
	return p.behind(pipeline.From(upTo(p.inputs)), c, c.strict)
}

// behind builds the steps behind f. keep says that their outputs have to keep the order.
func (p *plan) behind(f pipeline.Flow[int], c *choices, keep bool) pipeline.Flow[int] {
	for i, s := range p.steps {
		c.keep = keep || needsOrder(p.steps[i+1:])
		f = s.build(neutral(f, c), c)
	}
	c.keep = keep
	return neutral(f, c)
}

// needsOrder reports whether one of the steps does, before another one mixes.
func needsOrder(steps []randomStep) bool {
	for _, s := range steps {
		if s.sorted {
			return true
		}
		if s.mixes {
			return false
		}
	}
	return false
}

// neutral puts nothing behind f, or steps that change nothing.
func neutral(f pipeline.Flow[int], c *choices) pipeline.Flow[int] {
	less := func(a, b int) bool { return a < b }
	all := map[int]struct {
		text string
		flow func() pipeline.Flow[int]
	}{
		0: {"buffer 1", func() pipeline.Flow[int] { return f.Buffer(1) }},
		1: {"buffer", func() pipeline.Flow[int] { return f.Buffer(1 + c.random.IntN(300)) }},
		2: {"worker", func() pipeline.Flow[int] { return pipeline.Map(f, same, pipeline.Workers(1)) }},
		3: {"ordered", func() pipeline.Flow[int] {
			return pipeline.Map(f, same, pipeline.Workers(4), pipeline.Ordered(), pipeline.Buffer(1+c.random.IntN(9)))
		}},
		4: {"merge", func() pipeline.Flow[int] { return pipeline.Merge(f) }},
		5: {"mergeordered", func() pipeline.Flow[int] { return pipeline.MergeOrdered(less, f) }},
		6: {"batch", func() pipeline.Flow[int] { return pipeline.FlatMap(pipeline.Batch(f, 1, 0), unbatch) }},
		7: {"tap", func() pipeline.Flow[int] { return f.Tap(func(int) {}) }},
	}
	step, ok := all[c.random.IntN(3*len(all))]
	if !ok {
		return f
	}
	c.text = append(c.text, step.text)
	return step.flow()
}

// options draws how a stage of that name runs. crew says that it needs workers.
func (c *choices) options(name string, crew bool) []pipeline.StageOption {
	opts := []pipeline.StageOption{pipeline.Named(name)}
	workers := []int{0, 0, 1, 2, 8}[c.random.IntN(5)]
	if crew {
		workers = max(workers, 1)
	}
	switch {
	case workers == 0:
	case c.random.IntN(8) == 0:
		opts = append(opts, pipeline.Workers(pipeline.Auto(1, 8)))
		workers = 8
	default:
		opts = append(opts, pipeline.Workers(workers))
	}
	if workers > 0 && c.random.IntN(2) == 0 {
		opts = append(opts, pipeline.Buffer(1+c.random.IntN(100)))
	}
	ordered := c.keep && workers > 1 || c.random.IntN(3) == 0
	if ordered {
		opts = append(opts, pipeline.Ordered(8<<c.random.IntN(6)))
	}
	c.text = append(c.text, fmt.Sprintf("%s: workers %d ordered %v", name, workers, ordered))
	return opts
}

// errTransient is the failure that a retry gets over.
var errTransient = errors.New("transient")

// again is a policy that gets over it.
var again = pool.RetryPolicy{
	Attempts: 20, Base: time.Microsecond, Cap: 10 * time.Microsecond,
	If: func(err error) bool { return errors.Is(err, errTransient) },
}

// mishaps are what a function does for certain values.
type mishaps struct {
	salt        int
	name        string // of the stage
	may         bool
	crew        bool // there are workers, so that a Goexit ends its call only
	retries     bool
	skips, dead bool
}

func (m mishaps) of(v int) (kind string) {
	switch {
	case !m.may:
	case chance(v, m.salt, 120):
		return "error"
	case chance(v, m.salt, 121):
		return "panic"
	case m.crew && chance(v, m.salt, 122):
		return "goexit"
	}
	return ""
}

// call does what a function does beside its work.
func (m mishaps) call(ctx context.Context, c *choices, v int) error {
	c.calls.Add(1)
	defer c.calls.Add(-1)
	if c.slow && chance(v, m.salt+100, 20) {
		select {
		case <-time.After(time.Duration(v%100) * time.Microsecond):
		case <-ctx.Done():
		}
	}
	if m.retries && c.count.Add(1)%7 == 3 {
		return errTransient
	}
	switch m.of(v) {
	case "error":
		return errBoom
	case "panic":
		panic(errBoom)
	case "goexit":
		runtime.Goexit()
	}
	return nil
}

// policies are the options that m stands for.
func (m mishaps) policies(c *choices) []pipeline.StageOption {
	var opts []pipeline.StageOption
	if m.retries {
		opts = append(opts, pipeline.Retry(again))
	}
	if m.skips {
		opts = append(opts, pipeline.OnError(pipeline.Skip))
	}
	if m.dead {
		opts = append(opts, pipeline.OnError(pipeline.DeadLetter(func(l pipeline.Letter) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.letters == nil {
				c.letters = map[string]int{}
			}
			c.letters[stageError(l.Stage, l.Index, l.Err.Error())]++
		})))
	}
	return opts
}

func stageError(name string, index int, why string) string {
	return fmt.Sprintf("pipeline: stage %s: input %d: %s", name, index, why)
}

// fails adds to after what becomes of an input that has failed with err.
func (p *plan) fails(m mishaps, index int, err string, after []outcome[int]) []outcome[int] {
	text := stageError(m.name, index, err)
	switch {
	case m.skips:
		p.dropped[text] = true
		return after
	case m.dead:
		p.dropped[text] = true
		p.letters[text]++
		return after
	}
	p.possible[text] = true
	return append(after, outcome[int]{Index: index, Err: text})
}

// ends adds to after what becomes of an input of a call that does not return a value;
// withError says that an error is returned rather than thrown.
func (p *plan) ends(m mishaps, o outcome[int], withError bool, after []outcome[int]) []outcome[int] {
	why := errBoom.Error()
	switch kind := m.of(o.Value); {
	case kind == "goexit":
		why = pipeline.ErrGoexit.Error()
	case kind == "panic" || !withError:
		why = "panic: " + why
	}
	return p.fails(m, o.Index, why, after)
}

// each applies one call to each item that has not failed before.
func (p *plan) each(do func(o outcome[int], after []outcome[int]) []outcome[int]) {
	var after []outcome[int]
	for _, o := range p.model {
		if o.Err != "" {
			after = append(after, o)
			continue
		}
		after = do(o, after)
	}
	p.model = after
}

var anyInput = regexp.MustCompile(`input \d+`)

// comparable returns outcomes as the plan lets them be compared: failed ones without what
// the function has returned beside the error, indexes where these are certain, and sorted
// unless they are a sequence.
func (p *plan) comparable(all []outcome[int], sequence bool) []outcome[int] {
	all = append([]outcome[int]{}, all...)
	for i := range all {
		if all[i].Err != "" {
			all[i].Value = 0
		}
		if !p.indexed {
			all[i].Index = 0
			all[i].Err = anyInput.ReplaceAllString(all[i].Err, "input ?")
		}
	}
	if sequence {
		return all
	}
	return sorted(all)
}

// texts returns failures as the plan lets them be compared.
func (p *plan) texts(all map[string]int) map[string]int {
	same := map[string]int{}
	for text, n := range all {
		if !p.indexed {
			text = anyInput.ReplaceAllString(text, "input ?")
		}
		same[text] += n
	}
	return same
}

// expected reports whether a run may end with that failure.
func (p *plan) expected(err string) bool {
	possible := map[string]int{}
	for text := range p.possible {
		possible[text] = 1
	}
	return p.texts(possible)[slices.Collect(maps.Keys(p.texts(map[string]int{err: 1})))[0]] > 0
}

// sorted sorts outcomes for a comparison as multisets.
func sorted(all []outcome[int]) []outcome[int] {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b outcome[int]) int {
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		if a.Value != b.Value {
			return a.Value - b.Value
		}
		return strings.Compare(a.Err, b.Err)
	})
	return all
}
