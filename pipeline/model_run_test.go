package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// playFlow makes a random flow and runs it in all ways, some of them at once. It returns how
// many calls there were.
func playFlow(tb testing.TB, name string, d *testkit.Dice) int64 {
	tb.Helper()
	g := &flowGame{t: tb, name: name, short: time.Duration(1+d.Throw(16)) * time.Microsecond, ordered: true}
	if d.One(4) {
		g.scale = new(testkit.Scale)
	}
	g.inputs = []int{0, 1, 20, 100, 400}[d.Throw(5)]
	g.dry = d.One(6)
	g.via = &flowStage{name: "pool", workers: int64(1 + d.Throw(4)), copies: 1, exits: true, salt: d.Throw(100)}
	g.stages = append(g.stages, g.via)
	if d.One(2) {
		g.via.fails = 30
	}
	// Its calls are of several runs, and each run sees no more of them than there are workers.
	g.pool = pool.New(func(ctx context.Context, v *thing) (*thing, error) {
		if err := g.via.call(ctx, v); err != nil {
			return nil, err
		}
		return v.made(), nil
	}, pool.Workers(int(g.via.workers)))
	f := g.from(d)
	for range 1 + d.Throw(6) {
		f = g.grow(d, 2, 1)(f)
	}
	runs := 1
	if !g.single {
		runs += d.Throw(5)
	}
	var report pipeline.Report
	for i := 0; i < runs && !g.bad.Load(); i++ {
		if i == 0 || d.One(2) {
			g.once(d, f, &report)
			continue
		}
		var both sync.WaitGroup // the report is of one of them
		for _, d := range d.Deal(2) {
			both.Go(func() { g.once(d, f, nil) })
		}
		both.Wait()
	}
	if g.scale != nil {
		for _, kind := range []string{"items", "runs"} { // what a timer or a context keeps of a run keeps this
			if !testkit.Collected(func() bool { kept, _ := g.scale.Of(kind); return kept == 0 }) {
				kept, all := g.scale.Of(kind)
				g.check(false, "the flow, its pool and its report keep %d %s of %d", kept, kind, all)
			}
		}
	}
	g.check(g.pool.Stats().Busy == 0, "workers of the pool are busy: %v", g.pool.Stats())
	if err := g.pool.Close(); err != nil {
		g.check(false, "Close of the pool: %v", err)
	}
	_ = f.Plan().String()
	runtime.KeepAlive(&report)
	return g.calls.Load()
}

// once runs the flow once.
func (g *flowGame) once(d *testkit.Dice, f pipeline.Flow[*thing], report *pipeline.Report) {
	r := &flowRun{flowGame: g, counts: make([]flowCount, len(g.stages))}
	testkit.Weigh(g.scale, "runs", r)
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), flowRunKey{}, r))
	defer cancel(nil)
	var opts []pipeline.RunOption
	if report != nil && d.One(2) {
		opts = append(opts, pipeline.ReportTo(report))
	} else {
		report = nil
	}
	end := &flowEnd{flowRun: r, d: d, at: -1, had: map[int]bool{}}
	var soon *time.Timer
	switch d.Throw(8) {
	case 0:
		end.at = d.Throw(g.inputs + 1)
	case 1:
		end.at, end.panics = d.Throw(g.inputs+1), true
	case 2:
		end.canceled = true
		soon = time.AfterFunc(d.Time(64*g.short), func() { cancel(errStop) })
	case 3:
		end.drained = true
		stop, drain := context.WithCancel(context.Background())
		opts = append(opts, pipeline.Drain(stop))
		soon = time.AfterFunc(d.Time(64*g.short), drain)
		defer drain()
	case 4:
		end.canceled = true
		cancel(errStop)
	default:
	}
	var told atomic.Int64
	if d.One(6) {
		opts = append(opts, pipeline.Progress(func(s pipeline.Snapshot) {
			told.Add(1)
			g.check(!r.over.Load(), "Progress when the terminal has returned")
			g.flows(s)
		}, 4*g.short))
	}
	end.run(ctx, f, opts)
	r.over.Store(true)
	if soon != nil {
		soon.Stop()
	}
	for i := range r.counts {
		n := r.counts[i].now.Load()
		g.check(n == 0, "%d calls of %s are under way when the terminal has returned", n, g.stages[i].name)
	}
	if report != nil {
		end.report(report.Snapshot())
	}
}

