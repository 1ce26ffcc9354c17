package result

import "time"

// A Timing says when an input was accepted and how its time was spent.
//
// An input that never started has waited until it was dropped: Wait is the time
// from Queued to then, Run is 0, and Started and Finished are both that moment.
//
// The zero Timing means that nothing is known. A Timing is a plain value: it
// may be copied, and read by several goroutines. If Queued has a monotonic
// clock reading, so do the times derived from it, and a step of the wall clock
// does not change them; encoding drops that reading.
type Timing struct {
	Queued time.Time     // accepted
	Wait   time.Duration // from accepted to started
	Run    time.Duration // from started to finished, including retries and the pauses before them
}

// Started returns when the first call began, Queued plus Wait. If Queued is the
// zero time, so is Started, since the start of the wait is unknown.
func (t Timing) Started() time.Time {
	if t.Queued.IsZero() {
		return time.Time{}
	}
	return t.Queued.Add(t.Wait)
}

// Finished returns when the last call ended, Queued plus Wait plus Run. If
// Queued is the zero time, so is Finished.
func (t Timing) Finished() time.Time {
	if t.Queued.IsZero() {
		return time.Time{}
	}
	// One step at a time: the sum of two durations can overflow where the times
	// do not.
	return t.Queued.Add(t.Wait).Add(t.Run)
}

// Total returns the time from accepted to finished, Wait plus Run. It does not
// need Queued.
func (t Timing) Total() time.Duration {
	return t.Wait + t.Run
}
