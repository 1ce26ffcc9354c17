package retry

import (
	"context"
	"fmt"
	"time"
)

// WithTimeout returns a context for one call. If the call takes longer than d, the context
// ends with a cause that says so, after prefix.
func WithTimeout(ctx context.Context, d time.Duration, prefix string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, &timeoutError{prefix, d})
}

// timeoutError is the cause of the context of a call that took too long.
type timeoutError struct {
	prefix string
	limit  time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("%scall exceeded its timeout of %v", e.prefix, e.limit)
}

// Is makes the cause match [context.DeadlineExceeded].
func (*timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