// flowEnd is a terminal, how it is left, and what it has seen.
type flowEnd struct {
	*flowRun
	d        *testkit.Dice
	at       int // it is left at that item; below 0: not
	panics   bool
	canceled bool
	drained  bool

	results bool // it is Results
	seen    int  // values
	failed  int  // failures, of Results
	last    int  // index
	had     map[int]bool
	left    bool
	err     error // of a fail-fast terminal
}

// run runs one of the terminals.
func (e *flowEnd) run(ctx context.Context, f pipeline.Flow[*thing], opts []pipeline.RunOption) {
	e.last = -1
	defer func() {
		if v := recover(); v != nil {
			e.check(e.panics && v == any(e), "a terminal panics with %v", v)
		}
		e.judge(ctx)
	}()
	switch e.d.Throw(6) {
	case 0:
		e.at = -1
		e.err = f.Run(ctx, opts...)
	case 1:
		e.at = -1
		var all []*thing
		all, e.err = f.Collect(ctx, opts...)
		e.check(e.err == nil || all == nil, "Collect: values and %v", e.err)
		for _, v := range all {
			e.see(v)
		}
	case 2:
		more := []pipeline.Option{}
		for _, opt := range opts {
			more = append(more, opt)
		}
		e.at = -1
		e.err = f.ForEach(ctx, func(_ context.Context, v *thing) error { e.see(v); return nil }, more...)
	case 3:
		for v, err := range f.All(ctx, opts...) {
			e.check(!e.left && e.err == nil, "All goes on behind its end")
			if err != nil {
				e.check(v == nil, "All: a value and %v", err)
				e.err = err
				continue
			}
			if e.see(v) {
				break
			}
		}
	default:
		e.results = true
		for r := range f.Results(ctx, opts...) {
			e.check(!e.left, "Results goes on behind its end")
			if e.result(r) {
				break
			}
		}
	}
}

// see takes in a value, and reports whether the loop is to be left.
func (e *flowEnd) see(v *thing) bool {
	e.seen++
	e.calls.Add(1)
	if v == nil || v.run != e.flowRun {
		e.check(false, "a value of another run, or none: %v", v)
		return true
	}
	if e.ordered {
		e.check(v.index >= e.last, "%d behind %d", v.index, e.last)
	}
	e.check(e.several || !e.had[v.index], "%d twice", v.index)
	e.had[v.index], e.last = true, v.index
	return e.leaves()
}

// leaves reports whether the loop is left now, or panics if that is how.
func (e *flowEnd) leaves() bool {
	if e.at < 0 || e.seen+e.failed < e.at {
		return false
	}
	e.left = true
	if e.panics {
		panic(e)
	}
	return true
}

// result takes in a Result.
func (e *flowEnd) result(r result.Result[*thing]) bool {
	if r.Err == nil {
		return e.see(r.Value)
	}
	e.failed++
	e.calls.Add(1)
	e.check(e.known(r.Err), "an unknown failure: %v", r.Err)
	return e.leaves()
}

// known reports whether an error is one that there may be.
func (e *flowEnd) known(err error) bool {
	if e.canceled && errors.Is(err, errStop) || e.single && errors.Is(err, pipeline.ErrSourceUsed) {
		return true
	}
	if _, ok := errors.AsType[*pipeline.StageError](err); !ok {
		return false
	}
	var caught *result.PanicError
	return errors.Is(err, errBoom) || errors.As(err, &caught) || errors.Is(err, pipeline.ErrGoexit) ||
		errors.Is(err, errTransient) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) // of a call in flight when another has failed
}

// judge checks how the terminal has ended.
func (e *flowEnd) judge(ctx context.Context) {
	failed, kept := int64(0), false
	for i := range e.counts {
		st := e.stages[i]
		failed += e.counts[i].failed.Load()
		kept = kept || e.counts[i].failed.Load() > 0 && !st.drops
	}
	switch {
	case e.left:
		e.check(e.err == nil, "a loop that was left gives %v", e.err)
	case e.err != nil:
		e.check(e.known(e.err), "an unknown failure: %v", e.err)
		e.check(failed > 0 || e.dry || ctx.Err() != nil, "nothing has failed, and there is %v", e.err)
	case !e.results && !e.early && !e.canceled:
		e.check(!kept, "something has failed, and there is no error")
		e.check(e.drained || !e.dry, "the source has failed, and there is no error")
	}
}

