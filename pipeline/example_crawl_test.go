package pipeline_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/millstream-go/millstream/pipeline"
)

// site stands for the web.
var site = map[string]string{
	"/":      `<a href="/about"> <a href="/blog">`,
	"/about": `<a href="/">`,
	"/blog":  `<a href="/blog/1"> <a href="/blog/2"> <a href="/">`,
}

// fetch stands for a call of an http.Client with ctx.
func fetch(ctx context.Context, path string) (string, error) {
	page, ok := site[path]
	if !ok {
		return "", fmt.Errorf("get %s: not found", path)
	}
	return page, ctx.Err()
}

// links yields the targets of a page's links one by one.
func links(_ context.Context, page string) (iter.Seq[string], error) {
	return func(yield func(string) bool) {
		for rest := range strings.SplitSeq(page, `href="`) {
			if target, _, ok := strings.Cut(rest, `"`); ok && strings.HasPrefix(target, "/") {
				if !yield(target) {
					return
				}
			}
		}
	}, nil
}

// Fetch pages with a pool, extract their links, and keep each link once. The pages
// are fetched by eight workers; the rest is quick, and runs in one loop at the end.
func Example_fetchPagesAndExtractLinks() {
	seen := map[string]bool{}
	pages := pipeline.Map(pipeline.FromSlice([]string{"/", "/about", "/blog"}), fetch,
		pipeline.Workers(8), pipeline.Named("fetch"))
	found, err := pipeline.FlatMap(pages, links).
		Filter(func(link string) bool {
			isNew := !seen[link]
			seen[link] = true // no lock: without Workers there is one goroutine
			return isNew
		}).
		Collect(context.Background())
	slices.Sort(found)
	fmt.Println(found, err)
	// Output: [/ /about /blog /blog/1 /blog/2] <nil>
}
