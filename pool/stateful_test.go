package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// deed is a function as an input, which gets the state of its worker.
type deed = func(ctx context.Context, d *device) (int, error)

// device is the state of a worker.
type device struct {
	worker int
	held   atomic.Int32 // calls that have it
	inUse  atomic.Int32 // those of them that have not lent their share
	closes atomic.Int32
}

// lend runs f, in which the call that holds d asks its pool for something.
func (d *device) lend(f func()) {
	d.inUse.Add(-1)
	defer d.inUse.Add(1)
	f()
}

// devices opens and closes the states of a pool and sees what is done to them.
type devices struct {
	opening func(ctx context.Context, worker int) error // before one is open; may be nil
	closing func(d *device) error                       // while one is closed; may be nil

	mu    sync.Mutex
	all   []*device
	live  map[int]*device // by worker, from the end of open to the end of close
	wrong []string
}

func (ds *devices) blame(format string, args ...any) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if len(ds.wrong) < 10 {
		ds.wrong = append(ds.wrong, fmt.Sprintf(format, args...))
	}
}

func (ds *devices) open(ctx context.Context, worker int) (*device, error) {
	if ds.opening != nil {
		if err := ds.opening(ctx, worker); err != nil {
			return nil, err
		}
	}
	d := &device{worker: worker}
	ds.mu.Lock()
	ds.all = append(ds.all, d)
	old := ds.live[worker]
	if ds.live == nil {
		ds.live = map[int]*device{}
	}
	ds.live[worker] = d
	ds.mu.Unlock()
	if old != nil {
		ds.blame("worker %d has two states at once", worker)
	}
	return d, nil
}

func (ds *devices) call(ctx context.Context, d *device, do deed) (int, error) {
	if d == nil {
		ds.blame("a call has got no state")
		return 0, errors.New("no state")
	}
	d.held.Add(1)
	defer d.held.Add(-1)
	if d.inUse.Add(1) > 1 {
		ds.blame("the state of worker %d is used by two calls at once", d.worker)
	}
	defer d.inUse.Add(-1)
	if d.closes.Load() > 0 {
		ds.blame("the state of worker %d is used after it was closed", d.worker)
	}
	return do(ctx, d)
}

func (ds *devices) close(d *device) error {
	if d.closes.Add(1) > 1 {
		ds.blame("the state of worker %d is closed twice", d.worker)
	}
	if d.held.Load() > 0 {
		ds.blame("the state of worker %d is closed while a call has it", d.worker)
	}
	defer func() {
		ds.mu.Lock()
		defer ds.mu.Unlock()
		if ds.live[d.worker] == d {
			delete(ds.live, d.worker)
		}
	}()
	if ds.closing != nil {
		return ds.closing(d)
	}
	return nil
}

// opened returns the numbers of the workers whose state was opened, in order.
func (ds *devices) opened() []int {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	var numbers []int
	for _, d := range ds.all {
		numbers = append(numbers, d.worker)
	}
	return numbers
}

// closed returns the numbers of the workers whose state was closed, in the order in
// which they were opened.
func (ds *devices) closed() []int {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	var numbers []int
	for _, d := range ds.all {
		if d.closes.Load() > 0 {
			numbers = append(numbers, d.worker)
		}
	}
	return numbers
}

// check fails the test if a state was misused so far.
func (ds *devices) check(t *testing.T) {
	t.Helper()
	ds.mu.Lock()
	defer ds.mu.Unlock()
	assert.Empty(t, ds.wrong)
}

// pool returns a pool whose workers have one of these each.
func (ds *devices) pool(opts ...pool.Option) *pool.Pool[deed, int] {
	return pool.NewStateful(ds.open, ds.call, ds.close, opts...)
}

// number is a deed that returns its worker's number, by way of the state.
func number(_ context.Context, d *device) (int, error) { return d.worker, nil }

// stay is a deed that holds its worker until the gate is closed.
func stay(gate <-chan struct{}) deed {
	return func(_ context.Context, d *device) (int, error) {
		<-gate
		return d.worker, nil
	}
}

// occupy has n workers make a call at once, so that each has a state.
func occupy(t *testing.T, p *pool.Pool[deed, int], n int) {
	t.Helper()
	gate := make(chan struct{})
	var jobs []*pool.Job[int]
	for range n {
		jobs = append(jobs, submit(t, p, stay(gate)))
	}
	synctest.Wait()
	close(gate)
	for _, j := range jobs {
		_, err := j.Wait(t.Context())
		require.NoError(t, err)
	}
}

// "open makes it when a worker makes its first call, and fn gets it with each
// input": not before, and once.
func TestStateIsOpenedOncePerWorker(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(3))
		synctest.Wait()
		assert.Empty(t, ds.opened(), "nobody has asked for anything")
		w, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.Equal(t, []int{w}, ds.opened(), "one call, one state")
		for range 5 {
			occupy(t, p, 3)
		}
		got := slices.Sorted(slices.Values(ds.opened()))
		assert.Equal(t, []int{0, 1, 2}, got)
		j := submit(t, p, number)
		w, err = j.Wait(t.Context())
		assert.NoError(t, err)
		r, _ := j.Result()
		assert.Equal(t, r.Worker, w, "the number that open got is the worker's")
		assert.Empty(t, ds.closed())
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), 3)
		ds.check(t)
	})
}

