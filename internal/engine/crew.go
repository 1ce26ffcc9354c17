package engine

import (
	"errors"
	"sync"

	"github.com/sourcegraph/conc/panics"

	"github.com/millstream-go/millstream/result"
)

// ErrGoexit is the error of an item whose call ended its goroutine with
// [runtime.Goexit], as t.FailNow does.
var ErrGoexit = errors.New("function called runtime.Goexit")

// Handler is what one worker of a [Crew] does with its items. Its methods are
// called by one goroutine at a time.
type Handler[T any] interface {
	// Begin is called when the worker has a new chunk.
	Begin(t *Taker[T])
	// Handle handles one item. It may panic and call runtime.Goexit.
	Handle(t *Taker[T], item *T)
	// Failed resolves an item whose Handle did not return.
	Failed(t *Taker[T], item *T, err error)
	// End is called when the chunk is done. It passes on what is held back and returns the
	// clock reading at which the last item was done, or 0 if unknown.
	End() int64
}

// Crew runs up to a number of workers on one queue. A worker is started when an item
// finds no idle one. It ends when the queue is closed and nothing is left for it; the
// last one to end calls done.
type Crew[T any] struct {
	q    *Queue[T]
	open func(worker int) Handler[T]
	done func()
	wg   *sync.WaitGroup

	// Guarded by q.mu.
	size   int  // how many workers there may be
	active int  // started and not ended
	parted int  // those of the active that were told to end
	hired  int  // ever started
	over   bool // done was called or is about to be
}

// NewCrew puts workers on q. open makes the handler of a worker when it starts, and done
// is called once, when the queue is closed and everything has been handled. The
// goroutines are counted in wg; the caller must hold a count of its own until it has
// closed the queue.
func NewCrew[T any](q *Queue[T], workers int, wg *sync.WaitGroup, open func(worker int) Handler[T], done func()) *Crew[T] {
	c := &Crew[T]{q: q, open: open, done: done, wg: wg, size: workers}
	q.mu.Lock()
	q.spare, q.start, q.drained = workers, c.hireLocked, func() { c.leave(nil) }
	q.setHungryLocked(true) // workers that have not started count as idle
	q.unlock(nil)
	return c
}

// hireLocked makes a taker whose first rouse starts its worker.
func (c *Crew[T]) hireLocked() *Taker[T] {
	id := c.hired
	c.hired++
	c.active++
	t := c.q.newTakerLocked()
	t.crew, t.mate.post = c, t
	t.begin = func() {
		t.handler = c.open(id)
		t.mate.start(free)
	}
	return t
}

// Close closes the queue.
func (c *Crew[T]) Close() {
	c.q.Close()
	c.leave(nil)
}

// Resize sets how many workers there may be, at least one. Surplus workers end: first
// idle ones, then others when they have handled what they hold.
func (c *Crew[T]) Resize(workers int) {
	q := c.q
	q.mu.Lock()
	c.size = workers
	stay := c.active - c.parted // some of them have not noticed yet
	if back := min(max(workers-stay, 0), q.leaving); back > 0 {
		q.leaving -= back
		c.parted -= back
		stay += back
	}
	gone := c.partLocked(stay - workers)
	more := max(stay-workers, 0) - gone.depth()
	q.leaving += more
	c.parted += more
	q.spare = max(workers-(c.active-c.parted), 0)
	q.unlock(q.balanceLocked(q.openLocked() || q.loosenedLocked()))
	gone.rouseAll()
}

// Trim ends idle workers until no more than keep workers are left, or none is idle.
// Workers are started again when there is work for them.
func (c *Crew[T]) Trim(keep int) {
	q := c.q
	q.mu.Lock()
	gone := c.partLocked(c.active - c.parted - keep)
	q.spare = max(c.size-(c.active-c.parted), 0)
	q.unlock(q.balanceLocked(false))
	gone.rouseAll()
}

// partLocked tells n idle workers to end, or as many as there are: those that have been
// idle longest. It returns them as a stack.
func (c *Crew[T]) partLocked(n int) *Taker[T] {
	n = min(n, c.q.idle.depth())
	if n <= 0 {
		return nil
	}
	last := &c.q.idle
	for range c.q.idle.depth() - n {
		last = &(*last).under
	}
	gone := *last
	*last = nil
	for t := gone; t != nil; t = t.under {
		t.parked, t.sent = false, true
	}
	c.parted += n
	return gone
}

// A taker of a crew is the post of a worker.
var _ post = (*Taker[int])(nil)

func (t *Taker[T]) open() { t.handler.Begin(t) }

// stretch handles items until the chunk is done or a call panics; in that case it returns
// false. One deferred function serves all of them.
func (t *Taker[T]) stretch() (done bool) {
	var item *T
	defer func() {
		if !done {
			t.handler.Failed(t, item, Caught(recover()))
		}
	}()
	for item = t.Claim(); item != nil; item = t.Claim() {
		t.handler.Handle(t, item)
	}
	return true
}

func (t *Taker[T]) close() int64 { return t.handler.End() }

func (t *Taker[T]) quit() {
	if l, ok := t.handler.(leaver); ok {
		l.Leave()
	}
	t.crew.leave(t)
}

func (t *Taker[T]) take(m *mate) *mate {
	other := t.mate
	t.mate = m
	return other
}

func (t *Taker[T]) group() *sync.WaitGroup { return t.crew.wg }

// leaver is a Handler that is told when its worker ends.
type leaver interface{ Leave() }

// Caught turns the result of recover into the error of a call that did not return. It is
// for deferred functions that know that the call did not return.
func Caught(recovered any) error {
	if recovered == nil {
		return ErrGoexit
	}
	r := panics.NewRecovered(2, recovered)
	return &result.PanicError{Value: r.Value, Stack: r.Stack}
}

// leave removes the worker with t, or none if t is nil, and calls done after the last
// one.
func (c *Crew[T]) leave(t *Taker[T]) {
	q := c.q
	q.mu.Lock()
	if t != nil {
		c.active--
		if t.sent {
			c.parted--
		}
	}
	last := c.active == 0 && q.overLocked() && !c.over
	c.over = c.over || last
	q.unlock(nil)
	if last {
		c.done()
	}
}
