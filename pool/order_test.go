package pool_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// The options that say when a job may start: Key, Priority, After and Weight. Most
// of it is told as scenarios: what is submitted when, and what then starts when, in
// the exact time of a bubble. So each also says that nothing starts late.

const sec = time.Second

type jobOptions = []pool.JobOption

// cue is something that happens in a scenario: a job is submitted or, if it has no
// name, does is done.
type cue struct {
	at   time.Duration
	name string
	run  time.Duration // how long its call takes
	opts jobOptions
	does func(p *pool.Pool[task, int], jobs map[string]*pool.Job[int])
}

// scenario is a pool and what is done with it; want lists the starts, in order.
type scenario struct {
	name string
	pool []pool.Option
	cues []cue
	want string
}

// startLog notes which call started when.
type startLog struct {
	begin time.Time
	mu    sync.Mutex
	lines []string
}

func newStartLog() *startLog { return &startLog{begin: time.Now()} }

// task notes its start and then takes d of the bubble's time.
func (s *startLog) task(name string, d time.Duration) task {
	return func(context.Context) (int, error) {
		s.note(name)
		time.Sleep(d)
		return 0, nil
	}
}

func (s *startLog) note(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf("%s@%d", name, int(time.Since(s.begin).Seconds())))
}

// String returns the starts, those of one second by name: on several workers the
// order in which calls of one instant note their starts means nothing.
func (s *startLog) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := slices.Clone(s.lines)
	slices.SortStableFunc(lines, func(a, b string) int {
		na, ta, _ := strings.Cut(a, "@")
		nb, tb, _ := strings.Cut(b, "@")
		if ta != tb {
			return 0 // they were noted in the order of time
		}
		return strings.Compare(na, nb)
	})
	return strings.Join(lines, " ")
}

func (sc scenario) play(t *testing.T) {
	t.Helper()
	t.Run(sc.name, func(t *testing.T) {
		testkit.Bubble(t, func(t *testing.T) {
			p := newTasks(sc.pool...)
			defer p.Close()
			s := newStartLog()
			jobs := map[string]*pool.Job[int]{}
			for _, c := range sc.cues {
				time.Sleep(c.at - time.Since(s.begin))
				synctest.Wait() // what ends or starts at this instant has done so
				if c.name == "" {
					c.does(p, jobs)
				} else {
					j, err := p.TrySubmit(s.task(c.name, c.run), c.opts...)
					require.NoError(t, err, c.name)
					jobs[c.name] = j
				}
				synctest.Wait()
			}
			assert.NoError(t, p.Shutdown(t.Context()))
			assert.Equal(t, sc.want, s.String())
			for name, j := range jobs {
				assert.True(t, j.Status().Terminal(), "%s has ended", name)
			}
			stats := p.Stats()
			assert.EqualValues(t, len(jobs), stats.Succeeded+stats.Canceled+stats.Dropped)
		})
	})
}

func keyed(k any) jobOptions { return jobOptions{pool.Key(k)} }

func canceling(names ...string) func(*pool.Pool[task, int], map[string]*pool.Job[int]) {
	return func(_ *pool.Pool[task, int], jobs map[string]*pool.Job[int]) {
		for _, name := range names {
			jobs[name].Cancel(nil)
		}
	}
}

func pausing(p *pool.Pool[task, int], _ map[string]*pool.Job[int])  { p.Pause() }
func resuming(p *pool.Pool[task, int], _ map[string]*pool.Job[int]) { p.Resume() }

func resizing(n int) func(*pool.Pool[task, int], map[string]*pool.Job[int]) {
	return func(p *pool.Pool[task, int], _ map[string]*pool.Job[int]) { _ = p.Resize(n) }
}

func halting(worker int) func(*pool.Pool[task, int], map[string]*pool.Job[int]) {
	return func(p *pool.Pool[task, int], _ map[string]*pool.Job[int]) { _ = p.Halt(worker) }
}

