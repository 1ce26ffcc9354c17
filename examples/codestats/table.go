package main

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// writeTables writes the report for people.
func (r report) writeTables(w *bytes.Buffer) {
	if r.Partial {
		fmt.Fprint(w, "PARTIAL: interrupted before all files were measured\n\n")
	}
	fmt.Fprintf(w, "%s: %s files, %s lines in %s with %d workers per stage\n\n",
		printable(r.title), commas(r.Totals.Files), commas(r.Totals.Lines), short(r.Elapsed), r.Workers)
	r.packageTable().writeTo(w)
	if f := r.Totals.Longest; f.Lines > 0 {
		fmt.Fprintf(w, "\nlongest function: %s, %s lines, %s\n", f.Name, commas(f.Lines), printable(fmt.Sprintf("%s:%d", f.File, f.Line)))
	}
	if r.LeftOut.none() {
		fmt.Fprint(w, "left out: nothing\n")
	} else {
		fmt.Fprintf(w, "left out: %s\n", r.LeftOut)
	}

	fmt.Fprintf(w, "\n%v\n", r.Pipeline)
	fmt.Fprintf(w, "\na file: inside the stages p50 %s, p99 %s; waiting between them p50 %s, p99 %s\n",
		short(r.Flow.Run.P50), short(r.Flow.Run.P99), short(r.Flow.Wait.P50), short(r.Flow.Wait.P99))

	if c := r.Compare; c != nil {
		same := "both gave the same totals"
		if !c.Same {
			same = "THE TOTALS DIFFER"
		}
		fmt.Fprintf(w, "\nplain loop %s, pipeline %s: speed-up %.2f, best of %d; %s\n",
			short(c.Plain), short(c.Pipeline), c.Speedup, c.Rounds, same)
	}
}

func (r report) packageTable() *table {
	t := newTable("package", ">files", ">lines", ">functions", "longest function", ">its lines", "at", ">time")
	for _, p := range r.Packages {
		t.add(p.Path, commas(p.Files), commas(p.Lines), commas(p.Functions),
			cmp.Or(p.Longest.Name, "-"), commas(p.Longest.Lines), p.Longest.place(), short(p.Run))
	}
	if more := r.Totals.Packages - len(r.Packages); more > 0 {
		t.add(fmt.Sprintf("... %s more (-top 0 shows all)", commas(more)))
	}
	sum := r.Totals
	t.add(fmt.Sprintf("total (%s)", commas(sum.Packages)),
		commas(sum.Files), commas(sum.Lines), commas(sum.Functions), "", "", "", short(sum.Run))
	return t
}

// place returns where in its package the function is.
func (f function) place() string {
	if f.File == "" {
		return "-"
	}
	return fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
}

// String lists what there is, such as "broken files 2, unreadable folders 1".
func (l leftOut) String() string {
	var parts []string
	for _, kind := range []struct {
		name string
		n    int
	}{
		{"broken files", l.Broken},
		{"unreadable files", l.Unreadable},
		{"files that are too large", l.TooLarge},
		{"files that made a stage panic", l.Crashed},
		{"unreadable folders", l.Folders},
	} {
		if kind.n > 0 {
			parts = append(parts, kind.name+" "+commas(kind.n))
		}
	}
	return strings.Join(parts, ", ")
}

// A table is text in columns.
type table struct {
	right []bool
	rows  [][]string
}

// newTable returns a table with that header. A > aligns a column to the right.
func newTable(header ...string) *table {
	t := &table{}
	for i, h := range header {
		name, right := strings.CutPrefix(h, ">")
		header[i] = name
		t.right = append(t.right, right)
	}
	t.add(header...)
	return t
}

// add adds a row. One with fewer cells than the header is text across the columns.
func (t *table) add(cells ...string) {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) writeTo(w *bytes.Buffer) {
	widths := make([]int, len(t.right))
	for _, row := range t.rows {
		if len(row) < len(widths) {
			continue
		}
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c)))
			if t.right[i] {
				line.WriteString(pad + c + "  ")
			} else {
				line.WriteString(c + pad + "  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
