package engine

import (
	"sync"
	"time"

	"github.com/millstream-go/millstream/result"
)

// Meter gathers what one stage does in a run, for those who watch it. Each goroutine
// that works for the stage has a [Probe] of it.
type Meter struct {
	clock Clock

	// No probe's lock is held together with this one.
	mu       sync.Mutex
	probes   []*Probe
	past     Counts         // of probes that have left
	times    result.Summary // waits and runs
	workers  int
	since    int64 // when workers changed
	capacity int64 // worker nanoseconds until then
	depths   []func() (waiting, peak int)
	note     string
}

// Counts is what a stage has done: how many items, and what its workers spent their
// time with, in nanoseconds.
type Counts struct {
	In, Out, Errors, Retries, Skipped, Dead uint64

	Busy, Blocked, Limited int64
}

func (c *Counts) add(o *Counts) {
	c.In += o.In
	c.Out += o.Out
	c.Errors += o.Errors
	c.Retries += o.Retries
	c.Skipped += o.Skipped
	c.Dead += o.Dead
	c.Busy += o.Busy
	c.Blocked += o.Blocked
	c.Limited += o.Limited
}

// Reading is what a meter shows at one instant.
type Reading struct {
	Counts
	Workers       int   // how many there may be
	Capacity      int64 // nanoseconds that they had to spend so far
	Wait, Run     result.Quantiles
	Waiting, Peak int    // items in the queues before the stage, now and at most
	Done          uint64 // inputs whose call, if any, has ended
	Note          string
}

// NewMeter returns a meter of a stage that has no workers yet.
func NewMeter(clock Clock) *Meter { return &Meter{clock: clock, since: clock.Now()} }

// Hire says that there may be n more workers from now on, or fewer if it is negative.
func (m *Meter) Hire(n int) {
	now := m.clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity += int64(m.workers) * (now - m.since)
	m.workers, m.since = m.workers+n, now
}

// Say sets what a reading says in words.
func (m *Meter) Say(note string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note = note
}

// Watch adds a queue whose depth is that of the stage.
func (m *Meter) Watch(depth func() (waiting, peak int)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.depths = append(m.depths, depth)
}

// NewProbe adds a worker. Probe.Leave takes it off.
func (m *Meter) NewProbe() *Probe {
	p := &Probe{meter: m}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.probes = append(m.probes, p)
	return p
}

// Read takes a reading at now.
func (m *Meter) Read(now int64) Reading {
	m.mu.Lock()
	probes := append([]*Probe(nil), m.probes...)
	r := Reading{
		Counts: m.past, Workers: m.workers, Note: m.note, Done: m.past.In,
		Capacity: m.capacity + int64(m.workers)*max(now-m.since, 0),
	}
	depths := append(([]func() (int, int))(nil), m.depths...)
	m.mu.Unlock()

	for _, p := range probes {
		c, idle := p.counts(now)
		r.add(&c)
		if r.Done += c.In; !idle && c.In > 0 {
			r.Done-- // the one at hand
		}
		p.flush()
	}
	for _, depth := range depths {
		waiting, peak := depth()
		r.Waiting += waiting
		r.Peak += peak
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Wait, r.Run = m.times.Wait(), m.times.Run()
	return r
}

// Mode is what a worker spends its time with.
type Mode uint8

// The modes. What is left of a worker's time it has no input.
const (
	Idle Mode = iota
	Busy
	Blocked // waiting for room behind the stage
	Limited // waiting for a limit before a call
)

// Probe is one worker's part of a [Meter]. Its methods do nothing on a nil one, which
// is what stages have that nobody watches. One goroutine uses it; Read may look.
type Probe struct {
	meter *Meter

	mu      sync.Mutex
	mode    Mode
	since   int64
	total   Counts
	pending [32]sample // not in the meter's times yet
	used    int
}

var someDay = time.Unix(0, 0)

type sample struct {
	wait, run time.Duration
	status    result.Status
}

// Switch says what the worker does from now on.
func (p *Probe) Switch(to Mode, now int64) {
	if p != nil {
		p.switchTo(to, now)
	}
}

func (p *Probe) switchTo(to Mode, now int64) {
	p.mu.Lock()
	p.spendLocked(&p.total, now)
	p.mode, p.since = to, now
	p.mu.Unlock()
}

// spendLocked adds the time in the mode at hand to c.
func (p *Probe) spendLocked(c *Counts, now int64) {
	d := max(now-p.since, 0)
	switch p.mode {
	case Idle:
	case Busy:
		c.Busy += d
	case Blocked:
		c.Blocked += d
	case Limited:
		c.Limited += d
	}
}

// Came counts an input.
func (p *Probe) Came() {
	if p != nil {
		p.came()
	}
}

func (p *Probe) came() {
	p.mu.Lock()
	p.total.In++
	p.mu.Unlock()
}

// Went counts an output.
func (p *Probe) Went() {
	if p != nil {
		p.went()
	}
}

func (p *Probe) went() {
	p.mu.Lock()
	p.total.Out++
	p.mu.Unlock()
}

// Note adds to the counts.
func (p *Probe) Note(c Counts) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.total.add(&c)
	p.mu.Unlock()
}

// Ended takes in the times of a call that began at begun and ended at now, for an input
// that came out of the stage before at from.
func (p *Probe) Ended(from, begun, now int64, err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	status := result.Succeeded
	if err != nil {
		status = result.Failed
	}
	p.pending[p.used] = sample{time.Duration(max(begun-from, 0)), time.Duration(max(now-begun, 0)), status}
	p.used++
	full := p.used == len(p.pending)
	p.mu.Unlock()
	if full {
		p.flush()
	}
}

// counts returns what the worker has done up to now, what it is at included.
func (p *Probe) counts(now int64) (c Counts, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c = p.total
	p.spendLocked(&c, now)
	return c, p.mode == Idle
}

// flush moves what is pending to the meter.
func (p *Probe) flush() {
	p.mu.Lock()
	pending, n := p.pending, p.used
	p.used = 0
	p.mu.Unlock()
	if n == 0 {
		return
	}
	m := p.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range pending[:n] {
		// With a time of day also a call that took no time counts: where clocks are coarse most do not.
		m.times.Add(s.status, result.Timing{Queued: someDay, Wait: s.wait, Run: s.run})
	}
}

// Leave takes the worker off; what it has done stays counted.
func (p *Probe) Leave() {
	if p == nil {
		return
	}
	p.flush()
	c, _ := p.counts(p.meter.clock.Now())
	m := p.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, at := range m.probes {
		if at == p {
			m.probes = append(m.probes[:i], m.probes[i+1:]...)
			m.past.add(&c)
			return
		}
	}
}
