package pipeline

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Calls that only wait: the more workers the better, and quickly.
func TestTunerClimbsToTheMostOfSleepers(t *testing.T) {
	for _, noise := range []float64{0, 0.1} {
		s := newModeled(10 * time.Millisecond)
		s.noise = noise
		tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
		at := tr.until(func(n int) bool { return n >= 60 })
		require.GreaterOrEqual(t, at, 0)
		assert.LessOrEqual(t, at, 10)
		assert.LessOrEqual(t, tr[at].at, 2*time.Second)
		assert.Equal(t, 64, tr[at:].usual())
		assert.LessOrEqual(t, tr[at+1:].changes(), 8)
	}
}

// Calls that compute: it finds how many processors there are, and stays there, also
// from more workers than that.
func TestTunerSettlesAtTheProcessors(t *testing.T) {
	for _, k := range []int{1, 2, 3, 4, 6, 8, 12, 24} {
		for _, noise := range []float64{0, 0.1} {
			t.Run(fmt.Sprintf("%d processors, noise %v", k, noise), func(t *testing.T) {
				s := newModeled(10 * time.Millisecond)
				s.speed, s.noise = processors(k), noise
				tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
				assertSettled(t, tr[40:], k)
				assert.Contains(t, tr[len(tr)-1].why, "held: ")
			})
		}
	}
}

// assertSettled asserts that tr is a trace of about n workers, with few changes.
func assertSettled(t *testing.T, tr trace, n int) {
	t.Helper()
	assert.GreaterOrEqual(t, float64(tr.usual()), 0.9*float64(n))
	assert.LessOrEqual(t, float64(tr.usual()), max(float64(n+1), 1.3*float64(n)))
	last := tr[len(tr)-100:]
	assert.LessOrEqual(t, last.changes(), 6)
	for _, p := range last {
		assert.LessOrEqual(t, p.m.workers, 2*n, "tries are small")
	}
}

// The same with calls of no regular length, where a rate says little: it is found
// less surely, but no seed leads astray.
func TestTunerWithIrregularCalls(t *testing.T) {
	for _, k := range []int{2, 6, 12} {
		for seed := range uint64(10) {
			s := newModeled(10 * time.Millisecond)
			s.speed, s.spread = processors(k), exponential
			s.rand = rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a model that repeats
			tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
			assert.InDelta(t, k, tr[100:].usual(), max(1, 0.3*float64(k)), "seed %d", seed)
			assert.LessOrEqual(t, tr[100:].changes(), 50, "seed %d", seed)
		}
	}
}

// A server that is slower with too many calls at once.
func TestTunerSettlesAtAnOptimum(t *testing.T) {
	for _, n := range []int{3, 10, 20} {
		s := newModeled(10 * time.Millisecond)
		s.speed, s.noise = best(n), 0.1
		assertSettled(t, trace{}.play(t, newTuner(1, 64), s.run, 300)[60:], n)
	}
}

// A source or a stage behind that is the limit: as many as the load needs, and some
// more.
func TestTunerFitsTheLoad(t *testing.T) {
	for _, load := range []float64{0.5, 1.5, 3, 4.8, 12, 24} {
		for _, limit := range []string{"input", "stage behind"} {
			t.Run(fmt.Sprint(limit, load), func(t *testing.T) {
				s := newModeled(10 * time.Millisecond)
				s.noise = 0.1
				rate := 100 * load
				if limit == "input" {
					s.source = rate
				} else {
					s.sink = rate
				}
				tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
				usual := float64(tr[50:].usual())
				assert.GreaterOrEqual(t, usual, math.Ceil(load))
				assert.LessOrEqual(t, usual, math.Ceil(load/0.65))
				assert.LessOrEqual(t, tr[len(tr)-100:].changes(), 6)
				if load > 1 {
					assert.Contains(t, tr[50:].String(), "the "+limit+" is the limit")
				}
				done := 0
				for _, p := range tr[50:] {
					done += p.m.done
				}
				assert.InEpsilon(t, rate, float64(done)/(tr[len(tr)-1].at-tr[49].at).Seconds(), 0.02, "none is lost by it")
			})
		}
	}
}

