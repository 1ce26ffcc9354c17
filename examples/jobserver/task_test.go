package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
)

// The pool has no Timeout: these two are what stands for it.

func TestEachKindEndsWithItsContext(t *testing.T) {
	cause := errors.New("enough")
	for _, k := range kinds {
		work := func(t *testing.T) {
			t.Helper()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
			begin := time.Now()
			_, err := task{Name: "a", Kind: k, Delay: 10 * time.Second}.do(ctx)
			assert.Equal(t, cause, err, "kind %s", k)
			assert.Less(t, time.Since(begin), 5*time.Second, "kind %s", k)
		}
		if k == kindHash { // what computes is not in virtual time
			work(t)
		} else {
			testkit.Bubble(t, work)
		}
	}
}

func TestEachKindEndsAfterItsDelay(t *testing.T) {
	const delay = 10 * time.Millisecond
	for _, k := range kinds {
		work := func(t *testing.T) {
			t.Helper()
			begin := time.Now()
			func() {
				defer func() { assert.Equal(t, k == kindPanic, recover() != nil, "kind %s", k) }()
				_, err := task{Name: "a", Kind: k, Delay: delay}.do(t.Context())
				assert.Equal(t, k == kindFail, errors.Is(err, errAskedFor), "kind %s", k)
			}()
			took := time.Since(begin)
			assert.GreaterOrEqual(t, took, delay, "kind %s", k)
			if k != kindHash {
				assert.Equal(t, delay, took, "kind %s", k)
			}
		}
		if k == kindHash {
			work(t)
		} else {
			testkit.Bubble(t, work)
		}
	}
}
