package pipelinetest

import (
	"context"
	"iter"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// Outcome is the outcome of a [Run]. It is a plain value.
type Outcome[Out any] struct {
	// Values are the values that came out, in the order in which they came; if the run
	// failed, those that came before the failure.
	Values []Out

	// Results are all results, failed ones included, in the order in which they came.
	// It is nil without the option [Results].
	Results []result.Result[Out]

	// Err is the error that the run ended with: the first failure as a
	// [*pipeline.StageError], or the cause of the context's end. With the option
	// [Results] it is nil, since errors are in the results.
	Err error

	// Panic is the value of the panic that came out of the terminal; see [SinkPanicsAfter].
	// Panics of a stage's functions are errors.
	Panic any

	// Goexit says that a function of a stage fused with the terminal has ended the
	// terminal's goroutine with [runtime.Goexit]. Whatever came out before is kept.
	Goexit bool

	// Given is how many items have left the source.
	Given int

	// PeakInFlight is the most items that were between source and sink at any time,
	// including one that the source is giving: how far the items given were ahead of those
	// that came out. It is meaningful for a stage that gives one output for each input;
	// items that a stage drops count until the end.
	PeakInFlight int
}

// Run puts the stage between a source of the items and a sink, runs it, and returns the
// outcome. It blocks until the run has ended. Then it fails the test, and goes on, if a
// goroutine of the run is left in Millstream's code, such as that of an iter.Pull within
// the stage that was not stopped; if a gauge of [Watch] has a call under way; or if
// anything other than [SinkPanicsAfter] has made the terminal panic.
//
// The terminal runs on a goroutine of its own, so that a stage that ends it with
// [runtime.Goexit] does not end the test. Goroutines are told apart as by [NoLeak], so
// tests may run in parallel. Run may be called in a synctest bubble. A nil stage panics,
// and so does an error in building the plan.
func Run[In, Out any](tb testing.TB, stage pipeline.Stage[In, Out], items []In, opts ...Option) Outcome[Out] {
	tb.Helper()
	if stage == nil {
		panic("pipelinetest: Run: nil stage")
	}
	r := run[In, Out]{config: configure(opts), items: items, family: newFamily()}
	if r.ctx == nil {
		r.ctx = tb.Context()
	}
	r.ctx, r.cancel = context.WithCancelCause(r.family.label(r.ctx))
	defer r.cancel(nil)

	r.run(r.sink(stage(r.source())))
	r.check(tb)
	return r.out
}

// run is the state of one Run.
type run[In, Out any] struct {
	*config
	items  []In
	cancel context.CancelCauseFunc
	family family
	feed   func(over <-chan struct{}) // sends to the channel that is the source; nil for a sequence
	flight Gauge                      // its calls are the items between source and sink
	out    Outcome[Out]
}

// source returns the flow of the items.
func (r *run[In, Out]) source() pipeline.Flow[In] {
	if r.sourceBlocks == never {
		return pipeline.From(r.give)
	}
	c := make(chan In)
	r.feed = func(over <-chan struct{}) { r.send(c, over) }
	return pipeline.FromChan(c)
}

// give is the source as a sequence.
func (r *run[In, Out]) give(yield func(In) bool) {
	for i, v := range r.items {
		r.before(i)
		r.flight.enter()
		if !yield(v) {
			return
		}
	}
	r.before(len(r.items))
}

// send is the source as a channel.
func (r *run[In, Out]) send(c chan<- In, over <-chan struct{}) {
	n := min(r.sourceBlocks, len(r.items))
	for i, v := range r.items[:n] {
		r.before(i)
		r.flight.enter()
		select {
		case c <- v:
		case <-over:
			r.flight.undo()
			return
		}
	}
	r.before(n)
}

// before does what the options ask for once n items have left the source.
func (r *run[In, Out]) before(n int) {
	if n == r.cancels {
		r.cancel(r.cause)
	}
	if n == r.sourcePanics {
		panic(r.sourcePanic)
	}
}

// sink returns the loop over the outputs of the flow. It calls the terminal on the caller's
// goroutine, where the panic for a flow without a source belongs.
func (r *run[In, Out]) sink(f pipeline.Flow[Out]) (loop func()) {
	if r.results {
		all := f.Results(r.ctx)
		return func() { r.readResults(all) }
	}
	all := f.All(r.ctx)
	return func() { r.readAll(all) }
}

func (r *run[In, Out]) readResults(all iter.Seq[result.Result[Out]]) {
	for res := range all {
		r.flight.leave()
		r.out.Results = append(r.out.Results, res)
		if res.Err == nil {
			r.out.Values = append(r.out.Values, res.Value)
		}
		if !r.body(len(r.out.Results)) {
			break
		}
	}
}

func (r *run[In, Out]) readAll(all iter.Seq2[Out, error]) {
	for v, err := range all {
		if err != nil {
			r.out.Err = err
			break // it is the last
		}
		r.flight.leave()
		r.out.Values = append(r.out.Values, v)
		if !r.body(len(r.out.Values)) {
			break
		}
	}
}

// body does what the options ask for in the body of the loop at the n-th result. It reports
// whether the loop goes on.
func (r *run[In, Out]) body(n int) bool {
	time.Sleep(r.sinkDelay)
	if n == r.sinkPanics {
		panic(r.sinkPanic)
	}
	return n != r.leaves
}

// run calls loop on a goroutine with the label of the family, while another one feeds the
// source, and returns when both have ended.
func (r *run[In, Out]) run(loop func()) {
	var terminal, feeder sync.WaitGroup
	over := make(chan struct{})
	if r.feed != nil {
		feeder.Go(func() { r.feed(over) })
	}
	terminal.Go(func() {
		returned := false
		defer func() {
			if !returned {
				r.out.Panic = recover()
				r.out.Goexit = r.out.Panic == nil
			}
		}()
		pprof.SetGoroutineLabels(r.ctx)
		loop()
		returned = true
	})
	terminal.Wait()
	close(over)
	feeder.Wait()
	r.out.Given, r.out.PeakInFlight = r.flight.Total(), r.flight.Peak()
}

// check fails the test for what must never happen, whatever went wrong in the run.
func (r *run[In, Out]) check(tb testing.TB) {
	tb.Helper()
	if left := r.family.left(inRun); left != "" {
		tb.Errorf("pipelinetest: Run: goroutines of the run are left. "+
			"Usual cause: an iter.Pull without its stop in a stage.\n\n%s", left)
	}
	for i, g := range r.watched {
		if n := g.Running(); n != 0 {
			tb.Errorf("pipelinetest: Run: %d of %d calls are still under way (gauge %d of Watch)", n, g.Total(), i)
		}
	}
	if r.out.Panic != nil && !r.given["SinkPanicsAfter"] {
		tb.Errorf("pipelinetest: Run: the terminal panicked: %v", r.out.Panic)
	}
}
