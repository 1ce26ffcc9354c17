package pool_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// waiting returns a pool whose calls tell that they have started, and wait until the
// gate is closed or their context ends.
func waiting(opts ...pool.Option) (p *pool.Pool[string, string], started chan string, gate chan struct{}) {
	started, gate = make(chan string, 10), make(chan struct{})
	p = pool.New(func(ctx context.Context, word string) (string, error) {
		started <- word
		select {
		case <-gate:
			return word, nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}, opts...)
	return p, started, gate
}

func ExamplePool_Workers() {
	p, started, _ := waiting(pool.Workers(2))
	defer p.Close()

	_, _ = p.TrySubmit("a")
	<-started
	for _, w := range p.Workers() {
		fmt.Println(w.ID, w.State, w.Job)
	}
	// Output:
	// 0 busy 1
	// 1 idle 0
}

func ExamplePool_Halt() {
	p, started, gate := waiting(pool.Workers(2))
	defer p.Close()

	job, _ := p.TrySubmit("finished")
	<-started
	_ = p.Halt(0)
	fmt.Println(p.Workers()[0].State)

	close(gate)
	fmt.Println(job.Wait(context.Background()))
	fmt.Println(p.Stats().Workers)
	fmt.Println(p.Halt(7))
	// Output:
	// halting
	// finished <nil>
	// 1
	// pool: Halt(7): no such worker
}

func ExamplePool_HaltNow() {
	p, started, _ := waiting(pool.Workers(2))
	defer p.Close()

	job, _ := p.TrySubmit("cut short")
	<-started
	_ = p.HaltNow(0)

	_, err := job.Wait(context.Background())
	fmt.Println(errors.Is(err, pool.ErrHalted))
	// Output: true
}

func ExamplePool_Resize() {
	p, started, gate := waiting(pool.Workers(1))
	defer p.Close()

	_, _ = p.TrySubmit("first")
	_, _ = p.TrySubmit("second")
	fmt.Println(<-started)
	_ = p.Resize(2) // one is not enough
	fmt.Println(<-started)
	close(gate)

	fmt.Println(p.Resize(-1))
	// Output:
	// first
	// second
	// pool: Resize(-1): want at least 0
}

func ExamplePool_Pause() {
	p, started, gate := waiting(pool.Workers(2))
	defer p.Close()

	first, _ := p.TrySubmit("first")
	<-started
	p.Pause()
	second, _ := p.TrySubmit("second")

	close(gate)
	fmt.Println(first.Wait(context.Background()))
	fmt.Println(second.Status())
	// Output:
	// first <nil>
	// queued
}

func ExamplePool_Resume() {
	p, _, gate := waiting(pool.Workers(1))
	defer p.Close()
	close(gate)

	p.Pause()
	job, _ := p.TrySubmit("later")
	fmt.Println(job.Status())
	p.Resume()
	fmt.Println(job.Wait(context.Background()))
	// Output:
	// queued
	// later <nil>
}

func ExampleIdleTimeout() {
	p := pool.NewStateful(
		func(context.Context, int) (string, error) { return "a connection", nil },
		func(_ context.Context, conn, in string) (string, error) { return in + " over " + conn, nil },
		func(conn string) error {
			fmt.Println("closed", conn)
			return nil
		},
		pool.Workers(8),
		pool.IdleTimeout(time.Minute, 1)) // one stays open
	fmt.Println(p.Do(context.Background(), "hello"))
	_ = p.Close()
	// Output:
	// hello over a connection <nil>
	// closed a connection
}

func ExampleContext() {
	ctx, cancel := context.WithCancelCause(context.Background())
	p, started, _ := waiting(pool.Context(ctx))
	job, _ := p.TrySubmit("never ends")
	<-started

	errEnd := errors.New("the program ends")
	cancel(errEnd)
	_, err := job.Wait(context.Background())
	fmt.Println(errors.Is(err, errEnd))
	fmt.Println(p.Close()) // waits until all of the pool is gone
	// Output:
	// true
	// <nil>
}

func ExampleWorkerState_String() {
	fmt.Println(pool.WorkerIdle, pool.WorkerBusy, pool.WorkerHalting)
	// Output: idle busy halting
}

func ExampleCallOf() {
	p := pool.New(func(ctx context.Context, name string) (string, error) {
		call, _ := pool.CallOf(ctx)
		return fmt.Sprintf("job %d on worker %d: %s", call.Job, call.Worker, name), nil
	}, pool.Workers(1))
	defer p.Close()
	ctx := context.Background()
	job, _ := p.Submit(ctx, "hello")
	fmt.Println(job.Wait(ctx))
	// Output: job 1 on worker 0: hello <nil>
}
