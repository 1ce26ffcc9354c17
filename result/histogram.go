package result

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets whose width grows with the duration,
// so that its memory is fixed and its relative error bounded.
//
// The layout is the log-linear one of Gil Tene's HdrHistogram
// (https://hdrhistogram.org): each power of two is divided into subBuckets
// equal parts. Durations below 2*subBuckets ns each have their own bucket and
// are exact. Above that, a bucket that starts at low is at most low/subBuckets
// wide, so its middle is within 1/(2*subBuckets) = 1.6 % of every duration in
// it. 64 parts would halve an error that no reader of a p99 notices, and double
// the memory.
//
// One histogram takes 15,128 bytes. The counters have 64 bits: 32 would
// overflow within two hours at a million a second.
type histogram struct {
	total  uint64
	min    time.Duration // of a total above 0
	max    time.Duration
	counts [buckets]uint64
}

const (
	subBits    = 5
	subBuckets = 1 << subBits
	// A positive int64 has up to 63 bits. The first subBits of them share the
	// first row of buckets, each further one has its own.
	buckets = (63 - subBits + 1) * subBuckets
)

// add counts d. A negative d, which can come from a clock that steps back,
// counts as 0.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	if h.total == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.total++
	h.counts[bucket(d)]++
}

// merge adds what o counted. The two may be the same.
func (h *histogram) merge(o *histogram) {
	if o.total == 0 {
		return // o.min means nothing
	}
	if h.total == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.total += o.total
	for i, n := range &o.counts {
		h.counts[i] += n
	}
}

func (h *histogram) quantiles() Quantiles {
	return Quantiles{
		P50: h.percentile(50),
		P90: h.percentile(90),
		P99: h.percentile(99),
		Max: h.max,
	}
}

// percentile returns the duration of the nearest rank: the shortest one that at
// least percent in a hundred do not exceed. It is 0 if nothing was counted.
func (h *histogram) percentile(percent uint64) time.Duration {
	rank := h.total - h.total*(100-percent)/100 // rounded up, counted from 1
	if rank == h.total {
		return h.max
	}
	i, seen := 0, h.counts[0]
	for seen < rank {
		i++
		seen += h.counts[i]
	}
	// The answer lies between the extremes, so moving the estimate between them
	// only improves it, and makes it exact if all durations are equal.
	return min(max(middle(i), h.min), h.max)
}

// bucket returns the index of the bucket that counts d, which is not negative.
// The subBits+1 leading bits of d decide.
func bucket(d time.Duration) int {
	shift := max(bits.Len64(uint64(d))-subBits-1, 0)
	return shift<<subBits + int(d>>shift)
}

// middle returns the duration that stands for the bucket at index i.
func middle(i int) time.Duration {
	if i < 2*subBuckets {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	low := time.Duration(i&(subBuckets-1)|subBuckets) << shift
	return low + 1<<shift/2
}
