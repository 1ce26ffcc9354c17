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

// Random sequences of operations from many goroutines, on pools with random options,
// against a model: each input that was accepted ends once, in the way that its function
// says or as canceled; it was called as often as it was to be, or, if it never started,
// not at all; jobs with a key run one at a time, in order; never more calls run than
// there ever were workers; and the counts of Stats add up at any time. A failure prints its seed; put it in place of the random
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

// order is an input with the count of its calls. One with a line has its place there.
type order struct {
	do    action
	calls atomic.Int64
	line  *line
	place int64
}

// line is a key and what has become of its jobs.
type line struct {
	busy atomic.Bool
	next int64 // the least place that may start; guarded by busy
}

func (o *order) value() int { return 1 + int(o.do) }

// model is a pool and what it has to hold.
type model struct {
	t     *testing.T
	seed  uint64
	pool  *pool.Pool[*order, int]
	now   gauge
	short time.Duration
	most  int64 // calls for one input
	full  pool.Policy

	accepted, ended, called atomic.Int64
	unseen                  atomic.Int64 // jobs that ended their submitter
}

func (m *model) call(ctx context.Context, o *order) (int, error) {
	m.now.enter()
	defer m.now.leave()
	m.called.Add(1)
	o.calls.Add(1)
	if l := o.line; l != nil {
		assert.False(m.t, l.busy.Swap(true), "seed %d: two jobs of one key", m.seed)
		assert.LessOrEqual(m.t, l.next, o.place, "seed %d: jobs of a key out of order", m.seed)
		l.next = o.place
		defer l.busy.Store(false)
	}
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
	if !assert.LessOrEqual(m.t, o.calls.Load(), max(m.most, 1), why) {
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
		assert.ErrorIs(m.t, err, errBoom, why)
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
	opts := m.options(rng)
	m.pool = pool.New(m.call, append(opts, pool.Workers(workers))...)
	most := workers

	var wg, steer sync.WaitGroup
	stop := make(chan struct{})
	if rng.IntN(2) == 0 {
		rng := rand.New(rand.NewPCG(rng.Uint64(), 2))
		most = max(workers, mostSteered)
		steer.Go(func() { m.steer(rng, workers, stop) })
	}
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
	close(stop)
	steer.Wait()
	stats := m.sums()
	assert.Zero(t, stats.Queued+stats.Running+stats.Busy, "seed %d: %v", seed, stats)
	assert.EqualValues(t, m.accepted.Load()+m.unseen.Load(), stats.Accepted, "seed %d: %v", seed, stats)
	assert.Equal(t, m.accepted.Load(), m.ended.Load(), "seed %d: jobs", seed)
	assert.LessOrEqual(t, m.now.peak.Load(), int64(most), "seed %d: calls at once", seed)
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
		var l line
		for i, o := range orders(rng, 1+rng.IntN(20), allActions...) {
			opts := m.jobOptions(rng, o, &l, i)
			j, err := m.submit(ctx, rng, o, opts)
			if errors.Is(err, errSubmitterGone) {
				continue
			}
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

// mostSteered is the most workers that steer makes.
const mostSteered = 5

var errSubmitterGone = errors.New("the job has ended its submitter")

// options returns random options of a pool, but for the number of workers.
func (m *model) options(rng *rand.Rand) []pool.Option {
	m.most, m.full = 1, pool.Policy(rng.IntN(4))
	opts := []pool.Option{pool.Queue(1 + rng.IntN(10)), pool.WhenFull(m.full), pool.Capacity(3)}
	maybe := func(opt pool.Option) bool {
		yes := rng.IntN(3) == 0
		if yes {
			opts = append(opts, opt)
		}
		return yes
	}
	if maybe(pool.Retry(pool.RetryPolicy{Attempts: 3, Base: 2 * time.Microsecond, Budget: 0.5})) {
		m.most = 3
	}
	maybe(pool.Track(rng.IntN(20)))
	maybe(pool.IdleTimeout(time.Duration(1+rng.IntN(50))*time.Microsecond, rng.IntN(3)))
	maybe(pool.Aging(time.Microsecond))
	maybe(pool.Observe(func(e pool.Event) {
		switch e.Job % 8 {
		case 1:
			panic(errBoom)
		case 2:
			runtime.Goexit()
		case 3:
			m.pool.Stats()
		case 4:
			m.pool.Job(e.Job)
		default:
		}
	}))
	return opts
}

// jobOptions returns random options of a job.
func (*model) jobOptions(rng *rand.Rand, o *order, l *line, place int) []pool.JobOption {
	var opts []pool.JobOption
	if rng.IntN(3) > 0 {
		return opts
	}
	if rng.IntN(2) == 0 && o.do != nests { // what waits inside would hold up its key
		o.line, o.place = l, int64(place)
		opts = append(opts, pool.Key(l))
	} else if rng.IntN(3) == 0 { // would change the order of its key
		opts = append(opts, pool.After(time.Duration(rng.IntN(50))*time.Microsecond))
	}
	if rng.IntN(3) == 0 {
		opts = append(opts, pool.Priority(rng.IntN(5)-2))
	}
	if rng.IntN(3) == 0 {
		opts = append(opts, pool.Weight(1+rng.Int64N(3)))
	}
	return opts
}

// submit hands in a job, or says that it ended who did.
func (m *model) submit(ctx context.Context, rng *rand.Rand, o *order, opts []pool.JobOption) (*pool.Job[int], error) {
	if rng.IntN(4) == 0 {
		return m.pool.TrySubmit(o, opts...)
	}
	if m.full != pool.CallerRuns {
		return m.pool.Submit(ctx, o, opts...)
	}
	var j *pool.Job[int]
	err := errSubmitterGone
	onItsOwn(func() { j, err = m.pool.Submit(ctx, o, opts...) })
	if j == nil && errors.Is(err, errSubmitterGone) {
		m.unseen.Add(1)
		assert.Equal(m.t, exit, o.do, "seed %d", m.seed)
	}
	return j, err
}

// steer does random things to the workers until stop is closed.
func (m *model) steer(rng *rand.Rand, workers int, stop <-chan struct{}) {
	p := m.pool
	pause := func() { time.Sleep(time.Duration(rng.IntN(30)) * time.Microsecond) }
	resize := func(n int) {
		if err := p.Resize(n); err != nil {
			assert.ErrorIs(m.t, err, pool.ErrClosed, "seed %d", m.seed)
		}
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		switch rng.IntN(7) {
		case 0:
			p.Pause()
			pause()
			p.Resume()
		case 1:
			resize(rng.IntN(mostSteered + 1))
			pause()
			resize(workers)
		case 2, 3:
			halt := p.Halt
			if rng.IntN(2) == 0 {
				halt = p.HaltNow
			}
			if err := halt(rng.IntN(mostSteered)); err != nil && !errors.Is(err, pool.ErrClosed) {
				assert.ErrorIs(m.t, err, pool.ErrNoWorker, "seed %d", m.seed)
			}
			pause()
			resize(1 + rng.IntN(mostSteered))
		case 4:
			all := p.Workers()
			assert.LessOrEqual(m.t, len(all), 2*mostSteered, "seed %d: those that halt are still there", m.seed)
		case 5:
			p.Jobs()
		default:
			m.sums()
		}
		pause()
	}
}

// sums checks that the counts of a snapshot add up.
func (m *model) sums() pool.Stats {
	s := m.pool.Stats()
	ends := s.Succeeded + s.Failed + s.Panicked + s.Canceled + s.Dropped
	assert.Equal(m.t, s.Accepted, ends+uint64(s.Queued)+uint64(s.Running), "seed %d: %v", m.seed, s)
	assert.GreaterOrEqual(m.t, s.Queued, 0, "seed %d: %v", m.seed, s)
	return s
}
