package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Quantiles are within 3 % of the exact ones, and merging changes nothing.
func TestHistogram(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, most := range []time.Duration{5, 100, 1e5, 1e8, 3_600_000_000} {
		var whole histogram
		var parts [3]histogram
		var all []time.Duration
		for range 2000 {
			d := time.Duration(rng.Int64N(int64(most)+1)) * time.Microsecond
			whole.add(d)
			parts[rng.IntN(3)].add(d)
			all = append(all, d)
		}
		parts[0].merge(&parts[1])
		parts[0].merge(&parts[2])
		assert.Equal(t, whole, parts[0])
		slices.Sort(all)
		for _, percent := range []uint64{1, 50, 90, 99, 100} {
			exact := all[(2000*percent+99)/100-1]
			assert.InDelta(t, float64(exact), float64(whole.quantile(percent)), 0.032*float64(exact), "p%d up to %v", percent, most)
		}
		assert.Equal(t, all[1999], whole.max)
	}
	var none histogram
	assert.Zero(t, none.quantile(99))
	none.add(maxLatency)
	assert.InDelta(t, maxLatency.Seconds(), none.quantile(50).Seconds(), 0.032*maxLatency.Seconds())
}

func at(seconds int64, requests, errors uint64) *window {
	w := &window{start: seconds}
	w.classes[1], w.classes[4] = requests-errors, errors
	return w
}

func TestTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		width  time.Duration
		starts []int64
		most   int
		want   []int64
		wide   time.Duration
	}{
		"none":       {time.Minute, nil, 4, nil, time.Minute},
		"one":        {time.Minute, []int64{60}, 4, []int64{60}, time.Minute},
		"enough":     {time.Minute, []int64{60, 240}, 4, []int64{60, 240}, time.Minute},
		"too many":   {time.Minute, []int64{60, 300}, 4, []int64{0, 240}, 2 * time.Minute},
		"odd":        {40 * time.Second, []int64{0, 40, 80, 120}, 2, []int64{0, 120}, 2 * time.Minute},
		"230 years":  {time.Second, []int64{0, 3e9, 7e9}, 4, []int64{0, 2831155200, 5662310400}, 32768 * day},
		"days apart": {time.Minute, []int64{0, 86400 * 7}, 4, []int64{0, 86400 * 6}, 2 * day},
	} {
		var all []*window
		for _, start := range tt.starts {
			all = append(all, at(start, 1, 0))
		}
		got, width := together(all, tt.width, tt.most)
		assert.Equal(t, tt.wide, width, name)
		var starts []int64
		for _, w := range got {
			starts = append(starts, w.start)
		}
		assert.Equal(t, tt.want, starts, name)
		assert.EqualValues(t, len(tt.starts), sumOf(got).requests(), name)
	}
}

func TestDrawings(t *testing.T) {
	windows := []*window{at(0, 80, 0), at(60, 10, 10), at(240, 1, 0)}
	assert.Equal(t, "█▁  ▁", sparkline(windows, time.Minute, (*window).requests))
	assert.Equal(t, " █   ", sparkline(windows, time.Minute, (*window).errors))
	assert.Equal(t, "██████████", bar(1, 0, 4))
	assert.Equal(t, "█", bar(1, 0, 1000), "what is there is seen")
	assert.Equal(t, "█████▒▒▒▒▒", bar(2, 1, 8))
	assert.Equal(t, "▒", bar(1, 1, 40))
	assert.Empty(t, bar(0, 0, 1))
}

func TestCounter(t *testing.T) {
	c := newCounter(2, true)
	for _, key := range []string{"b", "a", "c", "a", "d", "b", "a"} {
		c.add(key, 1)
	}
	assert.Equal(t, []row{{"b", 2}, {"a", 3}}, c.rows, "in the order in which they came")
	assert.EqualValues(t, 2, c.others)
	assert.Equal(t, []row{{"a", 3}, {"b", 2}}, c.top(5))
	assert.Equal(t, []row{{"a", 3}}, c.top(1))
}
