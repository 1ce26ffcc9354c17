package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/millstream-go/millstream/benchmarks/scenario"
	"github.com/millstream-go/millstream/benchmarks/subject"
)

// report is all that was measured, as results.json has it.
type report struct {
	Host      host             `json:"host"`
	Date      string           `json:"date"`
	Command   string           `json:"command"`
	Rounds    int              `json:"rounds"`
	Took      string           `json:"took"`
	Again     []again          `json:"again,omitempty"`
	Scenarios []scenarioResult `json:"scenarios"`
}

// again tells of scenarios that were measured again later, on the same machine.
type again struct {
	Command string `json:"command"`
	Date    string `json:"date"`
	Commit  string `json:"commit"`
}

// renew puts what was measured again in the place of what was there.
func (r *report) renew(newer *report) error {
	for _, s := range newer.Scenarios {
		old, ok := r.find(s.Name)
		if !ok || len(old.Rows) != len(s.Rows) {
			return fmt.Errorf("%s was measured with other subjects before", s.Name)
		}
		*old = s
	}
	r.Again = append(r.Again, again{Command: newer.Command, Date: newer.Date, Commit: newer.Host.Commit})
	return nil
}

// measured tells how and where.
func (r *report) measured() string {
	said := []string{fmt.Sprintf("Measured with %#q on %s: %s", r.Command, r.Date, r.Host.String())}
	for _, a := range r.Again {
		said = append(said, fmt.Sprintf("some again with %#q on %s at commit %s", a.Command, a.Date, a.Commit))
	}
	return strings.Join(said, "; ") + "."
}

type scenarioResult struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Form    string `json:"form"`
	Work    string `json:"work"`
	Stages  int    `json:"stages"`
	Workers int    `json:"workers"`
	Callers int    `json:"callers"`
	Ordered bool   `json:"ordered,omitempty"`
	Rounds  int    `json:"rounds"`
	Rows    []row  `json:"rows"` // the fastest first
}

// row is what one subject took in one scenario.
type row struct {
	Subject    string    `json:"subject"`
	Inputs     int       `json:"inputs"`     // of a round
	NS         float64   `json:"ns"`         // for an input: the median of the rounds
	Spread     float64   `json:"spread"`     // of ns: half the distance between the quartiles, as a share
	Samples    []float64 `json:"samples"`    // of ns, in the order of the rounds
	Bytes      float64   `json:"bytes"`      // allocated for an input, median
	Allocs     float64   `json:"allocs"`     // the same
	Goroutines int       `json:"goroutines"` // at most
	Memory     uint64    `json:"memory"`     // at most, bytes of heap and stacks
	P50        int64     `json:"p50_ns"`     // from handed over to finished
	P99        int64     `json:"p99_ns"`
	Lacks      string    `json:"lacks,omitempty"`
}

func (c *contender) row(seen scenario.Observed) row {
	lacks := c.Lacks.String()
	if c.Name == subject.Bound {
		lacks = "a limit, no way to do the work"
	}
	return row{
		Subject: c.Name, Inputs: c.inputs, NS: median(c.ns), Spread: spread(c.ns), Samples: c.ns,
		Bytes: median(c.bytes), Allocs: median(c.allocs), Goroutines: seen.Goroutines, Memory: seen.Memory,
		P50: int64(seen.P50), P99: int64(seen.P99), Lacks: lacks,
	}
}

func (s *scenarioResult) sort() {
	slices.SortStableFunc(s.Rows, func(a, b row) int {
		switch {
		case a.NS < b.NS:
			return -1
		case a.NS > b.NS:
			return 1
		default:
			return 0
		}
	})
}

// of returns the row of a subject.
func (s *scenarioResult) of(name string) (row, bool) {
	for _, r := range s.Rows {
		if r.Subject == name {
			return r, true
		}
	}
	return row{}, false
}

// find returns the scenario of that name.
func (r *report) find(name string) (*scenarioResult, bool) {
	for i := range r.Scenarios {
		if r.Scenarios[i].Name == name {
			return &r.Scenarios[i], true
		}
	}
	return nil, false
}

func (r *report) save(file string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

func load(file string) (*report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r report
	return &r, json.Unmarshal(data, &r)
}
