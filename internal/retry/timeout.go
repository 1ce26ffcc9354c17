package retry

import (
	"context"
	"fmt"
	"time"
)

// WithTimeout returns a context for one call of package or stage who, which ends with
// a cause that says so when the call takes longer than d.
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

// Is makes the cause a [context.DeadlineExceeded], which is what it is.
func (*timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
