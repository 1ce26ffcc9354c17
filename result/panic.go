package result

import (
	"fmt"
	"io"
)

// A PanicError is the error of an input whose function panicked.
//
// Extract it with [errors.AsType] or [errors.As]. Stack has the stack, and the
// verb %+v prints it. The value is formatted only when needed, so Error shows
// what a pointer points to at that moment.
//
// A PanicError is not changed once made. It may be copied. It is safe for
// concurrent use if the methods of Value are. The zero value reads "panic:
// <nil>". A nil *PanicError can be printed and unwrapped as well; it reads
// "<nil>".
type PanicError struct {
	// Value is what the function passed to panic. It is never nil for a caught
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

// Unwrap returns the value if it is an error, or else nil. So [errors.Is] and
// [errors.As] see through a panic, for instance to a [runtime.Error].
func (e *PanicError) Unwrap() error {
	if e == nil {
		return nil
	}
	err, _ := e.Value.(error)
	return err
}

// Format formats the error as fmt formats a string, with two exceptions: %+v
// adds the stack on the following lines, and %#v is Go syntax with the stack as
// readable text.
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

// text formats a value whose methods cannot be trusted, since it comes from
// code that has just panicked. fmt catches a panic in such a method and prints
// the panic value; but if printing that panics as well, fmt lets the second
// panic through.
func text(format string, value any) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("(%T that cannot be printed)", value)
		}
	}()
	return fmt.Sprintf(format, value)
}
