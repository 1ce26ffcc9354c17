package result_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/millstream-go/millstream/result"
)

// results stands for what a pool or a pipeline yields: in the order in which
// the work ended, not in that of the inputs.
func results() []result.Result[string] {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	timing := func(wait, run int) result.Timing {
		return result.Timing{
			Queued: noon,
			Wait:   time.Duration(wait) * time.Millisecond,
			Run:    time.Duration(run) * time.Millisecond,
		}
	}
	return []result.Result[string]{
		{Index: 1, Value: "one", Attempt: 1, Worker: 1, Timing: timing(2, 10)},
		{Index: 0, Value: "zero", Attempt: 2, Worker: 0, Timing: timing(1, 40)},
		{Index: 3, Err: errors.New("no such page"), Attempt: 1, Worker: 1, Timing: timing(12, 20)},
		{Index: 2, Value: "two", Attempt: 1, Worker: 0, Timing: timing(41, 9)},
	}
}

func Example() {
	var sum result.Summary
	pages, failed := result.Partition(result.Tally(&sum, slices.Values(results())))
	fmt.Println(pages)
	for _, r := range failed {
		fmt.Println(r.Index, r.Status(), r.Err)
	}
	fmt.Println(&sum)
	// Output:
	// [zero one two]
	// 3 failed no such page
	// outcome     count  share
	// succeeded       3  75.0%
	// failed          1  25.0%
	// panicked        0   0.0%
	// canceled        0   0.0%
	// total           4   80/s
	//
	// time          p50    p90   p99   max
	// wait       2.02ms   41ms  41ms  41ms
	// run        10.1ms   40ms  40ms  40ms
}

func ExampleResult_Get() {
	r := result.Result[int]{Value: 42, Attempt: 1}
	if v, err := r.Get(); err == nil {
		fmt.Println(v)
	}
	// Output: 42
}

func ExampleResult_MarshalJSON() {
	b, err := json.Marshal(result.Result[int]{Err: io.ErrUnexpectedEOF, Index: 3, Attempt: 2, Worker: 1})
	fmt.Println(string(b), err)
	// Output: {"value":0,"err":"unexpected EOF","status":"failed","index":3,"attempt":2,"worker":1,"wait_seconds":0,"run_seconds":0} <nil>
}

func ExampleResult_Status() {
	for _, r := range []result.Result[int]{
		{Attempt: 1, Value: 42},
		{Attempt: 3, Err: io.ErrUnexpectedEOF},
		{Attempt: 1, Err: context.DeadlineExceeded},
		{Attempt: 1, Err: &result.PanicError{Value: "index out of range"}},
		{Attempt: 1, Err: fmt.Errorf("get: %w", context.Canceled)},
		{Attempt: 0, Err: errors.New("pool closed")},
	} {
		fmt.Println(r.Status())
	}
	// Output:
	// succeeded
	// failed
	// failed
	// panicked
	// canceled
	// canceled
}

func ExampleStatus_Terminal() {
	fmt.Println(result.Running.Terminal(), result.Failed.Terminal())
	// Output: false true
}

func ExampleStatus_String() {
	fmt.Println(result.Running, result.Status(9))
	// Output: running status(9)
}

func ExampleStatus_MarshalText() {
	text, err := json.Marshal(map[result.Status]int{result.Succeeded: 7, result.Failed: 2})
	fmt.Println(string(text), err)
	// Output: {"failed":2,"succeeded":7} <nil>
}

func ExampleStatus_UnmarshalText() {
	var job struct{ State result.Status }
	err := json.Unmarshal([]byte(`{"state": "canceled"}`), &job)
	fmt.Println(job.State, job.State == result.Canceled, err)
	// Output: canceled true <nil>
}

func ExampleTiming() {
	t := result.Timing{
		Queued: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC),
		Wait:   3 * time.Second,
		Run:    time.Minute,
	}
	if t.Wait < t.Run {
		fmt.Println("more workers would not help much")
	}
	// Output: more workers would not help much
}

func ExampleTiming_Started() {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	t := result.Timing{Queued: noon, Wait: 3 * time.Second, Run: time.Minute}
	fmt.Println(t.Started().Format(time.TimeOnly))
	// Output: 12:00:03
}

func ExampleTiming_Finished() {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	t := result.Timing{Queued: noon, Wait: 3 * time.Second, Run: time.Minute}
	fmt.Println(t.Finished().Format(time.TimeOnly))
	// Output: 12:01:03
}

func ExampleTiming_Total() {
	t := result.Timing{Wait: 3 * time.Second, Run: time.Minute}
	fmt.Println(t.Total())
	// Output: 1m3s
}

func ExamplePanicError() {
	r := result.Result[int]{
		Attempt: 1,
		Err:     fmt.Errorf("parse: %w", &result.PanicError{Value: "no digits", Stack: []byte("goroutine 7 [running]: ...")}),
	}
	if p, ok := errors.AsType[*result.PanicError](r.Err); ok {
		fmt.Printf("%v\n%s\n", p.Value, p.Stack)
	}
	// Output:
	// no digits
	// goroutine 7 [running]: ...
}

func ExamplePanicError_Error() {
	err := &result.PanicError{Value: "no digits"}
	fmt.Println(err.Error())
	// Output: panic: no digits
}

