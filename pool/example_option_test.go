package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pool"
)

func ExampleWorkers() {
	var running, most atomic.Int64
	p := pool.New(func(context.Context, int) (int, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		return 0, nil
	}, pool.Workers(1))
	defer p.Close()

	_, err := p.Map(context.Background(), make([]int, 1000))
	fmt.Println(most.Load(), err)
	// Output: 1 <nil>
}

func ExampleQueue() {
	gate, started := make(chan struct{}), make(chan struct{}, 100)
	p := pool.New(func(context.Context, int) (int, error) {
		started <- struct{}{}
		<-gate
		return 0, nil
	}, pool.Workers(1), pool.Queue(2))
	defer p.Close()

	for i := range 10 {
		if _, err := p.TrySubmit(i); err != nil {
			fmt.Println(i-1, "jobs wait:", err)
			break
		}
		if i == 0 {
			<-started // it is running, and no longer in the queue
		}
	}
	close(gate)
	// Output: 2 jobs wait: pool: queue is full
}

func ExampleTimeout() {
	p := pool.New(func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done() // takes too long
		return "", context.Cause(ctx)
	}, pool.Timeout(time.Millisecond))
	defer p.Close()

	_, err := p.Do(context.Background(), "slow")
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// pool: call exceeded its timeout of 1ms
	// true
}

// quota is a limit of a number of calls.
type quota struct{ left atomic.Int64 }

func (q *quota) Wait(context.Context) error {
	if q.left.Add(-1) < 0 {
		return errors.New("quota is used up")
	}
	return nil
}

func ExampleLimit() {
	q := new(quota)
	q.left.Store(2)
	p := pool.New(shout, pool.Limit(q)) // a *rate.Limiter fits as well
	defer p.Close()

	for _, word := range []string{"one", "two", "three"} {
		fmt.Println(p.Do(context.Background(), word))
	}
	// Output:
	// ONE! <nil>
	// TWO! <nil>
	//  quota is used up
}

func ExampleOption() {
	options := []pool.Option{pool.Workers(2)}
	if patience := time.Minute; patience > 0 {
		options = append(options, pool.Timeout(patience))
	}
	p := pool.New(shout, options...)
	defer p.Close()

	fmt.Println(p.Do(context.Background(), "options"))
	// Output: OPTIONS! <nil>
}

// onePerTick lets a call start each millisecond.
type onePerTick struct{ ticker *time.Ticker }

func (w onePerTick) Wait(ctx context.Context) error {
	select {
	case <-w.ticker.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ExampleWaiter() {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	p := pool.New(shout, pool.Limit(onePerTick{ticker}))
	defer p.Close()

	begin := time.Now()
	words, err := p.Map(context.Background(), []string{"a", "b", "c"})
	fmt.Println(words, err, time.Since(begin) >= 2*time.Millisecond)
	// Output: [A! B! C!] <nil> true
}
