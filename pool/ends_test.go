package pool_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// ending is a way in which a call can end, and what has to become of its input.
type ending struct {
	name   string
	do     task
	status result.Status
	check  func(t *testing.T, err error)
	exits  bool // ends the goroutine it runs on
}

func panicked(want any) func(*testing.T, error) {
	return func(t *testing.T, err error) {
		t.Helper()
		var caught *result.PanicError
		if assert.ErrorAs(t, err, &caught) {
			assert.Equal(t, want, caught.Value)
			assert.Contains(t, string(caught.Stack), "ends_test.go", "the stack shows where")
		}
	}
}

var endings = []ending{
	{
		"value", give(7), result.Succeeded,
		func(t *testing.T, err error) { t.Helper(); assert.NoError(t, err) }, false,
	},
	{
		"error", func(context.Context) (int, error) { return 0, errBoom }, result.Failed,
		func(t *testing.T, err error) { t.Helper(); assert.Same(t, errBoom, err, "as it is") }, false,
	},
	{
		"value and error", func(context.Context) (int, error) { return 7, errBoom }, result.Failed,
		func(t *testing.T, err error) { t.Helper(); assert.Same(t, errBoom, err, "as it is") }, false,
	},
	{
		"own cancellation", func(context.Context) (int, error) { return 0, context.Canceled }, result.Canceled,
		func(t *testing.T, err error) { t.Helper(); assert.Same(t, context.Canceled, err, "as it is") }, false,
	},
	{
		"panic", func(context.Context) (int, error) { panic("boom") }, result.Panicked,
		panicked("boom"), false,
	},
	{
		"panic with an error", func(context.Context) (int, error) { panic(errBoom) }, result.Panicked,
		func(t *testing.T, err error) {
			t.Helper()
			assert.ErrorIs(t, err, errBoom)
			panicked(errBoom)(t, err)
		}, false,
	},
	{
		"panic with nil", func(context.Context) (int, error) { panic(nil) }, result.Panicked,
		func(t *testing.T, err error) {
			t.Helper()
			var none *runtime.PanicNilError
			assert.ErrorAs(t, err, &none)
		}, false,
	},
	{
		"runtime error", func(context.Context) (int, error) {
			var none *gauge
			none.enter()
			return 0, nil
		}, result.Panicked,
		func(t *testing.T, err error) {
			t.Helper()
			var wrong runtime.Error
			assert.ErrorAs(t, err, &wrong)
		}, false,
	},
	{
		"panic with context.Canceled", func(context.Context) (int, error) { panic(context.Canceled) }, result.Panicked,
		panicked(context.Canceled), false,
	},
	{
		"panic in deferred", func(context.Context) (int, error) {
			defer func() { panic("late") }()
			return 7, nil
		}, result.Panicked,
		panicked("late"), false,
	},
	{
		"panic in panic", func(context.Context) (int, error) {
			defer func() { panic("second") }()
			panic("first")
		}, result.Panicked,
		panicked("second"), false,
	},
	{
		"panic that is recovered", func(context.Context) (v int, err error) {
			defer func() { err = fmt.Errorf("recovered: %v", recover()) }()
			panic("boom")
		}, result.Failed,
		func(t *testing.T, err error) { t.Helper(); assert.EqualError(t, err, "recovered: boom") }, false,
	},
	{
		"Goexit", func(context.Context) (int, error) { runtime.Goexit(); return 7, nil }, result.Failed,
		func(t *testing.T, err error) { t.Helper(); assert.ErrorIs(t, err, pool.ErrGoexit) }, true,
	},
	{
		"Goexit in a panic's deferred", func(context.Context) (int, error) {
			defer runtime.Goexit()
			panic("boom")
		}, result.Failed,
		func(t *testing.T, err error) { t.Helper(); assert.ErrorIs(t, err, pool.ErrGoexit) }, true,
	},
}

// onItsOwn runs f on a goroutine that it may end, and waits for it.
func onItsOwn(f func()) (returned bool) {
	done := make(chan bool, 1)
	go func() {
		defer close(done)
		f()
		done <- true
	}()
	return <-done
}

// eachEnding runs a test for each way to end, with more calls than workers so that
// a worker that does not survive is missed.
func eachEnding(t *testing.T, test func(t *testing.T, p *pool.Pool[task, int], e ending)) {
	t.Helper()
	for _, e := range endings {
		t.Run(e.name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(pool.Workers(2))
				for range 5 {
					test(t, p, e)
				}
				v, err := p.Do(t.Context(), give(3))
				assert.NoError(t, err, "the pool goes on")
				assert.Equal(t, 3, v)
				assert.NoError(t, p.Close())
			})
		})
	}
}

func TestEndOfDo(t *testing.T) {
	eachEnding(t, func(t *testing.T, p *pool.Pool[task, int], e ending) {
		returned := onItsOwn(func() {
			_, err := p.Do(t.Context(), e.do)
			e.check(t, err)
		})
		assert.Equal(t, e.exits, !returned, "a Goexit ends the caller's goroutine, and nothing else does")
	})
}

