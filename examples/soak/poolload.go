package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// load is one kind of work. A round of it is short, leaves nothing behind, and may run beside others.
type load struct {
	name  string
	round func(ctx context.Context, r *rand.Rand, b *book)
}

// tasked is the pool of all loads but the stateful one.
type tasked = pool.Pool[*task, output]

// poolOptions are random ones, fit for all methods.
func poolOptions(r *rand.Rand) []pool.Option {
	opts := []pool.Option{pool.Workers(1 + r.IntN(8)), pool.Queue(1 + r.IntN(64)), pool.Capacity(4)}
	some := func(percent int, o func() pool.Option) {
		if r.IntN(100) < percent {
			opts = append(opts, o())
		}
	}
	some(50, func() pool.Option {
		return pool.Retry(pool.RetryPolicy{Attempts: 2 + r.IntN(2), Base: time.Millisecond, Budget: float64(r.IntN(2)) / 4})
	})
	some(30, func() pool.Option { return pool.Timeout(time.Duration(1+r.IntN(10)) * time.Millisecond) })
	some(30, func() pool.Option { return pool.Limit(&refusing{every: 10 + r.Int64N(30)}) })
	some(30, func() pool.Option { return pool.Track(r.IntN(50)) })
	some(30, func() pool.Option { return pool.IdleTimeout(time.Millisecond, r.IntN(2)) })
	some(40, func() pool.Option { return pool.Observe((&observer{}).tell) })
	some(30, func() pool.Option { return pool.Name(fmt.Sprint("pool ", r.IntN(100))) })
	return opts
}

// refusing is a limit that refuses now and then.
type refusing struct {
	every int64
	asked atomic.Int64
}

var errRefused = errors.New("injected refusal")

func (f *refusing) Wait(ctx context.Context) error {
	if f.asked.Add(1)%f.every == 0 {
		return errRefused
	}
	return ctx.Err()
}

// observer is one that is slow and panics now and then.
type observer struct{ told int }

func (o *observer) tell(e pool.Event) {
	o.told++
	switch {
	case o.told%50 == 0:
		panic(e)
	case o.told%97 == 0:
		time.Sleep(time.Millisecond)
	}
}

// jobOptions are random ones.
func jobOptions(r *rand.Rand) []pool.JobOption {
	var opts []pool.JobOption
	if r.IntN(3) == 0 {
		opts = append(opts, pool.Key(r.IntN(4)))
	}
	if r.IntN(4) == 0 {
		opts = append(opts, pool.Priority(r.IntN(5)-2))
	}
	if r.IntN(6) == 0 {
		opts = append(opts, pool.After(time.Duration(r.IntN(5000))*time.Microsecond))
	}
	if r.IntN(6) == 0 {
		opts = append(opts, pool.Weight(1+r.Int64N(4)))
	}
	return opts
}

// steer does to a pool what an operator may do, until stop is closed, and leaves it running.
func steer(r *rand.Rand, p *tasked, stop <-chan struct{}) {
	most := 1 + r.IntN(8)
	for {
		select {
		case <-stop:
			p.Resume()
			_ = p.Resize(most) // the pool may be closed
			return
		case <-time.After(time.Duration(r.IntN(2000)) * time.Microsecond):
		}
		switch r.IntN(8) {
		case 0, 1:
			_ = p.Resize(r.IntN(9))
		case 2:
			p.Pause()
		case 3:
			p.Resume()
		case 4:
			_ = p.Halt(r.IntN(8))
		case 5:
			_ = p.HaltNow(r.IntN(8))
		case 6:
			for _, job := range p.Jobs() {
				if j, ok := p.Job(job.ID); ok && r.IntN(20) == 0 {
					j.Cancel(nil)
				}
			}
		default:
			_ = p.Stats()
			_ = p.Workers()
		}
	}
}

// handed is a job with its task.
type handed struct {
	t *task
	j *pool.Job[output]
}

// settle waits for the job's end and enters it.
func (h handed) settle() {
	<-h.j.Done()
	r, ok := h.j.Result()
	if !ok {
		h.t.book.errorf("job %d is done and has no result", h.j.ID())
	}
	h.t.end(r.Value, r.Err, r.Attempt)
}

