package pipeline_test

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
)

// traces notes on which goroutines the functions of each stage run, and how many at once.
type traces struct {
	mu   sync.Mutex
	ids  map[string]map[string]int // by stage: goroutines, and how often
	now  map[string]int            // by stage: calls under way
	peak map[string]int
}

func newTraces() *traces {
	return &traces{ids: map[string]map[string]int{}, now: map[string]int{}, peak: map[string]int{}}
}

// note says that a function of that stage runs; the result is to be called at its end.
func (tr *traces) note(stage string) func() {
	id := goroutine()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.ids[stage] == nil {
		tr.ids[stage] = map[string]int{}
	}
	tr.ids[stage][id]++
	tr.now[stage]++
	tr.peak[stage] = max(tr.peak[stage], tr.now[stage])
	return func() {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.now[stage]--
	}
}

func (tr *traces) source(stage string, n int) pipeline.Flow[int] {
	return pipeline.From(func(yield func(int) bool) {
		for i := range n {
			tr.note(stage)()
			if !yield(i) {
				return
			}
		}
	}).Named(stage)
}

// each is the function of a stage. Its calls take time if the stage has workers.
func (tr *traces) each(stage string, took time.Duration) func(context.Context, int) (int, error) {
	return func(_ context.Context, v int) (int, error) {
		end := tr.note(stage)
		defer end()
		time.Sleep(took * time.Duration(1+v%3))
		return v, nil
	}
}

func (tr *traces) fused(f pipeline.Flow[int], stage string) pipeline.Flow[int] {
	return pipeline.Map(f, tr.each(stage, 0), pipeline.Named(stage))
}

// pooled is slower than what is before it, so that all of its workers have something to do.
func (tr *traces) pooled(f pipeline.Flow[int], stage string, opts ...pipeline.StageOption) pipeline.Flow[int] {
	return pipeline.Map(f, tr.each(stage, time.Millisecond<<(stage[0]-'a')), append(opts, pipeline.Named(stage))...)
}

func (tr *traces) tap(f pipeline.Flow[int], stage string) pipeline.Flow[int] {
	return f.Tap(func(int) { tr.note(stage)() }, pipeline.Named(stage))
}

func (tr *traces) branch(stage string, opts ...pipeline.StageOption) pipeline.Stage[int, int] {
	return func(f pipeline.Flow[int]) pipeline.Flow[int] {
		if len(opts) > 0 {
			return tr.pooled(f, stage, opts...)
		}
		return tr.fused(f, stage)
	}
}

// less is the function of a MergeOrdered.
func (tr *traces) less(stage string) func(a, b int) bool {
	return func(a, b int) bool {
		tr.note(stage)()
		return a < b
	}
}

// key is that of a Route, a Partition and so on.
func (tr *traces) key(stage string, n int) func(int) int {
	return func(v int) int {
		tr.note(stage)()
		return v % n
	}
}