// haltingOf halts the worker that has a job in hand.
func haltingOf(name string) func(*pool.Pool[task, int], map[string]*pool.Job[int]) {
	return func(p *pool.Pool[task, int], jobs map[string]*pool.Job[int]) {
		for _, w := range p.Workers() {
			if w.Job == jobs[name].ID() {
				_ = p.Halt(w.ID)
			}
		}
	}
}

var (
	oneWorker    = []pool.Option{pool.Workers(1)}
	twoWorkers   = []pool.Option{pool.Workers(2)}
	threeWorkers = []pool.Option{pool.Workers(3)}
)

// "Key makes jobs with equal keys run one at a time and in the order in which they were
// accepted, on any worker; jobs with other keys, or none, are not held up."
func TestKeyScenarios(t *testing.T) {
	type pair struct{ a, b any }
	for _, sc := range []scenario{
		{"one at a time, in order, on many workers", []pool.Option{pool.Workers(8)}, []cue{
			{0, "a", 3 * sec, keyed(1), nil}, {0, "b", 1 * sec, keyed(1), nil}, {0, "c", 2 * sec, keyed(1), nil}, {0, "d", sec, keyed(1), nil},
		}, "a@0 b@3 c@4 d@6"},
		{"a slow key holds up no other, though far more of its jobs wait than there are workers", twoWorkers, []cue{
			{0, "a1", 10 * sec, keyed("a"), nil}, {0, "a2", sec, keyed("a"), nil}, {0, "a3", sec, keyed("a"), nil}, {0, "a4", sec, keyed("a"), nil},
			{0, "b1", sec, keyed("b"), nil}, {0, "b2", sec, keyed("b"), nil}, {0, "c", sec, keyed("c"), nil}, {1, "plain", sec, nil, nil},
		}, "a1@0 b1@0 b2@1 c@2 plain@3 a2@10 a3@11 a4@12"},
		{"keys are equal as == says", []pool.Option{pool.Workers(8)}, []cue{
			{0, "int", sec, keyed(1), nil}, {0, "int64", sec, keyed(int64(1)), nil}, {0, "text", sec, keyed("1"), nil},
			{0, "pair", sec, keyed(pair{1, "x"}), nil}, {0, "same pair", sec, keyed(pair{1, "x"}), nil}, {0, "other pair", sec, keyed(pair{1, "y"}), nil},
			{0, "negative zero", sec, keyed(math.Copysign(0, -1)), nil}, {0, "zero", sec, keyed(0.0), nil},
		}, "int@0 int64@0 negative zero@0 other pair@0 pair@0 text@0 same pair@1 zero@1"},
		{"order stands above priority", oneWorker, []cue{
			{0, "x", sec, nil, nil}, {0, "a1", sec, keyed("a"), nil},
			{0, "a2", sec, jobOptions{pool.Key("a"), pool.Priority(9)}, nil}, {0, "b", sec, jobOptions{pool.Priority(1)}, nil},
		}, "x@0 b@1 a1@2 a2@3"},
		{"a job with After takes its place when it is due", twoWorkers, []cue{
			{0, "a1", sec, jobOptions{pool.Key("a"), pool.After(3 * sec)}, nil}, {0, "a2", 2 * sec, keyed("a"), nil},
			{1 * sec, "a3", 2 * sec, keyed("a"), nil}, {1 * sec, "a4", 2 * sec, keyed("a"), nil}, {3 * sec, "a5", sec, keyed("a"), nil},
		}, "a2@0 a3@2 a4@4 a1@6 a5@7"},
		{"a delayed job leaves its key to others until then", oneWorker, []cue{
			{0, "a1", sec, jobOptions{pool.Key("a"), pool.After(10 * sec)}, nil}, {2 * sec, "a2", sec, keyed("a"), nil},
		}, "a2@2 a1@10"},
		{"a canceled job leaves its turn to the next", twoWorkers, []cue{
			{0, "a1", 2 * sec, keyed("a"), nil}, {0, "a2", sec, keyed("a"), nil}, {0, "a3", sec, keyed("a"), nil}, {0, "a4", sec, keyed("a"), nil},
			{sec, "", 0, nil, canceling("a2", "a4")},
		}, "a1@0 a3@2"},
		{"cancelling a running job does not free its key before its call has returned", twoWorkers, []cue{
			{0, "a1", 2 * sec, keyed("a"), nil}, {0, "a2", sec, keyed("a"), nil}, {sec, "", 0, nil, canceling("a1")},
		}, "a1@0 a2@2"},
		{"a pause keeps the order", twoWorkers, []cue{
			{0, "", 0, nil, pausing}, {0, "a1", sec, keyed("a"), nil}, {0, "a2", sec, keyed("a"), nil}, {0, "b", sec, keyed("b"), nil},
			{5 * sec, "", 0, nil, resuming},
		}, "a1@5 b@5 a2@6"},
		{"the key of a halted worker goes on with another", twoWorkers, []cue{
			{0, "a1", 2 * sec, keyed("a"), nil}, {0, "a2", sec, keyed("a"), nil}, {sec, "", 0, nil, haltingOf("a1")}, {sec, "b", 5 * sec, keyed("b"), nil},
		}, "a1@0 b@1 a2@6"},
		{"no workers, then some", twoWorkers, []cue{
			{0, "", 0, nil, resizing(0)}, {0, "a1", sec, keyed("a"), nil}, {0, "a2", sec, keyed("a"), nil}, {0, "b", sec, keyed("b"), nil},
			{4 * sec, "", 0, nil, resizing(3)},
		}, "a1@4 b@4 a2@5"},
	} {
		sc.play(t)
	}
}

