package engine

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type (
	laneEntry = Entry[string]
	testLane  = lane[string]
)

const testAging = 100

func newTestLane() *testLane { return &testLane{aging: testAging, capacity: 10} }

// with adds an entry of the given name and conditions and returns it.
func with(l *testLane, now int64, name string, e laneEntry) *laneEntry {
	e.Value = name
	l.add(&e, now)
	return &e
}

// takeAll takes what can be taken, without anything being done in between.
func takeAll(l *testLane) (names []string) {
	for e := l.best(); e != nil; e = l.best() {
		l.take(e)
		names = append(names, e.Value)
	}
	return names
}

// runAll takes one entry at a time until nothing can be taken.
func runAll(l *testLane) (names []string) {
	for e := l.best(); e != nil; e = l.best() {
		l.take(e)
		l.done(e)
		names = append(names, e.Value)
	}
	return names
}

func listed(l *testLane) (names []string) {
	for e := range l.all {
		names = append(names, e.Value)
	}
	return names
}

func TestLaneOrder(t *testing.T) {
	type step struct {
		now int64
		laneEntry
	}
	of := func(now int64, e laneEntry) step { return step{now, e} }
	tests := []struct {
		name  string
		steps []step
		want  []string // names are the numbers of the steps
	}{
		{"no conditions: as added", []step{
			of(0, laneEntry{}), of(0, laneEntry{}), of(0, laneEntry{}), of(0, laneEntry{}), of(0, laneEntry{}),
		}, []string{"0", "1", "2", "3", "4"}},
		{"higher priority first", []step{
			of(0, laneEntry{Priority: -1}), of(0, laneEntry{}), of(0, laneEntry{Priority: 2}), of(0, laneEntry{Priority: 1}),
		}, []string{"2", "3", "1", "0"}},
		{"a priority is a head start", []step{
			of(0, laneEntry{}), of(testAging-1, laneEntry{Priority: 1}),
		}, []string{"1", "0"}},
		{"and no more than that", []step{
			of(0, laneEntry{}), of(testAging+1, laneEntry{Priority: 1}),
		}, []string{"0", "1"}},
		{"equal ranks as added", []step{
			of(testAging, laneEntry{Priority: 1}), of(0, laneEntry{}), of(2*testAging, laneEntry{Priority: 2}),
		}, []string{"0", "1", "2"}},
		{"equal ranks as added, with and without weight", []step{
			of(0, laneEntry{Weight: 1}), of(0, laneEntry{}), of(0, laneEntry{Weight: 1}), of(0, laneEntry{}),
		}, []string{"0", "1", "2", "3"}},
		{"equal ranks as added, delayed or not", []step{
			of(0, laneEntry{Due: 50}), of(50, laneEntry{}), of(20, laneEntry{Due: 50}),
		}, []string{"0", "1", "2"}},
		{"extreme priorities", []step{
			of(0, laneEntry{Priority: math.MinInt}), of(0, laneEntry{}), of(1, laneEntry{Priority: math.MaxInt}),
			of(2, laneEntry{Priority: math.MaxInt}), of(3, laneEntry{Priority: math.MinInt}),
		}, []string{"2", "3", "1", "0", "4"}},
		{"delayed ones rank by when they are due", []step{
			of(0, laneEntry{Due: 300}), of(0, laneEntry{Due: 200}), of(250, laneEntry{}),
			of(0, laneEntry{Due: 320, Priority: 1}),
		}, []string{"1", "3", "2", "0"}},
		{"a past due is none", []step{
			of(100, laneEntry{}), of(101, laneEntry{Due: 50}), of(100, laneEntry{Due: 100}),
		}, []string{"0", "2", "1"}},
		{"no due is none, also before zero", []step{
			of(-5, laneEntry{Due: -4}), of(-5, laneEntry{}),
		}, []string{"1", "0"}},
		{"a key's entries as entered, whatever the priority", []step{
			of(0, laneEntry{Key: "k"}), of(1, laneEntry{Key: "k", Priority: 9}), of(2, laneEntry{}),
		}, []string{"0", "1", "2"}},
		{"behind its key an entry keeps its rank", []step{
			of(0, laneEntry{Key: "k"}), of(1, laneEntry{Key: "k"}), of(2, laneEntry{}), of(3, laneEntry{Key: "k"}),
		}, []string{"0", "1", "2", "3"}},
		{"a key's entries as due", []step{
			of(0, laneEntry{Key: "k", Due: 90}), of(0, laneEntry{Key: "k", Due: 80}), of(0, laneEntry{Key: "k"}),
		}, []string{"2", "1", "0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newTestLane()
			for i, s := range tt.steps {
				with(l, s.now, fmt.Sprint(i), s.laneEntry)
			}
			_, left := l.promote(math.MaxInt64)
			require.False(t, left)
			require.Equal(t, tt.want, runAll(l))
			requireEmpty(t, l, "")
		})
	}
}