// tracedFlows are flows whose stages have names of their own.
var tracedFlows = map[string]func(tr *traces) pipeline.Flow[int]{
	"loop": func(tr *traces) pipeline.Flow[int] {
		return tr.tap(tr.fused(tr.source("a", 100), "b"), "c").Take(90)
	},
	"line": func(tr *traces) pipeline.Flow[int] {
		f := tr.pooled(tr.fused(tr.source("a", 300), "b"), "c", pipeline.Workers(3))
		f = tr.pooled(tr.tap(f, "d"), "e", pipeline.Workers(5), pipeline.Ordered(), pipeline.Buffer(7))
		f = tr.pooled(f, "f", pipeline.Workers(2))
		return tr.fused(tr.tap(f, "g"), "h")
	},
	"buffers": func(tr *traces) pipeline.Flow[int] {
		f := tr.tap(tr.fused(tr.source("a", 200), "b").Buffer(3).Named("buffer 1"), "c")
		return tr.fused(f.Buffer(1).Named("buffer 2"), "d")
	},
	"folds": func(tr *traces) pipeline.Flow[int] {
		sum := func(stage string) func(context.Context, int, int) (int, error) {
			return func(ctx context.Context, a, v int) (int, error) {
				tr.note(stage)()
				return a + v, nil
			}
		}
		f := pipeline.Distinct(tr.source("a", 200), 1000, tr.key("b", 1000), pipeline.Named("b"))
		f = pipeline.Scan(f, 0, sum("c"), pipeline.Named("c"))
		g := pipeline.GroupBy(tr.pooled(f, "d", pipeline.Workers(2)), 10, tr.key("e", 50), sum("e"), pipeline.Named("e"))
		f = pipeline.Map(g, func(_ context.Context, g pipeline.Group[int, int]) (int, error) {
			defer tr.note("f")()
			return g.Value, nil
		}, pipeline.Named("f"))
		return pipeline.Reduce(f, 0, sum("g"), pipeline.Named("g"))
	},
	"batches": func(tr *traces) pipeline.Flow[int] {
		values := func(stage string) func(context.Context, []int) (iter.Seq[int], error) {
			return func(_ context.Context, all []int) (iter.Seq[int], error) {
				tr.note(stage)()
				return slices.Values(all), nil
			}
		}
		f := pipeline.FlatMap(pipeline.Batch(tr.source("a", 200), 7, 0), values("b"), pipeline.Named("b"))
		f = pipeline.FlatMap(pipeline.Batch(f, 7, time.Hour).Named("timed"), values("c"), pipeline.Named("c"))
		return tr.tap(pipeline.FlatMap(pipeline.Window(f, 3, 3), values("d"), pipeline.Named("d")), "e")
	},
	"joins": func(tr *traces) pipeline.Flow[int] {
		f := pipeline.MergeOrdered(tr.less("m"), tr.tap(tr.source("a", 100), "b"),
			tr.pooled(tr.source("c", 100), "d", pipeline.Workers(2), pipeline.Ordered()), tr.source("e", 100).Buffer(3).Named("buffer")).Named("m")
		f = tr.tap(f, "f")
		f = tr.tap(pipeline.Merge(f, tr.tap(tr.source("g", 100), "h")).Named("merge"), "i")
		return pipeline.Map(pipeline.Zip(f, tr.fused(tr.source("j", 300), "k")).Named("zip"),
			func(_ context.Context, p pipeline.Pair[int, int]) (int, error) {
				defer tr.note("l")()
				return p.A, nil
			}, pipeline.Named("l"))
	},
	"broadcast": func(tr *traces) pipeline.Flow[int] {
		f := pipeline.Broadcast(tr.fused(tr.source("a", 100), "b"), tr.branch("c"), tr.branch("d", pipeline.Workers(3)),
			func(f pipeline.Flow[int]) pipeline.Flow[int] { return tr.tap(tr.fused(f, "e"), "f") })
		return tr.tap(f, "g")
	},
	"route": func(tr *traces) pipeline.Flow[int] {
		f := tr.pooled(tr.source("a", 200), "b", pipeline.Workers(2))
		f = pipeline.Route(tr.tap(f, "c"), tr.key("pick", 2), tr.branch("d"), tr.branch("e", pipeline.Workers(2))).Named("pick")
		return tr.pooled(f, "f", pipeline.Workers(4))
	},
	"partition": func(tr *traces) pipeline.Flow[int] {
		f := pipeline.Partition(tr.source("a", 400), 3, tr.key("key", 1000), func(f pipeline.Flow[int]) pipeline.Flow[int] {
			return tr.tap(tr.pooled(tr.fused(tr.tap(f, "b"), "c"), "d", pipeline.Workers(2)), "e")
		}).Named("key")
		return tr.tap(f, "f")
	},
	"auto": func(tr *traces) pipeline.Flow[int] {
		return tr.tap(tr.pooled(tr.source("a", 3000), "b", pipeline.Workers(pipeline.Auto(2, 6))), "c")
	},
}

