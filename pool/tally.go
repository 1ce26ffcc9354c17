package pool

import (
	"math/bits"
	"runtime"
	"sync"

	"github.com/millstream-go/millstream/result"
)

// tally counts jobs that end, in parts so that workers do not wait for each other.
//
// Lock order: the lock of a job's context, then that of a part, then that of the
// slots or of the queue.
type tally struct {
	parts []part // a power of two
}

type part struct {
	mu       sync.Mutex
	sum      result.Summary  // of jobs that have ended
	dropped  uint64          // of those
	accepted uint64          // jobs that did not go through the queue
	nested   int             // jobs that run in the share of another call
	_        [cacheLine]byte // keeps two parts off the same cache line
}

// mostParts bounds the memory of the quantiles: 32 KiB for each part that is used.
const mostParts = 16

func newTally(workers int) tally {
	n := min(workers, runtime.GOMAXPROCS(0), mostParts)
	return tally{parts: make([]part, 1<<bits.Len(uint(max(n, 1)-1)))}
}

// part returns the part in which a worker counts. Its lock guards the counts of the
// worker's slot.
func (t *tally) part(worker int32) *part {
	return &t.parts[int(worker+1)&(len(t.parts)-1)]
}

// ended counts a job. The part must be locked.
func (t *part) ended(status result.Status, timing result.Timing, dropped bool) {
	t.sum.Add(status, timing)
	if dropped {
		t.dropped++
	}
}

// through reports whether as many jobs have ended as were accepted: by the queue, which
// has accepted queued, and without it. The tally must be frozen.
func (t *tally) through(queued uint64) bool {
	accepted, ended := queued, uint64(0)
	for i := range t.parts {
		accepted += t.parts[i].accepted
		ended += uint64(t.parts[i].sum.Total())
	}
	return ended == accepted
}

// freeze keeps jobs from ending until thaw.
func (t *tally) freeze() {
	for i := range t.parts {
		t.parts[i].mu.Lock()
	}
}

func (t *tally) thaw() {
	for i := range t.parts {
		t.parts[i].mu.Unlock()
	}
}
