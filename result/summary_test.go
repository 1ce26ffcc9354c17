package result

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSummaryZeroValue(t *testing.T) {
	var s Summary
	assert.Zero(t, s.Total())
	assert.Zero(t, s.Throughput())
	assert.Zero(t, s.Wait())
	assert.Zero(t, s.Run())
	for status := range 256 {
		assert.Zero(t, s.Count(Status(status)))
	}
	s.Merge(&Summary{})
	assert.Equal(t, new(Summary), &s)
}

func TestSummaryCounts(t *testing.T) {
	var s Summary
	for status, n := range map[Status]int{Succeeded: 5, Failed: 3, Panicked: 1, Canceled: 2} {
		for range n {
			s.Add(status, Timing{Run: time.Second})
		}
	}
	assert.Equal(t, 5, s.Count(Succeeded))
	assert.Equal(t, 3, s.Count(Failed))
	assert.Equal(t, 1, s.Count(Panicked))
	assert.Equal(t, 2, s.Count(Canceled))
	assert.Zero(t, s.Count(Queued))
	assert.Zero(t, s.Count(Running))
	assert.Equal(t, 11, s.Total())
}

func TestSummaryAddPanicsOnWhatIsNoOutcome(t *testing.T) {
	var s Summary
	for status, name := range map[Status]string{Queued: "queued", Running: "running", 9: "status(9)", 255: "status(255)"} {
		assert.PanicsWithValue(t, "result: Summary.Add of "+name+", which is no outcome", func() {
			s.Add(status, Timing{})
		})
	}
	assert.Zero(t, s.Total())
}

func TestSummaryMeasuresOnlyWhatIsKnown(t *testing.T) {
	const ms = time.Millisecond
	all := func(d time.Duration) Quantiles { return Quantiles{d, d, d, d} }

	for _, tt := range []struct {
		name       string
		status     Status
		timing     Timing
		wait, run  Quantiles
		throughput float64
		measured   bool
	}{
		{"ran", Succeeded, Timing{noon, 300 * ms, 200 * ms}, all(300 * ms), all(200 * ms), 2, true},
		{"failed", Failed, Timing{noon, 300 * ms, 200 * ms}, all(300 * ms), all(200 * ms), 2, true},
		{"canceled while it ran", Canceled, Timing{noon, 300 * ms, 200 * ms}, all(300 * ms), all(200 * ms), 2, true},
		{"never started", Canceled, Timing{noon, 500 * ms, 0}, Quantiles{}, Quantiles{}, 2, false},
		{"no timing", Succeeded, Timing{}, Quantiles{}, Quantiles{}, 0, false},
		{"no timing, never started", Canceled, Timing{}, Quantiles{}, Quantiles{}, 0, false},
		{"no queued", Succeeded, Timing{Wait: 3 * ms, Run: 2 * ms}, all(3 * ms), all(2 * ms), 0, true},
		{"no queued, no wait", Failed, Timing{Run: 2 * ms}, all(0), all(2 * ms), 0, true},
		{"took no time", Succeeded, Timing{Queued: noon}, all(0), all(0), 0, true},
		{"negative", Succeeded, Timing{noon, -ms, -ms}, all(0), all(0), 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Summary
			s.Add(tt.status, tt.timing)
			assert.Equal(t, 1, s.Count(tt.status), "it counts in any case")
			assert.Equal(t, tt.wait, s.Wait())
			assert.Equal(t, tt.run, s.Run())
			assert.InDelta(t, tt.throughput, s.Throughput(), 1e-9)
			assert.Equal(t, tt.measured, s.spread != nil, "nothing is allocated before it is needed")
		})
	}
}

func TestSummaryWhatNeverStartedDoesNotBlurTheQuantiles(t *testing.T) {
	var s Summary
	s.Add(Succeeded, Timing{Queued: noon, Wait: time.Millisecond, Run: time.Second})
	for range 1000 {
		s.Add(Canceled, Timing{Queued: noon, Wait: time.Hour})
	}
	assert.Equal(t, time.Millisecond, s.Wait().Max)
	assert.Equal(t, time.Second, s.Run().P50)
	assert.Equal(t, 1001, s.Total())
}

