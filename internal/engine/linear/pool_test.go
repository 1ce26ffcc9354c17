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

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// A pool that is paused: what is accepted waits, until it is canceled or the pool ends.
//
// Two methods are no single step, nor do they say so. Cancel claims the job, which shows as running then, and afterwards
// ends it, which is counted, and lets go of its place, which may come first. Close stops the intake and then ends the
// jobs, one after the other, but for those that somebody else is canceling. So each is several operations here, of which
// the first one has to come first.
type (
	submit  struct{ v int } // returns an error
	try     struct{ v int } // returns an error
	claim   struct{ v int } // of Cancel of v, which was accepted
	settle  struct{ v int } // of Cancel
	letGo   struct{ v int } // of Cancel
	status  struct{ v int } // of v, which was accepted; returns a result.Status
	count   struct{}        // returns a pool.Stats
	stop    struct{}        // the first half of Close
	stopped struct{}        // the second half

	// jobs is the state: its slices are sorted, and never written to.
	jobs struct {
		waiting  []int
		claimed  []int // by Cancel
		leaving  []int // claimed or canceled, and have their place still
		canceled int
		closing  bool
		closed   bool
	}
)

func (s jobs) in(v int) jobs {
	s.waiting = with(s.waiting, v)
	return s
}

// with is a sorted slice and v.
func with(all []int, v int) []int {
	at, _ := slices.BinarySearch(all, v)
	return slices.Insert(slices.Clone(all), at, v)
}

func (s jobs) full(limit int) bool { return len(s.waiting)+len(s.leaving) >= limit }

// without is a sorted slice without v, and whether it was there.
func without(all []int, v int) ([]int, bool) {
	at, ok := slices.BinarySearch(all, v)
	if !ok {
		return all, false
	}
	return slices.Delete(slices.Clone(all), at, at+1), true
}

func poolModel(limit int) *porcupine.Model {
	return &porcupine.Model{
		Init: func() any { return jobs{} },
		Equal: func(a, b any) bool {
			x, y := a.(jobs), b.(jobs)
			return x.closing == y.closing && x.closed == y.closed && x.canceled == y.canceled &&
				slices.Equal(x.waiting, y.waiting) && slices.Equal(x.claimed, y.claimed) && slices.Equal(x.leaving, y.leaving)
		},
		Step: func(state, op, out any) (bool, any) {
			s := state.(jobs)
			err, _ := out.(error)
			switch op := op.(type) {
			case submit:
				switch {
				case err == nil:
					return !s.closing && !s.full(limit), s.in(op.v)
				case errors.Is(err, pool.ErrClosed):
					return s.closing, s
				default:
					return errors.Is(err, context.Canceled), s
				}
			case try:
				switch {
				case err == nil:
					return !s.closing && !s.full(limit), s.in(op.v)
				case errors.Is(err, pool.ErrClosed):
					return s.closing, s
				default:
					return errors.Is(err, pool.ErrFull) && !s.closing && s.full(limit), s
				}
			case claim:
				left, ok := without(s.waiting, op.v)
				if ok {
					s.waiting, s.claimed, s.leaving = left, with(s.claimed, op.v), with(s.leaving, op.v)
				}
				return true, s // or it has ended already
			case settle:
				left, ok := without(s.claimed, op.v)
				if ok {
					s.claimed, s.canceled = left, s.canceled+1
				}
				_, waits := slices.BinarySearch(s.waiting, op.v)
				return !waits, s
			case letGo:
				s.leaving, _ = without(s.leaving, op.v)
				_, waits := slices.BinarySearch(s.waiting, op.v)
				return !waits, s
			case status:
				if _, waits := slices.BinarySearch(s.waiting, op.v); waits {
					return out == result.Queued || s.closing, s // it ends in these instants
				}
				if _, claimed := slices.BinarySearch(s.claimed, op.v); claimed {
					return out == result.Running, s
				}
				return out == result.Canceled, s
			case count:
				got := out.(pool.Stats)
				live := len(s.waiting) + len(s.claimed)
				if got.Accepted != uint64(s.canceled+live) || got.Accepted != got.Canceled+uint64(got.Queued+got.Running) {
					return false, s
				}
				return got.Queued == live || s.closing && !s.closed, s
			case stop:
				s.closing = true
				return true, s
			case stopped:
				ended := len(s.waiting)
				s.waiting, s.canceled, s.closed = nil, s.canceled+ended, true
				return s.closing, s
			}
			return false, s
		},
		DescribeOperation: func(in, out any) string {
			if got, ok := out.(pool.Stats); ok {
				out = fmt.Sprintf("%d accepted, %d queued, %d running, %d canceled", got.Accepted, got.Queued, got.Running, got.Canceled)
			}
			return fmt.Sprintf("%T%v = %v", in, in, out)
		},
	}
}

