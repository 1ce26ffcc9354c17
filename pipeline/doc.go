// Package pipeline composes typed functions into stages that run concurrently.
//
//	pages := pipeline.Map(pipeline.FromSlice(urls), fetch, pipeline.Workers(8), pipeline.OnError(pipeline.Skip))
//	links, err := pipeline.FlatMap(pages, extract).Filter(isExternal).Collect(ctx)
//
// Steps that change the type of the items ([Map], [FlatMap], [Scan] and so on) are functions.
// Most of them are methods too, but only from Go 1.27 on.
//
// # Vocabulary
//
// A [Flow] is a plan: a source ([From], [FromSlice], [FromSeq2], [FromChan], [FromFunc],
// [Lines]) followed by steps. A stage is a step that calls a function ([Map], [FlatMap],
// [Scan], [Reduce], [GroupBy], [Distinct], Filter, Tap); other steps select, group or pass on
// items as they are ([Batch], [Window], Take, Buffer, Throttle). A [Stage], capitalized, is a
// part of a flow that can follow any flow of the right type: a function; [Then] chains two of
// them. An item is one value on its way through the flow. A terminal (Run, ForEach, Collect,
// All, Results) runs the plan. Nothing happens before that, and each call of a terminal is an
// independent run. An item has settled when it has left the flow or been dropped.
//
// # Concurrency
//
// A stage's function is called by one goroutine at a time, in order, unless the stage has the
// option [Workers](n): then it has its own bounded pool of n workers. Adjacent stages without
// workers are fused into one chain of calls. Those at the front run with the source, those at
// the end run with the terminal, on the caller's goroutine, and those between two pools share
// one goroutine. A flow without workers is a plain loop on the caller's goroutine. Stages with
// workers are never fused. A Buffer, a [Batch] with a maxWait, [Zip] and [MergeOrdered] also
// start a new goroutine.
//
// # Fan-out and fan-in
//
// [Broadcast], [Route] and [Partition] hand values to branches that run concurrently, and
// return the outputs of all branches as one flow. Each fan-out includes its fan-in, so no
// branch is left unread. Nothing within a branch waits for another branch. A slow branch holds
// the others up once its buffer is full, but branches cannot deadlock each other, and if one
// ends early, the others go on. [Merge], [MergeOrdered] and [Zip] join independent flows.
// [Through] makes its calls on the workers of a shared [pool.Pool].
//
// # Order
//
// Items keep their order except in a stage with workers, which gives its outputs as the calls
// end. An [Ordered] stage keeps the order: its window bounds the inputs that are in flight or
// finished and waiting. An input that fails or has no output gives up its place. Each branch
// and each merged flow keeps its own order; their items mix as they come.
//
// # Memory
//
// The number of items under way is bounded: a stage that does not keep up stops the steps
// before it and, in the end, the source. At most [Buffer] items wait before a stage with
// workers, and after the last such stage; at most 256 wait before a [Batch] with a maxWait.
// Each producer and each worker holds a chunk of at most 64 more. [Plan.InFlight] adds these
// up. Chunks form only while everything is busy; a single item in an idle pipeline is passed on
// at once. A worker takes at most about 50 microseconds of work at a time, and idle workers can
// take over what it has not started.
//
// # Errors
//
// A failure is an error of a function, a panic (a [*result.PanicError]) or a call of
// [runtime.Goexit] ([ErrGoexit]). It is wrapped in a [*StageError] that names the stage and the
// input. Run, ForEach, Collect and All are fail-fast: after the first failure, by time, nothing
// new is started, the contexts of the calls in flight end, queued items are abandoned, and the
// terminal returns that failure once everything has settled. Results yields failures as results
// and continues. A stage can handle its failures before that: [Retry] calls the function again,
// and [OnError] drops the input, which the report counts and a [DeadLetter] function is told
// of.
//
// A panic in the body of a range loop over All or Results is the caller's own and continues
// unchanged once everything has settled. A function that calls runtime.Goexit on the caller's
// goroutine, in a stage fused with the terminal, ends that goroutine, as in any loop. In a
// stage fused with a source, or after a FlatMap without workers, Goexit also ends the
// sequence being read: the rest of the sequence is lost. If [OnError] drops the input, the
// source, or the input of the FlatMap, then fails with ErrGoexit, so that the loss does not
// go unseen.
//
// # Cancellation and draining
//
// When the terminal's context ends, no more functions are called and the contexts of the calls
// in flight end. The terminal returns the context's cause once these calls have returned,
// unless the flow was already complete. Leaving a loop over All or Results early does the same.
// When a terminal has returned, nothing of its run is left. A function that ignores its context
// and a source that blocks in its own code cannot be interrupted; the run waits for them.
//
// To stop gracefully, use [Drain]: the sources give no more, and what is in flight is finished.
//
// # Plan and report
//
// [Flow.Plan] describes what a flow will do before it runs: as text, for Mermaid and for
// Graphviz. A [Report] describes what a run did, even while it is still running: what each
// stage counted, how its workers spent their time, and which stage held the run back.
// [Progress] calls a function with these figures during the run.
//
// # Arguments
//
// Nil functions, sizes below 1, options given twice and options that contradict each other
// panic when the flow is built, and options of a run when the terminal is called: for All and
// Results before the loop. The message names the stage.
package pipeline
