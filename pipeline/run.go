package pipeline

import (
	"context"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// RunOption sets how a terminal runs a flow. An option given twice, or with an invalid
// value, panics.
type RunOption func(*run)

// run is what the steps of one run share.
type run struct {
	kind   string          // of the terminal
	intake context.Context //nolint:containedctx // once it has ended, the sources give no more
	report *Report
	tell   func(Snapshot)
	every  time.Duration

	rec      *recorder // nil if the run is not watched
	progress *progress // nil without the option Progress

	given map[string]bool
}

// Drain makes the run take no more input once ctx ends, and finish what is in flight. Its
// sources end as if they had nothing more to give, batches and other steps that hold
// something back pass it on, and the terminal returns as usual, with no error because of
// it. Use it for a service that is told to stop. The terminal's own context is different:
// its end cancels the calls in flight.
//
//	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
//	ctx, cancel := context.WithCancel(context.Background())
//	defer cancel()
//	context.AfterFunc(stop, func() { time.AfterFunc(20*time.Second, cancel) }) // bounds the drain
//	err := flow.Run(ctx, pipeline.Drain(stop))
//
// [FromChan] stops at once, and the context of a [FromFunc] function ends at once. A
// sequence that blocks in its own code stops when it gives its next value, which is still
// passed on. The outputs of an input that a [FlatMap] has taken are in flight: an endless
// sequence ends only with the terminal's context. If ctx has ended before the run begins,
// nothing is taken. Failures are handled as usual, and if the terminal's context ends too,
// its end takes precedence. The default is not to drain. A nil ctx panics.
func Drain(ctx context.Context) RunOption {
	return func(r *run) {
		r.once("Drain")
		if ctx == nil {
			r.refuse("Drain: nil context")
		}
		r.intake = ctx
	}
}

func (r *run) once(option string) {
	if r.given[option] {
		r.refuse(option + " given twice")
	}
	if r.given == nil {
		r.given = make(map[string]bool)
	}
	r.given[option] = true
}

func (r *run) refuse(why string) { panic("pipeline: " + r.kind + ": " + why) }

// newRun applies the options of a run by a terminal of that kind, and panics if an argument
// is invalid.
func newRun(ctx context.Context, kind string, opts []RunOption) *run {
	r := &run{kind: kind}
	if ctx == nil {
		r.refuse("nil context")
	}
	for _, opt := range opts {
		if opt == nil {
			r.refuse("nil option")
		}
		opt(r)
	}
	return r
}

// consume runs a flow and calls body on each item, on the calling goroutine.
func consume[T any](ctx context.Context, last step[T], r *run, keep bool, body func(*segment, *item[T]) bool) (sc *engine.Scope, err error) {
	sc = engine.NewScope(ctx, keep)
	sc.Timed = keep || last.clocked()
	seg := newSegment(site{Scope: sc, run: r})
	if r.report != nil || r.tell != nil {
		sc.Timed = true
		seg.node = r.watch(sc, last.plan())
		seg.enlist()
	}
	through := false
	defer func() {
		if through {
			return
		}
		// The body panicked, or something on this goroutine called Goexit.
		sc.Stop()
		if seg.drain != nil {
			seg.drain()
		}
		_ = sc.Settle() // the run was stopped, so there is no error
		_ = r.settled()
	}()
	last.drive(seg.up(0), incoming(seg, func(it *item[T]) bool {
		wanted := watched(seg, it, body)
		seg.mark = 0 // the body has taken time
		return wanted && seg.wanted()
	}))
	through = true
	err = sc.Settle()
	if told := r.settled(); err == nil {
		err = told
	}
	return sc, err
}

// watched calls body, and records the time if the run is watched.
func watched[T any](seg *segment, it *item[T], body func(*segment, *item[T]) bool) bool {
	p := seg.probe
	if p == nil {
		return body(seg, it)
	}
	begun := seg.Clock.Now()
	p.Switch(engine.Busy, begun)
	from := max(it.Ended, it.Queued)
	wanted := body(seg, it)
	now := seg.Clock.Now()
	p.Switch(engine.Idle, now)
	p.Ended(from, begun, now, nil)
	return wanted
}
