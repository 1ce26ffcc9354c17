package result

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Summary counts results by outcome and records enough of their timing to give
// the throughput and the quantiles of waits and runs, in memory that does not
// grow.
//
// The zero Summary is empty and ready to use. The first Add with a wait or run
// to measure allocates 30,256 bytes (32 KiB after rounding up by the allocator);
// nothing allocates after that. A Summary must not be copied after first use,
// and is not safe for concurrent use: give each goroutine its own and
// [Summary.Merge] them. There is no reset; start a new one.
type Summary struct {
	_ noCopy

	counts [Canceled + 1]int // by Status; entries that are not outcomes stay 0
	spread *spread           // nil until something was measured

	// For the throughput, which needs times: of the results whose Timing.Queued
	// is known, the count, the first Queued and the last Finished.
	timed int
	first time.Time
	last  time.Time
}

// spread is separate from Summary so that an empty Summary is small, and its two
// parts are one allocation.
type spread struct {
	wait, run histogram
}

// Quantiles describe how durations are distributed: half of them are at most
// P50, 90 in a hundred at most P90, 99 in a hundred at most P99, and all at most
// Max.
//
// They are nearest ranks: each stands for one of the measured durations, and P99
// is Max if there are fewer than a hundred. P50, P90 and P99 are within 2% of
// that duration, and exact below 64 ns; Max is always exact.
//
// Quantiles are a plain value. All are 0 if nothing was measured.
type Quantiles struct {
	P50, P90, P99, Max time.Duration
}

// Add counts one outcome and measures its timing:
//
//   - Every outcome counts in [Summary.Count] and [Summary.Total].
//   - A zero Timing is not measured. A Timing without Queued is left out only of
//     [Summary.Throughput].
//   - Canceled with no Run is an input that never started. Its wait ended
//     because it was dropped, not because it was started, so it is left out of
//     [Summary.Wait] and [Summary.Run]: otherwise a thousand inputs dropped at
//     once would hide how long the others took.
//   - A negative Wait or Run, from a clock that stepped back, counts as 0.
//
// Add panics if the status is not an outcome, see [Status.Terminal]: a job that
// is still Queued or Running would be counted again when it ends.
func (s *Summary) Add(status Status, t Timing) {
	if !status.Terminal() {
		panic("result: Summary.Add of " + status.String() + ", which is no outcome")
	}
	s.counts[status]++

	if !t.Queued.IsZero() {
		s.extend(1, t.Queued, t.Finished())
	} else if t.Wait == 0 && t.Run == 0 {
		return
	}
	if status == Canceled && t.Run == 0 {
		return
	}
	if s.spread == nil {
		s.spread = new(spread)
	}
	s.spread.wait.add(t.Wait)
	s.spread.run.add(t.Run)
}

// extend adds n timed results between the times first and last.
func (s *Summary) extend(n int, first, last time.Time) {
	if s.timed == 0 || first.Before(s.first) {
		s.first = first
	}
	if s.timed == 0 || last.After(s.last) {
		s.last = last
	}
	s.timed += n
}

// Merge adds all that o counted to s, as if each result had been added to s; o
// does not change and shares nothing with s. Merging a Summary with itself
// doubles its counts. A nil o counts as empty.
//
// Neither may be used by another goroutine during the call.
func (s *Summary) Merge(o *Summary) {
	if o == nil {
		return
	}
	for i, n := range o.counts {
		s.counts[i] += n
	}
	if o.timed > 0 {
		s.extend(o.timed, o.first, o.last)
	}
	if o.spread == nil {
		return
	}
	if s.spread == nil {
		s.spread = new(spread)
	}
	s.spread.wait.merge(&o.spread.wait)
	s.spread.run.merge(&o.spread.run)
}

// Count returns how many results had the given outcome. It is 0 for a status
// that is not an outcome.
func (s *Summary) Count(status Status) int {
	if int(status) >= len(s.counts) {
		return 0
	}
	return s.counts[status]
}

// Total returns how many results were added, whatever their outcome.
func (s *Summary) Total() int {
	total := 0
	for _, n := range s.counts {
		total += n
	}
	return total
}