// Each way to ask the pool for something makes its calls with a state.
func TestStateIsThereWhicheverWayACallComes(t *testing.T) {
	ways := map[string]func(t *testing.T, p *pool.Pool[deed, int]) (int, error){
		"Do": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			return p.Do(t.Context(), number)
		},
		"Submit": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			return submit(t, p, number).Wait(t.Context())
		},
		"Submit with options": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			j, err := p.Submit(t.Context(), number, pool.Key("k"), pool.Priority(1), pool.After(time.Second))
			require.NoError(t, err)
			return j.Wait(t.Context())
		},
		"TrySubmit": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			j, err := p.TrySubmit(number)
			require.NoError(t, err)
			return j.Wait(t.Context())
		},
		"Map": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			outs, err := p.Map(t.Context(), slices.Repeat([]deed{number}, 100))
			require.NoError(t, err)
			return slices.Max(outs), err
		},
		"Stream": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			outs, err := result.Collect(p.Stream(t.Context(), slices.Values(slices.Repeat([]deed{number}, 100))))
			require.NoError(t, err)
			return slices.Max(outs), err
		},
		"Do inside a call": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			return p.Do(t.Context(), func(ctx context.Context, d *device) (v int, err error) {
				d.lend(func() { v, err = p.Do(ctx, number) })
				return v, err
			})
		},
		"Wait inside a call": func(t *testing.T, p *pool.Pool[deed, int]) (int, error) {
			t.Helper()
			return p.Do(t.Context(), func(ctx context.Context, d *device) (v int, err error) {
				j, err := p.Submit(ctx, number)
				require.NoError(t, err)
				d.lend(func() { v, err = j.Wait(ctx) })
				return v, err
			})
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var ds devices
				p := ds.pool(pool.Workers(1))
				for range 3 {
					v, err := way(t, p)
					assert.NoError(t, err)
					assert.Zero(t, v, "the one worker")
				}
				assert.Equal(t, []int{0}, ds.opened())
				assert.NoError(t, p.Close())
				assert.Equal(t, []int{0}, ds.closed())
				ds.check(t)
			})
		})
	}
}

// A job that its submitter runs, because the queue is full, has the state of the
// worker whose turn that is.
func TestStateOfCallerRuns(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(2), pool.Queue(1), pool.WhenFull(pool.CallerRuns))
		var jobs []*pool.Job[int]
		nap := func(_ context.Context, d *device) (int, error) {
			time.Sleep(time.Second)
			return d.worker, nil
		}
		for range 20 {
			jobs = append(jobs, submit(t, p, nap))
		}
		for _, j := range jobs {
			w, err := j.Wait(t.Context())
			assert.NoError(t, err)
			r, _ := j.Result()
			assert.Equal(t, r.Worker, w)
		}
		assert.ElementsMatch(t, []int{0, 1}, ds.opened())
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), 2)
		ds.check(t)
	})
}

// "close ... ends it when the worker stops: because it was halted or idle for long,
// or with the pool."
func TestStateIsClosedOnceWhenItsWorkerStops(t *testing.T) {
	stop := func(t *testing.T, p *pool.Pool[deed, int]) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.NoError(t, p.Shutdown(ctx))
	}
	tied, untie := context.WithCancel(context.Background())
	defer untie()
	ways := map[string]struct {
		opts []pool.Option
		end  func(t *testing.T, p *pool.Pool[deed, int])
		want []int // the workers of 0, 1, 2 that it stops
	}{
		"Halt":        {nil, func(t *testing.T, p *pool.Pool[deed, int]) { t.Helper(); assert.NoError(t, p.Halt(1)) }, []int{1}},
		"HaltNow":     {nil, func(t *testing.T, p *pool.Pool[deed, int]) { t.Helper(); assert.NoError(t, p.HaltNow(2)) }, []int{2}},
		"Halt twice":  {nil, func(t *testing.T, p *pool.Pool[deed, int]) { t.Helper(); _ = p.Halt(1); _ = p.Halt(1) }, []int{1}},
		"Resize to 0": {nil, func(t *testing.T, p *pool.Pool[deed, int]) { t.Helper(); assert.NoError(t, p.Resize(0)) }, []int{0, 1, 2}},
		"Shutdown":    {nil, stop, []int{0, 1, 2}},
		"Close": {nil, func(t *testing.T, p *pool.Pool[deed, int]) {
			t.Helper()
			assert.NoError(t, p.Close())
		}, []int{0, 1, 2}},
		"Context": {[]pool.Option{pool.Context(tied)}, func(t *testing.T, _ *pool.Pool[deed, int]) {
			t.Helper()
			untie()
		}, []int{0, 1, 2}},
		"IdleTimeout": {[]pool.Option{pool.IdleTimeout(time.Minute, 0)}, func(t *testing.T, _ *pool.Pool[deed, int]) {
			t.Helper()
			time.Sleep(3 * time.Minute)
		}, []int{0, 1, 2}},
		"nothing": {[]pool.Option{pool.IdleTimeout(time.Minute, 3)}, func(t *testing.T, _ *pool.Pool[deed, int]) {
			t.Helper()
			time.Sleep(3 * time.Minute)
		}, nil},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var ds devices
				p := ds.pool(append(way.opts, pool.Workers(3))...)
				occupy(t, p, 3)
				synctest.Wait()
				assert.Empty(t, ds.closed())
				way.end(t, p)
				synctest.Wait()
				assert.ElementsMatch(t, way.want, ds.closed())
				assert.NoError(t, p.Close())
				assert.NoError(t, p.Close())
				assert.ElementsMatch(t, []int{0, 1, 2}, ds.closed())
				assert.Len(t, ds.opened(), 3)
				ds.check(t) // nothing twice
			})
		})
	}
}

