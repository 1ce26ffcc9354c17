package ratelimit_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/ratelimit"
)

// bytesAKey returns what a Keyed with n keys takes of the heap for each of them.
func bytesAKey[K comparable](keys []K) float64 {
	heap := func() float64 {
		runtime.GC()
		runtime.GC() // what the first one has found is swept
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	k := ratelimit.NewKeyed[K](ratelimit.Every(time.Hour), 1)
	for _, key := range keys {
		k.Allow(key)
	}
	after := heap()
	runtime.KeepAlive(k)
	runtime.KeepAlive(keys)
	return (after - before) / float64(len(keys))
}

// "A key takes ... bytes": a cell is the key and two words, and from three eighths to three
// quarters of the cells are used.
func TestKeyedBytesAKey(t *testing.T) {
	if testing.Short() {
		t.Skip("measures the heap")
	}
	for _, n := range []int{50_000, 100_000, 150_000, 200_000} {
		strings, numbers := make([]string, n), make([]int64, n)
		for i := range n {
			strings[i], numbers[i] = "user-"+strconv.Itoa(i), int64(i)
		}
		s, i := bytesAKey(strings), bytesAKey(numbers)
		t.Logf("%d keys: %.0f bytes a string, %.0f an int64", n, s, i)
		assert.LessOrEqual(t, s, 90.0)
		assert.LessOrEqual(t, i, 68.0)
	}
}
