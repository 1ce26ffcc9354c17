package ratesim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	rowsOfTable = 12 // at most, about
	widthOfBar  = 40
)

// String returns a table for each limit: what arrived in each part of the time, and what became of
// it. A bar shows what was admitted, its lighter end what was denied.
func (r Report) String() string {
	step := roundStep(r.For, rowsOfTable)
	most := 1
	all := make([][]slice, len(r.Runs))
	for i, run := range r.Runs {
		all[i] = r.slicesOf(run, step)
		for _, s := range all[i] {
			most = max(most, s.Offered)
		}
	}
	var out strings.Builder
	for i, run := range r.Runs {
		if i > 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "%s: %s\n", run.Limit.Name, run.summary())
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		head := "from\toffered\tadmitted\tdenied\t"
		if run.Limit.Patience > 0 {
			head += "wait p50\tmax\t"
		}
		cell := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // to a strings.Builder
		cell("%s\n", head)
		for j, s := range all[i] {
			cell("%s\t%d\t%d\t%d\t", brief(time.Duration(j)*step), s.Offered, s.Admitted, s.Denied)
			if run.Limit.Patience > 0 {
				p50, highest := s.quantiles()
				cell("%v\t%v\t", p50, highest)
			}
			if b := bar(s.Count, most); b != "" {
				cell("  %s", b)
			}
			cell("\n")
		}
		_ = w.Flush() // to a strings.Builder
	}
	return out.String()
}

// summary returns in one line what the limit has done.
func (o Outcomes) summary() string {
	text := fmt.Sprintf("%d of %d admitted", o.Tokens.Admitted, o.Tokens.Offered)
	if o.Tokens.Offered > 0 {
		text += fmt.Sprintf(" (%.1f %%)", 100*float64(o.Tokens.Admitted)/float64(o.Tokens.Offered))
	}
	text += fmt.Sprintf(", %d denied", o.Tokens.Denied)
	if o.Limit.Patience > 0 {
		text += ", longest wait " + rounded(o.MaxWait).String()
	}
	return text
}

// roundStep returns the smallest round duration of which at most n fit into d.
func roundStep(d time.Duration, n int) time.Duration {
	const second, day = int64(time.Second), int64(24 * time.Hour)
	least := (int64(d) + int64(n) - 1) / int64(n)
	for unit := int64(1); unit < second; unit *= 10 {
		for _, m := range []int64{1, 2, 5} {
			if unit*m >= least {
				return time.Duration(unit * m)
			}
		}
	}
	for _, seconds := range []int64{
		1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600,
	} {
		if seconds*second >= least {
			return time.Duration(seconds * second)
		}
	}
	return time.Duration((least + day - 1) / day * day)
}

func (s slice) quantiles() (p50, highest time.Duration) {
	if len(s.waits) == 0 {
		return 0, 0
	}
	slices.Sort(s.waits)
	return rounded(time.Duration(s.waits[len(s.waits)/2])), rounded(time.Duration(s.waits[len(s.waits)-1]))
}

// rounded keeps about three digits.
func rounded(d time.Duration) time.Duration {
	for unit := time.Second; unit > 1; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit)
		}
	}
	return d
}

// brief formats 72h0m0s as 3d and 2m0s as 2m.
func brief(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func bar(c Count, most int) string {
	length := func(n int) int { return (n*widthOfBar + most - 1) / most }
	full := length(c.Admitted)
	return strings.Repeat("█", full) + strings.Repeat("░", max(length(c.Offered)-full, 0))
}

// thousands formats 12345 as 12,345.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
