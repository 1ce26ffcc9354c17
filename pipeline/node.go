package pipeline

import (
	"fmt"
	"math"

	"github.com/millstream-go/millstream/internal/engine"
)

// node is one step as plans and reports see it, with the steps before it. It is a tree, in which
// a flow that is used twice appears twice, since it runs twice.
type node struct {
	*config
	role  role
	ups   []*node
	id    *int // of a port, and of its fan
	lanes int  // of a partition
	keeps int  // inputs that the step itself holds back
	apart bool // with roleQueued: on its own goroutine, with a queue after it
	meter *engine.Meter
}

// role is how a step runs.
type role uint8

const (
	roleSource role = iota
	roleFused       // on the goroutine of the step before, or of the step after it if the step before ends in a queue
	rolePooled      // on its own workers, with a queue before it
	roleQueued      // on the goroutine of the step after it, with a queue before it
	roleMerge       // nowhere: the steps before it put into the queue after it
	roleFan         // like roleFused; its first input is what it hands out, the others are the branches
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

// count returns how often the port with that id is used.
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

// Plan describes a run of f. It holds for every terminal, except that a ForEach is one more
// stage, before the last one. The last stage, "terminal", stands for what the terminal does with
// the items. Plan runs nothing, not even the source, and the same flow has the same plan each
// time. A flow that is used twice appears twice, since it runs twice. The zero Flow panics.
//
// What the stages hold is counted in items as each stage receives them. So a slice from a [Batch]
// is one item after it, and an input of a [FlatMap] counts as one in addition to its outputs. An
// item that a [Broadcast] hands out counts once for each of its stages.
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
	fans   map[*int]int // the position of the stage that hands out to a port
}

// outlet says where the outputs of a node come from.
type outlet struct {
	from   []int
	group  int // of the goroutine that they come on; 0: they come through a queue
	buffer int // of that queue
	// boxes is the number of producers, lanes included, that hold back items for that queue which
	// their stages do not count.
	boxes int
}

// flatten adds n, of which copies run at once, after all steps before it.
func (p *planner) flatten(n *node, copies int) outlet {
	if n.role == roleFan {
		return p.fan(n, copies)
	}
	// A port without its fan is run outside of its stage, which is an error.
	if at, ok := p.fans[n.id]; ok && n.role == rolePort {
		return outlet{from: []int{at}, buffer: defaultBuffer, boxes: 1}
	}
	before := p.before(n, copies)
	s := n.stage(before.from, copies)
	out := outlet{buffer: n.buffer, boxes: 1}
	switch n.role {
	case roleMerge:
		s.Group = p.newGroup()
		out.boxes = before.boxes
	case rolePooled:
		s.Group, s.Workers, s.MaxWorkers, s.Buffer = p.newGroup(), n.workers, n.most, n.buffer
		s.Holds = plus(queued(s.Buffer, before.boxes), n.inHand())
		out.boxes = n.boxes()
	case roleQueued:
		// Each of the steps before has its own queue, and a chunk taken from it.
		s.Group, s.Buffer = p.newGroup(), times(n.buffer, len(n.ups))
		s.Holds = plus(s.Buffer, times(plus(before.boxes, len(n.ups)), heldBack(n.buffer)))
		out.group = s.Group
	case roleFused, roleSource, roleFan, rolePort:
		p.fuse(&s, before)
		out.group = s.Group
		if n.role == roleSource || n.kind == "flatmap" {
			s.Holds = plus(s.Holds, 1) // the current item of the chain of calls; a FlatMap keeps its input while the outputs pass
		}
	}
	if n.apart {
		out.group, out.boxes = 0, 2
	}
	s.Holds = times(copies, plus(s.Holds, n.keeps))
	out.from = p.add(s, n)
	return out
}

// before adds all that n takes from, and returns where that comes from. If there are several,
// group and buffer are those of the first.
func (p *planner) before(n *node, copies int) outlet {
	var all outlet
	for i, up := range n.ups {
		out := p.flatten(up, copies)
		if i == 0 {
			all = out
			continue
		}
		all.from = append(all.from, out.from...)
		all.boxes = plus(all.boxes, out.boxes)
	}
	return all
}

