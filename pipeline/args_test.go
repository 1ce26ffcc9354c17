package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pipeline"
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
