package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
)

// A report is all that is printed: the JSON document as it is, the tables as an
// extract. README.md describes the fields; their names do not change.
type report struct {
	Root     string        `json:"root"`
	Out      string        `json:"out"`
	Partial  bool          `json:"partial"` // interrupted
	Workers  int           `json:"workers"`
	Size     int           `json:"size"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Totals   formatRow     `json:"totals"`
	Formats  []formatRow   `json:"formats"`
	Sheets   []string      `json:"sheets"`
	LeftOut  leftOut       `json:"left_out"`
	Problems []problem     `json:"problems"`
	Flow     flow          `json:"flow"`
	Compare  *comparison   `json:"compare,omitempty"`

	Stages pipeline.Snapshot `json:"pipeline"` // what each did with its time

	title string
}

// A formatRow is what was done for the pictures of one format, or for all.
type formatRow struct {
	Format string        `json:"format"` // "all" in the totals
	Count  int           `json:"thumbnails"`
	Pixels int64         `json:"pixels"`        // of the pictures
	Read   int64         `json:"read_bytes"`    // of their files
	Wrote  int64         `json:"written_bytes"` // of the thumbnails
	Run    time.Duration `json:"run_ns"`        // inside the stages
}

func (f formatRow) plus(o formatRow) formatRow {
	return formatRow{f.Format, f.Count + o.Count, f.Pixels + o.Pixels, f.Read + o.Read, f.Wrote + o.Wrote, f.Run + o.Run}
}

// totals add up pictures by format.
type totals map[string]formatRow

// add adds a picture that took so long.
func (t totals) add(p thumbnail, run time.Duration) {
	one := formatRow{p.format, 1, int64(p.width) * int64(p.height), int64(p.bytes), int64(len(p.png)), run}
	t[p.format] = one.plus(t[p.format])
}

// rows returns the formats, by name.
func (t totals) rows() []formatRow {
	rows := make([]formatRow, 0, len(t))
	for _, row := range t {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b formatRow) int { return strings.Compare(a.Format, b.Format) })
	return rows
}

// sum adds up the formats.
func (t totals) sum() formatRow {
	sum := formatRow{Format: "all"}
	for _, row := range t {
		sum = sum.plus(row)
	}
	return sum
}

// A flow is how the pictures fared between the source and the end of the pipeline.
type flow struct {
	Run  quantiles `json:"run"`  // inside the stages
	Wait quantiles `json:"wait"` // between them
}

// quantiles are result.Quantiles with names for JSON.
type quantiles struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

func newReport(o options, p *pass, elapsed time.Duration) report {
	return report{
		Root:     o.shown,
		Out:      o.out,
		Workers:  o.workers,
		Size:     o.size,
		Elapsed:  elapsed,
		Totals:   p.totals.sum(),
		Formats:  p.totals.rows(),
		Sheets:   append([]string{}, p.album.sheets...), // in JSON an empty list, not null
		LeftOut:  p.problems.count(),
		Problems: append([]problem{}, p.problems.list...),
		Flow:     flow{quantiles(p.pictures.Run()), quantiles(p.pictures.Wait())},
		title:    o.title,
	}
}

// writeJSON writes the report as one document.
func (r report) writeJSON(w *bytes.Buffer) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // this is no web page
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // into a buffer, of fields that can all be encoded
}

// writeTables writes the report for people.
func (r report) writeTables(w *bytes.Buffer) {
	if r.Partial {
		fmt.Fprint(w, "PARTIAL: interrupted before all pictures were through\n\n")
	}
	fmt.Fprintf(w, "%s: %s thumbnails in %s with %d workers per stage\n\n",
		show.Printable(r.title), show.Commas(r.Totals.Count), show.Short(r.Elapsed), r.Workers)
	t := show.NewTable("format", ">thumbnails", ">megapixels", ">read", ">written", ">time", ">per picture")
	for _, f := range append(slices.Clone(r.Formats), r.Totals) {
		t.Add(f.Format, show.Commas(f.Count), fmt.Sprintf("%.1f", float64(f.Pixels)/1e6), show.Size(f.Read), show.Size(f.Wrote),
			show.Short(f.Run), show.Short(f.Run/time.Duration(max(f.Count, 1))))
	}
	t.Fprint(w)

	if s := r.LeftOut.String(); s != "" {
		fmt.Fprintf(w, "\nleft out: %s\n", s)
		for i, p := range r.Problems {
			if i == maxMessages {
				fmt.Fprintf(w, "  ... %s more (-json has all)\n", show.Commas(len(r.Problems)-i))
				break
			}
			fmt.Fprintf(w, "  %s: %s\n", show.Printable(p.Path), show.Printable(p.Error))
		}
	} else {
		fmt.Fprint(w, "\nleft out: nothing\n")
	}
	fmt.Fprintf(w, "written to %s: %s/ and %s\n", show.Printable(r.Out), thumbs, strings.Join(r.Sheets, ", "))
	fmt.Fprintf(w, "\na picture: inside the stages p50 %s, p99 %s; waiting between them p50 %s, p99 %s\n",
		show.Short(r.Flow.Run.P50), show.Short(r.Flow.Run.P99), show.Short(r.Flow.Wait.P50), show.Short(r.Flow.Wait.P99))
	fmt.Fprintf(w, "\n%s\n", r.Stages)

	if c := r.Compare; c != nil {
		same := "both made the same pictures"
		if !c.Same {
			same = "THE PICTURES DIFFER"
		}
		fmt.Fprintf(w, "\nplain loop %s, pipeline %s: speed-up %.2f, best of %d; %s\n",
			show.Short(c.Plain), show.Short(c.Pipeline), c.Speedup, c.Rounds, same)
	}
}

// String lists what there is, such as "broken pictures 2, unreadable folders 1".
func (l leftOut) String() string {
	var parts []string
	for _, row := range kinds {
		if n := l[row.kind]; n > 0 {
			parts = append(parts, row.many+" "+show.Commas(n))
		}
	}
	return strings.Join(parts, ", ")
}
