package result

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// catch runs fn and returns its panic the way a pool does.
func catch(fn func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	fn()
	return nil
}

// Values whose own methods panic when they are printed.
type (
	rudeError    struct{}               // with a plain value
	rudeTwice    struct{}               // with a value whose method panics again
	nilNameError struct{ name *string } // on a nil receiver
)

func (rudeError) Error() string       { panic("no text") }
func (rudeTwice) String() string      { panic(rudeTwice{}) }
func (rudeTwice) GoString() string    { panic(rudeTwice{}) }
func (e *nilNameError) Error() string { return *e.name }

func TestPanicErrorText(t *testing.T) {
	var unset *nilNameError
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"string", "boom", "panic: boom"},
		{"number", 7, "panic: 7"},
		{"error", io.EOF, "panic: EOF"},
		{"struct", struct{ A, B int }{1, 2}, "panic: {1 2}"},
		{"nil", nil, "panic: <nil>"},
		{"per cent", "50%d", "panic: 50%d"},
		{"nested", &PanicError{Value: "boom"}, "panic: panic: boom"},
		{"error that panics", rudeError{}, "panic: %!v(PANIC=Error method: no text)"},
		{"error on a nil pointer", unset, "panic: <nil>"},
		{"stringer that panics twice", rudeTwice{}, "panic: (result.rudeTwice that cannot be printed)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := &PanicError{Value: tt.value, Stack: []byte("goroutine 1 [running]:")}
			assert.Equal(t, tt.want, err.Error())
			assert.Equal(t, tt.want, fmt.Sprintf("%v", err))
			assert.Equal(t, tt.want, fmt.Sprintf("%s", err))
			assert.Equal(t, tt.want+"\n\ngoroutine 1 [running]:", fmt.Sprintf("%+v", err))
			assert.NotPanics(t, func() { _ = fmt.Sprintf("%#v", err) })
		})
	}
}

func TestPanicErrorFormat(t *testing.T) {
	err := &PanicError{Value: "boom", Stack: []byte("main.main()\n\tmain.go:7")}
	for format, want := range map[string]string{
		"%v":      "panic: boom",
		"%q":      `"panic: boom"`,
		"%14s|":   "   panic: boom|",
		"%-14v|":  "panic: boom   |",
		"%.5s":    "panic",
		"%x":      fmt.Sprintf("%x", "panic: boom"),
		"%d":      "%!d(string=panic: boom)",
		"%+v":     "panic: boom\n\nmain.main()\n\tmain.go:7",
		"%#v":     `&result.PanicError{Value:"boom", Stack:[]byte("main.main()\n\tmain.go:7")}`,
		"%T":      "*result.PanicError",
		"[%v %v]": "[panic: boom %!v(MISSING)]",
	} {
		assert.Equal(t, want, fmt.Sprintf(format, err), format)
	}
	assert.Equal(t, "panic: boom", fmt.Sprintf("%+v", &PanicError{Value: "boom"}), "no stack, no blank lines")
	assert.Contains(t, fmt.Sprintf("%+v", Result[int]{Err: err}), "main.go:7", "also within a result")
}

func TestPanicErrorNil(t *testing.T) {
	var err *PanicError
	assert.Equal(t, "<nil>", err.Error())
	assert.NoError(t, err.Unwrap())
	assert.NotErrorIs(t, err, io.EOF)
	assert.Equal(t, "<nil>", fmt.Sprintf("%v", err))
	assert.Equal(t, "<nil>", fmt.Sprintf("%+v", err))
	assert.Equal(t, "(*result.PanicError)(nil)", fmt.Sprintf("%#v", err))
}

func TestPanicErrorIsSeenThrough(t *testing.T) {
	wrapped := fmt.Errorf("stage: %w", catch(func() { panic(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)) }))
	require.ErrorIs(t, wrapped, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, wrapped, context.Canceled)

	index := catch(func() { _ = []int{}[len(wrapped.Error())] })
	runtimeErr, ok := errors.AsType[runtime.Error](index)
	require.True(t, ok)
	assert.Contains(t, runtimeErr.Error(), "index out of range")

	assert.NoError(t, errors.Unwrap(catch(func() { panic("no error") })))

	null := catch(func() { func(v any) { panic(v) }(nil) })
	_, ok = errors.AsType[*runtime.PanicNilError](null)
	assert.True(t, ok, "panic(nil) is caught too")
}

func TestPanicErrorPrintsTheStack(t *testing.T) {
	err := catch(func() { panic("boom") })
	assert.NotContains(t, err.Error(), "goroutine")
	assert.Contains(t, fmt.Sprintf("%+v", err), "TestPanicErrorPrintsTheStack")
}
