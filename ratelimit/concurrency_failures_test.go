package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// The tests of this file are named after what is known to go wrong with limits that adapt.

func TestGradientFollowsASuddenDropOfCapacityAndBack(t *testing.T) {
	s := &server{servers: 40, service: constant(50 * time.Millisecond)}
	simulate(t, 400, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(time.Minute)
		assert.InDelta(t, 70, watch(c, s, 10*time.Second).mean, 20)

		s.change(func() { s.servers = 5 })
		time.Sleep(10 * time.Second)
		low := watch(c, s, 10*time.Second)
		assert.GreaterOrEqual(t, low.lowest, 5)
		assert.LessOrEqual(t, low.highest, 18, "ten seconds after seven of eight servers went")

		s.change(func() { s.servers = 40 })
		time.Sleep(30 * time.Second)
		assert.InDelta(t, 70, watch(c, s, 10*time.Second).mean, 20)
	})
}

// A server that lets every call time out looks evenly fast: Netflix/concurrency-limits#137.
func TestGradientLearnsNothingFromConstantTimeouts(t *testing.T) {
	s := &server{servers: 20, service: constant(50 * time.Millisecond)}
	simulate(t, 200, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(time.Minute)
		s.change(func() { s.hangs = 5 * time.Second })
		time.Sleep(2 * time.Minute)
		down := c.Snapshot()
		assert.LessOrEqual(t, down.Limit, 3)
		assert.Equal(t, 50*time.Millisecond, down.Base)

		time.Sleep(time.Hour)
		down = c.Snapshot()
		assert.Equal(t, 1, down.Limit)
		assert.Equal(t, 50*time.Millisecond, down.Base, "an hour of time-outs teaches no base")

		s.change(func() { s.hangs = 0 })
		time.Sleep(time.Minute)
		assert.InDelta(t, 33, watch(c, s, 10*time.Second).mean, 10)
	})
}

func TestGradientStartsBeforeAServerThatOnlyTimesOut(t *testing.T) {
	s := &server{servers: 20, service: constant(50 * time.Millisecond), hangs: 5 * time.Second}
	simulate(t, 200, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(10 * time.Minute)
		got := c.Snapshot()
		assert.LessOrEqual(t, got.Limit, 3)
		assert.Zero(t, got.Base)
		s.change(func() { s.hangs = 0 })
		time.Sleep(time.Minute)
		assert.InDelta(t, 33, watch(c, s, 10*time.Second).mean, 10)
	})
}

// A base that is an average of what was measured under load grows with it, and the limit with
// the base: envoyproxy/envoy#11579, Netflix/concurrency-limits#165.
func TestGradientBaseDoesNotDriftUnderLoad(t *testing.T) {
	s := &server{servers: 10, service: exponential(100 * time.Millisecond)}
	simulate(t, 200, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(14 * time.Minute)
		late := watch(c, s, 2*time.Minute)
		// A base is the median of 30 calls, and so the limit varies: its mean is 18 with a standard
		// deviation of 1.6. A base that drifts, even if only a little of the load gets into it,
		// has taken the limit above 40 by now.
		assert.Less(t, late.base, 160*time.Millisecond, "the median of what the servers take is 69 ms")
		assert.Less(t, late.mean, 32.0)
		assert.LessOrEqual(t, late.highest, 50)
		assert.Greater(t, late.perSecond, 75.0, "of the 100 that are possible")
	})
}

// What takes longer because the way there is longer must not be taken for load for good.
func TestGradientFollowsALatencyThatChanges(t *testing.T) {
	s := &server{servers: 20, service: constant(20 * time.Millisecond)}
	simulate(t, 200, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(time.Minute)
		s.change(func() { s.latency = 80 * time.Millisecond })
		time.Sleep(3 * time.Minute) // two probes at most
		got := watch(c, s, time.Minute)
		assert.InDelta(t, 100*time.Millisecond, got.base, float64(10*time.Millisecond))
		// 20 servers of 20 ms each at the end of a way of 80 ms can have 100 calls.
		assert.Greater(t, got.mean, 90.0)
		assert.Greater(t, got.perSecond, 850.0, "of the 1,000 that are possible")

		s.change(func() { s.latency = 0 })
		time.Sleep(3 * time.Minute)
		got = watch(c, s, time.Minute)
		assert.InDelta(t, 20*time.Millisecond, got.base, float64(2*time.Millisecond))
		assert.InDelta(t, 36, got.mean, 10)
	})
}

func TestGradientDoesNotGrowWhileTheLimitIsNotReached(t *testing.T) {
	s := &server{servers: 1000, service: constant(50 * time.Millisecond)}
	simulate(t, 8, s, func(t *testing.T, c *ratelimit.Concurrency) { // 8 clients: below the limit of 10
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 10, watch(c, s, time.Minute).highest)
	})
}

// A burst of errors is one event, however many calls it costs.
func TestGradientDoesNotCollapseAfterABurstOfErrors(t *testing.T) {
	s := &server{servers: 100, service: constant(50 * time.Millisecond)}
	simulate(t, 400, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(time.Minute)
		before := watch(c, s, 10*time.Second)
		s.change(func() { s.hangs = 20 * time.Millisecond })
		time.Sleep(50 * time.Millisecond)
		s.change(func() { s.hangs = 0 })
		after := watch(c, s, 10*time.Second)
		assert.Greater(t, after.lowest, before.lowest/3)
		time.Sleep(10 * time.Second)
		assert.InDelta(t, before.mean, watch(c, s, 10*time.Second).mean, 25)
	})
}

