package pool_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// oneByOne is a pool with one worker that prints its inputs; the first of them, "open",
// keeps it busy until the gate is closed, so that the others queue up.
func oneByOne(opts ...pool.Option) (p *pool.Pool[string, string], gate chan struct{}) {
	gate = make(chan struct{})
	busy := make(chan struct{})
	p = pool.New(func(_ context.Context, in string) (string, error) {
		if in == "open" {
			close(busy)
			<-gate
		} else {
			fmt.Println(in)
		}
		return in, nil
	}, append(opts, pool.Workers(1))...)
	_, _ = p.TrySubmit("open")
	<-busy
	return p, gate
}

func ExampleKey() {
	type change struct {
		account string
		amount  int
	}
	var mu sync.Mutex
	history := map[string][]int{}
	p := pool.New(func(_ context.Context, c change) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		history[c.account] = append(history[c.account], c.amount)
		return 0, nil
	}, pool.Workers(4))

	// Changes to one account run one after the other; changes to different accounts run at once.
	ctx := context.Background()
	for _, c := range []change{{"ann", 100}, {"bob", 7}, {"ann", -30}, {"bob", 8}, {"ann", 5}} {
		_, _ = p.Submit(ctx, c, pool.Key(c.account))
	}
	_ = p.Shutdown(ctx)
	fmt.Println(history["ann"], history["bob"])
	// Output: [100 -30 5] [7 8]
}

func ExamplePriority() {
	p, gate := oneByOne()
	_, _ = p.TrySubmit("nightly report", pool.Priority(-1))
	_, _ = p.TrySubmit("page")
	_, _ = p.TrySubmit("payment", pool.Priority(1))
	close(gate)
	_ = p.Shutdown(context.Background())
	// Output:
	// payment
	// page
	// nightly report
}

func ExampleAfter() {
	p := pool.New(func(_ context.Context, text string) (string, error) { return text, nil })
	defer p.Close()
	ctx := context.Background()

	// The worker is free for other jobs meanwhile.
	reminder, _ := p.Submit(ctx, "are you still there?", pool.After(20*time.Millisecond))
	_, _ = p.Do(ctx, "hello")

	text, _ := reminder.Wait(ctx)
	r, _ := reminder.Result()
	fmt.Println(text, r.Timing.Wait >= 20*time.Millisecond)
	// Output: are you still there? true
}

func ExampleWeight() {
	// Memory for 8 images of a megapixel, and each job says how large its image is.
	var inUse, peak int
	var mu sync.Mutex
	p := pool.New(func(_ context.Context, megapixels int) (int, error) {
		mu.Lock()
		inUse += megapixels
		peak = max(peak, inUse)
		mu.Unlock()
		defer func() { mu.Lock(); inUse -= megapixels; mu.Unlock() }()
		time.Sleep(time.Millisecond)
		return megapixels, nil
	}, pool.Workers(8), pool.Capacity(8))

	for _, size := range []int{5, 2, 8, 3, 4, 1, 6} {
		_, _ = p.TrySubmit(size, pool.Weight(int64(size)))
	}
	_ = p.Shutdown(context.Background())
	fmt.Println(peak <= 8, p.Stats().Succeeded)
	// Output: true 7
}

func ExampleCapacity() {
	p := pool.New(func(_ context.Context, n int) (int, error) { return n, nil }, pool.Capacity(8))
	defer p.Close()

	_, err := p.TrySubmit(1, pool.Weight(8))
	fmt.Println(err)
	_, err = p.TrySubmit(2, pool.Weight(9)) // would never fit
	fmt.Println(err != nil)
	// Output:
	// <nil>
	// true
}

func ExampleAging() {
	// A step of priority is worth a millisecond: a job that has waited longer goes first.
	p, gate := oneByOne(pool.Aging(time.Millisecond))
	_, _ = p.TrySubmit("waited for long")
	time.Sleep(2 * time.Millisecond)
	_, _ = p.TrySubmit("important", pool.Priority(1)) // too late to overtake
	close(gate)
	_ = p.Shutdown(context.Background())
	// Output:
	// waited for long
	// important
}
