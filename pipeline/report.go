package pipeline

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// Report describes a run: what each stage did, and which stage held the run back. Pass it
// to a terminal with [ReportTo] and read it afterwards, or while the run goes on:
//
//	var report pipeline.Report
//	err := flow.Run(ctx, pipeline.ReportTo(&report))
//	fmt.Println(&report)
//
// The zero Report is ready to use and describes no run. It can be passed to one run after
// the other, and to several at once: it describes the one that was started last. Once that
// run has ended, the Report holds only a Snapshot of it. A Report may be read by several
// goroutines at once and must not be copied.
type Report struct{ now atomic.Pointer[recorder] }

// ReportTo makes the run report to r, from its start on. Each call is then timed, even in
// terminals that show no timing, which costs some tens of nanoseconds more per stage. Each
// stage takes about 40 KiB. The default is no report. A nil r panics.
func ReportTo(r *Report) RunOption {
	return func(c *run) {
		c.once("ReportTo")
		if r == nil {
			c.refuse("ReportTo: nil report")
		}
		c.report = r
	}
}

// Snapshot returns what is known now of the run that goes on, or has ended, calls under way
// included. It does not wait for the run. Without a run it returns the zero Snapshot. While
// the run goes on the stages are read one after the other, so the figures of two stages can
// be some microseconds apart.
func (r *Report) Snapshot() Snapshot { return r.now.Load().snapshot() }

// String returns the table of [Snapshot.String] for the current [Report.Snapshot].
func (r *Report) String() string { return r.Snapshot().String() }

// MarshalJSON returns the object of [Snapshot.MarshalJSON] for the current
// [Report.Snapshot]. Its error is always nil.
func (r *Report) MarshalJSON() ([]byte, error) { return r.Snapshot().MarshalJSON() }

// Progress calls tell with a [Snapshot] at the interval every while the run goes on, and
// once more, with Done set, when the run has settled, before the terminal returns. The
// calls come one after the other on a separate goroutine, and hold up no stage. While a
// call is running, further ones that come due are left out. The terminal waits for the last
// call. If tell panics or calls [runtime.Goexit], that is a failure of stage "progress"
// with index -1, and tell is not called again: fail-fast terminals end the run with the
// failure, and Results yields it last. The default is not to call anything. A nil tell
// panics, and so does an every that is not positive.
func Progress(tell func(Snapshot), every time.Duration) RunOption {
	return func(c *run) {
		c.once("Progress")
		if tell == nil {
			c.refuse("Progress: nil function")
		}
		if every <= 0 {
			c.refuse(fmt.Sprintf("Progress: every %v: want more than 0", every))
		}
		c.tell, c.every = tell, every
	}
}

// watch prepares the meters for a run of the plan that ends in last, and returns the node
// of its terminal.
func (r *run) watch(sc *engine.Scope, last *node) *node {
	end := config{kind: r.kind, name: r.kind, buffer: defaultBuffer}
	root := &node{config: &end, role: roleFused, ups: []*node{last}}
	root.equip(sc.Clock)
	stages := new(planner)
	stages.flatten(root, 1)
	r.rec = &recorder{clock: sc.Clock}
	r.rec.live.Store(stages)
	if r.report != nil {
		r.report.now.Store(r.rec)
	}
	if r.tell != nil {
		r.progress = &progress{tell: r.tell, rec: r.rec, stop: make(chan struct{}), stopped: make(chan struct{})}
		go r.progress.run(sc, r.every)
	}
	return root
}

// settled ends the watch over a run that has settled, and returns the failure of Progress,
// if any.
func (r *run) settled() error {
	if r.rec == nil {
		return nil
	}
	r.rec.close()
	if r.progress == nil {
		return nil
	}
	close(r.progress.stop)
	<-r.progress.stopped
	return r.progress.err
}

// progress calls a function of the user with snapshots of the run.
type progress struct {
	tell          func(Snapshot)
	rec           *recorder
	stop, stopped chan struct{}
	err           error // of tell; read it only after stopped is closed
}

// run is the goroutine that calls tell. The run's terminal owns it and ends it in settled.
func (p *progress) run(sc *engine.Scope, every time.Duration) {
	returned := false
	defer func() {
		if !returned {
			p.err = &StageError{Stage: "progress", Index: -1, Err: engine.Caught(recover())}
			if sc.Keep {
				sc.FailLast(-1, p.err)
			} else {
				sc.Fail(p.err)
			}
		}
		close(p.stopped)
	}()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for done := false; !done; {
		select {
		case <-ticks.C:
			if s := p.rec.snapshot(); !s.Done { // otherwise the last call tells it
				p.tell(s)
			}
		case <-p.stop:
			done = true
		}
	}
	p.tell(p.rec.snapshot())
	returned = true
}

