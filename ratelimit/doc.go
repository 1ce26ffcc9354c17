// Package ratelimit limits how often, how much and how strictly: in events per second
// with bursts ([Limiter]), for each key ([Keyed]), in any window of time
// ([Window]), by several limits at once ([Multi]), and in bytes ([Reader], [Writer]).
//
//	l := ratelimit.NewLimiter(10, 20) // ten a second, twenty at once
//	if err := l.Wait(ctx); err != nil {
//		return err
//	}
//
// A Limiter has the methods of golang.org/x/time/rate.Limiter, so that the import is all
// that changes. Each type here has a Wait, and so is a limit of a pool or of a stage of a
// pipeline of this module, which wait for it before a call starts.
//
// # The promise
//
// In every span of time W, wherever it begins, at most burst + limit*W events are let
// through, however callers race and clocks step; and under load nothing is lost, over any
// number of years. What happens in debt ([Limiter.Settle]) or after a change of the limit is told
// where it belongs.
//
// # What differs from x/time/rate
//
//   - A clock that steps back, or callers with different ideas of the time, never get
//     a token twice (golang/go#56287, golang/go#71360). See [Limiter.AllowN].
//   - Wait stands in a line. It takes its tokens when it gets them, so that
//     cancelling it leaves no trace, SetLimit and SetBurst count for those who wait, and
//     Allow cannot take what a waiter waits for.
//   - A Wait whose deadline is too near returns an error that is
//     context.DeadlineExceeded (golang/go#54541), and says how long it would take: [WaitError].
//   - Reservation.Cancel gives back all that can be (golang/go#56924, golang/go#69419), and
//     only the first time.
//   - Of nothing, AllowN is always true, also in debt.
//   - Limits are exact: nothing is computed in floating point (golang/go#34861,
//     golang/go#46579, golang/go#71154).
//   - With a limit of zero the burst is there once, as in x/time since golang/go#39984 and
//     golang/go#18763, but a Reserve beyond it is not OK (golang/go#47221), and a Wait beyond
//     it waits for a change instead of for 292 years.
//   - AllowN, WaitN and ReserveN panic if n is negative, where x/time makes tokens of it: use
//     [Limiter.Refund]. A limit that is not a number panics, too.
//   - A Limiter must not be copied, as it must not there.
//
// # Which method
//
//   - [Limiter.Wait] to slow down.
//   - [Limiter.Allow] to drop what is too much.
//   - [Limiter.Take] to answer a client, with what is left and when to come back.
//   - [Limiter.Reserve] to be told a time, and to do the waiting oneself.
//   - [Limiter.Refund] and [Limiter.Settle] if the cost is known only afterwards.
//   - [Limiter.Pause] if somebody else says when.
//
// # How it works
//
// A Limiter is a generic cell rate algorithm, the virtual scheduling of ITU-T
// Recommendation I.371 (also ATM Forum Traffic Management 4.0, section 4.4; explained at
// https://brandur.org/rate-limiting): its state is one number, the time at which the bucket
// will be full again. A call that is let through moves it with one compare-and-swap, and one
// that is denied has only read it. The number counts ticks whose length is chosen so
// that nothing is ever rounded.
//
// # How many at once
//
// [Concurrency] limits not how often but how many calls are in flight, and finds that number
// itself: by the latency of calls ([Gradient]) or by those that were dropped ([AIMD]).
// [Guard] puts it around a function, and is the limit of a stage as well.
//
// Package [github.com/millstream-go/millstream/ratelimit/ratehttp] has these limits before a
// handler and around a client, and [github.com/millstream-go/millstream/ratelimit/ratesim] shows
// what limits do to traffic before anybody meets them.
//
// # Goroutines and clocks
//
// All methods may be called from any goroutine. Those that take a context or start with
// Wait may block; none of the others does for longer than another call takes. No goroutine
// runs in the background, nothing has to be closed, and what is no longer used is collected.
// While somebody waits, a limit has one timer, whoever waits how long.
//
// The clock is the monotonic one, read as the time since the limiter was made. A method
// with a time as argument believes it. In a bubble of testing/synctest all follows the time of the bubble,
// for limits that were made in it.
package ratelimit