// fuse puts s on the goroutine that its inputs come on. If they come through a queue, that is a
// new goroutine, which holds a chunk from the queue.
func (p *planner) fuse(s *PlannedStage, before outlet) {
	if s.Group = before.group; s.Group == 0 {
		s.Group, s.Buffer = p.newGroup(), before.buffer
		s.Holds = queued(s.Buffer, plus(before.boxes, 1))
	}
}

// fan adds a step that hands out to branches, and the branches.
func (p *planner) fan(n *node, copies int) outlet {
	before := p.flatten(n.ups[0], copies)
	s := n.stage(before.from, copies)
	p.fuse(&s, before)
	s.Holds = times(copies, s.Holds)
	at := p.add(s, n)
	if p.fans == nil {
		p.fans = make(map[*int]int)
	}
	p.fans[n.id] = at[0]
	out := outlet{buffer: defaultBuffer, boxes: 1} // inputs that failed before go around the branches
	lanes := max(n.lanes, 1)
	for _, branch := range n.ups[1:] {
		end := p.flatten(branch, times(copies, lanes))
		out.from = append(out.from, end.from...)
		out.boxes = plus(out.boxes, times(end.boxes, lanes))
	}
	return out
}

func (p *planner) newGroup() int {
	p.groups++
	return p.groups
}

func (p *planner) add(s PlannedStage, n *node) []int {
	if s.Holds == unbounded {
		s.Holds = -1
	}
	p.stages, p.nodes = append(p.stages, s), append(p.nodes, n)
	return []int{len(p.stages) - 1}
}

// stage returns what is known of a node by itself.
func (n *node) stage(from []int, copies int) PlannedStage {
	s := PlannedStage{Name: n.name, Kind: n.kind, From: from, Copies: copies, Policies: n.policies()}
	if n.role == rolePooled {
		s.Ordered, s.Window = n.ordered, min(n.window, engine.MaxWindow)
	}
	return s
}

// heldBack returns how many items one producer or one taker of a queue holds outside of it.
func heldBack(buffer int) int { return min(engine.MaxChunk, buffer) }

// queued returns how many items wait in a queue and outside of it, with that many producers and
// takers.
func queued(buffer, holders int) int { return plus(buffer, times(holders, heldBack(buffer))) }

// unbounded is a number of items that no plan bounds. A sum that would exceed it is unbounded.
const unbounded = math.MaxInt

// plus returns a + b, for numbers that are not below 0.
func plus(a, b int) int {
	if a > unbounded-b {
		return unbounded
	}
	return a + b
}

// times returns a * b, for numbers that are not below 0.
func times(a, b int) int {
	if b > 0 && a > unbounded/b {
		return unbounded
	}
	return a * b
}

// inHand returns how many items a stage with workers holds after its queue: inputs in flight and
// the outputs of finished ones.
func (c *config) inHand() int {
	flat := c.kind == "flatmap"
	switch window := min(c.window, engine.MaxWindow); {
	case c.ordered && flat:
		// Each place in the window keeps up to a chunk of outputs; a call that waits for room
		// has one more, and its input.
		return plus(window*engine.MaxChunk, times(2, c.most))
	case c.ordered:
		return window
	default:
		return times(c.most, heldBack(c.buffer))
	}
}

// boxes returns how many workers of a stage hold back outputs beyond what inHand counts. Those of
// a FlatMap do. Elsewhere each output replaces one input of a worker's chunk, and nothing is held
// back beyond the chunk; outputs of an ordered stage wait in the window.
func (c *config) boxes() int {
	if c.kind == "flatmap" && !c.ordered {
		return c.most
	}
	return 0
}

// policies returns what a stage does besides calling its function.
func (c *config) policies() []string {
	var all []string
	if c.retry != nil {
		all = append(all, fmt.Sprintf("retry %d", c.retry.Attempts))
	}
	if c.timeout > 0 {
		all = append(all, fmt.Sprintf("timeout %v", c.timeout))
	}
	switch limits := c.limits.Len(); limits {
	case 0:
	case 1:
		all = append(all, "limit")
	default:
		all = append(all, fmt.Sprintf("%d limits", limits))
	}
	if c.skips {
		all = append(all, "skip errors")
	}
	if c.letters != nil {
		all = append(all, "dead letters")
	}
	return all
}
