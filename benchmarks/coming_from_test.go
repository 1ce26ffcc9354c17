package benchmarks_test

// The code of docs/coming-from.md, before and after. TestComingFrom checks that the guide shows what runs here.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/destel/rill"
	"github.com/panjf2000/ants/v2"
	concpool "github.com/sourcegraph/conc/pool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// What follows stands for the reader's own code.

var (
	urls = []string{"go.dev", "pkg.go.dev", "example.com"}
	some = []string{"go.dev", "gone.test", "pkg.go.dev"} // one of them fails
	ids  = []int{1, 2, 3, 4, 5}

	errGone = errors.New("gone")
)

// fetch returns the size of a page.
func fetch(ctx context.Context, url string) (int, error) {
	if url == "gone.test" {
		return 0, errGone
	}
	return len(url), ctx.Err()
}

func loadUser(ctx context.Context) error { return ctx.Err() }

func loadOrders(ctx context.Context) error { return ctx.Err() }

type user struct{ id int }

func (u user) active() bool { return u.id != 3 }

func load(ctx context.Context, id int) (user, error) { return user{id}, ctx.Err() }

func saveAll(ctx context.Context, batch []user) error {
	fmt.Println("saved", batch)
	return ctx.Err()
}

func Example_errgroupLimit() {
	ctx := context.Background()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	sizes := make([]int, len(urls))
	for i, url := range urls {
		g.Go(func() (err error) {
			sizes[i], err = fetch(ctx, url)
			return err
		})
	}
	err := g.Wait()

	fmt.Println(sizes, err)
	// Output: [6 10 11] <nil>
}

func Example_errgroupLimitAfter() {
	ctx := context.Background()
	p := pool.New(fetch, pool.Workers(8))
	defer p.Close()
	sizes, err := p.Map(ctx, urls)

	fmt.Println(sizes, err)
	// Output: [6 10 11] <nil>
}

func Example_errgroupLimitAfterPipeline() {
	ctx := context.Background()
	pages := pipeline.Map(pipeline.FromSlice(urls), fetch, pipeline.Workers(8), pipeline.Ordered())
	sizes, err := pages.Collect(ctx)

	fmt.Println(sizes, err)
	// Output: [6 10 11] <nil>
}

func Example_closures() {
	ctx := context.Background()
	p := pool.New(func(ctx context.Context, f func(context.Context) error) (struct{}, error) {
		return struct{}{}, f(ctx)
	}, pool.Workers(8))
	defer p.Close()
	_, err := p.Map(ctx, []func(context.Context) error{loadUser, loadOrders})

	fmt.Println(err)
	// Output: <nil>
}

func Example_semaphore() {
	ctx := context.Background()
	var wg sync.WaitGroup
	sem := make(chan struct{}, 8)
	errs := make([]error, len(some))
	for i, url := range some {
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			_, errs[i] = fetch(ctx, url)
		})
	}
	wg.Wait()
	err := errors.Join(errs...)

	fmt.Println(err)
	// Output: gone
}

func Example_semaphoreAfter() {
	ctx := context.Background()
	errs := make([]error, len(some))
	for r := range pipeline.Map(pipeline.FromSlice(some), fetch, pipeline.Workers(8)).Results(ctx) {
		errs[r.Index] = r.Err // nil or a *pipeline.StageError
	}
	err := errors.Join(errs...)

	fmt.Println(err)
	// Output: pipeline: stage map: input 1: gone
}

func Example_concResults() {
	ctx := context.Background()
	g := concpool.NewWithResults[int]().WithContext(ctx).WithMaxGoroutines(8)
	for _, url := range some {
		g.Go(func(ctx context.Context) (int, error) { return fetch(ctx, url) })
	}
	sizes, err := g.Wait() // in no particular order, and without those that failed

	slices.Sort(sizes)
	fmt.Println(sizes, err)
	// Output: [6 10] gone
}

func Example_concResultsAfter() {
	ctx := context.Background()
	p := pool.New(fetch, pool.Workers(8))
	defer p.Close()
	sizes, failed := result.Partition(p.Stream(ctx, slices.Values(some))) // both in the order of the input
	for _, r := range failed {
		fmt.Println(some[r.Index], r.Err)
	}

	fmt.Println(sizes)
	// Output:
	// gone.test gone
	// [6 10]
}

func Example_ants() {
	ctx := context.Background()
	sizes := make([]int, len(urls))
	p, _ := ants.NewPool(8)
	var wg sync.WaitGroup
	for i, url := range urls {
		wg.Add(1)
		_ = p.Submit(func() {
			defer wg.Done()
			sizes[i], _ = fetch(ctx, url)
		})
	}
	p.Tune(16)
	wg.Wait()
	p.Release()

	fmt.Println(sizes, p.Cap())
	// Output: [6 10 11] 16
}

func Example_antsAfter() {
	ctx := context.Background()
	p := pool.New(fetch, pool.Workers(8))
	var jobs []*pool.Job[int]
	for _, url := range urls {
		job, err := p.Submit(ctx, url)
		if err != nil {
			break // ctx has ended, or the pool is closed
		}
		jobs = append(jobs, job)
	}
	_ = p.Resize(16)       // fails only if the size is negative or the pool is closed
	err := p.Shutdown(ctx) // runs what is in the queue, and waits
	for _, job := range jobs {
		fmt.Println(job.Wait(ctx)) // size and error
	}

	fmt.Println(err, p.Stats().Succeeded)
	// Output:
	// 6 <nil>
	// 10 <nil>
	// 11 <nil>
	// <nil> 3
}

