package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millstream-go/millstream/result"
)

// String returns the snapshot as a table for people to read, with the speed of the run
// above it and the [Snapshot.Verdict] below: several lines, without a newline at the end. A
// line at the left joins neighbours that are fused on one goroutine. For a stage that
// chooses its number of workers itself, the table shows how many it has and the most it may
// have ("3/16"); for one in lanes, how many lanes there are and the workers of each
// ("8x4"). A dash stands for a value that does not exist or was not measured. Retries,
// errors that were skipped or went to dead letters, and the time spent waiting for limits
// have a column only if there were any. Between the table and the verdict the text says why
// the stages that choose their workers themselves have as many as they have. Durations have
// three digits. The layout may change; programs should read the fields, or the JSON.
func (s Snapshot) String() string {
	verdict := s.Verdict()
	parts := []string{s.heading(), s.table(), s.choices(verdict), wrapped(verdict, reportWidth)}
	if len(s.Stages) == 0 {
		parts = parts[3:]
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "\n\n")
}

// choices says what Auto has chosen and why, one line for each stage that the verdict does
// not cover.
func (s Snapshot) choices(verdict string) string {
	var lines []string
	v := surveyOf(s)
	for i, st := range s.Stages {
		why := oneLine(st.Choice)
		if why == "" || strings.Contains(verdict, why) {
			continue
		}
		lines = append(lines, wrapped(fmt.Sprintf("Auto gave %s %s of at most %s: %s.",
			v.name(i), count(st.Workers, "worker"), grouped(uint64(max(st.MaxWorkers, 0))), why), reportWidth))
	}
	return strings.Join(lines, "\n")
}

// reportWidth is the width of the text around the table.
const reportWidth = 120

// heading says how long the run took and how fast it was.
func (s Snapshot) heading() string {
	state := "running for "
	if s.Done {
		state = "done in "
	}
	var in, out uint64
	taken := make([]bool, len(s.Stages))
	for _, st := range s.Stages {
		if len(st.From) == 0 {
			in += st.Out
		}
		for _, from := range st.From {
			if from >= 0 && from < len(taken) {
				taken[from] = true
			}
		}
	}
	for i, st := range s.Stages {
		if !taken[i] {
			out += st.In
		}
	}
	return state + threeDigits(max(s.Elapsed, 0)) + ": " +
		grouped(in) + " from the source (" + perSecond(in, s.Elapsed) + "), " +
		grouped(out) + " at the end (" + perSecond(out, s.Elapsed) + ")"
}

// reportColumn is one column of the table.
type reportColumn struct {
	title string
	cell  func(StageStats) string
	left  bool                  // aligned to the left
	only  func(StageStats) bool // shown if it returns true for a stage; nil: always shown
}

// columns returns the columns of the table.
func (s Snapshot) columns() []reportColumn {
	counted := func(title string, of func(StageStats) uint64) reportColumn {
		return reportColumn{
			title: title,
			cell:  func(st StageStats) string { return grouped(of(st)) },
			only:  func(st StageStats) bool { return of(st) > 0 },
		}
	}
	always := func(c reportColumn) reportColumn {
		c.only = nil
		return c
	}
	share := func(title string, of func(StageStats) float64) reportColumn {
		return reportColumn{
			title: title,
			cell: func(st StageStats) string {
				if st.Busy+st.Starved+st.Blocked+st.Limited == 0 {
					return "-"
				}
				return inPercent(shareOf(of(st)))
			},
			only: func(st StageStats) bool { return shareOf(of(st)) > 0 },
		}
	}
	queue := "peak/buffer"
	if !s.Done {
		queue = "now/peak/buffer"
	}
	return []reportColumn{
		{title: "workers", cell: workersCell},
		{title: "in", cell: inCell},
		always(counted("out", func(st StageStats) uint64 { return st.Out })),
		always(counted("errors", func(st StageStats) uint64 { return st.Errors })),
		counted("retries", func(st StageStats) uint64 { return st.Retries }),
		counted("skipped", func(st StageStats) uint64 { return st.Skipped }),
		counted("dead", func(st StageStats) uint64 { return st.Dead }),
		always(share("busy", func(st StageStats) float64 { return st.Busy })),
		always(share("starved", func(st StageStats) float64 { return st.Starved })),
		always(share("blocked", func(st StageStats) float64 { return st.Blocked })),
		share("limited", func(st StageStats) float64 { return st.Limited }),
		{title: "wait p50/p99", cell: func(st StageStats) string { return quantilesCell(st.Wait) }},
		{title: "run p50/p99", cell: func(st StageStats) string { return quantilesCell(st.Run) }},
		{title: queue, cell: func(st StageStats) string { return queueCell(st, s.Done) }},
	}
}

