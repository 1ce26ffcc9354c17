package main

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

// A report is all that is printed: the JSON document as it is, the tables as an
// extract. README.md describes the fields; their names do not change.
type report struct {
	Root     string        `json:"root"`
	Partial  bool          `json:"partial"` // interrupted
	Workers  int           `json:"workers"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Totals   totals        `json:"totals"`
	LeftOut  leftOut       `json:"left_out"`
	Packages []packageRow  `json:"packages"`
	Flow     flow          `json:"flow"`
	Compare  *comparison   `json:"compare,omitempty"`
	// What the pipeline reports of itself.
	Pipeline pipeline.Snapshot `json:"pipeline"`

	title string
}

// totals are over all packages, whatever -top shows of them.
type totals struct {
	Packages int `json:"packages"`
	counts
	Run time.Duration `json:"run_ns"`
}

// A flow is how the files that were measured fared between the source and the end of the pipeline.
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

func newReport(o options, s *survey, ran pipeline.Snapshot) report {
	sum := s.packages.total()
	r := report{
		Root:     o.root,
		Workers:  o.workers,
		Elapsed:  ran.Elapsed,
		Totals:   totals{len(s.packages), sum.counts, sum.Run},
		LeftOut:  s.problems.counts,
		Packages: s.packages.byLines(),
		Flow:     flow{quantiles(s.files.Run()), quantiles(s.files.Wait())},
		Pipeline: ran,
		title:    o.title,
	}
	if r.Packages == nil {
		r.Packages = []packageRow{} // in JSON an empty list, not null
	}
	if o.top > 0 && len(r.Packages) > o.top {
		r.Packages = r.Packages[:o.top]
	}
	return r
}

// writeJSON writes the report as one document.
func (r report) writeJSON(w *bytes.Buffer) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // this is no web page
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // into a buffer, of fields that can all be encoded
}