// What runs together by the plan runs on one goroutine, what does not runs on different
// ones, and a stage has the workers that the plan says.
func TestGroupsOfThePlanAreGoroutines(t *testing.T) {
	for name, build := range tracedFlows {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				tr := newTraces()
				f := build(tr)
				for _, err := range f.All(t.Context()) {
					require.NoError(t, err)
					tr.note("terminal")()
				}
				plan := f.Plan()
				tr.check(t, plan)
				if t.Failed() {
					t.Logf("%v\n%v", plan, tr.ids)
				}
			})
		})
	}
}

func (tr *traces) check(t *testing.T, plan pipeline.Plan) {
	t.Helper()
	seen := map[string]int{} // the group of a goroutine
	of := map[int]map[string]bool{}
	stages := map[string]bool{}
	for _, s := range plan.Stages {
		assert.False(t, stages[s.Name], "%s stands twice", s.Name)
		stages[s.Name] = true
		ids := tr.ids[s.Name]
		for id := range ids {
			if group, ok := seen[id]; ok {
				assert.Equal(t, group, s.Group, "%s runs on a goroutine of another group", s.Name)
			}
			seen[id] = s.Group
			if of[s.Group] == nil {
				of[s.Group] = map[string]bool{}
			}
			of[s.Group][id] = true
		}
		if len(ids) == 0 {
			continue // it has no function
		}
		if s.Workers == 0 {
			assert.Len(t, ids, max(s.Copies, 1), "goroutines of %s", s.Name)
			assert.LessOrEqual(t, tr.peak[s.Name], max(s.Copies, 1), s.Name)
			continue
		}
		most := max(s.Workers, s.MaxWorkers) * max(s.Copies, 1)
		assert.LessOrEqual(t, tr.peak[s.Name], most, "calls of %s at once", s.Name)
		if s.MaxWorkers == s.Workers {
			assert.Equal(t, most, tr.peak[s.Name], "calls of %s at once", s.Name)
		}
		assert.GreaterOrEqual(t, tr.peak[s.Name], s.Workers*max(s.Copies, 1), "calls of %s at once", s.Name)
	}
	for _, s := range plan.Stages {
		if s.Workers == 0 {
			assert.LessOrEqual(t, len(of[s.Group]), max(s.Copies, 1), "goroutines in the group of %s", s.Name)
		}
	}
	for name := range tr.ids {
		assert.True(t, stages[name], "%s is not in the plan", name)
	}
}

// A stage that is ordered by the plan keeps the order, and where all are that is the
// order of the source; where one is not, its outputs come as its calls end.
func TestOrderOfThePlanIsKept(t *testing.T) {
	for _, ordered := range []bool{true, false} {
		for name, opts := range map[string][]pipeline.StageOption{
			"fused": nil, "1 worker": {pipeline.Workers(1)}, "8 workers": {pipeline.Workers(8)},
			"8 workers ordered": {pipeline.Workers(8), pipeline.Ordered()}, "fused ordered": {pipeline.Ordered()},
		} {
			testkit.Bubble(t, func(t *testing.T) {
				tr := newTraces()
				f := tr.pooled(tr.source("a", 200), "b", opts...)
				if ordered {
					f = tr.pooled(f.Buffer(9), "c", pipeline.Workers(4), pipeline.Ordered())
				}
				got, err := f.Collect(t.Context())
				require.NoError(t, err)
				keeps := true
				for _, s := range f.Plan().Stages {
					keeps = keeps && (s.Workers <= 1 || s.Ordered)
				}
				assert.Equal(t, keeps, slices.IsSorted(got), name)
			})
		}
	}
}

