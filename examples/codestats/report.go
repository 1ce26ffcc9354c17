package main

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/millstream-go/millstream/result"
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
	Stages   []stageRow    `json:"stages"`
	Flow     flow          `json:"flow"`
	Compare  *comparison   `json:"compare,omitempty"`

	title string
}

// totals are over all packages, whatever -top shows of them.
type totals struct {
	Packages int `json:"packages"`
	counts
	Run time.Duration `json:"run_ns"`
}

// A stageRow is how long the calls of one stage took.
type stageRow struct {
	Name   string        `json:"name"`
	Calls  int           `json:"calls"`
	Failed int           `json:"failed"`
	Total  time.Duration `json:"total_ns"`
	Share  float64       `json:"share"` // of the total of all stages, from 0 to 1
	quantiles
}

// A flow is how the files fared between the source and the end of the pipeline.
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

func newReport(o options, s *survey, elapsed time.Duration) report {
	sum := s.packages.total()
	r := report{
		Root:     o.root,
		Workers:  o.workers,
		Elapsed:  elapsed,
		Totals:   totals{len(s.packages), sum.counts, sum.Run},
		LeftOut:  s.problems.counts,
		Packages: s.packages.byLines(),
		Stages: []stageRow{
			newStageRow("walk", &s.stages.walk),
			newStageRow("read", &s.stages.read),
			newStageRow("parse", &s.stages.parse),
			newStageRow("measure", &s.stages.measure),
			newStageRow("aggregate", &s.stages.aggregate),
		},
		Flow:  flow{quantiles(s.files.Run()), quantiles(s.files.Wait())},
		title: o.title,
	}
	if r.Packages == nil {
		r.Packages = []packageRow{} // in JSON an empty list, not null
	}
	if o.top > 0 && len(r.Packages) > o.top {
		r.Packages = r.Packages[:o.top]
	}

	var all time.Duration
	for _, row := range r.Stages {
		all += row.Total
	}
	for i := range r.Stages {
		r.Stages[i].Share = float64(r.Stages[i].Total) / float64(max(all, 1))
	}
	return r
}

func newStageRow(name string, w *stopwatch) stageRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return stageRow{
		Name:      name,
		Calls:     w.calls.Total(),
		Failed:    w.calls.Total() - w.calls.Count(result.Succeeded),
		Total:     w.total,
		quantiles: quantiles(w.calls.Run()),
	}
}

// writeJSON writes the report as one document.
func (r report) writeJSON(w *bytes.Buffer) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // this is no web page
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // into a buffer, of fields that can all be encoded
}
