package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

// A site is many hosts behind one handler. Each has so many pages, as a tree: page n links to
// pages 2n+1 and 2n+2, and the first page of each host to that of the next. Hosts differ in what
// they can do at once and in what they let a client do.
type site struct {
	names   []string
	hosts   map[string]http.Handler
	manners map[string]string // of a host, in words
}

// manners of a host, in turn.
var manners = []struct {
	name   string
	atOnce int           // pages that it makes at the same time; others wait
	takes  time.Duration // to make one
	rate   ratelimit.Limit
	burst  int
}{
	{"bears it all", 100, 10 * time.Millisecond, 1000, 1000},
	{"no more than 10/s", 8, 10 * time.Millisecond, 10, 5},
	{"4 at once, slowly", 4, 250 * time.Millisecond, 1000, 1000},
	{"no more than 15/s", 8, 20 * time.Millisecond, 15, 10},
}

func newSite(hosts, pages int) *site {
	s := &site{hosts: map[string]http.Handler{}, manners: map[string]string{}}
	for i := range hosts {
		name := fmt.Sprintf("h%d.example", i)
		m := manners[i%len(manners)]
		limited := ratehttp.Middleware(ratehttp.Shared("requests", ratelimit.NewLimiter(m.rate, m.burst)))
		s.names = append(s.names, name)
		s.manners[name] = m.name
		s.hosts[name] = limited(&pagesOf{
			next: fmt.Sprintf("h%d.example", (i+1)%hosts), pages: pages, takes: m.takes, room: make(chan struct{}, m.atOnce),
		})
	}
	return s
}

// ServeHTTP serves the host that the request names.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := s.hosts[r.Host]; ok {
		h.ServeHTTP(w, r)
		return
	}
	http.Error(w, "no such host", http.StatusMisdirectedRequest)
}

// pagesOf serves the pages of one host.
type pagesOf struct {
	next  string
	pages int
	takes time.Duration
	room  chan struct{} // as many as are made at once
}

func (p *pagesOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if r.URL.Path == "/" {
		n, err = 0, nil
	}
	if err != nil || n < 0 || n >= p.pages {
		http.NotFound(w, r)
		return
	}
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	case <-r.Context().Done():
		return
	}
	time.Sleep(p.takes)
	var page strings.Builder
	fmt.Fprintf(&page, "<title>Page %d</title>\n", n)
	for _, child := range []int{2*n + 1, 2*n + 2} {
		if child < p.pages {
			fmt.Fprintf(&page, "<a href=\"/%d\">page %d</a>\n", child, child)
		}
	}
	if n == 0 {
		fmt.Fprintf(&page, "<a href=\"http://%s/\">a neighbour</a>\n", p.next)
	}
	_, _ = io.WriteString(w, page.String()) // a client that has gone needs no page
}
