package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/ratelimit"
)

func ExampleNewConcurrency() {
	limit := ratelimit.NewConcurrency(ratelimit.Between(1, 100), ratelimit.StartAt(20))

	permit, err := limit.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("in flight:", limit.InFlight())
	permit.Release(ratelimit.Success)
	fmt.Println("in flight:", limit.InFlight())
	// Output:
	// in flight: 1
	// in flight: 0
}

func ExampleGuard() {
	fetch := func(ctx context.Context, id int) (string, error) { return fmt.Sprint("page ", id), nil }

	guarded := ratelimit.Guard(ratelimit.NewConcurrency(), fetch)
	pages, err := pipeline.Map(pipeline.FromSlice([]int{1, 2, 3}), guarded.Call,
		pipeline.Workers(50), pipeline.Ordered(), pipeline.Limit(guarded)).Collect(context.Background())
	fmt.Println(pages, err)
	// Output: [page 1 page 2 page 3] <nil>
}

func ExampleGuarded_Call() {
	guarded := ratelimit.Guard(ratelimit.NewConcurrency(), func(_ context.Context, name string) (string, error) {
		return "hello " + name, nil
	})
	fmt.Println(guarded.Call(context.Background(), "you"))
	// Output: hello you <nil>
}

func ExampleGuarded_Wait() {
	limit := ratelimit.NewConcurrency()
	guarded := ratelimit.Guard(limit, func(context.Context, int) (int, error) { return limit.InFlight(), nil })

	// What pool.Limit and pipeline.Limit do before each call.
	if err := guarded.Wait(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(guarded.Call(context.Background(), 0))
	// Output: 1 <nil>
}

func ExampleConcurrency_Acquire() {
	limit := ratelimit.NewConcurrency(ratelimit.Between(1, 1))
	permit, err := limit.Acquire(context.Background())
	fmt.Println(err)

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = limit.Acquire(ctx)
	fmt.Println(err)
	permit.Release(ratelimit.Success)
	// Output:
	// <nil>
	// context deadline exceeded
}

func ExampleConcurrency_TryAcquire() {
	limit := ratelimit.NewConcurrency(ratelimit.Between(1, 1))
	permit, ok := limit.TryAcquire()
	fmt.Println(ok)
	_, ok = limit.TryAcquire()
	fmt.Println(ok)
	permit.Release(ratelimit.Success)
	// Output:
	// true
	// false
}

func ExamplePermit_Release() {
	limit := ratelimit.NewConcurrency()
	permit, _ := limit.TryAcquire()
	permit.Release(ratelimit.OutcomeOf(context.DeadlineExceeded))
	fmt.Println(limit.Snapshot().Dropped)
	// Output: 1
}

func ExamplePermit_Start() {
	limit, rate := ratelimit.NewConcurrency(), ratelimit.NewLimiter(10, 1)
	permit, err := limit.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	err = rate.Wait(context.Background())
	permit.Start() // what comes now is the server's time
	permit.Release(ratelimit.OutcomeOf(err))
	fmt.Println(limit.Snapshot().Success)
	// Output: 1
}

func ExampleConcurrency_Limit() {
	limit := ratelimit.NewConcurrency(ratelimit.AIMD(0), ratelimit.StartAt(25))
	fmt.Println(limit.Limit())
	// Output: 25
}

func ExampleConcurrency_InFlight() {
	limit := ratelimit.NewConcurrency()
	permit, _ := limit.TryAcquire()
	fmt.Println(limit.InFlight())
	permit.Release(ratelimit.Success)
	// Output: 1
}

func ExampleConcurrency_Snapshot() {
	limit := ratelimit.NewConcurrency(ratelimit.Between(2, 8))
	for range 3 {
		permit, _ := limit.TryAcquire()
		permit.Release(ratelimit.Ignore)
	}
	s := limit.Snapshot()
	fmt.Println(s.Limit, s.InFlight, s.Waiting, s.Ignored, s.Probing)
	// Output: 3 0 0 3 true
}

func ExampleBetween() {
	limit := ratelimit.NewConcurrency(ratelimit.Between(4, 64), ratelimit.AIMD(0))
	fmt.Println(limit.Limit())
	// Output: 10
}

func ExampleStartAt() {
	limit := ratelimit.NewConcurrency(ratelimit.StartAt(50), ratelimit.AIMD(0))
	fmt.Println(limit.Limit())
	// Output: 50
}

func ExampleGradient() {
	// A new base every five minutes, and calls that may take twice as long as that.
	limit := ratelimit.NewConcurrency(ratelimit.Gradient(2, 5*time.Minute))
	fmt.Println(limit.Snapshot().Probing)
	// Output: true
}

func ExampleAIMD() {
	// Calls that take more than a second mean that the server has enough.
	limit := ratelimit.NewConcurrency(ratelimit.AIMD(time.Second))
	fmt.Println(limit.Limit())
	// Output: 10
}

var errOverloaded = errors.New("overloaded")

func ExampleClassify() {
	limit := ratelimit.NewConcurrency(ratelimit.Classify(func(err error) ratelimit.Outcome {
		if errors.Is(err, errOverloaded) {
			return ratelimit.Dropped
		}
		return ratelimit.OutcomeOf(err)
	}))
	call := ratelimit.Guard(limit, func(context.Context, int) (int, error) { return 0, errOverloaded })
	_, err := call.Call(context.Background(), 1)
	fmt.Println(err, limit.Snapshot().Dropped)
	// Output: overloaded 1
}

func ExampleOutcomeOf() {
	fmt.Println(ratelimit.OutcomeOf(nil))
	fmt.Println(ratelimit.OutcomeOf(context.DeadlineExceeded))
	fmt.Println(ratelimit.OutcomeOf(context.Canceled))
	// Output:
	// success
	// dropped
	// ignore
}

func ExampleGuarded_Release() {
	limit := ratelimit.NewConcurrency()
	known := map[string]string{"/a": "page of /a"}
	fetch := ratelimit.Guard(limit, func(_ context.Context, url string) (string, error) { return "page of " + url, nil })
	cached := func(ctx context.Context, url string) (string, error) {
		if page, hit := known[url]; hit {
			return page, nil // the pipeline calls fetch.Release, and so the permit is not lost
		}
		return fetch.Call(ctx, url)
	}
	urls := pipeline.FromSlice([]string{"/a", "/b"})
	fmt.Println(pipeline.Map(urls, cached, pipeline.Limit(fetch)).Collect(context.Background()))
	fmt.Println(limit.InFlight())
	// Output:
	// [page of /a page of /b] <nil>
	// 0
}