// recordPool records a history. lie, if not nil, changes what submits are said to have returned.
func recordPool(seed uint64, limit, clients, calls int, lie func(error) error) *history {
	var h history
	root := rand.New(rand.NewPCG(seed, 0))
	p := pool.New(func(context.Context, int) (int, error) { panic("it is paused") }, pool.Workers(1), pool.Queue(limit))
	p.Pause()
	var wg sync.WaitGroup
	for client := range clients {
		r := rand.New(rand.NewPCG(root.Uint64(), 0))
		wg.Go(func() {
			mine := map[int]*pool.Job[int]{}
			var known []int
			for i := range calls {
				v := (client+1)*100 + i
				in := func(op any, f func() (*pool.Job[int], error)) {
					h.call(client, op, func() any {
						j, err := f()
						if err == nil {
							mine[v] = j
							known = append(known, v)
						}
						if lie != nil {
							err = lie(err)
						}
						return err
					})
				}
				switch n := r.IntN(10); {
				case n < 3:
					in(try{v}, func() (*pool.Job[int], error) { return p.TrySubmit(v) })
				case n < 5:
					ctx, cancel := context.WithCancel(context.Background())
					go func() {
						jitter(rand.New(rand.NewPCG(seed, uint64(v))))
						cancel()
					}()
					in(submit{v}, func() (*pool.Job[int], error) { return p.Submit(ctx, v) })
					cancel()
				case n < 7 && len(known) > 0:
					of := known[r.IntN(len(known))]
					h.steps(client, clients+1, []any{claim{of}, settle{of}, letGo{of}}, func() { mine[of].Cancel(nil) })
				case n < 9 && len(known) > 0:
					of := known[r.IntN(len(known))]
					h.call(client, status{of}, func() any { return mine[of].Status() })
				default:
					h.call(client, count{}, func() any { return p.Stats() })
				}
				jitter(r)
			}
		})
	}
	if root.IntN(2) == 0 {
		jitter(root)
	} else {
		wg.Wait()
	}
	if root.IntN(2) == 0 {
		h.steps(clients, clients+1, []any{stop{}, stopped{}}, func() { _ = p.Close() })
	}
	wg.Wait()
	_ = p.Close()
	return &h
}

func TestPoolTakesWhatItHasRoomForUntilItIsClosed(t *testing.T) {
	for i := range histories() {
		seed := rand.Uint64()
		limit := 1 + i%3
		accept(t, poolModel(limit), recordPool(seed, limit, 3, 6, nil), seed)
	}
}

func TestAPoolThatLiesIsFound(t *testing.T) {
	for name, lie := range map[string]func(error) error{
		"full as closed": func(err error) error {
			if errors.Is(err, pool.ErrFull) {
				return pool.ErrClosed
			}
			return err
		},
		"refused as accepted": func(error) error { return nil },
		"accepted as refused": func(err error) error {
			if err == nil {
				return pool.ErrFull
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(500) {
				if !linearizable(poolModel(2), recordPool(seed, 2, 3, 6, lie)) {
					return
				}
			}
			assert.Fail(t, "not found")
		})
	}
}
