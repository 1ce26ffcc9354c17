package pipelinetest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// In the examples t is a recorder in place of the *testing.T that a test has.

// square is the function and squares the stage of the examples.
func square(_ context.Context, n int) (int, error) { return n * n, nil }

func squares(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, square) }

// The second call fails, and the run ends.
func ExampleInject() {
	t := new(recorder)
	flaky := pipelinetest.Inject(square).OnCall(2, pipelinetest.Error(errors.New("down"))).Call
	stage := func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, flaky) }

	out := pipelinetest.Run(t, stage, []int{5, 6, 7})
	fmt.Println(out.Values, out.Err)
	// Output: [25] pipeline: stage map: input 1: down
}

func ExampleInjector_On() {
	call := pipelinetest.Inject(square).
		On(func(n int) bool { return n > 9 }, pipelinetest.Error(errors.New("too large"))).
		Call
	fmt.Println(call(context.Background(), 9))
	fmt.Println(call(context.Background(), 10))
	// Output:
	// 81 <nil>
	// 0 too large
}

func ExampleInjector_OnCall() {
	call := pipelinetest.Inject(square).OnCall(2, pipelinetest.Error(errors.New("second call"))).Call
	for range 3 {
		fmt.Println(call(context.Background(), 3))
	}
	// Output:
	// 9 <nil>
	// 0 second call
	// 9 <nil>
}

// Every call is noted, and the first one fails.
func ExampleInjector_Always() {
	note := pipelinetest.Hook(func() { fmt.Println("called") })
	call := pipelinetest.Inject(square).
		Always(note).
		OnCall(1, pipelinetest.Error(errors.New("cold"))).
		Call
	fmt.Println(call(context.Background(), 3))
	fmt.Println(call(context.Background(), 3))
	// Output:
	// called
	// 0 cold
	// called
	// 9 <nil>
}

// The method value is what a stage takes.
func ExampleInjector_Call() {
	squared := pipelinetest.Inject(square)
	got, err := pipeline.Map(pipeline.FromSlice([]int{2, 3}), squared.Call).Collect(context.Background())
	fmt.Println(got, err)
	// Output: [4 9] <nil>
}

// Any function of the type is a fault: this one needs the call's context.
func ExampleFault() {
	var fault pipelinetest.Fault = func(ctx context.Context) error {
		if _, limited := ctx.Deadline(); !limited {
			return errors.New("called without a deadline")
		}
		return nil
	}
	_, err := pipelinetest.Inject(square).Always(fault).Call(context.Background(), 1)
	fmt.Println(err)
	// Output: called without a deadline
}

func ExampleError() {
	call := pipelinetest.Inject(square).Always(pipelinetest.Error(errors.New("down"))).Call
	fmt.Println(call(context.Background(), 3))
	// Output: 0 down
}

// A panic of a stage's function is an error of the run.
func ExamplePanic() {
	call := pipelinetest.Inject(square).OnCall(1, pipelinetest.Panic("no")).Call
	_, err := pipeline.Map(pipeline.FromSlice([]int{1}), call).Collect(context.Background())
	fmt.Println(err)
	// Output: pipeline: stage map: input 0: panic: no
}

func ExampleGoexit() {
	call := pipelinetest.Inject(square).OnCall(1, pipelinetest.Goexit()).Call
	f := pipeline.Map(pipeline.FromSlice([]int{1}), call, pipeline.Workers(2))
	fmt.Println(f.Run(context.Background()))
	// Output: pipeline: stage map: input 0: function called runtime.Goexit
}

func ExampleHang() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	call := pipelinetest.Inject(square).Always(pipelinetest.Hang()).Call
	fmt.Println(call(ctx, 3))
	// Output: 0 context deadline exceeded
}

// In a synctest bubble the second would take no time.
func ExampleDelay() {
	start := time.Now()
	call := pipelinetest.Inject(square).Always(pipelinetest.Delay(time.Millisecond)).Call
	got, err := call(context.Background(), 3)
	fmt.Println(got, err, time.Since(start) >= time.Millisecond)
	// Output: 9 <nil> true
}

// The context ends in the second call.
func ExampleHook() {
	ctx, cancel := context.WithCancel(context.Background())
	call := pipelinetest.Inject(square).OnCall(2, pipelinetest.Hook(cancel)).Call
	for v, err := range pipeline.Map(pipeline.FromSlice([]int{1, 2, 3}), call).All(ctx) {
		fmt.Println(v, err)
	}
	// Output:
	// 1 <nil>
	// 4 <nil>
	// 0 context canceled
}

// Two calls wait for each other, so that both are under way.
func ExampleGauge() {
	var g pipelinetest.Gauge
	var both sync.WaitGroup
	both.Add(2)
	meet := pipelinetest.Inject(square).Always(pipelinetest.Hook(func() {
		both.Done()
		both.Wait()
	}))
	f := pipeline.Map(pipeline.FromSlice([]int{1, 2}), pipelinetest.Gauged(&g, meet.Call), pipeline.Workers(2))
	err := f.Run(context.Background())
	fmt.Println(err, g.Running(), g.Peak(), g.Total())
	// Output: <nil> 0 2 2
}

func ExampleGauged() {
	var g pipelinetest.Gauge
	counted := pipelinetest.Gauged(&g, square)
	fmt.Println(counted(context.Background(), 3))
	fmt.Println(counted(context.Background(), 4))
	fmt.Println(g.Total())
	// Output:
	// 9 <nil>
	// 16 <nil>
	// 2
}

// What is asked within a call counts that call.
func ExampleGauge_Running() {
	var g pipelinetest.Gauge
	call := pipelinetest.Gauged(&g, func(context.Context, int) (int, error) { return g.Running(), nil })
	within, _ := call(context.Background(), 0)
	fmt.Println(within, g.Running())
	// Output: 1 0
}