// Inputs that come at random make workers busy for a while that are too many in the
// mean. Fewer of them must not be tried again and again.
func TestTunerWithIrregularInput(t *testing.T) {
	changes := 0
	for seed := range uint64(10) {
		for _, load := range []float64{0.78, 0.85, 1.6, 4, 12} {
			s := newModeled(10 * time.Millisecond)
			s.source, s.bursts, s.spread = 100*load, exponential, exponential
			s.rand = rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // a model that repeats
			tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
			changes += tr[100:].changes()
			assert.GreaterOrEqual(t, float64(tr[100:].usual()), load)
			assert.LessOrEqual(t, float64(tr[100:].usual()), 2*load+1)
		}
	}
	assert.LessOrEqual(t, changes, 10*5*2*3, "3 in 100 intervals")
}

// What it has found may change under it. within is in intervals.
func TestTunerFollowsAChange(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after func(*modeled)
		from, to      int
		within        int
	}{
		{"load comes", func(s *modeled) { s.source = 50 }, func(s *modeled) { s.source = 0 }, 1, 64, 10},
		{"load goes", func(*modeled) {}, func(s *modeled) { s.source = 50 }, 64, 1, 15},
		{"load grows", func(s *modeled) { s.source = 240 }, func(s *modeled) { s.source = 2560 }, 4, 34, 15},
		{"no input", func(*modeled) {}, func(s *modeled) { s.source, s.in, s.toIn = 1, 0, 1e9 }, 64, 1, 5},
		{"room behind goes", func(*modeled) {}, func(s *modeled) { s.sink = 160 }, 64, 2, 10},
		{"room behind comes", func(s *modeled) { s.sink = 160 }, func(s *modeled) { s.sink = 2400 }, 2, 30, 10},
		{"longer calls", func(s *modeled) { s.source = 240 }, func(s *modeled) { s.call *= 3 }, 4, 11, 15},
		{"much longer calls", func(s *modeled) { s.source = 240 }, func(s *modeled) { s.call *= 1000 }, 4, 64, 60},
		{"shorter calls", func(s *modeled) { s.source = 1600 }, func(s *modeled) { s.call /= 5 }, 21, 4, 15},
		{"fewer processors", func(s *modeled) { s.speed = processors(8) }, func(s *modeled) { s.speed = processors(2) }, 8, 2, 22},
		{"calls begin to compute", func(*modeled) {}, func(s *modeled) { s.speed = processors(2) }, 64, 2, 25},
		{"a worse server", func(s *modeled) { s.speed = best(10) }, func(s *modeled) { s.speed = best(3) }, 10, 3, 60},
		// The rate of 2 workers is the same before and behind this one: a try has to show it.
		{"more processors", func(s *modeled) { s.speed = processors(2) }, func(s *modeled) { s.speed = processors(8) }, 2, 8, 150},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, tu := newModeled(10*time.Millisecond), newTuner(1, 64)
			s.noise = 0.1
			tc.before(s)
			tr := trace{}.play(t, tu, s.run, 200)
			assert.InDelta(t, tc.from, tr[100:].usual(), 1+0.1*float64(tc.from))
			tc.after(s)
			tr = tr.play(t, tu, s.run, tc.within)
			there := tr[200:].until(func(n int) bool { return math.Abs(float64(n-tc.to)) <= 1+0.25*float64(tc.to) })
			assert.GreaterOrEqual(t, there, 0, "it gets there at all")
			tr = tr.play(t, tu, s.run, 200)
			assert.InDelta(t, tc.to, tr[300+tc.within:].usual(), 1+0.25*float64(tc.to))
		})
	}
}

// Load that comes and goes is followed each time.
func TestTunerFollowsLoadThatComesAndGoes(t *testing.T) {
	s, tu := newModeled(10*time.Millisecond), newTuner(1, 64)
	var tr trace
	for range 10 {
		s.source = 0
		tr = tr.play(t, tu, s.run, 20)
		assert.GreaterOrEqual(t, tu.workers(), 50)
		s.source, s.toIn = 100, 0
		tr = tr.play(t, tu, s.run, 30)
		assert.LessOrEqual(t, tu.workers(), 2)
	}
}

