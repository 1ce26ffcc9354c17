package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// kind is how an input has ended.
type kind int

const (
	succeeded kind = iota
	failed
	panicked
	canceled
	dropped
	kinds // how many there are
)

func (k kind) String() string {
	return [...]string{"succeeded", "failed", "panicked", "canceled", "dropped"}[k]
}

// kindOf sorts an end by its error and the number of calls that were made.
func kindOf(err error, calls int) kind {
	if errors.Is(err, pool.ErrDropped) {
		return dropped
	}
	switch (result.Result[int]{Err: err, Attempt: calls}).Status() {
	case result.Succeeded:
		return succeeded
	case result.Panicked:
		return panicked
	case result.Canceled:
		return canceled
	default:
		return failed
	}
}

// book counts the inputs of one load. What was accepted has to be what has ended and what is live, at any
// time when nobody writes in it, and nothing may be live at the end.
type book struct {
	name     string
	rounds   atomic.Int64
	accepted atomic.Int64
	refused  atomic.Int64 // full, closed or not granted in time; never accepted
	ended    [kinds]atomic.Int64
	calls    atomic.Int64 // that the function counted itself

	mu     sync.Mutex
	wrong  int // guarded by mu
	firsts []string
}

// live is how many inputs have been accepted and have not ended.
func (b *book) live() int64 {
	n := b.accepted.Load()
	for i := range b.ended {
		n -= b.ended[i].Load()
	}
	return n
}

// errorf notes that something does not hold.
func (b *book) errorf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong++
	if len(b.firsts) < 5 {
		b.firsts = append(b.firsts, fmt.Sprintf(format, args...))
	}
}

// check notes what does not hold as soon as nothing runs.
func (b *book) check(final bool) {
	if n := b.live(); n < 0 || final && n != 0 {
		b.errorf("%d accepted, %d of them live", b.accepted.Load(), n)
	}
}

// ledger is the books of all loads.
type ledger struct{ books []*book }

func (l *ledger) open(name string) *book {
	b := &book{name: name}
	l.books = append(l.books, b)
	return b
}

// live adds up over all books, as accepted does.
func (l *ledger) live() (n int64) {
	for _, b := range l.books {
		n += b.live()
	}
	return n
}

func (l *ledger) accepted() (n int64) {
	for _, b := range l.books {
		n += b.accepted.Load()
	}
	return n
}

// faults are the first things in each book that do not hold, and how many there were.
func (l *ledger) faults() (firsts []string, n int) {
	for _, b := range l.books {
		b.mu.Lock()
		n += b.wrong
		for _, f := range b.firsts {
			firsts = append(firsts, b.name+": "+f)
		}
		b.mu.Unlock()
	}
	return firsts, n
}

// print writes the table.
func (l *ledger) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...any) {
		for _, c := range cells {
			_, _ = fmt.Fprint(t, c, "\t")
		}
		_, _ = fmt.Fprintln(t)
	}
	line("rounds", "accepted", succeeded, failed, panicked, canceled, dropped, "live", "refused", "calls", "  load")
	var sum [10]int64
	for _, b := range l.books {
		row := [10]int64{b.rounds.Load(), b.accepted.Load()}
		for i := range b.ended {
			row[2+i] = b.ended[i].Load()
		}
		row[7], row[8], row[9] = b.live(), b.refused.Load(), b.calls.Load()
		for i, n := range row {
			sum[i] += n
		}
		line(append(cells(row[:]), "  "+b.name)...)
	}
	line(append(cells(sum[:]), "  all")...)
	return t.Flush()
}

func cells(row []int64) []any {
	return slices.Collect(func(yield func(any) bool) {
		for _, n := range row {
			if !yield(grouped(n)) {
				return
			}
		}
	})
}

// grouped has a comma behind each three digits.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
