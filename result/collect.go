package result

import (
	"cmp"
	"iter"
	"slices"
)

// Collect reads seq and returns the values in index order.
//
// Collect stops at the first result with an error, in the order of seq. It then
// leaves the loop over seq, so that a source that cancels its work on an early
// exit does so, and returns a nil slice and that error as it is. The values read
// until then are dropped, since nothing tells which are missing; use [Partition]
// to keep them.
//
// Indices may have gaps, may be negative and may repeat: values with the same
// index keep the order in which they came. An empty seq gives a nil slice.
// Collect takes O(n) time if the results come in index order and O(n log n) if
// not. Besides the values it needs two words per result until it returns.
//
// Collect blocks for as long as seq does. It panics if seq is nil.
func Collect[T any](seq iter.Seq[Result[T]]) ([]T, error) {
	mustHave(seq, "Collect")
	var values arrivals[T]
	for r := range seq {
		if r.Err != nil {
			return nil, r.Err
		}
		values.add(r.Index, r.Value)
	}
	return values.inOrder(), nil
}

// Partition reads all of seq and returns the values of the results without an
// error, and the results with one. Both are in index order; elements with the
// same index keep the order in which they came. An empty part is nil.
//
// Partition takes the time and memory of [Collect]. It blocks until seq ends. It
// panics if seq is nil.
func Partition[T any](seq iter.Seq[Result[T]]) (ok []T, failed []Result[T]) {
	mustHave(seq, "Partition")
	var (
		values   arrivals[T]
		failures arrivals[Result[T]]
	)
	for r := range seq {
		if r.Err != nil {
			failures.add(r.Index, r)
		} else {
			values.add(r.Index, r.Value)
		}
	}
	return values.inOrder(), failures.inOrder()
}

// Values returns the results as pairs of value and error, in the order of seq:
//
//	for v, err := range result.Values(seq) { ... }
//
// Values is lazy and buffers nothing: each range over it is one range over seq,
// and leaving the one leaves the other. An error does not end it. It allocates
// nothing per result. It panics if seq is nil.
func Values[T any](seq iter.Seq[Result[T]]) iter.Seq2[T, error] {
	mustHave(seq, "Values")
	return func(yield func(T, error) bool) {
		for r := range seq {
			if !yield(r.Value, r.Err) {
				return
			}
		}
	}
}

// mustHave panics if seq is nil. Otherwise the lazy functions would fail far
// from the mistake, at the first range.
func mustHave[T any](seq iter.Seq[Result[T]], caller string) {
	if seq == nil {
		panic("result: " + caller + " of a nil sequence")
	}
}

// arrivals collects elements as they come and puts them in index order at the
// end.
//
// The order is stored beside the elements and sorted instead of them: so the
// sort moves two words whatever the size of an element. With the arrival as the
// second key no two keys are equal, so an unstable sort gives the stable order.
// slices.SortStableFunc would need O(n log² n) moves.
type arrivals[E any] struct {
	elems     []E
	places    []place // places[i] belongs to elems[i] until they are sorted
	unordered bool    // some index is below its predecessor
}

type place struct {
	index   int
	arrival int
}

func (a *arrivals[E]) add(index int, e E) {
	n := len(a.places)
	if n > 0 && index < a.places[n-1].index {
		a.unordered = true
	}
	a.elems = append(a.elems, e)
	a.places = append(a.places, place{index: index, arrival: n})
}

// inOrder returns the elements in index order. Call it once, at the end.
func (a *arrivals[E]) inOrder() []E {
	if !a.unordered {
		return a.elems
	}
	slices.SortFunc(a.places, func(p, q place) int {
		if c := cmp.Compare(p.index, q.index); c != 0 {
			return c
		}
		return cmp.Compare(p.arrival, q.arrival)
	})
	sorted := make([]E, len(a.elems))
	for i, p := range a.places {
		sorted[i] = a.elems[p.arrival]
	}
	return sorted
}
