package engine

import (
	"context"
	"slices"
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
	line   []*Ticket // those that wait, in order
	closed bool
}

// NewSlots returns limit slots, numbered from 0.
func NewSlots(limit int) *Slots { return &Slots{limit: limit} }

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
// slots are closed: then the error is ctx's cause or ErrClosed. A ctx that has
// ended takes no slot that it had to wait for.
func (s *Slots) Acquire(ctx context.Context) (*Slot, error) {
	t := s.Line()
	select {
	case <-t.Turn:
	case <-ctx.Done():
		if s.Leave(t) {
			return nil, context.Cause(ctx)
		}
		<-t.Turn // it was served at the same moment
	}
	switch {
	case t.Slot == nil:
		return nil, ErrClosed
	case t.waited && ctx.Err() != nil:
		s.Release(t.Slot)
		return nil, context.Cause(ctx)
	}
	return t.Slot, nil
}

// Ticket is a place in the line for a slot.
type Ticket struct {
	Turn   chan struct{} // gets one token
	Slot   *Slot         // set by then; nil if the slots were closed
	waited bool
}

// Line takes a place in the line, which may be its turn already.
func (s *Slots) Line() *Ticket {
	t := &Ticket{Turn: make(chan struct{}, 1)}
	s.mu.Lock()
	t.Slot = s.takeLocked()
	t.waited = t.Slot == nil && !s.closed
	if t.waited {
		s.line = append(s.line, t)
	}
	s.mu.Unlock()
	if !t.waited {
		t.Turn <- struct{}{}
	}
	return t
}

// Leave takes a ticket out of the line and reports whether it was in it; if not,
// its turn has come.
func (s *Slots) Leave(t *Ticket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.line, t)
	if i < 0 {
		return false
	}
	s.line = slices.Delete(s.line, i, i+1)
	return true
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
	t := s.line[0]
	s.line[0] = nil
	s.line = s.line[1:]
	t.Slot = slot
	s.mu.Unlock()
	t.Turn <- struct{}{}
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
	for _, t := range line {
		t.Turn <- struct{}{}
	}
}