// "first the idle ones stop": Resize leaves as many states as there are workers.
func TestResizeClosesStatesThatAreTooMany(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(10))
		occupy(t, p, 10)
		assert.NoError(t, p.Resize(4))
		synctest.Wait()
		assert.Len(t, ds.closed(), 6)
		assert.NoError(t, p.Resize(7))
		synctest.Wait()
		assert.Len(t, ds.opened(), 10, "new workers have nothing to do yet")
		occupy(t, p, 7)
		assert.Len(t, ds.opened(), 13)
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), 13)
		ds.check(t)
	})
}

// A worker that makes a call is halted behind it, and its state is closed behind
// that, and a new worker with its number has a state of its own.
func TestHaltOfBusyWorkerClosesItsStateBehindTheCall(t *testing.T) {
	for _, now := range []bool{false, true} {
		testkit.Bubble(t, func(t *testing.T) {
			var ds devices
			p := ds.pool(pool.Workers(1))
			gate := make(chan struct{})
			j := submit(t, p, func(ctx context.Context, d *device) (int, error) {
				<-gate
				assert.Zero(t, d.closes.Load())
				return 0, context.Cause(ctx)
			})
			synctest.Wait()
			if now {
				assert.NoError(t, p.HaltNow(0))
			} else {
				assert.NoError(t, p.Halt(0))
			}
			synctest.Wait()
			assert.Empty(t, ds.closed(), "the call has it")
			close(gate)
			_, err := j.Wait(t.Context())
			if now {
				assert.ErrorIs(t, err, pool.ErrHalted)
			} else {
				assert.NoError(t, err)
			}
			synctest.Wait()
			assert.Equal(t, []int{0}, ds.closed())
			assert.NoError(t, p.Resize(1))
			w, err := p.Do(t.Context(), number)
			assert.NoError(t, err)
			assert.Zero(t, w)
			assert.Equal(t, []int{0, 0}, ds.opened())
			assert.NoError(t, p.Close())
			assert.Equal(t, []int{0, 0}, ds.closed())
			ds.check(t)
		})
	}
}

// A worker on whose behalf a caller's goroutine runs is halted like any other.
func TestHaltOfWorkerThatACallerUses(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(1))
		_, err := p.Do(t.Context(), func(_ context.Context, d *device) (int, error) {
			assert.NoError(t, p.Halt(d.worker))
			synctest.Wait()
			assert.Empty(t, ds.closed())
			return 0, nil
		})
		assert.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []int{0}, ds.closed())
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// "A panic of fn leaves the state as it is", and so does a Goexit: the worker is the
// same one.
func TestStateOutlivesWhatItsCallDoes(t *testing.T) {
	deeds := map[string]deed{
		"error":  func(context.Context, *device) (int, error) { return 0, errBoom },
		"panic":  func(context.Context, *device) (int, error) { panic("boom") },
		"Goexit": func(context.Context, *device) (int, error) { runtime.Goexit(); return 0, nil },
	}
	for name, do := range deeds {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var ds devices
				p := ds.pool(pool.Workers(2))
				occupy(t, p, 2)
				for range 10 {
					_, err := submit(t, p, do).Wait(t.Context())
					assert.Error(t, err)
					onItsOwn(func() { p.Do(t.Context(), do) })                  //nolint:errcheck // it fails
					onItsOwn(func() { p.Map(t.Context(), []deed{do, do}) })     //nolint:errcheck // it fails
					drain(p.Stream(t.Context(), slices.Values([]deed{do, do}))) // fails
				}
				occupy(t, p, 2)
				assert.Empty(t, ds.closed())
				assert.Len(t, ds.opened(), 2)
				assert.NoError(t, p.Close())
				assert.Len(t, ds.closed(), 2)
				ds.check(t)
			})
		})
	}
}