// recorder knows one run: from its meters while the run goes on, and afterwards only from
// the last reading, so that a report does not retain queues and functions.
type recorder struct {
	clock engine.Clock
	live  atomic.Pointer[planner]  // nil after the end
	last  atomic.Pointer[Snapshot] // set at the end, before live is cleared
}

// close takes the last reading.
func (rec *recorder) close() {
	s := rec.live.Load().read(rec.clock.Now())
	s.Done = true
	rec.last.Store(&s)
	rec.live.Store(nil)
}

func (rec *recorder) snapshot() Snapshot {
	if rec == nil {
		return Snapshot{}
	}
	if stages := rec.live.Load(); stages != nil {
		return stages.read(rec.clock.Now())
	}
	s := *rec.last.Load()
	s.Stages = slices.Clone(s.Stages) // so that a caller may sort them
	return s
}

// read reads all meters.
func (p *planner) read(now int64) Snapshot {
	// The last stage is read first, so that no stage has taken more than the one before has given.
	readings := make([]engine.Reading, len(p.nodes))
	for i, n := range slices.Backward(p.nodes) {
		readings[i] = n.meter.Read(now)
	}
	s := Snapshot{Elapsed: time.Duration(now - 1)} // the clock began at 1
	for i := range p.stages {
		s.Stages = append(s.Stages, p.stats(i, readings))
	}
	for i := range s.Stages {
		s.Stages[i].shares(readings, s.Stages, i)
	}
	return s
}

// stats returns the figures of one stage, except its shares.
func (p *planner) stats(i int, readings []engine.Reading) StageStats {
	planned, r := p.stages[i], readings[i]
	st := StageStats{
		Name: planned.Name, Kind: planned.Kind, From: planned.From, Group: planned.Group, Copies: planned.Copies,
		Ordered: planned.Ordered, Window: planned.Window,
		In: r.In, Out: r.Out, Errors: r.Errors, Retries: r.Retries, Skipped: r.Skipped, Dead: r.Dead,
		Wait: r.Wait, Run: r.Run,
	}
	if planned.Buffer > 0 { // otherwise its meter may show the queue of the stage before
		st.Buffer = planned.Buffer * planned.Copies
		// Items that a worker puts back for another one may exceed a full queue: they still count as taken.
		st.Queue, st.PeakQueue = min(r.Waiting, st.Buffer), min(max(r.Peak, r.Waiting), st.Buffer)
	}
	switch p.nodes[i].role {
	case rolePooled:
		st.Workers = r.Workers / planned.Copies
		if planned.MaxWorkers > planned.Workers {
			st.MaxWorkers, st.Choice = planned.MaxWorkers, r.Note
		}
	case roleMerge: // it runs nothing of its own
		st.In = p.given(p.nodes[i], readings)
		st.Out = st.In
	case roleSource, roleFused, roleQueued, roleFan, rolePort:
	}
	return st
}

// given returns how many items the steps before n have put out. Call it after the other
// readings.
func (p *planner) given(n *node, readings []engine.Reading) (total uint64) {
	for _, up := range n.ups {
		total += p.gave(up, readings)
	}
	return total
}

// gave returns how many items n has put out. A fan's own count includes what it has handed
// to its branches and what goes around them.
func (p *planner) gave(n *node, readings []engine.Reading) uint64 {
	switch n.role {
	case rolePort:
		return n.meter.Read(0).Out
	case roleMerge:
		return p.given(n, readings)
	case roleFan:
		handed, total := uint64(0), uint64(0)
		for _, branch := range n.ups[1:] {
			handed += branch.handed(n.id)
			total += p.gave(branch, readings)
		}
		around := readings[slices.Index(p.nodes, n)].Out
		return total + around - min(around, handed) // while the run goes on, the ports are read later and may show more
	case roleSource, roleFused, rolePooled, roleQueued:
	}
	return readings[slices.Index(p.nodes, n)].Out
}

// handed returns how many items came to the ports with that id.
func (n *node) handed(id *int) (total uint64) {
	if n.role == rolePort && n.id == id {
		return n.meter.Read(0).Out
	}
	for _, up := range n.ups {
		total += up.handed(id)
	}
	return total
}

// shares sets the shares of time of stage i.
func (st *StageStats) shares(readings []engine.Reading, stages []StageStats, i int) {
	r := readings[i]
	if r.Capacity <= 0 {
		return
	}
	blocked := r.Blocked
	for j := i + 1; j < len(stages); j++ {
		if stages[j].Group == st.Group { // it takes turns on the goroutine with this one
			blocked += readings[j].Busy + readings[j].Limited + readings[j].Blocked
		}
	}
	whole := float64(max(r.Capacity, r.Busy+r.Limited+blocked))
	st.Busy, st.Limited, st.Blocked = float64(r.Busy)/whole, float64(r.Limited)/whole, float64(blocked)/whole
	st.Starved = max(1-st.Busy-st.Limited-st.Blocked, 0)
}
