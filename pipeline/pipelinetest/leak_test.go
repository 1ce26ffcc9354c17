package pipelinetest_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
	"github.com/millstream-go/millstream/pool"
)

// inBothWorlds runs a test in real time and in a bubble.
func inBothWorlds(t *testing.T, test func(*testing.T)) {
	t.Helper()
	t.Run("in real time", test)
	t.Run("in a bubble", func(t *testing.T) { testkit.Bubble(t, test) })
}

// onItsOwn runs a test on a goroutine of its own, as every test runs: NoLeak marks it.
func onItsOwn(test func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		test()
	}()
	<-done
}

// A run that is still going on at the end of the test fails it, with the stacks of its
// goroutines, those that call the user's function and those that wait.
func TestNoLeakSeesARunThatGoesOn(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			inBothWorlds(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				started, over := make(chan struct{}), make(chan error)
				r := &recorder{TB: t}
				onItsOwn(func() {
					pipelinetest.NoLeak(r)
					hang := pipelinetest.Inject(same).
						OnCall(1, pipelinetest.Hook(func() { close(started) }), pipelinetest.Hang()).Call
					go func() { over <- mapped(hang, opts...)(pipeline.FromSlice(numbers(3))).Run(ctx) }()
					<-started
					assert.Empty(t, r.failures, "it looks at the end only")
					r.end()
				})
				require.Len(t, r.failures, 1)
				assert.Contains(t, r.failures[0], "left at the end of TestRecorded")
				assert.Contains(t, r.failures[0], "millstream/pipeline.Flow[...].Run\n\t")
				assert.Contains(t, r.failures[0], "/pipeline/terminal.go:")
				assert.Contains(t, r.failures[0], "pipelinetest/fault.go:", "where the call is stuck")
				cancel()
				require.ErrorIs(t, <-over, context.Canceled)
			})
		})
	}
}

func TestNoLeakPassesWhatHasEnded(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			inBothWorlds(t, func(t *testing.T) {
				pipelinetest.NoLeak(t)
				r := &recorder{TB: t}
				onItsOwn(func() {
					pipelinetest.NoLeak(r)
					for range 20 {
						for range mapped(same, opts...)(pipeline.FromSlice(numbers(100))).Results(t.Context()) {
							break
						}
					}
					r.end()
				})
				assert.Empty(t, r.failures)
			})
		})
	}
}

// An iter.Pull that is not stopped keeps a run going, and so does a pool that is not
// closed: its workers wait outside of any function.
func TestNoLeakSeesPullAndPool(t *testing.T) {
	inBothWorlds(t, func(t *testing.T) {
		r := &recorder{TB: t}
		onItsOwn(func() {
			pipelinetest.NoLeak(r)
			next, stop := iter.Pull2(pipeline.FromSlice(numbers(3)).All(t.Context()))
			_, _, ok := next()
			assert.True(t, ok)
			r.end()
			assert.Len(t, r.failures, 1)
			stop()
		})
		r = &recorder{TB: t}
		onItsOwn(func() {
			pipelinetest.NoLeak(r)
			p := pool.New(same)
			j, err := p.Submit(t.Context(), 1)
			assert.NoError(t, err)
			_, err = j.Wait(t.Context())
			assert.NoError(t, err)
			r.end()
			assert.Len(t, r.failures, 1)
			assert.NoError(t, p.Close())
		})
	})
}

// Other tests may run flows at the same time.
func TestNoLeakLooksAtItsOwnTestOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	started, over := make(chan struct{}), make(chan error)
	hang := pipelinetest.Inject(same).
		OnCall(1, pipelinetest.Hook(func() { close(started) }), pipelinetest.Hang()).Call
	go func() { over <- mapped(hang, pipeline.Workers(1))(pipeline.FromSlice(numbers(3))).Run(ctx) }()
	<-started

	r := &recorder{TB: t}
	onItsOwn(func() {
		pipelinetest.NoLeak(r)
		pipelinetest.Run(r, mapped(same, pipeline.Workers(2)), numbers(100))
		r.end()
	})
	assert.Empty(t, r.failures)
	cancel()
	require.Error(t, <-over)
}

// A test that has failed in the body of a loop over a flow has that loop on its stack
// while it ends.
func TestNoLeakAfterAFailNowInALoop(t *testing.T) {
	r := &recorder{TB: t}
	onItsOwn(func() {
		defer r.end() // as package testing does
		pipelinetest.NoLeak(r)
		for _, err := range mapped(same, pipeline.Workers(2))(pipeline.FromSlice(numbers(100))).All(t.Context()) {
			assert.NoError(t, err)
			_ = pipelinetest.Goexit()(t.Context())
		}
	})
	assert.Empty(t, r.failures)
}

// What the test starts in a bubble is its own too.
func TestNoLeakAroundABubble(t *testing.T) {
	pipelinetest.NoLeak(t)
	r := &recorder{TB: t}
	pipelinetest.NoLeak(r)
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = mapped(pipelinetest.Inject(same).Always(pipelinetest.Hang()).Call)(pipeline.FromSlice(numbers(1))).Run(ctx)
		}()
		synctest.Wait()
		r.end()
		assert.Len(t, r.failures, 1)
		cancel()
	})
}
