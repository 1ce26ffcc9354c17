package pipeline

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// Report is what a run tells of itself: which stage did what, and which one held the
// run back. Give it to a terminal with [ReportTo] and read it afterwards, or while the
// run goes on. The zero Report is ready to use and knows of no run; it takes the last
// one. It may be read by several goroutines at once and must not be copied.
type Report struct{ now atomic.Pointer[recorder] }

// ReportTo has the run report to r. Each call is then timed, also in terminals that
// show no timing, and costs some hundred nanoseconds more. The default is not to report.
// A nil r panics.
func ReportTo(r *Report) RunOption {
	return func(c *run) {
		c.once("ReportTo")
		if r == nil {
			c.refuse("ReportTo: nil report")
		}
		c.report = r
	}
}

// Snapshot returns what is known by now: of the run that goes on, or the one that has
// ended. Of a Report without a run it is the zero Snapshot.
func (r *Report) Snapshot() Snapshot { return r.now.Load().snapshot() }

// String returns the table of [Snapshot.String].
func (r *Report) String() string { return r.Snapshot().String() }

// MarshalJSON is that of [Snapshot.MarshalJSON].
func (r *Report) MarshalJSON() ([]byte, error) { return r.Snapshot().MarshalJSON() }

// Progress has tell called with a [Snapshot] while the run goes on, every so often, and a
// last time when it has settled, before the terminal returns. The calls come one after
// the other on a goroutine of their own, and the terminal waits for the last one. A panic
// of tell ends the run as a failure of stage "progress". The default is not to tell. A nil
// tell, and an every that is not positive, panic.
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

// recorder reads the meters of one run.
type recorder struct {
	clock engine.Clock
	plan  planner
	end   atomic.Int64 // clock reading; 0: it goes on
}

// watch prepares the meters for a run of what last describes, and returns the node of its
// terminal.
func (r *run) watch(sc *engine.Scope, last *node) *node {
	end := config{kind: r.kind, name: r.kind, buffer: defaultBuffer}
	root := &node{config: &end, role: roleFused, ups: []*node{last}}
	root.equip(sc.Clock)
	r.rec = &recorder{clock: sc.Clock}
	r.rec.plan.flatten(root, 1)
	if r.report != nil {
		r.report.now.Store(r.rec)
	}
	if r.tell != nil {
		r.progress = &progress{tell: r.tell, rec: r.rec, stop: make(chan struct{}), stopped: make(chan struct{})}
		go r.progress.run(sc, r.every)
	}
	return root
}

// settled ends the watch over a run that has settled, and returns the failure of who was
// told of it.
func (r *run) settled() error {
	if r.rec == nil {
		return nil
	}
	r.rec.end.Store(r.rec.clock.Now())
	if r.progress == nil {
		return nil
	}
	close(r.progress.stop)
	<-r.progress.stopped
	return r.progress.err
}

// progress tells a function of the user how the run gets on.
type progress struct {
	tell          func(Snapshot)
	rec           *recorder
	stop, stopped chan struct{}
	err           error // of tell; to be read once it has stopped
}

// run is the goroutine that tells. Its owner is the run's terminal, in settled.
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
		case <-p.stop:
			done = true
		}
		p.tell(p.rec.snapshot())
	}
	returned = true
}

// snapshot reads all meters.
func (rec *recorder) snapshot() Snapshot {
	if rec == nil {
		return Snapshot{}
	}
	now, done := rec.end.Load(), true
	if now == 0 {
		now, done = rec.clock.Now(), false
	}
	s := Snapshot{Elapsed: time.Duration(now - 1), Done: done} // the clock began at 1
	readings := make([]engine.Reading, len(rec.plan.nodes))
	for i, n := range rec.plan.nodes {
		readings[i] = n.meter.Read(now)
	}
	for i, planned := range rec.plan.stages {
		r := readings[i]
		st := StageStats{
			Name: planned.Name, Kind: planned.Kind, From: planned.From, Group: planned.Group,
			Copies: planned.Copies, Buffer: planned.Buffer * planned.Copies,
			In: r.In, Out: r.Out, Errors: r.Errors, Retries: r.Retries, Skipped: r.Skipped, Dead: r.Dead,
			Wait: r.Wait, Run: r.Run, Queue: r.Waiting, PeakQueue: r.Peak,
		}
		switch rec.plan.nodes[i].role {
		case rolePooled:
			st.Workers = r.Workers / planned.Copies
			if planned.MaxWorkers > planned.Workers {
				st.MaxWorkers, st.Choice = planned.MaxWorkers, r.Note
			}
		case roleMerge: // nothing of its own runs
			for _, from := range st.From {
				st.In += readings[from].Out
			}
			st.Out = st.In
			readings[i].Out = st.Out
		case roleSource, roleFused, roleQueued, roleFan, rolePort:
		}
		s.Stages = append(s.Stages, st)
	}
	for i := range s.Stages {
		s.Stages[i].shares(readings, s.Stages, i)
	}
	return s
}

// shares sets what the workers of stage i did with their time.
func (st *StageStats) shares(readings []engine.Reading, stages []StageStats, i int) {
	r := readings[i]
	if r.Capacity <= 0 {
		return
	}
	blocked := r.Blocked
	for j := i + 1; j < len(stages); j++ {
		if stages[j].Group == st.Group { // it has the goroutine in turn with this one
			blocked += readings[j].Busy + readings[j].Limited + readings[j].Blocked
		}
	}
	whole := float64(max(r.Capacity, r.Busy+r.Limited+blocked))
	st.Busy, st.Limited, st.Blocked = float64(r.Busy)/whole, float64(r.Limited)/whole, float64(blocked)/whole
	st.Starved = max(1-st.Busy-st.Limited-st.Blocked, 0)
}
