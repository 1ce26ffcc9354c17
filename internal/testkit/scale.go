package testkit

import (
	"runtime"
	"sync"
	"time"
	"weak"
)

// Scale counts which of the values put on it are kept by somebody, by a name for each kind.
// The nil Scale counts nothing. Its methods may be called from any goroutine.
type Scale struct {
	mu  sync.Mutex
	all map[string][]func() (gone bool)
}

// Weigh puts v on a scale.
func Weigh[T any](s *Scale, kind string, v *T) {
	if s == nil {
		return
	}
	w := weak.Make(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string][]func() bool{}
	}
	s.all[kind] = append(s.all[kind], func() bool { return w.Value() == nil })
}

// Of returns how many of a kind are kept, and how many were put on the scale.
func (s *Scale) Of(kind string) (kept, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, gone := range s.all[kind] {
		if !gone() {
			kept++
		}
	}
	return kept, len(s.all[kind])
}

// Collected reports whether gone becomes true once garbage has been collected. It waits up to
// a second for cleanups, which run on a goroutine of the runtime.
func Collected(gone func() bool) bool {
	for range 200 {
		runtime.GC()
		if gone() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}
