package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// Arguments that make no sense panic when the flow is built, never later, and the
// message names the package, the stage by kind and name, and the argument.
func TestBadArgumentsPanicWhenTheFlowIsBuilt(t *testing.T) {
	f := pipeline.FromSlice([]int{1})
	build := func(opts ...pipeline.StageOption) func() {
		return func() { pipeline.Map(f, same, opts...) }
	}
	named := func(name string, opts ...pipeline.StageOption) func() {
		return build(append([]pipeline.StageOption{pipeline.Named(name)}, opts...)...)
	}
	for _, tt := range []struct {
		want  string
		build func()
	}{
		{"pipeline: From: nil sequence", func() { pipeline.From[int](nil) }},
		{"pipeline: FromChan: nil channel", func() { pipeline.FromChan[int](nil) }},

		{"pipeline: map: nil function", func() { pipeline.Map[int, int](f, nil) }},
		{"pipeline: map: nil function", func() { pipeline.Map[int, int](f, nil, pipeline.Workers(2)) }},
		{"pipeline: map load: nil function", func() { pipeline.Map[int, int](f, nil, pipeline.Named("load")) }},
		{"pipeline: flatmap: nil function", func() { pipeline.FlatMap[int, int](f, nil) }},
		{"pipeline: filter: nil predicate", func() { f.Filter(nil) }},
		{"pipeline: tap: nil function", func() { f.Tap(nil) }},
		{"pipeline: tap: nil function", func() { f.Tap(nil, pipeline.Workers(2)) }},
		{"pipeline: foreach: nil function", func() { _ = f.ForEach(t.Context(), nil) }},

		{"pipeline: take: Take(-1): want at least 0", func() { f.Take(-1) }},
		{"pipeline: batch: size 0: want at least 1", func() { pipeline.Batch(f, 0, 0) }},
		{"pipeline: batch: size -3: want at least 1", func() { pipeline.Batch(f, -3, time.Second) }},
		{"pipeline: batch: maxWait -1s: want at least 0", func() { pipeline.Batch(f, 1, -time.Second) }},

		{"pipeline: map: Workers(0): want at least 1", build(pipeline.Workers(0))},
		{"pipeline: map: Workers(-2): want at least 1", build(pipeline.Workers(-2))},
		{"pipeline: map load: Workers(0): want at least 1", named("load", pipeline.Workers(0))},
		{"pipeline: map: Buffer(0): want at least 1", build(pipeline.Workers(1), pipeline.Buffer(0))},
		{"pipeline: map: Ordered(0): want at least 1", build(pipeline.Workers(1), pipeline.Ordered(0))},
		{"pipeline: map: Ordered: more than one window", build(pipeline.Workers(1), pipeline.Ordered(1, 2))},
		{"pipeline: map: Named: empty name", named("")},
		{"pipeline: map: nil option", build(nil)},

		{"pipeline: map: Workers given twice", build(pipeline.Workers(1), pipeline.Workers(2))},
		{"pipeline: map: Buffer given twice", build(pipeline.Workers(1), pipeline.Buffer(1), pipeline.Buffer(2))},
		{"pipeline: map: Ordered given twice", build(pipeline.Workers(1), pipeline.Ordered(), pipeline.Ordered(4))},
		{"pipeline: map a: Named given twice", named("a", pipeline.Named("b"))},

		{"pipeline: map: Ordered(3) is below Workers(4)", build(pipeline.Workers(4), pipeline.Ordered(3))},
		{"pipeline: map: Ordered(3) is below Workers(4)", build(pipeline.Ordered(3), pipeline.Workers(4))},
		{
			"pipeline: map: Buffer without Workers: the stage is fused with the one before and has none",
			build(pipeline.Buffer(4)),
		},
	} {
		assert.Equal(t, tt.want, message(tt.build))
	}
}

// The options of every kind of stage go through the same gate.
func TestBadOptionsPanicInEveryKindOfStage(t *testing.T) {
	f := pipeline.FromSlice([]int{1})
	for kind, build := range map[string]func(pipeline.StageOption){
		"map":     func(o pipeline.StageOption) { pipeline.Map(f, same, o) },
		"flatmap": func(o pipeline.StageOption) { pipeline.FlatMap(f, evens, o) },
		"filter":  func(o pipeline.StageOption) { f.Filter(func(int) bool { return true }, o) },
		"tap":     func(o pipeline.StageOption) { f.Tap(func(int) {}, o) },
		"foreach": func(o pipeline.StageOption) {
			_ = f.ForEach(t.Context(), func(context.Context, int) error { return nil }, o)
		},
	} {
		assert.Equal(t, "pipeline: "+kind+": Workers(0): want at least 1", message(func() { build(pipeline.Workers(0)) }))
	}
}