func ranked(n int) jobOptions { return jobOptions{pool.Priority(n)} }

// "Priority lets a job start before jobs with a lower priority; among equal ones, the
// first to come starts first." "A job overtakes jobs with a priority lower by n if they
// came less than n times d before it."
func TestPriorityScenarios(t *testing.T) {
	aging := []pool.Option{pool.Workers(1), pool.Aging(10 * sec)}
	for _, sc := range []scenario{
		{"higher first, equal ones by turn, plain ones are 0", oneWorker, []cue{
			{0, "x", sec, nil, nil}, {0, "low", sec, ranked(-1), nil}, {1, "plain", sec, nil, nil}, {2, "zero", sec, ranked(0), nil},
			{3, "plain2", sec, nil, nil}, {4, "high1", sec, ranked(2), nil}, {5, "mid", sec, ranked(1), nil}, {6, "high2", sec, ranked(2), nil},
		}, "x@0 high1@1 high2@2 mid@3 plain@4 zero@5 plain2@6 low@7"},
		{"who came within the head start is overtaken", aging, []cue{
			{0, "x", 30 * sec, nil, nil}, {0, "old", sec, nil, nil}, {10*sec - 1, "new", sec, ranked(1), nil},
		}, "x@0 new@30 old@31"},
		{"who came before that is not", aging, []cue{
			{0, "x", 30 * sec, nil, nil}, {0, "old", sec, nil, nil}, {10*sec + 1, "new", sec, ranked(1), nil},
		}, "x@0 old@30 new@31"},
		{"the head start grows with the difference", aging, []cue{
			{0, "x", 60 * sec, nil, nil}, {0, "old", sec, ranked(-2), nil}, {1, "mid", sec, nil, nil}, {30 * sec, "new", sec, ranked(3), nil},
		}, "x@0 new@60 mid@61 old@62"},
		{"and no further", aging, []cue{
			{0, "x", 60 * sec, nil, nil}, {0, "old", sec, ranked(-2), nil}, {1, "mid", sec, nil, nil}, {50*sec + 1, "new", sec, ranked(3), nil},
		}, "x@0 mid@60 old@61 new@62"},
		{"the default is ten seconds", oneWorker, []cue{
			{0, "x", 30 * sec, nil, nil}, {0, "older", sec, nil, nil}, {2, "old", sec, nil, nil}, {10*sec + 1, "new", sec, ranked(1), nil},
		}, "x@0 older@30 new@31 old@32"},
		{"a delayed job counts from when it is due", aging, []cue{
			{0, "x", 60 * sec, nil, nil}, {0, "late", sec, jobOptions{pool.After(20 * sec), pool.Priority(1)}, nil},
			{9 * sec, "a", sec, nil, nil}, {10*sec + 1, "b", sec, nil, nil},
		}, "x@0 a@60 late@61 b@62"},
		{"extremes do not wrap", oneWorker, []cue{
			{0, "x", sec, nil, nil}, {0, "least", sec, ranked(math.MinInt), nil}, {0, "lower", sec, ranked(-5), nil},
			{0, "most", sec, ranked(math.MaxInt), nil}, {0, "more", sec, ranked(5), nil},
		}, "x@0 most@1 more@2 lower@3 least@4"},
		{"deadlines in Unix time as priorities", oneWorker, []cue{
			{0, "x", sec, nil, nil}, {0, "third", sec, ranked(-1767225900), nil}, {0, "first", sec, ranked(-1767225700), nil},
			{0, "second", sec, ranked(-1767225800), nil},
		}, "x@0 first@1 second@2 third@3"},
		{"so with a long and a short step", []pool.Option{pool.Workers(1), pool.Aging(math.MaxInt64)}, []cue{
			{0, "x", sec, nil, nil}, {0, "low", sec, ranked(-1), nil}, {0, "high", sec, ranked(1), nil}, {0, "plain", sec, nil, nil},
		}, "x@0 high@1 plain@2 low@3"},
		{"with the shortest step it is who came first", []pool.Option{pool.Workers(1), pool.Aging(1)}, []cue{
			{0, "x", sec, nil, nil}, {0, "low", sec, ranked(-1), nil}, {2, "high", sec, ranked(0), nil}, {5, "higher", sec, ranked(1), nil},
		}, "x@0 low@1 high@2 higher@3"},
	} {
		sc.play(t)
	}
}

