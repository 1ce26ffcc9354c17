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

// queue is what is checked: an engine.Queue, or one that is broken on purpose.
type queue interface {
	Put(ctx context.Context, v int) error
	TryPut(v int) error
	Replace(v int) (dropped int, full bool, err error)
	Waiting() int
	Close()
	// Take waits for a chunk; nil: closed and empty. For one taker.
	Take() []int
}

// The operations, and what they return.
type (
	put     struct{ v int } // returns an error
	tryPut  struct{ v int } // returns an error
	replace struct{ v int } // returns replaced
	take    struct{}        // returns []int
	waiting struct{}        // returns an int
	closing struct{}        // returns nil

	replaced struct {
		dropped int
		full    bool
		err     error
	}
)

// fifo is the state of the model: its items are never written to.
type fifo struct {
	items  []int
	closed bool
}

func (s fifo) with(v int) fifo { return fifo{append(slices.Clip(s.items), v), s.closed} }

// fifoModel is a queue of at most limit items.
func fifoModel(limit int) *porcupine.Model {
	return &porcupine.Model{
		Init: func() any { return fifo{} },
		Equal: func(a, b any) bool {
			return a.(fifo).closed == b.(fifo).closed && slices.Equal(a.(fifo).items, b.(fifo).items)
		},
		Step: func(state, in, out any) (bool, any) {
			s := state.(fifo)
			full := len(s.items) >= limit
			switch in := in.(type) {
			case put:
				switch err, _ := out.(error); {
				case err == nil:
					return !s.closed && !full, s.with(in.v)
				case errors.Is(err, engine.ErrClosed):
					return s.closed, s
				default: // its context has ended, and it has left no trace
					return errors.Is(err, context.Canceled), s
				}
			case tryPut:
				switch err, _ := out.(error); {
				case err == nil:
					return !s.closed && !full, s.with(in.v)
				case errors.Is(err, engine.ErrClosed):
					return s.closed, s
				default:
					return errors.Is(err, engine.ErrFull) && !s.closed && full, s
				}
			case replace:
				switch r := out.(replaced); {
				case r.err != nil:
					return s.closed && !r.full, s
				case r.full:
					if s.closed || !full || s.items[0] != r.dropped {
						return false, s
					}
					return true, fifo{s.items[1:], false}.with(in.v)
				default:
					return !s.closed && !full, s.with(in.v)
				}
			case take:
				got := out.([]int)
				if got == nil {
					return s.closed && len(s.items) == 0, s
				}
				n := len(got)
				return n > 0 && n <= len(s.items) && slices.Equal(got, s.items[:min(n, len(s.items))]),
					fifo{s.items[min(n, len(s.items)):], s.closed}
			case waiting:
				return out.(int) == len(s.items), s
			case closing:
				return true, fifo{s.items, true}
			}
			return false, s
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%T%v = %v", in, in, out) },
	}
}

// record has some goroutines use q at random.
func record(q queue, seed uint64, putters, calls int) *history {
	var h history
	root := rand.New(rand.NewPCG(seed, 0))
	var producers, taker sync.WaitGroup
	taker.Go(func() {
		r := rand.New(rand.NewPCG(seed, 1))
		for more := true; more; {
			h.call(0, take{}, func() any {
				got := q.Take()
				more = got != nil
				return got
			})
			jitter(r)
		}
	})
	for client := 1; client <= putters; client++ {
		r := rand.New(rand.NewPCG(root.Uint64(), 0))
		producers.Go(func() {
			for i := range calls {
				v := client*100 + i
				switch r.IntN(8) {
				case 0, 1, 2:
					h.call(client, put{v}, func() any { return q.Put(context.Background(), v) })
				case 3:
					ctx, cancel := context.WithCancel(context.Background())
					go cancel()
					h.call(client, put{v}, func() any { return q.Put(ctx, v) })
					cancel()
				case 4, 5:
					h.call(client, tryPut{v}, func() any { return q.TryPut(v) })
				case 6:
					h.call(client, replace{v}, func() any {
						dropped, full, err := q.Replace(v)
						return replaced{dropped, full, err}
					})
				default:
					h.call(client, waiting{}, func() any { return q.Waiting() })
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
	h.call(putters+1, closing{}, func() any { q.Close(); return nil })
	producers.Wait()
	taker.Wait()
	return &h
}

// engineQueue is an engine.Queue with one taker.
type engineQueue struct {
	*engine.Queue[int]
	taker *engine.Taker[int]
}

func newEngineQueue(limit int) *engineQueue {
	q := engine.NewQueue[int](engine.NewClock(), limit)
	return &engineQueue{q, q.NewTaker()}
}

func (q *engineQueue) Replace(v int) (dropped int, full bool, err error) {
	return q.Queue.Replace(v, nil)
}

func (q *engineQueue) Waiting() int {
	n, _ := q.Counts()
	return n
}

func (q *engineQueue) Take() []int {
	if !q.taker.Next(0) {
		return nil
	}
	var got []int
	for v := q.taker.Claim(); v != nil; v = q.taker.Claim() {
		got = append(got, *v)
	}
	return got
}

func TestQueueWithOneTakerIsABoundedFIFO(t *testing.T) {
	for i := range histories() {
		seed := rand.Uint64()
		limit := 1 + i%3
		accept(t, fifoModel(limit), record(newEngineQueue(limit), seed, 3, 6), seed)
	}
}

// broken is a queue that is right but for what is overridden.
type broken struct {
	*engineQueue
	room    int // beyond the limit
	tryPut  func(q *engineQueue, v int) error
	waiting func(q *engineQueue) int
	take    func(q *engineQueue) []int
	closes  func(q *engineQueue)
}

func (b broken) TryPut(v int) error {
	if b.tryPut == nil {
		return b.engineQueue.TryPut(v)
	}
	return b.tryPut(b.engineQueue, v)
}

func (b broken) Waiting() int {
	if b.waiting == nil {
		return b.engineQueue.Waiting()
	}
	return b.waiting(b.engineQueue)
}

func (b broken) Take() []int {
	if b.take == nil {
		return b.engineQueue.Take()
	}
	return b.take(b.engineQueue)
}

func (b broken) Close() {
	if b.closes == nil {
		b.engineQueue.Close()
		return
	}
	b.closes(b.engineQueue)
}

// What is broken in one place is found: so the check sees what it is there for.
func TestBrokenQueuesAreFound(t *testing.T) {
	const limit = 2
	for name, b := range map[string]broken{
		"loses an item that it has accepted": {tryPut: func(*engineQueue, int) error { return nil }},
		"puts an item in twice": {tryPut: func(q *engineQueue, v int) error {
			if err := q.TryPut(v); err != nil {
				return err
			}
			_ = q.TryPut(v)
			return nil
		}},
		"is full one item too early": {tryPut: func(q *engineQueue, v int) error {
			if q.Waiting() >= limit-1 {
				return engine.ErrFull
			}
			return q.TryPut(v)
		}},
		"takes an item beyond its limit": {room: 1},
		"counts one that is not there":   {waiting: func(q *engineQueue) int { return q.Waiting() + 1 }},
		"gives what is behind first": {take: func(q *engineQueue) []int {
			got := q.Take()
			slices.Reverse(got)
			return got
		}},
		"ends with items left": {take: func(q *engineQueue) []int {
			for got := q.Take(); got != nil; got = q.Take() {
				if got[0]%100 != 1 {
					return got
				}
			}
			return nil
		}},
		"goes on after the close": {closes: func(q *engineQueue) { go q.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3000) {
				b.engineQueue = newEngineQueue(limit + b.room)
				if !linearizable(fifoModel(limit), record(b, seed, 3, 6)) {
					return
				}
			}
			assert.Fail(t, "not found")
		})
	}
}