// submitRound fills a pool of its own from several goroutines, steers and ends it.
func submitRound(ctx context.Context, r *rand.Rand, b *book) {
	policy := pool.Policy(r.IntN(4))
	p := pool.New(call, append(poolOptions(r), pool.WhenFull(policy))...)
	var (
		submitters, steering sync.WaitGroup
		mu                   sync.Mutex
		jobs                 []handed
		gone                 int64 // jobs that ended the goroutine of their submitter
	)
	stop := make(chan struct{})
	if r.IntN(2) == 0 {
		own := fork(r)
		steering.Go(func() { steer(own, p, stop) })
	}
	for range 1 + r.IntN(4) {
		own := fork(r)
		submitters.Go(func() {
			for _, t := range tasks(own, b, own.IntN(60), p.Do) {
				j, err, returned := submit(ctx, own, p, t)
				switch {
				case !returned:
					b.accepted.Add(1)
					mu.Lock()
					gone++
					mu.Unlock()
					t.settle()
				case err != nil:
					b.refused.Add(1)
					if t.calls.Load() != 0 {
						b.errorf("submit says %v, and has called the function", err)
					}
				default:
					b.accepted.Add(1)
					mu.Lock()
					jobs = append(jobs, handed{t, j})
					mu.Unlock()
					if own.IntN(15) == 0 {
						j.Cancel(errFaultCause)
					}
				}
			}
		})
	}
	if r.IntN(3) > 0 {
		submitters.Wait()
	}
	close(stop)
	steering.Wait()
	if r.IntN(3) > 0 {
		deadline, cancel := context.WithTimeout(ctx, time.Duration(1+r.IntN(200))*time.Millisecond)
		_ = p.Shutdown(deadline) // at its deadline the rest is canceled
		cancel()
	}
	_ = p.Close()
	submitters.Wait()
	for _, h := range jobs {
		h.settle()
	}
	balance(b, p.Stats(), int64(len(jobs))+gone)
}

var errFaultCause = errors.New("injected cause")

// submit puts a task into the pool by one of the two ways. It reports whether the call has returned: under
// [pool.CallerRuns] a task that exits ends the goroutine of its submitter.
func submit(ctx context.Context, r *rand.Rand, p *tasked, t *task) (j *pool.Job[output], err error, returned bool) { //nolint:revive // returned is about both
	if r.IntN(4) == 0 {
		j, err = p.TrySubmit(t, jobOptions(r)...)
		return j, err, true
	}
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	returned = apart(func() { j, err = p.Submit(ctx, t, jobOptions(r)...) })
	return j, err, returned
}

// balance holds the counts of a pool whose jobs have all ended against those of its callers. A worker may still be about
// to put down the last one.
func balance(b *book, s pool.Stats, accepted int64) {
	ended := s.Succeeded + s.Failed + s.Panicked + s.Canceled + s.Dropped
	if s.Accepted != uint64(accepted) || s.Accepted != ended || s.Queued != 0 || s.Running != 0 {
		b.errorf("the callers have %d jobs, the pool says: %v", accepted, s)
	}
}

