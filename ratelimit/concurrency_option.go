package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// ConcurrencyOption is an option of [NewConcurrency]. Options may be reused and shared by
// goroutines; nil is not an option.
type ConcurrencyOption func(*concurrencyConfig)

type concurrencyConfig struct {
	lowest, highest int
	first           int // 0: not set
	classify        func(error) Outcome
	make            func(limitBounds) limitTuner
	given           map[string]bool
}

// limitBounds keep a limit within its bounds.
type limitBounds struct{ lowest, highest, first float64 }

func (b limitBounds) clamp(limit float64) float64 { return min(max(limit, b.lowest), b.highest) }

func newConcurrencyConfig(opts []ConcurrencyOption) *concurrencyConfig {
	cfg := &concurrencyConfig{lowest: 1, highest: 1000, given: map[string]bool{}}
	for _, opt := range opts {
		opt(cfg)
	}
	if cfg.classify == nil {
		cfg.classify = OutcomeOf
	}
	if cfg.make == nil {
		Gradient(defaultTolerance, defaultProbe)(cfg)
	}
	switch {
	case cfg.first == 0:
		cfg.first = min(max(10, cfg.lowest), cfg.highest)
	case cfg.first < cfg.lowest || cfg.first > cfg.highest:
		panic(fmt.Sprintf("ratelimit: StartAt(%d): want between %d and %d", cfg.first, cfg.lowest, cfg.highest))
	}
	return cfg
}

func (c *concurrencyConfig) tuner() limitTuner {
	return c.make(limitBounds{float64(c.lowest), float64(c.highest), float64(c.first)})
}

func (c *concurrencyConfig) once(option string) {
	if c.given[option] {
		panic("ratelimit: " + option + " given twice")
	}
	c.given[option] = true
}

// Between bounds the limit. Only a probe of [Gradient] may go below lowest. The default is 1
// to 1,000. It panics unless 1 <= lowest <= highest.
func Between(lowest, highest int) ConcurrencyOption {
	return func(c *concurrencyConfig) {
		c.once("Between")
		if lowest < 1 || highest < lowest {
			panic(fmt.Sprintf("ratelimit: Between(%d, %d): want 1 <= lowest <= highest", lowest, highest))
		}
		c.lowest, c.highest = lowest, highest
	}
}

// StartAt sets the initial limit. The default is 10, or the nearest bound of [Between] if 10
// is outside. It panics if the limit is not within the bounds.
func StartAt(limit int) ConcurrencyOption {
	return func(c *concurrencyConfig) {
		c.once("StartAt")
		if limit < 1 {
			panic(fmt.Sprintf("ratelimit: StartAt(%d): want at least 1", limit))
		}
		c.first = limit
	}
}

// Classify sets how [Guard] derives the outcome of a call from its error. The default is
// [OutcomeOf]. It panics if the function is nil.
func Classify(outcome func(error) Outcome) ConcurrencyOption {
	return func(c *concurrencyConfig) {
		c.once("Classify")
		if outcome == nil {
			panic("ratelimit: Classify: nil function")
		}
		c.classify = outcome
	}
}

const (
	defaultTolerance = 1.5
	defaultProbe     = time.Minute
)

// Gradient finds the limit by the time that calls take, and needs no errors to see that a
// server has enough. It is for calls that are alike; if some calls by nature take a hundred
// times as long as others, [AIMD] is better. Gradient is the default, with a tolerance of 1.5
// and a probe every minute.
//
// The base is the time that calls take with hardly any other call in flight. The limit goes
// up by its square root while the median call takes at most tolerance times the base. It goes
// down in proportion to the time beyond that, at most to one half, and by half the share of
// calls that were [Dropped]. After a decrease, Gradient waits for calls that have started
// since before it acts again.
//
// The base is measured, never guessed from calls under load. It is measured with calls that
// happen to have at most two others in flight, and, if there are none of these, in a probe. A
// probe lowers the limit to 3 for 30 calls, or 10 until a base is known. The first probe is
// at the start. The next one follows after probeEvery, or after 10 s if that is shorter and
// the base is unknown or was measured only once. Up to 15 % is added at random, so that the
// probes of many clients do not coincide. Probes come later if calls take so long that probes
// would be more than a thirtieth of the time.
//
// The parts are taken from Envoy's adaptive concurrency filter (probes, jitter, the headroom
// of a square root, samples of a probe only from calls that began in it), from Netflix's
// concurrency-limits (Gradient2: tolerance, a gradient between 1/2 and 1, no growth of a
// limit that was not reached), and from DCTCP, RFC 8257 (a decrease by half the share of
// marks).
//
// Gradient panics unless tolerance is at least 1 and finite, and probeEvery is positive.
func Gradient(tolerance float64, probeEvery time.Duration) ConcurrencyOption {
	return func(c *concurrencyConfig) {
		c.algorithm("Gradient")
		if !(tolerance >= 1) || math.IsInf(tolerance, 1) {
			panic(fmt.Sprintf("ratelimit: Gradient: tolerance %v: want at least 1", tolerance))
		}
		if probeEvery <= 0 {
			panic(fmt.Sprintf("ratelimit: Gradient: a probe every %v: want more than 0", probeEvery))
		}
		c.make = func(b limitBounds) limitTuner { return newGradient(b, tolerance, int64(probeEvery)) }
	}
}

// AIMD finds the limit by the calls that were [Dropped]. The limit goes up by 1 for each
// round of calls in which it was reached. It goes down by half the share of calls that were
// dropped: to one half if all were. A [Success] that took longer than slow counts as dropped.
// If slow is 0, the time does not count, and if the server drops nothing, the limit ends at
// its upper bound.
//
// The name is additive increase, multiplicative decrease, as in TCP. That the decrease
// depends on the share is from DCTCP, RFC 8257: a few errors that have another reason cost
// little, where a fixed factor for each of them would end at the lower bound. AIMD panics if
// slow is negative.
func AIMD(slow time.Duration) ConcurrencyOption {
	return func(c *concurrencyConfig) {
		c.algorithm("AIMD")
		if slow < 0 {
			panic(fmt.Sprintf("ratelimit: AIMD(%v): want at least 0", slow))
		}
		c.make = func(b limitBounds) limitTuner { return &aimd{limitBounds: b, current: b.first, slow: int64(slow)} }
	}
}

func (c *concurrencyConfig) algorithm(name string) {
	c.once(name)
	if c.make != nil {
		panic("ratelimit: Gradient and AIMD exclude each other")
	}
}

// OutcomeOf returns the outcome of a call that returned err. It is [Success] if err is nil.
// It is [Dropped] if err is [context.DeadlineExceeded], has a Timeout method that returns
// true, or has a method RetryAfter() time.Duration, such as the error for a 429 of a server.
// All other errors are [Ignore]. A server that fails fast under load needs a function of its
// own, see [Classify].
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Success
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Dropped
	}
	if e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && e.Timeout() {
		return Dropped
	}
	if _, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return Dropped
	}
	return Ignore
}
