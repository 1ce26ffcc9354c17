package pool

import (
	"fmt"
	"reflect"
	"time"
)

// JobOption configures one job in [Pool.Submit] and [Pool.TrySubmit]. A job with
// options takes one more allocation, and workers take it from the queue one at a
// time.
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

// Key makes jobs with equal keys run one at a time and in the order in which they
// were accepted, on any worker; jobs with other keys, or none, are not held up. Key
// order takes precedence over priority; a high-priority job does not raise the jobs
// ahead of it. A job with [After] takes its place in this order when it is due, and a
// job that waits for its [Weight] holds up the later jobs of its key. k must be
// comparable and not nil. A k that is not equal to itself, such as a NaN, is a new
// key each time.
//
// Jobs that wait for their key count toward the bound of the [Queue]. If the jobs of
// one slow key fill it, other jobs find no room although workers are free. Make the
// queue large enough for them, or use one pool for each tenant.
func Key(k any) JobOption {
	return func(c *jobConfig) {
		c.once(0, "Key")
		switch {
		case k == nil:
			c.refuse("Key(nil): want a key")
		case !reflect.ValueOf(k).Comparable():
			c.refuse("Key(%T): not comparable", k)
		}
		c.key = k
	}
}

// Priority lets a job start before jobs with a lower priority; among equal ones, the
// first to come starts first. Callers of Do, Map and Stream are not jobs and have no
// priority. The default is 0, and n may be negative. Each step is worth a head start
// as long as the pool's [Aging], so a job that has waited for longer than the head
// start is no longer overtaken, and none starves.
func Priority(n int) JobOption {
	return func(c *jobConfig) {
		c.once(1, "Priority")
		c.priority = n
	}
}

// After lets a job start no earlier than d after Submit was called. Meanwhile the job
// has its place in the queue, and the time counts as Wait. Once due, it is ordered
// like a job submitted at that time. A d that is not positive means at once.
//
// If delayed jobs fill the [Queue], other jobs find no room although workers are free.
// Make the queue large enough for them, or use another pool for them.
func After(d time.Duration) JobOption {
	return func(c *jobConfig) {
		c.once(2, "After")
		c.after = d
	}
}

// Weight lets a job start only when n of the pool's [Capacity] are free, and holds
// them while it runs. Jobs that wait for their weight are served in order, by
// priority and time, so many light ones cannot keep a heavy one waiting. Jobs without
// a weight weigh nothing and are not held up, and a job that waits occupies no
// worker. Submit returns an error if n is below 1 or above the capacity, or if the
// pool has none.
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
