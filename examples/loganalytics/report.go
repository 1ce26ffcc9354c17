package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"

	"github.com/millstream-go/millstream/pipeline"
)

// A report is all that is printed: the JSON document as it is, the tables as an
// extract. README.md describes the fields; their names do not change.
type report struct {
	Log       string            `json:"log"`
	Partial   bool              `json:"partial"` // interrupted, or the reading failed
	Workers   int               `json:"workers"`
	Batch     int               `json:"batch"`
	Window    time.Duration     `json:"window_ns"`
	Elapsed   time.Duration     `json:"elapsed_ns"`
	Lines     int               `json:"lines"`
	Totals    windowRow         `json:"totals"`
	Classes   map[string]uint64 `json:"classes"`
	Windows   []windowRow       `json:"windows"`
	Requests  ranking           `json:"requests"`
	Clients   ranking           `json:"clients"`
	Malformed malformedReport   `json:"malformed"`
	Flow      pipeline.Snapshot `json:"pipeline"`
	Compare   *comparison       `json:"compare,omitempty"`

	top     int
	windows []*window
}

// A windowRow is what happened in a window, or in all of them.
type windowRow struct {
	Start    time.Time     `json:"start"` // of the first one, in the totals
	Requests uint64        `json:"requests"`
	Errors   uint64        `json:"errors"`
	Bytes    int64         `json:"bytes"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Max      time.Duration `json:"max_ns"`
}

func (w *window) row() windowRow {
	return windowRow{
		Start: time.Unix(w.start, 0).UTC(), Requests: w.requests(), Errors: w.errors(), Bytes: w.bytes,
		P50: w.latency.quantile(50), P99: w.latency.quantile(99), Max: w.latency.max,
	}
}

// A ranking are the keys with the most requests.
type ranking struct {
	Different int    `json:"different"` // keys that were counted by their name
	Others    uint64 `json:"others"`    // requests of further keys
	Top       []row  `json:"top"`
}

func newRanking(c *counter, top int) ranking {
	return ranking{len(c.rows), c.others, append([]row{}, c.top(top)...)}
}

type malformedReport struct {
	Lines int            `json:"lines"`
	Why   map[string]int `json:"why"`
	First []shown        `json:"first"`
}

// classNames are those of window.classes.
var classNames = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

func newReport(o options, a *analysis, elapsed time.Duration) report {
	r := report{
		Log: o.title, Workers: o.workers, Batch: o.batch, Window: o.window, Elapsed: elapsed, Lines: a.linesRead,
		Classes: map[string]uint64{}, Windows: []windowRow{}, // in JSON an empty list, not null
		Requests:  newRanking(&a.totals.requests, o.top),
		Clients:   newRanking(&a.totals.clients, o.top),
		Malformed: malformedReport{a.bad.count, map[string]int{}, append([]shown{}, a.bad.first...)},
		top:       o.top,
		windows:   a.windows.sorted(),
	}
	maps.Copy(r.Malformed.Why, a.bad.why)
	for _, w := range r.windows {
		r.Windows = append(r.Windows, w.row())
	}
	sum := sumOf(r.windows)
	r.Totals = sum.row()
	for i, name := range classNames {
		r.Classes[name] = sum.classes[i]
	}
	return r
}

// sumOf merges windows into a new one, which begins with the first.
func sumOf(all []*window) *window {
	sum := &window{}
	for i, w := range all {
		if i == 0 {
			sum.start = w.start
		}
		sum.merge(w)
	}
	return sum
}

// writeJSON writes the report as one document.
func (r report) writeJSON(w *bytes.Buffer) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // this is no web page
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // into a buffer, of fields that can all be encoded
}
