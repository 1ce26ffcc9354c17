package ratelimit

import (
	"context"
	"sync"
	"time"
)

// Concurrency limits how many calls are in flight at once, and finds that limit by itself. The
// limit goes up while calls show that the server can take more of them, and down when calls
// take longer or are turned away. A rate limit states what a server promised; Concurrency
// measures what it can take now.
//
//	limit := ratelimit.NewConcurrency(ratelimit.Between(1, 100))
//
//	permit, err := limit.Acquire(ctx)
//	if err != nil {
//		return err
//	}
//	err = call(ctx)
//	permit.Release(ratelimit.OutcomeOf(err))
//
// [Guard] does this around a function. [Gradient], the default, and [AIMD] document how the
// limit is found. Both use only what callers report with [Permit.Release]: there is no
// goroutine and nothing to close, and a limit that is not used stays as it is.
//
// Create it with [NewConcurrency]; the zero value is not usable. A Concurrency must not be
// copied. Its methods may be called by any number of goroutines. Once it has seen its highest
// number of calls in flight and in line, Acquire, TryAcquire and Release allocate nothing.
type Concurrency struct {
	epoch    time.Time
	classify func(error) Outcome

	mu       sync.Mutex // held briefly, never while a caller waits or a user's function runs
	tuner    limitTuner
	calls    []callState // calls in flight, and free places
	free     []uint32    // free places in calls
	started  uint64      // calls so far, which is also the number of the latest call
	inFlight int
	line     callLine
	spare    *callWaiter // free list
	counts   [outcomes]uint64
	alarm    int64 // when the armed timer calls wake, or 0
}

// limitTuner finds the limit. Its methods are called with the lock of the Concurrency held. It
// knows the time only from its arguments, in nanoseconds since the epoch.
type limitTuner interface {
	// limit returns how many calls may be in flight now, at least 1.
	limit() int
	// begun is called when a call starts, with the number of calls then in flight, including
	// this one.
	begun(now int64, number uint64, inFlight int)
	// ended is called when a call has ended; c.inFlight is the number of calls in flight when
	// it began.
	ended(now int64, number uint64, c callState, outcome Outcome, inFlight int)
	// wake is called at the time that alarm returns, or a little later.
	wake(now int64)
	// alarm returns when to call wake, or 0 for never.
	alarm() int64
	describe(*ConcurrencySnapshot)
}

// callState is a call in flight.
type callState struct {
	number   uint64 // of the call, from 1; 0 if the place is free
	start    int64
	inFlight int // when it began, including itself
}

// Outcome is how a call ended, as far as the limit is concerned. The zero value is [Ignore]. An
// Outcome is a plain value.
type Outcome uint8

const (
	// Ignore means that the call says nothing about load: the caller gave up, or the call
	// failed for an unrelated reason. The time that it took is ignored, too.
	Ignore Outcome = iota
	// Success means that the server answered. The time that the call took counts.
	Success
	// Dropped means that the call failed because of too much load: it timed out, or the server
	// turned it away, as HTTP does with status 429 or 503. The time that it took does not
	// count: a server that lets all calls time out after 5 s would look steadily fast.
	Dropped

	outcomes = int(Dropped) + 1
)

// String returns the name of the outcome.
func (o Outcome) String() string {
	switch o {
	case Ignore:
		return "ignore"
	case Success:
		return "success"
	case Dropped:
		return "dropped"
	}
	return "unknown outcome"
}

// NewConcurrency returns a limit on calls in flight. Unless options say otherwise, it uses
// [Gradient], [Between] 1 and 1,000, and [StartAt] 10. It panics if an option is invalid.
func NewConcurrency(opts ...ConcurrencyOption) *Concurrency {
	cfg := newConcurrencyConfig(opts)
	return &Concurrency{epoch: time.Now(), classify: cfg.classify, tuner: cfg.tuner()}
}

// Acquire waits in line, first come, first served, until a call may start, and returns the
// permit for it, which must be released. If ctx ends first, Acquire returns its cause and
// leaves the line as if the caller had never been in it. If ctx has already ended, Acquire
// takes nothing. If a permit is given at the same moment, Acquire returns it.
func (c *Concurrency) Acquire(ctx context.Context) (Permit, error) {
	if ctx.Err() != nil {
		return Permit{}, context.Cause(ctx)
	}
	c.mu.Lock()
	if p, ok := c.take(); ok {
		c.unlock(nil)
		return p, nil
	}
	w := c.spare
	if w == nil {
		w = &callWaiter{ready: make(chan struct{}, 1)}
	} else {
		c.spare, w.next = w.next, nil
	}
	c.line.push(w)
	c.unlock(nil)

	var err error
	select {
	case <-w.ready:
		c.mu.Lock()
	case <-ctx.Done():
		c.mu.Lock()
		if !w.granted {
			c.line.remove(w)
			err = context.Cause(ctx)
			break
		}
		c.mu.Unlock()
		<-w.ready // the goroutine that granted is about to send
		c.mu.Lock()
	}
	p := w.permit
	*w = callWaiter{ready: w.ready, next: c.spare}
	c.spare = w
	c.mu.Unlock()
	return p, err
}

// TryAcquire returns a permit if a call may start at once. It never overtakes a caller that
// waits in Acquire.
func (c *Concurrency) TryAcquire() (Permit, bool) {
	c.mu.Lock()
	p, ok := c.take()
	c.unlock(nil)
	return p, ok
}

// Limit returns how many calls may be in flight now. During a probe of [Gradient] it is low.
func (c *Concurrency) Limit() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tuner.limit()
}

// InFlight returns how many permits are out. It may exceed the limit just after that has gone
// down: calls that have started are never stopped.
func (c *Concurrency) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inFlight
}

