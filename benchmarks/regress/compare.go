package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchunit"
)

const (
	tolerance = 0.05 // what is worse by more than this counts
	alpha     = 0.05 // if it is so unlikely to be chance
)

// units are what counts, all of them better when less.
var units = []string{"sec/op", "B/op", "allocs/op"}

// key is a figure of a benchmark.
type key struct{ name, unit string }

// line is what the comparison of a figure says.
type line struct {
	key
	old, now float64 // medians
	p        float64
	change   float64 // as a share of old; +Inf from nothing to something
	ours     bool
}

// worse tells whether the line is flagged.
func (l line) worse() bool { return l.ours && l.p < alpha && l.change > tolerance }

// read returns the figures of a file in the format of Go benchmarks.
func read(file string) (map[key][]float64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	return parse(f, file)
}

func parse(r io.Reader, name string) (map[key][]float64, error) {
	figures := map[key][]float64{}
	reader := benchfmt.NewReader(r, name)
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.Result:
			for _, v := range rec.Values {
				if slices.Contains(units, v.Unit) {
					k := key{rec.Name.String(), v.Unit}
					figures[k] = append(figures[k], v.Value)
				}
			}
		case *benchfmt.SyntaxError:
			return nil, rec
		}
	}
	return figures, reader.Err()
}

// compare returns a line for each figure that both have, by name and unit.
func compare(old, now map[key][]float64) []line {
	var lines []line
	for k, before := range old {
		after, ok := now[k]
		if !ok {
			continue
		}
		a, b := benchmath.NewSample(before, &benchmath.DefaultThresholds), benchmath.NewSample(after, &benchmath.DefaultThresholds)
		l := line{
			key: k, p: benchmath.AssumeNothing.Compare(a, b).P,
			old:  benchmath.AssumeNothing.Summary(a, 0.95).Center,
			now:  benchmath.AssumeNothing.Summary(b, 0.95).Center,
			ours: !strings.Contains(k.name, "subject=loop") && !strings.Contains(k.name, "subject=channels"),
		}
		switch {
		case l.old != 0:
			l.change = l.now/l.old - 1
		case l.now != 0:
			l.change = math.Inf(1)
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int {
		if c := slices.Index(units, a.unit) - slices.Index(units, b.unit); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	return lines
}

// report prints the lines and returns how many are flagged. Figures that are the same in both are only counted.
func report(w io.Writer, lines []line) (worse int) {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	same := 0
	for _, l := range lines {
		if l.old == l.now && l.unit != units[0] {
			same++
			continue
		}
		note := ""
		switch {
		case l.worse():
			note = "WORSE"
			worse++
		case !l.ours:
			note = "control"
		}
		change := "~"
		if l.p < alpha {
			change = fmt.Sprintf("%+.1f%%", 100*l.change)
		}
		class := benchunit.ClassOf(l.unit)
		say(table, "%s\t%s\t%s\t%s\t%s\tp=%.3f\t%s", l.name, l.unit, benchunit.Scale(l.old, class), benchunit.Scale(l.now, class), change, l.p, note)
	}
	table.Flush() //nolint:errcheck // there is nobody to tell
	say(w, "\n%d figures, %d of them exactly the same and not shown; %d worse by more than %.0f%% at p < %.2f",
		len(lines), same, worse, 100*tolerance, alpha)
	return worse
}
