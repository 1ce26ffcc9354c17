package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	at := time.Date(2026, time.March, 2, 8, 15, 4, 0, time.UTC)
	for line, want := range map[string]record{
		good: {at, "198.18.4.7", "GET /cart", 200, 5123, 13 * time.Millisecond},
		`2001:db8::1 - ann [02/Mar/2026:10:15:04 +0200] "POST /a/1?b=/2 HTTP/2.0" 503 - "-" "Mozilla/5.0 (X11; x)" 1.000001`: {
			at, "2001:db8::1", "POST /a/:id", 503, 0, time.Second + time.Microsecond,
		},
		strings.Replace(good, "0.013", "0", 1):    {at, "198.18.4.7", "GET /cart", 200, 5123, 0},
		strings.Replace(good, "0.013", "3600", 1): {at, "198.18.4.7", "GET /cart", 200, 5123, maxLatency},
	} {
		got, err := parse(line)
		require.NoError(t, err, line)
		assert.True(t, want.at.Equal(got.at), line)
		got.at = want.at
		assert.Equal(t, want, got, line)
	}
	for line, want := range bad {
		_, err := parse(line)
		assert.Equal(t, want, err, line)
	}
}

func TestRoute(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "/7": "/:id", "/7/": "/:id/", "/a/12/b/34": "/a/:id/b/:id", "/a//3": "/a//:id",
		"/12a/a12": "/12a/a12", "/1.png": "/1.png", "/a/1?x=/2/": "/a/:id", "/?1": "/",
	} {
		got, ok := route("GET " + path + " HTTP/1.1")
		assert.True(t, ok, path)
		assert.Equal(t, "GET "+want, got, path)
	}
}

// Whatever a line is, parse does not panic, and what it takes fits into a window.
func FuzzParse(f *testing.F) {
	f.Add(good)
	for line := range bad {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if r, err := parse(line); err == nil {
			var w window
			w.add(r)
			assert.EqualValues(t, 1, w.requests())
			assert.GreaterOrEqual(t, startOf(r.at, day), int64(0))
		}
	})
}
