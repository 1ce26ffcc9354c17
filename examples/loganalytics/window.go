package main

import (
	"iter"
	"maps"
	"math/bits"
	"slices"
	"time"
)

// A window is what a log has for a stretch of time. It takes about 4 KB, whatever it
// has counted, and it does not matter in which order windows are merged.
type window struct {
	start   int64     // seconds since 1970
	classes [5]uint64 // requests by the first digit of their status, from 1xx
	bytes   int64
	latency histogram
}

func (w *window) add(r record) {
	w.classes[r.status/100-1]++
	w.bytes += r.bytes
	w.latency.add(r.latency)
}

func (w *window) merge(o *window) {
	for i, n := range o.classes {
		w.classes[i] += n
	}
	w.bytes += o.bytes
	w.latency.merge(&o.latency)
}

func (w *window) requests() uint64 {
	return w.classes[0] + w.classes[1] + w.classes[2] + w.classes[3] + w.classes[4]
}

// errors are the failures of the server; those of clients are in the table of classes.
func (w *window) errors() uint64 { return w.classes[4] }

// windows are those of a log, by their start.
type windows map[int64]*window

func (ws windows) sorted() []*window {
	all := make([]*window, 0, len(ws))
	for _, start := range slices.Sorted(maps.Keys(ws)) {
		all = append(all, ws[start])
	}
	return all
}

// A histogram counts latencies in buckets whose width grows with the latency, as
// HdrHistogram does: each power of two of microseconds is cut into subBuckets, so that
// the middle of a bucket is within 3 % of what is in it.
type histogram struct {
	max    time.Duration
	counts [latencyBuckets]uint64
}

const (
	subBits        = 4
	subBuckets     = 1 << subBits
	latencyBuckets = (32 - subBits + 1) * subBuckets // maxLatency has 32 bits of microseconds
)

func (h *histogram) add(d time.Duration) {
	h.max = max(h.max, d)
	h.counts[bucketOf(d)]++
}

func (h *histogram) merge(o *histogram) {
	h.max = max(h.max, o.max)
	for i, n := range &o.counts {
		h.counts[i] += n
	}
}

// quantile returns the latency that percent of all are not above.
func (h *histogram) quantile(percent uint64) time.Duration {
	total := uint64(0)
	for _, n := range &h.counts {
		total += n
	}
	left := (total*percent + 99) / 100 // rounded up: p99 of 10 is the slowest
	for i, n := range &h.counts {
		if n > 0 && left <= n {
			return min(middleOf(i), h.max)
		}
		left -= min(n, left)
	}
	return h.max
}

func bucketOf(d time.Duration) int {
	v := uint64(d / time.Microsecond)
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits + int(v>>shift) - subBuckets
}

func middleOf(bucket int) time.Duration {
	if bucket < 2*subBuckets {
		return time.Duration(bucket) * time.Microsecond
	}
	shift := bucket>>subBits - 1
	low := (bucket&(subBuckets-1) + subBuckets) << shift
	return time.Duration(low+1<<shift/2) * time.Microsecond
}

// startOf returns when the window begins that a time is in.
func startOf(at time.Time, width time.Duration) int64 { return startAt(at.Unix(), width) }

func startAt(seconds int64, width time.Duration) int64 {
	return seconds - seconds%int64(width/time.Second)
}

// widths are those in which people think of time, and further ones for whatever span a log may have.
func widths() iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for _, w := range []time.Duration{
			time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
			time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
			time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		} {
			if !yield(w) {
				return
			}
		}
		for w := day; w > 0 && yield(w); w *= 2 {
		}
	}
}
