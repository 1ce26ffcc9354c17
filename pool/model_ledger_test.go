package pool_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// ledger is how inputs have ended, as those who gave them saw it.
type ledger struct {
	mu      sync.Mutex
	ended   map[result.Status]uint64 // jobs, but for those that were dropped
	dropped uint64
	retried uint64
	how     map[uint64]result.Status // of each job, if there is an observer
}

// settle waits for a job and enters its end.
func (g *game) settle(h pending) {
	closed := g.closed.Load()
	g.check(!closed || h.job.Status().Terminal(), "job %d has not ended, and Close has returned", h.job.ID())
	out, err := h.job.Wait(context.Background())
	r, ok := h.job.Result()
	g.check(ok && r.Value == out && r.Err == err, "Wait gives %v and %v, and Result %+v, %v", out, err, r, ok) //nolint:errorlint // the same
	g.check(r.Status() == h.job.Status(), "a result that says %v, and a job %v", r.Status(), h.job.Status())
	g.judge(h.of, out, err, context.Background())
	g.check(g.statesFail || r.Attempt == int(h.of.calls.Load()), "%d calls, and a job of %d attempts: %v", h.of.calls.Load(), r.Attempt, err)
	g.check(h.of.calls.Load() == 0 || h.of.job.Load() == h.job.ID(), "job %d was called as job %d", h.job.ID(), h.of.job.Load())
	g.check(r.Timing.Wait >= 0 && r.Timing.Run >= 0, "%+v", r.Timing)
	select {
	case <-h.job.Done():
	default:
		g.check(false, "Wait has returned before Done")
	}
	l := &g.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(err, pool.ErrDropped) {
		l.dropped++
	} else {
		l.ended[r.Status()]++
	}
	l.retried += uint64(max(r.Attempt-1, 0))
	if l.how != nil {
		_, twice := l.how[h.job.ID()]
		g.check(!twice, "two jobs with number %d", h.job.ID())
		l.how[h.job.ID()] = r.Status()
	}
}

// done enters the end of an input of which no more is known.
func (g *game) done(r *record) {
	g.check(r.now.Load() == 0, "the call of an input that has ended is under way")
	r.over.Store(true)
}

// cause reports whether an error says why a context has ended.
func (*game) cause(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()))
}

// judge checks how an input has ended, of an operation with a context.
func (g *game) judge(r *record, out *answer, err error, ctx context.Context) { //nolint:revive // the context comes last, as it matters least
	g.check(!r.over.Load(), "an input has ended twice")
	g.done(r)
	calls := r.calls.Load()
	bad := func() { g.check(false, "kind %d gave %v, %v after %d calls", r.kind, out, err, calls) }
	if err != nil && out != nil || err == nil && (out == nil || out.of != r) {
		bad()
		return
	}
	if errors.Is(err, errGone) {
		g.check(r.exited.Load(), "the goroutine of a caller has ended, by kind %d after %d calls", r.kind, calls)
		return
	}
	canceled := errors.Is(err, context.Canceled) || errors.Is(err, pool.ErrClosed) || errors.Is(err, pool.ErrHalted) || g.cause(ctx, err) ||
		errors.Is(err, errStop) && g.noIntake.Load() // the cause of the pool's end
	var caught *result.PanicError
	panicked := errors.As(err, &caught)
	refused := g.limited && errors.Is(err, errLimit)
	opened := g.statesFail && (errors.Is(err, errOpen) || errors.Is(err, pool.ErrGoexit) || errors.Is(err, pool.ErrWouldDeadlock))
	var ok bool
	switch {
	case calls == 0:
		ok = canceled || refused || opened || errors.Is(err, pool.ErrDropped) || errors.Is(err, pool.ErrWouldDeadlock)
	case r.kind == fails:
		ok = errors.Is(err, errBoom) || refused || opened
	case r.kind == falters:
		ok = err == nil == (calls > r.spoils) || errors.Is(err, errBoom) && calls <= r.spoils || refused || opened
	case r.kind == panicsWithNil:
		none := new(runtime.PanicNilError)
		ok = panicked && errors.As(err, &none)
	case r.kind == panicsByRuntime:
		var wrong runtime.Error
		ok = panicked && errors.As(err, &wrong)
	case r.kind >= panicsWithText && r.kind <= panicsDeferred:
		ok = panicked && (r.kind == panicsWithText) == (caught.Value == any("boom"))
	case r.kind == exits, r.kind == exitsDeferred:
		ok = errors.Is(err, pool.ErrGoexit)
	case r.kind == listens:
		ok = err == nil || canceled || errors.Is(err, context.DeadlineExceeded) || refused
	default:
		ok = err == nil || r.exited.Load() && errors.Is(err, pool.ErrGoexit)
	}
	if !ok {
		bad()
	}
}

