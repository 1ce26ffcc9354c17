package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millstream-go/millstream/benchmarks/scenario"
	"github.com/millstream-go/millstream/benchmarks/subject"
)

// printTables writes a table for each scenario to the terminal.
func printTables(w io.Writer, rep *report) {
	say(w, "%s\n%s", origin(rep), reading)
	for i := range rep.Scenarios {
		s := &rep.Scenarios[i]
		say(w, "\n## %s (%s)\n\n%s", s.Title, s.Name, strings.TrimSuffix(table(s), "\n"))
	}
}

// writeTables writes a page for each form, one for each work of the flows, and the first page.
func writeTables(rep *report, dir string) error {
	var pages []string
	for _, form := range scenario.Forms() {
		var of []*scenarioResult
		for i := range rep.Scenarios {
			if rep.Scenarios[i].Form == string(form) {
				of = append(of, &rep.Scenarios[i])
			}
		}
		if len(of) == 0 {
			continue
		}
		name := string(form) + ".md"
		pages = append(pages, fmt.Sprintf("- [%s](%s): %s", form, name, form.About()))
		var b strings.Builder
		fmt.Fprintf(&b, "# %s\n\n%s\n\n%s\n", form, form.About(), origin(rep))
		if form == scenario.Flow {
			if err := writeFlows(&b, rep, of, dir); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(&b, "%s\n", reading)
			for _, s := range of {
				fmt.Fprintf(&b, "\n## %s\n\n![%s](%s)\n\n%s", s.Title, s.Title, chartName(s), table(s))
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(firstPage(rep, pages)), 0o644)
}

// origin says where the figures are from.
func origin(rep *report) string {
	return fmt.Sprintf("%s It took %s.\n", rep.measured(), rep.Took)
}

// reading says how to read a table.
const reading = `Time is for one item: the median of the rounds, and half the distance between the quartiles. "Of ours" is that time as a
multiple of Millstream's; ≈ where the spreads overlap. Bytes and allocations are for one item, everything included. The
last columns are from a run of their own, in which somebody looked on: goroutines and memory at most, and the time from
when an item was handed over (waiting for room included) to the end of its last call.
`

// table is all that is known of a scenario.
func table(s *scenarioResult) string {
	var b strings.Builder
	b.WriteString("| subject | time | spread | of ours | bytes | allocs | goroutines | memory | p50 | p99 | does less |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	us, compared := s.of(subject.Name)
	for _, r := range s.Rows {
		name, of := r.Subject, "–"
		if ours(name) {
			name = "**" + name + "**"
		}
		if compared && r.Subject != subject.Name {
			of = multiple(r, us)
		}
		fmt.Fprintf(&b, "| %s | %s | ±%.1f %% | %s | %s | %.2f | %s | %s | %s | %s | %s |\n",
			name, nanos(r.NS), 100*r.Spread, of, count(r.Bytes), r.Allocs, count(float64(r.Goroutines)), size(r.Memory),
			short(r.P50), short(r.P99), r.Lacks)
	}
	return b.String()
}

func multiple(them, us row) string {
	r := them.NS / us.NS
	if noise := them.Spread + us.Spread; r < 1+noise && 1/r < 1+noise {
		return "≈ " + times(r)
	}
	return times(r)
}

// writeFlows writes a table of stages and workers for each work to b, and the full tables to a page for each work.
func writeFlows(b *strings.Builder, rep *report, all []*scenarioResult, dir string) error {
	fmt.Fprint(b, "\nNanoseconds an item, medians. The columns are stages × workers of each.\n")
	for _, work := range scenario.Works() {
		details := "flow-" + work.Name + ".md"
		var page strings.Builder
		fmt.Fprintf(&page, "# flow: %s\n\n%s\n%s\n", work.Title, origin(rep), reading)
		for _, ordered := range []bool{false, true} {
			var of []*scenarioResult
			for _, s := range all {
				if s.Work == work.Name && s.Ordered == ordered {
					of = append(of, s)
				}
			}
			if len(of) == 0 {
				continue
			}
			order := "in any order"
			if ordered {
				order = "in order"
			}
			fmt.Fprintf(b, "\n## %s, %s\n\n", work.Title, order)
			for _, s := range of {
				if charted(s) {
					fmt.Fprintf(b, "![%s](%s)\n\n", s.Title, chartName(s))
				}
			}
			fmt.Fprintf(b, "%s\nWith bytes, goroutines and latencies: [%s](%s).\n", matrix(of), details, details)
			for _, s := range of {
				fmt.Fprintf(&page, "\n## %s\n\n%s", s.Title, table(s))
			}
		}
		if err := os.WriteFile(filepath.Join(dir, details), []byte(page.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// matrix is a table of subjects by stages and workers.
func matrix(of []*scenarioResult) string {
	var subjects []string
	for _, s := range of {
		for _, r := range s.Rows {
			if !slices.Contains(subjects, r.Subject) {
				subjects = append(subjects, r.Subject)
			}
		}
	}
	var b strings.Builder
	b.WriteString("| subject |")
	for _, s := range of {
		fmt.Fprintf(&b, " %d×%d |", s.Stages, s.Workers)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(of)) + "\n")
	for _, name := range subjects {
		shown := name
		if ours(name) {
			shown = "**" + name + "**"
		}
		fmt.Fprintf(&b, "| %s |", shown)
		for _, s := range of {
			if r, ok := s.of(name); ok {
				fmt.Fprintf(&b, " %s |", nanos(r.NS))
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// firstPage is what one sees first: the overview, the pages, who the subjects are.
func firstPage(rep *report, pages []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results\n\n%s\n", origin(rep))
	b.WriteString("What each scenario is, what is unequal between the subjects, and how to repeat it all: [benchmarks](../README.md).\n\n")
	b.WriteString("![What others take, as a multiple of what Millstream takes](overview.svg)\n\n")
	b.WriteString("Nanoseconds an item, medians; ≈ is a difference within the spread.\n\n")
	b.WriteString(overviewTable(rep) + "\n## Tables and charts\n\n" + strings.Join(pages, "\n") + "\n")
	b.WriteString("\nEverything as data, with the figure of each round: [results.json](results.json).\n")
	b.WriteString("\n## Subjects\n\n| subject | module | how it is used | does less |\n|---|---|---|---|\n")
	for _, s := range subject.All() {
		module := "–"
		if s.Module != "" {
			module = strings.TrimSpace(s.Module + " " + rep.Host.Versions[s.Module])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.Name, module, s.Use, s.Lacks)
	}
	return b.String()
}

// nanos is a number of nanoseconds with three digits or as many as it has before the point.
func nanos(ns float64) string {
	switch {
	case ns < 10:
		return fmt.Sprintf("%.2f", ns)
	case ns < 100:
		return fmt.Sprintf("%.1f", ns)
	default:
		return count(ns)
	}
}

// count is a whole number with commas.
func count(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// size is a number of bytes with its unit.
func size(bytes uint64) string {
	switch {
	case bytes < 1<<10:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%.0f KiB", float64(bytes)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
}

// short is a duration with three digits.
func short(ns int64) string {
	d := time.Duration(ns)
	for unit := time.Second; unit >= time.Nanosecond; unit /= 1000 {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
		if d >= 10*unit && unit > 1 {
			return d.Round(unit / 10).String()
		}
		if d >= unit && unit > 1 {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}
