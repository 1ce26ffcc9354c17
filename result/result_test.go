package result

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var errBoom = errors.New("boom")

func TestGetIsThePair(t *testing.T) {
	v, err := Result[int]{Value: 7}.Get()
	assert.NoError(t, err)
	assert.Equal(t, 7, v)

	v, err = Result[int]{Value: 7, Err: errBoom}.Get()
	assert.Same(t, errBoom, err, "the error is handed on as it is")
	assert.Equal(t, 7, v, "so is the value beside it")
}

func TestStatusOfResult(t *testing.T) {
	var nilPanic *PanicError
	caught := func(v any) error { return &PanicError{Value: v} }

	for _, tt := range []struct {
		name    string
		err     error
		attempt int
		want    Status
	}{
		{"no error", nil, 1, Succeeded},
		{"no error after retries", nil, 3, Succeeded},
		{"no error, zero result", nil, 0, Succeeded},
		{"error", errBoom, 1, Failed},
		{"deadline passed in the call", context.DeadlineExceeded, 1, Failed},
		{"deadline passed in the call, wrapped", fmt.Errorf("get: %w", context.DeadlineExceeded), 2, Failed},
		{"canceled in the call", context.Canceled, 1, Canceled},
		{"canceled in the call, wrapped", fmt.Errorf("get: %w", context.Canceled), 1, Canceled},
		{"canceled in the call, joined", errors.Join(errBoom, context.Canceled), 1, Canceled},
		{"never started", errBoom, 0, Canceled},
		{"never started, deadline", context.DeadlineExceeded, 0, Canceled},
		{"panic", caught("boom"), 1, Panicked},
		{"panic, wrapped", fmt.Errorf("stage: %w", caught("boom")), 1, Panicked},
		{"panic with an error", caught(errBoom), 1, Panicked},
		{"panic with a cancel", caught(fmt.Errorf("get: %w", context.Canceled)), 1, Panicked},
		{"panic joined behind a cancel", errors.Join(context.Canceled, caught("boom")), 1, Panicked},
		{"panic without a call", caught("boom"), 0, Panicked},
		{"nil panic error", nilPanic, 1, Panicked},
		{"nil panic error, wrapped", fmt.Errorf("stage: %w", nilPanic), 1, Panicked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Result[string]{Err: tt.err, Attempt: tt.attempt}.Status()
			assert.Equal(t, tt.want, got)
			assert.True(t, got.Terminal(), "a result is an outcome")
		})
	}
}

// Status runs once per item in Tally.
func TestStatusDoesNotAllocate(t *testing.T) {
	for _, err := range []error{nil, errBoom, context.Canceled, &PanicError{Value: 1}} {
		r := Result[int]{Err: err, Attempt: 1}
		assert.Zero(t, testing.AllocsPerRun(100, func() { _ = r.Status() }), "%v", err)
	}
}

// "MarshalJSON returns the result as a JSON object with lower-case names, Err as its text
// and durations in seconds."
func TestResultAsJSON(t *testing.T) {
	asJSON := func(v any) string {
		b, err := json.Marshal(v)
		assert.NoError(t, err)
		return string(b)
	}
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	assert.JSONEq(t, `{
		"value": "seven", "status": "succeeded", "index": 7, "attempt": 2, "worker": 0,
		"queued": "2026-05-04T03:02:01Z", "wait_seconds": 1.5, "run_seconds": 60
	}`, asJSON(Result[string]{
		Value: "seven", Index: 7, Attempt: 2, Timing: Timing{Queued: at, Wait: 1500 * time.Millisecond, Run: time.Minute},
	}))
	assert.JSONEq(t, `{"value": 0, "err": "boom", "status": "canceled", "index": 1, "attempt": 0, "wait_seconds": 0, "run_seconds": 0}`,
		asJSON(Result[int]{Err: errBoom, Index: 1, Worker: -1}), "what is not set is left out")
	assert.Contains(t, asJSON(Result[int]{Err: &PanicError{Value: 1, Stack: []byte("stack")}}), `"err":"panic: 1"`, "without its stack")
	_, err := json.Marshal(Result[func()]{})
	assert.Error(t, err, "a value that cannot be marshaled")
}
