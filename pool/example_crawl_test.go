package pool_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/millstream-go/millstream/pool"
)

// Jobs submit further jobs, and a WaitGroup knows when none is left. Shutdown comes after
// that: it would refuse what running jobs still submit.
func Example_crawl() {
	links := map[string][]string{"/": {"/a", "/b"}, "/a": {"/b", "/c"}, "/c": {"/", "/d"}}

	var (
		p       *pool.Pool[string, int]
		pending sync.WaitGroup
		mu      sync.Mutex
		seen    = map[string]bool{}
	)
	submit := func(ctx context.Context, page string) error {
		mu.Lock()
		known := seen[page]
		seen[page] = true
		mu.Unlock()
		if known {
			return nil
		}
		pending.Add(1)
		_, err := p.Submit(ctx, page) // inside a call it does not wait for room
		if err != nil {
			pending.Done()
		}
		return err
	}
	p = pool.New(func(ctx context.Context, page string) (int, error) {
		defer pending.Done()
		for _, link := range links[page] {
			if err := submit(ctx, link); err != nil {
				return 0, err
			}
		}
		return len(links[page]), nil
	}, pool.Workers(4), pool.Queue(1000))
	defer p.Close()

	ctx := context.Background()
	if err := submit(ctx, "/"); err != nil {
		fmt.Println(err)
	}
	pending.Wait()
	fmt.Println(p.Shutdown(ctx), p.Stats().Succeeded, slices.Sorted(maps.Keys(seen)))
	// Output: <nil> 5 [/ /a /b /c /d]
}
