package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
)

const steeredWide = 4

// One driver does random operations on a pool of jobs and of calls of Do, and what
// must hold is checked whenever all has settled.

func TestRandomControlAgainstAModel(t *testing.T) {
	for range 60 {
		seed := rand.Uint64()
		testkit.Bubble(t, func(t *testing.T) { driveControl(t, seed) })
		if t.Failed() {
			return
		}
	}
}

// steeredCall is an input: how long it takes, and what its context said.
type steeredCall struct {
	d       time.Duration
	started atomic.Bool
	cause   atomic.Value
}

// driver is a pool with what it should be.
type driver struct {
	t     *testing.T
	why   string
	pool  *pool.Pool[*steeredCall, int]
	now   gauge
	limit atomic.Int64 // no more are under way when a call starts
	size  int
	held  bool

	excused map[int]bool // workers halted since the last Resize, whose calls keep nobody else from starting

	calls  []*steeredCall
	ofJobs []*steeredCall // those of jobs
	jobs   []*pool.Job[int]
	halted map[*steeredCall]bool // by HaltNow
	waits  atomic.Int64          // calls of Do that have not ended
}

func (d *driver) call(ctx context.Context, c *steeredCall) (int, error) {
	assert.False(d.t, c.started.Swap(true), "%s: called twice", d.why)
	d.now.enter()
	defer d.now.leave()
	assert.LessOrEqual(d.t, d.now.now.Load(), d.limit.Load(), "%s: calls under way when one starts", d.why)
	assert.NoError(d.t, ctx.Err(), "%s: a call started with a context that had ended", d.why)
	select {
	case <-time.After(c.d):
	case <-ctx.Done():
		c.cause.Store(context.Cause(ctx))
	}
	return int(c.d), nil
}

func driveControl(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	d := &driver{t: t, why: fmt.Sprintf("seed %d", seed), size: 1 + rng.IntN(4), halted: map[*steeredCall]bool{}, excused: map[int]bool{}}
	opts := []pool.Option{pool.Workers(d.size)}
	if rng.IntN(2) == 0 {
		opts = append(opts, pool.IdleTimeout(time.Duration(1+rng.IntN(20))*time.Second, rng.IntN(3)))
	}
	d.limit.Store(int64(d.size))
	d.pool = pool.New(d.call, opts...)
	for range 150 {
		d.step(rng)
		synctest.Wait()
		d.check()
		if t.Failed() {
			break
		}
	}
	d.limit.Store(max(d.limit.Load(), 1, d.now.now.Load()))
	if rng.IntN(2) == 0 {
		assert.NoError(t, d.pool.Shutdown(t.Context()), d.why)
	} else {
		assert.NoError(t, d.pool.Close(), d.why)
	}
	synctest.Wait()
	assert.Zero(t, d.waits.Load(), "%s: calls of Do that did not end", d.why)
	for _, j := range d.jobs {
		_, ended := j.Result()
		assert.True(t, ended, "%s: a job was lost", d.why)
	}
	for _, c := range d.calls {
		cause, _ := c.cause.Load().(error)
		assert.Equal(t, d.halted[c], errors.Is(cause, pool.ErrHalted), "%s: %v", d.why, cause)
	}
}

// resized sets the limit for the calls that start by what set does, and behind it.
func (d *driver) resized(n int, set func()) {
	d.limit.Store(max(int64(n), d.limit.Load()))
	d.size = n
	clear(d.excused)
	set()
	synctest.Wait()
	d.limit.Store(max(int64(n), d.now.now.Load()))
}

// halting is resized for a worker less, whose call does not keep others from starting.
func (d *driver) halting(n int, halt func()) {
	d.size = n
	halt()
	synctest.Wait()
}

func (d *driver) step(rng *rand.Rand) {
	p := d.pool
	switch ws := p.Workers(); rng.IntN(9) {
	case 0:
		p.Pause()
		d.held = true
	case 1, 2:
		p.Resume()
		d.held = false
	case 3:
		n := rng.IntN(6)
		d.resized(n, func() { assert.NoError(d.t, p.Resize(n), d.why) })
	case 4:
		if len(ws) == 0 {
			return
		}
		w := ws[rng.IntN(len(ws))]
		n := d.size
		if w.State != pool.WorkerHalting {
			n--
		}
		d.halting(n, func() {
			if w.State != pool.WorkerHalting {
				d.excused[w.ID] = true
			}
			if w.Job == 0 || rng.IntN(2) == 0 {
				assert.NoError(d.t, p.Halt(w.ID), d.why)
				return
			}
			at := slices.IndexFunc(d.jobs, func(j *pool.Job[int]) bool { return j.ID() == w.Job })
			d.halted[d.ofJobs[at]] = true
			assert.NoError(d.t, p.HaltNow(w.ID), d.why)
		})
	case 5:
		c := &steeredCall{d: time.Duration(1+rng.IntN(10)) * time.Second}
		d.calls = append(d.calls, c)
		d.waits.Add(1)
		go func() {
			defer d.waits.Add(-1)
			_, err := p.Do(d.t.Context(), c)
			assert.True(d.t, err == nil || errors.Is(err, pool.ErrClosed), "%s: %v", d.why, err)
		}()
	case 6, 7:
		for range 1 + rng.IntN(3) {
			c := &steeredCall{d: time.Duration(1+rng.IntN(10)) * time.Second}
			d.calls = append(d.calls, c)
			d.ofJobs = append(d.ofJobs, c)
			d.jobs = append(d.jobs, submit(d.t, p, c))
		}
	default:
		time.Sleep(time.Duration(rng.IntN(12)) * time.Second)
	}
}

// check looks at a pool that has settled.
func (d *driver) check() {
	s, ws := d.pool.Stats(), d.pool.Workers()
	under := int(d.now.now.Load())
	assert.Equal(d.t, d.size, s.Workers, "%s: workers", d.why)
	excused := 0
	for _, w := range ws {
		if w.State == pool.WorkerHalting && d.excused[w.ID] {
			excused++
		}
	}
	d.limit.Store(int64(max(d.size+excused, under)))
	assert.Equal(d.t, under, s.Busy, "%s: busy", d.why)
	assert.Equal(d.t, d.held, s.Paused, "%s: paused", d.why)
	stay, busy, last := 0, 0, -1
	for _, w := range ws {
		assert.Greater(d.t, w.ID, last, "%s: numbers", d.why)
		last = w.ID
		if w.State != pool.WorkerHalting {
			stay++
		}
		if w.State != pool.WorkerIdle {
			busy++
		}
	}
	assert.Equal(d.t, d.size, stay, "%s: workers in %v", d.why, ws)
	assert.Equal(d.t, under, busy, "%s: busy in %v", d.why, ws)
	waiting := 0
	for _, c := range d.calls {
		if !c.started.Load() {
			waiting++
		}
	}
	if !d.held && waiting > 0 {
		assert.GreaterOrEqual(d.t, under, d.size, "%s: %d wait while a worker is idle", d.why, waiting)
	}
}
