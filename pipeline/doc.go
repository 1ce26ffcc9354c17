// Package pipeline composes typed functions into stages that run concurrently.
//
//	pages := pipeline.Map(pipeline.From(urls), fetch, pipeline.Workers(8), pipeline.OnError(pipeline.Skip))
//	links, err := pipeline.FlatMap(pages, extract).Filter(isExternal).Collect(ctx)
//
// # Vocabulary
//
// A [Flow] is a plan: a source ([From], [FromSlice], [FromSeq2], [FromChan], [FromFunc], [Lines]) and steps
// behind it. A stage is a step with a function ([Map], [FlatMap], [Scan], [Reduce], [GroupBy], [Distinct], Filter,
// Tap); other steps take, group and hand over items as they are ([Batch], [Window], Take, Buffer, Throttle). A
// [Stage] with a capital is a part of a flow that can be put behind any flow: a function, which [Then] chains. An
// item is one value on its way. A terminal (Run, ForEach, Collect, All, Results) runs the plan; nothing happens
// before, and every run is one of its own. An item has settled when it has come out of the flow or it is known that
// it will not.
//
// # Concurrency
//
// A stage's function is called by one goroutine at a time, in order, unless the
// stage says [Workers](n); then it has a bounded pool of n of its own. Neighbouring
// stages without workers are fused into one call: those at the front run with the
// source, those at the end with the terminal, on the caller's goroutine, and those
// between two pools on one goroutine of theirs. A flow without workers is a plain
// loop on the caller's goroutine. Stages with workers are never fused. A Buffer, a [Batch] with a
// maxWait, [Zip] and [MergeOrdered] begin a new goroutine, too.
//
// # Fan-out and fan-in
//
// [Broadcast], [Route] and [Partition] hand values to branches that run beside each
// other, and give what comes out of all of them: each fan-out has its fan-in, so that no
// branch is left unread. Within a branch nothing waits for another branch; so a slow one
// holds the others up when its buffer is full, but none can block another for good, and
// one that ends early lets the others go on. [Merge], [MergeOrdered] and [Zip] join flows that
// have nothing to do with each other. [Through] has the workers of a shared [pool.Pool] make the calls.
//
// # Order
//
// Items keep their order but for a stage with workers, which gives its outputs as
// the calls end, unless it is [Ordered]: then through a window that bounds what is
// in flight plus what is finished and waits. An input that has no output, or fails,
// leaves its place. Branches and merged flows keep the order of each, and mix as they come.
//
// # Memory
//
// What is under way is bounded: a stage that does not keep up stops those before it
// and, in the end, the source. Before a stage with workers, and behind the last one,
// wait at most [Buffer] items, before a [Batch] with a maxWait 256, and a chunk of at
// most 64 in the hands of each producer and each worker. [Plan.InFlight] adds it up.
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
// Results gives failures as results and goes on. A stage can see to its failures before
// that: [Retry] calls again, and [OnError] drops the input, counted and, with a
// [DeadLetter], told.
//
// A panic in the body of a range loop over All or Results is the caller's own and
// goes on as it is, once all has settled. A function that calls runtime.Goexit on
// the caller's goroutine, in a stage that is fused with the terminal, ends that
// goroutine, as in any loop. In a stage that is fused with a source, or behind a
// FlatMap without workers, it also ends the sequence that is being read: what would
// have come after it is lost.
//
// # Cancellation and draining
//
// When the terminal's context ends, no function is called any more, the contexts of
// the calls in flight end, and the terminal returns the context's cause once they
// have returned, unless the flow was through already. A loop over All or Results that
// is left early does the same. Nothing of a run is left when its terminal has
// returned. A function that does not heed its context, and a source that blocks in
// its own code, cannot be interrupted and are waited for.
//
// To stop gently there is [Drain]: the sources give no more, and what is in flight is finished.
//
// # Plan and report
//
// [Flow.Plan] says what a flow will do before it is run: as text, for Mermaid and for
// Graphviz. A [Report] says what a run did, also while it goes on: what each stage counted, how
// its workers spent their time, and which stage held the run back. [Progress] is told of it
// as the run goes on.
//
// # Arguments
//
// Nil functions, sizes below 1, options given twice and options that contradict each
// other panic when the flow is built, with a message that names the stage.
package pipeline