// Before a call has ended nothing is known, and yet there are to be more workers.
func TestTunerWithSlowCalls(t *testing.T) {
	t.Run("that wait", func(t *testing.T) {
		s := newModeled(30 * time.Second)
		tr := trace{}.play(t, newTuner(1, 64), s.run, 100)
		at := tr.until(func(n int) bool { return n >= 40 })
		require.GreaterOrEqual(t, at, 0)
		assert.Less(t, tr[at].at, time.Minute, "before the first call has ended, or nearly")
		at = tr.until(func(n int) bool { return n == 64 })
		require.GreaterOrEqual(t, at, 0)
		assert.Less(t, tr[at].at, 3*time.Minute)
		assert.Equal(t, 64, tr[50:].usual())
		assert.Equal(t, tunerLongest, tr[90].wait)
	})
	t.Run("that compute", func(t *testing.T) {
		s := newModeled(time.Second)
		s.speed = processors(2)
		tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
		assertSettled(t, tr[100:], 2)
		for _, p := range tr {
			assert.LessOrEqual(t, p.workers, 16, "what is guessed is little for calls of a second")
		}
	})
	t.Run("with less input than workers", func(t *testing.T) {
		s := newModeled(30 * time.Second)
		s.source = 0.2
		tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
		assert.InDelta(t, 8, tr[50:].usual(), 2) // 6 calls at once
	})
	t.Run("without an end", func(t *testing.T) {
		s := newModeled(1000 * time.Hour)
		tr := trace{}.play(t, newTuner(2, 32), s.run, 100)
		assert.Equal(t, 32, tr[99].workers)
	})
}

// Regular calls end many at once, and few in an interval of ten seconds.
func TestTunerWithSlowCallsThatVary(t *testing.T) {
	s := newModeled(10 * time.Second)
	s.noise = 0.1
	tr := trace{}.play(t, newTuner(1, 64), s.run, 300)
	assert.Equal(t, 64, tr[100:].usual())
	assert.LessOrEqual(t, tr[200:].changes(), 6)
}

// The first call of a worker may take longer, since it makes a connection. That is not
// held against it.
func TestTunerWithWorkersThatBeginSlowly(t *testing.T) {
	s, used := newModeled(10*time.Millisecond), 0
	tr := trace{}.play(t, newTuner(1, 64), func(n int, d time.Duration) measured {
		s.fresh = max(0, n-used)
		used = max(used, n)
		return s.run(n, d)
	}, 100)
	at := tr.until(func(n int) bool { return n == 64 })
	require.GreaterOrEqual(t, at, 0)
	assert.LessOrEqual(t, at, 25)
	assert.Equal(t, 64, tr[at:].usual())
}

// An interval with fewer calls than workers changes nothing, and the next is longer.
func TestTunerWaitsForCallsToEnd(t *testing.T) {
	tu := newTuner(8, 64)
	m := measured{elapsed: time.Second, done: 2, busy: 8 * time.Second, workers: 8, waiting: 9}
	assert.Equal(t, time.Second, tu.next(m))
	assert.Equal(t, 2*time.Second, tu.next(m))
	m.elapsed, m.busy = 2*time.Second, 16*time.Second
	assert.Equal(t, 4*time.Second, tu.next(m))
	assert.Equal(t, 8, tu.workers())
	m.done = 20
	tu.next(m)
	assert.Equal(t, 16, tu.workers(), "these are enough for a rate")
}

// Calls that are shorter than handing over.
func TestTunerWithQuickCalls(t *testing.T) {
	for _, handOver := range []time.Duration{10, 100, 300} {
		run := quick(100, handOver)
		fastest := 1
		for n := range 64 {
			if run(n+1, time.Second).done > run(fastest, time.Second).done {
				fastest = n + 1
			}
		}
		tr := trace{}.play(t, newTuner(1, 64), run, 300)
		got := tr[50:].usual()
		assert.LessOrEqual(t, got, fastest+1)
		assert.GreaterOrEqual(t, run(got, time.Second).done, run(fastest, time.Second).done*9/10)
		assert.LessOrEqual(t, tr[200:].changes(), 6)
		assert.Equal(t, tunerShortest, tr[100].wait)
	}
}