func TestSummaryThroughput(t *testing.T) {
	second := func(at int, run time.Duration) Timing {
		return Timing{Queued: noon.Add(time.Duration(at) * time.Second), Run: run}
	}
	for _, tt := range []struct {
		name    string
		timings []Timing
		want    float64
	}{
		{"from the first queued to the last finished", []Timing{second(0, 1), second(1, time.Second)}, 1},
		{"whatever the order", []Timing{second(1, time.Second), second(0, 1)}, 1},
		{"the last queued need not be the last finished", []Timing{second(0, 8*time.Second), second(1, 1)}, 0.25},
		{"unknown times do not count", []Timing{second(0, 2*time.Second), {Run: time.Hour}, {}}, 0.5},
		{"no time passed", []Timing{second(0, 0), second(0, 0)}, 0},
		{"one nanosecond", []Timing{second(0, 1)}, 1e9},
		{"before its time", []Timing{second(0, -time.Second)}, 0},
		{"the end of time", []Timing{{Queued: noon, Wait: math.MaxInt64, Run: math.MaxInt64}}, 1 / time.Duration(math.MaxInt64).Seconds()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Summary
			for _, timing := range tt.timings {
				s.Add(Succeeded, timing)
			}
			got := s.Throughput()
			assert.False(t, math.IsNaN(got) || math.IsInf(got, 0))
			assert.InDelta(t, tt.want, got, 1e-12*tt.want)
		})
	}
}

// randomOutcome returns one that covers the cases which Add tells apart.
func randomOutcome(r *rand.Rand) (Status, Timing) {
	status := Succeeded + Status(r.IntN(4))
	var timing Timing
	if r.IntN(4) > 0 {
		timing.Queued = noon.Add(time.Duration(r.Int64N(int64(time.Hour))))
	}
	if r.IntN(4) > 0 {
		timing.Wait = time.Duration(r.ExpFloat64() * float64(time.Millisecond))
	}
	if r.IntN(4) > 0 {
		timing.Run = time.Duration(r.ExpFloat64() * float64(time.Second))
	}
	return status, timing
}

// It makes no difference which of several summaries counted a result.
func TestSummaryMergeIsAsIfAddedToOne(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		whole := new(Summary)
		parts := make([]Summary, 1+random.IntN(4))
		for range random.IntN(30) {
			status, timing := randomOutcome(random)
			whole.Add(status, timing)
			parts[random.IntN(len(parts))].Add(status, timing)
		}
		merged := new(Summary)
		for i := range parts {
			merged.Merge(&parts[i])
		}
		require.Equal(t, whole, merged)
	}
}

func TestSummaryMergeWithItself(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	self, twice := new(Summary), new(Summary)
	for range 200 {
		status, timing := randomOutcome(random)
		self.Add(status, timing)
		twice.Add(status, timing)
		twice.Add(status, timing)
	}
	self.Merge(self)
	assert.Equal(t, twice, self)
}

func TestSummaryMergeWithAnEmptyOne(t *testing.T) {
	s, want := new(Summary), new(Summary)
	for _, each := range []*Summary{s, want} {
		each.Add(Failed, Timing{Queued: noon, Wait: time.Second, Run: time.Minute})
	}
	s.Merge(nil)
	s.Merge(new(Summary))
	assert.Equal(t, want, s)

	// One whose spread holds nothing must not pull the minimum to 0.
	s.Merge(&Summary{spread: new(spread)})
	assert.Equal(t, want, s)
}

func TestSummaryMergeSharesNothing(t *testing.T) {
	from, into := new(Summary), new(Summary)
	from.Add(Succeeded, Timing{Run: time.Second})
	into.Merge(from)
	into.Add(Succeeded, Timing{Run: time.Hour})
	assert.Equal(t, time.Second, from.Run().Max)
	assert.Equal(t, time.Hour, into.Run().Max)
	assert.Equal(t, 1, from.Total())
}

func TestSummaryAddDoesNotAllocateAfterTheFirst(t *testing.T) {
	var s Summary
	timing := Timing{Queued: noon, Wait: time.Millisecond, Run: time.Second}
	s.Add(Succeeded, timing)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { s.Add(Failed, timing) }))

	o := new(Summary)
	o.Merge(&s)
	assert.Zero(t, testing.AllocsPerRun(10, func() { o.Merge(&s) }), "nor does Merge")
	assert.EqualValues(t, 1, testing.AllocsPerRun(10, func() {
		var first Summary
		first.Add(Succeeded, timing)
	}), "the first is one allocation")
}