// big is what a rank stands for.
func (r rank) big() *big.Int {
	x := new(big.Int).Lsh(big.NewInt(r.high), 64)
	return x.Add(x, new(big.Int).SetUint64(r.low))
}

func TestLaneRankIsExact(t *testing.T) {
	extremes := []int64{math.MinInt64, math.MinInt64 + 1, -1 << 40, -7, -1, 0, 1, 7, 1 << 40, math.MaxInt64 - 1, math.MaxInt64}
	for _, at := range extremes {
		require.Equal(t, big.NewInt(at).String(), rankOf(at).big().String())
		for _, priority := range extremes {
			for _, aging := range extremes {
				if aging <= 0 {
					continue
				}
				e := &laneEntry{Priority: int(priority)}
				l := &testLane{aging: aging}
				l.add(e, at)
				require.Equal(t, modelRank(at, int(priority), aging).String(), e.rank.big().String(), "%d, %d, %d", at, priority, aging)
			}
		}
	}
}

func TestRanksCompareAsTheirValues(t *testing.T) {
	words := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	var ranks []rank
	for _, high := range words {
		for _, low := range words {
			ranks = append(ranks, rank{high, uint64(low)})
		}
	}
	for _, r := range ranks {
		for _, s := range ranks {
			require.Equal(t, r.big().Cmp(s.big()) < 0, r.less(s), "%v %v", r, s)
		}
	}
}

func TestLaneKeyIsTakenOnce(t *testing.T) {
	l := newTestLane()
	a := with(l, 0, "a", laneEntry{Key: 1})
	b := with(l, 0, "b", laneEntry{Key: 1, Priority: 5})
	c := with(l, 0, "c", laneEntry{Key: 2})
	with(l, 0, "d", laneEntry{Key: int64(1)}) // another type is another key
	require.Equal(t, []string{"a", "c", "d"}, takeAll(l))
	require.Equal(t, 1, l.size)

	l.done(c)
	require.Nil(t, l.best(), "another key has ended")
	l.done(a)
	require.Same(t, b, l.best())
	l.take(b)
	l.done(a)
	with(l, 0, "e", laneEntry{Key: 1})
	require.Nil(t, l.best(), "a was done already, b is not")
	l.done(b)
	require.Equal(t, []string{"e"}, takeAll(l))
}

func TestLaneRemoveFromAKey(t *testing.T) {
	tests := []struct {
		name   string
		taken  bool // the first one, before
		remove []int
		want   []string
	}{
		{"the first one that is ready", false, []int{0}, []string{"1", "2", "3"}},
		{"the first two", false, []int{0, 1}, []string{"2", "3"}},
		{"from the middle", false, []int{1, 2}, []string{"0", "3"}},
		{"the last", false, []int{3}, []string{"0", "1", "2"}},
		{"all", false, []int{2, 0, 3, 1}, nil},
		{"the first behind a taken one", true, []int{1}, []string{"2", "3"}},
		{"all behind a taken one", true, []int{1, 2, 3}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newTestLane()
			var es []*laneEntry
			for i := range 4 {
				es = append(es, with(l, 0, fmt.Sprint(i), laneEntry{Key: "k", Weight: 1}))
			}
			if tt.taken {
				l.take(es[0])
			}
			for _, i := range tt.remove {
				require.True(t, l.remove(es[i]))
				require.False(t, l.remove(es[i]), "gone")
			}
			with(l, 0, "new", laneEntry{Key: "k"}) // goes last: the line is whole
			if tt.taken {
				require.Nil(t, l.best())
				require.False(t, l.remove(es[0]), "taken")
				l.done(es[0])
			}
			require.Equal(t, append(tt.want, "new"), runAll(l))
			requireEmpty(t, l, "")
		})
	}
}

// A NaN could be put into a map but neither found nor deleted.
func TestLaneKeyThatEqualsNothing(t *testing.T) {
	for _, key := range []any{math.NaN(), struct{ f float64 }{math.NaN()}} {
		l := newTestLane()
		with(l, 0, "a", laneEntry{Key: key})
		with(l, 0, "b", laneEntry{Key: key})
		require.Empty(t, l.keys)
		require.Equal(t, []string{"a", "b"}, takeAll(l))
	}
}

