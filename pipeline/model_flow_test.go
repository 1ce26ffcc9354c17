package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// thing is an item. Each step that makes values makes new ones, so that what is kept is seen.
type thing struct {
	run   *flowRun
	index int // place in the source
}

// flowStage is a step with a function of the user's.
type flowStage struct {
	no      int
	name    string
	kind    string
	workers int64 // calls at once, in all copies; 0: it has no workers
	copies  int64
	retries bool
	salt    int
	short   time.Duration
	fails   int  // one input in so many; 0: none
	exits   bool // some of these by Goexit, which ends no more than its call
	drops   bool // OnError drops them
}

// flowGame is a flow of random steps, the pool that it may use, and what is known of them.
type flowGame struct {
	t interface {
		Errorf(format string, args ...any)
	}
	name  string
	short time.Duration
	bad   atomic.Bool
	calls atomic.Int64
	scale *testkit.Scale
	pool  *pool.Pool[*thing, *thing]
	via   *flowStage // the function of the pool

	stages  []*flowStage
	text    []string
	ordered bool // all that comes out is in the order of the sources
	early   bool // a step may end those before it
	several bool // an input may come to a stage more often than once, or in several parts
	source  string
	single  bool // the source serves one run
	dry     bool // the source fails at its end
	inputs  int
}

// check fails the test, unless ok, and has the game end.
func (g *flowGame) check(ok bool, format string, args ...any) {
	if !ok && !g.bad.Swap(true) {
		g.t.Errorf("%s: %v: %s", g.name, g.text, fmt.Sprintf(format, args...))
	}
}

// say adds to what a failure tells of the flow.
func (g *flowGame) say(format string, args ...any) {
	g.text = append(g.text, fmt.Sprintf(format, args...))
}

// flowRun is one run of a flow, with what was seen of it.
type flowRun struct {
	*flowGame
	counts []flowCount // by stage
	over   atomic.Bool // its terminal has returned
}

// flowCount is what was seen of a step in a run.
type flowCount struct {
	now, calls, failed, again atomic.Int64
	made                      atomic.Int64 // values given by a call, or slices
	left                      atomic.Int64 // values that a filter leaves out
	letters                   atomic.Int64
	asked, refused            atomic.Int64 // by its limit
}

type flowRunKey struct{}

// runOf is the run that a context belongs to.
func runOf(ctx context.Context) *flowRun { return ctx.Value(flowRunKey{}).(*flowRun) } //nolint:forcetypeassert // all runs have one

var errTransientCall = fmt.Errorf("once more: %w", errTransient)

// call does what a function of the user's does for v, and sees to it that it may.
func (st *flowStage) call(ctx context.Context, v *thing) (err error) {
	r := v.run
	c := &r.counts[st.no]
	c.calls.Add(1)
	r.calls.Add(1)
	n := c.now.Add(1)
	defer c.now.Add(-1)
	most := max(st.workers, 1) * st.copies
	r.check(n <= most, "%d calls of %s at once, and %d workers", n, st.name, most)
	r.check(!r.over.Load(), "a call of %s when the terminal has returned", st.name)
	if chance(v.index, st.salt+1, 16) {
		select {
		case <-time.After(r.short * time.Duration(1+v.index%4)):
		case <-ctx.Done():
			if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) { // the stage's own
				c.failed.Add(1)
				return err
			}
		}
	}
	if st.retries && c.again.Add(1)%5 == 1 {
		return errTransientCall
	}
	if st.fails == 0 || !chance(v.index, st.salt, st.fails) {
		return nil
	}
	c.failed.Add(1)
	switch how := (v.index + st.salt) % 6; {
	case how == 0:
		panic(errBoom)
	case how == 1:
		panic(nil) //nolint:govet // that is what is tried
	case how == 2:
		_ = make([]int, 1)[1+v.index]
	case how == 3 && st.exits:
		runtime.Goexit()
	}
	return errBoom
}