// "If open fails or panics, that is the error of the input at hand, and the next
// call tries again." A Goexit is no worse.
func TestOpenThatFails(t *testing.T) {
	fails := map[string]struct {
		open  func() error
		check func(t *testing.T, err error)
	}{
		"error": {
			func() error { return errBoom },
			func(t *testing.T, err error) {
				t.Helper()
				require.ErrorIs(t, err, errBoom)
				assert.ErrorContains(t, err, "worker 0", "it is told from an error of the function")
			},
		},
		"panic": {
			func() error { panic("boom") },
			func(t *testing.T, err error) {
				t.Helper()
				var caught *result.PanicError
				require.ErrorAs(t, err, &caught)
				assert.Equal(t, "boom", caught.Value)
				assert.Contains(t, string(caught.Stack), "stateful_test.go")
			},
		},
		"panic with nil": {
			func() error { panic(nil) }, //nolint:govet // that is what is tried
			func(t *testing.T, err error) {
				t.Helper()
				var none *runtime.PanicNilError
				assert.ErrorAs(t, err, &none)
			},
		},
		"Goexit": {
			func() error { runtime.Goexit(); return nil },
			func(t *testing.T, err error) { t.Helper(); assert.ErrorIs(t, err, pool.ErrGoexit) },
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				down := true
				tries := 0
				ds := devices{opening: func(context.Context, int) error {
					tries++
					if down {
						return fail.open()
					}
					return nil
				}}
				p := ds.pool(pool.Workers(1))
				for i := range 3 {
					j := submit(t, p, func(context.Context, *device) (int, error) {
						assert.Fail(t, "called without a state")
						return 0, nil
					})
					_, err := j.Wait(t.Context())
					fail.check(t, err)
					assert.Equal(t, i+1, tries)
				}
				exited := !onItsOwn(func() {
					_, err := p.Do(t.Context(), number)
					fail.check(t, err)
				})
				assert.Equal(t, name == "Goexit", exited)
				assert.Equal(t, 4, tries)
				down = false
				_, err := submit(t, p, number).Wait(t.Context())
				assert.NoError(t, err)
				_, err = p.Do(t.Context(), number)
				assert.NoError(t, err)
				assert.Equal(t, 5, tries)
				s := p.Stats()
				assert.EqualValues(t, 4, s.Accepted)
				assert.EqualValues(t, 1, s.Succeeded)
				assert.EqualValues(t, 3, s.Failed+s.Panicked+s.Canceled)
				assert.Zero(t, s.Busy)
				assert.NoError(t, p.Close())
				assert.Equal(t, []int{0}, ds.closed(), "what was never open is not closed")
				ds.check(t)
			})
		})
	}
}

// One input of a Stream fails with open, and the others go on; a Map fails with it.
func TestOpenThatFailsInMapAndStream(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		tries := 0
		ds := devices{opening: func(context.Context, int) error {
			if tries++; tries <= 2 {
				return errBoom
			}
			return nil
		}}
		p := ds.pool(pool.Workers(1))
		_, err := p.Map(t.Context(), slices.Repeat([]deed{number}, 10))
		assert.ErrorIs(t, err, errBoom)
		failed := 0
		for r := range p.Stream(t.Context(), slices.Values(slices.Repeat([]deed{number}, 10))) {
			if r.Err != nil {
				assert.ErrorIs(t, r.Err, errBoom)
				failed++
			}
		}
		assert.Equal(t, 1, failed)
		assert.Equal(t, 3, tries)
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// "The context of open is that of the call, without its Timeout": it has the
// caller's values, ends with the caller, and takes nothing from the time of the call.
func TestContextOfOpen(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{opening: func(ctx context.Context, _ int) error {
			_, limited := ctx.Deadline()
			assert.False(t, limited)
			assert.Equal(t, 42, ctx.Value(key{}))
			time.Sleep(time.Hour)
			return ctx.Err()
		}}
		p := ds.pool(pool.Workers(1), pool.Timeout(time.Second))
		do := func(ctx context.Context, _ *device) (int, error) {
			deadline, limited := ctx.Deadline()
			assert.True(t, limited)
			assert.Equal(t, time.Second, time.Until(deadline), "the call has all of its time")
			return 1, ctx.Err()
		}
		ctx := context.WithValue(t.Context(), key{}, 42)
		for range 2 {
			v, err := p.Do(ctx, do)
			assert.NoError(t, err)
			assert.Equal(t, 1, v)
			j, err := p.Submit(ctx, do)
			require.NoError(t, err)
			v, err = j.Wait(ctx)
			assert.NoError(t, err)
			assert.Equal(t, 1, v)
			assert.NoError(t, p.Halt(0))
			synctest.Wait()
			assert.NoError(t, p.Resize(1))
		}
		assert.Len(t, ds.opened(), 2)
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// What ends a call's context ends an open that heeds it, and there is no state then.
func TestOpenIsCanceledWithItsCall(t *testing.T) {
	ends := map[string]func(t *testing.T, p *pool.Pool[deed, int], j *pool.Job[int]) error{
		"Cancel": func(t *testing.T, _ *pool.Pool[deed, int], j *pool.Job[int]) error {
			t.Helper()
			j.Cancel(errBoom)
			return errBoom
		},
		"HaltNow": func(t *testing.T, p *pool.Pool[deed, int], _ *pool.Job[int]) error {
			t.Helper()
			assert.NoError(t, p.HaltNow(0))
			return pool.ErrHalted
		},
		"Close": func(t *testing.T, p *pool.Pool[deed, int], _ *pool.Job[int]) error {
			t.Helper()
			assert.NoError(t, p.Close())
			return pool.ErrClosed
		},
		"Shutdown": func(t *testing.T, p *pool.Pool[deed, int], _ *pool.Job[int]) error {
			t.Helper()
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
			defer cancel()
			assert.Equal(t, errBoom, p.Shutdown(ctx))
			return errBoom
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				ds := devices{opening: func(ctx context.Context, _ int) error {
					<-ctx.Done()
					return context.Cause(ctx)
				}}
				p := ds.pool(pool.Workers(1))
				j := submit(t, p, number)
				synctest.Wait()
				assert.Equal(t, 1, p.Stats().Busy)
				cause := end(t, p, j)
				_, err := j.Wait(t.Context())
				assert.ErrorIs(t, err, cause)
				assert.NoError(t, p.Close())
				assert.Empty(t, ds.closed())
				ds.check(t)
			})
		})
	}
}

