package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
)

// modeled is what a plain loop makes of a flow.
type modeled struct {
	all     []outcome[int]
	ordered bool // all stands in the order in which it comes
	exact   bool // it is all that comes; else some of it comes
}

// fine splits off what has failed.
func (m modeled) fine() (fine, failed modeled) {
	fine.ordered, fine.exact, failed.exact = m.ordered, m.exact, m.exact
	for _, o := range m.all {
		if o.Err == "" {
			fine.all = append(fine.all, o)
		} else {
			failed.all = append(failed.all, o)
		}
	}
	return fine, failed
}

// and is what comes of two flows together.
func (m modeled) and(other modeled) modeled {
	return modeled{
		all:     append(slices.Clip(m.all), other.all...),
		ordered: m.ordered && len(other.all) == 0 || other.ordered && len(m.all) == 0,
		exact:   m.exact && other.exact,
	}
}

// first is what a Take leaves.
func (m modeled) first(n int) modeled {
	switch {
	case len(m.all) <= n:
	case m.ordered && m.exact:
		m.all = m.all[:n]
	default:
		m.exact = false
	}
	return m
}

// tree makes random flows with fans and joins.
type tree struct {
	random   *rand.Rand
	text     []string
	calls    int
	mishaps  bool // calls fail
	dry      bool // sources fail at their end
	slow     bool // some calls take a while
	failures []string
	gauge    pipelinetest.Gauge
	pool     *pool.Pool[int, int]
}

// grown is a stage of a tree, and its model.
type grown struct {
	stage branch
	model func(modeled) modeled
	ends  bool // it may end before its input does
}

func (r *tree) say(format string, args ...any) { r.text = append(r.text, fmt.Sprintf(format, args...)) }

// source makes a flow.
func (r *tree) source() (pipeline.Flow[int], modeled) {
	n := []int{0, 1, 7, 40, 300}[r.random.IntN(5)]
	m := modeled{ordered: true, exact: true}
	for i := range n {
		m.all = append(m.all, outcome[int]{Index: i, Value: i})
	}
	r.say("from(%d)", n)
	if r.dry {
		return failing(n), m
	}
	return pipeline.From(upTo(n)), m
}

// flow makes a flow with fans and joins inside each other down to depth.
func (r *tree) flow(depth int) (pipeline.Flow[int], modeled) {
	f, m := r.source()
	for range 1 + r.random.IntN(2) {
		g := r.grow(depth, false)
		f, m = g.stage(f), g.model(m)
	}
	return f, m
}

// grow makes a stage; alike: one to which it is the same whether it gets all values or
// copies of it a part each.
func (r *tree) grow(depth int, alike bool) grown {
	if depth == 0 {
		return r.call()
	}
	kinds := 6
	if !alike {
		kinds = 9
	}
	switch r.random.IntN(kinds) {
	case 0, 1:
		return r.fan("broadcast", depth-1, alike)
	case 2:
		return r.fan("route", depth-1, alike)
	case 3:
		return r.partition(depth - 1)
	case 4:
		a, b := r.grow(depth-1, alike), r.grow(depth-1, alike)
		return grown{pipeline.Then(a.stage, b.stage), func(m modeled) modeled { return b.model(a.model(m)) }, a.ends || b.ends}
	case 6:
		return r.early()
	case 7, 8:
		return r.join(depth - 1)
	}
	return r.call()
}

// call makes a stage with a function: how it runs, and whether and how it fails, is random.
func (r *tree) call() grown {
	r.calls++
	salt, name := r.calls, fmt.Sprint("s", r.calls)
	pooled := r.random.IntN(6) == 0
	s := stages[r.random.IntN(len(stages))]
	fails := func(v int) bool { return r.mishaps && chance(v, salt, 40) }
	goexit := salt%3 == 1 && s.workers > 0 // elsewhere it ends more than its call
	work := pipelinetest.Gauged(&r.gauge, func(ctx context.Context, v int) (int, error) {
		if r.slow && chance(v, salt+1000, 8) {
			select {
			case <-time.After(time.Duration(v%50) * time.Millisecond):
			case <-ctx.Done():
			}
		}
		switch {
		case !fails(v):
			return v + salt, nil
		case salt%3 == 0:
			panic(errBoom)
		case goexit:
			runtime.Goexit()
		}
		return 0, errBoom
	})
	why := errBoom.Error()
	switch {
	case salt%3 == 0:
		why = "panic: " + why
	case goexit:
		why = pipeline.ErrGoexit.Error()
	}
	stage := calling(work, append([]pipeline.StageOption{pipeline.Named(name)}, s.opts...)...)
	if pooled {
		stage = pipeline.Then(pooling(r.pool), stage)
	}
	r.say("%s(%s, pool %v)", name, s.name, pooled)
	return grown{stage, func(m modeled) modeled {
		after := modeled{ordered: m.ordered && s.ordered && !pooled, exact: m.exact}
		for _, o := range m.all {
			switch {
			case o.Err != "":
			case fails(o.Value):
				o = outcome[int]{Index: o.Index, Err: fmt.Sprintf("pipeline: stage %s: input %d: %s", name, o.Index, why)}
				r.failures = append(r.failures, o.Err)
			default:
				o.Value += salt
			}
			after.all = append(after.all, o)
		}
		return after
	}, false}
}

