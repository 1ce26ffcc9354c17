package pool_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// Many pages are fetched, a few at a time, each with a timeout. A page that cannot be
// fetched is reported and does not hold up the rest.
func Example_fetch() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "page "+r.URL.Path)
	}))
	defer server.Close()

	fetch := func(ctx context.Context, path string) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, http.NoBody)
		if err != nil {
			return "", err
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return "", fmt.Errorf("%s: %s", path, resp.Status)
		}
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}

	p := pool.New(fetch, pool.Workers(3), pool.Timeout(time.Minute))
	defer p.Close()

	paths := []string{"/a", "/b", "/missing", "/c"}
	pages, failed := result.Partition(p.Stream(context.Background(), slices.Values(paths)))
	slices.Sort(pages)
	fmt.Println(pages)
	for _, r := range failed {
		fmt.Println(r.Err)
	}
	// Output:
	// [page /a page /b page /c]
	// /missing: 404 Not Found
}
