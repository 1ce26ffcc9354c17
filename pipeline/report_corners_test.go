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

// Retries of an input that succeeds in the end are counted.
func TestRetriesThatHelpAreCounted(t *testing.T) {
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

type refusesAll struct{}

func (refusesAll) Wait(context.Context) error { return errBoom }

// An input that a limit refused is counted as an error.
func TestRefusedInputsAreErrors(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			f := pipeline.Map(pipeline.From(upTo(4)), same, append([]pipeline.StageOption{pipeline.Limit(refusesAll{})}, s.opts...)...)
			for range f.Results(ctx, to) {
			}
		})
		assert.EqualValues(t, 4, got.Stages[1].Errors, s.name)
	}
}

// The time in a DeadLetter's function holds the stage up: it is busy.
func TestDeadLettersTakeTimeOfTheStage(t *testing.T) {
	for _, s := range stages {
		got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
			dead := pipeline.OnError(pipeline.DeadLetter(func(pipeline.Letter) { time.Sleep(sec) }))
			assert.NoError(t, pipeline.Map(pipeline.From(upTo(4)), failAt(2), append([]pipeline.StageOption{dead}, s.opts...)...).Run(ctx, to))
		})
		assert.InDelta(t, 1/float64(max(1, s.workers)), got.Stages[1].Busy, 1e-9, s.name)
	}
}

// An input that fails in a Reduce, or has before, counts once as an output.
func TestFoldsCountFailuresOnce(t *testing.T) {
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

// What failed before a Broadcast and goes around the stages is counted as its output.
func TestBroadcastCountsWhatGoesAround(t *testing.T) {
	got := reportOn(t, func(ctx context.Context, to pipeline.RunOption) {
		f := pipeline.Map(pipeline.From(upTo(3)), failAt(1))
		for range pipeline.Broadcast(f, sleepStage("a", 0), sleepStage("b", 0)).Results(ctx, to) {
		}
	})
	assert.EqualValues(t, 2*2+1, got.Stages[2].Out)
}

// The time in a DeadLetter's function is not the Run of the next input.
func TestDeadLettersAreNotTheRunOfTheNext(t *testing.T) {
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