// must is call for a function that returns no error.
func (st *flowStage) must(v *thing) {
	if err := st.call(context.Background(), v); err != nil {
		panic(err)
	}
}

// made makes a value of another one.
func (v *thing) made() *thing {
	u := &thing{run: v.run, index: v.index}
	testkit.Weigh(v.run.scale, "items", u)
	return u
}

// stage adds a stage with a function. crew says that it may have workers.
func (g *flowGame) stage(d *testkit.Dice, kind string, copies int64, crew bool) (*flowStage, []pipeline.StageOption) {
	st := &flowStage{no: len(g.stages), kind: kind, copies: copies, salt: d.Throw(100), short: g.short}
	st.name = fmt.Sprintf("%s-%d", kind, st.no)
	g.stages = append(g.stages, st)
	opts := []pipeline.StageOption{pipeline.Named(st.name)}
	if crew && d.One(2) {
		st.workers, st.exits = int64(1+d.Throw(5)), true
		if d.One(5) {
			opts = append(opts, pipeline.Workers(pipeline.Auto(1, int(st.workers))))
		} else {
			opts = append(opts, pipeline.Workers(int(st.workers)))
		}
		if d.One(3) {
			opts = append(opts, pipeline.Buffer(1+d.Throw(20)))
		}
		if d.One(2) {
			opts = append(opts, pipeline.Ordered(8<<d.Throw(4)))
		} else if st.workers > 1 || copies > 1 {
			g.ordered = false
		}
	}
	if d.One(4) {
		st.fails = 5 + d.Throw(40)
		switch d.Throw(4) {
		case 0:
			opts = append(opts, pipeline.OnError(pipeline.Skip))
			st.drops = true
		case 1:
			opts = append(opts, pipeline.OnError(pipeline.DeadLetter(func(l pipeline.Letter) {
				l.Input.(*thing).run.counts[st.no].letters.Add(1) //nolint:forcetypeassert // all inputs are
				g.check(l.Stage == st.name && l.Err != nil && l.Input != nil, "a letter %+v from %s", l, st.name)
			})))
			st.drops = true
		default:
		}
	}
	g.say("%s(%d of %d, fails %d)", st.name, st.workers, copies, st.fails)
	return st, opts
}

// calling adds options that only stages take whose function returns an error.
func (st *flowStage) calling(d *testkit.Dice, opts []pipeline.StageOption) []pipeline.StageOption {
	if d.One(4) {
		st.retries = true
		opts = append(opts, pipeline.Retry(again))
	}
	if d.One(6) {
		opts = append(opts, pipeline.Timeout(st.short*time.Duration(1+d.Throw(3))))
	}
	if d.One(6) {
		opts = append(opts, pipeline.Limit(st))
	}
	return opts
}

// Wait makes the step a limit of its own, which refuses an input now and then.
func (st *flowStage) Wait(ctx context.Context) error {
	c := &runOf(ctx).counts[st.no]
	if c.asked.Add(1)%9 != 4 {
		return nil
	}
	c.refused.Add(1)
	c.failed.Add(1)
	return errBoom
}