// An open that does not heed its context and succeeds behind the end of the pool
// has its state closed, and Close waits for both.
func TestOpenThatEndsAfterTheEndOfThePool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{opening: func(context.Context, int) error {
			time.Sleep(time.Hour)
			return nil
		}}
		p := ds.pool(pool.Workers(1))
		j := submit(t, p, number)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var stuck *pool.StuckError
		require.ErrorAs(t, p.Shutdown(ctx), &stuck)
		assert.Equal(t, []pool.StuckCall{{Worker: 0, Job: j.ID(), Age: stuck.Calls[0].Age}}, stuck.Calls)
		begin := time.Now()
		assert.NoError(t, p.Close())
		assert.Greater(t, time.Since(begin), 59*time.Minute)
		assert.Equal(t, []int{0}, ds.closed())
		ds.check(t)
	})
}

// A worker that was halted during open makes the call in hand, and then its state is
// closed.
func TestHaltDuringOpen(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{opening: func(context.Context, int) error {
			time.Sleep(time.Minute)
			return nil
		}}
		p := ds.pool(pool.Workers(2))
		j := submit(t, p, number)
		synctest.Wait()
		var busy int
		for _, w := range p.Workers() {
			if w.State == pool.WorkerBusy {
				busy = w.ID
			}
		}
		assert.NoError(t, p.Halt(busy))
		v, err := j.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, busy, v)
		synctest.Wait()
		assert.Equal(t, []int{busy}, ds.closed())
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// "Errors and panics of close are told to the observer (WorkerStopped), and the
// first one is returned by Pool.Close."
func TestCloseOfAStateThatFails(t *testing.T) {
	fails := map[string]struct {
		close func() error
		check func(t *testing.T, err error)
	}{
		"error": {
			func() error { return errBoom },
			func(t *testing.T, err error) { t.Helper(); assert.ErrorIs(t, err, errBoom) },
		},
		"panic": {
			func() error { panic("boom") },
			func(t *testing.T, err error) {
				t.Helper()
				var caught *result.PanicError
				require.ErrorAs(t, err, &caught)
				assert.Equal(t, "boom", caught.Value)
				assert.Contains(t, string(caught.Stack), "stateful_test.go")
			},
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				var stopped []pool.Event
				observe := func(e pool.Event) {
					if e.Kind == pool.WorkerStopped {
						stopped = append(stopped, e)
					}
				}
				ds := devices{closing: func(d *device) error {
					if d.worker == 1 {
						return nil
					}
					return fail.close()
				}}
				p := ds.pool(pool.Workers(3), pool.Observe(observe))
				occupy(t, p, 3)
				assert.NoError(t, p.Halt(2))
				synctest.Wait()
				require.Len(t, stopped, 1)
				assert.Equal(t, 2, stopped[0].Worker)
				fail.check(t, stopped[0].Err)
				_, err := p.Do(t.Context(), number)
				assert.NoError(t, err, "the pool goes on")
				fail.check(t, p.Close())
				require.Len(t, stopped, 3)
				for _, e := range stopped {
					if e.Worker == 1 {
						assert.NoError(t, e.Err)
					} else {
						fail.check(t, e.Err)
					}
				}
				assert.Len(t, ds.closed(), 3)
				ds.check(t)
			})
		})
	}
}

// "The first one is returned by Pool.Close", by time, also when the pool ended in
// another way, and each time that it is asked.
func TestFirstErrorOfCloseIsKept(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(d *device) error { return fmt.Errorf("no %d", d.worker) }}
		p := ds.pool(pool.Workers(3))
		occupy(t, p, 3)
		for _, w := range []int{1, 0, 2} {
			assert.NoError(t, p.Halt(w))
			synctest.Wait()
		}
		assert.EqualError(t, p.Close(), "no 1")
		assert.Equal(t, []int{0, 1, 2}, slices.Sorted(slices.Values(ds.closed())))
		ds.check(t)
	})
}

