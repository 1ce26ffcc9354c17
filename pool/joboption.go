package pool

import (
	"fmt"
	"reflect"
	"time"
)

// JobOption says more of one job, in [Pool.Submit] and [Pool.TrySubmit]. A job with
// options takes one allocation more, and is taken from the queue by itself.
type JobOption func(*jobConfig)

type jobConfig struct {
	key      any
	priority int
	after    time.Duration
	weight   int64
	capacity int64 // of the pool; 0: none

	given [4]bool
	err   error // the first
}

// Key lets jobs with equal keys run one at a time and in the order in which they
// were accepted, on whichever worker; those with other keys, or none, are not held
// up. The order stands above that of priorities, and lends none to those in front; a
// job with [After] takes its place when it is due, and one that waits for its [Weight]
// has the turn of its key. k must be comparable and not nil; one that is not equal to
// itself, a NaN, is a key of its own each time.
func Key(k any) JobOption {
	return func(c *jobConfig) {
		c.once(0, "Key")
		switch {
		case k == nil:
			c.refuse("Key(nil)")
		case !reflect.ValueOf(k).Comparable():
			c.refuse("Key(%T): not comparable", k)
		}
		c.key = k
	}
}

// Priority lets a job start before those with a lower one; among equal ones the first
// to come is the first to start. Callers of Do, Map and Stream are no jobs. The default is 0, and n may be negative. It is
// worth a head start: each step as much as the pool's [Aging], so that a job which has
// waited for longer than that is not overtaken any more, and none starves.
func Priority(n int) JobOption {
	return func(c *jobConfig) {
		c.once(1, "Priority")
		c.priority = n
	}
}

// After lets a job start no earlier than d after Submit was called. It has its place
// in the queue meanwhile, and the time counts as Wait. Then it stands where jobs that
// are submitted at that time do. A d that is not positive means at once.
func After(d time.Duration) JobOption {
	return func(c *jobConfig) {
		c.once(2, "After")
		c.after = d
	}
}

// Weight lets a job start only when n of the pool's [Capacity] are free, and takes
// them while it runs. Jobs with a weight that wait for it are served in their order, by
// priority and time, so that many light ones cannot keep a heavy one waiting; jobs without one weigh nothing
// and are not held up, and no worker is held by one that waits. n below 1, above the
// capacity, or for a pool without one, is an error of Submit.
func Weight(n int64) JobOption {
	return func(c *jobConfig) {
		c.once(3, "Weight")
		switch {
		case n < 1:
			c.refuse("Weight(%d): want at least 1", n)
		case c.capacity == 0:
			c.refuse("Weight(%d): the pool has no Capacity", n)
		case n > c.capacity:
			c.refuse("Weight(%d): above the pool's Capacity of %d", n, c.capacity)
		}
		c.weight = n
	}
}

func (c *jobConfig) once(i int, name string) {
	if c.given[i] {
		c.refuse("%s given twice", name)
	}
	c.given[i] = true
}

func (c *jobConfig) refuse(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("pool: Submit: "+format, args...)
	}
}