// Throughput returns how many results ended per second, from the first
// Timing.Queued to the last Timing.Finished. All outcomes count, but only
// results whose Queued is known. It is 0 if there are none, or if no time
// passed; it is never NaN or infinite.
func (s *Summary) Throughput() float64 {
	span := s.last.Sub(s.first)
	if span <= 0 {
		return 0
	}
	return float64(s.timed) / span.Seconds()
}

// Wait returns how long inputs waited to be started.
func (s *Summary) Wait() Quantiles {
	if s.spread == nil {
		return Quantiles{}
	}
	return s.spread.wait.quantiles()
}

// Run returns how long inputs ran, including retries.
func (s *Summary) Run() Quantiles {
	if s.spread == nil {
		return Quantiles{}
	}
	return s.spread.run.quantiles()
}

// String returns the summary as a small table for people to read, in several
// lines without a newline at the end. Durations have three digits, or whole
// seconds from 1000 s on; unknown values are a dash. The layout may change:
// programs should call the other methods.
func (s *Summary) String() string {
	total, rate := s.Total(), "-"
	if perSecond := s.Throughput(); perSecond >= 100 {
		rate = fmt.Sprintf("%.0f/s", perSecond)
	} else if perSecond > 0 {
		rate = fmt.Sprintf("%.3g/s", perSecond)
	}

	rows := [][]string{{"outcome", "count", "share"}}
	for status := Succeeded; status <= Canceled; status++ {
		n := s.Count(status)
		rows = append(rows, []string{status.String(), strconv.Itoa(n), share(n, total)})
	}
	rows = append(rows,
		[]string{"total", strconv.Itoa(total), rate},
		nil,
		[]string{"time", "p50", "p90", "p99", "max"},
		s.row("wait", s.Wait()),
		s.row("run", s.Run()),
	)
	return table(rows)
}

// row returns the cells of one line of quantiles.
func (s *Summary) row(name string, q Quantiles) []string {
	if s.spread == nil {
		return []string{name, "-", "-", "-", "-"}
	}
	return []string{name, short(q.P50), short(q.P90), short(q.P99), short(q.Max)}
}

// share formats n of total in per cent. It does not round away a single failure
// among many: 0.0% means none and 100.0% means all.
func share(n, total int) string {
	if total == 0 {
		return "-"
	}
	switch percent := 100 * float64(n) / float64(total); {
	case n > 0 && percent < 0.1:
		return "<0.1%"
	case n < total && percent > 99.9:
		return ">99.9%"
	default:
		return fmt.Sprintf("%.1f%%", percent)
	}
}

// short formats d with three digits, since more would be noise, or to the second
// if that is more.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for unit < time.Second && d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// table aligns the cells of rows, the first column to the left and the others to
// the right. text/tabwriter aligns all columns to the same side.
func table(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for col, cell := range row {
			if col == len(widths) {
				widths = append(widths, 0)
			}
			widths[col] = max(widths[col], utf8.RuneCountInString(cell)) // µs has two runes in three bytes
		}
	}
	var b strings.Builder
	for i, row := range rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		for col, cell := range row {
			if col == 0 {
				fmt.Fprintf(&b, "%-*s", widths[col], cell)
			} else {
				fmt.Fprintf(&b, "  %*s", widths[col], cell)
			}
		}
	}
	return b.String()
}

// Tally returns the results of seq and adds each to s as it passes, just before
// yielding it.
//
// Tally is lazy: each range over it is one range over seq and counts again, and
// leaving the one leaves the other. The result at which the loop was left has
// been counted, later ones have not. The body of the loop may read s. Tally
// panics if s or seq is nil.
func Tally[T any](s *Summary, seq iter.Seq[Result[T]]) iter.Seq[Result[T]] {
	if s == nil {
		panic("result: Tally into a nil Summary")
	}
	mustHave(seq, "Tally")
	return func(yield func(Result[T]) bool) {
		for r := range seq {
			s.Add(r.Status(), r.Timing)
			if !yield(r) {
				return
			}
		}
	}
}

// noCopy makes the copylocks check of go vet report copies of a struct that
// contains it.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
