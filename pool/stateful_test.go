package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// "open makes the state when a worker makes its first call, and fn gets it with each
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

// "close ... ends it when the worker stops: because it was halted, was idle for long,
// or the pool ended."
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

// "it first stops idle ones": Resize leaves as many states as there are workers.
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
