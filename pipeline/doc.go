// Package pipeline composes typed functions into stages that run concurrently.
//
//	links, err := pipeline.Map(pipeline.From(urls), fetch, pipeline.Workers(8)).
//		Filter(isHTML).
//		Collect(ctx)
//
// # Vocabulary
//
// A [Flow] is a plan: a source ([From], [FromSlice], [FromChan]) and steps behind
// it. A stage is a step with a function ([Map], [FlatMap], Filter, Tap). An item is
// one value on its way. A terminal (Run, ForEach, Collect, All, Results) runs the
// plan; nothing happens before, and every run is one of its own. An item has
// settled when it has come out of the flow or it is known that it will not.
//
// # Concurrency
//
// A stage's function is called by one goroutine at a time, in order, unless the
// stage says [Workers](n); then it has a bounded pool of n of its own. Neighbouring
// stages without workers are fused into one call: those at the front run with the
// source, those at the end with the terminal, on the caller's goroutine, and those
// between two pools on one goroutine of theirs. A flow without workers is a plain
// loop on the caller's goroutine. Stages with workers are never fused.
//
// # Order
//
// Items keep their order but for a stage with workers, which gives its outputs as
// the calls end, unless it is [Ordered]: then through a window that bounds what is
// in flight plus what is finished and waits. An input that has no output, or fails,
// leaves its place.
//
// # Memory
//
// What is under way is bounded: a stage that does not keep up stops those before it
// and, in the end, the source. Before a stage with workers, and behind the last one,
// wait at most [Buffer] items, before a [Batch] with a maxWait 256, and a chunk of at
// most 64 in the hands of each producer and each worker.
// Chunks form only while everybody is busy; a single item in an idle pipeline is
// passed on at once. A worker takes at once no more than about 50 microseconds of
// work, and leaves what it has not started to others that are idle.
//
// # Errors
//
// A failure is an error of a function, a panic (a [*result.PanicError]) or a call of
// [runtime.Goexit] ([ErrGoexit]), wrapped in a [*StageError] that names stage and
// input. Run, ForEach, Collect and All are fail-fast: after the first failure, by
// time, nothing new is started, the contexts of the calls in flight end, what was
// queued is abandoned, and the terminal returns that failure once all has settled.
// Results gives failures as results and goes on.
//
// A panic in the body of a range loop over All or Results is the caller's own and
// goes on as it is, once all has settled. A function that calls runtime.Goexit on
// the caller's goroutine, in a stage that is fused with the terminal, ends that
// goroutine, as in any loop. In a stage that is fused with a source, or behind a
// FlatMap without workers, it also ends the sequence that is being read: what would
// have come after it is lost.
//
// # Cancellation
//
// When the terminal's context ends, no function is called any more, the contexts of
// the calls in flight end, and the terminal returns the context's cause once they
// have returned, unless the flow was through already. A loop over All or Results that
// is left early does the same. Nothing of a run is left when its terminal has
// returned. A function that does not heed its context, and a source that blocks in
// its own code, cannot be interrupted and are waited for.
//
// # Arguments
//
// Nil functions, sizes below 1, options given twice and options that contradict each
// other panic when the flow is built, with a message that names the stage.
package pipeline
