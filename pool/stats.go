package pool

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/result"
)

// Stats is a snapshot of what a pool has done and is doing, at one instant: Accepted
// is the sum of Succeeded, Failed, Panicked, Canceled, Dropped, Queued and Running.
// It counts jobs. Calls of Do, Map and Stream, whose callers see the outcome
// themselves, are counted only in Busy, while they keep a worker. It is a plain
// value.
type Stats struct {
	Name    string
	Paused  bool
	Workers int // calls that may be under way at once
	Busy    int // workers that are making a call, including halted ones
	Idle    int // workers that are free to make one

	Capacity int // jobs that may wait; see [Queue]
	Queued   int // jobs that wait, including those delayed or already taken by a worker
	Running  int // jobs that have started and not ended

	Accepted  uint64
	Succeeded uint64
	Failed    uint64
	Panicked  uint64
	Canceled  uint64
	Dropped   uint64 // dropped to make room for others; not counted in Canceled
	Retried   uint64 // calls of jobs that were repeated

	Wait result.Quantiles // of the jobs that have started and ended
	Run  result.Quantiles

	EventsLost     int // events lost because the observer was too slow
	ObserverPanics int
}

// Stats takes one snapshot. While it looks at each worker, no job can end.
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
	var held, excused, closing int
	s.Workers, s.Paused, held, excused = p.slots.counts(func(at *slot) {
		if at.closing && !at.halting {
			closing++
		}
		if at.runningLocked() != nil {
			s.Running++
		}
	})
	s.Busy, s.Idle = held+excused, max(s.Workers-held-closing, 0)
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
// [expvar.Var]; to publish one that is always current:
//
//	expvar.Publish("pool", expvar.Func(func() any { return p.Stats() }))
//
// [expvar.Var]: https://pkg.go.dev/expvar#Var
func (s Stats) String() string {
	b, err := s.MarshalJSON()
	if err != nil {
		panic("pool: Stats: " + err.Error()) // cannot happen: only numbers and a string
	}
	return string(b)
}

// MarshalJSON returns the snapshot as a JSON object with lower-case names and
// durations in seconds. The error is always nil.
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

// WorkerState is what a worker is doing.
type WorkerState uint8

// The zero value is WorkerIdle.
const (
	WorkerIdle    WorkerState = iota // it is making no call, or has not started yet
	WorkerBusy                       // it is making a call, or is about to
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

// MarshalText returns the same text as String. It returns an error for a number that is
// not a state.
func (s WorkerState) MarshalText() ([]byte, error) {
	if s > WorkerHalting {
		return nil, fmt.Errorf("pool: cannot marshal unknown %v", s)
	}
	return []byte(s.String()), nil
}

// WorkerInfo describes one worker at one instant. It is a plain value.
type WorkerInfo struct {
	ID    int
	State WorkerState
	// Job is the number of the current job; 0: none, or a call of Do, Map or Stream.
	Job uint64
	// Since is when the current job started or, for an idle worker, when its last job
	// ended; zero if there is none. Calls of Do, Map and Stream are not recorded.
	Since time.Time
	Done  uint64 // jobs that have ended on this worker since it started
}

// MarshalJSON returns the worker as a JSON object with lower-case names. It leaves out a
// Job and a Since that are zero.
func (w WorkerInfo) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID    int         `json:"id"`
		State WorkerState `json:"state"`
		Job   uint64      `json:"job,omitempty"`
		Since time.Time   `json:"since,omitzero"`
		Done  uint64      `json:"done"`
	}{w.ID, w.State, w.Job, w.Since, w.Done})
}

// Workers returns the pool's workers by number. Those that have not started, for lack
// of work, are idle. A halted worker is listed until it has stopped.
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
			if c := at.runningLocked(); c != nil {
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
