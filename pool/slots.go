package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// slot is one worker that has started: the right to make one call at a time, and what
// belongs to it.
type slot struct {
	id int

	// call is what runs in the slot, as far as it is known. The holder of the slot sets it
	// before a call, unless it is in direct, and then looks at leave; for a job, start does
	// so. So a goroutine that sets leave and then looks at call either sees the call or is
	// seen by it.
	call  atomic.Pointer[callCtx]
	leave atomic.Bool // the slot is to be given back before the next call
	now   atomic.Bool // and the context of a job that has just started is to end

	// Used only by the holder: what NewStateful has opened.
	state           any
	opened, opening bool
	users           atomic.Int32 // calls that have the state; more than one where calls use their own pool
	discard         atomic.Bool  // it is to be closed behind them

	announced bool // to the observer; guarded by the lock of the watch

	// About jobs: how many ended here, and when the last one did. Guarded by the lock of
	// the slot's part of the tally.
	done    uint64
	lastEnd int64

	// Guarded by slots.mu.
	direct       *callCtx   // what runs in it, if TryAcquire was given it; saves a store to call
	nested       []*callCtx // jobs that run in a share of it, outer ones first
	held         bool
	halting      bool // to be retired when it is given back
	excused      bool // its call does not count among those under way
	closing      bool // it is being retired
	idleSince    int64
	above, under *slot // in the stack of free slots

	_ [cacheLine]byte // separates what is counted here from other slots
}

// Worker returns the number of the worker.
func (r *slot) Worker() int { return r.id }

// Recalled reports whether the slot is to be given back before the next call.
func (r *slot) Recalled() bool { return r.leave.Load() }

// slots are the workers of a pool. They bound how many calls are under way at once,
// from goroutines of the queue and from callers on their own. A caller that finds no
// slot free waits in line and is served in turn.
//
// A worker starts, and gets a slot, when it is first needed. It gets the lowest free
// number. Its slot is retired when the worker is halted or has been idle for long. What
// was opened for it is closed after its last call, on a separate goroutine, and its
// number is not free until then.
type slots struct {
	clock engine.Clock
	keep  int           // workers that are not stopped for being idle
	idle  time.Duration // after which the others are stopped; 0: never

	// close closes what was opened for a worker, and trim is told how many workers have
	// not been stopped for being idle; both are called without mu. changed, if set, is
	// told of the start, halt and stop of a worker, and locks nothing that is held while
	// slots are used.
	close   func(*slot) error
	changed func(EventKind, *slot, error)
	trim    func(keep int)

	mu      sync.Mutex // held for only a few loads and stores, except by Resize, Pause and lists
	workers int        // how many there are: the most slots that may be held
	ids     int        // all worker numbers are below it
	seats   []seat     // by worker number; workers beyond have not started
	vacant  []int      // numbers in seats that may start; a heap
	started int        // slots that exist
	free    *slot      // a stack: the slot released last is used first
	coldest *slot      // the bottom of that stack
	held    int        // slots whose calls count
	excused int        // slots of workers that were halted during a call
	first   *ticket    // the line
	last    *ticket
	paused  bool
	closed  bool
	over    bool // dissolved
	timer   *time.Timer
	armed   bool
	closing sync.WaitGroup // counts slots that are being retired; added to under mu
}

// seat is the state of a worker's number.
type seat struct {
	slot   *slot // nil: not started, or stopped for being idle
	gone   bool  // halted
	listed bool  // in slots.vacant
}

func newSlots(workers int) *slots { return &slots{workers: workers, ids: workers} }

// TryAcquire takes a free slot for the call c, which may be nil, or returns nil. It
// does not overtake callers in line.
func (s *slots) TryAcquire(c *callCtx) *slot {
	s.mu.Lock()
	got, isNew := s.takeLocked()
	if got != nil {
		got.direct = c
	}
	s.mu.Unlock()
	if isNew {
		s.announce(got)
	}
	return got
}

// announce tells that a worker has started.
func (s *slots) announce(got *slot) {
	if s.changed != nil {
		s.changed(WorkerStarted, got, nil)
	}
}

func (s *slots) takeLocked() (got *slot, isNew bool) {
	if s.closed || s.paused || s.held >= s.workers {
		return nil, false
	}
	if got = s.free; got != nil {
		s.unlinkLocked(got)
	} else if got = s.startLocked(); got == nil {
		return nil, false
	} else {
		isNew = true
	}
	got.held = true
	s.held++
	return got, isNew
}

// Acquire takes a slot, and waits for one if it must. It returns nil if ctx ends first
// or the slots are closed. If ctx has ended, it takes no slot that it had to wait for.
func (s *slots) Acquire(ctx context.Context) *slot {
	if got := s.TryAcquire(nil); got != nil {
		return got
	}
	t := s.Line()
	select {
	case <-t.turn:
	case <-ctx.Done():
		if s.Leave(t) {
			return nil
		}
		<-t.turn // it was served at the same moment
	}
	if t.slot != nil && ctx.Err() != nil {
		s.Release(t.slot)
		return nil
	}
	return t.slot
}

// ticket is a place in the line for a slot.
type ticket struct {
	turn chan struct{} // gets one token
	slot *slot         // set by then; nil if the slots were closed

	before, next *ticket // guarded by slots.mu
	waits        bool
}