// from makes the source of a flow.
func (g *flowGame) from(d *testkit.Dice) pipeline.Flow[*thing] {
	n := g.inputs
	burst := []int{0, 0, 0, 1, 1, 3, 20}[d.Throw(7)] // what comes at a time; 0: all
	wait := g.short * time.Duration(1+d.Throw(3))
	give := func(ctx context.Context, i int) (*thing, error) {
		r := runOf(ctx)
		r.calls.Add(1)
		if burst > 0 && i%burst == 0 && i < 24*burst {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		return (&thing{run: r, index: i}).made(), nil
	}
	var f pipeline.Flow[int]
	switch kind := d.Throw(6); kind {
	case 0:
		g.source = "slice"
		f = pipeline.FromSlice(numbers(n))
	case 1:
		g.source = "chan"
		g.single = true
		c := make(chan int, n)
		for i := range n {
			c <- i
		}
		close(c)
		f = pipeline.FromChan(c)
	case 2:
		g.source = "func"
		g.single = true
		i := -1
		f = pipeline.FromFunc(func(context.Context) (int, error) {
			if i++; i < n {
				return i, nil
			}
			if g.dry {
				return 0, errBoom
			}
			return 0, io.EOF
		})
	case 3:
		g.source = "seq2"
		f = pipeline.FromSeq2(func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if g.dry {
				yield(n, errBoom)
			}
		})
	default:
		g.source = "seq"
		rude := d.One(3)
		f = pipeline.From(func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					if rude {
						yield(i) // the run has done with it
					}
					return
				}
			}
			if g.dry {
				panic(errBoom)
			}
		})
	}
	if g.source == "slice" || g.source == "chan" {
		g.dry = false
	}
	g.say("%s(%d, bursts of %d, dry %v)", g.source, n, burst, g.dry)
	return pipeline.Map(f.Named("source"), give, pipeline.Named("things"))
}

// flowStep puts a step behind a flow.
type flowStep = func(pipeline.Flow[*thing]) pipeline.Flow[*thing]

// grow draws a step. Of those in a Partition there are several copies.
func (g *flowGame) grow(d *testkit.Dice, depth int, copies int64) flowStep {
	kinds := 18
	if depth == 0 {
		kinds = 13
	}
	switch kind := d.Throw(kinds); kind {
	case 0, 1, 2, 5, 6:
		return g.growCall(d, kind, copies)
	case 3:
		st, opts := g.stage(d, "filter", copies, true)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return f.Filter(func(v *thing) bool {
				st.must(v)
				out := chance(v.index, st.salt+2, 8)
				if out {
					v.run.counts[st.no].left.Add(1)
				}
				return !out
			}, opts...)
		}
	case 4:
		st, opts := g.stage(d, "tap", copies, true)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] { return f.Tap(st.must, opts...) }
	case 7:
		st, opts := g.stage(d, "distinct", copies, false)
		most := 1 + d.Throw(10)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return pipeline.Distinct(f, most, func(v *thing) int { st.must(v); return v.index % 11 }, opts...)
		}
	case 8, 9, 10, 11, 12:
		return g.growPlain(d, kind)
	default:
		return g.growFan(d, kind, depth-1, copies)
	}
}

// growCall draws a step whose function returns an error.
func (g *flowGame) growCall(d *testkit.Dice, kind int, copies int64) flowStep {
	made := func(st *flowStage) func(context.Context, *thing) (*thing, error) {
		return func(ctx context.Context, v *thing) (*thing, error) {
			if err := st.call(ctx, v); err != nil {
				return nil, err
			}
			return v.made(), nil
		}
	}
	switch kind {
	case 2:
		st, opts := g.stage(d, "flatmap", copies, true)
		opts = st.calling(d, opts)
		g.several = true
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return pipeline.FlatMap(f, func(ctx context.Context, v *thing) (iter.Seq[*thing], error) {
				if err := st.call(ctx, v); err != nil {
					return nil, err
				}
				v.run.counts[st.no].made.Add(int64(v.index % 3))
				return slices.Values([]*thing{v.made(), v.made(), v.made()}[:v.index%3]), nil
			}, opts...)
		}
	case 5:
		st, opts := g.stage(d, "scan", copies, false)
		opts = st.calling(d, opts)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return pipeline.Scan(f, nil, func(ctx context.Context, _, v *thing) (*thing, error) { return made(st)(ctx, v) }, opts...)
		}
	case 6:
		st, opts := g.stage(d, "groupby", copies, false)
		opts = st.calling(d, opts)
		g.ordered, g.several = false, true
		most := 1 + d.Throw(4)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			groups := pipeline.GroupBy(f, most, func(v *thing) int { return v.index % 5 },
				func(ctx context.Context, _, v *thing) (*thing, error) { return made(st)(ctx, v) }, opts...)
			return pipeline.Map(groups, func(_ context.Context, of pipeline.Group[int, *thing]) (*thing, error) { return of.Value.made(), nil })
		}
	default:
		st, opts := g.stage(d, "map", copies, true)
		opts = st.calling(d, opts)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] { return pipeline.Map(f, made(st), opts...) }
	}
}