func TestLaneKeyThatCannotBeCompared(t *testing.T) {
	l := newTestLane()
	require.Panics(t, func() { with(l, 0, "a", laneEntry{Key: []int{1}, Due: 5}) })
	requireEmpty(t, l, "it panics before anything has changed")
}

func TestLaneWeights(t *testing.T) {
	l := newTestLane() // capacity 10
	a := with(l, 0, "a", laneEntry{Weight: 6})
	b := with(l, 1, "b", laneEntry{Weight: 5})
	c := with(l, 2, "c", laneEntry{Weight: 1})
	with(l, 3, "d", laneEntry{})
	require.Equal(t, []string{"a", "d"}, takeAll(l), "c must not pass b, d may")
	require.EqualValues(t, 6, l.used)
	l.done(a)
	l.done(a)
	require.Zero(t, l.used)
	require.Equal(t, []string{"b", "c"}, takeAll(l))
	require.EqualValues(t, 6, l.used)

	// What fits exactly fits; one that is removed has used nothing and no
	// longer stands in the way.
	e := with(l, 4, "e", laneEntry{Weight: 5})
	f := with(l, 5, "f", laneEntry{Weight: 4})
	require.Nil(t, l.best())
	require.True(t, l.remove(e))
	require.Same(t, f, l.best())
	l.take(f)
	require.EqualValues(t, 10, l.used)

	// Priority does not help a weight that does not fit, and holds back those
	// behind it.
	with(l, 6, "g", laneEntry{Weight: 2, Priority: 9})
	with(l, 6, "h", laneEntry{Weight: 1})
	l.done(c)
	require.Nil(t, l.best())
	l.done(b)
	require.Equal(t, []string{"g", "h"}, takeAll(l))
}

func TestLaneWeightCompetesByRank(t *testing.T) {
	l := newTestLane()
	with(l, 2, "light", laneEntry{})
	with(l, 1, "heavy", laneEntry{Weight: 3})
	with(l, 3, "last", laneEntry{Weight: 3})
	require.Equal(t, []string{"heavy", "light", "last"}, takeAll(l))
}

// Near the top of what an int64 holds nothing wraps around.
func TestLaneWeightsDoNotOverflow(t *testing.T) {
	l := &testLane{aging: 1, capacity: math.MaxInt64}
	a := with(l, 0, "a", laneEntry{Weight: math.MaxInt64})
	with(l, 0, "b", laneEntry{Weight: math.MaxInt64})
	require.Equal(t, []string{"a"}, takeAll(l))
	l.done(a)
	require.Equal(t, []string{"b"}, takeAll(l))
}

func TestLanePromote(t *testing.T) {
	l := newTestLane()
	_, left := l.promote(0)
	require.False(t, left)

	a := with(l, 0, "a", laneEntry{Due: 30})
	b := with(l, 0, "b", laneEntry{Due: 20, Priority: 1})
	c := with(l, 0, "c", laneEntry{Due: 20})
	require.Equal(t, 3, l.size)
	require.Nil(t, l.best())

	next, left := l.promote(19)
	require.True(t, left)
	require.EqualValues(t, 20, next)
	require.Nil(t, l.best())

	next, left = l.promote(20)
	require.True(t, left)
	require.EqualValues(t, 30, next)
	require.Equal(t, 3, l.size)
	require.Same(t, b, l.best())
	require.Equal(t, rankOf(20-testAging), b.rank)

	_, left = l.promote(5000)
	require.False(t, left)
	require.Equal(t, rankOf(30), a.rank, "from when it was due, not from when it was seen")
	require.True(t, l.remove(b))
	require.Same(t, c, l.best())
}

func TestLaneRemoveDelayed(t *testing.T) {
	l := newTestLane()
	a := with(l, 0, "a", laneEntry{Key: "k", Due: 10})
	b := with(l, 0, "b", laneEntry{Key: "k", Due: 20})
	c := with(l, 0, "c", laneEntry{Key: "k"})
	require.Same(t, c, l.best(), "a delayed one does not have its key's turn")
	require.True(t, l.remove(a))
	next, left := l.promote(0)
	require.True(t, left)
	require.EqualValues(t, 20, next)
	require.True(t, l.remove(b))
	_, left = l.promote(0)
	require.False(t, left)
	require.Equal(t, []string{"c"}, runAll(l))
	requireEmpty(t, l, "")
}