// A job that came early starts in the end, however many with a higher priority come.
func TestPriorityStarvesNobody(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Aging(10*sec-1), pool.Queue(1000))
		defer p.Close()
		s := newStartLog()
		var low *pool.Job[int]
		for i := range 100 { // twice as much as the worker can do
			for range 2 {
				_, err := p.TrySubmit(func(context.Context) (int, error) { time.Sleep(sec); return 0, nil }, pool.Priority(3))
				require.NoError(t, err)
			}
			if i == 0 {
				var err error
				low, err = p.TrySubmit(s.task("low", 0))
				require.NoError(t, err)
			}
			time.Sleep(sec)
		}
		require.NoError(t, p.Shutdown(t.Context()))
		r, _ := low.Result()
		// Those of the seconds 0 to 29 go before it, and no others: 60 jobs.
		assert.Equal(t, 60*sec, r.Timing.Wait)
	})
}

func delayed(d time.Duration) jobOptions { return jobOptions{pool.After(d)} }

// "After lets a job start no earlier than d after Submit was called." And no later,
// where a worker is idle.
func TestAfterScenarios(t *testing.T) {
	for _, sc := range []scenario{
		{"exactly when due, whatever the order of submission", threeWorkers, []cue{
			{0, "e", sec, delayed(7 * sec), nil}, {0, "a", sec, delayed(1 * sec), nil}, {0, "d", sec, delayed(5 * sec), nil},
			{0, "b", sec, delayed(2 * sec), nil}, {1 * sec, "c", sec, delayed(3 * sec), nil}, {0, "now", sec, delayed(0), nil}, {0, "past", sec, delayed(-sec), nil},
		}, "a@1 now@1 past@1 b@2 c@4 d@5 e@7"},
		{"it then stands where jobs that are submitted at that time do", oneWorker, []cue{
			{0, "x", 10 * sec, nil, nil}, {0, "late", sec, delayed(5 * sec), nil}, {0, "a", sec, nil, nil}, {4 * sec, "b", sec, nil, nil},
			{6 * sec, "c", sec, nil, nil},
		}, "x@0 a@10 b@11 late@12 c@13"},
		{"several that are due at once", twoWorkers, []cue{
			{0, "a", 2 * sec, delayed(sec), nil}, {0, "b", 2 * sec, delayed(sec), nil}, {0, "c", 2 * sec, delayed(sec), nil},
			{0, "d", 2 * sec, jobOptions{pool.After(sec), pool.Priority(-1)}, nil}, {0, "e", 2 * sec, jobOptions{pool.After(sec), pool.Priority(1)}, nil},
		}, "a@1 e@1 b@3 c@3 d@5"},
		{"the next one is not forgotten when the first is canceled", oneWorker, []cue{
			{0, "a", sec, delayed(2 * sec), nil}, {0, "b", sec, delayed(4 * sec), nil}, {0, "c", sec, delayed(6 * sec), nil},
			{1 * sec, "", 0, nil, canceling("a", "c")},
		}, "b@4"},
		{"an idle worker that has stopped comes back", []pool.Option{pool.Workers(2), pool.IdleTimeout(sec, 0)}, []cue{
			{0, "x", sec, nil, nil}, {0, "a", sec, delayed(10 * sec), nil}, {0, "b", sec, jobOptions{pool.After(20 * sec), pool.Key(1)}, nil},
		}, "x@0 a@10 b@20"},
		{"due in a pause", oneWorker, []cue{
			{0, "", 0, nil, pausing}, {0, "b", sec, delayed(3 * sec), nil}, {0, "a", sec, delayed(2 * sec), nil}, {0, "c", sec, delayed(9 * sec), nil},
			{5 * sec, "", 0, nil, resuming},
		}, "a@5 b@6 c@9"},
		{"due without workers", oneWorker, []cue{
			{0, "", 0, nil, resizing(0)}, {0, "a", sec, delayed(2 * sec), nil}, {0, "b", sec, delayed(9 * sec), nil}, {5 * sec, "", 0, nil, resizing(1)},
		}, "a@5 b@9"},
		{"workers that were halted are replaced", twoWorkers, []cue{
			{0, "x", sec, nil, nil}, {0, "a", sec, delayed(4 * sec), nil}, {2 * sec, "", 0, nil, halting(0)}, {2 * sec, "", 0, nil, halting(1)},
			{3 * sec, "", 0, nil, resizing(1)},
		}, "x@0 a@4"},
		{"shutdown ends a pause and waits for what is not yet due", oneWorker, []cue{
			{0, "", 0, nil, pausing}, {0, "a", sec, delayed(2 * sec), nil}, {0, "b", sec, delayed(1000 * time.Hour), nil}, {0, "c", sec, nil, nil},
		}, "c@0 a@2 b@3600000"},
	} {
		sc.play(t)
	}
}

