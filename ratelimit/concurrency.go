package ratelimit

import (
	"context"
	"sync"
	"time"
)

// Concurrency limits how many calls are in flight at once, and finds that limit by itself:
// it goes up while the calls show that the server takes more of them, and down when they
// take longer or are turned away. A rate says what a server has promised, this what it can
// bear now.
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
// [Guard] does this around a function. How the limit is found is said with [Gradient], the
// default, and with [AIMD]. Both act only on what callers tell them with [Permit.Release]:
// there is no goroutine, nothing to close, and a limit that is not used stays as it is.
//
// The zero value is of no use: [NewConcurrency] makes one. It must not be copied, and its
// methods may be called by any number of goroutines. Once it has seen the most calls in
// flight and in line that there are, Acquire, TryAcquire and Release allocate nothing.
type Concurrency struct {
	epoch    time.Time
	classify func(error) Outcome

	mu       sync.Mutex // held for a few steps, never while anybody waits or a user's function runs
	tuner    limitTuner
	calls    []callState // in flight, and free places
	free     []uint32    // places of calls that nobody has
	started  uint64      // calls so far; the number of a call is its place among them
	inFlight int
	line     callLine
	spare    *callWaiter // to be used again
	counts   [outcomes]uint64
	alarm    int64 // when the timer that is armed calls wake, or 0
}

// limitTuner finds the limit. It is called with the lock of its Concurrency held, and knows the
// time only from its arguments, which are nanoseconds since the epoch.
type limitTuner interface {
	// limit is the number of calls that may be in flight now, at least 1.
	limit() int
	// begun is told of each call that starts, with the calls then in flight, itself included.
	begun(now int64, number uint64, inFlight int)
	// ended is told of each call that ended; c.inFlight is what it was when it began.
	ended(now int64, number uint64, c callState, outcome Outcome, inFlight int)
	// wake is called at the time that alarm says, or a little later.
	wake(now int64)
	// alarm is when to call wake; 0 is never.
	alarm() int64
	describe(*ConcurrencySnapshot)
}

// callState is a call in flight.
type callState struct {
	number   uint64 // of the call, from 1; 0 if nobody has the place
	start    int64
	inFlight int // when it began, itself included
}

// Outcome is what became of a call, as far as the limit is concerned.
type Outcome uint8

const (
	// Ignore tells nothing: the caller gave up, or the call failed for a reason that has
	// nothing to do with load, and so the time that it took has none either.
	Ignore Outcome = iota
	// Success is an answer. The time that it took counts.
	Success
	// Dropped is a call that too much load has cost: it timed out, or the server turned it
	// away, as HTTP does with statuses 429 and 503. The time that it took does not count: a
	// server that lets all calls time out after 5 s looks evenly fast.
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

// NewConcurrency returns a limit on calls in flight: [Gradient], [Between] 1 and 1,000,
// [StartAt] 10, unless options say otherwise. Options that make no sense panic.
func NewConcurrency(opts ...ConcurrencyOption) *Concurrency {
	cfg := newConcurrencyConfig(opts)
	return &Concurrency{epoch: time.Now(), classify: cfg.classify, tuner: cfg.tuner()}
}

// Acquire waits until a call may start, in line behind those that came before, and returns
// the permit for it, which has to be released. It returns the cause of ctx, and leaves the
// line as if it had never been there, if ctx ends before; a ctx that has ended already takes
// nothing. If both happen at once, the permit is given.
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
		<-w.ready // whoever granted is about to send
		c.mu.Lock()
	}
	p := w.permit
	*w = callWaiter{ready: w.ready, next: c.spare}
	c.spare = w
	c.mu.Unlock()
	return p, err
}

// TryAcquire returns a permit if a call may start at once. It never goes ahead of a caller
// that waits in Acquire.
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

// InFlight returns how many permits are out. When the limit has just gone down, that may be
// more than it allows: calls that have started are never stopped.
func (c *Concurrency) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inFlight
}

// ConcurrencySnapshot is the state of a [Concurrency] at one instant.
type ConcurrencySnapshot struct {
	Limit    int // calls that may be in flight
	InFlight int // calls that are
	Waiting  int // callers in line

	Success, Dropped, Ignored uint64 // calls released, by outcome

	// Base is how long a call takes when hardly any other is in flight, and Latency how
	// long half of the calls took at most when the limit was last looked at. Both are 0
	// until they are known, and Base is always 0 with AIMD.
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

// Permit allows one call. It is a value that may be copied and handed to another goroutine,
// and is to be released once.
type Permit struct {
	c      *Concurrency
	number uint64
	place  uint32
}

// Start sets the time from which the call counts to now; without it, that is when the permit was
// given. It is for calls that wait for something else in between, such as a rate: that is not time
// that the server takes. It panics as Release does.
func (p Permit) Start() {
	c := p.owner("Start")
	defer c.mu.Unlock()
	c.calls[p.place].start = c.now()
}

// owner returns the Concurrency, locked, if the permit is out.
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

// Release ends the call and says what became of it; a caller that waits may then start. A
// permit that is released again panics, and so does the zero value: that call would have
// counted twice.
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

// take starts a call if the limit allows it. It need not look at the line: whatever makes room
// gives it to the line at once, see grant, so that there is none while anybody waits.
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

// grant starts the calls of those in line that the limit allows, and returns them, linked;
// their channels are for unlock.
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

// unlock gives up the lock, and only then wakes those that grant has returned and arms the
// timer of the tuner, if it asks for one.
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
		woken, w.next = w.next, nil // before the send, which gives w away
		w.ready <- struct{}{}
	}
	if arm {
		time.AfterFunc(wait, c.wake)
	}
}

// wake is called by the timer. One that comes early, since the alarm was put off, arms the next.
func (c *Concurrency) wake() {
	c.mu.Lock()
	c.alarm = 0
	now := c.now()
	if at := c.tuner.alarm(); at != 0 && at <= now {
		c.tuner.wake(now)
	}
	c.unlock(c.grant())
}

// now is the time since the epoch of c: a bubble of testing/synctest has its own clock.
func (c *Concurrency) now() int64 { return max(int64(time.Since(c.epoch)), 0) }

// callWaiter is a caller in line. It is used again, with its channel, by the same Concurrency.
type callWaiter struct {
	ready      chan struct{} // gets one value when granted is set, after the lock was given up
	granted    bool
	permit     Permit
	prev, next *callWaiter
}

// callLine is who waits, in order.
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
