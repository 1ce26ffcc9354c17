package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// Random sequences of operations from many goroutines against a model: each input
// that was accepted ends once, in the way that its function says or as canceled;
// it was called once or, if it never started, not at all; and never more calls run
// than there are workers. A failure prints its seed; put it in place of the random
// one to see it again, as far as the scheduler lets you.

func TestRandomOperationsInABubble(t *testing.T) {
	for range 30 {
		seed := rand.Uint64()
		testkit.Bubble(t, func(t *testing.T) { randomOperations(t, seed, 40) })
		if t.Failed() {
			return
		}
	}
}

func TestRandomOperationsInRealTime(t *testing.T) {
	checkLeaks(t)
	for range 30 {
		randomOperations(t, rand.Uint64(), 60)
		if t.Failed() {
			return
		}
	}
}

// action is what a function is told to do.
type action int

const (
	succeed action = iota
	fail
	panics
	exit
	yields  // lets others run, then succeeds
	takes   // time, then succeeds
	listens // until its context ends or some time has passed
	nests   // asks the pool for another input
	actions // how many there are
)

// order is an input with the count of its calls.
type order struct {
	do    action
	calls atomic.Int64
}

func (o *order) value() int { return 1 + int(o.do) }

// model is a pool and what it has to hold.
type model struct {
	t     *testing.T
	seed  uint64
	pool  *pool.Pool[*order, int]
	now   gauge
	short time.Duration

	accepted, ended, called atomic.Int64
}

func (m *model) call(ctx context.Context, o *order) (int, error) {
	m.now.enter()
	defer m.now.leave()
	m.called.Add(1)
	o.calls.Add(1)
	switch o.do {
	case fail:
		return 0, errBoom
	case panics:
		panic(errBoom)
	case exit:
		runtime.Goexit()
	case yields:
		runtime.Gosched()
	case takes:
		time.Sleep(m.short)
	case listens:
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(m.short):
		}
	case nests:
		m.now.now.Add(-1) // it waits, and lends its share
		defer m.now.enter()
		inner := &order{do: succeed}
		v, err := m.pool.Do(ctx, inner)
		if inner.calls.Load() == 0 {
			// What ended the context may be what a neighbour in a Map has come to.
			if !errors.Is(err, pool.ErrClosed) {
				assert.Equal(m.t, context.Cause(ctx), err, "seed %d", m.seed)
			}
			return 0, context.Canceled
		}
		m.expect(inner, v, err, false)
	default:
	}
	return o.value(), nil
}

// expect checks what an input has come to. mayExit says that ErrGoexit stands for a
// goroutine that ended.
func (m *model) expect(o *order, v int, err error, mayExit bool) {
	why := fmt.Sprintf("seed %d: action %d gave %v, %v after %d calls", m.seed, o.do, v, err, o.calls.Load())
	if !assert.LessOrEqual(m.t, o.calls.Load(), int64(1), why) {
		return
	}
	canceled := errors.Is(err, context.Canceled) || errors.Is(err, pool.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
	if o.calls.Load() == 0 {
		assert.True(m.t, canceled, why)
		return
	}
	var caught *result.PanicError
	switch o.do {
	case fail:
		assert.Equal(m.t, errBoom, err, why)
	case panics:
		assert.ErrorAs(m.t, err, &caught, why)
	case exit:
		assert.True(m.t, mayExit || errors.Is(err, pool.ErrGoexit), why)
	case listens, nests:
		assert.True(m.t, err == nil || canceled, why)
	default:
		assert.NoError(m.t, err, why)
		assert.Equal(m.t, o.value(), v, why)
	}
}

func randomOperations(t *testing.T, seed uint64, rounds int) {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := &model{t: t, seed: seed, short: time.Duration(1+rng.IntN(20)) * time.Microsecond}
	workers := 1 + rng.IntN(4)
	m.pool = pool.New(m.call, pool.Workers(workers), pool.Queue(1+rng.IntN(10)))

	var wg sync.WaitGroup
	for range 1 + rng.IntN(6) {
		rng := rand.New(rand.NewPCG(rng.Uint64(), 1))
		wg.Go(func() {
			for range rounds {
				if !m.step(rng) {
					return
				}
			}
		})
	}
	if rng.IntN(2) == 0 {
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
	} else {
		wg.Wait()
	}
	if rng.IntN(2) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(200))*time.Microsecond)
		err := m.pool.Shutdown(ctx)
		cancel()
		var stuck *pool.StuckError
		assert.NotErrorAs(t, err, &stuck, "seed %d", seed)
	}
	assert.NoError(t, m.pool.Close())
	wg.Wait()
	assert.Equal(t, m.accepted.Load(), m.ended.Load(), "seed %d: jobs", seed)
	assert.LessOrEqual(t, m.now.peak.Load(), int64(workers), "seed %d: calls at once", seed)
	assert.Zero(t, m.now.now.Load(), "seed %d: calls after Close", seed)
}

