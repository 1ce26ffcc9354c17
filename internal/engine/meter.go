package engine

import (
	"sync"
	"time"

	"github.com/millstream-go/millstream/result"
)

// Meter gathers what one stage does in a run, to be watched. Each goroutine that works
// for the stage has a [Probe] of it.
type Meter struct {
	clock Clock

	// No probe's lock is held together with this one.
	mu       sync.Mutex
	probes   []*Probe
	past     Counts         // counts of probes that have left
	times    result.Summary // waits and runs
	workers  int
	since    int64 // when workers changed
	capacity int64 // worker-nanoseconds until then
	depths   []func() (waiting, peak int)
	note     string
}

// Counts is what a stage has done: numbers of items, and the nanoseconds that its workers
// spent in each mode.
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
	Workers       int   // how many workers there may be
	Capacity      int64 // nanoseconds that they had available so far
	Wait, Run     result.Quantiles
	Waiting, Peak int    // items in the queues before the stage: now, and the most so far
	Done          uint64 // inputs whose call, if any, has ended
	Note          string
}

// NewMeter returns a meter for a stage that has no workers yet.
func NewMeter(clock Clock) *Meter { return &Meter{clock: clock, since: clock.Now()} }

// Hire says that there may be n more workers from now on, or fewer if n is negative.
func (m *Meter) Hire(n int) {
	now := m.clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity += int64(m.workers) * (now - m.since)
	m.workers, m.since = m.workers+n, now
}

// Say sets the note of later readings.
func (m *Meter) Say(note string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note = note
}

// Watch adds a queue whose depth counts for the stage.
func (m *Meter) Watch(depth func() (waiting, peak int)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.depths = append(m.depths, depth)
}

// NewProbe adds a worker. Probe.Leave removes it.
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
			r.Done-- // the current one
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

// Mode is what a worker is doing.
type Mode uint8

// The modes. Idle is the rest of a worker's time, when it has no input.
const (
	Idle Mode = iota
	Busy
	Blocked // waiting for room behind the stage
	Limited // waiting for a limit before a call
)

// Probe is one worker's part of a [Meter]. Its methods do nothing on a nil Probe, which
// is what stages have that are not watched. It is used by one goroutine; Read may look at
// it.
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

// Switch says what the worker is doing from now on.
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

// spendLocked adds the time in the current mode to c.
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

// Ended records the times of a call that began at begun and ended at now, for an input
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

// counts returns what the worker has done up to now, including what it is doing.
func (p *Probe) counts(now int64) (c Counts, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c = p.total
	p.spendLocked(&c, now)
	return c, p.mode == Idle
}

// flush moves pending samples to the meter.
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
		// With a time of day, even a call that took no time counts: with a coarse clock most take none.
		m.times.Add(s.status, result.Timing{Queued: someDay, Wait: s.wait, Run: s.run})
	}
}

// Leave removes the worker; what it has done stays counted.
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
