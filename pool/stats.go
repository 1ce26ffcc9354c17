package pool

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"time"

	"github.com/millstream-go/millstream/result"
)

// Stats is what a pool has done and has in hand, at one instant: Accepted is the sum
// of Succeeded, Failed, Panicked, Canceled, Dropped, Queued and Running. It counts
// jobs; of calls of Do, Map and Stream, whose callers have the outcome at hand, it
// only tells that they keep workers Busy. It is a plain value.
type Stats struct {
	Name    string
	Paused  bool
	Workers int // calls that may be under way at once
	Busy    int // workers that make one, halted ones included
	Idle    int // workers that do not, without those that are closing their state

	Capacity int // jobs that may wait; see [Queue]
	Queued   int // jobs that wait, those that are delayed or in a worker's hand included
	Running  int // jobs that were started and have not ended

	Accepted  uint64
	Succeeded uint64
	Failed    uint64
	Panicked  uint64
	Canceled  uint64
	Dropped   uint64 // to make room for others; not counted in Canceled
	Retried   uint64 // calls that were made again

	Wait result.Quantiles // of the jobs that were started and have ended
	Run  result.Quantiles

	EventsLost     int // that the observer was too slow for
	ObserverPanics int
}

// Stats takes one snapshot. It holds up the ends of jobs for as long as it takes
// to look at each worker.
func (p *Pool[In, Out]) Stats() Stats {
	s := Stats{Name: p.name, Capacity: p.depth, Retried: p.retried.Load()}
	if p.watch != nil {
		s.EventsLost, s.ObserverPanics = p.watch.troubles()
	}
	var all result.Summary
	p.tally.freeze()
	defer p.tally.thaw()
	accepted, ended := uint64(0), uint64(0)
	for i := range p.tally.parts {
		t := &p.tally.parts[i]
		all.Merge(&t.sum)
		accepted += t.accepted
		s.Dropped += t.dropped
		s.Running += t.nested
	}
	closing := 0
	s.Workers, s.Paused, s.Busy = p.slots.counts(func(at *slot) {
		if at.closing && !at.halting {
			closing++
		}
		if c := at.call.Load(); c != nil && c.job != 0 && c.status() == result.Running {
			s.Running++
		}
	})
	s.Idle = max(s.Workers-s.Busy-closing, 0)
	_, queued := p.queue.Counts()
	s.Accepted = accepted + queued
	for status, n := range map[result.Status]*uint64{
		result.Succeeded: &s.Succeeded, result.Failed: &s.Failed,
		result.Panicked: &s.Panicked, result.Canceled: &s.Canceled,
	} {
		*n = uint64(all.Count(status))
		ended += *n
	}
	s.Canceled -= s.Dropped
	s.Queued = int(s.Accepted-ended) - s.Running
	s.Wait, s.Run = all.Wait(), all.Run()
	return s
}

// String returns the snapshot as a JSON object, as MarshalJSON does. So Stats is an
// [expvar.Var], and one that is always new is
//
//	expvar.Publish("pool", expvar.Func(func() any { return p.Stats() }))
//
// [expvar.Var]: https://pkg.go.dev/expvar#Var
func (s Stats) String() string {
	b, err := s.MarshalJSON()
	if err != nil {
		panic("pool: Stats: " + err.Error()) // numbers and a string: cannot be
	}
	return string(b)
}

