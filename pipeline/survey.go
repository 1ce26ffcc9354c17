package pipeline

import "math"

// Thresholds, as shares of time.
const (
	mostly     = 0.5  // a stage that is busy or waits longer than that is considered
	clearly    = 0.8  // a stage as busy as that is hardly in doubt
	noticeable = 0.2  // a wait worth mentioning
	alike      = 0.05 // a difference up to this does not count
	equal      = 1e-9 // rounding, which the order of a sum changes
)

// verdict is the reason why a stage is blamed.
type verdict int

const (
	nothing verdict = iota // it is not blamed
	tooBusy                // it is busy, and others wait for it
	wedged                 // it is not busy, and others wait for it even so
)

// survey is a Snapshot, with the stages that run together and the connections between
// stages.
type survey struct {
	stages []StageStats // with shares from 0 to 1
	next   [][]int      // the stages that take from a stage
	crews  []runsAsOne  // the crews that spend time, in the order of their first stages
	crew   []int        // of a stage, as a position in crews; -1: it spends no time
}

// runsAsOne is a pool of workers, or the goroutine of fused stages.
type runsAsOne struct {
	stages []int
	top    int     // the stage that keeps it busiest
	used   float64 // share of time in calls and waiting for limits
	// How long its first stage waits for input from outside, and its last for room: within
	// the crew, one stage waits while another is in its calls.
	starved, blocked float64
}

func surveyOf(s Snapshot) *survey {
	v := &survey{
		stages: make([]StageStats, len(s.Stages)),
		next:   make([][]int, len(s.Stages)),
		crew:   make([]int, len(s.Stages)),
	}
	crewOf := make(map[int]int) // by Group
	for i, st := range s.Stages {
		for _, share := range []*float64{&st.Busy, &st.Starved, &st.Blocked, &st.Limited} {
			*share = shareOf(*share)
		}
		v.stages[i] = st
		for _, from := range st.From {
			if from >= 0 && from < len(s.Stages) {
				v.next[from] = append(v.next[from], i)
			}
		}
		v.crew[i] = -1
		if st.Busy+st.Starved+st.Blocked+st.Limited == 0 {
			continue
		}
		c, ok := crewOf[st.Group]
		if !ok || st.Workers > 0 { // a pool shares its workers with no other stage
			c = len(v.crews)
			v.crews = append(v.crews, runsAsOne{top: i, starved: 1, blocked: 1})
		}
		if st.Workers == 0 {
			crewOf[st.Group] = c
		}
		v.crew[i] = c
		v.crews[c].join(v.stages, i)
	}
	return v
}

func (c *runsAsOne) join(all []StageStats, i int) {
	c.stages = append(c.stages, i)
	c.used += used(all[i])
	if used(all[i]) > used(all[c.top]) {
		c.top = i
	}
	c.starved = min(c.starved, all[i].Starved)
	c.blocked = min(c.blocked, all[i].Blocked)
}

func used(s StageStats) float64 { return s.Busy + s.Limited }

// shareOf returns x as a share from 0 to 1. Invalid figures must not panic.
func shareOf(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, 0), 1)
}

// blame returns the crew that holds the run back, as a position in crews, and why.
func (v *survey) blame() (int, verdict) {
	if c := v.busiest(func(c int) bool { return !v.alone(c) }); c >= 0 && v.crews[c].used > mostly {
		return c, tooBusy
	}
	if c := v.busiest(nil); c >= 0 && v.crews[c].used > mostly {
		return c, tooBusy
	}
	if c := v.wedge(); c >= 0 {
		return c, wedged
	}
	return -1, nothing
}

// busiest returns the busiest of the crews for which may returns true, or -1.
func (v *survey) busiest(may func(int) bool) int {
	best := -1
	for c := range v.crews {
		if may != nil && !may(c) {
			continue
		}
		if best < 0 || v.busier(c, best) {
			best = c
		}
	}
	return best
}