// Line takes a place in the line. The ticket may be served at once.
func (s *slots) Line() *ticket {
	t := &ticket{turn: make(chan struct{}, 1)}
	s.mu.Lock()
	var isNew bool
	t.slot, isNew = s.takeLocked()
	if t.slot == nil && !s.closed {
		t.waits = true
		if t.before = s.last; t.before == nil {
			s.first = t
		} else {
			t.before.next = t
		}
		s.last = t
	}
	waits := t.waits
	s.mu.Unlock()
	if isNew {
		s.announce(t.slot)
	}
	if !waits {
		t.turn <- struct{}{}
	}
	return t
}

// Leave takes a ticket out of the line and reports whether it was in it; if not, the
// ticket has been served.
func (s *slots) Leave(t *ticket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaveLocked(t)
}

func (s *slots) leaveLocked(t *ticket) bool {
	if !t.waits {
		return false
	}
	t.waits = false
	if t.before == nil {
		s.first = t.next
	} else {
		t.before.next = t.next
	}
	if t.next == nil {
		s.last = t.before
	} else {
		t.next.before = t.before
	}
	t.before, t.next = nil, nil
	return true
}

// serveLocked gives free slots to the tickets in line. It returns the tickets to wake
// and the workers that have started.
func (s *slots) serveLocked() (served []*ticket, started []*slot) {
	for t := s.first; t != nil; t = s.first {
		got, isNew := s.takeLocked()
		if got == nil {
			break
		}
		if isNew {
			started = append(started, got)
		}
		s.leaveLocked(t)
		t.slot = got
		served = append(served, t)
	}
	return served, started
}

// unlock ends a step that may have set slots free.
func (s *slots) unlock() {
	served, started := s.serveLocked()
	s.mu.Unlock()
	for _, got := range started {
		s.announce(got)
	}
	for _, t := range served {
		t.turn <- struct{}{}
	}
}

// Release gives a slot back: to the first in line, if there is one. It reports whether
// the slot had been asked for: then the context of its last call may yet be ended.
func (s *slots) Release(r *slot) (asked bool) {
	if r.call.Load() != nil {
		r.call.Store(nil)
	}
	s.mu.Lock()
	asked = r.leave.Load()
	r.direct = nil
	if !asked && s.first != nil && !s.paused && s.held <= s.workers {
		t := s.first
		s.leaveLocked(t)
		t.slot = r
		s.mu.Unlock()
		t.turn <- struct{}{}
		return false
	}
	s.dropLocked(r)
	if r.halting {
		s.partLocked(r)
		s.unlock()
		s.retire(r)
		return true
	}
	if asked { // a store costs as much as the lock
		r.leave.Store(false)
	}
	s.pushLocked(r)
	if s.first == nil {
		s.mu.Unlock()
		return asked
	}
	s.unlock()
	return asked
}

// dropLocked records that the slot is no longer held.
func (s *slots) dropLocked(r *slot) {
	if r.excused {
		r.excused = false
		s.excused--
	} else {
		s.held--
	}
	r.held = false
}

// pushLocked puts a slot that was given back on the stack of free slots.
func (s *slots) pushLocked(r *slot) {
	if r.under = s.free; r.under == nil {
		s.coldest = r
	} else {
		r.under.above = r
	}
	s.free = r
	if s.idle > 0 {
		r.idleSince = s.clock.Now()
		s.armLocked()
	}
}

// unlinkLocked takes a slot off the stack of free slots.
func (s *slots) unlinkLocked(r *slot) {
	if r.above == nil {
		s.free = r.under
	} else {
		r.above.under = r.under
	}
	if r.under == nil {
		s.coldest = r.above
	} else {
		r.under.above = r.above
	}
	r.above, r.under = nil, nil
}

// Held returns how many slots are taken.
func (s *slots) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held + s.excused
}

// Workers returns how many workers there are, and how many halted ones still make a
// call.
func (s *slots) Workers() (workers, halted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers, s.excused
}

// counts calls f with each slot, under the lock, and returns how many workers there are
// at that moment, whether they are paused, and how many slots are held: by workers, and
// by halted ones that still make a call.
func (s *slots) counts(f func(*slot)) (workers int, paused bool, held, excused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.seats {
		if at.slot != nil {
			f(at.slot)
		}
	}
	return s.workers, s.paused && !s.closed, s.held, s.excused
}

// Crowded reports whether a caller waits in line for a slot.
func (s *slots) Crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first != nil
}

// Close turns away all callers that wait or come later. Slots that are held stay held.
func (s *slots) Close() {
	s.mu.Lock()
	s.closed = true
	s.recallLocked()
	first := s.first
	s.first, s.last = nil, nil
	for t := first; t != nil; t = t.next {
		t.waits = false
	}
	s.mu.Unlock()
	for t := first; t != nil; {
		next := t.next
		t.turn <- struct{}{}
		t = next
	}
}

// each calls f, under the lock, with each worker's number and slot, which is nil if the
// worker has not started.
func (s *slots) each(f func(id int, at *slot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.seats {
		if !at.gone {
			f(id, at.slot)
		}
	}
	for id := len(s.seats); id < s.ids; id++ {
		f(id, nil)
	}
}
