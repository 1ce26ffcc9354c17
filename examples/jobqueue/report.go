package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// A report is all that is printed at the end: the JSON document as it is, the table
// as an extract. Durations are in nanoseconds.
type report struct {
	Jobs        []row         `json:"jobs"` // by number
	Elapsed     time.Duration `json:"elapsed_ns"`
	Interrupted bool          `json:"interrupted"`
	Succeeded   uint64        `json:"succeeded"`
	Failed      uint64        `json:"failed"`
	Canceled    uint64        `json:"canceled"`
	Dropped     uint64        `json:"dropped"`
	Retried     uint64        `json:"retried"`
	Unfinished  int           `json:"unfinished"` // did not end although they were canceled
	NotTaken    int           `json:"not_taken"`  // tasks that never became jobs
	BadLines    int           `json:"bad_lines"`
	Wait        quantiles     `json:"wait"` // of jobs that were started
	Run         quantiles     `json:"run"`
}

// A row tells of one job.
type row struct {
	ID       uint64        `json:"id"`
	From     string        `json:"from"` // where it stood in the input
	Task     string        `json:"task"`
	Status   result.Status `json:"status"`
	Worker   int           `json:"worker"` // -1: none
	Attempts int           `json:"attempts"`
	Queued   time.Time     `json:"queued"`
	Started  time.Time     `json:"started,omitzero"`
	Ended    time.Time     `json:"ended,omitzero"`
	Wait     time.Duration `json:"wait_ns"`
	Run      time.Duration `json:"run_ns"`
	Result   string        `json:"result,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// quantiles are result.Quantiles with names for JSON.
type quantiles struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

func (s *session) report() report {
	stats := s.pool.Stats()
	_, refused := s.intake.counts()
	r := report{
		Jobs:        []row{}, // in JSON an empty list, not null
		Elapsed:     time.Since(s.start),
		Interrupted: s.interrupted.Load(),
		Succeeded:   stats.Succeeded,
		Failed:      stats.Failed + stats.Panicked,
		Canceled:    stats.Canceled,
		Dropped:     stats.Dropped,
		Retried:     stats.Retried,
		Unfinished:  stats.Queued + stats.Running,
		NotTaken:    refused + int(s.refused.Load()),
		BadLines:    int(s.badLines.Load()),
		Wait:        quantiles(stats.Wait),
		Run:         quantiles(stats.Run),
	}
	for _, info := range s.pool.Jobs() {
		r.Jobs = append(r.Jobs, s.row(info))
	}
	return r
}

func (s *session) row(info pool.JobInfo) row {
	t := s.book.task(info.ID)
	r := row{
		ID:       info.ID,
		From:     t.where,
		Task:     t.text,
		Status:   info.Status,
		Worker:   info.Worker,
		Attempts: info.Attempt,
		Queued:   info.Timing.Queued.UTC(),
		Wait:     info.Timing.Wait,
		Run:      info.Timing.Run,
	}
	if info.Attempt > 0 {
		r.Started = info.Timing.Started().UTC()
	}
	if info.Status.Terminal() {
		r.Ended = info.Timing.Finished().UTC()
	}
	if info.Err != nil {
		r.Error = info.Err.Error()
	}
	if job, ok := s.pool.Job(info.ID); ok {
		if end, ended := job.Result(); ended {
			r.Result = end.Value
		}
	}
	return r
}

// publish writes the report, and picks the exit status that goes with it.
func (s *session) publish(err error) int {
	r := s.report()
	if stuck, ok := errors.AsType[*pool.StuckError](err); ok {
		complain(s.stderr, stuck.Error())
	}
	var text bytes.Buffer
	if s.json {
		r.writeJSON(&text)
	} else {
		r.writeTable(&text)
	}
	if _, err := text.WriteTo(s.stdout); err != nil && !show.ClosedPipe(err) {
		complain(s.stderr, "write: "+err.Error())
		return exitFailed
	}
	switch {
	case r.Interrupted:
		return exitInterrupted
	case int(r.Succeeded) < len(r.Jobs) || r.NotTaken > 0 || r.BadLines > 0:
		return exitFailed
	}
	return exitOK
}

// writeJSON writes the report as one document.
func (r report) writeJSON(w *bytes.Buffer) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // this is no web page
	enc.SetIndent("", "  ")
	_ = enc.Encode(r) // into a buffer, of fields that can all be encoded
}

// writeTable writes the report for people.
func (r report) writeTable(w *bytes.Buffer) {
	if len(r.Jobs) > 0 {
		t := show.NewTable(">id", "task", "status", ">worker", ">attempts", ">wait", ">run", "result or error")
		for _, j := range r.Jobs {
			worker, run := "-", "-"
			if j.Attempts > 0 {
				worker, run = strconv.Itoa(j.Worker), show.Short(j.Run)
			}
			t.Add(strconv.FormatUint(j.ID, 10), j.Task, j.Status.String(), worker,
				strconv.Itoa(j.Attempts), show.Short(j.Wait), run, j.Result+j.Error)
		}
		t.Fprint(w)
		fmt.Fprintln(w)
	}

	parts := []string{fmt.Sprintf("%s in %s: succeeded %s", plural(len(r.Jobs), "job"), show.Short(r.Elapsed), show.Commas(int(r.Succeeded)))}
	for _, kind := range []struct {
		name string
		n    int
	}{
		{"failed", int(r.Failed)},
		{"canceled", int(r.Canceled)},
		{"dropped", int(r.Dropped)},
		{"unfinished", r.Unfinished},
		{"calls made again", int(r.Retried)},
		{"tasks not taken", r.NotTaken},
		{"bad lines", r.BadLines},
	} {
		if kind.n > 0 {
			parts = append(parts, kind.name+" "+show.Commas(kind.n))
		}
	}
	fmt.Fprintln(w, strings.Join(parts, ", "))
	if r.Run.Max > 0 || r.Wait.Max > 0 {
		fmt.Fprintf(w, "wait %s\nrun  %s\n", r.Wait, r.Run)
	}
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted")
	}
}

func (q quantiles) String() string {
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, max %s", show.Short(q.P50), show.Short(q.P90), show.Short(q.P99), show.Short(q.Max))
}