// leaveTo has somebody else see to the end of a job.
func (g *game) leaveTo(h pending) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.orphans = append(g.orphans, h)
}

// settleOrphans sees to the jobs that calls have left behind, and those that these have.
func (g *game) settleOrphans() {
	for {
		g.mu.Lock()
		all := g.orphans
		g.orphans = nil
		g.mu.Unlock()
		if len(all) == 0 {
			return
		}
		for _, h := range all {
			g.settle(h)
		}
	}
}

// sums checks that the counts of a snapshot add up, and are none of the past or the future.
func (g *game) sums() pool.Stats {
	g.ledger.mu.Lock()
	least := map[result.Status]uint64{}
	maps.Copy(least, g.ledger.ended)
	dropped := g.ledger.dropped
	g.ledger.mu.Unlock()
	s := g.p.Stats()
	begun := g.submitted.Load()
	ends := s.Succeeded + s.Failed + s.Panicked + s.Canceled + s.Dropped
	g.check(s.Accepted == ends+uint64(s.Queued)+uint64(s.Running), "the sum of %v", s)
	g.check(s.Queued >= 0 && s.Running >= 0 && s.Busy >= 0 && s.Idle >= 0, "less than nothing in %v", s)
	g.check(s.Accepted <= begun, "%d submitted, and %v", begun, s)
	g.check(s.Succeeded >= least[result.Succeeded] && s.Failed >= least[result.Failed] && s.Panicked >= least[result.Panicked] &&
		s.Canceled >= least[result.Canceled] && s.Dropped >= dropped, "%v and %d dropped were seen, and %v", least, dropped, s)
	g.check(s.Name == "model" && s.Capacity == g.depth, "%v", s)
	return s
}

// settled checks the counts of a pool of which all jobs have ended, and been seen to.
func (g *game) settled() {
	s := g.sums()
	l := &g.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	unseen := g.unseen.Load()
	g.check(s.Queued == 0 && s.Running == 0, "all jobs have ended, and %v", s)
	g.check(s.Succeeded == l.ended[result.Succeeded] && s.Failed == l.ended[result.Failed]+unseen &&
		s.Panicked == l.ended[result.Panicked] && s.Canceled == l.ended[result.Canceled] && s.Dropped == l.dropped,
		"%v, %d dropped, %d unseen, and %v", l.ended, l.dropped, unseen, s)
	g.check(g.statesFail || unseen > 0 || s.Retried == l.retried, "%d calls again, and %v", l.retried, s)
}

// What is weighed.
const (
	inputs   = "inputs"
	outputs  = "outputs"
	failures = "errors"
	values   = "contexts"
)

// forgotten checks that nothing in a pool that lives keeps what has ended. What it tracks are
// outputs, errors and contexts, never inputs. A context that a call has put around its own and
// lent to a job keeps the job of that call, too; so it goes on outwards.
func (g *game) forgotten() {
	if g.scale == nil {
		return
	}
	kept := max(g.tracks, 0)
	around := kept * (1 + deepest)
	most := map[string]int{inputs: 0, outputs: around, failures: around, values: around}
	left := ""
	testkit.Collected(func() bool {
		left = ""
		for kind, most := range most {
			if n, all := g.scale.Of(kind); n > most {
				left += fmt.Sprintf(" %d of %d %s", n, all, kind)
			}
		}
		return left == ""
	})
	g.check(left == "", "the pool tracks %d jobs, and keeps%s", kept, left)
}