func Example_antsWithFunc() {
	save := func(url string) { fmt.Println("saved", url) }
	var wg sync.WaitGroup
	p, _ := ants.NewPoolWithFunc(8, func(url any) { save(url.(string)); wg.Done() })
	wg.Add(1)
	_ = p.Invoke("go.dev")
	wg.Wait()
	p.Release()

	// Output: saved go.dev
}

func Example_antsWithFuncAfter() {
	ctx := context.Background()
	save := func(url string) error { return fmt.Errorf("%s: disk full", url) }
	p := pool.New(func(_ context.Context, url string) (struct{}, error) { return struct{}{}, save(url) }, pool.Workers(8))
	job, _ := p.Submit(ctx, "go.dev")
	err := p.Shutdown(ctx) // nil although the job failed

	fmt.Println(err, p.Stats().Failed)
	fmt.Println(job.Wait(ctx))
	// Output:
	// <nil> 1
	// {} go.dev: disk full
}

func Example_pond() {
	ctx := context.Background()
	p := pond.NewResultPool[int](8)
	defer p.StopAndWait()
	group := p.NewGroupContext(ctx)
	for _, url := range urls {
		group.SubmitErr(func() (int, error) { return fetch(ctx, url) })
	}
	sizes, err := group.Wait() // in the order of submission

	fmt.Println(sizes, err)
	// Output: [6 10 11] <nil>
}

func Example_pondTask() {
	ctx := context.Background()
	p := pool.New(fetch, pool.Workers(8), pool.Queue(100))
	defer p.Shutdown(ctx)
	job, err := p.Submit(ctx, "go.dev")
	if err != nil {
		return // the pool has not taken it; job is nil
	}
	size, err := job.Wait(ctx)

	fmt.Println(size, err)
	// Output: 6 <nil>
}

func Example_rill() {
	ctx := context.Background()
	users := rill.OrderedMap(rill.FromSlice(ids, nil), 4, func(id int) (user, error) { return load(ctx, id) })
	active := rill.OrderedFilter(users, 4, func(u user) (bool, error) { return u.active(), nil })
	batches := rill.Batch(active, 2, time.Second)
	err := rill.ForEach(batches, 1, func(batch []user) error { return saveAll(ctx, batch) })

	fmt.Println(err)
	// Output:
	// saved [{1} {2}]
	// saved [{4} {5}]
	// <nil>
}

func Example_rillAfter() {
	ctx := context.Background()
	users := pipeline.Map(pipeline.FromSlice(ids), load, pipeline.Workers(4), pipeline.Ordered())
	batches := pipeline.Batch(users.Filter(user.active), 2, time.Second)
	err := batches.ForEach(ctx, saveAll) // with pipeline.Workers(n), n calls at once

	fmt.Println(err)
	// Output:
	// saved [{1} {2}]
	// saved [{4} {5}]
	// <nil>
}

func Example_rillReduce() {
	ctx := context.Background()
	sizes := pipeline.Map(pipeline.FromSlice(urls), fetch, pipeline.Workers(8))
	add := func(_ context.Context, a, b int) (int, error) { return a + b, nil }
	total, err := pipeline.Reduce(sizes, 0, add).Collect(ctx) // a slice of one value

	fmt.Println(total, err)
	// Output: [27] <nil>
}

func Example_jobQueue() {
	ctx := context.Background()
	type job struct {
		id  int
		url string
	}
	jobs := make(chan job, 100)
	status := map[int]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for j := range jobs {
				_, err := fetch(ctx, j.url)
				mu.Lock()
				status[j.id] = fmt.Sprint(err)
				mu.Unlock()
			}
		})
	}
	for i, url := range some {
		jobs <- job{i + 1, url}
	}
	close(jobs)
	wg.Wait()

	for _, id := range slices.Sorted(maps.Keys(status)) {
		fmt.Println(id, status[id])
	}
	// Output:
	// 1 <nil>
	// 2 gone
	// 3 <nil>
}

func Example_jobQueueAfter() {
	ctx := context.Background()
	p := pool.New(fetch, pool.Workers(8), pool.Queue(100), pool.Track(1000))
	for _, url := range some {
		if _, err := p.Submit(ctx, url); err != nil {
			break // ctx has ended, or the pool is closed
		}
	}
	err := p.Shutdown(ctx)
	for _, j := range p.Jobs() { // at any time, including after the end
		fmt.Println(j.ID, j.Status, j.Err)
	}

	fmt.Println(err)
	// Output:
	// 1 succeeded <nil>
	// 2 failed gone
	// 3 succeeded <nil>
	// <nil>
}

func Example_panicAgain() {
	ctx := context.Background()
	p := pool.New(func(context.Context, string) (int, error) { panic("a bug") })
	defer p.Close()
	defer func() { fmt.Println(recover()) }()
	_, err := p.Do(ctx, "go.dev")
	if bug, ok := errors.AsType[*result.PanicError](err); ok {
		panic(bug)
	}

	// Output: panic: a bug
}

func Example_cause() {
	stop := errors.New("stopped by the operator")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stop)
	p := pool.New(fetch)
	defer p.Close()
	_, err := p.Map(ctx, urls)
	fmt.Println(errors.Is(err, stop), errors.Is(err, context.Canceled))

	// Output: true false
}

// TestComingFrom checks that each snippet of the guide stands in this file, white space aside.
func TestComingFrom(t *testing.T) {
	guide, err := os.ReadFile("../docs/coming-from.md")
	require.NoError(t, err)
	code, err := os.ReadFile("coming_from_test.go")
	require.NoError(t, err)
	folded := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	snippets := regexp.MustCompile("(?s)```go\n(.*?)\n```").FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, snippets)
	for _, snippet := range snippets {
		if !strings.Contains(folded(string(code)), folded(snippet[1])) {
			t.Errorf("not in coming_from_test.go:\n%s", snippet[1])
		}
	}
}