func TestAZeroFlowPanicsWithAMessage(t *testing.T) {
	var f pipeline.Flow[int]
	ctx := t.Context()
	for name, use := range map[string]func(){
		"Map":     func() { pipeline.Map(f, same) },
		"FlatMap": func() { pipeline.FlatMap(f, evens) },
		"Batch":   func() { pipeline.Batch(f, 1, 0) },
		"Filter":  func() { f.Filter(func(int) bool { return true }) },
		"Tap":     func() { f.Tap(func(int) {}) },
		"Take":    func() { f.Take(1) },
		"Run":     func() { _ = f.Run(ctx) },
		"ForEach": func() { _ = f.ForEach(ctx, func(context.Context, int) error { return nil }) },
		"Collect": func() { _, _ = f.Collect(ctx) },
		"All":     func() { f.All(ctx) },
		"Results": func() { f.Results(ctx) },
	} {
		assert.Equal(t, "pipeline: "+name+" of a zero Flow: it has no source", message(use))
	}
}

// An option is a plain value: a list of them serves many stages.
func TestOptionsCanBeShared(t *testing.T) {
	opts := []pipeline.StageOption{pipeline.Workers(2), pipeline.Ordered(4), pipeline.Buffer(3), pipeline.Named("n")}
	f := pipeline.From(upTo(100))
	for range 4 {
		f = pipeline.Map(f, same, opts...)
	}
	got, err := f.Collect(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, numbers(100), got)
}

// The number of workers may have a type of its own.
func TestWorkersOfANamedType(t *testing.T) {
	type processes int
	f := pipeline.Map(pipeline.From(upTo(9)), same, pipeline.Workers(processes(3)))
	assert.Equal(t, 3, f.Plan().Stages[1].Workers)
	assert.Equal(t, "pipeline: map: Workers(0): want at least 1", message(func() { pipeline.Map(f, same, pipeline.Workers(processes(0))) }))
}