func ExampleGauge_Peak() {
	var g pipelinetest.Gauge
	f := pipeline.Map(pipeline.FromSlice(numbers(100)), pipelinetest.Gauged(&g, square), pipeline.Workers(3))
	err := f.Run(context.Background())
	fmt.Println(err, g.Peak() <= 3)
	// Output: <nil> true
}

func ExampleGauge_Total() {
	var g pipelinetest.Gauge
	f := pipeline.Map(pipeline.FromSlice(numbers(100)), pipelinetest.Gauged(&g, square)).Take(7)
	err := f.Run(context.Background())
	fmt.Println(err, g.Total())
	// Output: <nil> 7
}

func ExampleRun() {
	t := new(recorder)
	out := pipelinetest.Run(t, squares, []int{1, 2, 3})
	fmt.Println(out.Values, out.Err)
	fmt.Println(out.Given, "given,", out.PeakInFlight, "in flight at most")
	// Output:
	// [1 4 9] <nil>
	// 3 given, 1 in flight at most
}

// The stage pulls from its flow and does not stop.
func ExampleNoLeak() {
	var stop func()
	firstOf := func(f pipeline.Flow[int]) (first int) {
		var next func() (int, error, bool)
		next, stop = iter.Pull2(f.All(context.Background()))
		first, _, _ = next()
		return first
	}

	t := new(recorder)
	pipelinetest.NoLeak(t)
	fmt.Println(firstOf(squares(pipeline.FromSlice([]int{3, 4}))))
	t.end() // as package testing does
	message, _, _ := strings.Cut(t.failures[0], ".\n")
	fmt.Println(message)
	stop()
	// Output:
	// 9
	// pipelinetest: goroutines of Millstream are left at the end of TestRecorded
}

func ExampleContext() {
	t := new(recorder)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("closing time"))
	out := pipelinetest.Run(t, squares, []int{1, 2, 3}, pipelinetest.Context(ctx))
	fmt.Println(out.Values, out.Err)
	// Output: [] closing time
}

func ExampleResults() {
	t := new(recorder)
	odd := pipelinetest.Inject(square).
		On(func(n int) bool { return n%2 == 1 }, pipelinetest.Error(errors.New("odd"))).Call
	stage := func(f pipeline.Flow[int]) pipeline.Flow[int] { return pipeline.Map(f, odd) }
	out := pipelinetest.Run(t, stage, []int{1, 2, 3, 4}, pipelinetest.Results())
	for _, r := range out.Results {
		fmt.Println(r.Index, r.Status())
	}
	fmt.Println(out.Values, out.Err)
	// Output:
	// 0 failed
	// 1 succeeded
	// 2 failed
	// 3 succeeded
	// [4 16] <nil>
}

// The stage starts a call in the background, and the run ends without it.
func ExampleWatch() {
	t := new(recorder)
	var calls pipelinetest.Gauge
	started, release, done := make(chan bool), make(chan bool), make(chan bool)
	store := pipelinetest.Gauged(&calls, func(context.Context, int) (bool, error) {
		started <- true
		return <-release, nil
	})
	stage := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return f.Tap(func(n int) {
			go func() {
				defer close(done)
				_, _ = store(context.Background(), n)
			}()
			<-started
		})
	}
	pipelinetest.Run(t, stage, []int{1}, pipelinetest.Watch(&calls))
	fmt.Println(t.failures)
	close(release)
	<-done
	// Output: [pipelinetest: Run: 1 of 1 calls are still under way (gauge 0 of Watch)]
}

func ExampleSourcePanicsAfter() {
	t := new(recorder)
	out := pipelinetest.Run(t, squares, []int{1, 2, 3}, pipelinetest.SourcePanicsAfter(2, "disk"))
	fmt.Println(out.Values, out.Err)
	// Output: [1 4] pipeline: stage from: input 2: panic: disk
}

// The stage takes two, and is through although the source gives no third.
func ExampleSourceBlocksAfter() {
	t := new(recorder)
	two := func(f pipeline.Flow[int]) pipeline.Flow[int] { return squares(f).Take(2) }
	out := pipelinetest.Run(t, two, []int{1, 2, 3}, pipelinetest.SourceBlocksAfter(2))
	fmt.Println(out.Values, out.Err)
	// Output: [1 4] <nil>
}

func ExampleCancelAfter() {
	t := new(recorder)
	out := pipelinetest.Run(t, squares, []int{1, 2, 3}, pipelinetest.CancelAfter(2, errors.New("closing time")))
	fmt.Println(out.Values, out.Err)
	// Output: [1 4] closing time
}

func ExampleLeaveAfter() {
	t := new(recorder)
	out := pipelinetest.Run(t, squares, []int{1, 2, 3}, pipelinetest.LeaveAfter(2))
	fmt.Println(out.Values, out.Err, out.Given)
	// Output: [1 4] <nil> 2
}

func ExampleSinkPanicsAfter() {
	t := new(recorder)
	out := pipelinetest.Run(t, squares, []int{1, 2, 3}, pipelinetest.SinkPanicsAfter(2, "full"))
	fmt.Println(out.Values, out.Panic, len(t.failures))
	// Output: [1 4] full 0
}

// The stage runs ahead of the sink, but by no more than its buffers hold.
func ExampleSlowSink() {
	t := new(recorder)
	small := func(f pipeline.Flow[int]) pipeline.Flow[int] {
		return pipeline.Map(f, square, pipeline.Workers(1), pipeline.Buffer(1))
	}
	out := pipelinetest.Run(t, small, numbers(50), pipelinetest.SlowSink(100*time.Microsecond))
	fmt.Println(len(out.Values), out.PeakInFlight < 10)
	// Output: 50 true
}
