package pipelinetest

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Fault is what goes wrong in a call. It is called before the function, with the call's
// context, on the call's goroutine. If it returns an error, the call returns that error
// instead of calling the function; after a nil error the call goes on. Any function of this
// type will do; this package has the common ones. These may be used in several places, and
// by several goroutines at once.
type Fault func(context.Context) error

// Error returns a fault that fails the call with err. A nil err panics.
func Error(err error) Fault {
	if err == nil {
		panic("pipelinetest: Error: nil error")
	}
	return func(context.Context) error { return err }
}

// Panic returns a fault that panics with v.
func Panic(v any) Fault {
	return func(context.Context) error { panic(v) }
}

// errAfterGoexit keeps the function from being called, should Goexit ever return.
var errAfterGoexit = errors.New("pipelinetest: runtime.Goexit has returned")

// Goexit returns a fault that ends the goroutine of the call with [runtime.Goexit], as a
// call of t.FailNow does.
func Goexit() Fault {
	return func(context.Context) error {
		runtime.Goexit()
		return errAfterGoexit
	}
}

// Hang returns a fault that blocks until the context of the call ends, and then fails the
// call with the context's error, like a request that is never answered.
func Hang() Fault {
	return func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
}

// Delay returns a fault that waits for d before the call goes on. If the context of the
// call ends first, the call fails with the context's error. In a synctest bubble the wait
// is in the bubble's time. A d below 0 panics. For a call that ignores its context, see
// [Hook].
func Delay(d time.Duration) Fault {
	if d < 0 {
		panic("pipelinetest: Delay: negative duration")
	}
	return func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Hook returns a fault that calls fn, after which the call goes on. Use it to cancel a
// context at a certain call, to sleep regardless of the context, or to record something. A
// nil fn panics.
func Hook(fn func()) Fault {
	if fn == nil {
		panic("pipelinetest: Hook: nil function")
	}
	return func(context.Context) error {
		fn()
		return nil
	}
}
