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
// The goroutine is there only while there is something to deliver: a pool that is
// idle has none, and one that is forgotten leaks none. A watch must not be copied;
// its methods may be called from any goroutine at any time, also by the observer.
type watch struct {
	observe func(Event)
	name    string

	// mu is never held while the observer runs. Nothing else is locked under it.
	mu      sync.Mutex
	buf     []Event // a ring, its length zero or a power of two
	head    int     // place of the oldest event
	size    int
	added   uint64 // events that were ever put into buf
	running bool   // the goroutine is there
	untold  int    // events lost since the last one that got in
	lost    int
	panics  int
	flushes []flusher // in the order of their upTo
}

// flusher is somebody who waits until the first upTo events are delivered.
type flusher struct {
	upTo uint64
	done chan struct{}
}

// How many events wait for the observer at most, how many there is room for at first,
// and how many there may be room for while none do: enough for the bursts of a busy
// pool, which else would make a new room for each.
const (
	maxEvents  = 4096
	minEvents  = 16
	keptEvents = 256
)

// newWatch returns a watch that delivers to observe, for a pool of that name.
func newWatch(name string, observe func(Event)) *watch {
	return &watch{name: name, observe: observe}
}

// note adds an event and names its pool. It does not wait for the observer: if too
// many events do, this one is lost, and the next one that is not tells how many were.
func (w *watch) note(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addLocked(e)
}

// noteJob notes an event of a job whose announced, guarded by w.mu, is false at first.
// Whoever notes the first event notes JobQueued before it, at the time queued, and
// a later JobQueued is left out: a job is in the queue before its submitter can say
// so, and a worker may be faster.
func (w *watch) noteJob(announced *bool, queued time.Time, e Event) {
	w.noteAfter(announced, Event{Kind: JobQueued, Time: queued, Job: e.Job, Worker: -1}, e)
}

// noteWorker does the same for a worker and WorkerStarted, at the time of e. A worker
// that starts anew needs a new bool.
func (w *watch) noteWorker(started *bool, e Event) {
	w.noteAfter(started, Event{Kind: WorkerStarted, Time: e.Time, Worker: e.Worker}, e)
}

// noteAfter notes first, unless it was said, and then e, unless that is the same.
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

// addLocked puts an event into the ring and sees to it that it is delivered.
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

// run delivers events until none is left. It is the goroutine.
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

// take returns the oldest event. All that it returned before have been delivered.
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
	e, w.buf[w.head] = w.buf[w.head], Event{} // keeps no error alive
	w.head = (w.head + 1) & (len(w.buf) - 1)
	w.size--
	return e, true
}

// tell calls the observer. What it panics with is dropped: the pool has nobody to
// give it to, and its work does not depend on being watched.
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

// flush waits until all events noted so far, but for lost ones, have been delivered,
// though not longer than d, and reports whether they have. Called by the observer it
// waits in vain, since the event in its hand is not delivered until it returns.
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

// forget takes back a flush; false if it is done.
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

// troubles returns how many events were lost, and in how many the observer panicked.
func (w *watch) troubles() (lost, panics int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost, w.panics
}
