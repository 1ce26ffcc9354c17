package pool_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

var errBoom = errors.New("boom")

// task is a function as an input: a pool of tasks does what each test wants.
type task = func(ctx context.Context) (int, error)

func perform(ctx context.Context, do task) (int, error) { return do(ctx) }

// newTasks returns a pool that calls its inputs.
func newTasks(opts ...pool.Option) *pool.Pool[task, int] { return pool.New(perform, opts...) }

// sleepers is a function whose input is how long it takes, in the bubble's time.
func sleepers(ctx context.Context, d time.Duration) (time.Duration, error) {
	select {
	case <-time.After(d):
		return d, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// give is a task that returns v at once.
func give(v int) task { return func(context.Context) (int, error) { return v, nil } }

// block is a task that waits for gate and heeds nothing else.
func block(gate <-chan struct{}) task {
	return func(context.Context) (int, error) {
		<-gate
		return 0, nil
	}
}

// heed is a task that waits for the end of its context and returns what that says.
func heed(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// submit hands a job in that must be taken.
func submit[In, Out any](t *testing.T, p *pool.Pool[In, Out], in In) *pool.Job[Out] {
	t.Helper()
	j, err := p.Submit(t.Context(), in)
	require.NoError(t, err)
	return j
}

// gauge counts calls that are under way, from inside them.
type gauge struct{ now, peak, total atomic.Int64 }

func (g *gauge) enter() {
	n := g.now.Add(1)
	g.total.Add(1)
	for {
		peak := g.peak.Load()
		if n <= peak || g.peak.CompareAndSwap(peak, n) {
			return
		}
	}
}

func (g *gauge) leave() { g.now.Add(-1) }

// checkLeaks fails the test if goroutines of the module are left when it ends.
// It is for tests outside a bubble: synctest sees leaks by itself.
func checkLeaks(t *testing.T) {
	t.Helper()
	before := len(ours())
	t.Cleanup(func() { noMoreThan(t, before) })
}

// noMoreThan fails the test if there are more goroutines of the module than n.
func noMoreThan(t *testing.T, n int) {
	t.Helper()
	var left []string
	// What was waited for may still have its last instructions to run.
	for range 1000 {
		if left = ours(); len(left) <= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	assert.Failf(t, "goroutines are left", "%s", strings.Join(left, "\n\n"))
}

// ours returns the stacks of goroutines that are somewhere in this module's code.
func ours() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(stack, "millstream/pool.") || strings.Contains(stack, "millstream/internal/engine.") {
			found = append(found, stack)
		}
	}
	return found
}

// closing closes p in time, or fails the test without waiting forever. It is for
// tests outside a bubble in which a bug could make Close hang.
func closing[In, Out any](t *testing.T, p *pool.Pool[In, Out]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	require.NoError(t, p.Shutdown(ctx), "the pool cannot be shut down")
}

// waiterFunc is a limit.
type waiterFunc func(context.Context) error

func (f waiterFunc) Wait(ctx context.Context) error { return f(ctx) }

// collected reports whether gone becomes true once garbage has been collected.
func collected(gone func() bool) bool {
	return testkit.Collected(gone)
}

// drain ranges over a sequence to its end and says how many there were.
func drain[T any](seq iter.Seq[T]) int {
	n := 0
	for range seq {
		n++
	}
	return n
}
