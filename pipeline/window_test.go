package pipeline_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// windowLoop is Window on a slice.
func windowLoop(values []int, size, step int) [][]int {
	var all [][]int
	had := 0 // values that a window has had, or that lie between two
	for from := 0; from < len(values); from += step {
		to := min(from+size, len(values))
		if to-from < size && to <= had {
			break
		}
		all = append(all, values[from:to])
		had = to
	}
	return all
}

func TestWindowsGiveWhatALoopGives(t *testing.T) {
	pipelinetest.NoLeak(t)
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		n, size, step := random.IntN(40), 1+random.IntN(9), 1+random.IntN(12)
		bad := random.IntN(60)
		for _, s := range stages {
			if !s.ordered {
				continue
			}
			f := pipeline.Map(pipeline.From(upTo(n)), failAt(bad), s.opts...)
			name := fmt.Sprintf("seed %d, %s, n %d, size %d, step %d, bad %d", seed, s.name, n, size, step, bad)
			var got [][]int
			failures := 0
			for r := range pipeline.Window(f, size, step).Results(t.Context()) {
				if r.Err != nil {
					require.Equal(t, bad, r.Index, name)
					require.Nil(t, r.Value, name)
					failures++
					continue
				}
				require.Equal(t, r.Value[0], r.Index, name)
				got = append(got, r.Value)
			}
			good := slices.DeleteFunc(numbers(n), is(bad))
			require.Equal(t, windowLoop(good, size, step), got, name)
			require.Equal(t, n-len(good), failures, name)
		}
	}
}

func TestHugeWindows(t *testing.T) {
	f := pipeline.From(upTo(5))
	got, err := pipeline.Window(f, math.MaxInt, 1).Collect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, [][]int{{0, 1, 2, 3, 4}}, got)
	got, err = pipeline.Window(f, 2, math.MaxInt).Collect(t.Context())
	require.NoError(t, err)
	assert.Equal(t, [][]int{{0, 1}}, got)
}

// A write to a window, or behind its end, is seen by nobody else.
func TestAWindowBelongsToItsReceiver(t *testing.T) {
	for _, step := range []int{1, 2, 5} {
		var kept [][]int
		f := pipeline.Window(pipeline.From(upTo(50)), 3, step)
		want, err := f.Collect(t.Context())
		require.NoError(t, err)
		for w, err := range f.All(t.Context()) {
			require.NoError(t, err)
			kept = append(kept, slices.Clone(w))
			w = append(w, -1, -2)
			for i := range w {
				w[i] = -3
			}
		}
		assert.Equal(t, want, kept)
	}
}

// What has been passed on is not kept, not even until the next value comes.
func TestNoValuesAreKeptBehindTheirSlice(t *testing.T) {
	for name, slices := range map[string]func(pipeline.Flow[*[1000]int]) pipeline.Flow[[]*[1000]int]{
		"window": func(f pipeline.Flow[*[1000]int]) pipeline.Flow[[]*[1000]int] { return pipeline.Window(f, 4, 4) },
		"batch":  func(f pipeline.Flow[*[1000]int]) pipeline.Flow[[]*[1000]int] { return pipeline.Batch(f, 4, 0) },
	} {
		var seen []weak.Pointer[[1000]int]
		source := func(yield func(*[1000]int) bool) {
			for range 20 {
				if !yield(new([1000]int)) {
					return
				}
				runtime.GC()
				for i, p := range seen {
					require.Nil(t, p.Value(), "%s: %d of %d", name, i, len(seen))
				}
			}
		}
		for w, err := range slices(pipeline.From(source)).All(t.Context()) {
			require.NoError(t, err)
			for _, p := range w[:3] { // the source itself has the last one
				seen = append(seen, weak.Make(p))
			}
		}
		assert.Len(t, seen, 15)
	}
}

// A slice is passed on with the value that completes it, and says when its first one came.
func TestTheTimingOfAWindow(t *testing.T) {
	for name, slices := range map[string]func(pipeline.Flow[int]) pipeline.Flow[[]int]{
		"window":        func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return pipeline.Window(f, 2, 2) },
		"batch":         func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return pipeline.Batch(f, 2, 0) },
		"batch, a wait": func(f pipeline.Flow[int]) pipeline.Flow[[]int] { return pipeline.Batch(f, 2, time.Hour) },
	} {
		testkit.Bubble(t, func(t *testing.T) {
			const s = time.Second
			slow := pipeline.Map(pipeline.From(timed(0, 10*s, 20*s, 30*s)), sleepFor(2*s))
			start := time.Now()
			var came []time.Duration
			for r := range slices(slow).Results(t.Context()) {
				came = append(came, time.Since(start))
				at := time.Duration(r.Index) * 10 * s
				assert.Equal(t, at, r.Timing.Queued.Sub(start), name)
				assert.Equal(t, 2*s, r.Timing.Run, name)
				assert.Equal(t, 10*s, r.Timing.Wait, "%s: up to the end of the last one", name)
			}
			assert.Equal(t, []time.Duration{12 * s, 32 * s}, came, name)
		})
	}
}

// A Goexit behind a window left it one value too long.
func TestGoexitBehindAWindow(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, step := range []int{1, 2, 3, 4} {
		f := pipeline.Window(pipeline.From(upTo(20)).Buffer(5), 3, step)
		first := pipeline.Map(f, func(_ context.Context, w []int) ([]int, error) {
			if w[0]%3 == 0 {
				runtime.Goexit()
			}
			return w, nil
		}).Buffer(1)
		var want [][]int
		exits := 0
		for _, w := range windowLoop(numbers(20), 3, step) {
			if w[0]%3 != 0 {
				want = append(want, w)
			} else {
				exits++
			}
		}
		var got [][]int
		for r := range first.Results(t.Context()) {
			if r.Err != nil {
				require.ErrorIs(t, r.Err, pipeline.ErrGoexit)
				exits--
				continue
			}
			got = append(got, r.Value)
		}
		assert.Equal(t, want, got)
		assert.Zero(t, exits)
	}
}

// A window that is left, and one of which enough was taken, ends what is before it.
func TestAWindowThatIsLeft(t *testing.T) {
	pipelinetest.NoLeak(t)
	for _, s := range stages {
		f := pipeline.Window(pipeline.Map(pipeline.From(naturals), same, s.opts...), 3, 1)
		for range f.Results(t.Context()) {
			break
		}
		got, err := f.Take(2).Collect(t.Context())
		require.NoError(t, err)
		assert.Len(t, got, 2)
	}
	// Not even the rest of a window comes behind the last one that was wanted.
	n := 0
	for _, err := range pipeline.Window(pipeline.From(upTo(5)), 2, 2).All(t.Context()) {
		require.NoError(t, err)
		if n++; n == 2 {
			break
		}
	}
	assert.Equal(t, 2, n)
}

// A failure ends a fail-fast run before the window that is left.
func TestAFailureBeforeAWindow(t *testing.T) {
	for _, s := range stages {
		f := pipeline.Window(pipeline.Map(pipeline.From(upTo(5)), failAt(4), s.opts...), 10, 10)
		got, err := f.Collect(t.Context())
		assert.ErrorIs(t, err, errBoom)
		assert.Nil(t, got)
	}
}
