package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A ring under random use holds what a slice would, in the same order, and
// nothing in the places that were given up.
func TestRingIsAQueue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var r ring[*int]
	var model []*int
	for range 20_000 {
		switch rnd.IntN(4) {
		case 0:
			v := new(int)
			r.push(v)
			model = append(model, v)
		case 1:
			vs := make([]*int, rnd.IntN(40))
			for i := range vs {
				vs[i] = new(int)
			}
			r.pushAll(vs)
			model = append(model, vs...)
		case 2:
			dst := make([]*int, rnd.IntN(80))
			n := r.shift(dst)
			require.Equal(t, min(len(dst), len(model)), n)
			for i := range n {
				require.Same(t, model[i], dst[i])
			}
			model = model[n:]
		case 3:
			dead := make(map[*int]bool)
			for _, v := range model {
				dead[v] = rnd.IntN(3) == 0
			}
			isDead := func(v *int) bool { return dead[v] }
			r.remove(isDead)
			model = slices.DeleteFunc(model, isDead)
		}
		require.Equal(t, len(model), r.size)
	}
	r.shift(make([]*int, r.size))
	for _, v := range r.buf {
		require.Nil(t, v, "a taken item is kept alive")
	}
}

func TestPaceFitsTheQuantum(t *testing.T) {
	var p pace
	require.Equal(t, 1, p.fit(64), "nothing is known: one at a time")
	p.learn(1000, 10) // 100 ns each
	require.Equal(t, 64, p.fit(64))
	require.Equal(t, 500, p.fit(1024))
	p.learn(10_000, 1) // dearer: believed at once
	require.Equal(t, 5, p.fit(64))
	p.learn(int64(quantum)*20, 1)
	require.Equal(t, 1, p.fit(64))
	for range 100 { // cheaper: by and by
		p.learn(100, 1)
	}
	require.Equal(t, 64, p.fit(64))
}
