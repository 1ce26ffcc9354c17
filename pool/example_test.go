package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// shout stands for the work of the examples.
func shout(_ context.Context, word string) (string, error) {
	if word == "" {
		return "", errors.New("nothing to say")
	}
	return strings.ToUpper(word) + "!", nil
}

func Example() {
	p := pool.New(shout, pool.Workers(8))
	defer p.Close()

	words, err := p.Map(context.Background(), []string{"one", "two", "three"})
	fmt.Println(words, err)
	// Output: [ONE! TWO! THREE!] <nil>
}

func ExampleNew() {
	p := pool.New(func(_ context.Context, n int) (string, error) {
		return strings.Repeat("*", n), nil
	}, pool.Workers(4), pool.Queue(100), pool.Timeout(time.Second))
	defer p.Close()

	stars, err := p.Do(context.Background(), 5)
	fmt.Println(stars, err)
	// Output: ***** <nil>
}

func ExamplePool() {
	p := pool.New(shout, pool.Workers(2))
	ctx := context.Background()

	// However the inputs come, at most two calls run at once.
	one, _ := p.Do(ctx, "one")
	fmt.Println(one)
	several, _ := p.Map(ctx, []string{"two", "three"})
	fmt.Println(several)
	job, _ := p.Submit(ctx, "four")
	fmt.Println(job.Wait(ctx))

	fmt.Println(p.Shutdown(ctx))
	_, err := p.Do(ctx, "five")
	fmt.Println(err)
	// Output:
	// ONE!
	// [TWO! THREE!]
	// FOUR! <nil>
	// <nil>
	// pool: closed
}

func ExamplePool_Do() {
	p := pool.New(shout)
	defer p.Close()

	fmt.Println(p.Do(context.Background(), "hello"))
	_, err := p.Do(context.Background(), "")
	fmt.Println(err)
	// Output:
	// HELLO! <nil>
	// nothing to say
}

// A panic becomes the error of its input, with its stack for the log.
func ExamplePool_Do_panic() {
	p := pool.New(func(_ context.Context, divisor int) (int, error) {
		return 100 / divisor, nil
	})
	defer p.Close()

	_, err := p.Do(context.Background(), 0)
	fmt.Println(err)
	var caught *result.PanicError
	fmt.Println(errors.As(err, &caught), len(caught.Stack) > 0)
	// Output:
	// panic: runtime error: integer divide by zero
	// true true
}

func ExamplePool_Submit() {
	p := pool.New(shout, pool.Workers(2))
	defer p.Close()
	ctx := context.Background()

	job, err := p.Submit(ctx, "later")
	if err != nil {
		fmt.Println("not accepted:", err)
		return
	}
	// Do something else meanwhile.
	fmt.Println(job.Wait(ctx))
	// Output: LATER! <nil>
}

func ExamplePool_TrySubmit() {
	gate, started := make(chan struct{}), make(chan struct{})
	p := pool.New(func(_ context.Context, n int) (int, error) {
		if n == 1 {
			close(started)
			<-gate
		}
		return n, nil
	}, pool.Workers(1), pool.Queue(1))
	defer p.Close()

	_, err := p.TrySubmit(1)
	<-started
	fmt.Println("runs:", err)
	_, err = p.TrySubmit(2)
	fmt.Println("waits in the queue:", err)
	_, err = p.TrySubmit(3)
	fmt.Println("is not taken:", err, errors.Is(err, pool.ErrFull))
	close(gate)
	// Output:
	// runs: <nil>
	// waits in the queue: <nil>
	// is not taken: pool: queue is full true
}

func ExamplePool_Map() {
	p := pool.New(shout, pool.Workers(4))
	defer p.Close()
	ctx := context.Background()

	fmt.Println(p.Map(ctx, []string{"a", "b", "c"}))
	fmt.Println(p.Map(ctx, []string{"a", "", "c"}))
	// Output:
	// [A! B! C!] <nil>
	// [] nothing to say
}

func ExamplePool_Stream() {
	p := pool.New(shout, pool.Workers(4))
	defer p.Close()

	words := slices.Values([]string{"a", "", "c"})
	for r := range p.Stream(context.Background(), words) {
		fmt.Println(r.Index, r.Value, r.Err)
	}
	// Unordered output:
	// 0 A! <nil>
	// 1  nothing to say
	// 2 C! <nil>
}

// Leaving the loop cancels the calls that still run, and waits for them.
func ExamplePool_Stream_break() {
	p := pool.New(func(ctx context.Context, server string) (string, error) {
		if server == "near" {
			return "answer from " + server, nil
		}
		<-ctx.Done() // the others take their time
		return "", ctx.Err()
	}, pool.Workers(3))
	defer p.Close()

	servers := slices.Values([]string{"far", "near", "farther"})
	for r := range p.Stream(context.Background(), servers) {
		fmt.Println(r.Value)
		break
	}
	// Output: answer from near
}

func ExamplePool_Shutdown() {
	p := pool.New(shout, pool.Workers(1))
	job, _ := p.TrySubmit("last words")

	// Let accepted jobs finish, but wait no longer than this.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(p.Shutdown(ctx))

	r, _ := job.Result()
	fmt.Println(r.Value)
	_, err := p.TrySubmit("more")
	fmt.Println(err)
	// Output:
	// <nil>
	// LAST WORDS!
	// pool: closed
}

func ExamplePool_Close() {
	p := pool.New(func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done() // runs until it is canceled
		return 0, ctx.Err()
	})
	job, _ := p.TrySubmit(1)

	fmt.Println(p.Close()) // cancels, and waits
	r, _ := job.Result()
	fmt.Println(job.Status(), errors.Is(r.Err, pool.ErrClosed), errors.Is(r.Err, context.Canceled))
	// Output:
	// <nil>
	// canceled true true
}

func ExampleStuckError() {
	gate := make(chan struct{})
	p := pool.New(func(context.Context, int) (int, error) {
		<-gate // does not heed its context
		return 0, nil
	})
	job, _ := p.TrySubmit(1)

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var stuck *pool.StuckError
	if err := p.Shutdown(ctx); errors.As(err, &stuck) {
		fmt.Println(len(stuck.Calls), "call: job", stuck.Calls[0].Job, stuck.Err)
	}
	close(gate)
	<-job.Done()
	// Output: 1 call: job 1 context deadline exceeded
}
