package ratelimit

import (
	"hash/maphash"
	"iter"
	"math"
	"math/bits"
	"runtime"
	"sync"
	"time"
)

// shard keeps some of the keys of a Keyed, each as one word: the theoretical arrival time,
// as in a bucket. A key for which that is not enough, because a caller waits for it, say,
// has a Limiter of its own for a while.
//
// A key whose time is over may be removed at any time. The time of a removed key is never
// after forgot, and a new key starts with forgot, so that after a step back of the clock its
// bucket counts as used. So nothing has to be remembered about a removed key.
//
// Lock order: a shard, then a line; never two shards.
type shard[K comparable] struct {
	mu     sync.Mutex
	keyed  *Keyed[K]
	place  int   // among the shards
	base   int64 // ns since the epoch at which ticks are 0
	table  table[K]
	hand   int   // of the sweep: an index of cells
	forgot int64 // ticks
	large  map[K]*ownLimiter
	_      [64]byte // away from the next shard
}

// ownLimiter is the Limiter of one key.
type ownLimiter struct {
	Limiter
	users int // callers that hold it and may use it; guarded by the mutex of the shard
}

func shardsFor(keys int) int {
	n := min(runtime.GOMAXPROCS(0)*16, 256, keys/16+1)
	return 1 << (bits.Len(uint(n)) - 1)
}

func (s *shard[K]) init(k *Keyed[K], place int) {
	s.keyed = k
	s.place = place
	s.table = newTable[K]()
	s.forgot = unused
	k.soonest[place].Store(never)
}

// locate returns the shard of a key, and the hash of the key in it.
func (k *Keyed[K]) locate(key K) (*shard[K], uint64) {
	if key != key { //nolint:revive,gocritic // a float that is not a number, or what has one in it
		panic("ratelimit: a key that is not equal to itself")
	}
	hash := maphash.Comparable(k.seed, key) | 1
	return &k.shards[hash>>k.shift], hash
}

func (s *shard[K]) allow(key K, hash uint64, at int64, n int) bool {
	m := &s.keyed.meter
	switch {
	case m.unlimited && s.keyed.keys.Load() == 0: // keys are kept only for their pauses
		return true
	case int64(n) > m.burst && !m.unlimited:
		return false
	}
	s.mu.Lock()
	c := s.table.find(key, hash)
	if c == nil {
		if m.unlimited {
			s.mu.Unlock()
			return true
		}
		if c = s.add(key, hash, at); c == nil {
			s.mu.Unlock()
			return s.keyed.full == Share && s.keyed.overflow.allowAt(at, n)
		}
	}
	tat := c.tat
	if since := at - s.base; tat != busy && uint64(since) <= uint64(m.reach) {
		now := m.ticks(since)
		if next := max(tat, now) + int64(n)*m.cost; next-now <= m.depth {
			c.tat = next
			s.mu.Unlock()
			return true
		}
		s.mu.Unlock()
		return false
	}
	defer s.mu.Unlock()
	if tat != busy && s.rebase() {
		if since := at - s.base; since >= 0 && since <= m.reach {
			d, next := m.decide(c.tat, m.ticks(since), n)
			c.tat = next
			return d.Allowed
		}
	}
	return s.own(c).allowAt(at, n)
}

func (s *shard[K]) take(key K, hash uint64, n int) Decision {
	k := s.keyed
	m := &k.meter
	now := int64(time.Since(k.epoch))
	s.mu.Lock()
	c := s.table.find(key, hash)
	if c == nil && (m.unlimited || n == 0 || int64(n) > m.burst) {
		s.mu.Unlock()
		d := Decision{Allowed: true, Limit: k.burst, Remaining: int(min(m.burst, math.MaxInt))}
		if m.unlimited {
			d.Remaining = math.MaxInt
		} else if int64(n) > m.burst {
			d.Allowed, d.RetryAfter = false, InfDuration
		}
		return d
	}
	if c == nil {
		if c = s.add(key, hash, now); c == nil {
			s.mu.Unlock()
			if k.full == Share {
				return k.overflow.Take(n)
			}
			retry := k.room(now)
			return Decision{Limit: k.burst, RetryAfter: retry, ResetAfter: retry}
		}
	}
	defer s.mu.Unlock()
	if m.unlimited && c.tat != busy {
		return Decision{Allowed: true, Limit: k.burst, Remaining: math.MaxInt}
	}
	if c.tat != busy {
		if uint64(now-s.base) > uint64(m.reach) {
			s.rebase()
		}
		if since := now - s.base; since >= 0 && since <= m.reach {
			d, next := m.decide(c.tat, m.ticks(since), n)
			c.tat = next
			d.Limit = k.burst
			return d
		}
	}
	return s.own(c).Take(n)
}