func TestSummaryString(t *testing.T) {
	assert.Equal(t, strings.TrimPrefix(`
outcome    count  share
succeeded      0      -
failed         0      -
panicked       0      -
canceled       0      -
total          0      -

time         p50    p90  p99  max
wait           -      -    -    -
run            -      -    -    -`, "\n"), new(Summary).String())

	var s Summary
	for i := range 12_000 {
		s.Add(Succeeded, Timing{Queued: noon, Wait: time.Duration(i) * time.Microsecond, Run: 1234567})
	}
	s.Add(Canceled, Timing{Queued: noon, Wait: 20 * time.Second})
	s.Add(Failed, Timing{Queued: noon, Run: 2*time.Hour + 3*time.Second + 4*time.Millisecond})
	assert.Equal(t, strings.TrimPrefix(`
outcome     count   share
succeeded   12000  >99.9%
failed          1   <0.1%
panicked        0    0.0%
canceled        1   <0.1%
total       12002  1.67/s

time          p50     p90     p99     max
wait       5.96ms  10.9ms  11.9ms    12ms
run        1.23ms  1.23ms  1.23ms  2h0m3s`, "\n"), s.String())
	for line := range strings.Lines(s.String()) {
		assert.Equal(t, strings.TrimRight(line, " \n"), strings.TrimRight(line, "\n"), "no spaces at the end")
	}

	var fast Summary
	for range 1000 {
		fast.Add(Succeeded, Timing{Queued: noon, Run: 123 * time.Microsecond})
	}
	assert.Contains(t, fast.String(), "8130081/s")
	assert.Contains(t, fast.String(), "run        123µs      123µs  123µs  123µs", "aligned by letters, not bytes")
}

func TestShare(t *testing.T) {
	assert.Equal(t, "-", share(0, 0))
	assert.Equal(t, "0.0%", share(0, 3))
	assert.Equal(t, "<0.1%", share(1, 1_000_000))
	assert.Equal(t, "0.1%", share(1, 1000))
	assert.Equal(t, "33.3%", share(1, 3))
	assert.Equal(t, "99.9%", share(999, 1000))
	assert.Equal(t, ">99.9%", share(999_999, 1_000_000))
	assert.Equal(t, "100.0%", share(7, 7))
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                           "0s",
		1:                           "1ns",
		999:                         "999ns",
		1234:                        "1.23µs",
		999_999:                     "1ms",
		59_949 * time.Millisecond:   "59.9s",
		65_370 * time.Millisecond:   "1m5.4s",
		123_456 * time.Millisecond:  "2m3s",
		math.MaxInt64 - time.Second: "2562047h47m16s",
	} {
		assert.Equal(t, want, short(d))
	}
}

func TestTallyCountsWhatPasses(t *testing.T) {
	ran := Timing{Queued: noon, Run: time.Second}
	w := &watched[int]{results: []Result[int]{
		{Value: 1, Attempt: 1, Timing: ran},
		{Err: errBoom, Attempt: 1, Timing: ran},
		{Err: &PanicError{Value: context.Canceled}, Attempt: 1, Timing: ran},
		{Err: errors.New("shut down"), Worker: -1, Timing: Timing{Queued: noon, Wait: time.Hour}},
		{Value: 5, Attempt: 1, Timing: ran},
	}}
	var s Summary
	seq := Tally(&s, w.seq)
	assert.Zero(t, w.pulled, "nothing is pulled before the loop")
	assert.Equal(t, w.results, slices.Collect(seq), "the results pass unchanged")
	assert.Equal(t, 2, s.Count(Succeeded))
	assert.Equal(t, 1, s.Count(Failed))
	assert.Equal(t, 1, s.Count(Panicked))
	assert.Equal(t, 1, s.Count(Canceled))
	assert.Equal(t, time.Second, s.Run().P50)

	for range seq {
	}
	assert.Equal(t, 10, s.Total(), "every range counts")
}

func TestTallyRespectsAnEarlyBreak(t *testing.T) {
	w := &watched[int]{results: make([]Result[int], 5)}
	var s Summary
	n := 0
	for range Tally(&s, w.seq) {
		n++
		assert.Equal(t, n, s.Total(), "counted before it is handed on")
		if n == 2 {
			break
		}
	}
	assert.Equal(t, 2, s.Total())
	assert.Equal(t, 2, w.pulled, "nothing is pulled after the break")
	assert.True(t, w.left)
}