// What else the plan says of a stage.
func TestPlanOfAFlow(t *testing.T) {
	p := pool.New(func(_ context.Context, v int) (int, error) { return v, nil })
	defer p.Close()
	f := pipeline.FromSlice([]int{1}).Named("ids")
	f = pipeline.Map(f, same, pipeline.Workers(8), pipeline.Ordered(), pipeline.Buffer(32), pipeline.Named("fetch"),
		pipeline.Retry(pool.RetryPolicy{Attempts: 3}), pipeline.Timeout(5*time.Second), pipeline.Limit(noLimit{}),
		pipeline.OnError(pipeline.Skip))
	f = pipeline.Through(f, p, pipeline.OnError(pipeline.DeadLetter(func(pipeline.Letter) {})))
	f = pipeline.Map(f, same, pipeline.Workers(pipeline.Auto(2, 9)), pipeline.Limit(noLimit{}, noLimit{}), pipeline.Ordered(1<<20))
	f = pipeline.Merge(f, f)
	stages := f.Plan().Stages
	for i := range stages {
		stages[i].Holds = 0
	}
	half := func(at, group int) []pipeline.PlannedStage {
		return []pipeline.PlannedStage{
			{Name: "ids", Kind: "from", Group: group, Copies: 1},
			{
				Name: "fetch", Kind: "map", From: []int{at}, Group: group + 1, Workers: 8, MaxWorkers: 8, Copies: 1, Ordered: true,
				Window: 1024, Buffer: 32, Policies: []string{"retry 3", "timeout 5s", "limit", "skip errors"},
			},
			{Name: "through", Kind: "through", From: []int{at + 1}, Group: group + 2, Copies: 1, Buffer: 256, Policies: []string{"dead letters"}},
			{
				Name: "map", Kind: "map", From: []int{at + 2}, Group: group + 3, Workers: 2, MaxWorkers: 9, Copies: 1, Ordered: true,
				Window: 1 << 16, Buffer: 256, Policies: []string{"2 limits"},
			},
		}
	}
	assert.Equal(t, slices.Concat(half(0, 1), half(4, 5), []pipeline.PlannedStage{
		{Name: "merge", Kind: "merge", From: []int{3, 7}, Group: 9, Copies: 1},
		{Name: "terminal", Kind: "terminal", From: []int{8}, Group: 10, Copies: 1, Buffer: 256},
	}), stages)
	assert.Equal(t, "pipeline: Plan of a zero Flow: it has no source", message(func() { pipeline.Flow[int]{}.Plan() }))
}

