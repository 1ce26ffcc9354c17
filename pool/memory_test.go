package pool_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

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

// "The handle may be kept for long": it has the output, and not the input.
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