// One call in fifty fails whatever the load. That is not to end at the lower bound.
func TestErrorsOfAnotherCauseCostLittle(t *testing.T) {
	for name, algorithm := range map[string]ratelimit.ConcurrencyOption{
		"gradient": ratelimit.Gradient(1.5, time.Minute),
		"aimd":     ratelimit.AIMD(75 * time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{servers: 40, service: constant(50 * time.Millisecond), failing: 50}
			simulate(t, 200, s, func(t *testing.T, c *ratelimit.Concurrency) {
				time.Sleep(2 * time.Minute)
				got := watch(c, s, time.Minute)
				t.Logf("%+v", got)
				assert.Greater(t, got.mean, 30.0)
				assert.Greater(t, got.perSecond, 0.8*40/0.05)
			}, algorithm)
		})
	}
}

func TestGradientNeedsNoProbeInLowTraffic(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		s := &server{servers: 20, service: constant(50 * time.Millisecond)}
		c := ratelimit.NewConcurrency()
		for range 3600 * 2 { // two a second
			time.Sleep(500 * time.Millisecond)
			p, ok := c.TryAcquire()
			assert.True(t, ok)
			outcome, _ := s.call()
			p.Release(outcome)
			if now := c.Snapshot(); now.Success > 20 {
				assert.False(t, now.Probing)
			}
		}
		assert.Equal(t, 10, c.Limit())
		assert.Equal(t, 50*time.Millisecond, c.Snapshot().Base)
	})
}

// Three calls of a probe that never end must not be all that anybody gets.
func TestGradientGivesUpAProbeWhoseCallsHang(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := ratelimit.NewConcurrency()
		var hung []ratelimit.Permit
		for range 3 {
			p, ok := c.TryAcquire()
			assert.True(t, ok)
			hung = append(hung, p)
		}
		_, ok := c.TryAcquire()
		assert.False(t, ok, "the first calls are a probe")
		start := time.Now()
		p, err := c.Acquire(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Equal(t, 10, c.Limit())
		p.Release(ratelimit.Success)
		for _, p := range hung {
			p.Release(ratelimit.Success)
		}
	})
}

func TestProbesTakeASmallPartOfTheTime(t *testing.T) {
	s := &server{servers: 50, service: constant(3 * time.Second)}
	simulate(t, 200, s, func(t *testing.T, c *ratelimit.Concurrency) {
		got := watch(c, s, time.Hour)
		assert.Less(t, got.probes, time.Hour/20)
		assert.Greater(t, got.probes, time.Minute)
		assert.Greater(t, got.perSecond, 0.9*50/3)
	})
}

func TestAIMDSettlesWhereTheServerTurnsCallsAway(t *testing.T) {
	s := &server{servers: 20, service: constant(50 * time.Millisecond), rejectAt: 20}
	simulate(t, 400, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(time.Minute)
		got := watch(c, s, 3*time.Minute)
		t.Logf("%+v", got)
		assert.GreaterOrEqual(t, got.mean, 30.0)
		assert.LessOrEqual(t, got.mean, 45.0)
		assert.Greater(t, got.perSecond, 390.0)
		// A refusal takes a millisecond, and who is refused is back at once.
		s.change(func() { assert.Less(t, float64(s.refused), 0.25*float64(s.served)) })
	}, ratelimit.AIMD(0))
}

func TestAIMDTakesSlowCallsForDropped(t *testing.T) {
	s := &server{servers: 20, service: constant(50 * time.Millisecond)}
	simulate(t, 400, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(time.Minute)
		got := watch(c, s, 3*time.Minute)
		t.Logf("%+v", got)
		assert.GreaterOrEqual(t, got.mean, 30.0) // 40 in flight take 100 ms each
		assert.LessOrEqual(t, got.mean, 45.0)
		assert.Greater(t, got.perSecond, 380.0)
	}, ratelimit.AIMD(100*time.Millisecond))
}

// A round in which all calls were dropped says nothing of how long calls take.
func TestAIMDKeepsTheLatencyIfAllIsDropped(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := ratelimit.NewConcurrency(ratelimit.AIMD(0))
		for _, outcome := range []ratelimit.Outcome{ratelimit.Success, ratelimit.Dropped} {
			for range 10 {
				p, ok := c.TryAcquire()
				require.True(t, ok)
				time.Sleep(time.Second)
				p.Release(outcome)
			}
			assert.Equal(t, time.Second, c.Snapshot().Latency, outcome)
		}
	})
}

func TestAIMDEndsAtTheUpperBoundIfNothingIsDropped(t *testing.T) {
	s := &server{servers: 5, service: constant(time.Millisecond)}
	simulate(t, 100, s, func(t *testing.T, c *ratelimit.Concurrency) {
		time.Sleep(time.Minute)
		assert.Equal(t, 64, c.Limit())
	}, ratelimit.AIMD(0), ratelimit.Between(2, 64))
}

// The calls that were in flight when something broke are one event, also if they end one after the
// other: what they say is about the limit that they began under.
func TestConcurrencyCountsCallsFromBeforeADecreaseOnce(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		c := ratelimit.NewConcurrency(ratelimit.AIMD(0), ratelimit.StartAt(64))
		var permits []ratelimit.Permit
		for range 64 {
			p, ok := c.TryAcquire()
			assert.True(t, ok)
			permits = append(permits, p)
		}
		for _, p := range permits {
			time.Sleep(100 * time.Millisecond)
			p.Release(ratelimit.Dropped)
		}
		assert.Equal(t, 32, c.Limit())
	})
}
