package testkit

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Turnstile is a limit that lets every call through, and counts those it has not yet been told the end of. It fails the
// test if it is told of more than it has let through. Its methods may be called from any goroutine.
type Turnstile struct {
	tb     testing.TB
	Waits  atomic.Int64 // calls that were let through
	Inside atomic.Int64 // those of them that were not released
}

// NewTurnstile returns a turnstile for a test.
func NewTurnstile(tb testing.TB) *Turnstile {
	tb.Helper()
	return &Turnstile{tb: tb}
}

// Wait lets a call through at once.
func (s *Turnstile) Wait(context.Context) error {
	s.Waits.Add(1)
	s.Inside.Add(1)
	return nil
}

// Release is told of the end of a call.
func (s *Turnstile) Release() {
	assert.GreaterOrEqual(s.tb, s.Inside.Add(-1), int64(0), "released twice")
}
