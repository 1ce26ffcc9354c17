package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever the options, the pipeline and the plain loop find the same: also in a log
// whose lines are out of order, so that windows come again, and when there are more
// requests and clients than may be counted by their names.
func TestPlainLoopFindsTheSame(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0))
		lines := strings.SplitAfter(drawn(t, seed, 1+rng.IntN(5000)), "\n")
		if seed%2 == 1 {
			rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		}
		for range rng.IntN(40) {
			lines = slices.Insert(lines, rng.IntN(len(lines)+1), "malformed\n")
		}
		log := strings.Join(lines, "")
		o := settings(t, "-")
		o.window = []time.Duration{time.Second, time.Minute, time.Hour, day}[rng.IntN(4)]
		o.workers, o.batch = 1+rng.IntN(5), 1+rng.IntN(700)
		most := []int{1, 30, 1000, maxKeys}[rng.IntN(4)]

		what := fmt.Sprintf("seed %d, window %v, %d workers, batches of %d, %d keys", seed, o.window, o.workers, o.batch, most)
		piped := analyzed(o, strings.NewReader(log), func(a *analysis, in *input) {
			a.totals = newCounts(most, true)
			a.pipeline(t.Context(), in)
		})
		plain := analyzed(o, strings.NewReader(log), func(a *analysis, in *input) {
			a.totals = newCounts(most, true)
			a.plainLoop(t.Context(), in)
		})
		require.NoError(t, piped.failed, what)
		require.True(t, piped.same(plain), what)
		require.NotZero(t, plain.requests(), what)
	}
}

// Both say the same of a log that cannot be read to its end.
func TestTooManyWindows(t *testing.T) {
	var log strings.Builder
	for i := range maxWindows + 2000 {
		at := midnight.Add(time.Duration(i) * time.Minute).Format(timeLayout)
		log.WriteString(strings.Replace(good, "02/Mar/2026:08:15:04 +0000", at, 1) + "\n")
	}
	o := settings(t, "-")
	for name, way := range map[string]func(*analysis, *input){
		"pipeline":   func(a *analysis, in *input) { a.pipeline(t.Context(), in) },
		"plain loop": func(a *analysis, in *input) { a.plainLoop(t.Context(), in) },
	} {
		a := analyzed(o, strings.NewReader(log.String()), way)
		require.EqualError(t, a.failed, "more than 50,000 windows of 1m; choose a longer -window", name)
		assert.Len(t, a.windows, maxWindows, name)
	}
}

// The same seed draws the same log, on any number of workers, and of the length asked for.
func TestDrawnLog(t *testing.T) {
	one := drawn(t, 5, 12_345)
	assert.Equal(t, 12_345, strings.Count(one, "\n"))
	var again strings.Builder
	_, err := drawInto(t.Context(), &again, options{seed: 5, lines: 12_345, workers: 1})
	require.NoError(t, err)
	assert.Equal(t, one, again.String())
	assert.NotEqual(t, one, drawn(t, 6, 12_345))

	a := analyzed(settings(t, "-"), strings.NewReader(one), func(a *analysis, in *input) { a.pipeline(t.Context(), in) })
	assert.InDelta(t, 3, a.bad.count, 9, "some are malformed")
	assert.Len(t, a.totals.requests.top(1), 1)
	assert.Equal(t, "GET /", a.totals.requests.top(1)[0].Key)
	sum := sumOf(a.windows.sorted())
	assert.Greater(t, sum.errors(), sum.requests()/1000, "there are incidents")
	perHour, _ := together(a.windows.sorted(), time.Minute, 24)
	assert.Greater(t, perHour[18].requests(), 5*perHour[2].requests(), "and an evening and a night")
}

// A full disk ends the drawing.
func TestDrawingFails(t *testing.T) {
	_, err := drawInto(t.Context(), brokenWriter{errDisk}, options{seed: 1, lines: 100_000, workers: 2})
	assert.ErrorIs(t, err, errDisk)
}

// What a comparison would overlook is not proven by it.
func TestSame(t *testing.T) {
	log := drawn(t, 1, 3000) + "malformed\n"
	pass := func() *analysis {
		return analyzed(settings(t, "-"), strings.NewReader(log), func(a *analysis, in *input) { a.plainLoop(t.Context(), in) })
	}
	first := pass()
	require.True(t, pass().same(first))
	for name, change := range map[string]func(*analysis){
		"lines":     func(a *analysis) { a.linesRead++ },
		"latency":   func(a *analysis) { a.windows.sorted()[5].latency.counts[7]++ },
		"requests":  func(a *analysis) { a.totals.requests.rows[3].Count++ },
		"clients":   func(a *analysis) { a.totals.clients.others++ },
		"why":       func(a *analysis) { a.bad.why["?"]++ },
		"malformed": func(a *analysis) { a.bad.first[0].Line++ },
	} {
		a := pass()
		change(a)
		assert.False(t, a.same(first), name)
	}
}
