// Package ratelimit limits events: to a rate per second with bursts ([Limiter]), for each key
// ([Keyed]), in any window of time ([Window]), by several limits at once ([Multi]), and in
// bytes ([Reader], [Writer]).
//
//	l := ratelimit.NewLimiter(10, 20) // ten a second, twenty at once
//	if err := l.Wait(ctx); err != nil {
//		return err
//	}
//
// The package has what golang.org/x/time/rate has, [Sometimes] included, so that only the import
// has to change, and what is listed below:
//
//	import rate "github.com/millstream-go/millstream/ratelimit"
//
// Limiter, Window, MultiLimiter and [KeyLimit] have a Wait method, so a pool or a pipeline
// stage of this module can wait for them before each call.
//
// # The promise
//
// In every span of time W, wherever it begins, at most burst + limit*W events are let through,
// however callers race and clocks step. Under load no token is lost, over any number of years.
// The methods concerned say what happens in debt ([Limiter.Settle]) and after a change of the
// limit.
//
// # What differs from x/time/rate
//
//   - If the clock steps back, or callers disagree about the time, no token is handed out twice
//     (golang/go#56287, golang/go#71360). See [Limiter.AllowN].
//   - Callers of Wait stand in line, and a caller takes its tokens only when its turn comes. So
//     canceling a Wait leaves no trace, SetLimit and SetBurst take effect for callers that are
//     already waiting, and Allow cannot take the tokens that a caller waits for.
//   - If the deadline is too near, Wait returns an error that is context.DeadlineExceeded
//     (golang/go#54541) and says how long the wait would have been: [WaitError].
//   - Reservation.Cancel gives back as much as possible (golang/go#56924, golang/go#69419), and
//     does so only once.
//   - AllowN with an n of 0 is always true, even in debt.
//   - Limits are exact: nothing is computed in floating point (golang/go#34861,
//     golang/go#46579, golang/go#71154).
//   - With a limit of zero the burst can be used once, as in x/time since golang/go#39984 and
//     golang/go#18763. But a Reserve beyond it is not OK (golang/go#47221), and a Wait beyond
//     it waits for a change instead of for 292 years.
//   - AllowN, WaitN and ReserveN panic if n is negative, where x/time adds tokens: use
//     [Limiter.Refund] for that. A NaN limit panics, too.
//   - A Limiter must not be copied; neither must one of x/time.
//
// # Which method
//
//   - [Limiter.Wait] slows the caller down.
//   - [Limiter.Allow] drops events above the limit.
//   - [Limiter.Take] answers a client: what is left, and when to come back.
//   - [Limiter.Reserve] returns a time, and leaves the waiting to the caller.
//   - [Limiter.Refund] and [Limiter.Settle] correct a cost that is known only afterwards.
//   - [Limiter.Pause] stops everything until a time that the server has set.
//
// # How it works
//
// A Limiter is a generic cell rate algorithm, the virtual scheduling of ITU-T Recommendation
// I.371 (also ATM Forum Traffic Management 4.0, section 4.4; explained at
// https://brandur.org/rate-limiting). Its state is one number, the time at which the bucket
// will be full again. A call that is let through moves this time with one compare-and-swap; a
// call that is denied only reads it. The number counts ticks, whose length is chosen so that
// nothing is rounded, except for extreme limits and bursts.
//
// # How many at once
//
// [Concurrency] limits how many calls are in flight, not how often they start, and finds that
// number itself: by the latency of calls ([Gradient]) or by the calls that were dropped
// ([AIMD]). [Guard] puts it around a function, and can serve as the limit of a stage as well.
//
// Package [github.com/millstream-go/millstream/ratelimit/ratehttp] applies these limits to HTTP
// handlers and clients. Package [github.com/millstream-go/millstream/ratelimit/ratesim]
// simulates what limits do to traffic before they go into production.
//
// # Goroutines and clocks
//
// All methods may be called from any goroutine. Methods that take a context or whose name
// starts with Wait may block; no other method blocks for longer than another call takes. No
// goroutine runs in the background, nothing has to be closed, and limits that are no longer
// used are garbage collected. A limit uses one timer, and only while callers wait, however many
// they are.
//
// The clock is the monotonic one, read as the time since the limiter was made. A method that
// takes a time uses that time as it is. In a bubble of testing/synctest, limits that were made
// in the bubble use its time.
package ratelimit
