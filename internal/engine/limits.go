package engine

import "context"

// Waiter is a limit that a call waits for.
type Waiter interface {
	Wait(ctx context.Context) error
}

// releaser is a Waiter that is told when a call that it has let through is over.
type releaser interface {
	Waiter
	Release()
}

// Limits is what each call of a pool or a stage waits for before it starts. Nil means no
// limits.
type Limits struct {
	waiters   []Waiter
	releasers []releaser // the one of each waiter, nil if it has none; nil if no waiter has one
}

// NewLimits returns the limits in the order in which calls wait for them.
func NewLimits[W Waiter](waiters []W) *Limits {
	l := &Limits{waiters: make([]Waiter, len(waiters))}
	for i, w := range waiters {
		l.waiters[i] = w
		if r, ok := any(w).(releaser); ok {
			if l.releasers == nil {
				l.releasers = make([]releaser, len(waiters))
			}
			l.releasers[i] = r
		}
	}
	return l
}

// Len returns how many limits there are.
func (l *Limits) Len() int {
	if l == nil {
		return 0
	}
	return len(l.waiters)
}

// Releases reports whether a limit is to be told when a call is over. If not, Release does
// nothing.
func (l *Limits) Releases() bool { return l != nil && l.releasers != nil }

// Wait waits for all limits. After it has returned nil, Release must be called once, when the
// call is over or will not be made. If Wait does not return nil, those limits that would have
// let the call through know already that it is not made.
func (l *Limits) Wait(ctx context.Context) error {
	if l == nil {
		return nil
	}
	if l.releasers != nil {
		return l.waitOrRelease(ctx)
	}
	for _, w := range l.waiters {
		if err := w.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *Limits) waitOrRelease(ctx context.Context) error {
	passed := 0
	defer func() { // even if a limit panics
		if passed < len(l.waiters) {
			l.release(passed)
		}
	}()
	for _, w := range l.waiters {
		if err := w.Wait(ctx); err != nil {
			return err
		}
		passed++
	}
	return nil
}

// Release tells the limits that a call that Wait has let through is over.
func (l *Limits) Release() {
	if l.Releases() {
		l.release(len(l.waiters))
	}
}

// release tells the first n limits, the last of them first, even if one panics.
func (l *Limits) release(n int) {
	if n == 0 {
		return
	}
	defer l.release(n - 1)
	if r := l.releasers[n-1]; r != nil {
		r.Release()
	}
}