func (s *shard[K]) refund(key K, hash uint64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.keyed.meter
	c := s.table.find(key, hash)
	switch {
	case c == nil: // forgotten, if it ever had room: its bucket is full
	case c.tat == busy:
		s.large[key].Refund(n)
		s.expires(int64(time.Since(s.keyed.epoch)))
	case c.tat == unused:
	default:
		c.tat = max(c.tat-m.price(int64(n)), long)
		s.expires(s.end(c.tat))
	}
}

// add makes room for a key that is not in the shard, and returns its cell; nil if there is
// no room. It may unlock the shard meanwhile.
func (s *shard[K]) add(key K, hash uint64, at int64) *cell[K] {
	k := s.keyed
	for !k.claim() {
		if k.full != Evict && k.first() > at { // a flood of new keys stops here
			return nil
		}
		s.mu.Unlock()
		made := k.forget(s, at) || k.full == Evict && k.evict(s)
		s.mu.Lock()
		if c := s.table.find(key, hash); c != nil {
			return c
		}
		if !made {
			return nil
		}
	}
	end := at
	if since := at - s.base; since >= 0 && since <= k.meter.reach {
		ticks := k.meter.ticks(since)
		for range 4 { // four cells have more than one key, so expired keys do not pile up
			s.sweepOne(ticks, at)
		}
		if s.forgot <= ticks {
			end = s.end(ticks + k.meter.cost) // one event may be let through at once
		}
	}
	s.expires(end)
	return s.table.insert(cell[K]{hash: hash, tat: s.forgot, key: key})
}