func weighing(n int64) jobOptions { return jobOptions{pool.Weight(n)} }

// "Weight lets a job start only when n of the pool's Capacity are free." "Jobs that
// wait for their weight are served in order; jobs without a weight are not held up."
func TestWeightScenarios(t *testing.T) {
	ten := []pool.Option{pool.Workers(8), pool.Capacity(10)}
	for _, sc := range []scenario{
		{"as many as fit", ten, []cue{
			{0, "a", 3 * sec, weighing(4), nil}, {0, "b", 2 * sec, weighing(4), nil}, {0, "c", sec, weighing(2), nil}, {0, "d", sec, weighing(1), nil},
		}, "a@0 b@0 c@0 d@1"},
		{"light ones do not pass a heavy one, those without a weight do", ten, []cue{
			{0, "a", 2 * sec, weighing(1), nil}, {0, "heavy", sec, weighing(10), nil}, {0, "light", sec, weighing(1), nil},
			{1 * sec, "light2", sec, weighing(1), nil}, {1 * sec, "plain", sec, nil, nil},
		}, "a@0 plain@1 heavy@2 light@3 light2@3"},
		{"no worker is held by one that waits", []pool.Option{pool.Workers(2), pool.Capacity(1)}, []cue{
			{0, "a", 3 * sec, weighing(1), nil}, {0, "b", sec, weighing(1), nil}, {0, "c", sec, weighing(1), nil}, {0, "d", sec, weighing(1), nil},
			{0, "plain", sec, nil, nil}, {0, "keyed", sec, keyed(1), nil},
		}, "a@0 plain@0 keyed@1 b@3 c@4 d@5"},
		{"those behind a heavy one that is canceled start at once", ten, []cue{
			{0, "a", 5 * sec, weighing(5), nil}, {0, "heavy", sec, weighing(10), nil}, {0, "b", sec, weighing(2), nil}, {0, "c", sec, weighing(3), nil},
			{2 * sec, "", 0, nil, canceling("heavy")},
		}, "a@0 b@2 c@2"},
		{"one that waits for its key does not stand in the line for weight", ten, []cue{
			{0, "a1", 5 * sec, jobOptions{pool.Key("a"), pool.Weight(1)}, nil}, {0, "a2", sec, jobOptions{pool.Key("a"), pool.Weight(10)}, nil},
			{0, "b", sec, weighing(9), nil},
		}, "a1@0 b@0 a2@5"},
		{"one that is not due does not either", ten, []cue{
			{0, "late", sec, jobOptions{pool.After(3 * sec), pool.Weight(10)}, nil}, {0, "b", 5 * sec, weighing(9), nil}, {4 * sec, "c", sec, weighing(1), nil},
		}, "b@0 late@5 c@6"},
		{"one that waits for weight holds its key", ten, []cue{
			{0, "x", 2 * sec, weighing(9), nil}, {0, "a1", sec, jobOptions{pool.Key("a"), pool.Weight(2)}, nil}, {0, "a2", sec, keyed("a"), nil},
			{0, "b", sec, keyed("b"), nil},
		}, "b@0 x@0 a1@2 a2@3"},
		{"a capacity beyond all sums", []pool.Option{pool.Workers(4), pool.Capacity(math.MaxInt64)}, []cue{
			{0, "a", 2 * sec, weighing(math.MaxInt64), nil}, {0, "b", sec, weighing(math.MaxInt64 - 1), nil}, {0, "c", 2 * sec, weighing(1), nil},
			{0, "d", sec, weighing(math.MaxInt64), nil},
		}, "a@0 b@2 c@2 d@4"},
		{"a pause and too few workers keep the line", ten, []cue{
			{0, "", 0, nil, pausing}, {0, "a", sec, weighing(6), nil}, {0, "b", sec, weighing(6), nil}, {0, "c", sec, weighing(1), nil},
			{1 * sec, "", 0, nil, resizing(1)}, {2 * sec, "", 0, nil, resuming}, {2 * sec, "", 0, nil, resizing(4)},
		}, "a@2 b@3 c@3"},
		{"a higher priority goes first among those that wait for weight", ten, []cue{
			{0, "x", 2 * sec, weighing(10), nil}, {0, "a", sec, weighing(10), nil}, {0, "b", sec, jobOptions{pool.Weight(10), pool.Priority(1)}, nil},
		}, "x@0 b@2 a@3"},
	} {
		sc.play(t)
	}
}

