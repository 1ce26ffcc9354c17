package pipeline

// Stage is a part of a flow that can follow any flow of the right type: a function from the
// flow of its inputs to the flow of its outputs. It builds a plan and runs nothing. So it
// can be used any number of times, and by several goroutines at once if the values it
// closes over can. The zero Stage is nil and cannot be used.
//
//	var clean pipeline.Stage[string, string] = func(lines pipeline.Flow[string]) pipeline.Flow[string] {
//		return pipeline.Map(lines, trim).Filter(notEmpty)
//	}
type Stage[In, Out any] func(Flow[In]) Flow[Out]

// Then returns the stage that is a followed by b. Each use of it builds both anew. A nil
// stage panics.
func Then[A, B, C any](a Stage[A, B], b Stage[B, C]) Stage[A, C] {
	if a == nil || b == nil {
		panic("pipeline: Then: nil stage")
	}
	return func(f Flow[A]) Flow[C] { return b(a(f)) }
}
