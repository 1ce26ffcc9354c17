package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// forker is a worker of one of several ordered stages that feed the same queue: each
// input v has v%4 outputs, which tell the stage, the input and their place.
type forker struct {
	stage int
	order *Order[[3]int]
	rnd   *rand.Rand
	noise *atomic.Int64
	p     *part
}

func (f *forker) Begin(*Taker[int])               {}
func (f *forker) Failed(*Taker[int], *int, error) {}
func (f *forker) End() int64                      { f.order.Flush(); return 0 }
func (f *forker) Handle(t *Taker[int], v *int) {
	for range f.rnd.IntN(100) {
		f.noise.Load() // takes a while
	}
	n := forks(*v)
	if n == 1 {
		put(f.order, t.Seq(), &[3]int{f.stage, *v, 0})
		return
	}
	for i := range n {
		f.order.PutPart(f.p, t.Seq(), &[3]int{f.stage, *v, i})
	}
	finish(f.order, t.Seq())
}

func forks(v int) int {
	if v%500 == 499 {
		return 3 * MaxChunk // it has to wait for its turn
	}
	return v % 4
}

// forked puts an ordered stage of n inputs before out; done is called at its end.
func forked(stage, n, workers, window int, out *Queue[[3]int], wg *sync.WaitGroup, done func()) {
	in := NewQueue[int](NewClock(), 4)
	order := NewOrder(in, out, window)
	crew := NewCrew(in, workers, wg, func(id int) Handler[int] {
		return &forker{
			stage: stage, order: order, noise: new(atomic.Int64), p: &part{wake: make(chan struct{}, 1)},
			rnd: rand.New(rand.NewPCG(uint64(id), uint64(stage))),
		}
	}, done)
	wg.Go(func() {
		box := in.NewOutbox()
		for i := range n {
			box.Put(&i)
		}
		box.Flush()
		crew.Close()
	})
}

// plainly puts n items into out without an order stage.
func plainly(stage, n int, out *Queue[[3]int], wg *sync.WaitGroup, done func()) {
	box := out.NewOutbox()
	wg.Go(func() {
		for i := range n {
			box.Put(&[3]int{stage, i, 0})
		}
		box.Flush()
		done()
	})
}

// Several ordered stages and plain producers feed one queue: each keeps its own order, all
// arrives, nobody waits for ever, however small the queue and the windows are.
func TestSeveralOrderedStagesFeedOneQueue(t *testing.T) {
	const ordered, plain, n = 3, 2, 1200
	for _, window := range []int{2, 3, 64} {
		for _, limit := range []int{1, 2, 64} {
			t.Run(fmt.Sprint("window ", window, " limit ", limit), func(t *testing.T) {
				out := NewQueue[[3]int](NewClock(), limit)
				var wg sync.WaitGroup
				var left atomic.Int64
				left.Store(ordered + plain)
				done := func() {
					if left.Add(-1) == 0 {
						out.Close()
					}
				}
				for stage := range ordered {
					forked(stage, n, 2, window, out, &wg, done)
				}
				for stage := range plain {
					plainly(ordered+stage, n, out, &wg, done)
				}
				var got [ordered + plain][][2]int
				for taker := out.NewTaker(); taker.Next(0); {
					size, _ := out.Depth()
					require.LessOrEqual(t, size, limit)
					for it := taker.Claim(); it != nil; it = taker.Claim() {
						got[it[0]] = append(got[it[0]], [2]int{it[1], it[2]})
					}
				}
				wg.Wait()
				for stage, all := range got {
					at := 0
					for v := range n {
						outputs := 1
						if stage < ordered {
							outputs = forks(v)
						}
						for i := range outputs {
							require.Equal(t, [2]int{v, i}, all[at], "stage %d", stage)
							at++
						}
					}
					require.Len(t, all, at)
				}
			})
		}
	}
}