// MarshalJSON returns the snapshot as a JSON object with lower-case names and durations
// in seconds. Its error is always nil.
func (s Stats) MarshalJSON() ([]byte, error) {
	type quantiles struct {
		P50 float64 `json:"p50"`
		P90 float64 `json:"p90"`
		P99 float64 `json:"p99"`
		Max float64 `json:"max"`
	}
	seconds := func(q result.Quantiles) quantiles {
		return quantiles{q.P50.Seconds(), q.P90.Seconds(), q.P99.Seconds(), q.Max.Seconds()}
	}
	return json.Marshal(struct {
		Name           string    `json:"name,omitempty"`
		Paused         bool      `json:"paused"`
		Workers        int       `json:"workers"`
		Busy           int       `json:"busy"`
		Idle           int       `json:"idle"`
		Capacity       int       `json:"capacity"`
		Queued         int       `json:"queued"`
		Running        int       `json:"running"`
		Accepted       uint64    `json:"accepted"`
		Succeeded      uint64    `json:"succeeded"`
		Failed         uint64    `json:"failed"`
		Panicked       uint64    `json:"panicked"`
		Canceled       uint64    `json:"canceled"`
		Dropped        uint64    `json:"dropped"`
		Retried        uint64    `json:"retried"`
		Wait           quantiles `json:"wait_seconds"`
		Run            quantiles `json:"run_seconds"`
		EventsLost     int       `json:"events_lost"`
		ObserverPanics int       `json:"observer_panics"`
	}{
		s.Name, s.Paused, s.Workers, s.Busy, s.Idle, s.Capacity, s.Queued, s.Running,
		s.Accepted, s.Succeeded, s.Failed, s.Panicked, s.Canceled, s.Dropped, s.Retried,
		seconds(s.Wait), seconds(s.Run), s.EventsLost, s.ObserverPanics,
	})
}

// tally counts the ends of jobs, in parts so that workers do not wait for each other.
//
// Lock order: the lock of a job's context, then that of a part, then that of the slots
// or of the queue. Only Stats holds a part while it takes another lock.
type tally struct {
	parts []part // a power of two
}

type part struct {
	mu       sync.Mutex
	sum      result.Summary  // of jobs that have ended
	dropped  uint64          // of those
	accepted uint64          // jobs that did not go through the queue
	nested   int             // jobs that run in the share of another call
	_        [cacheLine]byte // two parts share no cache line
}

// mostParts bounds the memory of the quantiles, 32 KiB for each part that is used.
const mostParts = 16

func newTally(workers int) tally {
	n := min(workers, runtime.GOMAXPROCS(0), mostParts)
	return tally{parts: make([]part, 1<<bits.Len(uint(max(n, 1)-1)))}
}

// part is where a worker counts; all that belongs to its slot is guarded by it.
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

// through reports whether all jobs that were accepted have ended. It may ask a queue that
// accepts none any more.
func (t *tally) through(queue interface {
	Counts() (waiting int, accepted uint64)
},
) bool {
	_, accepted := queue.Counts()
	ended := uint64(0)
	t.freeze()
	defer t.thaw()
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

// WorkerState is what a worker does.
type WorkerState uint8

// The zero value is WorkerIdle.
const (
	WorkerIdle    WorkerState = iota // it makes no call, or has not started yet
	WorkerBusy                       // it makes one, or is about to
	WorkerHalting                    // it will stop after its current call, or is closing its state
)

// String returns "idle", "busy" or "halting".
func (s WorkerState) String() string {
	switch s {
	case WorkerIdle:
		return "idle"
	case WorkerBusy:
		return "busy"
	case WorkerHalting:
		return "halting"
	}
	return fmt.Sprintf("worker state %d", uint8(s))
}

// WorkerInfo tells of one worker at one instant. It is a plain value.
type WorkerInfo struct {
	ID    int
	State WorkerState
	// Job is the number of the job in hand; 0: none, or a call of Do, Map or Stream.
	Job uint64
	// Since is when the job in hand was started or, for an idle worker, when its
	// last job ended; zero if there is none. Calls of Do, Map and Stream leave no trace.
	Since time.Time
	Done  uint64 // jobs that have ended here since the worker started
}

// Workers returns the pool's workers by number, also those that have not started
// for lack of work; they are idle. Those that were halted are gone.
func (p *Pool[In, Out]) Workers() []WorkerInfo {
	p.tally.freeze()
	defer p.tally.thaw()
	var all []WorkerInfo
	p.slots.each(func(id int, at *slot) {
		w := WorkerInfo{ID: id}
		if at == nil {
			all = append(all, w)
			return
		}
		w.Done = at.done
		since := at.lastEnd
		switch {
		case at.halting || at.closing:
			w.State = WorkerHalting
		case at.held:
			w.State = WorkerBusy
		}
		if at.held {
			since = 0
			if c := at.call.Load(); c != nil && c.job != 0 && c.status() == result.Running {
				w.Job, since = c.job, c.begun()
			}
		}
		if since != 0 {
			w.Since = p.clock.Time(since)
		}
		all = append(all, w)
	})
	return all
}
