package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
)

const (
	chartRows  = 24 // of the table by time, at most
	barWidth   = 40
	sparkWidth = 96
)

// writeTables writes the report for people.
func (r report) writeTables(w *bytes.Buffer) {
	if r.Partial {
		fmt.Fprint(w, "PARTIAL: not the whole log was read\n\n")
	}
	fmt.Fprintf(w, "%s: %s lines in %s with %d workers, %s a second\n\n", show.Printable(r.Log), show.Commas(r.Lines),
		show.Short(r.Elapsed), r.Workers, show.Commas(int(float64(r.Lines)/max(r.Elapsed.Seconds(), 1e-9))))
	r.writeFindings(w)

	fmt.Fprintf(w, "\n%s\n", r.Flow)
	if c := r.Compare; c != nil {
		same := "both gave the same answer"
		if !c.Same {
			same = "THE ANSWERS DIFFER"
		}
		fmt.Fprintf(w, "\nplain loop %s, pipeline %s: speed-up %.2f, best of %d; %s\n",
			show.Short(c.Plain), show.Short(c.Pipeline), c.Speedup, c.Rounds, same)
	}
}

// writeFindings writes what the log says: the same log gives the same text.
func (r report) writeFindings(w *bytes.Buffer) {
	r.timeTable().Fprint(w)
	columns, width := together(r.windows, r.Window, sparkWidth)
	fmt.Fprintf(w, "\nrequests  %s\nerrors    %s  from 0 to the most, %s a column\n",
		sparkline(columns, width, (*window).requests), sparkline(columns, width, (*window).errors), brief(width))

	if worst := r.worst(); len(worst) > 0 {
		t := show.NewTable("worst windows", ">requests", ">errors", ">share", ">p50", ">p99", ">max")
		for _, x := range worst {
			t.Add(x.Start.Format(stamp), show.Commas(int(x.Requests)), show.Commas(int(x.Errors)),
				percent(x.Errors, x.Requests), show.Short(x.P50), show.Short(x.P99), show.Short(x.Max))
		}
		fmt.Fprintln(w)
		t.Fprint(w)
	}
	r.Requests.write(w, "request", r.Totals.Requests)
	r.Clients.write(w, "client", r.Totals.Requests)

	var classes, reasons []string
	for _, name := range classNames {
		if n := r.Classes[name]; n > 0 {
			classes = append(classes, fmt.Sprintf("%s %s (%s)", name, show.Commas(int(n)), percent(n, r.Totals.Requests)))
		}
	}
	fmt.Fprintf(w, "\nstatus: %s\n", strings.Join(classes, ", "))
	for why, n := range r.Malformed.Why {
		reasons = append(reasons, why+" "+show.Commas(n))
	}
	slices.Sort(reasons)
	fmt.Fprintf(w, "malformed lines: %s\n", cmp.Or(strings.Join(reasons, ", "), "none"))
	for _, m := range r.Malformed.First {
		fmt.Fprintf(w, "  line %s: %s: %s\n", show.Commas(m.Line), m.Error, show.Printable(m.Text))
	}
	if more := r.Malformed.Lines - len(r.Malformed.First); more > 0 {
		fmt.Fprintf(w, "  ... %s more\n", show.Commas(more))
	}
}

const stamp = "2006-01-02 15:04:05"

// timeTable shows the log by time, in rows of several windows.
func (r report) timeTable() *show.Table {
	rows, width := together(r.windows, r.Window, chartRows)
	most := uint64(1)
	for _, w := range rows {
		most = max(most, w.requests())
	}
	t := show.NewTable("each "+brief(width)+" from", ">requests", ">errors", ">share", ">sent", ">p50", ">p99", "requests, and of these errors")
	for _, w := range rows {
		addWindow(t, w, w.row().Start.Format(stamp), bar(w.requests(), w.errors(), most))
	}
	addWindow(t, sumOf(r.windows), "all", "")
	return t
}

// addWindow adds a row.
func addWindow(t *show.Table, w *window, name, chart string) {
	x := w.row()
	t.Add(name, show.Commas(int(x.Requests)), show.Commas(int(x.Errors)), percent(x.Errors, x.Requests), show.Size(x.Bytes),
		show.Short(x.P50), show.Short(x.P99), chart)
}

// together merges windows that follow each other, so that there are at most so many of
// the same width; a width of which people think.
func together(all []*window, width time.Duration, most int) ([]*window, time.Duration) {
	if len(all) == 0 {
		return nil, width
	}
	first, last := all[0].start, all[len(all)-1].start
	for wider := range widths() {
		if wider%width == 0 && startAt(last, wider)-startAt(first, wider) < int64(most)*int64(wider/time.Second) {
			width = wider
			break
		}
	}
	var merged []*window
	for _, w := range all {
		start := startAt(w.start, width)
		if n := len(merged); n == 0 || merged[n-1].start != start {
			merged = append(merged, &window{start: start})
		}
		merged[len(merged)-1].merge(w)
	}
	return merged, width
}

// bar draws requests in relation to the most of all rows, and how many of them failed.
func bar(requests, errors, most uint64) string {
	long := int((requests*barWidth + most - 1) / most) // rounded up: what is there is seen
	failed := int((errors*barWidth + most/2) / most)
	return strings.Repeat("█", long-failed) + strings.Repeat("▒", failed)
}

// sparkline draws a figure of windows as a line of columns.
func sparkline(all []*window, width time.Duration, of func(*window) uint64) string {
	most := uint64(1)
	for _, w := range all {
		most = max(most, of(w))
	}
	levels := []rune(" ▁▂▃▄▅▆▇█")
	var line []rune
	for _, w := range all {
		place := int((w.start - all[0].start) / int64(width/time.Second))
		for len(line) <= place {
			line = append(line, levels[0])
		}
		line[place] = levels[(of(w)*uint64(len(levels)-1)+most-1)/most]
	}
	return string(line)
}

// worst returns the windows with the most errors.
func (r report) worst() []windowRow {
	var failing []windowRow
	for _, w := range r.Windows {
		if w.Errors > 0 {
			failing = append(failing, w)
		}
	}
	slices.SortStableFunc(failing, func(a, b windowRow) int { return cmp.Compare(b.Errors, a.Errors) })
	return failing[:min(r.top, len(failing))]
}

// write writes the ranking as a table.
func (k ranking) write(w *bytes.Buffer, what string, all uint64) {
	if len(k.Top) == 0 {
		return
	}
	t := show.NewTable(what, ">requests", ">share")
	for _, one := range k.Top {
		t.Add(one.Key, show.Commas(int(one.Count)), percent(one.Count, all))
	}
	if more := k.Different - len(k.Top); more > 0 || k.Others > 0 {
		atLeast := ""
		if k.Others > 0 {
			atLeast = "more than "
		}
		t.Add(fmt.Sprintf("... %s%s others (-top shows more)", atLeast, show.Commas(more)))
	}
	fmt.Fprintln(w)
	t.Fprint(w)
}
