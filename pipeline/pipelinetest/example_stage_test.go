package pipelinetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// Prices and the test are those in the package comment.
func Prices(ask func(context.Context, string) (int, error)) pipeline.Stage[string, int] {
	return func(symbols pipeline.Flow[string]) pipeline.Flow[int] {
		return pipeline.Map(symbols, func(ctx context.Context, symbol string) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return ask(ctx, symbol)
		}, pipeline.Workers(4), pipeline.Ordered())
	}
}

func TestPricesThatDoNotCome(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var calls pipelinetest.Gauge
		price := func(_ context.Context, symbol string) (int, error) { return len(symbol), nil }
		ask := pipelinetest.Inject(price).
			On(func(symbol string) bool { return symbol == "lost" }, pipelinetest.Hang()).
			On(func(symbol string) bool { return symbol == "late" }, pipelinetest.Delay(300*time.Millisecond)).
			Call
		stage := Prices(pipelinetest.Gauged(&calls, ask))
		symbols := []string{"a", "bb", "lost", "late", "ccc"}

		start := time.Now()
		out := pipelinetest.Run(t, stage, symbols, pipelinetest.Results(), pipelinetest.Watch(&calls))

		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, want the second that the lost one was waited for", took)
		}
		if want := []int{1, 2, 4, 3}; !slices.Equal(out.Values, want) {
			t.Errorf("values %v, want %v", out.Values, want)
		}
		if err := out.Results[2].Err; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the lost one: %v, want a deadline", err)
		}
		if calls.Peak() > 4 || calls.Total() != 5 {
			t.Errorf("%d calls, %d at once", calls.Total(), calls.Peak())
		}
	})
}

// The second test that the package comment mentions.
func TestPricesThatAreCanceled(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		price := pipelinetest.Inject(func(context.Context, string) (int, error) { return 1, nil }).
			Always(pipelinetest.Delay(time.Minute)).Call
		out := pipelinetest.Run(t, Prices(price), []string{"a", "b", "c", "d"}, pipelinetest.CancelAfter(3, errStop))
		if !errors.Is(out.Err, errStop) {
			t.Errorf("%v, want the cause", out.Err)
		}
	})
}