func TestEndOfJob(t *testing.T) {
	eachEnding(t, func(t *testing.T, p *pool.Pool[task, int], e ending) {
		j := submit(t, p, e.do)
		v, err := j.Wait(t.Context())
		e.check(t, err)
		assert.Equal(t, e.status, j.Status())
		r, ok := j.Result()
		assert.True(t, ok)
		assert.Equal(t, e.status, r.Status())
		assert.Equal(t, 1, r.Attempt)
		assert.Equal(t, v, r.Value)
		<-j.Done()
	})
}

// Each end of a job is told once: whatever is asked later, the answer is the same.
func TestEndOfJobIsFinal(t *testing.T) {
	eachEnding(t, func(t *testing.T, p *pool.Pool[task, int], e ending) {
		j := submit(t, p, e.do)
		<-j.Done()
		before, _ := j.Result()
		j.Cancel(errBoom)
		j.Cancel(nil)
		after, ok := j.Result()
		assert.True(t, ok)
		assert.Equal(t, before, after)
		assert.Equal(t, e.status, j.Status())
	})
}

// The same jobs among others that are taken with them at once.
func TestEndsOfJobsInOneChunk(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(2))
		for range 1000 {
			submit(t, p, give(0)) // so that many are taken at once
		}
		synctest.Wait()
		var jobs []*pool.Job[int]
		for range 20 {
			for _, e := range endings {
				jobs = append(jobs, submit(t, p, e.do), submit(t, p, give(1)))
			}
		}
		require.NoError(t, p.Shutdown(t.Context()))
		for i, j := range jobs {
			e := endings[i/2%len(endings)]
			r, ok := j.Result()
			require.True(t, ok, "job %d", i)
			if i%2 == 1 {
				assert.NoError(t, r.Err, "behind %s", e.name)
				continue
			}
			assert.Equal(t, e.status, r.Status(), e.name)
			e.check(t, r.Err)
		}
	})
}

func TestEndOfMap(t *testing.T) {
	eachEnding(t, func(t *testing.T, p *pool.Pool[task, int], e ending) {
		var outs []int
		err := pool.ErrGoexit // for when this goroutine is the one that it ends
		returned := onItsOwn(func() { outs, err = p.Map(t.Context(), []task{give(1), e.do, give(2)}) })
		assert.True(t, returned || e.exits)
		e.check(t, err)
		if e.status == result.Succeeded {
			assert.Equal(t, []int{1, 7, 2}, outs)
		} else {
			assert.Nil(t, outs, "no outputs beside an error")
		}
	})
}

func TestEndsOfStream(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(3))
		defer p.Close()
		var ins []task
		for range 100 {
			for _, e := range endings {
				ins = append(ins, e.do)
			}
		}
		seen := make([]int, len(ins))
		for r := range p.Stream(t.Context(), slices.Values(ins)) {
			seen[r.Index]++
			e := endings[r.Index%len(endings)]
			assert.Equal(t, e.status, r.Status(), e.name)
			assert.Equal(t, 1, r.Attempt)
			e.check(t, r.Err)
		}
		assert.Equal(t, slices.Repeat([]int{1}, len(ins)), seen, "each input has one result")
	})
}

// "Value is then whatever the function returned beside its error", whichever way the input came,
// and zero if it panicked or exited.
func TestValueBesideAnError(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks()
		defer p.Close()
		beside := func(context.Context) (int, error) { return 7, errBoom }
		j := submit(t, p, beside)
		v, err := j.Wait(t.Context())
		assert.Equal(t, 7, v)
		assert.ErrorIs(t, err, errBoom)
		r, _ := j.Result()
		assert.Equal(t, 7, r.Value)
		v, err = p.Do(t.Context(), beside)
		assert.Equal(t, 7, v)
		assert.ErrorIs(t, err, errBoom)
		for r := range p.Stream(t.Context(), slices.Values([]task{beside})) {
			assert.Equal(t, 7, r.Value)
			assert.ErrorIs(t, r.Err, errBoom)
		}
		for _, end := range []func(){func() { panic("boom") }, runtime.Goexit} {
			v, err := submit(t, p, func(context.Context) (v int, err error) {
				v = 7
				end()
				return v, nil
			}).Wait(t.Context())
			assert.Zero(t, v)
			assert.Error(t, err)
		}
	})
}

// The message of a caught panic says what it was, its stack is not in the way.
func TestPanicErrorReadsWell(t *testing.T) {
	p := newTasks()
	defer p.Close()
	_, err := p.Do(t.Context(), func(context.Context) (int, error) { panic("boom") })
	assert.EqualError(t, err, "panic: boom")
	var caught *result.PanicError
	require.ErrorAs(t, err, &caught)
	assert.Contains(t, string(caught.Stack), "TestPanicErrorReadsWell")
}
