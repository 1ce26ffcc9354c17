package result

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tolerance = 0.02 // what Quantiles promises

// exact returns the duration of the nearest rank, by sorting.
func exact(durations []time.Duration, percent int) time.Duration {
	sorted := slices.Clone(durations)
	for i, d := range sorted {
		sorted[i] = max(d, 0)
	}
	slices.Sort(sorted)
	rank := int(math.Ceil(float64(percent) / 100 * float64(len(sorted))))
	return sorted[rank-1]
}

func requireNear(t *testing.T, want, got time.Duration, msg string) {
	t.Helper()
	diff := math.Abs(float64(got) - float64(want))
	require.LessOrEqual(t, diff, tolerance*float64(want), "%s: want %v, got %v", msg, want, got)
}

func TestHistogramIsWithinTwoPercent(t *testing.T) {
	for name, draw := range map[string]func(*rand.Rand) time.Duration{
		"tiny":      func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(200)) },
		"zero":      func(*rand.Rand) time.Duration { return 0 },
		"negatives": func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(2000) - 1000) },
		"constant":  func(*rand.Rand) time.Duration { return 1234567 },
		"uniform":   func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(time.Second))) },
		"exponential": func(r *rand.Rand) time.Duration {
			return time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
		},
		"log-normal": func(r *rand.Rand) time.Duration { return time.Duration(math.Exp(12 + 3*r.NormFloat64())) },
		"two humps": func(r *rand.Rand) time.Duration {
			if r.IntN(10) == 0 {
				return 2*time.Second + time.Duration(r.IntN(1000))
			}
			return time.Microsecond + time.Duration(r.IntN(100))
		},
		"huge":         func(r *rand.Rand) time.Duration { return math.MaxInt64 - time.Duration(r.Int64N(1<<61)) },
		"every octave": func(r *rand.Rand) time.Duration { return time.Duration(r.Uint64() >> (1 + r.IntN(63))) },
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			for _, n := range []int{1, 2, 3, 9, 10, 11, 99, 100, 101, 5000} {
				var h histogram
				durations := make([]time.Duration, n)
				for i := range durations {
					durations[i] = draw(random)
					h.add(durations[i])
				}
				q := h.quantiles()
				requireNear(t, exact(durations, 50), q.P50, "p50")
				requireNear(t, exact(durations, 90), q.P90, "p90")
				requireNear(t, exact(durations, 99), q.P99, "p99")
				require.Equal(t, exact(durations, 100), q.Max, "the maximum is exact")
				require.LessOrEqual(t, q.P50, q.P90)
				require.LessOrEqual(t, q.P90, q.P99)
				require.LessOrEqual(t, q.P99, q.Max)
			}
		})
	}
}

// Every bucket begins where the one before ends, and its middle is near both of
// its ends.
func TestHistogramBucketsCoverAllDurations(t *testing.T) {
	require.Equal(t, 0, bucket(0))
	require.Equal(t, buckets-1, bucket(math.MaxInt64))

	last := -1
	probe := func(d time.Duration) {
		i := bucket(d)
		require.True(t, i == last || i == last+1, "%d ns: bucket %d after %d", d, i, last)
		last = i
		require.Equal(t, i, bucket(middle(i)), "the middle of %d is in it", i)
		requireNear(t, d, middle(i), "middle")
		if d < 2*subBuckets {
			require.Equal(t, d, middle(i), "short durations are exact")
		}
	}
	for d := range time.Duration(4096) {
		probe(d)
	}
	for shift := 12; shift < 63; shift++ {
		for part := range subBuckets {
			low := time.Duration(subBuckets+part) << (shift - subBits)
			width := time.Duration(1) << (shift - subBits)
			probe(low)
			probe(low + width - 1)
		}
	}
	require.Equal(t, buckets-1, last)
}

func TestHistogramIsExactWhenAllAreEqual(t *testing.T) {
	var h histogram
	for range 1000 {
		h.add(100 * time.Millisecond)
	}
	const d = 100 * time.Millisecond
	assert.Equal(t, Quantiles{d, d, d, d}, h.quantiles())
}

// The middle of the last bucket would be near it, but Max is known.
func TestHistogramP99IsMaxBelowAHundred(t *testing.T) {
	var h histogram
	for i := range 99 {
		h.add(time.Second + time.Duration(i)*time.Microsecond)
	}
	q := h.quantiles()
	assert.Equal(t, q.Max, q.P99)
	assert.Less(t, q.P90, q.Max)
}

func TestHistogramEmpty(t *testing.T) {
	var h histogram
	assert.Zero(t, h.quantiles())
}

// The figures stand in the documentation of histogram and Summary.
func TestHistogramBytes(t *testing.T) {
	assert.EqualValues(t, 15_128, unsafe.Sizeof(histogram{}))
	assert.EqualValues(t, 30_256, unsafe.Sizeof(spread{}))
}
