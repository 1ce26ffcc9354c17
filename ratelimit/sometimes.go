package ratelimit

import (
	"sync"
	"time"
)

// Sometimes performs an action now and then, such as logging. It is the Sometimes of
// golang.org/x/time/rate. First, Every and Interval say which calls of Do perform it; they must
// not be changed after the first call. The zero value performs the action once. A Sometimes must
// not be copied after its first use. Do may be called from any goroutine.
type Sometimes struct {
	First    int           // if above 0, the first First calls run the function
	Every    int           // if above 0, every Every-th call runs the function, beginning with the first
	Interval time.Duration // if above 0, a call runs the function if the last run ended that long ago

	mu    sync.Mutex
	calls int
	ended time.Time // the end of the last run, with an Interval
}

// Do calls f if First, Every or Interval says so; one of them is enough. The first call always
// does. Calls of Do wait for each other, so f should be quick, and must not call Do of the same
// Sometimes: that is a deadlock. A call whose f panics counts as none.
func (s *Sometimes) Do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.due() {
		f()
		if s.Interval > 0 {
			s.ended = time.Now()
		}
	}
	s.calls++
}

// due reports whether the current call runs the function.
func (s *Sometimes) due() bool {
	switch {
	case s.calls == 0, s.calls < s.First:
		return true
	case s.Every > 0 && s.calls%s.Every == 0:
		return true
	}
	return s.Interval > 0 && time.Since(s.ended) >= s.Interval
}
