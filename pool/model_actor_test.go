package pool_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// actor is a goroutine that uses the pool, or a call that does.
type actor struct {
	*game
	dice  *testkit.Dice
	ctx   context.Context //nolint:containedctx // what its operations are done with
	outer *record         // the call that it is; nil: none
	jobs  []pending
}

// pending is a job of which the end is still to be seen.
type pending struct {
	of  *record
	job *pool.Job[*answer]
}

// act does so many operations, or as many as there are bytes for, unless the pool is closed.
func (a *actor) act(rounds int) {
	defer a.settleAll()
	for range rounds {
		if a.dice.Over() || a.bad.Load() || a.noIntake.Load() && a.dice.One(20) {
			return
		}
		a.step()
		if len(a.jobs) > 40 {
			a.settle(a.jobs[0])
			a.jobs = slices.Delete(a.jobs, 0, 1)
		}
	}
}

// step does one operation.
func (a *actor) step() {
	switch a.dice.Throw(24) {
	case 0, 1, 2:
		a.do()
	case 3, 4, 5, 6, 7, 8, 9:
		a.submit(false)
	case 10, 11:
		a.mapping()
	case 12, 13:
		a.stream()
	case 14, 15, 16, 17:
		a.handle()
	case 18, 19:
		a.read(a.dice)
	case 20:
		a.nonsense()
	case 21:
		if a.dice.One(2) {
			runtime.Gosched()
		} else {
			time.Sleep(a.dice.Time(4 * a.short))
		}
	case 22:
		if a.steered {
			a.steer(a.dice)
		}
	default:
		if a.dice.One(200) {
			a.end(a.dice)
		}
	}
}

// order makes an input.
func (a *actor) order() *order {
	r := &record{kind: kind(a.dice.Throw(int(kinds))), outer: a.outer}
	switch {
	case r.kind == shutsDown && !a.dice.One(500),
		r.kind == turns && !a.steered:
		r.kind = succeeds
	case r.kind >= exits && r.kind <= exitsDeferred && a.dice.One(2): // they cost a goroutine
		r.kind = yields
	}
	r.spoils = int32(1 + a.dice.Throw(2))
	if r.kind >= reads {
		r.seed = a.dice.Seed()
	}
	if a.outer != nil {
		r.depth = a.outer.depth + 1
	}
	if r.kind >= asksDo && (r.depth == deepest || !a.dice.One(1+r.depth)) { // or one would ask for thousands
		r.kind = succeeds
	}
	o := &order{r}
	testkit.Weigh(a.scale, inputs, o)
	return o
}

// many is n, or fewer within a call.
func (a *actor) many(n int) int {
	if a.outer != nil {
		return 4
	}
	return n
}

// orders makes some of them.
func (a *actor) orders(n int) []*order {
	all := make([]*order, n)
	plain := a.dice.One(2)
	for i := range all {
		all[i] = a.order()
		if k := all[i].of.kind; plain && k >= fails && k < yields {
			all[i].of.kind = yields
		}
	}
	return all
}

// lent is what a context has for a job.
type lent struct{ of *game }

type lentKey struct{}

// context returns a context for an operation, and what ends it behind that.
func (a *actor) context() (context.Context, context.CancelFunc) {
	ctx := a.ctx
	if a.scale != nil && a.dice.One(2) {
		v := &lent{a.game}
		testkit.Weigh(a.scale, values, v)
		ctx = context.WithValue(ctx, lentKey{}, v)
	}
	switch a.dice.Throw(8) {
	case 0:
		return context.WithTimeout(ctx, a.dice.Time(8*a.short))
	case 1:
		return context.WithTimeoutCause(ctx, a.dice.Time(8*a.short), errStop)
	case 2:
		ctx, cancel := context.WithCancelCause(ctx)
		if a.dice.One(4) {
			cancel(errStop)
		}
		return ctx, func() { cancel(nil) }
	default:
		return ctx, func() {}
	}
}

// alone runs f on a goroutine that f may end, if it may.
func (a *actor) alone(may bool, f func()) {
	if may && a.outer == nil {
		onItsOwn(f)
	} else {
		f()
	}
}

func (a *actor) do() {
	a.ops.Add(1)
	ctx, cancel := a.context()
	defer cancel()
	o := a.order()
	ended := ctx.Err() != nil
	out, err := (*answer)(nil), errGone
	a.alone(o.of.mayExit(), func() { out, err = a.p.Do(ctx, o) })
	a.judge(o.of, out, err, ctx)
	a.check(!ended || o.of.calls.Load() == 0, "a Do with a context that had ended")
}