// claim takes the room of one key, if there is any.
func (k *Keyed[K]) claim() bool {
	for n := k.keys.Load(); n < k.max; n = k.keys.Load() {
		if k.keys.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

// expires notes that a key may be forgotten from at on.
func (s *shard[K]) expires(at int64) {
	if soonest := &s.keyed.soonest[s.place]; at < soonest.Load() {
		soonest.Store(at)
	}
}

// end returns tat, a time in ticks, in ns since the epoch.
func (s *shard[K]) end(tat int64) int64 {
	m := &s.keyed.meter
	return later(s.base, m.stepsAt(tat), m.shift)
}

// sweepOne removes the key at the hand if it is over, or else moves the hand on.
func (s *shard[K]) sweepOne(ticks, at int64) {
	if s.hand >= len(s.table.cells) {
		s.hand = 0
	}
	if !s.over(s.hand, ticks, at) {
		s.hand++
	}
}

// over removes the key in a cell, if there is one whose time is over, and reports whether it
// did.
func (s *shard[K]) over(i int, ticks, at int64) bool {
	c := &s.table.cells[i]
	switch {
	case c.hash == 0:
		return false
	case c.tat == busy:
		l := s.large[c.key]
		if l.users > 0 {
			return false
		}
		quiet, full, now := l.quietAt(at)
		if quiet > now {
			return false
		}
		if full != math.MinInt64 {
			m := &s.keyed.meter
			s.forgot = max(s.forgot, m.ticks(min(max(full-s.base, -m.reach), m.reach)))
		}
	case c.tat > ticks:
		return false
	default:
		s.forgot = max(s.forgot, c.tat)
	}
	s.drop(i)
	return true
}

func (s *shard[K]) drop(i int) {
	if c := &s.table.cells[i]; c.tat == busy {
		delete(s.large, c.key)
	}
	s.table.remove(i)
	s.keyed.keys.Add(-1)
}

// forget removes all keys whose time is over from one shard, the first from s on that has
// any, and reports whether there was one. The others can wait until their room is needed.
func (k *Keyed[K]) forget(s *shard[K], at int64) bool {
	for s := range k.from(s) {
		if k.soonest[s.place].Load() <= at && s.sweep(at) {
			return true
		}
	}
	return false
}

// from yields all shards, starting with first.
func (k *Keyed[K]) from(first *shard[K]) iter.Seq[*shard[K]] {
	return func(yield func(*shard[K]) bool) {
		for i := range k.shards {
			if !yield(&k.shards[(first.place+i)&(len(k.shards)-1)]) {
				return
			}
		}
	}
}

// sweep removes all keys whose time is over, and reports whether there were any.
func (s *shard[K]) sweep(at int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.keyed.meter
	if at-s.base > m.reach {
		s.rebase()
	}
	ticks := m.ticks(min(max(at-s.base, -m.reach), m.reach))
	first, least, used := int64(never), busy, s.table.used
	for i := 0; i < len(s.table.cells); {
		if s.over(i, ticks, at) {
			continue
		}
		switch c := &s.table.cells[i]; {
		case c.hash == 0:
		case c.tat != busy:
			least = min(least, c.tat)
		default:
			if l := s.large[c.key]; l.users == 0 {
				quiet, _, _ := l.quietAt(at)
				first = min(first, quiet)
			}
		}
		i++
	}
	if least != busy {
		first = min(first, s.end(least))
	}
	s.keyed.soonest[s.place].Store(first)
	return s.table.used < used
}

// first returns a time, in ns since the epoch, before which no key can be forgotten.
func (k *Keyed[K]) first() int64 {
	first := int64(never)
	for i := range k.soonest {
		first = min(first, k.soonest[i].Load())
	}
	return first
}

// room returns how long it takes until a key may be forgotten.
func (k *Keyed[K]) room(now int64) time.Duration {
	first := k.first()
	if first == never {
		return InfDuration
	}
	return time.Duration(max(first-now, 1))
}

// evict removes, out of a few keys, the one whose time is over first. It starts at the
// shard.
func (k *Keyed[K]) evict(s *shard[K]) bool {
	for s := range k.from(s) {
		if s.evict() {
			return true
		}
	}
	return false
}

func (s *shard[K]) evict() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	const some = 8
	cells := s.table.cells
	best, seen := -1, 0
	for range cells {
		if s.hand >= len(cells) {
			s.hand = 0
		}
		if c := &cells[s.hand]; c.hash != 0 && c.tat != busy {
			if best < 0 || c.tat < cells[best].tat {
				best = s.hand
			}
			if seen++; seen == some {
				break
			}
		}
		s.hand++
	}
	if best < 0 {
		return false
	}
	s.drop(best)
	return true
}

// rebase moves the base to the present, and reports whether it did.
func (s *shard[K]) rebase() bool {
	m := &s.keyed.meter
	since := int64(time.Since(s.keyed.epoch)) - s.base
	if since < m.reach/2 {
		return false
	}
	steps := since >> m.shift << m.shift
	s.base += steps
	for i := range s.table.cells {
		if c := &s.table.cells[i]; c.hash != 0 && c.tat != busy {
			c.tat = m.move(c.tat, steps)
		}
	}
	s.forgot = m.move(s.forgot, steps)
	return true
}

// own returns the Limiter of the key in a cell. It makes one if there is none.
func (s *shard[K]) own(c *cell[K]) *ownLimiter {
	if c.tat == busy {
		return s.large[c.key]
	}
	k := s.keyed
	l := new(ownLimiter)
	b := newBucket(k.meter, k.epoch, k.limit, k.burst)
	b.base, b.tat = s.base, c.tat
	l.line.epoch, l.line.rule = k.epoch, &l.Limiter
	l.state.Store(b)
	l.line.mu.Lock()
	l.line.unlock() // lets the fast path in
	if s.large == nil {
		s.large = make(map[K]*ownLimiter)
	}
	s.large[c.key] = l
	c.tat = busy
	return l
}

// open returns the Limiter of the key, and a function to call when it is no longer used; nil
// if there is no room.
func (k *Keyed[K]) open(key K) (*Limiter, func()) {
	s, hash := k.locate(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.table.find(key, hash)
	if c == nil {
		if c = s.add(key, hash, int64(time.Since(k.epoch))); c == nil {
			if k.full == Share {
				return k.overflow, func() {}
			}
			return nil, nil
		}
	}
	l := s.own(c)
	l.users++
	return &l.Limiter, func() { s.close(key, hash, l) }
}

func (s *shard[K]) close(key K, hash uint64, l *ownLimiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	at := int64(time.Since(s.keyed.epoch))
	l.line.lock()
	b, end, calm := l.state.Load(), l.line.quietAt(at), l.line.calm(at)
	tat := b.tat // a timer that was stopped too late may still take the lock and write it
	l.line.unlock()
	if calm && b.base == s.base && tat != unused {
		s.table.find(key, hash).tat = tat // as before
		delete(s.large, key)
		end = s.end(tat)
	}
	s.expires(end)
}

// quietAt returns when the limiter will be as good as a new one, and when its bucket is full,
// which is math.MinInt64 if it has never been used. Now is at, but never later than the clock,
// by which a pause ends.
func (l *ownLimiter) quietAt(at int64) (quiet, full, now int64) {
	l.line.lock()
	defer l.line.unlock()
	full, now = math.MinInt64, min(at, l.line.now())
	if b := l.state.Load(); b.tat != unused {
		full = later(b.base, b.stepsAt(b.tat), b.shift)
	}
	return l.line.quietAt(now), full, now
}