// fan makes a Broadcast or a Route.
func (r *tree) fan(kind string, depth int, alike bool) grown {
	r.say("%s", kind)
	var all []grown
	var stages []branch
	ends := true
	for range 1 + r.random.IntN(3) {
		r.say("[")
		g := r.grow(depth, alike)
		r.say("]")
		all, stages, ends = append(all, g), append(stages, g.stage), ends && g.ends
	}
	wants := func(int, int) bool { return true }
	stage := func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Broadcast(f, stages...) }
	if kind == "route" {
		pick := func(v int) int { return v % len(all) }
		wants = func(i, v int) bool { return pick(v) == i }
		stage = func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Route(f, pick, stages...) }
	}
	return grown{stage, func(m modeled) modeled {
		fine, after := m.fine()
		if ends && len(after.all) > 0 {
			after.exact = false // those that come when all branches have ended do not pass around them
		}
		for i, g := range all {
			in := modeled{ordered: fine.ordered, exact: fine.exact}
			for _, o := range fine.all {
				if wants(i, o.Value) {
					in.all = append(in.all, o)
				}
			}
			out := g.model(in)
			if i == 0 && len(after.all) == 0 {
				after = out
				continue
			}
			after = after.and(out)
		}
		return after
	}, ends}
}

// partition makes a Partition. The model does not know which copy gets what.
func (r *tree) partition(depth int) grown {
	copies := 1 + r.random.IntN(4)
	r.say("partition(%d) [", copies)
	g := r.grow(depth, true)
	r.say("]")
	return grown{func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Partition(f, copies, func(v int) int { return v % 7 }, g.stage)
	}, func(m modeled) modeled {
		fine, failed := m.fine()
		after := g.model(fine)
		after.ordered = after.ordered && copies == 1
		return after.and(failed)
	}, false}
}

// early makes a stage that ends before its input does.
func (r *tree) early() grown {
	n := r.random.IntN(20)
	model := func(m modeled) modeled { return m.first(n) }
	if r.random.IntN(2) == 0 {
		r.say("zip(%d)", n)
		return grown{zipWith(n), model, true}
	}
	r.say("take(%d)", n)
	return grown{first(n), model, true}
}

// join makes a stage that adds another flow to its own.
func (r *tree) join(depth int) grown {
	ordered := r.random.IntN(2) == 0
	r.say("join(ordered %v) {", ordered)
	other, with := r.flow(depth)
	r.say("}")
	if !ordered {
		return grown{func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Merge(f, other) }, func(m modeled) modeled {
			return m.and(with)
		}, false}
	}
	return grown{func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.MergeOrdered(isLess, f, other) }, func(m modeled) modeled {
		both := m.and(with)
		if m.sorted() && with.sorted() {
			slices.SortStableFunc(both.all, byValue)
			both.ordered = true
		}
		return both
	}, false}
}

func byValue(a, b outcome[int]) int { return a.Value - b.Value }

// sorted reports whether what comes is known to be in order of its values.
func (m modeled) sorted() bool {
	_, failed := m.fine()
	return m.ordered && m.exact && len(failed.all) == 0 && slices.IsSortedFunc(m.all, byValue)
}

// trees runs a check on many random flows.
func trees(t *testing.T, set func(*tree), check func(t *testing.T, r *tree, f pipeline.Flow[int], m modeled)) {
	t.Helper()
	for seed := range uint64(150) {
		ok := t.Run("", func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				r := &tree{random: rand.New(rand.NewPCG(seed, 5)), pool: pool.New(same[int], pool.Workers(3))}
				r.slow = r.random.IntN(2) == 0
				set(r)
				f, m := r.flow(1 + r.random.IntN(4))
				check(t, r, f, m)
				assert.Zero(t, r.gauge.Running(), "calls are under way when the terminal has returned")
				assert.NoError(t, r.pool.Close())
				if t.Failed() {
					t.Logf("seed %d: %s", seed, strings.Join(r.text, " "))
				}
			})
		})
		if !ok {
			return // one is enough to read
		}
	}
}

