package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// service is a pool that lives as long as the program, as that of a server does: requests put jobs into it and go, and
// most of these jobs are looked at by somebody else, later.
type service struct {
	pool *tasked
	book *book

	mu      sync.Mutex
	waiting []handed // not looked at; guarded by mu
	handed  int64    // jobs accepted so far
}

func newService(b *book) *service {
	return &service{book: b, pool: pool.New(call,
		pool.Workers(serviceWorkers), pool.Queue(512), pool.Capacity(8), pool.Track(200), pool.Name("service"),
		pool.Retry(pool.RetryPolicy{Attempts: 3, Base: time.Millisecond, Budget: 0.5}),
		pool.Timeout(20*time.Millisecond), pool.IdleTimeout(50*time.Millisecond, 1), pool.Observe((&observer{}).tell))}
}

const serviceWorkers = 6

// round is a request: it ends what has been done for others, and leaves some of its own behind.
func (s *service) round(ctx context.Context, r *rand.Rand, b *book) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	s.steer(r)
	for _, t := range tasks(r, b, r.IntN(60), s.pool.Do) {
		var j *pool.Job[output]
		var err error
		if r.IntN(2) == 0 {
			j, err = s.pool.Submit(ctx, t, jobOptions(r)...)
		} else {
			j, err = s.pool.TrySubmit(t, jobOptions(r)...)
		}
		if err != nil {
			b.refused.Add(1)
			continue
		}
		b.accepted.Add(1)
		s.mu.Lock()
		s.handed++
		s.waiting = append(s.waiting, handed{t, j})
		s.mu.Unlock()
		switch r.IntN(20) {
		case 0:
			j.Cancel(nil)
		case 1:
			_, _ = j.Wait(ctx) // the result is looked at later
		case 2:
			if found, ok := s.pool.Job(j.ID()); ok && found.ID() != j.ID() {
				b.errorf("asked for job %d, got %d", j.ID(), found.ID())
			}
		}
	}
	s.collect(false)
}

// steer does to the pool what does not stop it for good.
func (s *service) steer(r *rand.Rand) {
	switch r.IntN(10) {
	case 0:
		_ = s.pool.Resize(1 + r.IntN(2*serviceWorkers))
	case 1:
		_ = s.pool.Halt(r.IntN(serviceWorkers))
		_ = s.pool.Resize(serviceWorkers)
	case 2:
		_ = s.pool.HaltNow(r.IntN(serviceWorkers))
		_ = s.pool.Resize(serviceWorkers)
	case 3:
		s.pool.Pause()
		runtime.Gosched()
		s.pool.Resume()
	}
}

// collect enters the jobs that have ended; with all, it waits for the others.
func (s *service) collect(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []handed
	for _, h := range s.waiting {
		select {
		case <-h.j.Done():
			h.settle()
		default:
			if all {
				h.settle()
			} else {
				left = append(left, h)
			}
		}
	}
	s.waiting = left
}

// rest has all jobs end, and holds the pool's counts against ours. Nobody may submit meanwhile.
func (s *service) rest() {
	s.pool.Resume()
	_ = s.pool.Resize(serviceWorkers)
	s.collect(true)
	balance(s.book, s.pool.Stats(), s.handed)
}

// close ends the service.
func (s *service) close() {
	if err := s.pool.Shutdown(context.Background()); err != nil {
		s.book.errorf("shutdown: %v", err)
	}
	s.rest()
	if _, err := s.pool.TrySubmit(&task{book: s.book}); !errors.Is(err, pool.ErrClosed) {
		s.book.errorf("submit after shutdown: %v", err)
	}
}
