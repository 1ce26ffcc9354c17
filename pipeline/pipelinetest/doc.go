// Package pipelinetest helps to test stages of package pipeline: what they give, and what
// happens to them when something around them goes wrong.
//
// [Run] puts a [pipeline.Stage] between a source and a sink, makes either of them fail as
// its options say, and checks that nothing of the run is left. [Inject] makes chosen calls
// of a function fail: with an error, by a panic, by hanging or by being late. [Gauge]
// counts calls. [NoLeak] checks a whole test for leaked goroutines.
//
// All of it works in the bubbles of [testing/synctest], where slow calls take no real time
// and a test can say to the nanosecond how long a run took.
//
// # Example
//
// The stage under test asks for prices, four at a time, and waits at most a second for
// each:
//
//	func Prices(ask func(context.Context, string) (int, error)) pipeline.Stage[string, int] {
//		return func(symbols pipeline.Flow[string]) pipeline.Flow[int] {
//			return pipeline.Map(symbols, func(ctx context.Context, symbol string) (int, error) {
//				ctx, cancel := context.WithTimeout(ctx, time.Second)
//				defer cancel()
//				return ask(ctx, symbol)
//			}, pipeline.Workers(4), pipeline.Ordered())
//		}
//	}
//
// In the test the price of one symbol never comes and that of another comes late. The test
// says what comes out, after how long, and how many calls there were at once:
//
//	func TestPricesThatDoNotCome(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			var calls pipelinetest.Gauge
//			price := func(_ context.Context, symbol string) (int, error) { return len(symbol), nil }
//			ask := pipelinetest.Inject(price).
//				On(func(symbol string) bool { return symbol == "lost" }, pipelinetest.Hang()).
//				On(func(symbol string) bool { return symbol == "late" }, pipelinetest.Delay(300*time.Millisecond)).
//				Call
//			stage := Prices(pipelinetest.Gauged(&calls, ask))
//			symbols := []string{"a", "bb", "lost", "late", "ccc"}
//
//			start := time.Now()
//			out := pipelinetest.Run(t, stage, symbols, pipelinetest.Results(), pipelinetest.Watch(&calls))
//
//			if took := time.Since(start); took != time.Second {
//				t.Errorf("took %v, want the second that the lost one was waited for", took)
//			}
//			if want := []int{1, 2, 4, 3}; !slices.Equal(out.Values, want) {
//				t.Errorf("values %v, want %v", out.Values, want)
//			}
//			if err := out.Results[2].Err; !errors.Is(err, context.DeadlineExceeded) {
//				t.Errorf("the lost one: %v, want a deadline", err)
//			}
//			if calls.Peak() > 4 || calls.Total() != 5 {
//				t.Errorf("%d calls, %d at once", calls.Total(), calls.Peak())
//			}
//		})
//	}
//
// A second test would end the context in the middle, with
// pipelinetest.CancelAfter(3, errStop), and look at Outcome.Err.
package pipelinetest