// "Both run without a time limit of the pool's": Close waits for a slow close, and
// Halt and Resize do not.
func TestCloseOfAStateThatIsSlow(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Hour); return nil }}
		p := ds.pool(pool.Workers(4))
		occupy(t, p, 4)
		begin := time.Now()
		assert.NoError(t, p.Halt(0))
		assert.NoError(t, p.Resize(2))
		assert.Zero(t, time.Since(begin))
		synctest.Wait()
		assert.Len(t, ds.closed(), 2, "being closed")
		assert.NoError(t, p.Close())
		assert.Equal(t, time.Hour, time.Since(begin), "all at once")
		assert.Len(t, ds.closed(), 4)
		ds.check(t)
	})
}

// "Nothing of the pool runs when Close has returned, nor when Shutdown has": a close
// of a state belongs to the pool.
func TestShutdownWaitsForSlowClose(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var closed atomic.Bool
		ds := devices{closing: func(*device) error {
			time.Sleep(time.Minute)
			closed.Store(true)
			return nil
		}}
		p := ds.pool(pool.Workers(1))
		occupy(t, p, 1)
		assert.NoError(t, p.Shutdown(t.Context()))
		assert.True(t, closed.Load())
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// A number is used again only when the state of the worker that had it is closed, so
// that it may name something that exists once.
func TestNumberIsFreeWhenItsStateIsClosed(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Minute); return nil }}
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		assert.NoError(t, p.Halt(0))
		assert.NoError(t, p.Halt(1))
		synctest.Wait()
		assert.NoError(t, p.Resize(2))
		nap := func(context.Context, *device) (int, error) { time.Sleep(time.Hour); return 0, nil }
		_, err := p.Map(t.Context(), []deed{nap, nap})
		assert.NoError(t, err)
		ds.check(t)
		assert.Len(t, ds.opened(), 4)
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), 4)
		ds.check(t)
	})
}

// "close, which may be nil".
func TestStateWithoutClose(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		opens := 0
		p := pool.NewStateful(func(context.Context, int) (int, error) {
			opens++
			return opens, nil
		}, func(_ context.Context, s, in int) (int, error) {
			return 10*s + in, nil
		}, nil, pool.Workers(1))
		v, err := p.Do(t.Context(), 1)
		assert.NoError(t, err)
		assert.Equal(t, 11, v)
		assert.NoError(t, p.Halt(0))
		assert.NoError(t, p.Resize(1))
		synctest.Wait()
		v, err = p.Do(t.Context(), 2)
		assert.NoError(t, err)
		assert.Equal(t, 22, v)
		assert.NoError(t, p.Close())
	})
}

// A nil that open returns is a state like any other.
func TestStateThatIsNil(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var opens, closes int
		p := pool.NewStateful(func(context.Context, int) (io.Closer, error) {
			opens++
			return nil, nil //nolint:nilnil // is what this is about
		}, func(_ context.Context, s io.Closer, in int) (int, error) {
			assert.Nil(t, s)
			return in, nil
		}, func(s io.Closer) error {
			assert.Nil(t, s)
			closes++
			return nil
		}, pool.Workers(1))
		outs, err := p.Map(t.Context(), []int{1, 2, 3})
		assert.NoError(t, err)
		assert.Equal(t, []int{1, 2, 3}, outs)
		v, err := submit(t, p, 4).Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 4, v)
		assert.NoError(t, p.Close())
		assert.Equal(t, 1, opens)
		assert.Equal(t, 1, closes)
	})
}

// A state that comes with an error is none.
func TestStateBesideAnErrorIsNotUsed(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := pool.NewStateful(func(context.Context, int) (int, error) { return 7, errBoom },
			func(context.Context, int, int) (int, error) { assert.Fail(t, "called"); return 0, nil },
			func(int) error { assert.Fail(t, "closed"); return nil }, pool.Workers(1))
		_, err := p.Do(t.Context(), 1)
		assert.ErrorIs(t, err, errBoom)
		assert.NoError(t, p.Close())
	})
}

func TestStatefulOfNilPanics(t *testing.T) {
	open := func(context.Context, int) (int, error) { return 0, nil }
	fn := func(context.Context, int, int) (int, error) { return 0, nil }
	assert.Panics(t, func() { pool.NewStateful[int, int, int](nil, fn, nil) })
	assert.Panics(t, func() { pool.NewStateful[int, int, int](open, nil, nil) })
}

