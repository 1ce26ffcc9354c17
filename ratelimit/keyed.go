package ratelimit

import (
	"context"
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"
)

// Keyed is a limiter for each key, such as a user or an address, all with the same limit and
// burst. Keys need no registration. A key that has not been seen for as long as its bucket
// takes to fill is forgotten, which changes no decision.
//
// In the function of a pool or a pipeline stage, wait for the key first and then begin the
// timeout, in the function: the Timeout of the pool or the stage counts the wait, too. See
// the example "timeout".
//
// A Keyed keeps at most [MaxKeys] keys. It has no goroutine and nothing to close. A key
// takes the memory of the key itself, as in a map, and of two words, in a table that is
// between three eighths and three quarters full once it has grown: for a string 43 to 86
// bytes besides its text, for an int64 32 to 64. With 100,000 keys it is 76 and 53, as
// measured by
//
//	go test -v -run TestKeyedBytesAKey ./ratelimit
//
// The table does not shrink. A key that is waited for, paused, reserved or part of a [Multi]
// has a whole [Limiter], for as long as that lasts or until it is forgotten.
//
// Create it with [NewKeyed]; the zero value is not usable. A Keyed must not be copied. Its
// methods may be called from any goroutine at any time. They panic if the key is not equal
// to itself, such as a NaN, and, if K is or contains an interface, if the key cannot be
// hashed, such as a slice. Keys are hashed with a random seed that is different for each
// Keyed, so clients that choose keys cannot make them collide.
type Keyed[K comparable] struct {
	epoch    time.Time
	meter    meter
	limit    Limit
	burst    int
	max      int64
	full     FullPolicy
	overflow *Limiter
	seed     maphash.Seed // secret, so that clients cannot send keys that collide
	shards   []shard[K]   // a power of two of them
	shift    uint8        // hash >> shift is the index of the shard
	_        [64]byte     // separates what each call reads from what each new key writes
	keys     atomic.Int64

	// soonest has, for each shard, a time before which none of its keys can be forgotten, in
	// ns since the epoch. It is written with the mutex of the shard held. These times are
	// seldom written and often read, all together, so they are here and not in the shards.
	soonest []atomic.Int64
}

// NewKeyed returns a Keyed that gives each key limit events per second and a burst, as
// [NewLimiter] does. It panics if limit is NaN, or if an option is invalid.
func NewKeyed[K comparable](limit Limit, burst int, opts ...KeyedOption) *Keyed[K] {
	checked("NewKeyed", limit)
	c := keyedConfig{max: 1 << 20}
	for _, o := range opts {
		o(&c)
	}
	k := &Keyed[K]{
		epoch: time.Now(),
		meter: newMeter(limit, burst),
		limit: limit,
		burst: burst,
		max:   int64(c.max),
		full:  c.full,
		seed:  maphash.MakeSeed(),
	}
	if c.full == Share {
		k.overflow = new(Limiter)
		k.overflow.set(k.epoch, limit, burst)
	}
	k.shards = make([]shard[K], shardsFor(c.max))
	k.soonest = make([]atomic.Int64, len(k.shards))
	k.shift = uint8(64 - bits.TrailingZeros(uint(len(k.shards))))
	for i := range k.shards {
		k.shards[i].init(k, i)
	}
	return k
}

// Allow reports whether an event of the key may happen now, and takes its token if so.
func (k *Keyed[K]) Allow(key K) bool {
	s, hash := k.locate(key)
	return s.allow(key, hash, int64(time.Since(k.epoch)), 1)
}

// AllowN is [Limiter.AllowN] for the key.
func (k *Keyed[K]) AllowN(key K, t time.Time, n int) bool {
	checkN("AllowN", n)
	s, hash := k.locate(key)
	return n == 0 || s.allow(key, hash, offset(t, k.epoch), n)
}

// Take is [Limiter.Take] for the key. If there is no room for the key and it is denied,
// RetryAfter says when the first of the other keys may be forgotten.
func (k *Keyed[K]) Take(key K, n int) Decision {
	checkN("Take", n)
	s, hash := k.locate(key)
	return s.take(key, hash, n)
}

// Wait is WaitN for one event.
func (k *Keyed[K]) Wait(ctx context.Context, key K) error { return k.WaitN(ctx, key, 1) }

// WaitN is [Limiter.WaitN] for the key: each key has its own line. If ctx ends, WaitN returns
// ctx.Err() and not its cause. If there is no room for the key and it is denied, WaitN returns
// a [*WaitError] that is [ErrFull].
func (k *Keyed[K]) WaitN(ctx context.Context, key K, n int) error {
	checkN("WaitN", n)
	if err := ctx.Err(); err != nil || n == 0 {
		return err
	}
	s, hash := k.locate(key)
	if s.allow(key, hash, int64(time.Since(k.epoch)), n) {
		return nil
	}
	l, done := k.open(key)
	if l == nil {
		return k.noRoom(n)
	}
	defer done()
	return l.wait(ctx, n, 0)
}

func (k *Keyed[K]) noRoom(n int) error {
	return &WaitError{N: n, RetryAfter: k.room(int64(time.Since(k.epoch))), reason: ErrFull}
}

// Pause is [Limiter.Pause] for the key. If there is no room for the key, the pause applies
// to all such keys with [Share], and is lost if the key is denied.
func (k *Keyed[K]) Pause(key K, until time.Time) {
	if l, done := k.open(key); l != nil {
		defer done()
		l.Pause(until)
	}
}

// Refund is [Limiter.Refund] for the key. If the Keyed does not have the key, Refund does
// nothing, not even to the bucket that such keys have in common with [Share]: the event may
// have been one of a key that has been forgotten since.
func (k *Keyed[K]) Refund(key K, n int) {
	checkN("Refund", n)
	s, hash := k.locate(key)
	s.refund(key, hash, n)
}

// Limit returns the events per second that each key has.
func (k *Keyed[K]) Limit() Limit { return k.limit }

// Burst returns how many events of a key can happen at once.
func (k *Keyed[K]) Burst() int { return k.burst }

// Len returns how many keys it keeps, including those that it will forget when it next needs
// the room. It is never above [MaxKeys].
func (k *Keyed[K]) Len() int { return int(k.keys.Load()) }

// At returns the limit of the key, for a pipeline stage to wait for, say, or to combine in a
// [Multi]. It takes no room until it is used.
func (k *Keyed[K]) At(key K) *KeyLimit[K] { return &KeyLimit[K]{k, key} }

// KeyLimit is the limit of one key of a [Keyed]. Create it with [Keyed.At]; the zero value
// is not usable. A KeyLimit may be copied. Its methods may be called from any goroutine at
// any time. It keeps nothing alive but the Keyed.
type KeyLimit[K comparable] struct {
	keyed *Keyed[K]
	key   K
}

// Allow is [Keyed.Allow].
func (l *KeyLimit[K]) Allow() bool { return l.keyed.Allow(l.key) }

// Wait is [Keyed.Wait].
func (l *KeyLimit[K]) Wait(ctx context.Context) error { return l.keyed.Wait(ctx, l.key) }

func (l *KeyLimit[K]) open() (*line, func()) {
	lim, done := l.keyed.open(l.key)
	if lim == nil {
		return nil, nil
	}
	return &lim.line, done
}

func (l *KeyLimit[K]) room() time.Duration {
	if l.keyed.full == Share || l.keyed.Len() < int(l.keyed.max) {
		return 0
	}
	return l.keyed.room(int64(time.Since(l.keyed.epoch)))
}
