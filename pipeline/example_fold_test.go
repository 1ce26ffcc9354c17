package pipeline_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/millstream-go/millstream/pipeline"
)

// The balance of an account after each entry.
func ExampleScan() {
	entries := pipeline.FromSlice([]int{100, -30, 45})
	balances := pipeline.Scan(entries, 0, func(_ context.Context, balance, entry int) (int, error) {
		return balance + entry, nil
	})
	fmt.Println(balances.Collect(context.Background()))
	// Output: [100 70 115] <nil>
}

// One pass gives the shortest and the longest time.
func ExampleReduce() {
	type span struct{ least, most int }
	times := pipeline.FromSlice([]int{31, 12, 57, 44})
	spans := pipeline.Reduce(times, span{least: 1000}, func(_ context.Context, s span, t int) (span, error) {
		return span{min(s.least, t), max(s.most, t)}, nil
	})
	fmt.Println(spans.Collect(context.Background()))
	// Output: [{12 57}] <nil>
}

// Sums by the minute: the log is in order, so two open minutes are enough.
func ExampleGroupBy() {
	type hit struct {
		minute string
		bytes  int
	}
	hits := pipeline.FromSlice([]hit{{"10:01", 300}, {"10:01", 20}, {"10:02", 7}, {"10:01", 1}, {"10:03", 50}})
	traffic := pipeline.GroupBy(hits, 2, func(h hit) string { return h.minute },
		func(_ context.Context, bytes int, h hit) (int, error) { return bytes + h.bytes, nil })
	for minute, err := range traffic.All(context.Background()) {
		fmt.Println(minute.Key, minute.Count, "hits,", minute.Value, "bytes", err)
	}
	// Output:
	// 10:02 1 hits, 7 bytes <nil>
	// 10:01 3 hits, 321 bytes <nil>
	// 10:03 1 hits, 50 bytes <nil>
}

// Messages that were delivered twice are recognized by their ids.
func ExampleDistinct() {
	messages := pipeline.FromSlice([]string{"7 on", "8 off", "7 on", "9 on"})
	id := func(m string) string { return strings.Fields(m)[0] }
	fmt.Println(pipeline.Distinct(messages, 10_000, id).Collect(context.Background()))
	// Output: [7 on 8 off 9 on] <nil>
}

// The moving average over three days.
func ExampleWindow() {
	days := pipeline.FromSlice([]int{10, 20, 60, 40, 20})
	averages := pipeline.Map(pipeline.Window(days, 3, 1), func(_ context.Context, days []int) (int, error) {
		return (days[0] + days[1] + days[2]) / 3, nil
	})
	fmt.Println(averages.Collect(context.Background()))
	// Output: [30 40 40] <nil>
}
