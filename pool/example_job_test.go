package pool_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/millstream-go/millstream/pool"
)

// held returns a pool whose only worker does nothing until the gate is closed.
func held() (p *pool.Pool[string, string], gate chan struct{}) {
	gate = make(chan struct{})
	p = pool.New(func(ctx context.Context, word string) (string, error) {
		select {
		case <-gate:
			return shout(ctx, word)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}, pool.Workers(1))
	return p, gate
}

func ExampleJob() {
	p, gate := held()
	defer p.Close()
	ctx := context.Background()

	job, _ := p.Submit(ctx, "done")
	close(gate)
	word, err := job.Wait(ctx)
	fmt.Println(word, err, job.Status())
	// Output: DONE! <nil> succeeded
}

func ExampleJob_ID() {
	p, gate := held()
	defer p.Close()
	close(gate)

	jobs := map[uint64]*pool.Job[string]{} // to look them up later
	for _, word := range []string{"a", "b"} {
		job, _ := p.TrySubmit(word)
		jobs[job.ID()] = job
	}
	fmt.Println(jobs[1].Wait(context.Background()))
	fmt.Println(jobs[2].Wait(context.Background()))
	// Output:
	// A! <nil>
	// B! <nil>
}

func ExampleJob_Status() {
	started, gate := make(chan struct{}), make(chan struct{})
	p := pool.New(func(context.Context, int) (int, error) {
		started <- struct{}{}
		<-gate
		return 0, errors.New("no luck")
	}, pool.Workers(1))
	defer p.Close()

	first, _ := p.TrySubmit(1)
	second, _ := p.TrySubmit(2)
	<-started
	fmt.Println(first.Status(), second.Status())
	second.Cancel(nil)
	close(gate)
	<-first.Done()
	fmt.Println(first.Status(), second.Status())
	// Output:
	// running queued
	// failed canceled
}

func ExampleJob_Info() {
	p, gate := held()
	defer p.Close()
	job, _ := p.TrySubmit("urgent", pool.Key("ada"), pool.Priority(2))
	close(gate)
	<-job.Done()

	i := job.Info() // at any time, such as in a handler that shows the status
	fmt.Println(i.ID, i.Status, i.Attempt, i.Worker, i.Key, i.Priority, i.Err)
	// Output: 1 succeeded 1 0 ada 2 <nil>
}

func ExampleJob_Wait() {
	p, gate := held()
	defer p.Close()
	job, _ := p.TrySubmit("patience")

	// The context ends the wait, not the job.
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("no time"))
	_, err := job.Wait(ctx)
	if _, ended := job.Result(); !ended { // the error could be the job's own
		fmt.Println("gave up:", err)
	}

	close(gate)
	fmt.Println(job.Wait(context.Background()))
	// Output:
	// gave up: no time
	// PATIENCE! <nil>
}

func ExampleJob_Done() {
	p, gate := held()
	defer p.Close()
	first, _ := p.TrySubmit("first")
	close(gate)

	select {
	case <-first.Done():
		r, _ := first.Result()
		fmt.Println(r.Value)
	case <-context.Background().Done():
		fmt.Println("never")
	}
	// Output: FIRST!
}

func ExampleJob_Result() {
	p, gate := held()
	defer p.Close()
	job, _ := p.TrySubmit("timed")
	_, ended := job.Result()
	fmt.Println(ended)

	close(gate)
	<-job.Done()
	r, ended := job.Result()
	fmt.Println(ended, r.Value, r.Err, r.Attempt, r.Timing.Total() == r.Timing.Wait+r.Timing.Run)
	// Output:
	// false
	// true TIMED! <nil> 1 true
}

func ExampleJob_Cancel() {
	p, _ := held()
	defer p.Close()
	job, _ := p.TrySubmit("never said")

	errChanged := errors.New("changed my mind")
	job.Cancel(errChanged)
	_, err := job.Wait(context.Background())
	fmt.Println(errors.Is(err, errChanged), errors.Is(err, context.Canceled))
	fmt.Println(job.Status())
	// Output:
	// true true
	// canceled
}