// However a call ends, its key and its weight are free at that instant.
func TestKeyAndWeightAreFreeHoweverACallEnds(t *testing.T) {
	failing := func(context.Context) error { return errBoom }
	for name, tc := range map[string]struct {
		do   task
		opts []pool.Option
		want time.Duration
	}{
		"error":   {do: func(context.Context) (int, error) { time.Sleep(sec); return 0, errBoom }, want: sec},
		"panic":   {do: func(context.Context) (int, error) { time.Sleep(sec); panic(errBoom) }, want: sec},
		"Goexit":  {do: func(context.Context) (int, error) { time.Sleep(sec); runtime.Goexit(); return 0, nil }, want: sec},
		"timeout": {do: heed, opts: []pool.Option{pool.Timeout(3 * sec)}, want: 3 * sec},
		"retry": {do: func(context.Context) (int, error) { time.Sleep(sec); return 0, pool.RetryAfter(errBoom, 2*sec) },
			opts: []pool.Option{pool.Retry(pool.RetryPolicy{Attempts: 2})}, want: 4 * sec},
		"limit": {do: give(1), opts: []pool.Option{pool.Limit(onceFailing(failing))}, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				p := newTasks(append(tc.opts, pool.Workers(2), pool.Capacity(1))...)
				defer p.Close()
				opts := jobOptions{pool.Key("k"), pool.Weight(1)}
				first, err := p.TrySubmit(tc.do, opts...)
				require.NoError(t, err)
				synctest.Wait()
				second, err := p.TrySubmit(give(2), opts...)
				require.NoError(t, err)
				v, err := second.Wait(t.Context())
				assert.NoError(t, err)
				assert.Equal(t, 2, v)
				r, _ := second.Result()
				assert.Equal(t, tc.want, r.Timing.Wait)
				r, _ = first.Result()
				assert.Error(t, r.Err)
			})
		})
	}
}

