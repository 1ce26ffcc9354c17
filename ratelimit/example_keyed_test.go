package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/ratelimit"
)

// Requests to one host wait for each other. Only the request itself has a timeout: the wait
// comes first, with the context of the run.
func ExampleKeyed_timeout() {
	hosts := ratelimit.NewKeyed[string](200, 1)
	fetch := func(ctx context.Context, host string) (string, error) {
		if err := hosts.Wait(ctx, host); err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		select { // the request
		case <-time.After(time.Millisecond):
			return "page of " + host, nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	urls := make([]string, 20) // they take 100 ms
	for i := range urls {
		urls[i] = "a.example"
	}
	pages, err := pipeline.Map(pipeline.FromSlice(urls), fetch, pipeline.Workers(20)).Collect(context.Background())
	fmt.Println(len(pages), err)
	// Output: 20 <nil>
}

func ExampleKeyed_Limit() {
	fmt.Println(ratelimit.NewKeyed[string](10, 5).Limit())
	// Output: 10
}

func ExampleKeyed_Burst() {
	fmt.Println(ratelimit.NewKeyed[string](10, 5).Burst())
	// Output: 5
}
