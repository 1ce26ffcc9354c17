package pipeline

import (
	"time"

	"github.com/millstream-go/millstream/result"
)

// Snapshot is what is known of a run at one instant: what each stage has done, and
// how its workers have spent their time. [Snapshot.Bottleneck] and
// [Snapshot.Verdict] say which stage holds the run back, [Snapshot.String] is a
// table for people, and [Snapshot.MarshalJSON] is for programs.
//
// It is a plain value that does not change any more: copies share the slices in it,
// which goroutines may read at once. The zero Snapshot is one of nothing.
type Snapshot struct {
	Elapsed time.Duration // since the run began, up to its end
	Done    bool          // the run has ended
	Stages  []StageStats  // in the order of Plan.Stages: each behind those that it takes from
}

// StageStats is what one stage has done. A source is a stage that takes from none,
// and the terminal is the last one: the time inside the sequence of a source, and in
// the body of the loop over All or Results, counts as busy.
//
// It is a plain value, to be treated as [Snapshot]. The zero StageStats has done
// nothing.
type StageStats struct {
	Name, Kind string
	From       []int  // places in Snapshot.Stages of those that it takes from
	Group      int    // stages of a group are fused: they run on one goroutine
	Workers    int    // how many it may have now; 0: none of its own
	MaxWorkers int    // above 0: it finds its number by itself (Auto), up to this one
	Choice     string // why it has chosen the number that it has, for people; empty for others
	Copies     int    // lanes of a Partition in which it runs, each with Workers; 1 elsewhere
	Ordered    bool   // a stage with workers whose outputs come in the order of its inputs
	Window     int    // of an ordered one: inputs that may be in flight and finished, in each lane; 0: not ordered

	In, Out uint64 // items that came in, and went out; with Results, those that failed in stages before too
	Errors  uint64 // inputs that failed in this stage, whatever became of them
	Retries uint64 // calls that were made again
	Skipped uint64 // of Errors, those that were dropped as OnError(Skip) says
	Dead    uint64 // of Errors, those that went to a DeadLetter

	// What its workers did with their time, as shares of it from 0 to 1 that add up to 1, or are all 0 if no time has
	// passed and for a stage that hands over without a goroutine of its own: in calls, or gathering a Batch or Window;
	// waiting for input; waiting for room behind it; waiting for a Limit. For a fused stage, time in the stages of its group before it counts as
	// starved, and in those behind it as blocked.
	Busy, Starved, Blocked, Limited float64

	// Of its inputs whose calls have ended: from the end of the stage before to the start of the call, limits included,
	// and in calls, retries and their pauses included. All 0 if none was measured, as in stages without a function.
	Wait, Run result.Quantiles

	Queue, PeakQueue, Buffer int // items that wait before it now, and at most so far, and may at most; Buffer 0: no queue
}

// Bottleneck returns the place in Stages of the stage that holds the run back. ok is
// false, and stage -1, if there is none to blame.
//
// What is compared is what runs together, a pool of workers or the stages fused on one
// goroutine, by its utilization: the share of its time that it was busy or waited for
// a Limit. The busiest one holds the run back if that was more than half of the time;
// of stages fused on it, the one with the largest share is returned. Of equals it is
// the one before which stages are more blocked, and behind which they starve more.
// There are two exceptions, because utilization alone would accuse the wrong stage:
//
//   - A source that is merged with others, and behind which nobody starves, holds only
//     itself back. It is passed over if another stage was busy more than half of the time.
//   - If nothing was, it may still be one with several workers or lanes, before which
//     all were blocked and behind which all starved more than half of the time: most of
//     its workers wait for one, as those of an [Ordered] stage behind a slow call do.
func (s Snapshot) Bottleneck() (stage int, ok bool) {
	v := surveyOf(s)
	c, why := v.blame()
	if why == nothing {
		return -1, false
	}
	return v.crews[c].top, true
}