func (v *survey) busier(c, than int) bool {
	a, b := v.crews[c].used, v.crews[than].used
	if math.Abs(a-b) > equal {
		return a > b
	}
	return v.pressure(c) > v.pressure(than)+equal
}

// pressure returns how long others wait for c.
func (v *survey) pressure(c int) float64 {
	top := v.crews[c].top
	_, blocked := v.mostBlocked(v.before(top))
	_, starved := v.mostStarved(v.behind(top))
	return blocked + starved
}

// alone reports whether c is kept busy by a source that is joined with others and that no
// stage waits for. For example, a source that ticks is always busy, since its waiting
// counts as busy.
func (v *survey) alone(c int) bool {
	top := v.crews[c].top
	if len(v.stages[top].From) > 0 || !v.joined(top) {
		return false
	}
	_, starved := v.mostStarved(v.behind(top))
	return starved < noticeable
}

// joined reports whether other stages join in somewhere after a stage.
func (v *survey) joined(stage int) bool {
	found := false
	v.walk(stage, func(i int) []int { return v.next[i] }, func(i int) bool {
		found = found || len(v.stages[i].From) > 1
		return !found
	})
	return found
}

// wedge returns a crew that is not busy although all stages before it wait for room and all
// after it for input, or -1. This takes several workers, or lanes, of which one keeps the
// others waiting.
func (v *survey) wedge() int {
	best := -1
	for c, crew := range v.crews {
		st := v.stages[crew.top]
		if len(st.From) == 0 || max(st.Workers, 1)*max(st.Copies, 1) < 2 {
			continue
		}
		before, behind := v.before(crew.top), v.behind(crew.top)
		held := len(before) > 0 && len(behind) > 0
		for _, i := range before {
			held = held && v.stages[i].Blocked > mostly
		}
		for _, i := range behind {
			held = held && v.stages[i].Starved > mostly
		}
		// Branches beside one that is stuck starve, and look the same.
		if held && (best < 0 || crew.starved < v.crews[best].starved-equal ||
			crew.starved < v.crews[best].starved+equal && v.busier(c, best)) {
			best = c
		}
	}
	return best
}

// before returns the nearest stages before a stage that run elsewhere and spend time.
func (v *survey) before(stage int) []int {
	return v.around(stage, func(i int) []int { return v.stages[i].From })
}

// behind returns the nearest stages after a stage that run elsewhere and spend time.
func (v *survey) behind(stage int) []int {
	return v.around(stage, func(i int) []int { return v.next[i] })
}

func (v *survey) around(stage int, step func(int) []int) []int {
	var found []int
	v.walk(stage, step, func(i int) bool {
		if v.crew[i] < 0 || v.crew[i] == v.crew[stage] {
			return true
		}
		found = append(found, i)
		return false
	})
	return found
}

// walk visits the stages that step leads to, each once, and continues from those for which
// visit returns true.
func (v *survey) walk(stage int, step func(int) []int, visit func(int) bool) {
	seen := make([]bool, len(v.stages))
	seen[stage] = true
	for todo := []int{stage}; len(todo) > 0; todo = todo[1:] {
		for _, i := range step(todo[0]) {
			if i < 0 || i >= len(seen) || seen[i] {
				continue
			}
			seen[i] = true
			if visit(i) {
				todo = append(todo, i)
			}
		}
	}
}

// mostBlocked returns the stage that waits longest for room, and for how long.
func (v *survey) mostBlocked(stages []int) (stage int, share float64) {
	return v.most(stages, func(s StageStats) float64 { return s.Blocked })
}

// mostStarved returns the stage that waits longest for input, and for how long.
func (v *survey) mostStarved(stages []int) (stage int, share float64) {
	return v.most(stages, func(s StageStats) float64 { return s.Starved })
}

func (v *survey) most(stages []int, of func(StageStats) float64) (stage int, share float64) {
	stage = -1
	for _, i := range stages {
		if x := of(v.stages[i]); stage < 0 || x > share {
			stage, share = i, x
		}
	}
	return stage, share
}
