package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

// overview is the scenarios that the overview shows, with a label that is short enough for a chart, and what an item of
// them is. They are one of each form, and more where the forms differ in what they show; not those that look best.
var overview = []struct{ scenario, label string }{
	{"submit/noop", "Submit, no-op"},
	{"submit/1us", "Submit, 1 µs"},
	{"submit/sleep", "Submit, 50 µs sleep"},
	{"map/noop", "Map a slice, no-op"},
	{"map/1us", "Map a slice, 1 µs"},
	{"map/skewed", "Map a slice, skewed"},
	{"do/1/noop", "Do and wait, no-op"},
	{"do/64/noop", "Do from 64, no-op"},
	{"flow/3x4/any/noop", "3 stages, no-op"},
	{"flow/3x4/ordered/noop", "3 stages in order, no-op"},
	{"flow/3x4/any/1us", "3 stages, 1 µs"},
	{"flow/3x4/any/sleep", "3 stages, 50 µs sleep"},
	{"fan/noop", "Fan out and in, no-op"},
	{"batch/noop", "Batches of 100, no-op"},
	{"alone/noop", "One at a time, 4 stages"},
	{"ants", "1M × 10 ms, capacity 50k"},
	{"map/skewed-sleep", "Map a slice, skewed sleeps"},
	{"pond/1x1000000", "1M × 10 ms, capacity 200k"},
}

// ours tells whether a subject is a form of Millstream.
func ours(name string) bool { return name == subject.Name || strings.HasPrefix(name, subject.Name+"/") }

// limited tells whether a subject bounds how many calls are under way. What does not is in the tables, and in no overview.
func limited(name string) bool {
	for _, s := range subject.All() {
		if s.Name == name {
			return s.Lacks&subject.NoLimit == 0
		}
	}
	return true
}

// library tells whether a subject uses a library of others.
func library(name string) bool {
	for _, s := range subject.All() {
		if s.Name == name {
			return s.Module != ""
		}
	}
	return false
}

// byHand tells whether a subject is what one writes instead, and more than a loop.
func byHand(name string) bool {
	return limited(name) && !ours(name) && !library(name) && name != subject.Bound && name != "loop"
}

// best returns the first, which is the fastest, of the rows that are wanted.
func (s *scenarioResult) best(wanted func(name string) bool) (row, bool) {
	for _, r := range s.Rows {
		if wanted(r.Subject) {
			return r, true
		}
	}
	return row{}, false
}

// overviewTable is the one table of the README: ours, the best library and the best of what one writes by hand.
func overviewTable(rep *report) string {
	var b strings.Builder
	b.WriteString("| work | plain loop | best by hand | best library | Millstream | vs. that library | vs. by hand |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|\n")
	for _, line := range overview {
		s, ok := rep.find(line.scenario)
		if !ok {
			continue
		}
		us, ok := s.of(subject.Name)
		if !ok {
			continue
		}
		other := func(wanted func(string) bool) (cell, compared string) {
			r, found := s.best(wanted)
			if !found {
				return "–", "–"
			}
			return fmt.Sprintf("%s (%s)", nanos(r.NS), r.Subject), ratio(r, us)
		}
		loop := "–"
		if r, found := s.of("loop"); found {
			loop = nanos(r.NS)
		}
		hand, comparedHand := other(byHand)
		lib, comparedLib := other(library)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | **%s** | %s | %s |\n", s.Title, loop, hand, lib, nanos(us.NS), comparedLib, comparedHand)
	}
	return b.String()
}

// ratio says how two rows compare, and calls what is within their spreads no difference.
func ratio(them, us row) string {
	r := them.NS / us.NS
	if noise := them.Spread + us.Spread; r < 1+noise && 1/r < 1+noise {
		return "≈"
	}
	if r >= 1 {
		return times(r) + " faster"
	}
	return "**" + times(1/r) + " slower**"
}

// times is a factor with as many digits as it deserves.
func times(r float64) string {
	switch {
	case r >= 100:
		return fmt.Sprintf("%.0f ×", r)
	case r >= 10:
		return fmt.Sprintf("%.1f ×", r)
	default:
		return fmt.Sprintf("%.2f ×", r)
	}
}

// The marks between which the overview stands in the README.
const (
	beginMark = "<!-- compare: begin -->"
	endMark   = "<!-- compare: end -->"
)

// updateReadme puts the overview between the marks of a file.
func updateReadme(file string, rep *report) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(data), beginMark)
	_, tail, ended := strings.Cut(rest, endMark)
	if !ok || !ended {
		return fmt.Errorf("%s has no %s and %s", file, beginMark, endMark)
	}
	text := head + beginMark + "\n" +
		"![What others take, as a multiple of what Millstream takes](" + results + "/overview.svg)\n\n" +
		"Nanoseconds an item, medians of " + fmt.Sprint(rep.Rounds) + " interleaved rounds; ≈ is a difference within the spread.\n\n" +
		overviewTable(rep) + "\n" +
		rep.measured() + "\n" +
		endMark + tail
	return os.WriteFile(file, []byte(text), 0o644)
}
