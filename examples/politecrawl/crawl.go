package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

const (
	largestPage = 1 << 20
	repeats     = 8 // of a request that was refused with Retry-After
)

// A crawler fetches what a site has, host by host at a bounded rate.
type crawler struct {
	options
	client   *http.Client
	hosts    *hosts
	frontier *frontier
	letters  []pipeline.Letter // pages that could not be had
}

// newCrawler returns a crawler that sends its requests to base.
//
// A request goes through three layers. It waits for room among those that are in flight to its
// host. Then it waits until the host's rate allows it; that layer also pauses a host that asks for
// it, and asks again afterwards. Only then it is sent.
func newCrawler(o options, base http.RoundTripper) *crawler {
	rates := ratelimit.NewKeyed[string](ratelimit.Limit(o.rate), o.burst, ratelimit.MaxKeys(10_000))
	polite := func(base http.RoundTripper) http.RoundTripper {
		return ratehttp.NewTransport(base, ratehttp.ThroughPerHost(rates), ratehttp.Retries(repeats), ratehttp.MaxPause(time.Minute))
	}
	hosts := newHosts(base, o.inFlight, polite)
	return &crawler{options: o, client: &http.Client{Transport: hosts}, hosts: hosts, frontier: newFrontier(o.most)}
}

// flow is the crawl as a pipeline. Its source is the frontier, and its end leads back there: what a
// page links to is asked for next, until nothing is open.
//
// Partition gives a host to one lane, where it has workers of its own: a host that is slow or asks
// to wait holds up those in its lane, and no other.
func (c *crawler) flow() pipeline.Flow[*page] {
	found := pipeline.FromFunc(c.frontier.next).Named("frontier")
	return pipeline.Partition(found, c.lanes, func(u *url.URL) string { return u.Host },
		func(lane pipeline.Flow[*url.URL]) pipeline.Flow[*page] {
			return pipeline.Map(lane, c.fetch, pipeline.Named("fetch"), pipeline.Workers(c.inFlight),
				pipeline.Timeout(c.patience), pipeline.OnError(pipeline.DeadLetter(c.lost)))
		})
}

// crawl fetches everything that can be reached from the addresses. When ctx ends, it finishes what
// it has begun and asks for nothing more.
func (c *crawler) crawl(ctx context.Context, start []*url.URL, opts ...pipeline.Option) error {
	c.frontier.add(start...)
	follow := func(_ context.Context, p *page) error {
		c.frontier.done(p.links...)
		return nil
	}
	return c.flow().ForEach(context.WithoutCancel(ctx), follow, append(opts, pipeline.Drain(ctx))...)
}

// A page is what was fetched from an address.
type page struct {
	address *url.URL
	links   []*url.URL
}

// fetch is the stage of that name.
func (c *crawler) fetch(ctx context.Context, address *url.URL) (*page, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestPage))
	if err != nil {
		return nil, err
	}
	return &page{address: address, links: linksOf(address, text)}, nil
}

// lost notes a page that could not be had. Letters come one at a time for each lane.
func (c *crawler) lost(l pipeline.Letter) {
	c.hosts.note(func() { c.letters = append(c.letters, l) })
	c.frontier.done()
}

var hrefs = regexp.MustCompile(`<a\s+href="([^"]*)"`)

// linksOf returns the addresses that a page links to.
func linksOf(address *url.URL, text []byte) []*url.URL {
	var links []*url.URL
	for _, match := range hrefs.FindAllSubmatch(text, -1) {
		u, err := address.Parse(string(match[1]))
		if err == nil && u.Scheme == "http" {
			u.Fragment = ""
			links = append(links, u)
		}
	}
	return links
}
