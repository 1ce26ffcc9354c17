package pool_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pool"
)

// big is an input or output that is missed when it is kept.
type big [1 << 16]byte

// watched makes big values and counts how many of them have become garbage.
type watched struct{ made, gone atomic.Int64 }

func (w *watched) make() *big {
	b := new(big)
	w.made.Add(1)
	runtime.AddCleanup(b, func(w *watched) { w.gone.Add(1) }, w)
	return b
}

func (w *watched) allGone() bool {
	return collected(func() bool { return w.gone.Load() == w.made.Load() })
}

// What has ended is kept by its Job, if anybody has it, and by nothing in the pool:
// not in the queue, not with a worker that is idle.
func TestPoolKeepsNothingThatHasEnded(t *testing.T) {
	var ins, outs watched
	p := pool.New(func(context.Context, *big) (*big, error) { return outs.make(), nil }, pool.Workers(3), pool.Queue(8))
	ways := map[string]func(){
		"Submit": func() {
			var jobs []*pool.Job[*big]
			for range 100 {
				jobs = append(jobs, submit(t, p, ins.make()))
			}
			for _, j := range jobs {
				_, err := j.Wait(t.Context())
				require.NoError(t, err)
			}
		},
		"Do": func() {
			for range 10 {
				_, err := p.Do(t.Context(), ins.make())
				require.NoError(t, err)
			}
		},
		"Map": func() {
			many := make([]*big, 100)
			for i := range many {
				many[i] = ins.make()
			}
			_, err := p.Map(t.Context(), many)
			require.NoError(t, err)
		},
		"Stream": func() {
			many := make([]*big, 100)
			for i := range many {
				many[i] = ins.make()
			}
			drain(p.Stream(t.Context(), slices.Values(many)))
		},
	}
	for name, run := range ways {
		run()
		assert.True(t, ins.allGone(), "%s: %d of %d inputs are kept", name, ins.made.Load()-ins.gone.Load(), ins.made.Load())
		assert.True(t, outs.allGone(), "%s: %d of %d outputs are kept", name, outs.made.Load()-outs.gone.Load(), outs.made.Load())
	}
	closing(t, p)
}

// "The handle may be kept for a long time": it has the output, and not the input.
func TestJobKeepsItsOutputOnly(t *testing.T) {
	var ins, outs watched
	p := pool.New(func(context.Context, *big) (*big, error) { return outs.make(), nil })
	j := submit(t, p, ins.make())
	_, err := j.Wait(t.Context())
	require.NoError(t, err)
	assert.True(t, ins.allGone())
	assert.Zero(t, outs.gone.Load())
	r, _ := j.Result()
	assert.NotNil(t, r.Value)
	closing(t, p)
}

// A job that submits the next one with its own context hands on the values that it was lent,
// and is not kept by it: such a chain may go on for ever.
func TestJobThatSubmitsTheNextOneIsNotKept(t *testing.T) {
	const n = 100
	for name, opts := range map[string][]pool.Option{"plain": nil, "with a timeout": {pool.Timeout(time.Hour)}} {
		var outs watched
		gate, ended := make(chan struct{}), make(chan struct{})
		var p *pool.Pool[int, *big]
		p = pool.New(func(ctx context.Context, i int) (*big, error) {
			assert.Equal(t, "lent", ctx.Value(key{}), "generation %d", i)
			if i < n {
				if _, err := p.Submit(ctx, i+1); err != nil {
					return nil, err
				}
				return outs.make(), nil
			}
			close(ended)
			<-gate
			return nil, nil
		}, append(opts, pool.Workers(1))...)
		_, err := p.Submit(context.WithValue(t.Context(), key{}, "lent"), 0)
		require.NoError(t, err)
		<-ended
		assert.True(t, outs.allGone(), "%s: %d of %d outputs are kept by the job behind them", name, n-outs.gone.Load(), n)
		close(gate)
		closing(t, p)
	}
}
