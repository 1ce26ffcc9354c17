package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Plan describes what a flow will do when it is run: its stages, how they are connected,
// and what runs where. Making a Plan runs nothing, and a Plan does not change when the flow
// is used later. It is a plain value: goroutines may share it as long as none writes to it,
// and a copy shares Stages with the original. The zero Plan has no stages.
//
// Its methods do not check it. In a Plan made by hand, positions in From that are not
// before the stage itself are ignored.
type Plan struct {
	// Stages are in an order in which each stage comes after those that it takes from:
	// sources first, the terminal last.
	Stages []PlannedStage
}

// PlannedStage is one stage of a [Plan]. It is a plain value like the Plan.
type PlannedStage struct {
	// Name is what errors call the stage. The default is the Kind.
	Name string
	// Kind is what the stage does: "from", "map", "flatmap", "filter", "tap", "take",
	// "batch", "merge", "zip", "broadcast", "route", "partition", "through" and so on.
	Kind string
	// From has the positions in Plan.Stages of the stages that this one takes from. A
	// source has none.
	From []int
	// Group numbers what runs together: the stages of a group are fused into one chain of
	// calls on one goroutine. A stage with workers is alone in its group. A fan-in
	// ("merge", and the second half of a broadcast) hands items over without a goroutine of
	// its own.
	Group int
	// Workers is how many goroutines the stage has of its own. With 0 it runs on that of
	// its group.
	Workers int
	// MaxWorkers is above Workers if the stage chooses a number between the two itself.
	MaxWorkers int
	// Copies is how many copies of the stage run at once, in the lanes of a Partition, each
	// with its own Workers, Window and Buffer. Elsewhere it is 1; 0 means the same.
	Copies int
	// Ordered says that a stage with workers gives its outputs in the order of its inputs.
	Ordered bool
	// Window is how many inputs may be in an ordered stage with workers at once, in flight
	// or finished.
	Window int
	// Buffer is how many items may wait before the stage. With 0 it has no queue: the
	// stages before it call it.
	Buffer int
	// Policies are what the stage does besides calling its function: "retry 3",
	// "timeout 5s", "limit", "skip errors", "dead letters".
	Policies []string
	// Holds is the most items that may be in the stage at once, in progress or waiting,
	// Copies included. It is -1 if the plan does not bound it.
	Holds int
}

// InFlight returns the most items that may be under way at once in a run: the sum of what
// the stages hold. bounded is false if the plan does not bound at least one of them; n is
// then the sum of the others. A slice that a [Batch] or a [Window] has made counts as one
// item, whatever its size.
func (p Plan) InFlight() (n int, bounded bool) {
	bounded = true
	for _, s := range p.Stages {
		if s.Holds < 0 || plus(n, s.Holds) == unbounded {
			bounded = false
			continue
		}
		n += s.Holds
	}
	return n, bounded
}

// inFlight returns the result of InFlight in words.
func (p Plan) inFlight() string {
	switch n, bounded := p.InFlight(); {
	case !bounded:
		return "no bound on items under way"
	case n == 1:
		return "at most 1 item under way"
	default:
		return fmt.Sprintf("at most %d items under way", n)
	}
}

// printable returns a text of the user as all pictures show it: on one line, without
// control characters, and with its ends visible.
func printable(text string) string {
	quoted := strconv.Quote(text)
	switch {
	case text == "", quoted != `"`+text+`"`, strings.TrimSpace(text) != text, strings.Contains(text, "  "):
		return quoted
	}
	return text
}

func (s PlannedStage) title() string {
	title := printable(s.Name)
	if s.Kind != s.Name {
		title += " (" + printable(s.Kind) + ")"
	}
	if s.Copies > 1 {
		title += fmt.Sprintf(" x %d", s.Copies)
	}
	return title
}

// traits are the properties of a stage by itself. buffer is the size of the buffer before
// it, or 0 if that is shown elsewhere.
func (s PlannedStage) traits(buffer int) []string {
	var all []string
	switch {
	case s.MaxWorkers > s.Workers:
		all = append(all, fmt.Sprintf("%d to %d workers", s.Workers, s.MaxWorkers))
	case s.Workers == 1:
		all = append(all, "1 worker")
	case s.Workers > 1:
		all = append(all, fmt.Sprintf("%d workers", s.Workers))
	}
	if s.Ordered {
		all = append(all, "ordered")
	}
	if s.Window > 0 {
		all = append(all, fmt.Sprintf("window %d", s.Window))
	}
	if buffer > 0 {
		all = append(all, bufferLabel(buffer))
	}
	for _, policy := range s.Policies {
		all = append(all, printable(policy))
	}
	if s.Holds < 0 {
		all = append(all, "unbounded")
	}
	return all
}

func bufferLabel(buffer int) string { return fmt.Sprintf("buffer %d", buffer) }

func (s PlannedStage) hasWorkers() bool { return s.Workers > 0 || s.MaxWorkers > 0 }

// planGraph is a plan with the lookup tables that its pictures need.
type planGraph struct {
	Plan
	from   [][]int // by stage: the valid positions in its From
	to     [][]int // by stage: the stages that take from it
	group  []int   // by stage: its position in groups
	groups [][]int // the stages of each group, in the order in which the groups begin
}

func newPlanGraph(p Plan) *planGraph {
	n := len(p.Stages)
	g := &planGraph{Plan: p, from: make([][]int, n), to: make([][]int, n), group: make([]int, n)}
	places := map[int]int{}
	for i, s := range p.Stages {
		for _, from := range s.From {
			if from >= 0 && from < i {
				g.from[i] = append(g.from[i], from)
				g.to[from] = append(g.to[from], i)
			}
		}
		place, known := places[s.Group]
		if !known {
			place = len(g.groups)
			places[s.Group] = place
			g.groups = append(g.groups, nil)
		}
		g.group[i] = place
		g.groups[place] = append(g.groups[place], i)
	}
	return g
}

// called reports whether from calls to directly, without a hand-over between the two.
func (g *planGraph) called(from, to int) bool {
	return g.group[from] == g.group[to] && slices.Contains(g.from[to], from)
}

// fusedWith returns the stage that i is fused to: the one that calls it, or else the first
// of its group. It returns -1 if i is the first of its group.
func (g *planGraph) fusedWith(i int) int {
	for _, from := range g.from[i] {
		if g.called(from, i) {
			return from
		}
	}
	if first := g.groups[g.group[i]][0]; first != i {
		return first
	}
	return -1
}

// diagramLines returns the lines in a node of a diagram. The buffer is shown on the edge if
// there is only one edge, and in the node if several edges share it.
func (g *planGraph) diagramLines(i int) []string {
	s := g.Stages[i]
	buffer := 0
	if len(g.from[i]) != 1 {
		buffer = s.Buffer
	}
	return append([]string{s.title()}, s.traits(buffer)...)
}

// edgeLabel returns the label of the edges to a stage, or "" for none.
func (g *planGraph) edgeLabel(to int) string {
	if buffer := g.Stages[to].Buffer; buffer > 0 && len(g.from[to]) == 1 {
		return bufferLabel(buffer)
	}
	return ""
}
