package pipeline

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// String draws the plan for a terminal, sources at the top, one stage per line:
//
//	○ from
//	○ parse (map)      fused with from
//	│
//	● fetch (map) x 2  8 workers, ordered, window 512, buffer 256, retry 3
//	│
//	○ batch            buffer 256
//	○ store (foreach)  fused with batch
//
//	at most 1604 items under way
//
// A filled circle is a stage with workers. "x 2" marks a stage of which two copies run at
// once, each with its own workers and buffer. Stages directly below each other are one
// chain of calls on one goroutine; a line between them is a hand-over to another goroutine.
// The line branches where a stage has several stages before or after it. The result of
// [Plan.InFlight] comes last. The text does not end with a newline, and the same plan
// always has the same text.
func (p Plan) String() string {
	if len(p.Stages) == 0 {
		return "no stages"
	}
	t := planText{planGraph: newPlanGraph(p)}
	for i := range p.Stages {
		t.stage(i)
	}
	return t.aligned() + "\n" + p.inFlight()
}

// planText is a plan that is being drawn as text.
type planText struct {
	*planGraph
	lanes  lanes
	rows   []planRow
	column int // of the stage in the last row, if there is one
	last   int // that stage
}

// planRow is one line of the text.
type planRow struct {
	head   string // the lanes, and the title if it is the row of a stage
	traits string
	stage  bool
}

// stage draws all rows of a stage.
func (t *planText) stage(i int) {
	columns := t.lanes.to(i)
	if len(columns) > 1 {
		t.row(t.lanes.branches(columns, '┴', '╯'), "")
	}
	column := t.lanes.join(i, columns)
	if n := len(t.rows); n > 0 && t.rows[n-1].stage && t.column == column && !t.called(t.last, i) {
		line := '│'
		if len(columns) == 0 {
			line = ' ' // a source: nothing leads to it
		}
		t.row(t.lanes.node(column, line), "")
	}
	t.row(t.lanes.node(column, t.symbol(i))+" "+t.Stages[i].title(), t.traits(i))
	t.rows[len(t.rows)-1].stage = true
	t.column, t.last = column, i

	if columns = t.lanes.fork(column, t.to[i]); len(columns) > 1 {
		t.row(t.lanes.branches(columns, '┬', '╮'), "")
	}
}

func (t *planText) row(head, traits string) {
	t.rows = append(t.rows, planRow{head: head, traits: traits})
}

func (t *planText) symbol(i int) rune {
	if t.Stages[i].hasWorkers() {
		return '●'
	}
	return '○'
}

func (t *planText) traits(i int) string {
	s := t.Stages[i]
	var all []string
	if with := t.fusedWith(i); with >= 0 {
		all = append(all, "fused with "+printable(t.Stages[with].Name))
	}
	return strings.Join(append(all, s.traits(s.Buffer)...), ", ")
}

// widestHead is how far a long name may move the traits of other stages to the right.
const widestHead = 48

// aligned returns the rows with their traits in one column.
func (t *planText) aligned() string {
	width := 0
	for _, r := range t.rows {
		if w := utf8.RuneCountInString(r.head); r.traits != "" && w <= widestHead {
			width = max(width, w)
		}
	}
	var b strings.Builder
	for _, r := range t.rows {
		line := r.head
		if r.traits != "" {
			line += strings.Repeat(" ", max(0, width-utf8.RuneCountInString(r.head))) + "  " + r.traits
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// lanes are the columns of the connections that are drawn but have not reached their stage
// yet. Each holds that stage, or free. Connections branch to the right only.
type lanes []int

const free = -1

// to returns the columns of the connections that end at a stage, from left to right.
func (l *lanes) to(stage int) []int {
	var columns []int
	for c, to := range *l {
		if to == stage {
			columns = append(columns, c)
		}
	}
	return columns
}

// join ends the connections to a stage, and returns the column of the stage.
func (l *lanes) join(stage int, columns []int) int {
	if len(columns) == 0 {
		return l.add(stage, 0)
	}
	for _, c := range columns[1:] {
		(*l)[c] = free
	}
	return columns[0]
}

// fork replaces the stage in a column with the connections to the stages after it, and
// returns their columns.
func (l *lanes) fork(column int, to []int) []int {
	if len(to) == 0 {
		(*l)[column] = free
		return nil
	}
	(*l)[column] = to[0]
	columns := []int{column}
	for _, stage := range to[1:] {
		columns = append(columns, l.add(stage, column+1))
	}
	return columns
}

// add puts a connection into the first free column at or after from.
func (l *lanes) add(stage, from int) int {
	for c := from; c < len(*l); c++ {
		if (*l)[c] == free {
			(*l)[c] = stage
			return c
		}
	}
	*l = append(*l, stage)
	return len(*l) - 1
}

// node draws a symbol in a column, and the connections beside it.
func (l *lanes) node(column int, symbol rune) string {
	drawn := make([]rune, 0, 2*len(*l))
	width := 0
	for c, to := range *l {
		r := ' '
		switch {
		case c == column:
			r = symbol
		case to != free:
			r = '│'
		}
		drawn = append(drawn, r, ' ')
		if r != ' ' {
			width = len(drawn) - 1
		}
	}
	return string(drawn[:width])
}

// branches draws the connections, and a line from the first of the given columns to all
// others. A connection that the line crosses passes under it.
func (l *lanes) branches(columns []int, joint, corner rune) string {
	first, last := columns[0], columns[len(columns)-1]
	drawn := make([]rune, 0, 2*len(*l))
	for c, to := range *l {
		r, gap := ' ', ' '
		if first <= c && c < last {
			r, gap = '─', '─'
		}
		switch {
		case c == first:
			r = '├'
		case c == last:
			r = corner
		case slices.Contains(columns, c):
			r = joint
		case to != free:
			r = '│'
		}
		drawn = append(drawn, r, gap)
	}
	return string(drawn)
}
