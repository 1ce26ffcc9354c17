package pool_test

import (
	"runtime"
	"sync"
	"time"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// watcher is an observer that misbehaves, and enters what it is told.
type watcher struct {
	*game
	manners int // what it does beside

	mu      sync.Mutex
	jobs    map[uint64]*told
	workers map[int]bool // by number
	ends    map[result.Status]uint64
	dropped uint64
	retried uint64
	lost    int
	panics  int
	n       int
	quiet   bool
}

// told is what an observer knows of a job.
type told struct {
	started, over bool
	attempt       int
	status        result.Status
}

func newWatcher(g *game, d *testkit.Dice) *watcher {
	g.ledger.how = map[uint64]result.Status{}
	return &watcher{
		game: g, manners: d.Throw(8), jobs: map[uint64]*told{}, workers: map[int]bool{}, ends: map[result.Status]uint64{},
	}
}

func (w *watcher) observe(e pool.Event) {
	n := w.enter(e)
	switch w.manners {
	case 1:
		if n%5 == 0 {
			w.mu.Lock()
			w.panics++
			w.mu.Unlock()
			panic(errBoom)
		}
	case 2:
		if n%6 == 0 {
			runtime.Goexit()
		}
	case 3:
		w.sums()
	case 4:
		if j, ok := w.p.Job(e.Job); ok && n%8 == 0 {
			j.Cancel(errStop)
		}
	case 5:
		if n%4 == 0 {
			time.Sleep(w.short)
		}
	case 6:
		if n%16 == 0 { // what it submits is told to it as well
			w.submit()
		}
	case 7:
		w.p.Workers()
		w.p.Jobs()
	default:
	}
}

// submit submits a job, unless the actors are through.
func (w *watcher) submit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.quiet {
		return
	}
	r := &record{kind: yields}
	w.submitted.Add(1)
	if j, err := w.p.TrySubmit(&order{r}); err == nil {
		w.leaveTo(pending{r, j})
	}
}

// hush has it submit nothing more.
func (w *watcher) hush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet = true
}

// enter enters an event and returns how many there were.
func (w *watcher) enter(e pool.Event) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	w.lost += e.Lost
	if w.lost > 0 {
		return w.n // what it knows is not whole any more
	}
	w.check(e.Pool == "model" && !e.Time.IsZero(), "%v", e)
	if e.Job != 0 {
		w.enterJob(e)
		return w.n
	}
	live := w.workers[e.Worker]
	switch e.Kind {
	case pool.WorkerStarted:
		w.check(!live, "%v, and it was there", e)
		w.workers[e.Worker] = true
	case pool.WorkerHalted:
		w.check(live, "%v, and it was not there", e) // it may have been taken back meanwhile
	case pool.WorkerStopped:
		w.check(live, "%v, and it was not there", e)
		delete(w.workers, e.Worker)
	default:
		w.check(e.Kind == pool.QueueFull, "%v", e)
	}
	return w.n
}

func (w *watcher) enterJob(e pool.Event) {
	j := w.jobs[e.Job]
	if e.Kind == pool.JobQueued {
		w.check(j == nil, "%v, again", e)
		w.jobs[e.Job] = &told{}
		return
	}
	if !w.check(j != nil && !j.over, "%v of a job that is %+v", e, j) {
		return
	}
	switch e.Kind {
	case pool.JobStarted:
		w.check(!j.started && e.Attempt == 1, "%v, again", e)
		j.started, j.attempt = true, 1
	case pool.JobRetried:
		w.check(j.started && e.Attempt == j.attempt, "%v of a job that is %+v", e, j)
		j.attempt++
	case pool.JobFinished:
		w.check(e.Attempt == j.attempt || e.Attempt == j.attempt-1, "%v of a job that is %+v", e, j) // the last retry may be cut
		w.ends[e.Status]++
		w.retried += uint64(max(e.Attempt-1, 0))
		j.over, j.status = true, e.Status
	case pool.JobDropped:
		w.check(!j.started, "%v of a job that has started", e)
		w.dropped++
		j.over, j.status = true, e.Status
	default:
		w.check(false, "%v", e)
	}
}

// over checks that what the observer was told is what the pool counts and what callers saw.
func (w *watcher) over() {
	s := w.p.Stats()
	whole := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		sum := w.dropped
		for _, n := range w.ends {
			sum += n
		}
		return w.lost > 0 || sum == s.Accepted && len(w.workers) == 0
	}
	for range 2000 { // Close waits for an observer no longer than 100 ms
		if whole() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost > 0 {
		return
	}
	w.check(s.EventsLost == 0, "nothing was lost, and %v", s)
	w.check(s.ObserverPanics == w.panics, "%d panics of the observer, and %v", w.panics, s)
	w.check(s.Succeeded == w.ends[result.Succeeded] && s.Failed == w.ends[result.Failed] && s.Panicked == w.ends[result.Panicked] &&
		s.Canceled == w.ends[result.Canceled] && s.Dropped == w.dropped && s.Retried == w.retried,
		"%v, %d dropped, %d retried were told, and %v", w.ends, w.dropped, w.retried, s)
	w.check(len(w.workers) == 0, "workers that were not told to stop: %v", w.workers)
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for id, status := range w.ledger.how {
		j := w.jobs[id]
		w.check(j != nil && j.status == status, "job %d has ended as %v, and %+v was told", id, status, j)
	}
}
