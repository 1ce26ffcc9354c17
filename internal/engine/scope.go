package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// errSettled is the cause of the context of a run that is over, or was left.
var errSettled = fmt.Errorf("run is over: %w", context.Canceled)

// Scope is one run, or the part of a run before a step that ends early. It is what is
// canceled together, and decides what becomes of errors.
type Scope struct {
	// Ctx is what calls get. It ends with the scope.
	Ctx   context.Context //nolint:containedctx // a scope is a context with a verdict
	Clock Clock
	// Timed says that the timing of the items will be used.
	Timed bool
	// Keep says that a failed item is an output like any other. Without it, the first
	// failure stops the run and is its error.
	Keep bool
	// Group counts the goroutines of the run.
	Group *sync.WaitGroup

	cancel  context.CancelCauseFunc
	parent  *Scope
	discard atomic.Bool // the results of what is under way are no longer wanted
	cut     atomic.Bool // something was left out because the scope had ended

	mu   sync.Mutex
	err  error      // the first failure
	last []lastWord // failures of sources, if Keep is set
}

// NewScope starts a run under ctx.
func NewScope(ctx context.Context, keep bool) *Scope {
	s := &Scope{Clock: NewClock(), Timed: keep, Keep: keep, Group: new(sync.WaitGroup)}
	s.Ctx, s.cancel = context.WithCancelCause(ctx)
	s.Group.Add(1) // held by the terminal, so that the count does not reach zero before the end
	return s
}

// Child returns a scope that can be stopped without its parent.
func (s *Scope) Child() *Scope {
	c := &Scope{Clock: s.Clock, Timed: s.Timed, Keep: s.Keep, Group: s.Group, parent: s}
	c.Ctx, c.cancel = context.WithCancelCause(s.Ctx)
	return c
}

// Live reports whether new calls may start.
func (s *Scope) Live() bool { return s.Ctx.Err() == nil }

// Stop ends the scope because no more of it is wanted. What is under way is dropped,
// without an error.
func (s *Scope) Stop() {
	s.discard.Store(true)
	s.cancel(errSettled)
}

// Fail ends the run with err, unless it has already ended. In that case the failure is
// a consequence of the end, not its cause, but the run is not complete.
func (s *Scope) Fail(err error) {
	if s.Discarded() {
		return
	}
	if s.Ctx.Err() != nil {
		s.Cut()
		return
	}
	root := s.root()
	root.mu.Lock()
	first := root.err == nil && root.Ctx.Err() == nil
	if first {
		root.err = err
	}
	root.mu.Unlock()
	if !first {
		s.Cut() // the run ended a moment before
		return
	}
	root.discard.Store(true)
	root.cancel(err)
}

// FailLast records the failure of a source in a run that keeps failures. It is reported
// last, after everything that the source has given, as an item by itself.
func (s *Scope) FailLast(index int, err error) {
	if s.Discarded() {
		return
	}
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	root.last = append(root.last, lastWord{s, Item[struct{}]{Err: err, Index: index, Worker: -1, Queued: s.Clock.Now()}})
}

// lastWord is a failure, and the scope in which it happened.
type lastWord struct {
	scope *Scope
	item  Item[struct{}]
}

// Last returns the failures of the sources, except those whose scope was discarded in
// the end. The run must have settled.
func (s *Scope) Last() []Item[struct{}] {
	var wanted []Item[struct{}]
	for _, w := range s.last {
		if !w.scope.Discarded() {
			wanted = append(wanted, w.item)
		}
	}
	return wanted
}

func (s *Scope) root() *Scope {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// Discarded reports whether the outputs of the scope are no longer wanted.
func (s *Scope) Discarded() bool {
	for at := s; at != nil; at = at.parent {
		if at.discard.Load() {
			return true
		}
	}
	return false
}

// Drops reports whether items that find the scope ended vanish; otherwise each of them
// becomes a canceled output. It records that the run is not complete, unless the scope
// was discarded.
func (s *Scope) Drops() bool {
	if s.Discarded() {
		return true
	}
	s.Cut()
	return !s.Keep
}

// Cut records that something was left out because the scope had ended, unless it was
// not wanted anyway.
func (s *Scope) Cut() {
	if !s.Discarded() {
		s.root().cut.Store(true)
	}
}

// Settle waits for every goroutine of the run and returns the run's error: the first
// failure or, if the run's context ended before the run was complete, the cause of
// that.
func (s *Scope) Settle() error {
	s.Group.Done()
	s.Group.Wait()
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err == nil && s.cut.Load() && !s.discard.Load() {
		err = context.Cause(s.Ctx)
	}
	s.cancel(errSettled)
	return err
}

// Release ends a child scope that is finished.
func (s *Scope) Release() { s.cancel(errSettled) }
