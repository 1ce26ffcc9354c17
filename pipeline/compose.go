package pipeline

// Stage is a part of a flow that can be put behind any flow of the right type: a
// function that adds its steps to the flow it gets. It runs nothing by itself.
//
//	var words pipeline.Stage[string, string] = func(f pipeline.Flow[string]) pipeline.Flow[string] {
//		return pipeline.FlatMap(f, split).Filter(known)
//	}
type Stage[In, Out any] func(Flow[In]) Flow[Out]

// Then returns the stage that is a and, behind it, b. A nil stage panics.
func Then[A, B, C any](a Stage[A, B], b Stage[B, C]) Stage[A, C] {
	if a == nil || b == nil {
		panic("pipeline: Then: nil stage")
	}
	return func(f Flow[A]) Flow[C] { return b(a(f)) }
}
