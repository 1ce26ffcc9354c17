package pipeline_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
)

// Each of these is a bug in a file that is not mine: see the names.

// internal/engine/stage.go, Handle and flat: retries of an input that succeeds in the end
// are not counted; call.go counts them, but not in through (FlatMap).
func TestT5RetriesThatHelpAreCounted(t *testing.T) {
	retry := pipeline.Retry(pool.RetryPolicy{Attempts: 3, Base: 1, Cap: 1})
	for _, s := range stages {
		for _, flat := range []bool{false, true} {
			got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
				calls := make([]int, 4) // of one input by one worker at a time
				fails := func(v int) error {
					if calls[v]++; calls[v] < 3 {
						return errBoom
					}
					return nil
				}
				opts := append([]pipeline.StageOption{retry}, s.opts...)
				f := pipeline.Map(pipeline.From(upTo(4)), func(_ context.Context, v int) (int, error) { return v, fails(v) }, opts...)
				if flat {
					f = pipeline.FlatMap(pipeline.From(upTo(4)), func(_ context.Context, v int) (iter.Seq[int], error) { return upTo(1), fails(v) }, opts...)
				}
				assert.NoError(t, f.Run(ctx, to))
			})
			assert.EqualValues(t, 8, got.Stages[1].Retries, "%s, flat %v", s.name, flat)
			assert.Zero(t, got.Stages[1].Errors)
		}
	}
}

type refusing struct{}

func (refusing) Wait(context.Context) error { return errBoom }

// internal/engine/stage.go, refuse: an input that a limit refused is counted as an error
// only if OnError decides on it; call.go counts it always.
func TestT5RefusedInputsAreErrors(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			f := pipeline.Map(pipeline.From(upTo(4)), same, append([]pipeline.StageOption{pipeline.Limit(refusing{})}, s.opts...)...)
			for range f.Results(ctx, to) {
			}
		})
		assert.EqualValues(t, 4, got.Stages[1].Errors, s.name)
	}
}

// call.go, judged: the time in a DeadLetter's function holds the stage up, and counts as
// starved in a fused stage; with workers it is busy.
func TestT5DeadLettersTakeTimeOfTheStage(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			dead := pipeline.OnError(pipeline.DeadLetter(func(pipeline.Letter) { time.Sleep(sec) }))
			assert.NoError(t, pipeline.Map(pipeline.From(upTo(4)), failAt(2), append([]pipeline.StageOption{dead}, s.opts...)...).Run(ctx, to))
		})
		assert.InDelta(t, 1/float64(max(1, s.workers)), got.Stages[1].Busy, 1e-9, s.name)
	}
}

// fold.go, drive: an input that fails in a Reduce or GroupBy, or has before, goes through
// outgoing twice, and counts twice as an output.
func TestT5FoldsCountFailuresOnce(t *testing.T) {
	got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		for range pipeline.Reduce(pipeline.From(upTo(5)), 0, func(_ context.Context, a, v int) (int, error) {
			if v == 2 {
				return 0, errBoom
			}
			return a + v, nil
		}).Results(ctx, to) {
		}
	})
	assert.EqualValues(t, 2, got.Stages[1].Out, "one failure, one sum")
	assert.EqualValues(t, 2, got.Stages[2].In)
}

// fan.go, handOut: what failed before a Broadcast and goes around the stages is not
// counted as its output; Route and Partition count it.
func TestT5BroadcastCountsWhatGoesAround(t *testing.T) {
	got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Map(pipeline.From(upTo(3)), failAt(1))
		for range pipeline.Broadcast(f, sleepStage("a", 0), sleepStage("b", 0)).Results(ctx, to) {
		}
	})
	assert.EqualValues(t, 2*2+1, got.Stages[2].Out)
}

// through.go: calls under way do not show as busy until they have ended.
func TestT5ThroughShowsCallsUnderWay(t *testing.T) {
	reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		p := pool.New(sleepFor(10*sec), pool.Workers(2))
		var halfway pipeline.Snapshot
		assert.NoError(t, pipeline.Through(pipeline.From(upTo(2)), p).Run(ctx, to, pipeline.Progress(func(s pipeline.Snapshot) {
			if !s.Done {
				halfway = s
			}
		}, 6*sec)))
		assert.NoError(t, p.Shutdown(ctx))
		assert.InDelta(t, 1, halfway.Stages[1].Busy, 1e-9)
	})
}

// internal/engine/stage.go, judge: mark is not set behind a DeadLetter's function, so that
// its time counts as Run of the next input of the same chunk, in results as well.
func TestT5DeadLettersAreNotTheRunOfTheNext(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			dead := pipeline.OnError(pipeline.DeadLetter(func(pipeline.Letter) { time.Sleep(sec) }))
			f := pipeline.Map(pipeline.From(upTo(4000)), pipelinetest.Inject(same[int]).On(func(v int) bool { return v%1000 == 500 }, pipelinetest.Error(errBoom)).Call,
				append([]pipeline.StageOption{dead}, s.opts...)...)
			for r := range f.Results(ctx, to) {
				assert.Zero(t, r.Timing.Run, s.name)
			}
		})
		assert.Zero(t, got.Stages[1].Run.Max, s.name)
	}
}
