package pipeline

import (
	"fmt"

	"github.com/millstream-go/millstream/internal/engine"
)

// node is one step as plans and reports know it, with those before it: a tree, in which a
// flow that is used twice stands twice, since it runs twice.
type node struct {
	*config
	role  role
	ups   []*node
	id    *int // of a port, and of the fan whose port it is
	lanes int  // of a partition
	keeps int  // inputs that the step itself holds back; -1: any number
	apart bool // with roleQueued: on a goroutine of its own, with a queue behind it
	meter *engine.Meter
}

// role is how a step runs.
type role uint8

const (
	roleSource role = iota
	roleFused       // on the goroutine of the step before, or of the step behind if that one has a queue
	rolePooled      // on workers of its own, with a queue before it
	roleQueued      // on the goroutine of the step behind, with a queue before it
	roleMerge       // nowhere: those before it put into the queue behind
	roleFan         // as roleFused; its first input is what it hands out, the others are the branches
	rolePort        // the start of a branch
)

func (b *base) node(r role, ups ...*node) *node {
	return &node{config: &b.config, role: r, ups: ups}
}

// equip gives each node a meter.
func (n *node) equip(clock engine.Clock) {
	n.meter = engine.NewMeter(clock)
	for _, up := range n.ups {
		up.equip(clock)
	}
}

// count says how often the port with that id is used.
func (n *node) count(id *int) int {
	if n.role == rolePort && n.id == id {
		return 1
	}
	total := 0
	for _, up := range n.ups {
		total += up.count(id)
	}
	return total
}

// Plan returns what a run of f will do. It runs nothing.
func (f Flow[T]) Plan() Plan {
	end := config{kind: "terminal", name: "terminal", buffer: defaultBuffer}
	var p planner
	p.flatten(&node{config: &end, role: roleFused, ups: []*node{f.check("Plan").plan()}}, 1)
	return Plan{Stages: p.stages}
}

// planner lays a tree of nodes out as a list of stages.
type planner struct {
	stages []PlannedStage
	nodes  []*node // of the stages
	groups int
	fans   map[*int]int // where the stage is that hands out to a port
}

// outlet is where the outputs of a node come from.
type outlet struct {
	from      []int
	group     int // of the goroutine that they come on; 0: they come in a queue
	buffer    int // of that queue
	producers int // goroutines that put into it, lanes included
}

// flatten adds n, of which copies run at once, behind all before it.
func (p *planner) flatten(n *node, copies int) outlet {
	switch n.role {
	case rolePort:
		if at, ok := p.fans[n.id]; ok { // else it is run outside of its stage, which is an error
			return outlet{from: []int{at}, buffer: defaultBuffer, producers: 1}
		}
	case roleFan:
		return p.fan(n, copies)
	}
	var before outlet
	for i, up := range n.ups {
		from := p.flatten(up, copies)
		if i == 0 {
			before = from
			continue
		}
		before.from = append(before.from, from.from...)
		before.producers += from.producers
		before.group = 0
	}
	s := n.stage(before.from, copies)
	switch n.role {
	case roleMerge:
		s.Group = p.newGroup()
		return outlet{from: p.add(s, n), buffer: n.buffer, producers: before.producers}
	case rolePooled:
		s.Group, s.Workers, s.MaxWorkers, s.Buffer = p.newGroup(), n.workers, n.most, n.buffer
		s.Holds = copies * (s.Buffer + before.producers*heldBack(s.Buffer) + n.inHand())
		return outlet{from: p.add(s, n), buffer: n.buffer, producers: n.most}
	case roleQueued:
		s.Group, s.Buffer = p.newGroup(), n.buffer*len(n.ups)
	case roleFused, roleSource, roleFan, rolePort:
		s.Group = before.group
		if s.Group == 0 {
			s.Group, s.Buffer = p.newGroup(), before.buffer
		}
	}
	if s.Buffer > 0 {
		s.Holds = s.Buffer + before.producers*heldBack(s.Buffer) + heldBack(s.Buffer)
	}
	if n.keeps < 0 {
		s.Holds = -1
	} else {
		s.Holds = copies * (s.Holds + n.keeps + 1)
	}
	out := outlet{from: p.add(s, n), group: s.Group, buffer: n.buffer, producers: 1}
	if n.apart {
		out.group, out.producers = 0, 2
	}
	return out
}

// fan adds a step that hands out to branches, and the branches.
func (p *planner) fan(n *node, copies int) outlet {
	before := p.flatten(n.ups[0], copies)
	s := n.stage(before.from, copies)
	if s.Group = before.group; s.Group == 0 {
		s.Group, s.Buffer = p.newGroup(), before.buffer
		s.Holds = s.Buffer + before.producers*heldBack(s.Buffer) + heldBack(s.Buffer)
	}
	s.Holds = copies * (s.Holds + 1)
	at := p.add(s, n)
	if p.fans == nil {
		p.fans = make(map[*int]int)
	}
	p.fans[n.id] = at[0]
	out := outlet{buffer: defaultBuffer, producers: 1} // what failed before goes around the branches
	lanes := max(n.lanes, 1)
	for _, branch := range n.ups[1:] {
		end := p.flatten(branch, copies*lanes)
		out.from = append(out.from, end.from...)
		out.producers += end.producers * lanes
	}
	return out
}

func (p *planner) newGroup() int {
	p.groups++
	return p.groups
}

func (p *planner) add(s PlannedStage, n *node) []int {
	p.stages, p.nodes = append(p.stages, s), append(p.nodes, n)
	return []int{len(p.stages) - 1}
}

// stage is what is known of a node by itself.
func (n *node) stage(from []int, copies int) PlannedStage {
	s := PlannedStage{Name: n.name, Kind: n.kind, From: from, Copies: copies, Policies: n.policies()}
	if n.role == rolePooled {
		s.Ordered, s.Window = n.ordered, n.window
	}
	return s
}

// heldBack is how many items one producer, or one taker, of a queue holds outside of it.
func heldBack(buffer int) int { return min(engine.MaxChunk, buffer) }

// inHand is how many inputs of a stage with workers are in flight or, in an ordered one, finished and waiting.
func (c *config) inHand() int {
	if c.ordered {
		return c.window
	}
	return c.most * heldBack(c.buffer)
}

// policies says what a stage does beside calling its function.
func (c *config) policies() []string {
	var all []string
	if c.retry != nil {
		all = append(all, fmt.Sprintf("up to %d calls", c.retry.Attempts))
	}
	if c.timeout > 0 {
		all = append(all, fmt.Sprintf("timeout %v", c.timeout))
	}
	switch len(c.limits) {
	case 0:
	case 1:
		all = append(all, "limit")
	default:
		all = append(all, fmt.Sprintf("%d limits", len(c.limits)))
	}
	if c.skips {
		all = append(all, "skips errors")
	}
	if c.letters != nil {
		all = append(all, "dead letters")
	}
	return all
}