// The same, with the queue being that of another ordered stage, of which takers wait for
// the window: the stages behind each other wake each other in both directions.
func TestOrderedStagesBeforeAnOrderedStage(t *testing.T) {
	for _, limit := range []int{1, 5} {
		mid, out := NewQueue[[3]int](NewClock(), limit), NewQueue[[3]int](NewClock(), 1)
		order := NewOrder(mid, out, 3)
		var wg sync.WaitGroup
		wg.Add(1)
		crew := NewCrew(mid, 3, &wg, func(int) Handler[[3]int] { return passer{order} }, out.Close)
		var left atomic.Int64
		left.Store(2)
		for stage := range 2 {
			forked(stage, 1500, 2, 2, mid, &wg, func() {
				if left.Add(-1) == 0 {
					crew.Close()
				}
			})
		}
		last := [2][2]int{{-1, 0}, {-1, 0}}
		total := 0
		for taker := out.NewTaker(); taker.Next(0); {
			for it := taker.Claim(); it != nil; it = taker.Claim() {
				was := last[it[0]]
				require.True(t, it[1] > was[0] && it[2] == 0 || it[1] == was[0] && it[2] == was[1]+1, "%v behind %v", *it, was)
				last[it[0]] = [2]int{it[1], it[2]}
				total++
			}
		}
		wg.Done()
		wg.Wait()
		want := 0
		for v := range 1500 {
			want += 2 * forks(v)
		}
		require.Equal(t, want, total)
	}
}

// passer passes its items on through an order.
type passer struct{ order *Order[[3]int] }

func (p passer) Begin(*Taker[[3]int])                  {}
func (p passer) Failed(*Taker[[3]int], *[3]int, error) {}
func (p passer) End() int64                            { p.order.Flush(); return 0 }
func (p passer) Handle(t *Taker[[3]int], v *[3]int)    { put(p.order, t.Seq(), v) }

// Who always has something ready does not keep the others from a small queue: all get
// their turns, whether they are ordered stages or plain producers.
func TestRoomIsGivenInTurns(t *testing.T) {
	for _, limit := range []int{1, 2, 3} {
		testkit.Bubble(t, func(t *testing.T) {
			const ordered, plain = 3, 2
			out := NewQueue[[3]int](NewClock(), limit)
			var wg sync.WaitGroup
			for stage := range ordered {
				in := NewQueue[int](NewClock(), 4)
				order := NewOrder(in, out, 1<<10)
				wg.Go(func() {
					for seq := range uint64(1 << 10) {
						put(order, seq, &[3]int{stage})
					}
					order.Flush()
				})
			}
			for stage := range plain {
				plainly(ordered+stage, 1<<10, out, &wg, func() {})
			}
			synctest.Wait() // all have more than they will get rid of below
			taker := out.NewTaker()
			var got [ordered + plain]int
			for range 300 / limit {
				synctest.Wait() // who was served comes back
				require.True(t, taker.Next(0))
				for it := taker.Claim(); it != nil; it = taker.Claim() {
					got[it[0]]++
				}
			}
			for stage, n := range got[:ordered] {
				require.InDelta(t, 75, n, 5, "stage %d: %v", stage, got)
			}
			require.InDelta(t, 75, got[ordered]+got[ordered+1], 5, "the plain ones: %v", got)
			out.Void()
			wg.Wait()
		})
	}
}

// One step may let several stages go on: all of them are woken.
func TestAStepThatMovesSeveralOrdersWakesAllStagesBehindThem(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		const stages = 4
		out := NewQueue[[3]int](NewClock(), 2*stages)
		var wg sync.WaitGroup
		var calls [stages]atomic.Int64
		for i := range stages {
			in := NewQueue[int](NewClock(), 16)
			order := NewOrder(in, out, 1)
			crew := NewCrew(in, 1, &wg, func(int) Handler[int] { return &ticker{&calls[i], i, order} }, func() {})
			for v := range 16 {
				require.NoError(t, in.TryPut(v))
			}
			crew.Close()
		}
		synctest.Wait()
		given := 0
		for i := range stages {
			given += int(calls[i].Load())
		}
		require.Equal(t, 3*stages, given, "the queue is full, and each has an output that waits")
		out.Void()
		wg.Wait()
		for i := range stages {
			require.EqualValues(t, 16, calls[i].Load())
		}
	})
}

// ticker counts its items and passes on their stage.
type ticker struct {
	calls *atomic.Int64
	stage int
	order *Order[[3]int]
}

func (k *ticker) Begin(*Taker[int])               {}
func (k *ticker) Failed(*Taker[int], *int, error) {}
func (k *ticker) End() int64                      { k.order.Flush(); return 0 }
func (k *ticker) Handle(t *Taker[int], _ *int) {
	k.calls.Add(1)
	put(k.order, t.Seq(), &[3]int{k.stage})
}