// ConcurrencySnapshot is the state of a [Concurrency] at one instant. It is a plain value: it
// may be copied, and read by any goroutine. The zero value is empty.
type ConcurrencySnapshot struct {
	Limit    int // calls that may be in flight
	InFlight int // calls in flight
	Waiting  int // callers in line

	Success, Dropped, Ignored uint64 // calls released, by outcome

	// Base is how long a call takes when hardly any other is in flight, and Latency the median
	// time of the calls when the limit was last adjusted. Both are 0 until they are known, and
	// Base is always 0 with AIMD.
	Base, Latency time.Duration
	Probing       bool // Limit is low for now, to measure Base
}

// Snapshot returns the state of the limit, all of it at the same instant.
func (c *Concurrency) Snapshot() ConcurrencySnapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := ConcurrencySnapshot{
		Limit: c.tuner.limit(), InFlight: c.inFlight, Waiting: c.line.length,
		Success: c.counts[Success], Dropped: c.counts[Dropped], Ignored: c.counts[Ignore],
	}
	c.tuner.describe(&s)
	return s
}

// Permit allows one call. It must be released exactly once. It may be copied and handed to
// another goroutine; all copies are the same permit. The zero value is no permit: its methods
// panic.
type Permit struct {
	c      *Concurrency
	number uint64
	place  uint32
}

// Start makes the time of the call count from now. Without it, that is the time when the permit
// was given. Use it if the call waits for something else first, such as a rate limit: that wait
// is not time that the server takes. Start panics if the permit was released before or is the
// zero value.
func (p Permit) Start() {
	c := p.owner("Start")
	defer c.mu.Unlock()
	c.calls[p.place].start = c.now()
}

// owner returns the Concurrency, locked. It panics if the permit is not out.
func (p Permit) owner(method string) *Concurrency {
	if p.c == nil {
		panic("ratelimit: Permit." + method + ": no permit was given")
	}
	p.c.mu.Lock()
	if p.c.calls[p.place].number != p.number {
		p.c.mu.Unlock()
		panic("ratelimit: Permit." + method + ": released before")
	}
	return p.c
}

// Release ends the call and reports its outcome; a waiting caller may then start. It panics if
// the permit was released before, since the call would count twice, if it is the zero value,
// and if the outcome is unknown.
func (p Permit) Release(outcome Outcome) {
	if int(outcome) >= outcomes {
		panic("ratelimit: Permit.Release: unknown outcome")
	}
	c := p.owner("Release")
	ended := c.calls[p.place]
	c.calls[p.place].number = 0
	c.free = append(c.free, p.place)
	c.inFlight--
	c.counts[outcome]++
	c.tuner.ended(c.now(), p.number, ended, outcome, c.inFlight)
	c.unlock(c.grant())
}

// take starts a call if the limit allows it. It need not look at the line: all that makes room
// gives it to the line at once, see grant, so there is no room while a caller waits.
func (c *Concurrency) take() (Permit, bool) {
	if c.inFlight >= c.tuner.limit() {
		return Permit{}, false
	}
	return c.start(), true
}

// start starts a call.
func (c *Concurrency) start() Permit {
	c.started++
	c.inFlight++
	if len(c.free) == 0 {
		c.free = append(c.free, uint32(len(c.calls)))
		c.calls = append(c.calls, callState{})
	}
	last := len(c.free) - 1
	place := c.free[last]
	c.free = c.free[:last]
	now := c.now()
	c.calls[place] = callState{number: c.started, start: now, inFlight: c.inFlight}
	c.tuner.begun(now, c.started, c.inFlight)
	return Permit{c: c, number: c.started, place: place}
}

// grant starts the calls in line that the limit allows, and returns their waiters, linked, for
// unlock to wake.
func (c *Concurrency) grant() (woken *callWaiter) {
	last := &woken
	for c.line.length > 0 && c.inFlight < c.tuner.limit() {
		w := c.line.pop()
		w.granted, w.permit = true, c.start()
		*last = w
		last = &w.next
	}
	return woken
}

// unlock releases the lock, and only then wakes the waiters that grant has returned and arms
// the timer of the tuner, if needed.
func (c *Concurrency) unlock(woken *callWaiter) {
	alarm := c.tuner.alarm()
	arm := alarm != 0 && (c.alarm == 0 || alarm < c.alarm)
	var wait time.Duration
	if arm {
		c.alarm = alarm
		wait = time.Duration(alarm - c.now())
	}
	c.mu.Unlock()
	for woken != nil {
		w := woken
		woken, w.next = w.next, nil // before the send, which hands over w
		w.ready <- struct{}{}
	}
	if arm {
		time.AfterFunc(wait, c.wake)
	}
}

// wake is called by the timer. If the alarm was put off and the timer is early, wake arms the
// next one.
func (c *Concurrency) wake() {
	c.mu.Lock()
	c.alarm = 0
	now := c.now()
	if at := c.tuner.alarm(); at != 0 && at <= now {
		c.tuner.wake(now)
	}
	c.unlock(c.grant())
}

// now returns the time since the epoch of c: a bubble of testing/synctest has its own clock.
func (c *Concurrency) now() int64 { return max(int64(time.Since(c.epoch)), 0) }

// callWaiter is a caller in line. The same Concurrency uses it again, with its channel.
type callWaiter struct {
	ready      chan struct{} // gets one value after granted is set and the lock released
	granted    bool
	permit     Permit
	prev, next *callWaiter
}

// callLine is the waiting callers, in order.
type callLine struct {
	head, tail *callWaiter
	length     int
}

func (l *callLine) push(w *callWaiter) {
	w.prev = l.tail
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.length++
}

func (l *callLine) pop() *callWaiter {
	w := l.head
	l.remove(w)
	return w
}

func (l *callLine) remove(w *callWaiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	l.length--
}
