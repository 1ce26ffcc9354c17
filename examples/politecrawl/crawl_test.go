package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inMemory sends requests to a handler without a network, so that a crawl runs in virtual time.
type inMemory struct {
	handler http.Handler
	asked   atomic.Int64
}

func (m *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	m.asked.Add(1)
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.Host = r.URL.Host
	m.handler.ServeHTTP(w, in)
	return w.Result(), nil
}

func defaults(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parseArgs(args)
	require.NoError(t, err)
	return o
}

// starting is the address that a crawl of the site begins with.
func starting(s *site) []*url.URL {
	return []*url.URL{{Scheme: "http", Host: s.names[0], Path: "/"}}
}

func TestCrawlKeepsToItsRatesAndFindsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults(t, "-hosts", "8", "-pages", "60")
		s := newSite(o.siteHosts, o.sitePages)
		c := newCrawler(o, &inMemory{handler: s})
		require.NoError(t, c.crawl(t.Context(), starting(s)))
		assert.Empty(t, c.letters)
		require.Len(t, c.hosts.known, 8)
		for name, h := range c.hosts.known {
			assert.Equal(t, 60, h.pages, name)
			assert.Len(t, h.sent, h.pages+h.refused, name)
			assert.LessOrEqual(t, h.busiest(time.Second), 25, name)
			assert.LessOrEqual(t, h.busiest(100*time.Millisecond), 7, name)
			assert.LessOrEqual(t, h.most, o.inFlight, name)
			switch s.manners[name] {
			case "bears it all", "4 at once, slowly":
				assert.Zero(t, h.refused, name)
			default:
				assert.Positive(t, h.refused, name)
				assert.GreaterOrEqual(t, h.paused, time.Second, name)
				assert.Less(t, h.refused, len(h.sent)/4, name)
			}
		}
		var table strings.Builder
		require.NoError(t, c.writeTable(&table, time.Second, s.manners))
		assert.Contains(t, table.String(), "480 pages of 8 hosts in 1s")
	})
}

// After a refusal no request is sent to that host before its time has come.
func TestCrawlWaitsAsLongAsAHostAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused time.Time
		var early, total int
		s := newSite(1, 40)
		strict := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			total++
			if !refused.IsZero() && time.Since(refused) < 7*time.Second {
				early++
			}
			if total == 10 {
				refused = time.Now()
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			s.ServeHTTP(w, r)
		})
		c := newCrawler(defaults(t, "-inflight", "1"), &inMemory{handler: strict})
		require.NoError(t, c.crawl(t.Context(), starting(s)))
		assert.Zero(t, early)
		assert.Equal(t, 41, total)
		assert.Equal(t, 7*time.Second, c.hosts.known[s.names[0]].paused)
	})
}

func TestCrawlThatIsInterruptedFinishesWhatItHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := defaults(t)
		s := newSite(4, 1000)
		base := &inMemory{handler: s}
		c := newCrawler(o, base)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		require.NoError(t, c.crawl(ctx, starting(s)))
		pages := 0
		for _, h := range c.hosts.known {
			pages += h.pages
			assert.Zero(t, h.limit.InFlight())
		}
		assert.Empty(t, c.letters)
		assert.Positive(t, pages)
		assert.Less(t, pages, 1000)
		asked := base.asked.Load()
		time.Sleep(time.Hour)
		assert.Equal(t, asked, base.asked.Load())
	})
}

var errDown = errors.New("down")

type down struct{}

func (down) RoundTrip(*http.Request) (*http.Response, error) { return nil, errDown }

func TestCrawlNotesWhatItCannotHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(1, 1)
		c := newCrawler(defaults(t), down{})
		require.NoError(t, c.crawl(t.Context(), starting(s)))
		require.Len(t, c.letters, 1)
		require.ErrorIs(t, c.letters[0].Err, errDown)
		assert.Equal(t, "http://h0.example/", fmt.Sprint(c.letters[0].Input))
	})
}

func TestLinksOf(t *testing.T) {
	at, err := url.Parse("http://a.example/x/y")
	require.NoError(t, err)
	var got []string
	for _, u := range linksOf(at, []byte(`<a href="/1">1</a> <a href="z#part">z</a> <a href="http://b.example/">b</a>
		<a href="mailto:a@b">m</a> <a href=":">bad</a> <a class="x">none</a>`)) {
		got = append(got, u.String())
	}
	assert.Equal(t, []string{"http://a.example/1", "http://a.example/x/z", "http://b.example/"}, got)
}