// agree fails the test if what came is not what the model says.
func agree(t *testing.T, m modeled, got []outcome[int]) {
	t.Helper()
	got = withoutValues(got)
	switch {
	case !m.exact:
		missing(t, m.all, got)
	case m.ordered:
		require.Equal(t, append([]outcome[int]{}, m.all...), append([]outcome[int]{}, got...))
	default:
		require.Equal(t, sorted(m.all), sorted(got))
	}
}

// Whatever the tree, Results gives what the loop gives, and again in the next run.
func TestRandomTreesGiveTheResultsOfALoop(t *testing.T) {
	trees(t, func(r *tree) { r.mishaps = true }, func(t *testing.T, _ *tree, f pipeline.Flow[int], m modeled) {
		for range 2 {
			agree(t, m, outcomes(f.Results(t.Context())))
		}
	})
}

// Without failures the fail-fast terminals give the same; with them, one of them.
func TestRandomTreesFailWithOneOfTheirFailures(t *testing.T) {
	trees(t, func(r *tree) { r.mishaps = r.random.IntN(2) == 0 }, func(t *testing.T, r *tree, f pipeline.Flow[int], m modeled) {
		_, failed := m.fine()
		got, err := f.Collect(t.Context())
		if err != nil {
			require.Contains(t, r.failures, err.Error())
			return
		}
		require.False(t, m.exact && len(failed.all) > 0, "it has failed")
		if m.exact {
			require.Len(t, got, len(m.all))
		}
		for i, v := range got {
			if m.ordered && m.exact {
				require.Equal(t, m.all[i].Value, v)
			}
		}
	})
}

// A loop that is left has seen nothing that the model does not have.
func TestRandomTreesCanBeLeft(t *testing.T) {
	trees(t, func(r *tree) { r.mishaps = true }, func(t *testing.T, r *tree, f pipeline.Flow[int], m modeled) {
		at := 1 + r.random.IntN(len(m.all)+1)
		var got []outcome[int]
		for res := range f.Results(t.Context()) {
			got = append(got, told(res.Index, res.Value, res.Err))
			if len(got) == at {
				break
			}
		}
		if m.exact {
			assert.Len(t, got, min(at, len(m.all)))
		}
		missing(t, m.all, withoutValues(got))
		taken, err := f.Take(at - 1).Collect(t.Context())
		if err != nil {
			require.Contains(t, r.failures, err.Error())
		} else if m.exact {
			require.Len(t, taken, min(at-1, len(m.all)))
		}
	})
}

func told(index, value int, err error) outcome[int] {
	o := outcome[int]{Index: index, Value: value}
	if err != nil {
		o.Err = err.Error()
	}
	return o
}

// After a cancel there is what the model has, and what was canceled.
func TestRandomTreesCanBeCanceled(t *testing.T) {
	trees(t, func(r *tree) { r.mishaps = true }, func(t *testing.T, r *tree, f pipeline.Flow[int], m modeled) {
		ctx, cancel := context.WithCancelCause(t.Context())
		at := 1 + r.random.IntN(len(m.all)+1)
		time.AfterFunc(time.Duration(r.random.IntN(300))*time.Millisecond, func() { cancel(errStop) })
		var got []outcome[int]
		n := 0
		for res := range f.Results(ctx) {
			if n++; n == at {
				cancel(errStop)
			}
			if res.Err == nil || !errors.Is(res.Err, errStop) && !errors.Is(res.Err, context.Canceled) {
				got = append(got, told(res.Index, res.Value, res.Err))
			}
		}
		missing(t, m.all, withoutValues(got))

		ctx, cancel = context.WithCancelCause(t.Context())
		time.AfterFunc(time.Duration(r.random.IntN(300))*time.Millisecond, func() { cancel(errStop) })
		if err := f.Run(ctx); err != nil && !errors.Is(err, errStop) {
			require.Contains(t, r.failures, err.Error())
		}
	})
}

// Sources that fail at their ends take nothing from the others.
func TestRandomTreesWhoseSourcesFail(t *testing.T) {
	trees(t, func(r *tree) { r.dry, r.mishaps = true, r.random.IntN(2) == 0 }, func(t *testing.T, r *tree, f pipeline.Flow[int], m modeled) {
		var got []outcome[int]
		for _, o := range outcomes(f.Results(t.Context())) {
			if !strings.HasSuffix(o.Err, "panic: dry") {
				got = append(got, o)
			}
		}
		agree(t, m, got)
		if err := f.Run(t.Context()); err != nil && !strings.HasSuffix(err.Error(), "panic: dry") {
			require.Contains(t, r.failures, err.Error())
		}
	})
}

// withoutValues forgets what a function has returned beside its error.
func withoutValues(all []outcome[int]) []outcome[int] {
	for i := range all {
		if all[i].Err != "" {
			all[i].Value = 0
		}
	}
	return all
}
