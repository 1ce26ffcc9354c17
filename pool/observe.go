package pool

import (
	"slices"
	"sync"
	"time"
)

// watch delivers events to an observer: one at a time, in the order in which they
// were noted, on a goroutine of its own. So an observer that is slow, panics, ends
// its goroutine or notes events itself neither stalls nor breaks the pool.
//
// The goroutine exists only while there is something to deliver: an idle pool has
// none, and a forgotten pool leaks none. A watch must not be copied; its methods may
// be called from any goroutine at any time, including by the observer.
type watch struct {
	observe func(Event)
	name    string

	// mu is never held while the observer runs. Nothing else is locked under it.
	mu      sync.Mutex
	buf     []Event // a ring, its length zero or a power of two
	head    int     // place of the oldest event
	size    int
	added   uint64 // events ever put into buf
	running bool   // the goroutine exists
	untold  int    // events lost since the last one that got in
	lost    int
	panics  int
	flushes []flusher // in the order of their upTo
}

// flusher is a caller that waits until the first upTo events are delivered.
type flusher struct {
	upTo uint64
	done chan struct{}
}

// At most maxEvents wait for the observer. There is room for minEvents at first, and
// room for up to keptEvents is kept while there are none: enough for the bursts of a
// busy pool, which would otherwise allocate the room anew for each burst.
const (
	maxEvents  = 4096
	minEvents  = 16
	keptEvents = 256
)

// newWatch returns a watch that delivers to observe, for a pool of that name.
func newWatch(name string, observe func(Event)) *watch {
	return &watch{name: name, observe: observe}
}

// note adds an event and sets the name of its pool. It does not wait for the
// observer: if too many events are waiting, this one is lost, and the next one that
// is not tells how many were.
func (w *watch) note(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addLocked(e)
}

// noteJob notes an event of a job. announced belongs to the job, is guarded by w.mu
// and is false at first. The first event of a job is preceded by JobQueued, at the
// time queued, and a later JobQueued is left out: a job is in the queue before its
// submitter can report it, and a worker may be faster.
func (w *watch) noteJob(announced *bool, queued time.Time, e Event) {
	w.noteAfter(announced, Event{Kind: JobQueued, Time: queued, Job: e.Job, Worker: -1}, e)
}

// noteWorker does the same for a worker and WorkerStarted, at the time of e. A worker
// that starts again needs a new bool.
func (w *watch) noteWorker(started *bool, e Event) {
	w.noteAfter(started, Event{Kind: WorkerStarted, Time: e.Time, Worker: e.Worker}, e)
}

// noteAfter notes first, unless it was noted before, and then e, unless it is of the
// same kind.
func (w *watch) noteAfter(said *bool, first, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !*said {
		*said = true
		w.addLocked(first)
	}
	if e.Kind != first.Kind {
		w.addLocked(e)
	}
}

// addLocked puts an event into the ring and makes sure that it will be delivered.
func (w *watch) addLocked(e Event) {
	if w.size == maxEvents {
		w.untold++
		w.lost++
		return
	}
	if w.size == len(w.buf) {
		w.growLocked()
	}
	e.Pool, e.Lost, w.untold = w.name, w.untold, 0
	w.buf[(w.head+w.size)&(len(w.buf)-1)] = e
	w.size++
	w.added++
	if !w.running {
		w.running = true
		go w.run()
	}
}

func (w *watch) growLocked() {
	buf := make([]Event, max(2*len(w.buf), minEvents))
	n := copy(buf, w.buf[w.head:])
	copy(buf[n:], w.buf[:w.head])
	w.buf, w.head = buf, 0
}

// run delivers events until none is left. It is the body of the goroutine.
func (w *watch) run() {
	cut := true
	defer func() {
		if cut {
			go w.run() // the observer has called Goexit
		}
	}()
	for e, ok := w.take(); ok; e, ok = w.take() {
		w.tell(e)
	}
	cut = false
}

// take returns the oldest event. All events that it returned before have been
// delivered.
func (w *watch) take() (e Event, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delivered := w.added - uint64(w.size)
	for len(w.flushes) > 0 && w.flushes[0].upTo <= delivered {
		close(w.flushes[0].done)
		w.flushes = slices.Delete(w.flushes, 0, 1)
	}
	if w.size == 0 {
		w.running = false
		if len(w.buf) > keptEvents {
			w.buf, w.head = nil, 0
		}
		return Event{}, false
	}
	e, w.buf[w.head] = w.buf[w.head], Event{} // do not keep its error alive
	w.head = (w.head + 1) & (len(w.buf) - 1)
	w.size--
	return e, true
}

// tell calls the observer. It drops a panic: the pool has nowhere to report it, and
// does not depend on being observed.
func (w *watch) tell(e Event) {
	defer func() {
		if recover() != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.panics++
		}
	}()
	w.observe(e)
}

// flush waits until all events noted so far have been delivered, except lost ones,
// but no longer than d, and reports whether they have. If the observer calls it, it
// waits in vain, since the current event is not delivered until the observer returns.
func (w *watch) flush(d time.Duration) bool {
	w.mu.Lock()
	if !w.running {
		w.mu.Unlock()
		return true
	}
	f := flusher{upTo: w.added, done: make(chan struct{})}
	w.flushes = append(w.flushes, f)
	w.mu.Unlock()

	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-f.done:
		return true
	case <-t.C:
		return !w.forget(f)
	}
}

// forget withdraws a flush; it returns false if the flush is done.
func (w *watch) forget(f flusher) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.Index(w.flushes, f)
	if at < 0 {
		return false
	}
	w.flushes = slices.Delete(w.flushes, at, at+1)
	return true
}

// troubles returns how many events were lost, and how many made the observer panic.
func (w *watch) troubles() (lost, panics int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost, w.panics
}
