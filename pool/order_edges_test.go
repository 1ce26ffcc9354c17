package pool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// "A job overtakes jobs with a priority lower by n if they came less than n times d
// before it." With exactly n times d it does not.
func TestPriorityDoesNotOvertakeAtExactlyTheHeadStart(t *testing.T) {
	scenario{"exactly", []pool.Option{pool.Workers(1), pool.Aging(10 * sec)}, []cue{
		{0, "x", 30 * sec, nil, nil}, {0, "old", sec, ranked(0), nil}, {10 * sec, "new", sec, ranked(1), nil},
	}, "x@0 old@30 new@31"}.play(t)
}

// "Among equal ones, the first to come starts first", and "jobs start in the
// order in which they came", also if they came at the same reading of the clock.
func TestJobsOfOneInstantKeepTheirOrder(t *testing.T) {
	scenario{"one instant", oneWorker, []cue{
		{0, "x", sec, nil, nil}, {0, "zero", sec, ranked(0), nil}, {0, "plain", sec, nil, nil},
	}, "x@0 zero@1 plain@2"}.play(t)
}

// "Jobs start in the order in which they came", also behind one that was canceled: it
// does not count as one that costs nothing.
func TestBacklogWithACanceledJobStartsInOrder(t *testing.T) {
	cues := []cue{{0, "", 0, nil, pausing}}
	want := ""
	for i := range 20 {
		name := string(rune('a' + i))
		cues = append(cues, cue{time.Duration(i), name, sec, nil, nil})
		if i > 0 {
			want += fmt.Sprintf(" %s@%d", name, 1+(i-1)/2)
		}
	}
	cues = append(cues, cue{100, "", 0, nil, canceling("a")}, cue{sec, "", 0, nil, resuming})
	scenario{"backlog", twoWorkers, cues, want[1:]}.play(t)
}

// "Priority lets a job start before jobs with a lower priority", also while the worker is
// taken by a Do.
func TestPriorityOvertakesWhatWaitsBehindADo(t *testing.T) {
	scenario{"priority", oneWorker, []cue{
		{0, "", 0, nil, doing(5 * sec)}, {1 * sec, "low", sec, ranked(-1), nil}, {2 * sec, "plain", sec, nil, nil},
		{3 * sec, "high", sec, ranked(1), nil},
	}, "high@5 plain@6 low@7"}.play(t)
}
