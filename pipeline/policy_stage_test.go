package pipeline_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
)

// The default window has room for every worker, also for more than it has elsewhere.
func TestTheDefaultWindowHasRoomForAllWorkers(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const n = 5000
		start := time.Now()
		got, err := pipeline.Map(pipeline.From(upTo(n)), sleepFor(sec), pipeline.Workers(n), pipeline.Ordered()).Collect(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, numbers(n), got)
		assert.Equal(t, sec, time.Since(start), "all at once")
	})
}

// A yield that is kept is of no use once its sequence has ended, however it has.
func TestAYieldThatIsKept(t *testing.T) {
	for _, s := range stages {
		if s.workers > 1 {
			continue // here calls follow each other
		}
		var kept func(int) bool
		f := pipeline.FlatMap(pipeline.From(upTo(3)), func(_ context.Context, v int) (iter.Seq[int], error) {
			if kept != nil {
				assert.Contains(t, message(func() { kept(-1) }), "sequence called yield after it returned false or the loop ended")
			}
			return func(yield func(int) bool) {
				kept = yield
				if yield(v); v == 0 {
					panic(errWithin)
				}
			}, nil
		}, append(slices.Clip(s.opts), pipeline.OnError(pipeline.Skip))...)
		got, err := f.Collect(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, numbers(3), got, s.name)
	}
}

// A letter has its times whatever stands behind its stage.
func TestTheTimingOfALetterBeforeOtherSteps(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			var box letterBox
			fails := func(context.Context, int) (int, error) {
				time.Sleep(3 * sec)
				return 0, errBoom
			}
			f := pipeline.Map(pipeline.From(timed(5*sec)), fails, append(slices.Clip(s.opts), pipeline.OnError(pipeline.DeadLetter(box.put)))...)
			use := func(_ context.Context, sum, v int) (int, error) { return sum + v, nil }
			same := func(f pipeline.Flow[int]) pipeline.Flow[int] { return f }
			for name, run := range map[string]func() error{
				"Map":       func() error { return pipeline.Map(f, sleepFor(sec)).Run(t.Context()) },
				"pool":      func() error { return pipeline.Map(f, sleepFor(sec), pipeline.Workers(2)).Run(t.Context()) },
				"Buffer":    func() error { return f.Buffer(1).Run(t.Context()) },
				"Take":      func() error { return f.Take(3).Run(t.Context()) },
				"Batch":     func() error { return pipeline.Batch(f, 2, 0).Run(t.Context()) },
				"Window":    func() error { return pipeline.Window(f, 2, 1).Run(t.Context()) },
				"Reduce":    func() error { return pipeline.Reduce(f, 0, use).Run(t.Context()) },
				"Merge":     func() error { return pipeline.Merge(pipeline.From(upTo(1)), f).Run(t.Context()) },
				"Zip":       func() error { return pipeline.Zip(pipeline.From(upTo(1)), f).Run(t.Context()) },
				"Broadcast": func() error { return pipeline.Broadcast(f, same).Run(t.Context()) },
				"Named":     func() error { return f.Named("last").Run(t.Context()) },
			} {
				start := time.Now()
				assert.NoError(t, run(), name)
				letters := box.take()
				if assert.Len(t, letters, 1, name) {
					at := letters[0].Timing
					assert.Equal(t, timing{5 * sec, 0, 3 * sec}, timing{at.Queued.Sub(start), at.Wait, at.Run}, "%s, %s", s.name, name)
				}
			}
		})
	}
}
