package main

import (
	"flag"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var memoryJobs = flag.Int("memory-jobs", 60_000, "jobs of TestMemoryIsBounded")

// TestMemoryIsBounded has the server do many jobs, each under a name and a key of its own, and compares
// the heap after a third of them with that at the end.
func TestMemoryIsBounded(t *testing.T) {
	s := newTestServer(t, "-min-delay", "0s", "-keep", "1000", "-keys", "1000", "-max_queue_size", "1000")
	var sizes []uint64
	for i := range *memoryJobs {
		n := strconv.Itoa(i)
		body := "delay=0s&name=" + strings.Repeat("x", 100) + n
		w := call(t, s, http.MethodPost, "/work", body, header("Idempotency-Key", n))
		for w.Code == http.StatusTooManyRequests {
			runtime.Gosched()
			w = call(t, s, http.MethodPost, "/work", body, header("Idempotency-Key", n))
		}
		require.Equal(t, http.StatusAccepted, w.Code, "%s", w.Body)
		if (i+1)%max(1, *memoryJobs/6) == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			sizes = append(sizes, m.HeapAlloc)
			t.Logf("%9d jobs: heap %5d KiB, %d records, %d goroutines", i+1, m.HeapAlloc>>10, s.book.size(), runtime.NumGoroutine())
		}
	}
	assert.Equal(t, uint64(*memoryJobs), s.pool.Stats().Accepted)
	// Some 2,000 records more or less are there at any time. All jobs since the second sample, at the 400
	// bytes or more that one takes, would be four times as much as this.
	assert.Less(t, int64(sizes[len(sizes)-1])-int64(sizes[1]), int64(4<<20))
}
