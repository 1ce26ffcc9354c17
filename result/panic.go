package result

import (
	"fmt"
	"io"
)

// A PanicError is the error of an input whose function panicked.
//
// Get at it with [errors.AsType] or [errors.As]; the stack is in Stack, and the
// verb %+v prints it. The value is turned into text only when that is asked
// for, so Error shows what a pointer points to at that moment.
//
// A PanicError is not changed once made. It is safe for concurrent use as far
// as the methods of Value are. A nil *PanicError can be printed and unwrapped
// like any other; it reads "<nil>".
type PanicError struct {
	// Value is what the function gave to panic. It is never nil for a caught
	// panic: panic(nil) arrives as a [*runtime.PanicNilError].
	Value any

	// Stack is the stack of the goroutine when it panicked, as
	// [runtime/debug.Stack] formats it.
	Stack []byte
}

// Error returns "panic: " and the value as fmt's %v prints it, without the
// stack. It does not panic, even if a method of the value does.
func (e *PanicError) Error() string {
	if e == nil {
		return "<nil>"
	}
	return "panic: " + text("%v", e.Value)
}

// Unwrap returns the value if it is an error, else nil. So [errors.Is] and
// [errors.As] see through a panic, to a [runtime.Error] for instance.
func (e *PanicError) Unwrap() error {
	if e == nil {
		return nil
	}
	err, _ := e.Value.(error)
	return err
}

// Format prints the error as fmt's verbs do for a string, with two exceptions:
// %+v adds the stack on the lines that follow, and %#v is Go syntax with the
// stack as readable text.
func (e *PanicError) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		if e == nil {
			io.WriteString(f, "(*result.PanicError)(nil)")
			return
		}
		fmt.Fprintf(f, "&result.PanicError{Value:%s, Stack:[]byte(%q)}", text("%#v", e.Value), e.Stack)
	case verb == 'v' && f.Flag('+'):
		io.WriteString(f, e.Error())
		if e != nil && len(e.Stack) > 0 {
			fmt.Fprintf(f, "\n\n%s", e.Stack)
		}
	default:
		fmt.Fprintf(f, fmt.FormatString(f, verb), e.Error())
	}
}

// text formats a value whose methods are not to be trusted, since it comes out
// of code that has just panicked. fmt catches a panic in such a method and
// prints what it panicked with; but if printing that panics in turn, fmt gives
// up and lets the second panic through.
func text(format string, value any) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("(%T that cannot be printed)", value)
		}
	}()
	return fmt.Sprintf(format, value)
}
