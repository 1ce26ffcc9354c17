package ratelimit

import "fmt"

// KeyedOption is an option of [NewKeyed]. Options may be reused and shared by goroutines;
// nil is not an option.
type KeyedOption func(*keyedConfig)

type keyedConfig struct {
	max  int
	full FullPolicy
}

// MaxKeys sets how many keys a [Keyed] keeps at most. The default is 2^20, about a million.
// It panics if n is below 1.
func MaxKeys(n int) KeyedOption {
	if n < 1 {
		panic("ratelimit: MaxKeys: less than one key")
	}
	return func(c *keyedConfig) { c.max = n }
}

// WhenFull sets what happens to a new key if [MaxKeys] keys are kept and none of them can be
// forgotten. The default is [Share]. It panics if the policy is unknown.
func WhenFull(p FullPolicy) KeyedOption {
	if p != Share && p != Deny && p != Evict {
		panic(fmt.Sprintf("ratelimit: WhenFull: no policy %d", int(p)))
	}
	return func(c *keyedConfig) { c.full = p }
}

// FullPolicy is what a [Keyed] does with a new key that it has no room for. The zero value
// is [Share]. A FullPolicy is a plain value.
type FullPolicy int

const (
	// Share makes all such keys share one bucket of the same limit and burst. So a flood of
	// new keys gets what one key gets, and keys seen before are not affected.
	Share FullPolicy = iota
	// Deny lets nothing through for such a key.
	Deny
	// Evict forgets, out of a few keys, the one whose bucket is fullest; that key starts
	// anew when it comes again. So a client that has more than MaxKeys keys is not limited
	// by this policy. Keys that are waited for or paused are not forgotten; if there are no
	// others, Evict denies the new key.
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
