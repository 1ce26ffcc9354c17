package ratelimit

// Limit returns the events per second that each key has.
func (k *Keyed[K]) Limit() Limit { return k.limit }

// Burst returns how many events of a key can happen at once.
func (k *Keyed[K]) Burst() int { return k.burst }
