package pipeline

import (
	"time"

	"github.com/millstream-go/millstream/result"
)

// Snapshot describes a run at one instant: what each stage has done, and how its workers
// have spent their time. [Snapshot.Bottleneck] and [Snapshot.Verdict] say which stage holds
// the run back, [Snapshot.String] is a table for people, and [Snapshot.MarshalJSON] is for
// programs.
//
// It is a plain value that no longer changes. Copies share its slices, which goroutines may
// read at once. The zero Snapshot is empty.
type Snapshot struct {
	Elapsed time.Duration // since the run began, up to its end
	Done    bool          // the run has ended
	Stages  []StageStats  // in the order of Plan.Stages, a ForEach before the terminal: each after those that it takes from
}

// StageStats is what one stage has done. A source is a stage that takes from no other, and
// the terminal is the last stage. The time inside the sequence of a source counts as busy,
// and so does the time in the body of the loop over All or Results.
//
// It is a plain value like [Snapshot]. The zero StageStats has done nothing.
type StageStats struct {
	Name, Kind string
	From       []int  // positions in Snapshot.Stages of the stages that it takes from
	Group      int    // stages of a group are fused: they run on one goroutine
	Workers    int    // how many it may have now; 0 if it has no workers of its own
	MaxWorkers int    // above 0 if it chooses its number of workers itself (Auto), up to this
	Choice     string // why it has chosen its current number, for people; empty without Auto
	Copies     int    // lanes of a Partition that it runs in, each with Workers; 1 elsewhere
	Ordered    bool   // it has workers and gives its outputs in the order of its inputs
	Window     int    // of an ordered one: inputs that may be in flight or finished, in each lane; 0 if not ordered

	In, Out uint64 // items that came in, and went out; with Results, also those that failed in earlier stages
	Errors  uint64 // inputs that failed in this stage, whatever happened to them
	Retries uint64 // calls that were made again
	Skipped uint64 // of Errors, those that OnError(Skip) dropped
	Dead    uint64 // of Errors, those that went to a DeadLetter

	// How its workers spent their time, as shares from 0 to 1: in calls, or gathering a
	// Batch or Window; waiting for input; waiting for room after it; waiting for a Limit.
	// They add up to 1, or are all 0 if no time has passed, and for a stage that hands
	// items over without a goroutine of its own. For a fused stage, time in earlier stages
	// of its group counts as starved, and time in later ones as blocked.
	Busy, Starved, Blocked, Limited float64

	// Times of its inputs whose calls have ended: from the end of the stage before to the
	// start of the call, limits included; and in calls, retries and their pauses included.
	// All 0 if none was measured, as in stages without a function.
	Wait, Run result.Quantiles

	Queue, PeakQueue, Buffer int // items waiting before it: now, the most so far, and the most allowed; Buffer 0: no queue
}

// Bottleneck returns the position in Stages of the stage that holds the run back. If there
// is none to blame, ok is false and stage is -1.
//
// Bottleneck compares what runs together, a pool of workers or the stages fused on one
// goroutine, by its utilization: the share of its time that it was busy or waited for a
// Limit. The busiest one holds the run back if its utilization was above one half; of
// stages fused on it, the one with the largest share is returned. If several are equally
// busy, it is the one where the stages before it are blocked and the stages after it starve
// the longest. There are two exceptions, because utilization alone would blame the wrong
// stage:
//
//   - A source that is merged with others, and after which no stage starves, holds only
//     itself back. It is passed over if another stage was busy more than half of the time.
//   - If no stage was, the bottleneck may still be one with several workers or lanes, if
//     all stages before it were blocked and all stages after it starved more than half of
//     the time: most of its workers wait for one, as those of an [Ordered] stage do after a
//     slow call.
func (s Snapshot) Bottleneck() (stage int, ok bool) {
	v := surveyOf(s)
	c, why := v.blame()
	if why == nothing {
		return -1, false
	}
	return v.crews[c].top, true
}
