// Package pool runs one function on many inputs, on a bounded number of workers.
//
//	p := pool.New(fetch, pool.Workers(8))
//	defer p.Close()
//	pages, err := p.Map(ctx, urls)
//
// # Vocabulary
//
// A call is one run of the pool's function. A worker is the right to make one call at
// a time, numbered from 0: a pool of n workers never has more than n calls under way,
// whichever methods they come from. A worker starts when it is first needed. It stops
// when it is halted, when there are too many, and, with [IdleTimeout], when it has
// been idle for long. A job is an input put into the queue by [Pool.Submit] or
// [Pool.TrySubmit]; its [Job] is the handle. To accept an input is to take
// responsibility for it: each accepted input ends exactly once, with a value, an
// error, a panic or a cancellation.
//
// # Which method
//
//   - [Pool.Do]: one input; the caller waits for its output.
//   - [Pool.Submit], [Pool.TrySubmit]: one input; the caller goes on, and may use the
//     [Job] later to get status, output and timing, or to cancel it.
//   - [Pool.Map]: a slice; the outputs have the same order, and the first error ends
//     it.
//   - [Pool.Stream]: a sequence of any length, with a Result for each input as the
//     calls end; errors do not end it.
//
// # Concurrency
//
// All methods may be called from any goroutine at any time. Workers are assigned in
// turn: callers of Do and Map, Streams, and the goroutines that serve the queue wait
// in one line, and each gets its share whatever the others do. No accepted input waits
// while a worker is free, unless its options hold it back (see below), not even one that
// a slow worker has already taken: a worker that has taken several inputs at once leaves
// them to workers that have nothing to do.
//
// The function may use its own pool with the context it was given. If no worker is
// free, Do, Map and Stream then run within the share of the calling call, and
// [Job.Wait] runs the job that it waits for, so none of them waits for a worker that
// cannot come. A share runs one call at a time: if a call uses the pool from several
// goroutines, they take turns, and whatever it leaves running when it returns runs
// alongside the next call of its worker. A context lends a share only while its call
// runs. In Map and Stream, where one context serves many calls, it does so as long as
// its worker takes part, so do not keep it beyond the call.
//
// # The queue
//
// The queue is bounded: 1024 jobs, or as many as [Queue] says. [WhenFull] sets
// whether Submit waits for room, gives up, drops the oldest job or runs the new one
// on the caller's goroutine. Jobs start in the order in which they came, except:
//
//   - [Priority] gives a job a head start of a fixed time ([Aging]), so nothing
//     starves.
//   - [Key] runs one job at a time for each key, in order; other jobs in the queue are
//     not held up.
//   - [After] keeps a job from starting before a given time.
//   - [Weight] keeps the total weight under way within the pool's [Capacity].
//
// A job that may not start yet occupies no worker. Such jobs count toward the bound
// of the queue, and [Pool.Shutdown] waits for them as for all others. If the jobs of
// one slow key, or delayed ones, fill the queue, other jobs find no room although
// workers are free: make the queue large enough for them, or use one pool for each
// tenant.
//
// # Jobs that make jobs
//
// A call of a crawler finds more pages to fetch. It may use Do, Map and Stream for them,
// which run within its share, or Submit jobs with its context as long as there is room:
// Submit does not wait for room inside a call, but fails with an error that matches
// [ErrWouldDeadlock] and [ErrFull]. So make the [Queue] large enough, or call Do if it is
// full. [Pool.Shutdown] does not wait for jobs still to come: it refuses them, including
// those of running jobs. Count the jobs to know when all is done, and shut down after
// that:
//
//	var pending sync.WaitGroup
//	var p *pool.Pool[string, int]
//	submit := func(ctx context.Context, url string) error {
//		pending.Add(1)
//		_, err := p.Submit(ctx, url)
//		if err != nil {
//			pending.Done() // it was not accepted
//		}
//		return err
//	}
//	p = pool.New(func(ctx context.Context, url string) (int, error) {
//		defer pending.Done()
//		... // fetch, and submit(ctx, link) for each link that is new
//	}, pool.Workers(8), pool.Queue(100_000))
//	err := submit(ctx, start)
//	pending.Wait()
//	err = p.Shutdown(ctx)
//
// This counts calls. If the pool has a [Retry], or jobs may be canceled or dropped before
// they start, call Done where the job has ended instead, after [Job.Wait].
//
// # Watching and steering
//
// All of this is about jobs; the callers of Do, Map and Stream have the outcome at hand.
// A [Job] reports its own status, and with [Job.Info] its worker, attempt and times so
// far. [Pool.Stats] counts all jobs, at one instant;
// [Pool.Workers] reports what each worker does; with [Track], [Pool.Jobs] and
// [Pool.Job] find jobs by number; with [Observe], a function is told of each [Event].
// A feature that is not used costs nothing, and an observer that is slow or panics
// does no harm. A function finds its own job and worker with [CallOf].
//
// [Pool.Pause] and [Pool.Resume] hold back new calls, [Pool.Resize] sets the number
// of workers, and [Pool.Halt] and [Pool.HaltNow] stop one of them. They do not block,
// and may be called at any time, including inside a call and after the end of the
// pool.
//
// # Contexts
//
// The calls of Do, Map and Stream get the context of the method. The context of
// Submit bounds the wait for room in the queue and provides the job's values; the
// job's own context ends by [Job.Cancel], [Pool.HaltNow], a [Timeout], or the end of
// the pool. So a handler that returns does not end the job it submitted. If the
// context has already ended, no input is taken. The context of a call ends, at the
// latest, with the Do, the job, the Map or the Stream that it is part of.
//
// A nil context panics; the message names the method.
//
// The error of what an ended context has cut short is its cause, [context.Cause]. If you
// cancel with a cause of your own, check for that cause, not for [context.Canceled]. The
// error of a canceled job matches both.
//
// # Shutdown
//
// [Pool.Shutdown] accepts nothing more and lets everything accepted finish, as long
// as its context lasts. For that it ends a pause, and gives the pool a worker if it
// has none left. [Pool.Close] cancels what is left. Nothing of the pool runs after
// Close has returned, nor after Shutdown has, unless it returns a [*StuckError],
// which lists what is stuck, jobs by number and age. The exception is the function in
// [Observe]: both wait for it at most 100 ms, and it may go on after them. Later calls
// get [ErrClosed].
//
// # Errors and panics
//
// An error returned by the function is the error of its input, unchanged. A panic is
// caught with its stack and becomes that input's [*result.PanicError]; the worker
// goes on. A function that calls [runtime.Goexit] ends its input with [ErrGoexit],
// and its goroutine is replaced. If it runs on the goroutine of a caller (of Do, Map
// or Job.Wait), it ends that goroutine, as it would without a pool, and its worker is
// free again. A function that does not return holds its worker: the end of its
// context, by a [Timeout], [Pool.HaltNow] or otherwise, does not end the call, and
// its callers keep waiting. An input canceled before it started is [result.Canceled],
// with the cause, and was never called. [Retry] repeats failed calls; a panic is
// never retried. [NewStateful] gives each worker a state, which is opened before its
// first call and closed after its last one, whatever happened in between. Invalid
// arguments panic at construction with a message that names them.
//
// # Timing
//
// Each job and each result of a Stream records when it was accepted, how long it
// waited and how long its call ran. The clock is read once at each boundary: where a
// worker goes on without a pause, the end of one call is the start of the next.
package pool