// flows checks that no stages have taken what was not given. While the run goes on the stages are
// read one after the other, and so cannot be compared.
func (g *flowGame) flows(s pipeline.Snapshot) {
	in, out := uint64(0), uint64(0)
	for _, st := range s.Stages {
		in, out = in+st.In, out+st.Out
		g.check(st.Queue <= st.PeakQueue && st.PeakQueue <= st.Buffer, "the queue of %s: %+v", st.Name, st)
		g.check(!s.Done || st.Skipped+st.Dead <= st.Errors, "%s has dropped more than failed:\n%v", st.Name, s)
	}
	g.check(!s.Done || in <= out, "%d items are taken and %d given:\n%v", in, out, s)
}

// report checks that the report of a run that has ended adds up. What has failed before goes
// around a fan, so that only all stages together have taken what was given.
func (e *flowEnd) report(s pipeline.Snapshot) {
	e.check(s.Done, "a report of a run that has not ended")
	e.flows(s)
	last := s.Stages[len(s.Stages)-1]
	seen := uint64(e.seen + e.failed)
	if last.Kind == "all" || last.Kind == "results" {
		e.check(last.In == seen || last.In+1 == seen && e.dry, "the terminal has seen %d and %d failures:\n%v", e.seen, e.failed, s)
	}
	whole := e.results && !e.left && !e.canceled && !e.drained && !e.early
	in, out, inPool := uint64(0), uint64(0), uint64(0)
	for _, st := range s.Stages {
		in, out = in+st.In, out+st.Out
		if st.Kind == "through" {
			inPool += st.Errors
		}
		for _, mine := range e.stages {
			if mine.name == st.Name {
				e.stage(s, st, mine, whole)
			}
		}
	}
	e.check(!whole || in == out, "%d items are taken of %d:\n%v", in, out, s)
	failed := uint64(e.counts[e.via.no].failed.Load())
	e.check(!whole || inPool == failed, "%d failures in the pool of %d:\n%v", inPool, failed, s)
}

// stage checks what the report says of a step against what its functions have seen.
func (e *flowEnd) stage(s pipeline.Snapshot, st pipeline.StageStats, mine *flowStage, whole bool) {
	c := &e.counts[mine.no]
	calls, failed, made := uint64(c.calls.Load()), uint64(c.failed.Load()), uint64(c.made.Load())
	letters := uint64(c.letters.Load())
	e.check(letters == st.Dead, "%d letters of %s:\n%v", letters, st.Name, s)
	// A body that panics does so through a sequence, whose call is then not noted.
	e.check(e.panics || calls <= st.In+st.Retries, "%d calls of %s:\n%v", calls, st.Name, s)
	if !whole {
		return
	}
	e.check(st.Errors == failed, "%d failures of %s:\n%v", failed, st.Name, s)
	dropped := st.Skipped + st.Dead
	e.check(!mine.drops && dropped == 0 || mine.drops && dropped == failed, "%d failures of %s are not dropped:\n%v", failed, st.Name, s)
	switch mine.kind {
	case "map", "tap", "scan", "filter":
		e.check(st.In == st.Out+dropped+uint64(c.left.Load()), "%s loses something:\n%v", st.Name, s)
	case "flatmap":
		if c.refused.Load() > 0 && mine.retries {
			return // a limit may have refused a first call or another one
		}
		before := st.In - (calls - st.Retries) - uint64(c.refused.Load()) // failed
		e.check(st.Out == made+before+failed-dropped, "%s has given %d:\n%v", st.Name, made, s)
	case "batch", "window":
		e.check(st.In-calls == st.Out-made, "%s has %d in %d:\n%v", st.Name, calls, made, s)
	}
}

// String tells what the terminal was to do.
func (e *flowEnd) String() string {
	return fmt.Sprintf("left at %d (panics %v), canceled %v, drained %v", e.at, e.panics, e.canceled, e.drained)
}
