package ratelimit

import "fmt"

// KeyedOption is an option of [NewKeyed].
type KeyedOption func(*keyedConfig)

type keyedConfig struct {
	max  int
	full FullPolicy
}

// MaxKeys sets how many keys a [Keyed] keeps at most; the default is 2^20, about a million.
// It panics if n is below 1.
func MaxKeys(n int) KeyedOption {
	if n < 1 {
		panic("ratelimit: MaxKeys: less than one key")
	}
	return func(c *keyedConfig) { c.max = n }
}

// WhenFull sets what happens to a new key when [MaxKeys] keys are kept and none of them can
// be forgotten. The default is [Share].
func WhenFull(p FullPolicy) KeyedOption {
	if p != Share && p != Deny && p != Evict {
		panic(fmt.Sprintf("ratelimit: WhenFull: no policy %d", int(p)))
	}
	return func(c *keyedConfig) { c.full = p }
}

// FullPolicy is what a [Keyed] does with a new key that there is no room for.
type FullPolicy int

const (
	// Share lets all such keys share one bucket of the same limit and burst. So a flood of
	// keys that nobody has seen before gets what one key gets, and those seen before
	// are not touched.
	Share FullPolicy = iota
	// Deny lets nothing through for such a key.
	Deny
	// Evict forgets, of some keys, the one whose bucket is the fullest, and begins anew with
	// it when it comes again. Who has more than MaxKeys keys at hand is not limited
	// by this policy. Keys that are waited for or paused stay; if there are only such, it
	// denies.
	Evict
)

// String returns the name of the policy.
func (p FullPolicy) String() string {
	switch p {
	case Share:
		return "Share"
	case Deny:
		return "Deny"
	case Evict:
		return "Evict"
	}
	return fmt.Sprintf("FullPolicy(%d)", int(p))
}