// growPlain draws a step that hands things over as they are.
func (g *flowGame) growPlain(d *testkit.Dice, kind int) flowStep {
	n := 1 + d.Throw(20)
	switch {
	case kind == 8:
		wait := g.short * time.Duration(d.Throw(3))
		st := g.plain("batch", "%d, %v", n, wait)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return pipeline.FlatMap(pipeline.Batch(f, n, wait).Named(st.name), st.things)
		}
	case kind == 9:
		st := g.plain("window", "%d", n)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return pipeline.FlatMap(pipeline.Window(f, n, n).Named(st.name), st.things)
		}
	case kind == 10 && d.One(3):
		g.early = true
		n = d.Throw(g.inputs + 2)
		g.say("take(%d)", n)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] { return f.Take(n) }
	case kind == 11:
		g.say("throttle")
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] { return f.Throttle(noLimit{}) }
	case kind == 12:
		g.say("through")
		g.ordered = false
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return pipeline.Through(f, g.pool, pipeline.Buffer(n))
		}
	default:
		g.say("buffer(%d)", n)
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] { return f.Buffer(n) }
	}
}

// growFan draws a step with branches, or with another flow.
func (g *flowGame) growFan(d *testkit.Dice, kind, depth int, copies int64) flowStep {
	n := 1 + d.Throw(3)
	switch kind {
	case 13, 14:
		g.say("fan(")
		var stages []pipeline.Stage[*thing, *thing]
		for range n {
			stages = append(stages, g.grow(d, depth, copies))
		}
		g.say(")")
		g.ordered = false
		g.several = g.several || kind == 13
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			if kind == 13 {
				return pipeline.Broadcast(f, stages...)
			}
			return pipeline.Route(f, func(v *thing) int { return v.index % n }, stages...)
		}
	case 15:
		g.say("partition(%d,", n)
		stage := g.grow(d, depth, copies*int64(n))
		g.say(")")
		g.ordered = false
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			return pipeline.Partition(f, n, func(v *thing) int { return v.index % 7 }, stage)
		}
	}
	other := pipeline.Map(pipeline.From(upTo(d.Throw(g.inputs+10))), func(ctx context.Context, i int) (*thing, error) {
		return (&thing{run: runOf(ctx), index: i}).made(), nil
	})
	g.several = true
	if kind == 16 {
		g.say("merge(%d)", n)
		g.ordered = false
		return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
			if n == 1 {
				return pipeline.Merge(f, other)
			}
			return pipeline.MergeOrdered(func(a, b *thing) bool { return a.index < b.index }, f, other)
		}
	}
	g.say("zip")
	g.early = true
	return func(f pipeline.Flow[*thing]) pipeline.Flow[*thing] {
		return pipeline.Map(pipeline.Zip(f, other), func(_ context.Context, p pipeline.Pair[*thing, *thing]) (*thing, error) {
			return p.A.made(), nil
		})
	}
}

// plain adds a step that passes on slices.
func (g *flowGame) plain(kind, format string, args ...any) *flowStage {
	st := &flowStage{no: len(g.stages), kind: kind}
	st.name = fmt.Sprintf("%s-%d", kind, st.no)
	g.stages = append(g.stages, st)
	g.say("%s(%s)", st.name, fmt.Sprintf(format, args...))
	return st
}

// things takes a slice apart.
func (st *flowStage) things(_ context.Context, all []*thing) (iter.Seq[*thing], error) {
	c := &all[0].run.counts[st.no]
	c.made.Add(1)
	c.calls.Add(int64(len(all)))
	return slices.Values(all), nil
}
