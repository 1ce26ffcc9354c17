package engine

import (
	"context"
	"sync"
)

// Slot is the right to make one call at a time, and the identity of the worker
// that makes it.
type Slot struct {
	ID    int
	under *Slot // the next free one
}

// Slots bounds how many calls are made at once, whoever makes them: workers of
// a queue or callers on their own goroutines. Who finds no slot free waits in
// line and is served in turn. Make one with [NewSlots].
type Slots struct {
	limit int

	mu     sync.Mutex // held for a few loads and stores only
	free   *Slot      // a stack: the last to be released is the first to be used
	made   int        // slots are made when first needed
	held   int
	line   []*slotWait // those that wait, in order; nil where one has given up
	closed bool
}

type slotWait struct {
	slot *Slot // set before wake; nil if the slots were closed
	wake chan struct{}
}

// NewSlots returns limit slots, numbered from 0.
func NewSlots(limit int) *Slots { return &Slots{limit: limit} }

// Limit is how many slots there are.
func (s *Slots) Limit() int { return s.limit }

// TryAcquire takes a free slot, or returns nil. It does not overtake those in line.
func (s *Slots) TryAcquire() *Slot {
	s.mu.Lock()
	slot := s.takeLocked()
	s.mu.Unlock()
	return slot
}

func (s *Slots) takeLocked() *Slot {
	if s.closed {
		return nil
	}
	slot := s.free
	switch {
	case slot != nil:
		s.free, slot.under = slot.under, nil
	case s.made < s.limit:
		slot = &Slot{ID: s.made}
		s.made++
	default:
		return nil
	}
	s.held++
	return slot
}

// Acquire takes a slot and waits for one if it must, until ctx ends or the
// slots are closed: then the error is ctx's cause or ErrClosed.
func (s *Slots) Acquire(ctx context.Context) (*Slot, error) {
	s.mu.Lock()
	if slot := s.takeLocked(); slot != nil || s.closed {
		s.mu.Unlock()
		if slot == nil {
			return nil, ErrClosed
		}
		return slot, nil
	}
	w := &slotWait{wake: make(chan struct{}, 1)}
	s.line = append(s.line, w)
	s.mu.Unlock()

	select {
	case <-w.wake:
	case <-ctx.Done():
		if s.giveUp(w) {
			return nil, context.Cause(ctx)
		}
		<-w.wake // it was served at the same moment
	}
	if w.slot == nil {
		return nil, ErrClosed
	}
	return w.slot, nil
}

// giveUp takes w out of the line and reports whether it was in it.
func (s *Slots) giveUp(w *slotWait) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, at := range s.line {
		if at == w {
			s.line = append(s.line[:i], s.line[i+1:]...)
			return true
		}
	}
	return false
}

// Release gives a slot back: to the first in line, if there is one.
func (s *Slots) Release(slot *Slot) {
	s.mu.Lock()
	if len(s.line) == 0 {
		slot.under, s.free = s.free, slot
		s.held--
		s.mu.Unlock()
		return
	}
	w := s.line[0]
	s.line[0] = nil
	s.line = s.line[1:]
	w.slot = slot
	s.mu.Unlock()
	w.wake <- struct{}{}
}

// Held is how many slots are taken.
func (s *Slots) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// Crowded reports whether somebody waits for a slot.
func (s *Slots) Crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.line) > 0
}

// Close turns away all that wait or come later. Slots that are held stay so.
func (s *Slots) Close() {
	s.mu.Lock()
	s.closed = true
	line := s.line
	s.line = nil
	s.mu.Unlock()
	for _, w := range line {
		w.wake <- struct{}{}
	}
}
