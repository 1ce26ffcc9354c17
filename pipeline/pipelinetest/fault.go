package pipelinetest

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Fault is what goes wrong in a call. It is called with the call's context in place
// of the function, on the goroutine of the call: an error that it returns is the
// call's, and after a nil error the call goes on. Any function of this type will do;
// those of this package are the common ones. They may be used in several places, and
// by several goroutines at once.
type Fault func(context.Context) error

// Error returns the fault that fails the call with err. A nil err panics.
func Error(err error) Fault {
	if err == nil {
		panic("pipelinetest: Error: nil error")
	}
	return func(context.Context) error { return err }
}

// Panic returns the fault that panics with v.
func Panic(v any) Fault {
	return func(context.Context) error { panic(v) }
}

// errAfterGoexit keeps the function from being called, should Goexit ever return.
var errAfterGoexit = errors.New("pipelinetest: runtime.Goexit has returned")

// Goexit returns the fault that ends the goroutine of the call with
// [runtime.Goexit], as a call of t.FailNow does.
func Goexit() Fault {
	return func(context.Context) error {
		runtime.Goexit()
		return errAfterGoexit
	}
}

// Hang returns the fault that blocks until the context of the call ends, and then
// fails the call with the context's error, as a request does that is never answered.
func Hang() Fault {
	return func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
}

// Delay returns the fault that waits for d before the call goes on. If the context of
// the call ends before, the call fails with the context's error. In a synctest bubble
// the wait is in the bubble's time. A d below 0 panics. For a call that does not heed
// its context, see [Hook].
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

// Hook returns the fault that calls fn, after which the call goes on: to cancel a
// context at a certain call, to sleep without regard to it, to note something. A nil
// fn panics.
func Hook(fn func()) Fault {
	if fn == nil {
		panic("pipelinetest: Hook: nil function")
	}
	return func(context.Context) error {
		fn()
		return nil
	}
}