// doRound asks a pool from several goroutines at once.
func doRound(ctx context.Context, r *rand.Rand, b *book) {
	p := pool.New(call, poolOptions(r)...)
	defer p.Close()
	var wg sync.WaitGroup
	for range 1 + r.IntN(12) {
		own := fork(r)
		wg.Go(func() {
			for _, t := range tasks(own, b, own.IntN(10), p.Do) {
				b.accepted.Add(1)
				limited, cancel := bounded(ctx, own)
				var o output
				var err error
				if apart(func() { o, err = p.Do(limited, t) }) {
					t.end(o, err, -1)
				} else {
					t.settle()
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// bounded has a context that ends soon in one of five cases.
func bounded(ctx context.Context, r *rand.Rand) (context.Context, context.CancelFunc) {
	if r.IntN(5) == 0 {
		return context.WithTimeout(ctx, time.Duration(r.IntN(3000))*time.Microsecond)
	}
	return context.WithCancel(ctx)
}

// mapRound maps slices, some of which have no fault in them.
func mapRound(ctx context.Context, r *rand.Rand, b *book) {
	p := pool.New(call, poolOptions(r)...)
	defer p.Close()
	var wg sync.WaitGroup
	for range 1 + r.IntN(3) {
		own := fork(r)
		wg.Go(func() {
			ins := tasks(own, b, own.IntN(200), p.Do)
			if own.IntN(2) == 0 {
				for _, t := range ins {
					t.do = works
				}
			}
			b.accepted.Add(int64(len(ins)))
			limited, cancel := bounded(ctx, own)
			defer cancel()
			var outs []output
			var err error
			returned := apart(func() { outs, err = p.Map(limited, ins) })
			for i, t := range ins {
				if returned && err == nil {
					t.end(outs[i], nil, -1)
				} else {
					t.settle()
				}
			}
		})
	}
	wg.Wait()
}

// streamRound reads streams to their end, leaves them early, or has their context end.
func streamRound(ctx context.Context, r *rand.Rand, b *book) {
	p := pool.New(call, poolOptions(r)...)
	defer p.Close()
	var wg sync.WaitGroup
	for range 1 + r.IntN(3) {
		own := fork(r)
		wg.Go(func() {
			ins := tasks(own, b, own.IntN(300), p.Do)
			leave := -1
			if own.IntN(3) == 0 {
				leave = own.IntN(300)
			}
			limited, cancel := bounded(ctx, own)
			defer cancel()
			readResults(b, p.Stream(limited, given(b, slices.Values(ins))), ins, leave)
		})
	}
	wg.Wait()
}

// given accepts what is taken from a sequence.
func given(b *book, ins func(func(*task) bool)) func(func(*task) bool) {
	return func(yield func(*task) bool) {
		for t := range ins {
			b.accepted.Add(1)
			t.outcome.Store(taken)
			if !yield(t) {
				return
			}
		}
	}
}

// taken is the outcome of a task that has left its source and was not called.
const taken = -1

// readResults enters the results of inputs, one for each that was taken, unless the loop is left after some.
func readResults(b *book, results func(func(result.Result[output]) bool), ins []*task, leave int) {
	n := 0
	for r := range results {
		if r.Index < 0 || r.Index >= len(ins) {
			b.errorf("a result of input %d, of %d: %v", r.Index, len(ins), r.Err)
			continue
		}
		ins[r.Index].end(r.Value, r.Err, r.Attempt)
		if n++; n == leave {
			break
		}
	}
	left := leave > 0 && n == leave
	for _, t := range ins {
		switch {
		case t.ends.Load() > 0 || t.outcome.Load() == 0 && t.calls.Load() == 0:
		case left:
			t.settle()
		default:
			b.errorf("task %d (%d) was taken, and has no result after %d calls", t.in, t.do, t.calls.Load())
			t.settle()
		}
	}
}

// statefulRound has workers with a state each, which fails to open or close now and then.
func statefulRound(ctx context.Context, r *rand.Rand, b *book) {
	type state struct{ inUse atomic.Bool }
	var opened, closed, tries atomic.Int64
	p := pool.NewStateful(
		func(context.Context, int) (*state, error) {
			switch n := tries.Add(1); {
			case n%5 == 0:
				return nil, errRefused
			case n%7 == 0:
				panic(errRefused)
			}
			opened.Add(1)
			return &state{}, nil
		},
		func(ctx context.Context, s *state, t *task) (output, error) {
			if s.inUse.Swap(true) {
				b.errorf("a state in two calls at once")
			}
			defer s.inUse.Store(false)
			return call(ctx, t)
		},
		func(*state) error {
			if closed.Add(1)%6 == 0 {
				return errRefused
			}
			return nil
		},
		poolOptions(r)...)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				_ = p.Resize(2)
				return
			case <-time.After(500 * time.Microsecond):
				_ = p.Halt(i % 8)
				_ = p.Resize(1 + i%8)
			}
		}
	})
	var jobs []handed
	for _, t := range tasks(r, b, r.IntN(150), nil) {
		limited, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		j, err := p.Submit(limited, t, jobOptions(r)...)
		cancel()
		if err != nil {
			b.refused.Add(1)
			continue
		}
		b.accepted.Add(1)
		jobs = append(jobs, handed{t, j})
	}
	close(stop)
	wg.Wait()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+r.IntN(200))*time.Millisecond)
	_ = p.Shutdown(ctx)
	cancel()
	_ = p.Close()
	for _, h := range jobs {
		h.stateSettle()
	}
	balance(b, p.Stats(), int64(len(jobs)))
	if opened.Load() != closed.Load() {
		b.errorf("%d states opened, %d closed", opened.Load(), closed.Load())
	}
}

// stateSettle is settle where a state may fail to open, for which the function is not called, though the attempt counts.
func (h handed) stateSettle() {
	<-h.j.Done()
	r, _ := h.j.Result()
	if errors.Is(r.Err, errRefused) {
		k := kindOf(r.Err, r.Attempt)
		h.t.book.ended[k].Add(1)
		h.t.ends.Add(1)
		return
	}
	h.t.end(r.Value, r.Err, -1)
}
