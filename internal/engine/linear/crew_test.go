package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/internal/engine"
)

// bagModel is a queue with several takers: what waits to be started, sorted. started is a take of one item.
func bagModel(limit, takers int) *porcupine.Model {
	most := limit + takers*engine.MaxChunk
	in := func(s fifo, v int) fifo {
		at, _ := slices.BinarySearch(s.items, v)
		return fifo{slices.Insert(slices.Clone(s.items), at, v), s.closed}
	}
	return &porcupine.Model{
		Init:  func() any { return fifo{} },
		Equal: fifoModel(limit).Equal,
		Step: func(state, op, out any) (bool, any) {
			s := state.(fifo)
			switch op := op.(type) {
			case put:
				if err, _ := out.(error); err != nil {
					return errors.Is(err, engine.ErrClosed) && s.closed, s
				}
				return !s.closed && len(s.items) < most, in(s, op.v)
			case tryPut:
				switch err, _ := out.(error); {
				case err == nil:
					return !s.closed && len(s.items) < most, in(s, op.v)
				case errors.Is(err, engine.ErrClosed):
					return s.closed, s
				default:
					return errors.Is(err, engine.ErrFull) && !s.closed && len(s.items) >= limit, s
				}
			case started:
				at, ok := slices.BinarySearch(s.items, op.v)
				if !ok {
					return false, s
				}
				return true, fifo{slices.Delete(slices.Clone(s.items), at, at+1), s.closed}
			case closing:
				return true, fifo{s.items, true}
			case over: // the crew has ended: nothing is left
				return s.closed && len(s.items) == 0, s
			}
			return false, s
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%T%v = %v", in, in, out) },
	}
}

type (
	started struct{ v int }
	over    struct{}
)

// worker notes what it starts: at some time since it was through with the one before.
type worker struct {
	h      *history
	client int
	since  int64
	r      *rand.Rand
	twice  bool // a mutant: says that it has started the item before once more
	last   int
}

func (w *worker) Begin(*engine.Taker[int])               {}
func (w *worker) Failed(*engine.Taker[int], *int, error) {}
func (w *worker) End() int64                             { return 0 }

func (w *worker) Handle(_ *engine.Taker[int], v *int) {
	now := w.h.clock.Add(1)
	got := *v
	if w.twice && w.last != 0 {
		got = w.last
	}
	w.last = *v
	w.h.add(w.client, started{got}, nil, w.since, now)
	jitter(w.r)
	w.since = w.h.clock.Add(1)
}

func recordCrew(seed uint64, limit, takers, putters, calls int, twice bool) *history {
	var h history
	root := rand.New(rand.NewPCG(seed, 0))
	q := engine.NewQueue[int](engine.NewClock(), limit)
	var crewed, producers sync.WaitGroup
	crewed.Add(1)
	done := make(chan struct{})
	seeds := make([]uint64, takers)
	for i := range seeds {
		seeds[i] = root.Uint64()
	}
	crew := engine.NewCrew(q, takers, &crewed, func(i int) engine.Handler[int] {
		return &worker{h: &h, client: i, r: rand.New(rand.NewPCG(seeds[i], 0)), twice: twice}
	}, func() { close(done) })
	for p := range putters {
		client := takers + p
		r := rand.New(rand.NewPCG(root.Uint64(), 0))
		producers.Go(func() {
			for i := range calls {
				v := (p+1)*100 + i
				if r.IntN(2) == 0 {
					h.call(client, put{v}, func() any { return q.Put(context.Background(), v) })
				} else {
					h.call(client, tryPut{v}, func() any { return q.TryPut(v) })
				}
				jitter(r)
			}
		})
	}
	if root.IntN(2) == 0 {
		producers.Wait()
	} else {
		jitter(root)
	}
	h.call(takers+putters, closing{}, func() any { crew.Close(); return nil })
	producers.Wait()
	h.call(takers+putters, over{}, func() any { <-done; return nil })
	crewed.Done()
	crewed.Wait()
	return &h
}

func TestQueueWithSeveralTakersStartsEachItemOnce(t *testing.T) {
	for i := range histories() {
		seed := rand.Uint64()
		limit, takers := 1+i%3, 2+i%2
		accept(t, bagModel(limit, takers), recordCrew(seed, limit, takers, 3, 6, false), seed)
	}
}

func TestAnItemThatIsStartedTwiceIsFound(t *testing.T) {
	for seed := range uint64(100) {
		if !linearizable(bagModel(2, 2), recordCrew(seed, 2, 2, 3, 6, true)) {
			return
		}
	}
	assert.Fail(t, "not found")
}