func workersCell(st StageStats) string {
	lanes := strconv.Itoa(st.Copies)
	switch {
	case st.Workers <= 0 && st.Copies > 1:
		return lanes + " lanes"
	case st.Workers <= 0:
		return "-"
	}
	text := strconv.Itoa(st.Workers)
	if st.MaxWorkers > 0 {
		text += "/" + strconv.Itoa(st.MaxWorkers)
	}
	if st.Copies > 1 {
		text = lanes + "x" + text
	}
	return text
}

func inCell(st StageStats) string {
	if len(st.From) == 0 && st.In == 0 {
		return "-"
	}
	return grouped(st.In)
}

func quantilesCell(q result.Quantiles) string {
	if q == (result.Quantiles{}) {
		return "-"
	}
	return threeDigits(max(q.P50, 0)) + "/" + threeDigits(max(q.P99, 0))
}

func queueCell(st StageStats, done bool) string {
	if st.Buffer <= 0 {
		return "-"
	}
	text := strconv.Itoa(st.PeakQueue) + "/" + strconv.Itoa(st.Buffer)
	if !done {
		text = strconv.Itoa(st.Queue) + "/" + text
	}
	return text
}

// table returns the lines of the stages.
func (s Snapshot) table() string {
	columns := slices.DeleteFunc(s.columns(), func(c reportColumn) bool {
		return c.only != nil && !slices.ContainsFunc(s.Stages, c.only)
	})
	marks := s.marks()
	names := reportColumn{title: "stage", left: true}
	rows := make([][]string, len(s.Stages)+1)
	rows[0] = []string{names.title}
	if marks != nil {
		rows[0][0] = "  " + rows[0][0]
	}
	for i, st := range s.Stages {
		name := stageCell(st)
		if marks != nil {
			name = marks[i] + name
		}
		rows[i+1] = []string{name}
	}
	for _, c := range columns {
		rows[0] = append(rows[0], c.title)
		for i, st := range s.Stages {
			rows[i+1] = append(rows[i+1], c.cell(st))
		}
	}
	return aligned(rows, append([]reportColumn{names}, columns...))
}

// stageCell returns the name of a stage, and its kind if that differs.
func stageCell(st StageStats) string {
	const widestName, widestKind = 24, 12
	name, kind := clipped(oneLine(st.Name), widestName), clipped(oneLine(st.Kind), widestKind)
	if st.Name == st.Kind || kind == "" {
		return name
	}
	return strings.TrimLeft(name+" ("+kind+")", " ")
}

// marks returns the marks that join fused neighbours, or nil if there are none.
func (s Snapshot) marks() []string {
	fused := func(i, j int) bool {
		if i < 0 || j >= len(s.Stages) {
			return false
		}
		a, b := s.Stages[i], s.Stages[j]
		return a.Group == b.Group && a.Workers == 0 && b.Workers == 0
	}
	marks, some := make([]string, len(s.Stages)), false
	for i := range s.Stages {
		switch above, below := fused(i-1, i), fused(i, i+1); {
		case above && below:
			marks[i] = "│ "
		case above:
			marks[i] = "└ "
		case below:
			marks[i], some = "┌ ", true
		default:
			marks[i] = "  "
		}
	}
	if !some {
		return nil
	}
	return marks
}

// aligned writes rows in columns as wide as their widest cells.
func aligned(rows [][]string, columns []reportColumn) string {
	widths := make([]int, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cellsOf(cell))
		}
	}
	lines := make([]string, 0, len(rows))
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-cellsOf(cell))
			if i > 0 {
				b.WriteString("  ")
			}
			if columns[i].left {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return strings.Join(lines, "\n")
}