// What each stage holds, in words: see Flow.Plan.
func TestWhatThePlanHolds(t *testing.T) {
	flat := func(context.Context, int) (iter.Seq[int], error) { return nil, nil }
	key := func(v int) int { return v }
	from := pipeline.From(naturals)
	pooled := func(f pipeline.Flow[int], w, b int, opts ...pipeline.StageOption) pipeline.Flow[int] {
		return pipeline.Map(f, same, pooledBy(w, b, opts...)...)
	}
	for name, tt := range map[string]struct {
		holds []int
		plan  pipeline.Plan
	}{
		"a loop is at one item":                    {[]int{1, 0, 0, 0}, pipeline.Map(from, same).Tap(func(int) {}).Plan()},
		"a flatmap at one beside":                  {[]int{1, 1, 1, 0}, pipeline.FlatMap(pipeline.FlatMap(from, flat), flat).Plan()},
		"queue, producer, workers":                 {[]int{1, 100 + 64 + 3*64, 100 + 64}, pooled(from, 3, 100).Plan()},
		"small chunks":                             {[]int{1, 5 + 5 + 3*5, 5 + 5}, pooled(from, 3, 5).Plan()},
		"window":                                   {[]int{1, 100 + 64 + 3*128, 100 + 64}, pooled(from, 3, 100, pipeline.Ordered()).Plan()},
		"smaller window":                           {[]int{1, 100 + 64 + 3, 100 + 64}, pooled(from, 3, 100, pipeline.Ordered(3)).Plan()},
		"the largest window":                       {[]int{1, 1 + 1 + 65536, 1 + 1}, pooled(from, 1, 1, pipeline.Ordered(1<<30)).Plan()},
		"pools hold back in hand":                  {[]int{1, 5 + 5 + 2*5, 100 + 3*64, 100 + 64}, pooled(pooled(from, 2, 5), 3, 100).Plan()},
		"flatmaps hold back":                       {[]int{1, 9 + 9 + 2*9, 9 + 9 + 2*9}, pipeline.FlatMap(from, flat, pooledBy(2, 9)...).Plan()},
		"the most there may be":                    {[]int{1, 9 + 9 + 4*9, 9 + 9 + 4*9}, pipeline.FlatMap(from, flat, pipeline.Workers(pipeline.Auto(2, 4)), pipeline.Buffer(9)).Plan()},
		"and fill the places of a window":          {[]int{1, 9 + 9 + 20*64 + 2*2, 9 + 9}, pipeline.FlatMap(from, flat, pooledBy(2, 9, pipeline.Ordered(20))...).Plan()},
		"a buffer has a chunk on each side":        {[]int{1, 100 + 64 + 64, 0}, from.Buffer(100).Plan()},
		"a batch":                                  {[]int{1, 10, 0}, pipeline.Batch(from, 10, 0).Plan()},
		"a batch with a queue":                     {[]int{1, 256 + 64 + 64 + 10, 0}, pipeline.Batch(from, 10, time.Hour).Plan()},
		"a window of values":                       {[]int{1, 10, 0}, pipeline.Window(from, 10, 1).Plan()},
		"a merge is nowhere":                       {[]int{1, 1, 0, 256 + 2*64 + 64}, pipeline.Merge(from, from).Plan()},
		"an ordered one has queues":                {[]int{1, 1, 1, 3 * (256 + 64 + 64), 0}, pipeline.MergeOrdered(func(a, b int) bool { return a < b }, from, from, from).Plan()},
		"a zip, too, and in hand counts in a pool": {[]int{1, 1, 9 + 9 + 2*9, 2*256 + 64 + 2*64, 0}, pipeline.Zip(from, pooled(from, 2, 9)).Plan()},
		"a broadcast has lanes": {
			[]int{1, 0, 9 + 9 + 2*9, 256 + 64 + 64, 256 + (1+0+1+1)*64 + 64},
			pipeline.Broadcast(from, mapStage(pooledBy(2, 9)...), mapStage(), identity).Plan(),
		},
		"behind a pool it has a queue": {
			[]int{1, 9 + 9 + 2*9, 9 + 9, 256 + 64 + 64, 256 + (1+1)*64 + 64},
			pipeline.Route(pooled(from, 2, 9), key, mapStage()).Plan(),
		},
		"a partition copies": {
			[]int{1, 0, 5 * (256 + 64 + 64), 5 * (9 + 9 + 2*9), 256 + 1*64 + 64},
			pipeline.Partition(from, 5, key, func(f pipeline.Flow[int]) pipeline.Flow[int] { return pooled(pipeline.Map(f, same), 2, 9) }).Plan(),
		},
		"too many workers for a bound":   {[]int{1, -1, 100 + 64}, pooled(from, math.MaxInt, 100).Plan()},
		"also of a flatmap":              {[]int{1, -1, -1}, pipeline.FlatMap(from, flat, pooledBy(math.MaxInt, 100)...).Plan()},
		"also in a window":               {[]int{1, -1, 100 + 64}, pipeline.FlatMap(from, flat, pooledBy(math.MaxInt, 100, pipeline.Ordered())...).Plan()},
		"a buffer of any size":           {[]int{1, -1, 0}, from.Buffer(math.MaxInt).Plan()},
		"a batch of any size":            {[]int{1, -1, 0}, pipeline.Batch(from, math.MaxInt, 0).Plan()},
		"a batch of any size, in time":   {[]int{1, -1, 0}, pipeline.Batch(from, math.MaxInt, time.Hour).Plan()},
		"as many groups as there are":    {[]int{1, -1, 0}, pipeline.GroupBy(from, math.MaxInt, key, sumUp).Plan()},
		"as many copies as there can be": {[]int{1, 0, -1, -1}, pipeline.Partition(from, math.MaxInt, key, mapStage()).Plan()},
		"copies of copies": {
			[]int{1, 0, 5 * (256 + 64 + 64), 15 * (256 + 64 + 64), 256 + (1+5*(1+3))*64 + 64},
			pipeline.Partition(from, 5, key, func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Partition(f, 3, key, mapStage()) }).Plan(),
		},
	} {
		var holds []int
		for _, s := range tt.plan.Stages {
			holds = append(holds, s.Holds)
		}
		assert.Equal(t, tt.holds, holds, name)
	}
}

