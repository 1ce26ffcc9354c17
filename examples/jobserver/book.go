package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// errKeyReused says that an idempotency key came again with another task.
var errKeyReused = errors.New("the key was used for another task")

// A record is what the server knows of a job beside its pool: the pool gives back the output of a
// job, but not its input.
type record struct {
	task   task
	queued time.Time
	job    *pool.Job[string]        // set before anybody can find the record
	call   atomic.Pointer[callMade] // the last one; nil: none yet
}

// A callMade is one run of a task.
type callMade struct {
	started time.Time // of the first attempt
	info    pool.CallInfo
}

// runTask is the function of the pool.
func runTask(ctx context.Context, r *record) (string, error) {
	c := &callMade{started: time.Now()}
	c.info, _ = pool.CallOf(ctx)
	if before := r.call.Load(); before != nil {
		c.started = before.started
	}
	r.call.Store(c)
	return r.task.do(ctx)
}

// A book has the records of a pool's jobs. All that the pool tracks are in it; of those it has
// forgotten at most twice as many again, so that forgetting costs a submission next to nothing.
//
// It may be used by any number of goroutines. Its lock is held while the pool takes a job, so that
// whoever learns of a job by its number, from an event for one, finds its record.
type book struct {
	pool *pool.Pool[*record, string]

	mu      sync.RWMutex
	records map[uint64]*record
	sweepAt int
	keys    *keyring
}

func newBook(p *pool.Pool[*record, string], keys *keyring) *book {
	return &book{pool: p, records: make(map[uint64]*record), sweepAt: minSweep, keys: keys}
}

// minSweep is the number of records below which the book does not look for some to forget.
const minSweep = 512

// submit puts t into the queue, without waiting for room. With a key that it has seen it returns the
// record of then, and that it is a replay, even if the pool takes no more jobs. A key does not outlive
// its job: if that is forgotten, the task is a new one. An error is the pool's, or errKeyReused.
func (b *book) submit(t task, key string) (r *record, replay bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if key != "" {
		if r = b.keys.find(key, now); r != nil {
			switch {
			case b.records[r.job.ID()] == nil:
				b.keys.remove(key)
			case r.task != t:
				return nil, false, errKeyReused
			default:
				return r, true, nil
			}
		}
	}
	r = &record{task: t, queued: now}
	// TrySubmit and not Submit, whose job would keep the values of the request's context alive.
	r.job, err = b.pool.TrySubmit(r)
	if err != nil {
		return nil, false, err
	}
	if key != "" {
		b.keys.add(key, r, now)
	}
	b.records[r.job.ID()] = r
	if len(b.records) >= b.sweepAt {
		b.sweepLocked()
	}
	return r, false, nil
}

func (b *book) sweepLocked() {
	for id := range b.records {
		if _, ok := b.pool.Job(id); !ok {
			delete(b.records, id)
		}
	}
	b.sweepAt = max(minSweep, 3*len(b.records))
}

// find returns the record of a job, or nil.
func (b *book) find(id uint64) *record {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.records[id]
}

// size returns the number of records.
func (b *book) size() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.records)
}

// left returns the numbers of the jobs that did not end, or that the end of the drain has ended, in
// order. Nothing is forgotten any more when jobs are no longer taken, so these are all.
func (b *book) left() []uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var ids []uint64
	for id, r := range b.records {
		if res, ended := r.job.Result(); !ended || errors.Is(res.Err, errDeadline) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// writeLedger writes all jobs that are remembered, one a line, by number.
func (b *book) writeLedger(w io.Writer) error {
	b.mu.RLock()
	records := slices.Collect(maps.Values(b.records))
	b.mu.RUnlock()
	slices.SortFunc(records, func(a, b *record) int { return cmp.Compare(a.job.ID(), b.job.ID()) })
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	for _, r := range records {
		if err := lines.Encode(r.view()); err != nil {
			return err
		}
	}
	return out.Flush()
}

// A jobView is a job as clients see it. Durations are in seconds; those that were measured say so in
// their names, as in [pool.Stats].
type jobView struct {
	ID       uint64        `json:"id"`
	Name     string        `json:"name"`
	Kind     kind          `json:"kind"`
	Delay    float64       `json:"delay"`
	Status   result.Status `json:"status"`
	Queued   time.Time     `json:"queued"`
	Started  *time.Time    `json:"started,omitempty"`
	Finished *time.Time    `json:"finished,omitempty"`
	Wait     float64       `json:"wait_seconds"`
	Run      float64       `json:"run_seconds"`
	Attempts int           `json:"attempts"`
	Worker   *int          `json:"worker,omitempty"`
	Result   string        `json:"result,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// appendQueued appends the view of the job as it was when it was taken, with a line break. It is what package
// encoding/json would write, but most answers are this one, and reflection would take most of their time.
func (r *record) appendQueued(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendUint(b, r.job.ID(), 10)
	b = append(b, `,"name":`...)
	b = appendText(b, r.task.Name)
	b = append(b, `,"kind":"`...)
	b = append(b, r.task.Kind...)
	b = append(b, `","delay":`...)
	b = strconv.AppendFloat(b, r.task.Delay.Seconds(), 'f', -1, 64)
	b = append(b, `,"status":"queued","queued":"`...)
	b = r.queued.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, "\",\"wait_seconds\":0,\"run_seconds\":0,\"attempts\":0}\n"...)
}

// appendText appends s as JSON.
func appendText(b []byte, s string) []byte {
	plain := func(c byte) bool {
		return ' ' <= c && c <= '~' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	for i := range len(s) {
		if !plain(s[i]) {
			text, _ := json.Marshal(s) // a string always has a JSON text
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// view returns what is known of the job now.
func (r *record) view() jobView {
	v := jobView{
		ID: r.job.ID(), Name: r.task.Name, Kind: r.task.Kind, Delay: r.task.Delay.Seconds(),
		Queued: r.queued.UTC(),
	}
	if res, ended := r.job.Result(); ended {
		v.Status, v.Attempts = res.Status(), res.Attempt
		v.Wait, v.Run = res.Timing.Wait.Seconds(), res.Timing.Run.Seconds()
		v.Finished = new(res.Timing.Finished().UTC())
		if res.Attempt > 0 {
			v.Started, v.Worker = new(res.Timing.Started().UTC()), &res.Worker
		}
		v.Result = res.Value
		if res.Err != nil {
			v.Error = res.Err.Error()
		}
		return v
	}
	c := r.call.Load()
	if c == nil {
		v.Status, v.Wait = result.Queued, time.Since(r.queued).Seconds()
		return v
	}
	v.Status, v.Attempts, v.Worker = result.Running, c.info.Attempt, &c.info.Worker
	v.Started = new(c.started.UTC())
	v.Wait, v.Run = c.started.Sub(r.queued).Seconds(), time.Since(c.started).Seconds()
	return v
}
