package pipeline_test

import (
	"bufio"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// Throttle calls no function, so attempt and worker are those of the stage before.
func TestThrottleKeepsAttemptAndWorker(t *testing.T) {
	n := 0
	flaky := func(_ context.Context, v int) (int, error) {
		if n++; n == 1 {
			return 0, errBoom
		}
		return v, nil
	}
	f := pipeline.Map(pipeline.From(upTo(1)), flaky, pipeline.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Nanosecond}))
	for r := range f.Throttle(&ticks{}).Results(t.Context()) {
		require.NoError(t, r.Err)
		assert.Equal(t, 2, r.Attempt)
	}
}

// A source that has failed was not canceled.
func TestAFailureOfASourceIsNotCanceled(t *testing.T) {
	for r := range pipeline.Lines(strings.NewReader("long"), 2).Results(t.Context()) {
		require.ErrorIs(t, r.Err, bufio.ErrTooLong)
		assert.Equal(t, result.Failed, r.Status())
	}
}

// What waited for a limit when the context ended was not called yet, so
// it is a canceled result with the cause.
func TestWaitingForALimitIsCanceledWithTheCause(t *testing.T) {
	for _, s := range stages {
		testkit.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errStop)
			defer cancel()
			f := pipeline.Map(pipeline.From(upTo(1)), same, append(s.opts[:len(s.opts):len(s.opts)], pipeline.Limit(&ticks{every: time.Minute}))...)
			assert.Equal(t, []outcome[int]{{0, 0, "stop"}}, outcomes(f.Results(ctx)), s.name)
		})
	}
}