// drawnFlows are flows whose plans have golden files.
var drawnFlows = map[string]func() pipeline.Plan{
	"line": func() pipeline.Plan {
		f := pipeline.Map(pipeline.Lines(strings.NewReader("")), sameText, pipeline.Named("parse"), pipeline.OnError(pipeline.Skip))
		f = pipeline.Map(f, sameText, pipeline.Named("fetch"), pipeline.Workers(8), pipeline.Ordered(),
			pipeline.Retry(pool.RetryPolicy{Attempts: 3}), pipeline.Timeout(5*time.Second))
		return pipeline.Map(pipeline.Batch(f, 100, time.Second), func(_ context.Context, all []string) (int, error) {
			return len(all), nil
		}, pipeline.Named("store"), pipeline.Workers(pipeline.Auto(1, 4)), pipeline.Buffer(4)).Plan()
	},
	"fan-out": func() pipeline.Plan {
		f := pipeline.From(naturals).Buffer(16)
		return pipeline.Broadcast(f,
			mapStage(pipeline.Workers(4), pipeline.Named("thumbnail")),
			func(f pipeline.Flow[int]) pipeline.Flow[int] {
				return f.Filter(isEven).Tap(func(int) {}, pipeline.Named("index"))
			},
			func(f pipeline.Flow[int]) pipeline.Flow[int] {
				return pipeline.Route(f, func(v int) int { return v % 2 }, mapStage(pipeline.Named("odd")), mapStage(pipeline.Workers(2), pipeline.Named("even")))
			}).Take(1000).Plan()
	},
	"partition": func() pipeline.Plan {
		key := func(v int) int { return v }
		sum := func(_ context.Context, a, v int) (int, error) { return a + v, nil }
		f := pipeline.Map(pipeline.From(naturals), same, pipeline.Workers(4), pipeline.Named("decode"))
		groups := pipeline.Partition(f, 16, key, func(f pipeline.Flow[int]) pipeline.Flow[pipeline.Group[int, int]] {
			return pipeline.GroupBy(pipeline.Map(f, same, pipeline.Workers(2), pipeline.Ordered(), pipeline.Named("enrich")), 1000, key, sum)
		}).Named("by user")
		return groups.Plan()
	},
	"fan-in": func() pipeline.Plan {
		p := pool.New(func(_ context.Context, v int) (int, error) { return v, nil })
		defer p.Close()
		live := pipeline.FromChan(make(chan int)).Named("live")
		backlog := pipeline.MergeOrdered(func(a, b int) bool { return a < b },
			pipeline.From(naturals).Named("old"), pipeline.Map(pipeline.From(naturals).Named("older"), same, pipeline.Workers(2), pipeline.Ordered()))
		all := pipeline.Through(pipeline.Merge(live, backlog), p, pipeline.Named("deliver"))
		return pipeline.Zip(all.Throttle(noLimit{}), pipeline.From(naturals).Named("numbers")).Plan()
	},
}

func sameText(_ context.Context, s string) (string, error) { return s, nil }

func TestFlowPlanGoldens(t *testing.T) {
	dir := filepath.Join("testdata", "flows")
	for name, draw := range drawnFlows {
		got := draw().String() + "\n"
		golden := filepath.Join(dir, name+".txt")
		if *update {
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		// A checkout on Windows may have rewritten the line ends.
		assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got, name)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	assert.Len(t, files, len(drawnFlows))
}

// A plan can be made at any time, by several goroutines, and costs no run.
func TestPlanRunsNothing(t *testing.T) {
	pipelinetest.NoLeak(t)
	pulled := false
	f := pipeline.From(func(func(int) bool) { pulled = true })
	f = pipeline.Broadcast(f, mapStage(pipeline.Workers(3)), identity).Buffer(1 + rand.IntN(3))
	want := f.Plan()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { assert.Equal(t, want, f.Plan()) })
	}
	wg.Wait()
	assert.False(t, pulled)
}