func (a *actor) mapping() {
	a.ops.Add(1)
	ctx, cancel := a.context()
	defer cancel()
	all := a.orders(a.dice.Throw(a.many(30)))
	var records []*record
	may := false
	for _, o := range all {
		records = append(records, o.of)
		may = may || o.of.mayExit()
	}
	outs, err := []*answer(nil), errGone
	a.alone(may, func() { outs, err = a.p.Map(ctx, all) })
	if err == nil {
		a.check(len(outs) == len(all), "%d outputs of a Map of %d", len(outs), len(all))
		for i, r := range records {
			a.judge(r, outs[i], nil, ctx)
		}
		return
	}
	a.check(outs == nil, "a Map with outputs and %v", err)
	for _, r := range records {
		a.done(r)
	}
}

func (a *actor) stream() {
	a.ops.Add(1)
	ctx, cancel := a.context()
	defer cancel()
	all := a.orders(a.dice.Throw(a.many(60)))
	var records []*record
	for _, o := range all {
		records = append(records, o.of)
	}
	most, panics, dry := len(all)+1, false, a.dice.One(8)
	if a.dice.One(3) {
		most = a.dice.Throw(len(all) + 1)
		panics = a.dice.One(3)
	}
	source := func(yield func(*order) bool) {
		for _, o := range all {
			if !yield(o) {
				return
			}
		}
		if dry {
			panic(errBody)
		}
	}
	seen := make([]bool, len(all)+1)
	n, left, ended := 0, false, false
	func() {
		defer func() {
			if v := recover(); v != nil {
				a.check(v == any(errBody) && panics, "a loop over a Stream panics with %v", v)
			}
		}()
		for r := range a.p.Stream(ctx, source) {
			a.check(!left, "a result behind the end of the loop")
			last := a.result(ctx, r, records, seen)
			ended = ended || last
			if n++; n > most {
				left = true
				if panics {
					panic(errBody)
				}
				break
			}
		}
	}()
	for _, r := range records {
		a.done(r)
	}
	if !left && !ended && ctx.Err() == nil && !a.noIntake.Load() {
		a.check(n == len(all), "%d results of %d inputs", n, len(all))
	}
}

// result judges one of a Stream, and reports whether it is the one of the sequence itself.
func (a *actor) result(ctx context.Context, r result.Result[*answer], records []*record, seen []bool) bool {
	if errors.Is(r.Err, pool.ErrClosed) && r.Attempt == 0 && (r.Index == len(records) || !seen[0] && r.Index == 0) {
		return true // the pool was closed already; or the first one was canceled, which says the same
	}
	if ctx.Err() != nil && r.Err == context.Cause(ctx) && r.Attempt == 0 && !seen[0] && r.Index == 0 { //nolint:errorlint // just that one
		return true // so was the context
	}
	if !a.check(r.Index >= 0 && r.Index < len(seen) && !seen[r.Index], "the result of input %d of %d, again or too much", r.Index, len(records)) {
		return true
	}
	seen[r.Index] = true
	if r.Index == len(records) {
		a.check(errors.Is(r.Err, errBody), "one result too many, with %v", r.Err)
		return true
	}
	of := records[r.Index]
	a.judge(of, r.Value, r.Err, ctx)
	a.check(a.statesFail || int(of.calls.Load()) == r.Attempt, "%d calls, and a result of %d attempts: %v", of.calls.Load(), r.Attempt, r.Err)
	return false
}

