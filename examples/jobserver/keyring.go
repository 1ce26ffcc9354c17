package main

import (
	"time"
)

// keyLife is how long an idempotency key is remembered, at most.
const keyLife = 10 * time.Minute

// A keyring remembers which job an idempotency key has made: for keyLife, and no more than a number
// of keys, of which the oldest goes first. It is not safe for concurrent use; the book's lock guards it.
type keyring struct {
	most  int
	byKey map[string]*keyed
	// order has the keys in the order of their coming, from head on, those that were removed included. As all
	// live equally long, it is the order of their end as well.
	order []*keyed
	head  int
}

type keyed struct {
	key    string
	record *record
	until  time.Time
}

func newKeyring(most int) *keyring {
	return &keyring{most: most, byKey: make(map[string]*keyed)}
}

// find returns the record that key has made, or nil.
func (k *keyring) find(key string, now time.Time) *record {
	e, ok := k.byKey[key]
	if !ok || !now.Before(e.until) {
		return nil
	}
	return e.record
}

// add remembers a key that find does not know.
func (k *keyring) add(key string, r *record, now time.Time) {
	k.expire(now)
	if len(k.order)-k.head >= k.most {
		k.dropOldest()
	}
	e := &keyed{key, r, now.Add(keyLife)}
	k.byKey[key] = e
	k.order = append(k.order, e)
}

// remove forgets a key. Its place in the order stays taken until its time is over.
func (k *keyring) remove(key string) { delete(k.byKey, key) }

// expire forgets the keys whose time is over.
func (k *keyring) expire(now time.Time) {
	for k.head < len(k.order) && !now.Before(k.order[k.head].until) {
		k.dropOldest()
	}
}

func (k *keyring) dropOldest() {
	if e := k.order[k.head]; k.byKey[e.key] == e { // else it was removed, and may have come again
		delete(k.byKey, e.key)
	}
	k.order[k.head] = nil
	k.head++
	if k.head > len(k.order)/2 { // amortized: each key is moved at most once for each that has gone
		k.order = append(k.order[:0], k.order[k.head:]...)
		clear(k.order[len(k.order):cap(k.order)])
		k.head = 0
	}
}
