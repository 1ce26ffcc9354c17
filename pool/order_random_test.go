package pool_test

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// A random play has jobs with random options, and a pool that is paused, resized and
// halted meanwhile. A simulation of the documented rules says when each job starts;
// the pool must do exactly that, to the nanosecond.

// part is one job of a play.
type part struct {
	key      int // 0: none
	priority int
	weight   int64
	after    time.Duration
	run      time.Duration
}

func (p part) options() (opts jobOptions) {
	if p.key != 0 {
		opts = append(opts, pool.Key(p.key))
	}
	if p.priority != 0 {
		opts = append(opts, pool.Priority(p.priority))
	}
	if p.weight != 0 {
		opts = append(opts, pool.Weight(p.weight))
	}
	if p.after != 0 {
		opts = append(opts, pool.After(p.after))
	}
	return opts
}

// move is one thing that happens in a play.
type move struct {
	at   time.Duration
	kind moveKind
	n    int // the job, the number of workers, or the worker and, once it is done, its job; -1: none
}

type moveKind int

const (
	submits moveKind = iota
	cancels
	pauses
	resumes
	resizes
	halts
)

// play is what is done with a pool. No two things happen at one instant.
type play struct {
	seed     uint64
	workers  int
	capacity int64
	aging    time.Duration
	parts    []part
	moves    []move
}

func randomPlay(seed uint64) *play {
	rng := rand.New(rand.NewPCG(seed, 0))
	some := func(limit time.Duration) time.Duration { return 1 + time.Duration(rng.Int64N(int64(limit))) }
	pl := &play{seed: seed, workers: 1 + rng.IntN(4), capacity: 1 + rng.Int64N(10), aging: some(3 * sec)}
	keys := 1 + rng.IntN(6)
	pace := some(2 * sec)
	may := [4]bool{rng.IntN(3) > 0, rng.IntN(3) > 0, rng.IntN(3) > 0, rng.IntN(3) > 0}
	now := time.Duration(0)
	steered := rng.IntN(2) == 0
	for range 60 {
		now += some(pace)
		do := submits
		if len(pl.parts) > 0 {
			switch rng.IntN(10) {
			case 0:
				do = cancels
			case 1:
				if steered {
					do = []moveKind{pauses, resumes, resizes, halts}[rng.IntN(4)]
				}
			}
		}
		n := 0
		switch do {
		case submits:
			n = len(pl.parts)
			p := part{run: some(3 * sec)}
			if may[0] && rng.IntN(4) > 0 {
				p.key = 1 + rng.IntN(keys)
			}
			if may[1] && rng.IntN(2) > 0 {
				p.priority = rng.IntN(7) - 3
			}
			if may[2] && rng.IntN(2) > 0 {
				p.weight = 1 + rng.Int64N(pl.capacity)
			}
			if may[3] && rng.IntN(4) == 0 {
				p.after = some(10 * sec)
			}
			pl.parts = append(pl.parts, p)
		case cancels:
			n = rng.IntN(len(pl.parts))
			if len(pl.parts[n].options()) == 0 {
				continue // a worker would take those behind it for cheap, and several in hand
			}
		case resizes:
			n = rng.IntN(5)
		case halts:
			n = rng.IntN(4)
		default:
		}
		pl.moves = append(pl.moves, move{now, do, n})
	}
	// So that it comes to an end.
	pl.moves = append(pl.moves, move{now + some(sec), resizes, pl.workers}, move{now + 2*sec, resumes, 0})
	return pl
}

// haltOne halts a worker and returns the job that it has in hand; false if there is no
// such worker, or it is halted already.
func haltOne(p *pool.Pool[task, int], worker int) (job uint64, ok bool) {
	for _, w := range p.Workers() {
		if w.ID == worker && w.State != pool.WorkerHalting {
			return w.Job, p.Halt(worker) == nil
		}
	}
	return 0, false
}