func TestLaneListsInTheOrderOfAdding(t *testing.T) {
	l := newTestLane()
	require.Nil(t, l.oldest())
	a := with(l, 0, "a", laneEntry{Due: 10})
	b := with(l, 0, "b", laneEntry{Key: 1})
	with(l, 0, "c", laneEntry{Key: 1})
	d := with(l, 0, "d", laneEntry{Priority: 1})
	require.Equal(t, []string{"a", "b", "c", "d"}, listed(l))
	require.Same(t, a, l.oldest())
	l.take(d)
	l.take(b)
	require.Equal(t, []string{"a", "c"}, listed(l), "taken ones are not in it")
	require.True(t, l.remove(a))
	require.Equal(t, "c", l.oldest().Value)

	with(l, 0, "e", laneEntry{})
	for range l.all {
		break // a yield after this panics
	}
	for e := range l.all {
		require.True(t, l.remove(e))
	}
	require.Zero(t, l.size)
	l.done(b)
	l.done(d)
	requireEmpty(t, l, "")
}

func TestLaneLeavesOthersAlone(t *testing.T) {
	l := newTestLane()
	fresh := &laneEntry{Key: 1, Weight: 3}
	require.False(t, l.remove(fresh), "never added")
	l.done(fresh)
	l.take(fresh)
	requireEmpty(t, l, "")

	a := with(l, 0, "a", laneEntry{Key: 1, Weight: 3})
	b := with(l, 0, "b", laneEntry{Key: 1, Weight: 3})
	l.done(a)
	l.take(b)
	require.Equal(t, 2, l.size, "done was not taken, taken was not ready")
	l.take(a)
	l.take(a)
	require.EqualValues(t, 3, l.used)
	l.done(a)
	require.True(t, l.remove(b))
	l.done(b)
	requireEmpty(t, l, "")

	l.add(a, 0) // once it is gone it may come again
	require.Equal(t, []string{"a"}, runAll(l))
	requireEmpty(t, l, "")
}

func TestLaneForgets(t *testing.T) {
	l := newTestLane()
	var es []*laneEntry
	for i := range 30 {
		es = append(es, with(l, 0, fmt.Sprint(i), laneEntry{Weight: int64(i % 2), Due: int64(i % 3), Key: i % 5}))
	}
	for i, e := range es {
		if i == 10 {
			l.promote(1)
		}
		require.True(t, l.remove(e))
		requireNoLinks(t, e, "")
		requireHeaps(t, l, "")
	}
	requireEmpty(t, l, "")
}

// requireHeaps asserts that the heaps are ones, and that the arrays behind them hold
// nothing where no entry is.
func requireHeaps(t *testing.T, l *testLane, msg string) {
	t.Helper()
	for _, h := range []entryHeap[string]{l.delayed, l.light, l.heavy} {
		for i, e := range h.es {
			require.Equal(t, i, e.place, msg)
			require.False(t, i > 0 && e.before(h.es[(i-1)/2]), "a heap is in disorder %s", msg)
		}
		for _, e := range h.es[len(h.es):cap(h.es)] {
			require.Nil(t, e, "a heap keeps an entry alive %s", msg)
		}
	}
}

func requireNoLinks(t *testing.T, e *laneEntry, msg string) {
	t.Helper()
	require.True(t, e.older == nil && e.newer == nil && e.ahead == nil && e.behind == nil,
		"an entry that is gone keeps others alive %s", msg)
}

func requireEmpty(t *testing.T, l *testLane, msg string) {
	t.Helper()
	require.Zero(t, l.size, msg)
	require.Zero(t, l.used, msg)
	require.True(t, l.first == nil && l.last == nil, msg)
	require.Empty(t, l.keys, msg)
	require.Zero(t, len(l.delayed.es)+len(l.light.es)+len(l.heavy.es), msg)
	requireHeaps(t, l, msg)
}

// laneModel says by looking through everything what a lane should say.
type laneModel struct {
	capacity, aging int64
	in              []*modelEntry // delayed, behind or ready, in the order of adding
	taken           []*modelEntry
	entered         int
}

type modelEntry struct {
	*laneEntry
	entered int // the how many-th; 0 while it is delayed
	rank    *big.Int
}

func (m *laneModel) add(e *laneEntry, now int64) {
	x := &modelEntry{laneEntry: e}
	m.in = append(m.in, x)
	if e.Due <= now {
		m.enter(x, now)
	}
}

