package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// fault is what a task does to the pool or flow that calls it.
type fault int

const (
	works   fault = iota // computes for some microseconds
	sleeps               // waits a little, heeding its context
	fails                // returns errFault
	mends                // fails once, and works when it is called again
	panics               // with an error
	panics0              // with nil
	breaks               // indexes out of range
	exits                // its goroutine
	waits                // for the end of its context, or for long
	nests                // asks its own pool for another task
)

var errFault = errors.New("injected fault")

// task is an input. It keeps its own account of what was done with it, which is then held against what the library
// says.
type task struct {
	do      fault
	in      int
	ballast [256]byte // so that an input that is kept somewhere shows

	book    *book
	nested  func(context.Context, *task) (output, error) // for nests; nil: it only works
	calls   atomic.Int32
	running atomic.Int32
	outcome atomic.Int32 // kind of the last call, as the task itself saw it
	ends    atomic.Int32
}

// output is what comes of a task: its input and what was computed from it.
type output struct{ in, out int }

// mix is how often each fault is injected, out of a hundred; the rest works.
var mix = [...]struct {
	share int
	do    fault
}{{60, works}, {14, sleeps}, {8, fails}, {4, mends}, {3, panics}, {1, panics0}, {1, breaks}, {2, exits}, {3, waits}, {4, nests}}

// tasks makes n of them.
func tasks(r *rand.Rand, b *book, n int, nested func(context.Context, *task) (output, error)) []*task {
	all := make([]*task, n)
	for i := range all {
		all[i] = &task{do: pick(r), in: r.IntN(1 << 30), ballast: [256]byte{1}, book: b, nested: nested}
	}
	return all
}

// fork is a source of its own for another goroutine.
func fork(r *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(r.Uint64(), 0)) }

func pick(r *rand.Rand) fault {
	n := r.IntN(100)
	for _, m := range mix {
		if n -= m.share; n < 0 {
			return m.do
		}
	}
	return works
}

// call is the function of all pools and of the stages that may fail.
func call(ctx context.Context, t *task) (out output, err error) {
	n := t.calls.Add(1)
	t.book.calls.Add(1)
	t.running.Add(1)
	t.outcome.Store(int32(failed)) // what exits leaves behind
	defer func() {
		t.running.Add(-1)
		if p := recover(); p != nil {
			t.outcome.Store(int32(panicked))
			panic(p)
		}
	}()
	switch t.do {
	case works:
	case sleeps:
		err = pause(ctx, time.Duration(t.in%2000)*time.Microsecond)
	case fails:
		err = errFault
	case mends:
		if n == 1 {
			err = errFault
		}
	case panics:
		panic(errFault)
	case panics0:
		panic(nil) //nolint:govet // it is on purpose
	case breaks:
		none := make([]int, 0)
		t.in = none[t.in%8]
	case exits:
		runtime.Goexit()
	case waits:
		err = pause(ctx, 30*time.Millisecond)
	case nests:
		if t.nested != nil {
			inner := &task{do: works, in: t.in, book: t.book}
			t.book.accepted.Add(1)
			var o output
			o, err = t.nested(ctx, inner)
			inner.end(o, err, -1)
		}
	}
	if err == nil {
		out = output{t.in, compute(t.in)}
	}
	t.outcome.Store(int32(kindOf(err, 1)))
	return out, err
}

// pause waits, or returns why it was not let.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// compute takes some microseconds.
func compute(in int) int {
	x := uint32(in)
	for range 500 + x%1500 {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
	}
	return int(x)
}

// end enters what the library said of a task, and notes what does not fit what the task knows itself. attempts is the
// number of calls that the library has counted, -1 if it did not say.
func (t *task) end(o output, err error, attempts int) {
	calls := int(t.calls.Load())
	k := kindOf(err, calls)
	if attempts < 0 && calls == 0 && k != succeeded {
		k = canceled // with its context, whose cause may be what a neighbour in a Map has come to, a panic for instance
	}
	t.book.ended[k].Add(1)
	switch {
	case t.ends.Add(1) != 1:
		t.book.errorf("task %d (%d) ended twice", t.in, t.do)
	case t.running.Load() != 0:
		t.book.errorf("task %d (%d) ended as %v, and runs", t.in, t.do, k)
	case attempts >= 0 && attempts != calls:
		t.book.errorf("task %d (%d) was called %d times, and %d were counted", t.in, t.do, calls, attempts)
	case calls == 0 && k != canceled && k != dropped:
		t.book.errorf("task %d (%d) was never called, and %v: %v", t.in, t.do, k, err)
	case calls > 0 && !t.mayBe(k, err):
		t.book.errorf("task %d (%d) was called %d times, and %v: %v", t.in, t.do, calls, k, err)
	case k == succeeded && o != (output{t.in, compute(t.in)}):
		t.book.errorf("task %d (%d) has the output %v", t.in, t.do, o)
	}
}

// mayBe tells whether a task that was called can have come to k. A context that ends between two calls, or in one that
// heeds it, gives its own error, and a limit may refuse the next call.
func (t *task) mayBe(k kind, err error) bool {
	cut := k == canceled || k == failed && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errRefused))
	switch t.do {
	case works:
		return k == succeeded
	case sleeps, waits, nests:
		return k == succeeded || cut || k == failed && errors.Is(err, pool.ErrClosed)
	case fails, mends:
		return k == succeeded && t.do == mends || cut || k == failed && errors.Is(err, errFault)
	case panics:
		return k == panicked && errors.Is(err, errFault)
	case panics0, breaks:
		caught, ok := errors.AsType[*result.PanicError](err)
		return ok && k == panicked && isRuntimeError(caught.Value)
	default:
		return k == failed && errors.Is(err, pool.ErrGoexit)
	}
}

func isRuntimeError(v any) bool {
	_, ok := v.(runtime.Error)
	return ok
}

// settle enters a task of which the library says nothing, because the caller left or the first error ended it all: as
// what the task saw of itself. Nothing of it may run any more.
func (t *task) settle() {
	k := canceled
	if t.calls.Load() > 0 {
		k = kind(t.outcome.Load())
	}
	t.book.ended[k].Add(1)
	switch {
	case t.ends.Add(1) != 1:
		t.book.errorf("task %d (%d) ended twice", t.in, t.do)
	case t.running.Load() != 0:
		t.book.errorf("task %d (%d) still runs", t.in, t.do)
	}
}

// apart runs f on a goroutine of its own, which f may end, and waits for it. It reports whether f has returned.
func apart(f func()) (returned bool) {
	done := make(chan bool, 1)
	go func() {
		through := false
		defer func() { done <- through }()
		f()
		through = true
	}()
	return <-done
}