// Options that contradict each other, or the kind of the stage, and policies that make no
// sense.
func TestBadPoliciesPanicWhenTheFlowIsBuilt(t *testing.T) {
	f := pipeline.FromSlice([]int{1})
	yes := func(int) bool { return true }
	see := func(int) {}
	key := func(v int) int { return v }
	add := func(_ context.Context, sum, v int) (int, error) { return sum + v, nil }
	write := func(context.Context, int) error { return nil }
	limit := waiterOf(func(context.Context) error { return nil })
	build := func(opts ...pipeline.StageOption) func() {
		return func() { pipeline.Map(f, same, opts...) }
	}
	limited := pipeline.Limit(limit)
	again := pipeline.Retry(pool.RetryPolicy{Attempts: 2})
	const plainRetry = ": Retry: the function returns no error"
	const plainTimeout = ": Timeout: the function has no context"
	for _, tt := range []struct {
		want  string
		build func()
	}{
		{"map: Timeout(0s): want more than 0", build(pipeline.Timeout(0))},
		{"map: Timeout(-1s): want more than 0", build(pipeline.Timeout(-time.Second))},
		{"map: Timeout given twice", build(pipeline.Timeout(1), pipeline.Timeout(2))},
		{"map: Limit: no waiter", build(pipeline.Limit())},
		{"map: Limit: nil waiter", build(pipeline.Limit(nil))},
		{"map: Limit: nil waiter", build(pipeline.Limit(limit, nil))},
		{"map: Limit given twice", build(limited, pipeline.Limit(limit, limit))},
		{"map: Retry: Attempts 0: want at least 1", build(pipeline.Retry(pool.RetryPolicy{}))},
		{"map load: Retry: Cap 1s is below Base 2s", build(pipeline.Named("load"),
			pipeline.Retry(pool.RetryPolicy{Attempts: 1, Base: 2 * time.Second, Cap: time.Second}))},
		{"map: Retry given twice", build(again, pipeline.Retry(pool.RetryPolicy{Attempts: 3}))},
		{"map: OnError: nil policy", build(pipeline.OnError(nil))},
		{"map: OnError: DeadLetter of a nil function", build(pipeline.OnError(pipeline.DeadLetter(nil)))},
		{"map: OnError(2): unknown policy", build(pipeline.OnError(pipeline.ErrorMode(2)))},
		{"map: OnError given twice", build(pipeline.OnError(pipeline.Skip), pipeline.OnError(pipeline.FailFast))},
		{"map: Workers(Auto(0, 0)): want at least 1", build(pipeline.Workers(pipeline.AutoRange{}))},
		{"map: Workers(Auto(0, 4)): want at least 1", build(pipeline.Workers(pipeline.Auto(0, 4)))},
		{"map: Workers(Auto(4, 3)): the most is below the least", build(pipeline.Workers(pipeline.Auto(4, 3)))},
		{"map: Workers given twice", build(pipeline.Workers(1), pipeline.Workers(pipeline.Auto(1, 2)))},
		{"map: Ordered(3) is below Workers(4)", build(pipeline.Workers(pipeline.Auto(1, 4)), pipeline.Ordered(3))},

		{"filter" + plainRetry, func() { f.Filter(yes, again) }},
		{"filter" + plainRetry, func() { f.Filter(yes, again, pipeline.Workers(2)) }},
		{"filter" + plainTimeout, func() { f.Filter(yes, pipeline.Timeout(1)) }},
		{"filter" + plainTimeout, func() { f.Filter(yes, pipeline.Workers(2), pipeline.Timeout(1)) }},
		{"tap" + plainRetry, func() { f.Tap(see, again) }},
		{"tap" + plainTimeout, func() { f.Tap(see, pipeline.Timeout(1)) }},
		{"distinct" + plainRetry, func() { pipeline.Distinct(f, 1, key, again) }},
		{"distinct" + plainTimeout, func() { pipeline.Distinct(f, 1, key, pipeline.Timeout(1)) }},
		{"throttle: nil option", func() { f.Throttle(limit, nil) }},
		{"throttle: Limit: nil waiter", func() { f.Throttle(nil) }},
		{"throttle pace: Limit: nil waiter", func() { f.Throttle(nil, pipeline.Named("pace")) }},
		{"throttle: Limit: Throttle is a limit", func() { f.Throttle(limit, pipeline.Limit(limit)) }},
		{"throttle: Timeout: it calls no function", func() { f.Throttle(limit, pipeline.Timeout(1)) }},
		{"throttle: Retry: it calls no function", func() { f.Throttle(limit, again) }},

		{"foreach: Workers(0): want at least 1", func() { _ = f.ForEach(t.Context(), write, pipeline.Workers(0)) }},
		{"foreach: nil option", func() { _ = f.ForEach(t.Context(), write, nil) }},
		{"foreach: nil option", func() { _ = f.ForEach(t.Context(), write, pipeline.StageOption(nil)) }},
		{"foreach: nil option", func() { _ = f.ForEach(t.Context(), write, pipeline.RunOption(nil)) }},

		{"map a: Named given twice", func() { pipeline.Map(f, same, pipeline.Named("a")).Named("b") }},
		{"from: Named: empty name", func() { f.Named("") }},
	} {
		assert.Equal(t, "pipeline: "+tt.want, message(tt.build))
	}
	for option, opt := range map[string]pipeline.StageOption{
		"Workers": pipeline.Workers(1), "Ordered": pipeline.Ordered(),
	} {
		for kind, build := range map[string]func(pipeline.StageOption){
			"scan":     func(o pipeline.StageOption) { pipeline.Scan(f, 0, add, o) },
			"reduce":   func(o pipeline.StageOption) { pipeline.Reduce(f, 0, add, o) },
			"groupby":  func(o pipeline.StageOption) { pipeline.GroupBy(f, 1, key, add, o) },
			"distinct": func(o pipeline.StageOption) { pipeline.Distinct(f, 1, key, o) },
			"throttle": func(o pipeline.StageOption) { f.Throttle(limit, o) },
		} {
			assert.Equal(t, "pipeline: "+kind+": "+option+": it needs its inputs one after the other", message(func() { build(opt) }))
		}
	}
}

// What is wrong with the arguments of a terminal is said under its name, and before
// anything runs: of All and Results before the loop.
func TestBadRunArgumentsPanic(t *testing.T) {
	f := pipeline.From(func(func(int) bool) { t.Error("the source runs") })
	for kind, run := range map[string]func(context.Context, ...pipeline.RunOption){
		"run":     func(ctx context.Context, o ...pipeline.RunOption) { _ = f.Run(ctx, o...) },
		"collect": func(ctx context.Context, o ...pipeline.RunOption) { _, _ = f.Collect(ctx, o...) },
		"all":     func(ctx context.Context, o ...pipeline.RunOption) { f.All(ctx, o...) },
		"results": func(ctx context.Context, o ...pipeline.RunOption) { f.Results(ctx, o...) },
		"foreach": func(ctx context.Context, o ...pipeline.RunOption) {
			var opts []pipeline.Option
			for _, opt := range o {
				opts = append(opts, opt)
			}
			_ = f.ForEach(ctx, func(context.Context, int) error { return nil }, opts...)
		},
	} {
		says := func(want string, ctx context.Context, opts ...pipeline.RunOption) {
			assert.Equal(t, "pipeline: "+kind+": "+want, message(func() { run(ctx, opts...) }))
		}
		drain := pipeline.Drain(t.Context())
		says("nil context", nil)
		says("nil option", t.Context(), nil)
		says("Drain: nil context", t.Context(), pipeline.Drain(nil))
		says("Drain given twice", t.Context(), drain, pipeline.Drain(t.Context()))
	}
}
