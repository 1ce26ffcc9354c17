package pipeline

import (
	"time"

	"github.com/millstream-go/millstream/result"
)

// Snapshot is what a Report knows at one instant. It is a plain value.
type Snapshot struct {
	Elapsed time.Duration // since the run began, up to its end
	Done    bool          // the run has ended
	Stages  []StageStats  // in the order of Plan.Stages
}

// StageStats is what one stage has done.
type StageStats struct {
	Name, Kind string
	From       []int // places in Snapshot.Stages of those that it takes from
	Group      int   // stages of a group are fused: they run on one goroutine
	Workers    int   // how many it may have now; 0: none of its own
	MaxWorkers int   // above 0: it finds its number by itself (Auto), up to this one
	Copies     int   // lanes of a Partition in which it runs; 1 elsewhere

	In, Out uint64 // items that came in, and went out
	Errors  uint64 // inputs that failed, whatever became of them
	Retries uint64 // calls that were made again
	Skipped uint64 // of Errors, those that were dropped as OnError(Skip) says
	Dead    uint64 // of Errors, those that went to a DeadLetter

	// What its workers did with their time, as shares of it that add up to 1 (or are all 0 if no time has passed):
	// in calls; waiting for input; waiting for room behind it; waiting for a Limit. For a fused stage, time in the stages
	// of its group before it counts as starved, and in those behind it as blocked.
	Busy, Starved, Blocked, Limited float64

	Wait, Run result.Quantiles // of its inputs: from the end of the stage before to the start of the call; in calls

	Choice string // of a stage that finds its number of workers by itself: why it is what it is

	Queue, PeakQueue, Buffer int // items that wait before it now, and at most so far, and may at most; Buffer 0: no queue
}
