package pipelinetest_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pipeline/pipelinetest"
)

// Calls are chosen by their number or by their input, and the others are made.
func TestFaultsHappenInTheChosenCalls(t *testing.T) {
	call := pipelinetest.Inject(same).
		OnCall(2, pipelinetest.Error(errBoom)).
		On(is(7), pipelinetest.Panic("seven")).
		Call
	for i, in := range []int{5, 5, 5} {
		got, err := call(t.Context(), in)
		if i == 1 {
			assert.Equal(t, errBoom, err, "as it is")
			assert.Zero(t, got)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, 5, got)
	}
	for range 2 {
		assert.PanicsWithValue(t, "seven", func() { _, _ = call(t.Context(), 7) })
	}
}

// What applies to a call happens in the order of the choices, up to the first that
// ends it; each call has one number, whatever became of those before.
func TestFaultsTakeTheirTurns(t *testing.T) {
	var log []string
	note := func(s string) pipelinetest.Fault {
		return pipelinetest.Hook(func() { log = append(log, s) })
	}
	call := pipelinetest.Inject(func(_ context.Context, v int) (int, error) {
		log = append(log, "call")
		return v, nil
	}).
		Always(note("a"), note("b")).
		OnCall(2, note("c"), pipelinetest.Error(errBoom), note("not this")).
		OnCall(2, note("nor this")).
		OnCall(3, note("d")).
		Call
	for range 3 {
		_, _ = call(t.Context(), 0)
	}
	assert.Equal(t, []string{"a", "b", "call", "a", "b", "c", "a", "b", "d", "call"}, log)
}

func TestCallsAreNumberedAmongGoroutines(t *testing.T) {
	call := pipelinetest.Inject(same).OnCall(50, pipelinetest.Error(errBoom)).Call
	failed := make([]bool, 100)
	var wg sync.WaitGroup
	for i := range failed {
		wg.Go(func() {
			_, err := call(t.Context(), i)
			failed[i] = err != nil
		})
	}
	wg.Wait()
	n := 0
	for _, f := range failed {
		if f {
			n++
		}
	}
	assert.Equal(t, 1, n)
}

func TestGoexitEndsTheGoroutine(t *testing.T) {
	ended := make(chan bool)
	go func() {
		returned := false
		defer func() { ended <- !returned && recover() == nil }()
		_ = pipelinetest.Goexit()(t.Context())
		returned = true
	}()
	assert.True(t, <-ended)
}

// A call that hangs does so until its context ends, and has that as its error, which
// makes it canceled and not failed.
func TestHangLastsUntilTheContextEnds(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		var err error
		ended := false
		go func() {
			err = pipelinetest.Hang()(ctx)
			ended = true
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.False(t, ended)
		cancel(errStop)
		synctest.Wait()
		assert.True(t, ended)
		assert.Equal(t, context.Canceled, err)
	})
}

func TestDelayTakesItsTimeOrThatOfTheContext(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		start := time.Now()
		require.NoError(t, pipelinetest.Delay(time.Hour)(t.Context()))
		assert.Equal(t, time.Hour, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start = time.Now()
		assert.Equal(t, context.DeadlineExceeded, pipelinetest.Delay(time.Hour)(ctx))
		assert.Equal(t, time.Minute, time.Since(start))

		require.NoError(t, pipelinetest.Delay(0)(t.Context()))
	})
}

func TestArgumentsOfInject(t *testing.T) {
	in := pipelinetest.Inject(same)
	ok := pipelinetest.Goexit()
	for text, fn := range map[string]func(){
		"Inject: nil function":       func() { pipelinetest.Inject[int, int](nil) },
		"On: nil predicate":          func() { in.On(nil, ok) },
		"On: no fault":               func() { in.On(is(1)) },
		"On: nil fault":              func() { in.On(is(1), ok, nil) },
		"OnCall(0): want at least 1": func() { in.OnCall(0, ok) },
		"OnCall: no fault":           func() { in.OnCall(1) },
		"Always: no fault":           func() { in.Always() },
		"Always: nil fault":          func() { in.Always(nil) },
		"Error: nil error":           func() { pipelinetest.Error(nil) },
		"Delay: negative duration":   func() { pipelinetest.Delay(-1) },
		"Hook: nil function":         func() { pipelinetest.Hook(nil) },
		"Gauged: nil gauge":          func() { pipelinetest.Gauged(nil, same) },
		"Gauged: nil function":       func() { pipelinetest.Gauged[int, int](&pipelinetest.Gauge{}, nil) },
	} {
		assert.PanicsWithValue(t, "pipelinetest: "+text, fn)
	}
}
