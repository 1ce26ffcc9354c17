// Package pool runs one function on many inputs, on a bounded number of workers.
//
//	p := pool.New(fetch, pool.Workers(8))
//	defer p.Close()
//	pages, err := p.Map(ctx, urls)
//
// # Vocabulary
//
// A call is one run of the pool's function. A worker is the right to make one call
// at a time, numbered from 0; a pool of n workers never has more than n calls under
// way, whichever method they come from. A worker starts when it is first needed; it
// stops when it is halted or there are too many, and with [IdleTimeout] when it was
// idle for long. A job is
// an input that was put into the queue by [Pool.Submit] or [Pool.TrySubmit]; its [Job]
// is the handle. To accept an input is to take it so that it will end: each accepted
// input ends exactly once, with a value, an error, a panic or as canceled.
//
// # Which method
//
//   - [Pool.Do]: one input, and the caller waits for its output.
//   - [Pool.Submit], [Pool.TrySubmit]: one input, and the caller goes on; it may
//     come back to the [Job] for status, output and timing, or cancel it.
//   - [Pool.Map]: a slice, outputs in the same order, the first error ends it.
//   - [Pool.Stream]: a sequence of any length, a Result for each input as the calls
//     end; errors do not end it.
//
// # Concurrency
//
// All methods may be called from any goroutine at any time. Workers are taken in
// turn: callers of Do and of Map, Streams, and the goroutines that serve the queue
// wait in one line, and each of these gets its share whatever the others do. No
// input waits while a worker is free, also not behind a slow one: a worker that has
// taken several inputs at once leaves them to others that have nothing to do.
//
// The function may use its own pool with the context it got. Do, Map and Stream
// then run within the share of the call that asks if no worker is free, and a job
// that is waited for with [Job.Wait] is run by who waits, so that none of them waits
// for a worker that cannot come. That share is one at a time: a call that asks from
// several goroutines has them take turns; what it leaves running behind itself runs
// beside the next call of its worker. A context lends a share only as long as
// its call runs; in Map and Stream, where one context serves many calls, as long as
// its worker does, so do not keep it beyond the call.
//
// # The queue
//
// The queue is bounded: 1024 jobs, or what [Queue] says. [WhenFull] sets whether
// Submit waits for room, gives up, drops the oldest job or runs the new one on the
// caller's goroutine. Jobs start in the order in which they came, except:
//
//   - [Priority] is worth a head start of a fixed time ([Aging]), so nothing starves.
//   - [Key]: one job at a time for each key, in order; others are not held up.
//   - [After]: not before a time.
//   - [Weight]: not more than the pool's [Capacity] at once.
//
// A job that may not start yet keeps no worker waiting. Such jobs count in the bound
// of the queue, and [Pool.Shutdown] waits for them as for all others.
//
// # Watching and steering
//
// A [Job] tells its own status. [Pool.Stats] counts them all, at one instant;
// [Pool.Workers] tells what each worker does; with [Track], [Pool.Jobs] and [Pool.Job]
// find jobs by number; with [Observe], a function is told of each [Event]. What is not
// asked for costs nothing, and an observer that is slow or panics does no harm. A
// function finds its own job and worker with [CallOf].
//
// [Pool.Pause] and [Pool.Resume] hold back new calls, [Pool.Resize] sets the number of
// workers, [Pool.Halt] and [Pool.HaltNow] stop one of them. They do not wait, and may
// be called at any time, also inside a call and after the end of the pool.
//
// # Contexts
//
// The context of Do, Map and Stream is the context of their calls. That of Submit
// bounds the wait for room in the queue and lends its values to the job; the job's
// own context ends by [Job.Cancel], a [Timeout], or the end of the pool. So a
// handler that returns does not end the job it has queued. A context that has ended
// already takes nothing. The context of a call ends, at the latest, with the Do, the
// job, the Map or the Stream that it is part of.
//
// # Shutdown
//
// [Pool.Shutdown] takes nothing more and lets all that was accepted finish, as long
// as its context lasts; for that it ends a pause, and a pool whose workers were all
// halted gets one. [Pool.Close] cancels what is left. Nothing of the pool runs when
// Close has returned, nor when Shutdown has, unless it says so with a [*StuckError],
// which lists what is stuck, jobs by number and age; an observer is waited for no longer than 100 ms.
// Later calls get [ErrClosed].
//
// # Errors and panics
//
// An error of the function is the error of its input, as it is. A panic is caught
// with its stack and becomes that input's [*result.PanicError]; the worker goes on.
// A function that calls [runtime.Goexit] ends its input with [ErrGoexit] and its
// goroutine is replaced, unless it runs on the goroutine of a caller (of Do, Map or
// Job.Wait): that one it ends, as it does without a pool, and its worker is free
// again. A function that does not return holds its worker: the end of its context, by a
// [Timeout], [Pool.HaltNow] or otherwise, does not end the call, and who waits for it waits.
// What was canceled before it started is [result.Canceled], with the cause,
// and was never called. [Retry] makes calls that failed again; a panic is never
// retried. [NewStateful] gives each worker a state, which is opened before its first
// call and closed behind its last one, whatever happened in between. Arguments that make no sense panic at construction with a
// message that names them.
//
// # Timing
//
// Each job and each result of a Stream knows when it was accepted, how long it
// waited and how long its call ran. The clock is read once at each boundary: where a
// worker goes on without a pause, the end of a call is the start of the next one.
package pool
