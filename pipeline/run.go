package pipeline

import (
	"context"
	"time"

	"github.com/millstream-go/millstream/internal/engine"
)

// RunOption sets how a terminal runs a flow. An option given twice, and one whose value
// makes no sense, panics.
type RunOption func(*run)

// run is what the steps of one run share.
type run struct {
	kind   string          // of the terminal
	intake context.Context //nolint:containedctx // ended: the sources are to give no more
	report *Report
	tell   func(Snapshot)
	every  time.Duration

	rec      *recorder // nil if nobody watches
	progress *progress // nil if nobody is told

	given map[string]bool
}

// Drain has the run take no more input once ctx ends, and finish what is in flight: its
// sources end as if they had nothing more to give, batches and other steps that hold
// something back pass it on, and the terminal returns as usual, with no error for it.
// So it is for a service that is told to stop, and differs from the terminal's own
// context, whose end cancels the calls in flight:
//
//	stop, _ := signal.NotifyContext(context.Background(), os.Interrupt)
//	err := flow.Run(context.Background(), pipeline.Drain(stop))
//
// A sequence that blocks in its own code is told when it gives its next value, which is
// still passed on; [FromChan] and [FromFunc] are told at once. What a [FlatMap] makes of an
// input that was taken is in flight: one without an end is ended by the terminal's context
// alone. If ctx has ended before the
// run begins, nothing is taken. Failures are failures as ever, and if the terminal's context
// ends too, that counts. The default is not to drain. A nil ctx panics.
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

// newRun takes in the options of a run by a terminal of that kind, and says what is wrong
// with its arguments.
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
		_ = sc.Settle() // it was stopped: there is no error
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

// watched calls body, and notes the time if anybody watches.
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
