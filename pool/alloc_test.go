package pool_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/pool"
)

// allocs is how much is allocated in a run of f, on average.
func allocs(t *testing.T, f func()) float64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	// What other goroutines allocate counts, too, such as those that tests before have left to end: the least is ours.
	least := testing.AllocsPerRun(50, f)
	for range 3 {
		least = min(least, testing.AllocsPerRun(50, f))
	}
	return least
}

// One allocation for a job: its handle and all that its pool knows of it.
func TestSubmitAllocatesOncePerJob(t *testing.T) {
	const n = 1000
	p := pool.New(same, pool.Workers(2), pool.Queue(n))
	defer closing(t, p)
	last := func() *pool.Job[int] {
		var j *pool.Job[int]
		for i := range n {
			j, _ = p.Submit(t.Context(), i)
		}
		return j
	}
	got := allocs(t, func() { last().Wait(t.Context()) }) //nolint:errcheck // same does not fail
	// Beside the jobs: the channel that the last one is waited for with, and the
	// line of those that wait for room.
	assert.LessOrEqual(t, got/n, 1.05)
}

func TestDoAllocatesAtMostOnce(t *testing.T) {
	p := pool.New(same)
	defer closing(t, p)
	assert.LessOrEqual(t, allocs(t, func() { p.Do(t.Context(), 1) }), 1.0) //nolint:errcheck // same does not fail
}

// Map allocates for its run, not for its elements.
func TestMapDoesNotAllocatePerElement(t *testing.T) {
	p := pool.New(same, pool.Workers(4))
	defer closing(t, p)
	run := func(n int) float64 {
		ins := make([]int, n)
		return allocs(t, func() { p.Map(t.Context(), ins) }) //nolint:errcheck // same does not fail
	}
	few := run(10)
	assert.Less(t, few, 60.0)
	assert.InDelta(t, few, run(100_000), 30)
}

func TestStreamDoesNotAllocatePerInput(t *testing.T) {
	p := pool.New(same, pool.Workers(4))
	defer closing(t, p)
	run := func(n int) float64 {
		s := p.Stream(context.Background(), slices.Values(make([]int, n)))
		return allocs(t, func() { drain(s) })
	}
	few := run(10)
	assert.Less(t, few, 150.0)
	assert.InDelta(t, few, run(20_000), 100)
}