// A try that gains nothing is taken back and told, and comes later and later.
func TestTunerBacksOff(t *testing.T) {
	s, tu := newModeled(10*time.Millisecond), newTuner(8, 16)
	s.speed = processors(8)
	tr := trace{}.play(t, tu, s.run, 400)
	assert.Equal(t, "held: 16 workers were no faster than 8", tr[3].why)
	var tries []int
	for i, p := range tr {
		if p.m.workers == 8 && p.workers > 8 {
			tries = append(tries, i)
		}
	}
	require.GreaterOrEqual(t, len(tries), 5)
	for i := 2; i < len(tries); i++ {
		assert.Greater(t, tries[i]-tries[i-1], min(60, tries[i-1]-tries[i-2]))
		assert.Less(t, tries[i]-tries[i-1], 2*(tunerMost+tunerMean+2))
	}
}

// full and idle are intervals of a tuner's workers that are busy all the time, or hardly.
func full(tu *tuner, rate int) measured {
	n := tu.workers()
	return measured{
		elapsed: time.Second, done: rate, busy: time.Duration(n) * time.Second, workers: n, waiting: 256,
	}
}

func idle(tu *tuner, load float64) measured {
	return measured{
		elapsed: time.Second, done: 100, busy: time.Duration(load * float64(time.Second)), workers: tu.workers(),
	}
}

// change feeds intervals until the number of workers changes, and returns how many.
func change(t *testing.T, tu *tuner, m func(*tuner) measured) (intervals int) {
	t.Helper()
	for n := tu.workers(); tu.workers() == n; intervals++ {
		require.Less(t, intervals, 200)
		tu.next(m(tu))
	}
	return intervals
}

// More workers were not needed: that is tried again, and fewer are not.
func TestTunerTriesMoreAgainBehindTooLittleWork(t *testing.T) {
	busy := func(tu *tuner) measured { return full(tu, 1000) }
	tu := newTuner(1, 64)
	tu.begin(8, 1, tunerClimb...)
	for range 4 {
		change(t, tu, busy)
		assert.Greater(t, tu.workers(), 8)
		tu.next(idle(tu, 6))
		require.Equal(t, 8, tu.workers())
		assert.Equal(t, "held: the input is the limit", tu.String())
	}
}

// Tries that found too little work do not hold up those that come when there is more:
// to be idle in between is sign enough.
func TestTunerBeginsAnewBehindAPause(t *testing.T) {
	tu := newTuner(1, 64)
	tu.begin(8, 1, tunerClimb...)
	busy := func(tu *tuner) measured { return full(tu, 1000) }
	for range 6 {
		change(t, tu, busy)
		tu.next(idle(tu, 6))
	}
	assert.Greater(t, change(t, tu, busy), 50, "it has backed off")
	tu.next(idle(tu, 6))
	for range 10 {
		tu.next(idle(tu, 6))
	}
	assert.Equal(t, 2, change(t, tu, busy))
	assert.Equal(t, 16, tu.workers())
}

// It hesitates to have fewer workers once that was too early, until it was right.
func TestTunerHesitatesAfterAMistake(t *testing.T) {
	tu := newTuner(1, 64)
	busy := func(tu *tuner) measured { return full(tu, 100*tu.workers()) }
	little := func(tu *tuner) measured { return idle(tu, 2) }
	begin := func() { tu.begin(8, 1, tunerClimb...) }
	begin()
	assert.Equal(t, 3, change(t, tu, little))
	change(t, tu, busy) // at once
	begin()
	assert.Equal(t, 6, change(t, tu, little))
	change(t, tu, busy)
	begin()
	assert.Equal(t, 12, change(t, tu, little))
	for range 100 {
		tu.next(little(tu))
	}
	change(t, tu, busy)
	begin()
	assert.Equal(t, 3, change(t, tu, little))
}

// With one number to choose from there is nothing to find out.
func TestTunerWithoutAChoice(t *testing.T) {
	s, tu := newModeled(time.Millisecond), newTuner(5, 5)
	for _, p := range (trace{}).play(t, tu, s.run, 20) {
		assert.Equal(t, 5, p.workers)
		assert.Equal(t, tunerLongest, p.wait)
	}
	assert.Equal(t, "held: the least and the most are the same", tu.String())
}

