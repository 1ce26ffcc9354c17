package pipeline

import (
	"encoding/json"
	"math"
	"time"
)

// MarshalJSON returns the snapshot as a JSON object. Its names are stable:
//
//	elapsed_ns, done
//	verdict           what Verdict returns
//	bottleneck        the name of the stage that Bottleneck returns, or null
//	bottleneck_stage  its position in stages, from 0, or null: names need not differ
//	stages            an array, never null, of objects:
//	  name, kind, group, workers, max_workers, choice, copies, ordered, window
//	  from                              an array of positions in stages, never null
//	  in, out, errors, retries, skipped, dead
//	  busy, starved, blocked, limited   shares from 0 to 1, with 4 digits
//	  wait, run                         objects of p50_ns, p90_ns, p99_ns, max_ns
//	  queue, peak_queue, buffer
//
// A value whose name ends in _ns is a whole number of nanoseconds. Bytes of a name that
// are not UTF-8 become U+FFFD. Its error is always nil.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	out := snapshotJSON{
		Elapsed: s.Elapsed, Done: s.Done, Verdict: s.Verdict(),
		Stages: make([]stageJSON, len(s.Stages)),
	}
	if i, ok := s.Bottleneck(); ok {
		out.Bottleneck, out.Place = &s.Stages[i].Name, &i
	}
	for i, st := range s.Stages {
		from := make([]int, len(st.From)) // a nil slice would become null
		copy(from, st.From)
		out.Stages[i] = stageJSON{
			Name: st.Name, Kind: st.Kind, From: from, Group: st.Group,
			Workers: st.Workers, MaxWorkers: st.MaxWorkers, Choice: st.Choice, Copies: st.Copies,
			Ordered: st.Ordered, Window: st.Window,
			In: st.In, Out: st.Out, Errors: st.Errors, Retries: st.Retries, Skipped: st.Skipped, Dead: st.Dead,
			Busy: fourDigits(st.Busy), Starved: fourDigits(st.Starved),
			Blocked: fourDigits(st.Blocked), Limited: fourDigits(st.Limited),
			Wait: quantilesJSON(st.Wait), Run: quantilesJSON(st.Run),
			Queue: st.Queue, PeakQueue: st.PeakQueue, Buffer: st.Buffer,
		}
	}
	return json.Marshal(out)
}

type snapshotJSON struct {
	Elapsed    time.Duration `json:"elapsed_ns"`
	Done       bool          `json:"done"`
	Bottleneck *string       `json:"bottleneck"`
	Place      *int          `json:"bottleneck_stage"`
	Verdict    string        `json:"verdict"`
	Stages     []stageJSON   `json:"stages"`
}

type stageJSON struct {
	Name       string        `json:"name"`
	Kind       string        `json:"kind"`
	From       []int         `json:"from"`
	Group      int           `json:"group"`
	Workers    int           `json:"workers"`
	MaxWorkers int           `json:"max_workers"`
	Choice     string        `json:"choice"`
	Copies     int           `json:"copies"`
	Ordered    bool          `json:"ordered"`
	Window     int           `json:"window"`
	In         uint64        `json:"in"`
	Out        uint64        `json:"out"`
	Errors     uint64        `json:"errors"`
	Retries    uint64        `json:"retries"`
	Skipped    uint64        `json:"skipped"`
	Dead       uint64        `json:"dead"`
	Busy       float64       `json:"busy"`
	Starved    float64       `json:"starved"`
	Blocked    float64       `json:"blocked"`
	Limited    float64       `json:"limited"`
	Wait       quantilesJSON `json:"wait"`
	Run        quantilesJSON `json:"run"`
	Queue      int           `json:"queue"`
	PeakQueue  int           `json:"peak_queue"`
	Buffer     int           `json:"buffer"`
}

// quantilesJSON has the fields of result.Quantiles, in the same order.
type quantilesJSON struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// fourDigits rounds a share to four digits.
func fourDigits(share float64) float64 { return math.Round(shareOf(share)*1e4) / 1e4 }