// perform has a pool do the play and returns when each job started; -1 if it never did.
func (pl *play) perform(t *testing.T) (starts []time.Duration, moves []move) {
	t.Helper()
	p := newTasks(pool.Workers(pl.workers), pool.Capacity(pl.capacity), pool.Aging(pl.aging))
	defer p.Close()
	begin := time.Now()
	jobs := make([]*pool.Job[int], len(pl.parts))
	for _, m := range pl.moves {
		time.Sleep(m.at - time.Since(begin))
		switch m.kind {
		case submits:
			do := pl.parts[m.n]
			var err error
			jobs[m.n], err = p.TrySubmit(func(context.Context) (int, error) { time.Sleep(do.run); return 0, nil }, do.options()...)
			require.NoError(t, err)
		case cancels:
			jobs[m.n].Cancel(errBoom)
		case pauses:
			p.Pause()
		case resumes:
			p.Resume()
		case resizes:
			require.NoError(t, p.Resize(m.n))
		case halts:
			inHand, ok := haltOne(p, m.n)
			if !ok {
				continue
			}
			m.n = slices.IndexFunc(jobs, func(j *pool.Job[int]) bool { return j != nil && j.ID() == inHand })
		}
		moves = append(moves, m)
		synctest.Wait()
	}
	require.NoError(t, p.Shutdown(t.Context()))
	for _, j := range jobs {
		r, ended := j.Result()
		require.True(t, ended)
		at := r.Timing.Started().Sub(begin)
		if r.Attempt == 0 {
			assert.Equal(t, result.Canceled, r.Status())
			at = -1
		}
		starts = append(starts, at)
	}
	return starts, moves
}

// simulation is the state of a pool as the documentation has it.
type simulation struct {
	*play
	paused  bool
	size    int
	arrived []time.Duration // when a job was submitted, or is due
	waiting []int           // in the order in which they were accepted
	running map[int]time.Duration
	excused map[int]bool // jobs in the hands of halted workers, which keep nobody from starting
	starts  []time.Duration
}

// simulate returns when each job of the play starts.
func (pl *play) simulate(moves []move) []time.Duration {
	s := &simulation{play: pl, size: pl.workers, running: map[int]time.Duration{}, excused: map[int]bool{}}
	s.arrived = make([]time.Duration, len(pl.parts))
	s.starts = slices.Repeat([]time.Duration{-1}, len(pl.parts))
	for now := time.Duration(0); now != math.MaxInt64; {
		for len(moves) > 0 && moves[0].at == now {
			s.move(moves[0])
			moves = moves[1:]
		}
		for i, end := range s.running {
			if end == now {
				delete(s.running, i)
				delete(s.excused, i)
			}
		}
		for !s.paused && len(s.running)-len(s.excused) < s.size {
			next, ok := s.next(now)
			if !ok {
				break
			}
			s.waiting = slices.DeleteFunc(s.waiting, func(i int) bool { return i == next })
			s.running[next] = now + pl.parts[next].run
			s.starts[next] = now
		}
		// On to the next instant at which something happens.
		then := time.Duration(math.MaxInt64)
		if len(moves) > 0 {
			then = moves[0].at
		}
		for _, end := range s.running {
			then = min(then, end)
		}
		for _, i := range s.waiting {
			if s.arrived[i] > now {
				then = min(then, s.arrived[i])
			}
		}
		now = then
	}
	return s.starts
}

func (s *simulation) move(m move) {
	switch m.kind {
	case submits:
		s.waiting = append(s.waiting, m.n)
		s.arrived[m.n] = m.at + s.parts[m.n].after
	case cancels:
		s.waiting = slices.DeleteFunc(s.waiting, func(i int) bool { return i == m.n })
	case pauses:
		s.paused = true
	case resumes:
		s.paused = false
	case resizes:
		s.size = m.n
		clear(s.excused)
	case halts:
		s.size--
		if m.n >= 0 {
			s.excused[m.n] = true
		}
	default:
	}
}

