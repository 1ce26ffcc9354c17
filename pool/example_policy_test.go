package pool_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// crowded returns a pool whose only worker is busy until the gate is closed, and whose
// queue of one job is full.
func crowded(policy pool.Policy) (p *pool.Pool[string, string], old *pool.Job[string], gate chan struct{}) {
	started, gate := make(chan struct{}, 10), make(chan struct{})
	p = pool.New(func(ctx context.Context, word string) (string, error) {
		started <- struct{}{}
		<-gate
		return shout(ctx, word)
	}, pool.Workers(1), pool.Queue(1), pool.WhenFull(policy))
	_, _ = p.TrySubmit("running")
	<-started
	old, _ = p.TrySubmit("old")
	return p, old, gate
}

func ExampleWhenFull() {
	p, _, gate := crowded(pool.Reject)
	defer p.Close()

	_, err := p.Submit(context.Background(), "new") // does not wait for room
	fmt.Println(err)
	close(gate)
	// Output: pool: queue is full
}

func ExampleWhenFull_dropOldest() {
	p, old, gate := crowded(pool.DropOldest)
	defer p.Close()
	ctx := context.Background()

	job, _ := p.Submit(ctx, "new")
	_, err := old.Wait(ctx)
	fmt.Println(old.Status(), errors.Is(err, pool.ErrDropped))
	close(gate)
	fmt.Println(job.Wait(ctx))
	// Output:
	// canceled true
	// NEW! <nil>
}

func ExampleWhenFull_callerRuns() {
	p, _, gate := crowded(pool.CallerRuns)
	defer p.Close()

	close(gate)
	job, _ := p.Submit(context.Background(), "new")
	<-job.Done() // already closed, if the job ran here
	r, _ := job.Result()
	fmt.Println(r.Get())
	// Output: NEW! <nil>
}

func ExamplePolicy_String() {
	fmt.Println(pool.Block, "|", pool.Reject, "|", pool.DropOldest, "|", pool.CallerRuns)
	// Output: Block | Reject | DropOldest | CallerRuns
}

func ExampleRetry() {
	calls := 0
	p := pool.New(func(context.Context, string) (string, error) {
		if calls++; calls < 3 {
			return "", errors.New("not yet")
		}
		return "at last", nil
	}, pool.Retry(pool.RetryPolicy{Attempts: 5, Base: time.Millisecond}))
	defer p.Close()

	job, _ := p.Submit(context.Background(), "please")
	fmt.Println(job.Wait(context.Background()))
	r, _ := job.Result()
	fmt.Println(r.Attempt, "calls")
	// Output:
	// at last <nil>
	// 3 calls
}

func ExamplePermanent() {
	calls := 0
	p := pool.New(func(_ context.Context, id int) (string, error) {
		calls++
		return "", pool.Permanent(fmt.Errorf("no user %d", id)) // another call would not help
	}, pool.Retry(pool.RetryPolicy{Attempts: 5}))
	defer p.Close()

	_, err := p.Do(context.Background(), 7)
	fmt.Println(err, "after", calls, "call")
	// Output: no user 7 after 1 call
}

func ExampleRetryAfter() {
	calls := 0
	p := pool.New(func(context.Context, string) (string, error) {
		if calls++; calls == 1 {
			// The server asks for it; the policy's own wait would be up to a minute.
			return "", pool.RetryAfter(errors.New("too many requests"), 2*time.Millisecond)
		}
		return "welcome", nil
	}, pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Minute, Cap: time.Minute}))
	defer p.Close()

	fmt.Println(p.Do(context.Background(), "hello"))
	// Output: welcome <nil>
}
