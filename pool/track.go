package pool

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/millstream-go/millstream/result"
)

// JobInfo describes one job at one instant. It is a plain value.
type JobInfo struct {
	ID      uint64
	Status  result.Status
	Attempt int   // calls made, including one under way
	Worker  int   // the one that made the last call; -1: none
	Err     error // once it has ended
	// Timing of a job that has not ended is how long it has waited and run so far.
	Timing result.Timing
	// The options that it was submitted with.
	Key      any
	Priority int
	Weight   int64
}

// MarshalJSON returns the job as a JSON object with lower-case names, the error and the
// key as their texts and durations in seconds. It leaves out the worker if there is none,
// and an error, a key, a priority and a weight that are not set.
func (i JobInfo) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID       uint64        `json:"id"`
		Status   result.Status `json:"status"`
		Attempt  int           `json:"attempt"`
		Worker   *int          `json:"worker,omitempty"`
		Err      *string       `json:"err,omitempty"`
		Queued   time.Time     `json:"queued,omitzero"`
		Wait     float64       `json:"wait_seconds"`
		Run      float64       `json:"run_seconds"`
		Key      *string       `json:"key,omitempty"`
		Priority int           `json:"priority,omitempty"`
		Weight   int64         `json:"weight,omitempty"`
	}{
		i.ID, i.Status, i.Attempt, number(i.Worker), text(i.Err),
		i.Timing.Queued, i.Timing.Wait.Seconds(), i.Timing.Run.Seconds(),
		text(i.Key), i.Priority, i.Weight,
	})
}

// Jobs returns the jobs of a pool with [Track], by number: those that have not ended,
// and the last ones that have. It looks at one after the other, so they may change
// meanwhile; for counts that add up, see [Pool.Stats]. Without Track it returns nil.
// For outputs, use [Pool.Job]; a [Job] describes itself with [Job.Info].
func (p *Pool[In, Out]) Jobs() []JobInfo {
	if p.track == nil {
		return nil
	}
	jobs := p.track.all()
	infos := make([]JobInfo, 0, len(jobs))
	now := p.clock.Now()
	for _, j := range jobs {
		infos = append(infos, j.info(now))
	}
	slices.SortFunc(infos, func(a, b JobInfo) int { return cmp.Compare(a.ID, b.ID) })
	return withoutOldEnds(infos, p.kept)
}

// withoutOldEnds removes the jobs that ended first, until no more than keep ended jobs
// are left. There may be more, since a job ends a moment before the registry learns of
// it, or while Jobs looks at the others.
func withoutOldEnds(infos []JobInfo, keep int) []JobInfo {
	var ends []time.Time
	for _, i := range infos {
		if i.Status.Terminal() {
			ends = append(ends, i.Timing.Finished())
		}
	}
	if len(ends) <= keep {
		return infos
	}
	slices.SortFunc(ends, time.Time.Compare)
	first, surplus := ends[len(ends)-keep-1], len(ends)-keep
	return slices.DeleteFunc(infos, func(i JobInfo) bool {
		old := surplus > 0 && i.Status.Terminal() && !i.Timing.Finished().After(first)
		if old {
			surplus--
		}
		return old
	})
}

// Job returns the job with that number, of a pool with [Track]. It returns false if
// there is none, or if it ended too long ago.
func (p *Pool[In, Out]) Job(id uint64) (*Job[Out], bool) {
	if p.track == nil {
		return nil, false
	}
	j := p.track.find(id)
	if j == nil {
		return nil, false
	}
	return &j.Job, true
}

// info describes the job at a reading of the clock.
func (j *job[In, Out]) info(now int64) JobInfo {
	word := j.ctx.state.Load()
	i := JobInfo{ID: j.ID(), Status: statusOf(word), Worker: -1}
	if j.x != nil {
		e := &j.x.entry // the zero entry, if it has none
		i.Key, i.Priority, i.Weight = e.Key, e.Priority, e.Weight
	}
	i.Timing.Queued = j.pool.clock.Time(j.queued)
	switch begun := int64(word >> statusBits); i.Status {
	case result.Queued:
		i.Timing.Wait = since(j.queued, now)
	case result.Running:
		i.Worker = j.calledBy()
		if begun == 0 || i.Worker < 0 { // it is being ended without having started, or waits for a limit
			begun = now
		}
		i.Timing.Wait, i.Timing.Run = since(j.queued, begun), since(begun, now)
	default:
		i.Timing, i.Err, i.Worker = j.timing(), j.err, int(j.worker)
	}
	if i.Worker >= 0 {
		i.Attempt = 1 + int(j.ctx.retries.Load())
	}
	return i
}

// calledBy returns the worker that has called the function for a job that has started,
// or -1. If nothing records that, it is the one that is about to.
func (j *job[In, Out]) calledBy() int {
	if j.x != nil {
		return int(j.x.worker.Load())
	}
	if s := j.ctx.slot.Load(); s != nil {
		return s.id
	}
	return -1
}

// registry holds the jobs of a pool with Track.
type registry[In, Out any] struct {
	mu   sync.Mutex
	jobs map[uint64]*job[In, Out]
	last []uint64 // the jobs that ended last: a ring, once it is full
	keep int
	next int // place in last
}

func newRegistry[In, Out any](keep int) *registry[In, Out] {
	return &registry[In, Out]{jobs: make(map[uint64]*job[In, Out]), keep: keep}
}

// add puts in a job that is about to be accepted.
func (r *registry[In, Out]) add(j *job[In, Out]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs[j.ID()] = j
}

// forget takes out a job that was not accepted.
func (r *registry[In, Out]) forget(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, id)
}

// ended adds a job to the last ones that ended, in place of the oldest of these.
func (r *registry[In, Out]) ended(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.keep == 0:
		delete(r.jobs, id)
	case len(r.last) < r.keep:
		r.last = append(r.last, id)
	default:
		delete(r.jobs, r.last[r.next])
		r.last[r.next] = id
		r.next = (r.next + 1) % r.keep
	}
}

// find returns the job with that number, or nil.
func (r *registry[In, Out]) find(id uint64) *job[In, Out] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j := r.jobs[id]; j != nil && j.x.accepted.Load() {
		return j
	}
	return nil
}

// all returns the jobs that were accepted.
func (r *registry[In, Out]) all() []*job[In, Out] {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*job[In, Out], 0, len(r.jobs))
	for _, j := range r.jobs {
		if j.x.accepted.Load() {
			all = append(all, j)
		}
	}
	return all
}

// since returns the time between two readings of the clock.
func since(from, to int64) time.Duration { return time.Duration(max(to-from, 0)) }