// next returns the job that starts next, of those that may.
func (s *simulation) next(now time.Duration) (int, bool) {
	taken, free := map[int]bool{}, s.capacity
	for i := range s.running {
		taken[s.parts[i].key] = true
		free -= s.parts[i].weight
	}
	due := slices.DeleteFunc(slices.Clone(s.waiting), func(i int) bool { return s.arrived[i] > now })
	slices.SortFunc(due, func(i, j int) int { return cmp.Compare(s.arrived[i], s.arrived[j]) })
	// The first one of each key that nobody has.
	ready := slices.DeleteFunc(due, func(i int) bool {
		k := s.parts[i].key
		held := k != 0 && taken[k]
		taken[k] = true
		return held
	})
	slices.SortStableFunc(ready, func(i, j int) int { return cmp.Compare(s.rank(i), s.rank(j)) })
	for _, i := range ready {
		if w := s.parts[i].weight; w > free {
			free = 0 // those with a weight are served in turn
		} else {
			return i, true
		}
	}
	return 0, false
}

func (s *simulation) rank(i int) time.Duration {
	return s.arrived[i] - time.Duration(s.parts[i].priority)*s.aging
}

func TestRandomOrderIsAsSimulated(t *testing.T) {
	for range 300 {
		pl := randomPlay(rand.Uint64())
		testkit.Bubble(t, func(t *testing.T) {
			starts, moves := pl.perform(t)
			assert.Equal(t, pl.simulate(moves), starts, "seed %d: %d workers, capacity %d, aging %v, %+v, %+v",
				pl.seed, pl.workers, pl.capacity, pl.aging, pl.parts, moves)
		})
		if t.Failed() {
			return
		}
	}
}

// Keys are forgotten with their last job, also such as are not equal to themselves,
// while the pool lives on.
func TestManyKeysLeaveNothingBehind(t *testing.T) {
	type name struct {
		text *[4]int
		x    float64
	}
	const n = 20_000
	var gone atomic.Int64
	p := newTasks(pool.Workers(2), pool.Queue(10*n), pool.Capacity(2))
	defer p.Close()
	var canceled []*pool.Job[int]
	for i := range n {
		k := name{new([4]int), 1}
		runtime.AddCleanup(k.text, func(struct{}) { gone.Add(1) }, struct{}{})
		if i%2 == 0 {
			k.x = math.NaN()
		}
		for m := range 3 {
			opts := jobOptions{pool.Key(k), pool.Weight(1)}
			if m == 1 {
				opts = jobOptions{pool.Key(k), pool.After(time.Hour)}
			}
			j, err := p.TrySubmit(give(1), opts...)
			require.NoError(t, err)
			if m == 1 {
				canceled = append(canceled, j)
			}
		}
	}
	for _, j := range canceled {
		j.Cancel(nil)
	}
	clear(canceled)
	assert.True(t, collected(func() bool { return gone.Load() == n }), "%d keys of %d are gone", gone.Load(), n)
	assert.EqualValues(t, 2*n, p.Stats().Succeeded)
}

// A pool that is closed is garbage, whatever its jobs were waiting for: no timer of
// it is left.
func TestNoTimerIsLeftOfDelayedJobs(t *testing.T) {
	for name, end := range map[string]func(*pool.Pool[task, int], *pool.Job[int]){
		"close":             func(p *pool.Pool[task, int], _ *pool.Job[int]) { _ = p.Close() },
		"cancel, and close": func(p *pool.Pool[task, int], j *pool.Job[int]) { j.Cancel(nil); _ = p.Close() },
		"shutdown": func(p *pool.Pool[task, int], _ *pool.Job[int]) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = p.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var gone atomic.Bool
			func() {
				v := new([100]int)
				runtime.AddCleanup(v, func(struct{}) { gone.Store(true) }, struct{}{})
				p := newTasks(pool.Workers(1))
				j, err := p.TrySubmit(func(context.Context) (int, error) { return v[0], nil }, pool.After(1000*time.Hour))
				require.NoError(t, err)
				end(p, j)
			}()
			assert.True(t, collected(gone.Load))
		})
	}
}