func (m *laneModel) enter(x *modelEntry, at int64) {
	m.entered++
	x.entered, x.rank = m.entered, modelRank(at, x.Priority, m.aging)
}

func (m *laneModel) promote(now int64) (next int64, left bool) {
	var due []*modelEntry
	for _, x := range m.in {
		switch {
		case x.entered > 0:
		case x.Due <= now:
			due = append(due, x)
		case !left || x.Due < next:
			next, left = x.Due, true
		}
	}
	slices.SortStableFunc(due, func(a, b *modelEntry) int { return cmp.Compare(a.Due, b.Due) })
	for _, x := range due {
		m.enter(x, x.Due)
	}
	return next, left
}

func (m *laneModel) used() (sum int64) {
	for _, x := range m.taken {
		sum += x.Weight
	}
	return sum
}

// blocked reports whether another one of x's key goes first.
func (m *laneModel) blocked(x *modelEntry) bool {
	if x.Key == nil {
		return false
	}
	same := func(y *modelEntry) bool { return y.Key == x.Key }
	return slices.ContainsFunc(m.taken, same) || slices.ContainsFunc(m.in, func(y *modelEntry) bool {
		return same(y) && y.entered > 0 && y.entered < x.entered
	})
}

func (m *laneModel) best() *modelEntry {
	var ready []*modelEntry
	for _, x := range m.in {
		if x.entered > 0 && !m.blocked(x) {
			ready = append(ready, x)
		}
	}
	slices.SortStableFunc(ready, func(a, b *modelEntry) int { return a.rank.Cmp(b.rank) })
	stuck := false
	for _, x := range ready {
		if x.Weight == 0 {
			return x
		}
		if !stuck && m.used()+x.Weight <= m.capacity {
			return x
		}
		stuck = true
	}
	return nil
}

