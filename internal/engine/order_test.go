package engine

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// shuffler is a worker of an ordered stage whose items end in any order: each
// input v has v%5 outputs.
type shuffler struct {
	order    *Order[[2]int]
	rnd      *rand.Rand
	inFlight *atomic.Int64
	p        *part
}

func (s *shuffler) Begin(*Taker[int])               {}
func (s *shuffler) Failed(*Taker[int], *int, error) {}
func (s *shuffler) End() int64                      { s.order.Flush(); return 0 }
func (s *shuffler) Handle(t *Taker[int], v *int) {
	for range s.rnd.IntN(200) {
		s.inFlight.Load() // takes a while
	}
	n := *v % 5
	if *v%1000 == 999 {
		n = 500 // more than any buffer holds
	}
	if n == 1 {
		put(s.order, t.Seq(), &[2]int{*v, 0})
		return
	}
	for i := range n {
		s.order.PutPart(s.p, t.Seq(), &[2]int{*v, i})
	}
	finish(s.order, t.Seq())
}

func TestOrderedOutputsAreInTheOrderOfInputs(t *testing.T) {
	const n = 5000
	for _, window := range []int{4, 7, 64, 1000} {
		for _, limit := range []int{1, 16, 256} {
			in, out := NewQueue[int](NewClock(), 64), NewQueue[[2]int](NewClock(), limit)
			order := NewOrder(in, out, window)
			var wg sync.WaitGroup
			wg.Add(1)
			var inFlight atomic.Int64
			crew := NewCrew(in, 4, &wg, func(id int) Handler[int] {
				return &shuffler{
					order: order, inFlight: &inFlight, p: &part{wake: make(chan struct{}, 1)},
					rnd: rand.New(rand.NewPCG(uint64(id), 1)),
				}
			}, out.Close)
			go func() {
				box := in.NewOutbox()
				for i := range n {
					box.Put(&i)
				}
				box.Flush()
				crew.Close()
			}()
			var got [][2]int
			for taker := out.NewTaker(); taker.Next(0); {
				out.mu.Lock()
				require.LessOrEqual(t, out.items.size, limit)
				out.mu.Unlock()
				in.mu.Lock()
				require.LessOrEqual(t, in.taken-order.window.passed.Load(), uint64(window))
				in.mu.Unlock()
				for it := taker.Claim(); it != nil; it = taker.Claim() {
					got = append(got, *it)
				}
			}
			wg.Done()
			wg.Wait()
			at := 0
			for v := range n {
				outputs := v % 5
				if v%1000 == 999 {
					outputs = 500
				}
				for i := range outputs {
					require.Equal(t, [2]int{v, i}, got[at], "window %d, limit %d", window, limit)
					at++
				}
			}
			require.Len(t, got, at)
		}
	}
}

// put and finish are Lay and Finish for a handler that does not begin with Look.
func put[T any](o *Order[T], seq uint64, v *T) {
	*o.Place(seq) = *v
	o.Lay(seq)
	o.Flush()
}

func finish[T any](o *Order[T], seq uint64) {
	o.Finish(seq)
	o.Flush()
}