// "A state is used by one call at a time, and, where a call uses its own pool, by
// those within its share."
func TestStateWithinAShare(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(1))
		var dive func(depth int) deed
		dive = func(depth int) deed {
			return func(ctx context.Context, d *device) (v int, err error) {
				if depth == 0 {
					return 0, nil
				}
				d.lend(func() {
					switch depth % 3 {
					case 0:
						v, err = p.Do(ctx, dive(depth-1))
					case 1:
						var outs []int
						outs, err = p.Map(ctx, []deed{number, dive(depth - 1)})
						v = slices.Max(append(outs, 0))
					default:
						var j *pool.Job[int]
						if j, err = p.Submit(ctx, dive(depth-1)); err == nil {
							v, err = j.Wait(ctx)
						}
					}
				})
				return v + 1, err
			}
		}
		v, err := p.Do(t.Context(), dive(1000))
		assert.NoError(t, err)
		assert.Equal(t, 1000, v)
		assert.Equal(t, []int{0}, ds.opened(), "all in the share of one worker")
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// A nested call that finds a worker free has that one's state.
func TestStateOfNestedCallOnAnotherWorker(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		same, err := p.Do(t.Context(), func(ctx context.Context, d *device) (int, error) {
			other, err := p.Do(ctx, number) // not lent: the other call has a state of its own
			if other == d.worker {
				return 1, err
			}
			return 0, err
		})
		assert.NoError(t, err)
		assert.Zero(t, same)
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// An open that fails in a nested call fails that call only.
func TestOpenThatFailsInNestedCall(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		opens := 0
		ds := devices{opening: func(context.Context, int) error {
			if opens++; opens == 2 {
				return errBoom
			}
			return nil
		}}
		p := ds.pool(pool.Workers(2))
		_, err := p.Do(t.Context(), func(ctx context.Context, _ *device) (int, error) {
			_, err := p.Do(ctx, number)
			assert.ErrorIs(t, err, errBoom)
			_, err = p.Do(ctx, number)
			return 0, err
		})
		assert.NoError(t, err)
		assert.Equal(t, 3, opens)
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), 2)
		ds.check(t)
	})
}

// No state is lost, used twice or closed twice, whatever happens to the workers. A
// failure prints its seed; put it in place of the random one to see it again, as far
// as the scheduler lets you.
func TestRandomUseLeavesNoStateBehind(t *testing.T) {
	checkLeaks(t)
	rounds := 40
	if raceEnabled {
		rounds = 15
	}
	for range rounds {
		randomUseOfStates(t, rand.Uint64())
		if t.Failed() {
			return
		}
	}
}

func TestRandomUseLeavesNoStateBehindInABubble(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		testkit.Bubble(t, func(t *testing.T) { randomUseOfStates(t, seed) })
		if t.Failed() {
			return
		}
	}
}

func randomUseOfStates(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var bad atomic.Int64
	mishap := func(s *rand.Rand) error {
		switch s.IntN(6) {
		case 0:
			bad.Add(1)
			return errBoom
		case 1:
			bad.Add(1)
			panic("boom")
		case 2:
			runtime.Goexit()
		case 3:
			runtime.Gosched()
		case 4:
			time.Sleep(time.Microsecond)
		}
		return nil
	}
	var serial atomic.Uint64
	roll := func() *rand.Rand { return rand.New(rand.NewPCG(seed, serial.Add(1))) }
	ds := devices{
		opening: func(context.Context, int) error { return mishap(roll()) },
		closing: func(*device) error { return mishap(roll()) },
	}
	opts := []pool.Option{pool.Workers(1 + rng.IntN(4)), pool.Queue(1 + rng.IntN(8))}
	if rng.IntN(2) == 0 {
		opts = append(opts, pool.IdleTimeout(time.Duration(1+rng.IntN(50))*time.Microsecond, rng.IntN(2)))
	}
	if rng.IntN(2) == 0 {
		opts = append(opts, pool.WhenFull([]pool.Policy{pool.Reject, pool.DropOldest, pool.CallerRuns}[rng.IntN(3)]))
	}
	if rng.IntN(3) == 0 {
		opts = append(opts, pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Microsecond}))
	}
	p := ds.pool(opts...)
	var deeds func(s *rand.Rand, depth int) deed
	deeds = func(s *rand.Rand, depth int) deed {
		kind := s.IntN(4)
		return func(ctx context.Context, d *device) (int, error) {
			if kind == 0 && depth > 0 {
				d.lend(func() {
					inner := deeds(roll(), depth-1)
					switch roll().IntN(3) {
					case 0:
						p.Do(ctx, inner) //nolint:errcheck // how it ends does not matter
					case 1:
						p.Map(ctx, []deed{inner, number, number}) //nolint:errcheck // how it ends does not matter
					default:
						if j, err := p.Submit(ctx, inner); err == nil {
							j.Wait(ctx) //nolint:errcheck // how it ends does not matter
						}
					}
				})
			}
			return d.worker, mishap(roll())
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var users, rulers sync.WaitGroup
	for range 1 + rng.IntN(4) {
		s := rand.New(rand.NewPCG(rng.Uint64(), 1))
		users.Go(func() {
			for range 60 {
				onItsOwn(func() {
					ctx, cancel := context.WithTimeout(ctx, time.Duration(s.IntN(300))*time.Microsecond)
					defer cancel()
					do := deeds(s, 2)
					switch s.IntN(4) {
					case 0:
						p.Do(ctx, do) //nolint:errcheck // how it ends does not matter
					case 1:
						if j, err := p.Submit(ctx, do); err == nil && s.IntN(2) == 0 {
							j.Cancel(nil)
						}
					case 2:
						p.Map(ctx, []deed{do, number, deeds(s, 1)}) //nolint:errcheck // how it ends does not matter
					default:
						for range p.Stream(ctx, slices.Values([]deed{do, number, deeds(s, 1), number})) {
							if s.IntN(5) == 0 {
								break
							}
						}
					}
				})
			}
		})
	}
	over := make(chan struct{})
	s := rand.New(rand.NewPCG(rng.Uint64(), 3))
	rulers.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			switch s.IntN(5) {
			case 0:
				_ = p.Halt(s.IntN(5))
			case 1:
				_ = p.HaltNow(s.IntN(5))
			case 2:
				_ = p.Resize(s.IntN(5))
			case 3:
				p.Pause()
				p.Resume()
			default:
				_ = p.Resize(1 + s.IntN(4))
			}
			time.Sleep(time.Duration(s.IntN(30)) * time.Microsecond)
		}
	})
	if rng.IntN(2) == 0 {
		users.Wait()
	} else {
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
	}
	if rng.IntN(2) == 0 {
		short, stop := context.WithTimeout(ctx, time.Duration(rng.IntN(300))*time.Microsecond)
		_ = p.Shutdown(short)
		stop()
	}
	_ = p.Close() // returns what a close has failed with
	close(over)
	users.Wait()
	rulers.Wait()
	assert.Len(t, ds.closed(), len(ds.opened()), "seed %d: states that were opened and not closed", seed)
	assert.Empty(t, ds.live, "seed %d", seed)
	assert.Empty(t, ds.wrong, "seed %d", seed)
}

