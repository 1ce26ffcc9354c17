package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
)

// Lines that are not numbers are dropped, and the report says how many.
func ExampleOnError() {
	parse := func(_ context.Context, line string) (int, error) { return strconv.Atoi(line) }
	lines := pipeline.FromSlice([]string{"12", "n/a", "7"})
	var report pipeline.Report
	sizes, err := pipeline.Map(lines, parse, pipeline.OnError(pipeline.Skip)).
		Collect(context.Background(), pipeline.ReportTo(&report))
	fmt.Println(sizes, err, "skipped:", report.Snapshot().Stages[1].Skipped)
	// Output: [12 7] <nil> skipped: 1
}

// Orders that cannot be charged are put aside for inspection.
func ExampleDeadLetter() {
	charge := func(_ context.Context, order string) (string, error) {
		if order == "o-2" {
			return "", errors.New("card expired")
		}
		return order + " charged", nil
	}
	aside := pipeline.DeadLetter(func(l pipeline.Letter) {
		fmt.Printf("%s: order %v, number %d, failed: %v\n", l.Stage, l.Input, l.Index, l.Err)
	})
	orders := pipeline.FromSlice([]string{"o-1", "o-2", "o-3"})
	err := pipeline.Map(orders, charge, pipeline.Named("charge"), pipeline.OnError(aside)).
		ForEach(context.Background(), func(_ context.Context, receipt string) error {
			fmt.Println(receipt)
			return nil
		})
	fmt.Println(err)
	// Output:
	// o-1 charged
	// charge: order o-2, number 1, failed: card expired
	// o-3 charged
	// <nil>
}

// An overloaded server says when to try again; requests that it will never serve are not
// retried.
func ExampleRetry() {
	calls := map[string]int{}
	get := func(_ context.Context, page string) (string, error) {
		calls[page]++
		switch {
		case page == "gone":
			return "", pool.Permanent(errors.New(http.StatusText(http.StatusGone)))
		case calls[page] < 3:
			return "", pool.RetryAfter(errors.New("busy"), time.Millisecond)
		}
		return "text of " + page, nil
	}
	pages := pipeline.FromSlice([]string{"home", "gone"})
	for r := range pipeline.Map(pages, get, pipeline.Retry(pool.RetryPolicy{Attempts: 5})).Results(context.Background()) {
		fmt.Printf("%q after %d calls, %v\n", r.Value, r.Attempt, r.Err)
	}
	// Output:
	// "text of home" after 3 calls, <nil>
	// "" after 1 calls, pipeline: stage map: input 1: Gone
}

// A host that does not answer fails its own look-up and no other.
func ExampleTimeout() {
	lookup := func(ctx context.Context, host string) (string, error) {
		if host == "slow.example" {
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		return "192.0.2.1", nil
	}
	hosts := pipeline.FromSlice([]string{"slow.example", "quick.example"})
	for r := range pipeline.Map(hosts, lookup, pipeline.Timeout(5*time.Millisecond)).Results(context.Background()) {
		fmt.Println(r.Value, r.Err)
	}
	// Output:
	//  pipeline: stage map: input 0: call exceeded its timeout of 5ms
	// 192.0.2.1 <nil>
}

// quota limits the total number of calls. To limit the rate of calls, use a *rate.Limiter of
// golang.org/x/time.
type quota struct{ left int }

func (q *quota) Wait(context.Context) error {
	if q.left == 0 {
		return errors.New("quota is used up")
	}
	q.left--
	return nil
}

// Calls wait for a limit, which may also refuse them.
func ExampleLimit() {
	translate := func(_ context.Context, word string) (string, error) { return word + "!", nil }
	words := pipeline.FromSlice([]string{"one", "two", "three"})
	for r := range pipeline.Map(words, translate, pipeline.Limit(&quota{left: 2})).Results(context.Background()) {
		fmt.Println(r.Value, r.Err)
	}
	// Output:
	// one! <nil>
	// two! <nil>
	//  pipeline: stage map: input 2: quota is used up
}

// A service that is told to stop takes no more jobs and finishes those it has.
func ExampleDrain() {
	jobs := func(yield func(int) bool) {
		for job := 1; yield(job); job++ { // without end
		}
	}
	stop, told := context.WithCancel(context.Background()) // in a service: signal.NotifyContext
	work := func(_ context.Context, job int) error {
		if job == 2 {
			told()
		}
		fmt.Println("job", job, "done")
		return nil
	}
	err := pipeline.From(jobs).ForEach(context.Background(), work, pipeline.Drain(stop))
	fmt.Println(err)
	// Output:
	// job 1 done
	// job 2 done
	// <nil>
}