// onceFailing is a limit that fails once.
func onceFailing(f func(context.Context) error) waiterFunc {
	var once sync.Once
	return func(ctx context.Context) (err error) {
		once.Do(func() { err = f(ctx) })
		return err
	}
}

// Opening a state that fails is the end of the input, and frees what it had.
func TestKeyAndWeightAreFreeIfNoStateCanBeOpened(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		opened := 0
		p := pool.NewStateful(func(context.Context, int) (int, error) {
			opened++
			if opened == 1 {
				time.Sleep(sec)
				return 0, errBoom
			}
			return opened, nil
		}, func(_ context.Context, s, _ int) (int, error) { return s, nil }, nil, pool.Workers(2), pool.Capacity(1))
		defer p.Close()
		first, err := p.TrySubmit(0, pool.Key(1), pool.Weight(1))
		require.NoError(t, err)
		second, err := p.TrySubmit(0, pool.Key(1), pool.Weight(1))
		require.NoError(t, err)
		v, err := second.Wait(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 2, v)
		_, err = first.Wait(t.Context())
		assert.ErrorIs(t, err, errBoom)
	})
}

// What a job waits for is told with it.
func TestOrderedJobsTellWhatTheyWereSubmittedWith(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		p := newTasks(pool.Workers(1), pool.Capacity(5), pool.Track(10))
		defer p.Close()
		_, err := p.TrySubmit(give(1), pool.Key("k"), pool.Priority(-3), pool.Weight(5), pool.After(sec))
		require.NoError(t, err)
		_ = submit(t, p, give(2))
		synctest.Wait()
		stats := p.Stats()
		assert.Equal(t, 1, stats.Queued, "one that is delayed waits")
		infos := p.Jobs()
		require.Len(t, infos, 2)
		for range 2 {
			assert.Equal(t, "k", infos[0].Key)
			assert.Equal(t, -3, infos[0].Priority)
			assert.EqualValues(t, 5, infos[0].Weight)
			assert.Nil(t, infos[1].Key)
			assert.Zero(t, infos[1].Priority)
			assert.Zero(t, infos[1].Weight)
			require.NoError(t, p.Shutdown(t.Context()))
			infos = p.Jobs()
		}
		assert.Equal(t, sec, infos[0].Timing.Wait, "the delay counts as Wait")
		assert.Equal(t, result.Succeeded, infos[0].Status)
	})
}