func ExamplePanicError_Unwrap() {
	err := &result.PanicError{Value: fmt.Errorf("read: %w", io.ErrUnexpectedEOF)}
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF))
	// Output: true
}

func ExamplePanicError_Format() {
	err := &result.PanicError{Value: "no digits", Stack: []byte("goroutine 7 [running]: ...")}
	fmt.Printf("%v\n", err)
	fmt.Printf("%+v\n", err)
	// Output:
	// panic: no digits
	// panic: no digits
	//
	// goroutine 7 [running]: ...
}

func ExampleCollect() {
	all := results()
	pages, err := result.Collect(slices.Values(all[:2]))
	fmt.Println(pages, err)

	pages, err = result.Collect(slices.Values(all))
	fmt.Println(pages, err)
	// Output:
	// [zero one] <nil>
	// [] no such page
}

func ExamplePartition() {
	pages, failed := result.Partition(slices.Values(results()))
	fmt.Println(pages)
	for _, r := range failed {
		fmt.Printf("input %d: %v\n", r.Index, r.Err)
	}
	// Output:
	// [zero one two]
	// input 3: no such page
}

func ExampleValues() {
	for page, err := range result.Values(slices.Values(results())) {
		if err != nil {
			fmt.Println("error:", err)
			break
		}
		fmt.Println(page)
	}
	// Output:
	// one
	// zero
	// error: no such page
}

func ExampleTally() {
	var sum result.Summary
	for r := range result.Tally(&sum, slices.Values(results())) {
		if r.Err != nil {
			break
		}
	}
	fmt.Println(sum.Total(), "passed,", sum.Count(result.Failed), "failed")
	// Output: 3 passed, 1 failed
}

func ExampleSummary() {
	var sum result.Summary
	for i := range 1000 {
		sum.Add(result.Succeeded, result.Timing{Run: time.Duration(i+1) * time.Millisecond})
	}
	run := sum.Run()
	fmt.Println("within 2 %:", run.P50 > 490*time.Millisecond, run.P50 < 510*time.Millisecond)
	fmt.Println("exact:", run.Max)
	// Output:
	// within 2 %: true true
	// exact: 1s
}

func ExampleSummary_Add() {
	var sum result.Summary
	sum.Add(result.Succeeded, result.Timing{Run: 20 * time.Millisecond})
	sum.Add(result.Failed, result.Timing{Run: 30 * time.Millisecond})
	sum.Add(result.Canceled, result.Timing{Wait: time.Hour}) // never started: counted, not measured
	fmt.Println(sum.Total(), sum.Wait().Max, sum.Run().Max)
	// Output: 3 0s 30ms
}

func ExampleSummary_Merge() {
	perWorker := make([]result.Summary, 4)
	for i := range perWorker {
		perWorker[i].Add(result.Succeeded, result.Timing{Run: time.Duration(i+1) * time.Second})
	}
	var sum result.Summary
	for i := range perWorker {
		sum.Merge(&perWorker[i])
	}
	fmt.Println(sum.Count(result.Succeeded), sum.Run().Max)
	// Output: 4 4s
}

func ExampleSummary_Count() {
	var sum result.Summary
	sum.Add(result.Succeeded, result.Timing{})
	sum.Add(result.Failed, result.Timing{})
	fmt.Println(sum.Count(result.Failed))
	// Output: 1
}

func ExampleSummary_Total() {
	var sum result.Summary
	sum.Add(result.Succeeded, result.Timing{})
	sum.Add(result.Failed, result.Timing{})
	fmt.Println(sum.Total())
	// Output: 2
}

func ExampleSummary_Throughput() {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	var sum result.Summary
	for i := range 10 {
		sum.Add(result.Succeeded, result.Timing{Queued: noon.Add(time.Duration(i) * time.Second), Run: time.Second})
	}
	fmt.Println(sum.Throughput(), "per second")
	// Output: 1 per second
}

func ExampleSummary_Wait() {
	var sum result.Summary
	sum.Add(result.Succeeded, result.Timing{Wait: 5 * time.Millisecond, Run: time.Second})
	fmt.Println(sum.Wait().P99)
	// Output: 5ms
}

func ExampleSummary_Run() {
	var sum result.Summary
	sum.Add(result.Succeeded, result.Timing{Wait: 5 * time.Millisecond, Run: time.Second})
	fmt.Println(sum.Run().P99)
	// Output: 1s
}

func ExampleSummary_String() {
	var sum result.Summary
	for range 98 {
		sum.Add(result.Succeeded, result.Timing{Wait: 120 * time.Microsecond, Run: 30 * time.Millisecond})
	}
	for range 2 {
		sum.Add(result.Failed, result.Timing{Wait: time.Millisecond, Run: 2 * time.Second})
	}
	fmt.Println(sum.String())
	// Output:
	// outcome     count   share
	// succeeded      98   98.0%
	// failed          2    2.0%
	// panicked        0    0.0%
	// canceled        0    0.0%
	// total         100       -
	//
	// time          p50     p90  p99  max
	// wait        120µs   120µs  1ms  1ms
	// run        30.1ms  30.1ms   2s   2s
}
