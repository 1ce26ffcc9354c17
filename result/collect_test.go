package result

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// at returns a success whose value tells its index and a letter.
func at(index int, letter string) Result[string] {
	return Result[string]{Value: fmt.Sprint(index, letter), Index: index, Attempt: 1}
}

// watched counts what is pulled from results, and tells whether the loop over it
// was left and whether it was pulled again after that.
type watched[T any] struct {
	results []Result[T]
	pulled  int
	left    bool
}

func (w *watched[T]) seq(yield func(Result[T]) bool) {
	for _, r := range w.results {
		w.pulled++
		if !yield(r) {
			w.left = true
			return
		}
	}
}

func TestCollectInIndexOrder(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []Result[string]
		want []string
	}{
		{"empty", nil, nil},
		{"one", []Result[string]{at(4, "a")}, []string{"4a"}},
		{"in order", []Result[string]{at(0, "a"), at(1, "b"), at(2, "c")}, []string{"0a", "1b", "2c"}},
		{"in order with gaps", []Result[string]{at(3, "a"), at(7, "b"), at(20, "c")}, []string{"3a", "7b", "20c"}},
		{"reversed", []Result[string]{at(2, "a"), at(1, "b"), at(0, "c")}, []string{"0c", "1b", "2a"}},
		{
			"repeats keep their order",
			[]Result[string]{at(1, "a"), at(0, "a"), at(1, "b"), at(0, "b"), at(1, "c")},
			[]string{"0a", "0b", "1a", "1b", "1c"},
		},
		{
			"negative and extreme",
			[]Result[string]{at(math.MaxInt, "a"), at(-1, "b"), at(math.MinInt, "c"), at(0, "d")},
			[]string{fmt.Sprint(math.MinInt, "c"), "-1b", "0d", fmt.Sprint(math.MaxInt, "a")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Collect(slices.Values(tt.in))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestCollectStopsAtTheFirstError(t *testing.T) {
	w := &watched[string]{results: []Result[string]{
		at(2, "a"),
		{Err: errBoom, Index: 1, Attempt: 1},
		{Err: errors.New("of a lower index, but later"), Index: 0, Attempt: 1},
	}}
	got, err := Collect(w.seq)
	assert.Same(t, errBoom, err, "first in the order of the sequence, as it is")
	assert.Nil(t, got)
	assert.Equal(t, 2, w.pulled, "nothing is pulled after the error")
	assert.True(t, w.left, "the source learns of the exit")
}

// Collect and Partition agree with a stable sort of all there is.
func TestCollectAgreesWithAStableSort(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := random.IntN(200)
		span := 1 + random.IntN(300) // small ones make repeats, large ones gaps
		results := make([]Result[int], n)
		for i := range results {
			results[i] = Result[int]{Value: i, Index: random.IntN(span) - span/3, Attempt: 1}
		}
		if random.IntN(4) == 0 {
			slices.SortStableFunc(results, byIndex)
		}

		sorted := slices.Clone(results)
		slices.SortStableFunc(sorted, byIndex)
		var want []int
		for _, r := range sorted {
			want = append(want, r.Value)
		}
		got, err := Collect(slices.Values(results))
		require.NoError(t, err)
		require.Equal(t, want, got)

		var wantOK []int
		var wantFailed []Result[int]
		for i := range results {
			if random.IntN(3) == 0 {
				results[i].Err = errBoom
			}
		}
		sorted = slices.Clone(results)
		slices.SortStableFunc(sorted, byIndex)
		for _, r := range sorted {
			if r.Err == nil {
				wantOK = append(wantOK, r.Value)
			} else {
				wantFailed = append(wantFailed, r)
			}
		}
		ok, failed := Partition(slices.Values(results))
		require.Equal(t, wantOK, ok)
		require.Equal(t, wantFailed, failed)
	}
}

func byIndex(a, b Result[int]) int {
	switch {
	case a.Index < b.Index:
		return -1
	case a.Index > b.Index:
		return 1
	}
	return 0
}

// The slices of Collect grow by doubling; there is nothing per result.
func TestCollectAllocatesOnlySlices(t *testing.T) {
	const n = 1 << 12
	results := make([]Result[int], n)
	for i := range results {
		results[i] = Result[int]{Value: i, Index: n - i}
	}
	seq := slices.Values(results)
	allocs := testing.AllocsPerRun(10, func() { _, _ = Collect(seq) })
	assert.Less(t, allocs, 60.0)
}

func TestPartitionReadsAll(t *testing.T) {
	failed1 := Result[string]{Err: errBoom, Index: 1, Attempt: 2}
	failed3 := Result[string]{Value: "half", Err: errBoom, Index: 3, Attempt: 1}
	w := &watched[string]{results: []Result[string]{failed3, at(2, "a"), failed1, at(0, "b")}}

	ok, failed := Partition(w.seq)
	assert.Equal(t, []string{"0b", "2a"}, ok)
	assert.Equal(t, []Result[string]{failed1, failed3}, failed)
	assert.False(t, w.left)

	ok, failed = Partition(slices.Values([]Result[string]{}))
	assert.Nil(t, ok)
	assert.Nil(t, failed)
}

func TestValuesIsLazyAndInSequenceOrder(t *testing.T) {
	w := &watched[string]{results: []Result[string]{
		at(2, "a"), {Value: "half", Err: errBoom}, at(0, "b"), at(1, "c"),
	}}
	pairs := Values(w.seq)
	assert.Zero(t, w.pulled, "nothing is pulled before the loop")

	var got []string
	for v, err := range pairs {
		got = append(got, fmt.Sprint(v, " ", err))
		assert.Equal(t, len(got), w.pulled, "nothing is pulled ahead")
		if len(got) == 3 {
			break
		}
	}
	assert.Equal(t, []string{"2a <nil>", "half boom", "0b <nil>"}, got)
	assert.Equal(t, 3, w.pulled)
	assert.True(t, w.left)
}

// Called as plain functions: a range statement would hide a call of yield after
// it returned false, by panicking on its own.
func TestYieldIsNeverCalledAfterFalse(t *testing.T) {
	results := []Result[string]{at(0, "a"), at(1, "b"), at(2, "c")}
	stubborn := slices.Values(results)

	calls := 0
	Values(stubborn)(func(string, error) bool { calls++; return false })
	assert.Equal(t, 1, calls)

	calls = 0
	Tally(new(Summary), stubborn)(func(Result[string]) bool { calls++; return false })
	assert.Equal(t, 1, calls)
}

func TestValuesDoesNotAllocatePerResult(t *testing.T) {
	seq := slices.Values(make([]Result[int], 10_000))
	allocs := testing.AllocsPerRun(10, func() {
		sum := 0
		for v, err := range Values(seq) {
			if err == nil {
				sum += v
			}
		}
	})
	assert.LessOrEqual(t, allocs, 8.0)
}

func TestNilSequencePanics(t *testing.T) {
	var none iter.Seq[Result[int]]
	assert.PanicsWithValue(t, "result: Collect of a nil sequence", func() { _, _ = Collect(none) })
	assert.PanicsWithValue(t, "result: Partition of a nil sequence", func() { Partition(none) })
	assert.PanicsWithValue(t, "result: Values of a nil sequence", func() { Values(none) })
	assert.PanicsWithValue(t, "result: Tally of a nil sequence", func() { Tally(new(Summary), none) })
	assert.PanicsWithValue(t, "result: Tally into a nil Summary", func() {
		Tally(nil, slices.Values([]Result[int]{}))
	})
}