// submit submits a job. waits: it waits for its end, with its own context.
func (a *actor) submit(waits bool) {
	a.ops.Add(1)
	ctx, cancel := a.context()
	defer cancel()
	o := a.order()
	r := o.of
	opts, locked := a.options(r)
	if r.lane != nil && !locked {
		return
	}
	var job *pool.Job[*answer]
	err := errGone
	ended := ctx.Err() != nil
	a.submitted.Add(1)
	defer func() {
		if job == nil && errors.Is(err, errGone) { // also if it was this goroutine that was ended
			a.check(a.policy == pool.CallerRuns && r.exited.Load(), "Submit has ended its goroutine")
			a.unseen.Add(1)
		}
	}()
	if a.dice.One(4) {
		job, err = a.p.TrySubmit(o, opts...)
		ended = false
	} else {
		a.alone(a.policy == pool.CallerRuns && r.mayExit(), func() { job, err = a.p.Submit(ctx, o, opts...) })
	}
	if locked {
		<-r.lane.submitting
	}
	switch {
	case errors.Is(err, errGone):
		return
	case err != nil:
		a.done(r)
		a.check(r.calls.Load() == 0, "called, and Submit says %v", err)
		known := ended || errors.Is(err, pool.ErrFull) || errors.Is(err, pool.ErrClosed) || errors.Is(err, pool.ErrWouldDeadlock) || a.cause(ctx, err)
		a.check(known, "Submit: %v", err)
		return
	}
	a.check(!ended, "a job of a context that had ended")
	if h := (pending{r, job}); a.outer == nil {
		a.jobs = append(a.jobs, h)
	} else {
		a.leaveTo(h)
	}
	if waits { // and may run it, and be ended by it
		_, err := job.Wait(ctx)
		a.check(err == nil || job.Status().Terminal() || errors.Is(err, pool.ErrWouldDeadlock) || a.cause(ctx, err) || errors.Is(err, pool.ErrClosed),
			"Wait for a job within a call: %v", err)
	}
}

// options draws the options of a job; locked says that its key is to be freed behind Submit.
func (a *actor) options(r *record) (opts []pool.JobOption, locked bool) {
	d := a.dice
	if !d.One(2) {
		return nil, false
	}
	if d.One(3) {
		n := d.Throw(len(a.lanes))
		r.lane = &a.lanes[n]
		opts = append(opts, pool.Key(n))
		if a.outer != nil { // who holds the lock may wait for room, which this call may have to make
			select {
			case r.lane.submitting <- struct{}{}:
			default:
				return nil, false
			}
		} else {
			r.lane.submitting <- struct{}{}
		}
		locked = true
	} else if d.One(10) {
		opts = append(opts, pool.Key(math.NaN()))
	}
	if d.One(4) {
		after := d.Time(8 * a.short)
		r.due = time.Now().Add(after)
		opts = append(opts, pool.After(after))
	} else if locked {
		r.lane.accepted++
		r.place = r.lane.accepted
	}
	if d.One(3) {
		opts = append(opts, pool.Priority(d.Throw(5)-2))
	}
	if a.capacity > 0 && d.One(3) {
		r.weight = int64(1 + d.Throw(int(a.capacity)))
		opts = append(opts, pool.Weight(r.weight))
	}
	return opts, locked
}

// handle does something with a job.
func (a *actor) handle() {
	if len(a.jobs) == 0 {
		return
	}
	a.ops.Add(1)
	at := a.dice.Throw(len(a.jobs))
	h := a.jobs[at]
	switch a.dice.Throw(8) {
	case 0:
		h.job.Cancel(nil)
	case 1:
		h.job.Cancel(errStop)
	case 2:
		ctx, cancel := context.WithTimeoutCause(a.ctx, a.dice.Time(8*a.short), errStop)
		defer cancel()
		if _, err := h.job.Wait(ctx); err != nil && !h.job.Status().Terminal() {
			a.check(errors.Is(err, errStop), "Wait: %v", err)
		}
	case 3:
		select {
		case <-h.job.Done():
			a.check(h.job.Status().Terminal(), "Done, and %v", h.job.Status())
		default:
		}
	case 4:
		r, ok := h.job.Result()
		a.check(!ok || r.Status() == h.job.Status(), "a result that says %v, and a job %v", r.Status(), h.job.Status())
		a.check(ok || !a.closed.Load() || h.job.Status().Terminal(), "not ended, and Close has returned")
	case 5:
		a.check(h.job.ID() > 0, "a job without a number")
	default:
		a.settle(h)
		a.jobs = slices.Delete(a.jobs, at, at+1)
	}
}

// nonsense submits what must not be accepted.
func (a *actor) nonsense() {
	a.ops.Add(1)
	opts := [][]pool.JobOption{
		{nil},
		{pool.Key(nil)},
		{pool.Key([]int{})},
		{pool.Weight(0)},
		{pool.Weight(a.capacity + 1)},
		{pool.Priority(1), pool.Priority(2)},
	}[a.dice.Throw(6)]
	o := a.order()
	_, err := a.p.TrySubmit(o, opts...)
	a.check(err != nil, "a job with options that make no sense")
	a.done(o.of)
	a.check(o.of.calls.Load() == 0, "called, and not accepted")
}

// settleAll sees to the ends of all jobs that are left.
func (a *actor) settleAll() {
	for _, h := range a.jobs {
		a.settle(h)
	}
	a.jobs = nil
}