// What belongs to another number of workers says nothing about this one.
func TestTunerDropsWhatIsNotOfItsWorkers(t *testing.T) {
	tu := newTuner(2, 64)
	for range 10 {
		tu.next(measured{elapsed: time.Second, done: 1000, busy: 3 * time.Second, workers: 3, waiting: 9})
	}
	assert.Equal(t, 2, tu.workers())
}

// Whatever is measured, also what cannot be: it keeps to its bounds and comes back.
func TestTunerWithAnyMeasurement(t *testing.T) {
	extremes := []int64{math.MinInt64, -1, 0, 1, 2, 63, 64, 65, 1e6, 1e9, 1e12, math.MaxInt64 - 1, math.MaxInt64}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // a test that repeats
		least := 1 + r.IntN(8)
		atMost := least + r.IntN(100)
		if seed%10 == 0 {
			atMost = math.MaxInt
		}
		any64 := func(below int64) int64 {
			switch r.IntN(4) {
			case 0:
				return extremes[r.IntN(len(extremes))]
			case 1:
				return below
			default:
				return r.Int64N(below)
			}
		}
		tu := newTuner(least, atMost)
		for range 300 {
			m := measured{
				elapsed: time.Duration(any64(int64(time.Second))), done: int(any64(200)), busy: time.Duration(any64(int64(time.Minute))),
				blocked: time.Duration(any64(int64(time.Second))), workers: tu.workers(), waiting: int(any64(200)),
			}
			if r.IntN(20) == 0 {
				m.workers = int(any64(64))
			}
			wait := tu.next(m)
			require.GreaterOrEqual(t, wait, tunerShortest, "%+v", m)
			require.LessOrEqual(t, wait, tunerLongest, "%+v", m)
			require.GreaterOrEqual(t, tu.workers(), least, "%+v", m)
			require.LessOrEqual(t, tu.workers(), atMost, "%+v", m)
			for _, f := range []float64{tu.was, tu.rate, tu.call, tu.silence, tu.open.elapsed, tu.open.done, tu.open.busy} {
				require.False(t, math.IsNaN(f) || math.IsInf(f, 0) || f < 0, "%+v: %+v", m, tu)
			}
			require.NotEmpty(t, tu.String())
		}
	}
}

// A number that no int can hold is still between the bounds.
func TestTunerBounds(t *testing.T) {
	tu := newTuner(3, math.MaxInt)
	for _, n := range []float64{math.MaxInt, 1e300, math.Inf(1)} {
		assert.Equal(t, math.MaxInt, tu.bounded(n))
	}
	assert.Equal(t, 3, tu.bounded(0))
	assert.Equal(t, 7, tu.bounded(7.5))
}

// One interval of each extreme, from a tuner that has just begun and from one that
// has settled: no number of more calls, or of less blocked time, leads to fewer workers.
func TestTunerIsMonotoneInTheExtremes(t *testing.T) {
	settled := func() *tuner {
		s, tu := newModeled(10*time.Millisecond), newTuner(1, math.MaxInt)
		s.speed = processors(4)
		for range 100 {
			tu.next(s.run(tu.workers(), 100*time.Millisecond))
		}
		return tu
	}
	for _, begin := range []func() *tuner{func() *tuner { return newTuner(4, math.MaxInt) }, settled} {
		for _, elapsed := range []time.Duration{0, 1, time.Second, math.MaxInt64} {
			last := 0
			for _, done := range []int{0, 1, 4, 1e6, math.MaxInt} {
				tu := begin()
				n := tu.workers()
				busy := time.Duration(min(float64(elapsed)*float64(n), math.MaxInt64/2))
				tu.next(measured{elapsed: elapsed, done: done, busy: busy, workers: n, waiting: math.MaxInt})
				if elapsed > time.Second || done > 0 {
					assert.GreaterOrEqual(t, tu.workers(), last, "%v, %d done", elapsed, done)
					last = tu.workers()
				}
				assert.LessOrEqual(t, tu.workers(), 2*n, "one interval doubles at most")

				tu = begin()
				tu.next(measured{elapsed: elapsed, done: done, busy: busy, blocked: math.MaxInt64, workers: n, waiting: math.MaxInt})
				assert.LessOrEqual(t, tu.workers(), n, "it does not grow while it is blocked")
			}
		}
	}
}
