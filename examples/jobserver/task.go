package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// kind says what a job does with its delay.
type kind string

const (
	kindSleep kind = "sleep" // waits
	kindHash  kind = "hash"  // computes, so that a CPU profile has something to show
	kindFail  kind = "fail"  // waits, and fails each time it is tried
	kindPanic kind = "panic" // waits, and panics
)

var kinds = []kind{kindSleep, kindHash, kindFail, kindPanic}

// A task is what a client asks for. It is a plain value: equal tasks are the same request.
type task struct {
	Name  string
	Kind  kind
	Delay time.Duration
}

// errAskedFor is the error of a job of kind fail.
var errAskedFor = errors.New("failed, as it was asked to")

// do is the work itself. Each kind returns as soon as ctx ends, and after Delay in any case (a hash up to ten thousand
// rounds later, which is a few milliseconds), so that the pool needs no timeout. What is put here instead has to keep
// both promises, or the first one and have a pool.Timeout.
func (t task) do(ctx context.Context) (string, error) {
	switch t.Kind {
	case kindHash:
		return t.hash(ctx)
	case kindFail:
		if err := sleep(ctx, t.Delay); err != nil {
			return "", err
		}
		return "", errAskedFor
	case kindPanic:
		if err := sleep(ctx, t.Delay); err != nil {
			return "", err
		}
		panic("as it was asked to")
	case kindSleep:
	}
	if err := sleep(ctx, t.Delay); err != nil {
		return "", err
	}
	return "slept " + t.Delay.String(), nil
}

// hash hashes the name, and then each hash, until the delay is over.
func (t task) hash(ctx context.Context) (string, error) {
	end := time.Now().Add(t.Delay)
	sum := sha256.Sum256([]byte(t.Name))
	rounds := 1
	for time.Now().Before(end) {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		for range 10_000 {
			sum = sha256.Sum256(sum[:])
		}
		rounds += 10_000
	}
	return fmt.Sprintf("%x after %d rounds", sum[:8], rounds), nil
}

// sleep waits for d, or for the end of ctx, whose cause it returns.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
