package retry

import (
	"context"
	"fmt"
	"time"
)

// WithTimeout returns a context for one call of the package or stage who. If the call
// takes longer than d, the context ends with a cause that says so.
func WithTimeout(ctx context.Context, d time.Duration, who string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, &timeoutError{who, d})
}

// timeoutError is the cause of the context of a call that took too long.
type timeoutError struct {
	who   string
	limit time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("%s: call exceeded its timeout of %v", e.who, e.limit)
}

// Is makes the cause match [context.DeadlineExceeded].
func (*timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