// out takes e out of list and returns it, nil if it is not in it.
func out(list *[]*modelEntry, e *laneEntry) *modelEntry {
	i := slices.IndexFunc(*list, func(x *modelEntry) bool { return x.laneEntry == e })
	if i < 0 {
		return nil
	}
	x := (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return x
}

func modelRank(at int64, priority int, aging int64) *big.Int {
	start := new(big.Int).Mul(big.NewInt(int64(priority)), big.NewInt(aging))
	return start.Sub(big.NewInt(at), start)
}

// laneTrial lets a lane and the model do the same and compares them.
type laneTrial struct {
	t     *testing.T
	rnd   *rand.Rand
	msg   string
	lane  *testLane
	model *laneModel
	now   int64
	all   []*laneEntry
	gone  []*laneEntry
	turns map[any]int // of each key, when what was taken last had entered
}

func TestLaneLikeTheModel(t *testing.T) {
	for range 20 {
		seed := rand.Uint64() // to repeat a failure, put the number here
		rnd := rand.New(rand.NewPCG(seed, 0))
		aging, capacity := 1+rnd.Int64N(50), 1+rnd.Int64N(12)
		if rnd.IntN(5) == 0 {
			aging = math.MaxInt64 - rnd.Int64N(3)
		}
		r := &laneTrial{
			t: t, rnd: rnd, msg: fmt.Sprintf("seed %d", seed),
			lane:  &testLane{aging: aging, capacity: capacity},
			model: &laneModel{aging: aging, capacity: capacity},
			turns: make(map[any]int),
		}
		// Lanes that mostly fill, and lanes that mostly drain.
		adds := 2 + rnd.IntN(4)
		for range 600 {
			r.step(adds)
			r.check()
		}
		r.drain()
	}
}

func (r *laneTrial) step(adds int) {
	switch op := r.rnd.IntN(6 + adds); op {
	case 0:
		r.now += r.rnd.Int64N(30)
		r.promote()
	case 1, 2:
		r.take()
	case 3:
		if len(r.model.taken) > 0 {
			r.done(r.model.taken[r.rnd.IntN(len(r.model.taken))].laneEntry)
		}
	case 4:
		if len(r.all) > 0 { // whatever its state
			r.done(r.all[r.rnd.IntN(len(r.all))])
		}
	case 5:
		if len(r.all) > 0 {
			r.remove(r.all[r.rnd.IntN(len(r.all))])
		}
	default:
		r.add()
	}
}

// add adds a new entry, or one that has been used before.
func (r *laneTrial) add() {
	var e *laneEntry
	if len(r.gone) > 0 && r.rnd.IntN(4) == 0 {
		e = r.gone[len(r.gone)-1]
		r.gone = r.gone[:len(r.gone)-1]
	} else {
		e = &laneEntry{Value: fmt.Sprint(len(r.all))}
		r.all = append(r.all, e)
	}
	e.Key, e.Priority, e.Weight, e.Due = nil, 0, 0, 0
	if r.rnd.IntN(2) == 0 {
		e.Key = []any{1, 2, "1", [2]int{}, true}[r.rnd.IntN(5)]
	}
	if r.rnd.IntN(2) == 0 {
		e.Priority = []int{-2, -1, 1, 2, math.MaxInt, math.MaxInt - 1, math.MinInt, math.MinInt + 1}[r.rnd.IntN(8)]
	}
	if r.rnd.IntN(2) == 0 {
		e.Weight = 1 + r.rnd.Int64N(r.model.capacity)
	}
	if r.rnd.IntN(2) == 0 {
		e.Due = max(0, r.now+r.rnd.Int64N(60)-20)
	}
	if r.rnd.IntN(3) == 0 {
		r.now += r.rnd.Int64N(10) // and nobody promotes
	}
	r.lane.add(e, r.now)
	r.model.add(e, r.now)
}

func (r *laneTrial) promote() {
	next, left := r.lane.promote(r.now)
	wantNext, wantLeft := r.model.promote(r.now)
	require.Equal(r.t, wantNext, next, r.msg)
	require.Equal(r.t, wantLeft, left, r.msg)
}

func (r *laneTrial) take() {
	e := r.lane.best()
	if e == nil {
		return // check has compared it
	}
	r.lane.take(e)
	x := out(&r.model.in, e)
	require.NotNil(r.t, x, r.msg)
	r.model.taken = append(r.model.taken, x)
	if e.Key != nil {
		require.Greater(r.t, x.entered, r.turns[e.Key], "a key's order %s", r.msg)
		r.turns[e.Key] = x.entered
	}
}

func (r *laneTrial) done(e *laneEntry) {
	r.lane.done(e)
	if out(&r.model.taken, e) != nil {
		r.left(e)
	}
}

func (r *laneTrial) remove(e *laneEntry) {
	got := r.lane.remove(e)
	want := out(&r.model.in, e) != nil
	require.Equal(r.t, want, got, r.msg)
	if want {
		r.left(e)
	}
}

func (r *laneTrial) left(e *laneEntry) {
	requireNoLinks(r.t, e, r.msg)
	r.gone = append(r.gone, e)
}

func (r *laneTrial) check() {
	name := func(e *laneEntry) string {
		if e == nil {
			return "none"
		}
		return e.Value
	}
	want, oldest := "none", "none"
	if x := r.model.best(); x != nil {
		want = x.Value
		require.Zero(r.t, x.rank.Cmp(x.laneEntry.rank.big()), r.msg)
	}
	var names []string
	for _, x := range r.model.in {
		names = append(names, x.Value)
	}
	if len(names) > 0 {
		oldest = names[0]
	}
	require.Equal(r.t, want, name(r.lane.best()), r.msg)
	require.Equal(r.t, oldest, name(r.lane.oldest()), r.msg)
	require.Equal(r.t, len(names), r.lane.size, r.msg)
	require.Equal(r.t, names, listed(r.lane), r.msg)

	require.Equal(r.t, r.model.used(), r.lane.used, r.msg)
	require.LessOrEqual(r.t, r.lane.used, r.lane.capacity, r.msg)
	keys := make(map[any]bool)
	for _, x := range r.model.taken {
		require.False(r.t, x.Key != nil && keys[x.Key], "a key is taken twice %s", r.msg)
		keys[x.Key] = true
	}
	for _, x := range r.model.in {
		if x.entered > 0 {
			keys[x.Key] = true
		}
	}
	delete(keys, nil)
	require.Len(r.t, r.lane.keys, len(keys), r.msg)
	requireHeaps(r.t, r.lane, r.msg)
}

// drain ends everything: nothing may be stuck, and nothing may be left.
func (r *laneTrial) drain() {
	r.now = math.MaxInt64
	r.promote()
	for {
		for len(r.model.taken) > 0 {
			r.done(r.model.taken[0].laneEntry)
			r.check()
		}
		if r.lane.best() == nil {
			break
		}
		r.take()
		r.check()
	}
	requireEmpty(r.t, r.lane, r.msg)
}