// orders makes some inputs.
func orders(rng *rand.Rand, n int, of ...action) []*order {
	os := make([]*order, n)
	for i := range os {
		os[i] = &order{do: of[rng.IntN(len(of))]}
	}
	return os
}

var allActions = []action{succeed, fail, panics, exit, yields, takes, listens, nests}

// step does one random operation, and reports false when the pool is closed.
func (m *model) step(rng *rand.Rand) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if rng.IntN(4) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(50))*time.Microsecond)
		defer cancel()
	}
	open := true
	var later []func()
	defer func() {
		for _, f := range later {
			f()
		}
	}()
	closed := func(err error) { open = open && !errors.Is(err, pool.ErrClosed) }
	switch rng.IntN(4) {
	case 0:
		o := orders(rng, 1, allActions...)[0]
		err := pool.ErrGoexit
		v := 0
		onItsOwn(func() { v, err = m.pool.Do(ctx, o) })
		m.expect(o, v, err, true)
		closed(err)
	case 1:
		for _, o := range orders(rng, 1+rng.IntN(20), allActions...) {
			j, err := m.pool.Submit(ctx, o)
			if err != nil {
				assert.Zero(m.t, o.calls.Load(), "seed %d: called and not accepted", m.seed)
				closed(err)
				continue
			}
			m.accepted.Add(1)
			if rng.IntN(3) == 0 {
				j.Cancel(nil)
			}
			later = append(later, func() { m.settle(o, j) })
			if rng.IntN(3) == 0 {
				later[len(later)-1]()
				later = later[:len(later)-1]
			}
		}
	case 2:
		of := allActions
		if rng.IntN(2) == 0 {
			of = []action{succeed, yields, takes}
		}
		os := orders(rng, rng.IntN(50), of...)
		err := pool.ErrGoexit
		var outs []int
		onItsOwn(func() { outs, err = m.pool.Map(ctx, os) })
		if err == nil {
			for i, o := range os {
				m.expect(o, outs[i], nil, false)
				assert.EqualValues(m.t, 1, o.calls.Load(), "seed %d: element %d of a Map without an error", m.seed, i)
			}
		}
		closed(err)
	default:
		os := orders(rng, rng.IntN(100), allActions...)
		seen := map[int]bool{}
		limit := rng.IntN(150)
		for r := range m.pool.Stream(ctx, slices.Values(os)) {
			closed(r.Err)
			if r.Attempt == 0 && errors.Is(r.Err, pool.ErrClosed) && len(os) == r.Index {
				break // the result of a pool that was closed already
			}
			assert.False(m.t, seen[r.Index], "seed %d: %d came twice", m.seed, r.Index)
			seen[r.Index] = true
			m.expect(os[r.Index], r.Value, r.Err, false)
			if len(seen) > limit {
				break
			}
		}
	}
	return open
}

// settle waits for a job and checks its end.
func (m *model) settle(o *order, j *pool.Job[int]) {
	v, err := j.Wait(context.Background())
	m.expect(o, v, err, false)
	r, ok := j.Result()
	assert.True(m.t, ok)
	assert.EqualValues(m.t, r.Attempt, o.calls.Load(), "seed %d: calls of a job that ended with %v", m.seed, err)
	m.ended.Add(1)
}
