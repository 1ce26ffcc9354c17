// Package result defines the results of calls that other code makes, such as a
// pool, a job or a pipeline, and summaries of many of them.
//
// A plain (T, error) pair is enough while caller and callee share a stack. If a
// function runs on another goroutine, in another order and perhaps more than
// once, the pair is not: which input was it, did it run at all, was it slow or
// did it only wait? A [Result] keeps the pair and answers these questions.
//
// # Vocabulary
//
//   - An input is one value handed in to be worked on. Inputs are numbered from
//     0 in the order of their source; the number is the Index of the result.
//   - A result is what became of an input. An input whose function has several
//     outputs has several results, all with its index; an input that was
//     filtered out has none.
//   - The outcome is a result in one word, a [Status]: [Succeeded], [Failed],
//     [Panicked] or [Canceled]. [Queued] and [Running] are states of a live
//     job, never outcomes.
//   - An attempt is one call of the function. A retry is another attempt for
//     the same input; 0 attempts means that the input never started.
//   - The wait is the time from being accepted to being started. The run is the
//     time from being started to being finished, including all retries. They
//     are separate because they have different cures: more workers for the
//     wait, faster work for the run.
//
// # Reading results
//
// Results come as an [iter.Seq]. [Collect] returns a slice in index order or
// the first error, [Partition] separates successes from failures, [Values]
// yields the pairs that a range loop reads, and [Tally] counts results into a
// [Summary] as they pass. All four read the sequence only as far as they must
// and leave the loop over it when they are done, so a source that cancels its
// work on an early exit does so. Collect and Partition hold everything they
// return in memory; Values and Tally hold nothing.
//
// # Errors
//
// The error of a result is the one that the function returned, or the reason
// why the function was not called or could not finish. The package does not
// wrap errors: [errors.Is] and [errors.As] see what the function's author put
// there.
//
// # Panics
//
// A panic in the function becomes the error of its input, a [*PanicError] with
// the value and the stack. This package itself panics only on misuse that is a
// bug in the calling code: a nil sequence, a nil Summary in Tally, or a status
// that is not an outcome in [Summary.Add]. The message starts with "result: ".
//
// # Concurrency
//
// [Result], [Timing], [Status] and [Quantiles] are plain values: they may be
// copied, and a copy shares only what Value and Err point to. A [Summary] may
// be used by one goroutine at a time; give each goroutine its own and join them
// with [Summary.Merge]. Nothing here starts a goroutine, takes a lock or reads
// the clock.
package result