// IdleTimeout stops workers "as long as more than keep are there", also while the
// states of others are still being closed.
func TestIdleTimeoutKeepsStates(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var ds devices
		p := ds.pool(pool.Workers(4), pool.IdleTimeout(time.Minute, 1))
		occupy(t, p, 4)
		time.Sleep(time.Hour)
		assert.Len(t, ds.closed(), 3, "one is kept")
		_, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.Len(t, ds.opened(), 4, "and its state used again")
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// A close that ends its goroutine, as t.FailNow does, costs the pool nothing but that.
func TestCloseOfAStateThatCallsGoexit(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { runtime.Goexit(); return nil }}
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		assert.NoError(t, p.Halt(0))
		synctest.Wait()
		assert.Equal(t, 1, p.Stats().Workers)
		assert.Zero(t, p.Stats().Busy)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := p.Do(ctx, number)
		assert.NoError(t, err)
		_ = p.Close() // the doc does not say whether a Goexit is an error
		assert.Len(t, ds.closed(), 2)
		ds.check(t)
	})
}

// ... and it is told that its worker has stopped.
func TestCloseOfAStateThatCallsGoexitIsTold(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		stopped := 0
		ds := devices{closing: func(*device) error { runtime.Goexit(); return nil }}
		p := ds.pool(pool.Workers(1), pool.Observe(func(e pool.Event) {
			if e.Kind == pool.WorkerStopped {
				stopped++
			}
		}))
		occupy(t, p, 1)
		_ = p.Close()
		assert.Equal(t, 1, stopped)
		ds.check(t)
	})
}

// "No input waits while a worker is free", nor while the state of one that was halted
// is being closed, which is no call.
func TestSlowCloseHoldsUpNobody(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Hour); return nil }}
		p := ds.pool(pool.Workers(2))
		occupy(t, p, 2)
		assert.NoError(t, p.Halt(0))
		synctest.Wait()
		s := p.Stats()
		assert.Equal(t, 1, s.Workers)
		assert.Equal(t, 1, s.Idle)
		assert.Zero(t, s.Busy, "nobody makes a call")
		begin := time.Now()
		w, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.Equal(t, 1, w)
		assert.Zero(t, time.Since(begin), "worker 1 was idle")
		assert.NoError(t, p.Close())
		ds.check(t)
	})
}

// An open that uses its pool, with the context that it got, cannot have a state for
// that: it is told so, or each state that it takes to answer is closed.
func TestOpenThatUsesItsPool(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		var p *pool.Pool[deed, int]
		inside := false
		ds := devices{opening: func(ctx context.Context, _ int) error {
			if inside {
				return nil
			}
			inside = true
			_, err := p.Do(ctx, number)
			if err != nil {
				assert.ErrorIs(t, err, pool.ErrWouldDeadlock)
			}
			return nil
		}}
		p = ds.pool(pool.Workers(1))
		_, err := p.Do(t.Context(), number)
		assert.NoError(t, err)
		assert.NoError(t, p.Close())
		assert.Len(t, ds.closed(), len(ds.opened()))
		ds.check(t)
	})
}

// "Nothing of the pool runs when Close has returned, nor when Shutdown has, unless it
// says so with a *StuckError": so it does of a state that is slow to close.
func TestShutdownSaysThatACloseIsStuck(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ds := devices{closing: func(*device) error { time.Sleep(time.Hour); return nil }}
		p := ds.pool(pool.Workers(1))
		occupy(t, p, 1)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errBoom)
		defer cancel()
		begin := time.Now()
		err := p.Shutdown(ctx)
		assert.Equal(t, time.Second+100*time.Millisecond, time.Since(begin))
		assert.ErrorIs(t, err, errBoom)
		var stuck *pool.StuckError
		if assert.ErrorAs(t, err, &stuck) {
			assert.Equal(t, []pool.StuckCall{{Worker: 0, Closing: true}}, stuck.Calls)
		}
		assert.NoError(t, p.Close())
		assert.Equal(t, time.Hour, time.Since(begin))
		ds.check(t)
	})
}
