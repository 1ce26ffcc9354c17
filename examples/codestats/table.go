package main

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"strings"

	"github.com/millstream-go/millstream/examples/internal/show"
)

// writeTables writes the report for people.
func (r report) writeTables(w *bytes.Buffer) {
	if r.Partial {
		fmt.Fprint(w, "PARTIAL: interrupted before all files were measured\n\n")
	}
	fmt.Fprintf(w, "%s: %s files, %s lines in %s with %d workers per stage\n\n",
		show.Printable(r.title), show.Commas(r.Totals.Files), show.Commas(r.Totals.Lines), show.Short(r.Elapsed), r.Workers)
	r.packageTable().Fprint(w)
	if f := r.Totals.Longest; f.Lines > 0 {
		fmt.Fprintf(w, "\nlongest function: %s, %s lines, %s\n", f.Name, show.Commas(f.Lines), show.Printable(fmt.Sprintf("%s:%d", f.File, f.Line)))
	}
	if r.LeftOut.none() {
		fmt.Fprint(w, "left out: nothing\n")
	} else {
		fmt.Fprintf(w, "left out: %s\n", r.LeftOut)
	}

	fmt.Fprintf(w, "\n%v\n", r.Pipeline)
	fmt.Fprintf(w, "\na file: inside the stages p50 %s, p99 %s; waiting between them p50 %s, p99 %s\n",
		show.Short(r.Flow.Run.P50), show.Short(r.Flow.Run.P99), show.Short(r.Flow.Wait.P50), show.Short(r.Flow.Wait.P99))

	if c := r.Compare; c != nil {
		same := "both gave the same totals"
		if !c.Same {
			same = "THE TOTALS DIFFER"
		}
		fmt.Fprintf(w, "\nplain loop %s, pipeline %s: speed-up %.2f, best of %d; %s\n",
			show.Short(c.Plain), show.Short(c.Pipeline), c.Speedup, c.Rounds, same)
	}
}

func (r report) packageTable() *show.Table {
	t := show.NewTable("package", ">files", ">lines", ">functions", "longest function", ">its lines", "at", ">time")
	for _, p := range r.Packages {
		t.Add(p.Path, show.Commas(p.Files), show.Commas(p.Lines), show.Commas(p.Functions),
			cmp.Or(p.Longest.Name, "-"), show.Commas(p.Longest.Lines), p.Longest.place(), show.Short(p.Run))
	}
	if more := r.Totals.Packages - len(r.Packages); more > 0 {
		t.Add(fmt.Sprintf("... %s more (-top 0 shows all)", show.Commas(more)))
	}
	sum := r.Totals
	t.Add(fmt.Sprintf("total (%s)", show.Commas(sum.Packages)),
		show.Commas(sum.Files), show.Commas(sum.Lines), show.Commas(sum.Functions), "", "", "", show.Short(sum.Run))
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
			parts = append(parts, kind.name+" "+show.Commas(kind.n))
		}
	}
	return strings.Join(parts, ", ")
}
