package ratelimit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// server is a queue before so many servers that a test can change it while it runs. It
// belongs to a bubble; goroutines of it run one at a time where it matters, under mu.
type server struct {
	mu       sync.Mutex
	servers  int
	busy     int
	queue    []chan struct{}
	service  func() time.Duration
	rejectAt int           // calls in queue at which it turns further ones away; 0 is never
	hangs    time.Duration // 0, or how long each call takes before it fails
	latency  time.Duration // of the network
	failing  int           // one call in so many fails, whatever the load; 0 is none
	served   int
	refused  int
}

var errBusy = errors.New("busy")

func (s *server) call() (ratelimit.Outcome, error) {
	s.mu.Lock()
	if s.hangs > 0 {
		d := s.hangs
		s.mu.Unlock()
		time.Sleep(d)
		return ratelimit.Dropped, context.DeadlineExceeded
	}
	if s.rejectAt > 0 && len(s.queue) >= s.rejectAt {
		s.refused++
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		return ratelimit.Dropped, errBusy
	}
	if s.busy >= s.servers {
		turn := make(chan struct{})
		s.queue = append(s.queue, turn)
		s.mu.Unlock()
		<-turn
		s.mu.Lock()
	} else {
		s.busy++
	}
	d, network := s.service(), s.latency
	s.mu.Unlock()
	time.Sleep(d)
	s.mu.Lock()
	s.served++
	fails := s.failing > 0 && s.served%s.failing == 0
	if len(s.queue) > 0 && s.busy <= s.servers {
		close(s.queue[0])
		s.queue = s.queue[1:]
	} else {
		s.busy--
	}
	s.mu.Unlock()
	time.Sleep(network)
	if fails {
		return ratelimit.Dropped, errBusy
	}
	return ratelimit.Success, nil
}

func (s *server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// exponential service times, the same in each run.
func exponential(mean time.Duration) func() time.Duration {
	r := rand.New(rand.NewPCG(1, 2))
	return func() time.Duration { return time.Duration(r.ExpFloat64() * float64(mean)) }
}

func constant(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// keepBusy has so many clients call the server as fast as the limit lets them, until ctx ends.
func keepBusy(ctx context.Context, clients int, c *ratelimit.Concurrency, s *server) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				p, err := c.Acquire(ctx)
				if err != nil {
					return
				}
				outcome, _ := s.call()
				p.Release(outcome)
			}
		})
	}
	return &wg
}

// seen is what the limit has been over a time, probes left out.
type seen struct {
	mean             float64
	lowest, highest  int
	perSecond        float64
	probes           time.Duration
	base, worstUsual time.Duration
}

func watch(c *ratelimit.Concurrency, s *server, d time.Duration) seen {
	const step = 10 * time.Millisecond
	var out seen
	var sum, n int
	s.mu.Lock()
	before := s.served
	s.mu.Unlock()
	for range int(d / step) {
		time.Sleep(step)
		now := c.Snapshot()
		if now.Probing {
			out.probes += step
			continue
		}
		if n == 0 {
			out.lowest = now.Limit
		}
		n++
		sum += now.Limit
		out.lowest, out.highest = min(out.lowest, now.Limit), max(out.highest, now.Limit)
		out.base, out.worstUsual = now.Base, max(out.worstUsual, now.Latency)
	}
	s.mu.Lock()
	out.perSecond = float64(s.served-before) / d.Seconds()
	s.mu.Unlock()
	out.mean = float64(sum) / float64(max(n, 1))
	return out
}

// simulate runs a test in a bubble with clients that never stop asking.
func simulate(t *testing.T, clients int, s *server, test func(t *testing.T, c *ratelimit.Concurrency), opts ...ratelimit.ConcurrencyOption) {
	t.Helper()
	testkit.Bubble(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		c := ratelimit.NewConcurrency(opts...)
		wg := keepBusy(ctx, clients, c, s)
		test(t, c)
		stop()
		wg.Wait()
		assert.Zero(t, c.InFlight())
		assert.Zero(t, c.Snapshot().Waiting)
	})
}

func TestGradientSettlesAtWhatTheServersTake(t *testing.T) {
	// The base is the median of 30 calls, which for exponential times is off by a quarter, often: hence
	// the wider bounds, and the mean over several bases.
	for _, test := range []struct {
		name     string
		servers  int
		service  func() time.Duration
		long     time.Duration
		from, to float64 // mean of the limit
	}{
		{"4 constant", 4, constant(50 * time.Millisecond), 2 * time.Minute, 4, 12},
		{"20 constant", 20, constant(50 * time.Millisecond), 2 * time.Minute, 20, 40},
		{"100 constant", 100, constant(50 * time.Millisecond), 2 * time.Minute, 100, 190},
		{"20 exponential", 20, exponential(50 * time.Millisecond), 8 * time.Minute, 18, 55},
		{"100 exponential", 100, exponential(100 * time.Millisecond), 8 * time.Minute, 80, 300},
		{"20 slow", 20, constant(2 * time.Second), 2 * time.Minute, 20, 40},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &server{servers: test.servers, service: test.service}
			simulate(t, 300, s, func(t *testing.T, c *ratelimit.Concurrency) {
				time.Sleep(time.Minute)
				got := watch(c, s, test.long)
				t.Logf("%+v", got)
				assert.GreaterOrEqual(t, got.mean, test.from)
				assert.LessOrEqual(t, got.mean, test.to)
			})
		})
	}
}
