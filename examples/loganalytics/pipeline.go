package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
)

// How much may be under way; see the method pipeline.
const (
	waiting     = 4  // batches a worker, before parse
	inWindow    = 8  // batches a worker, in parse and behind it, out of their turn
	openWindows = 16 // of time, that lines are still added to
)

// An analysis is one way through a log, and what was found. Use it once.
type analysis struct {
	options
	windows   windows
	totals    counts
	bad       malformed
	failed    error // what ended the reading before the end of the log
	linesRead int
}

func newAnalysis(o options, notes io.Writer) *analysis {
	return &analysis{options: o, windows: windows{}, totals: newCounts(maxKeys, true), bad: malformed{log: o.title, out: notes}}
}

// pipeline does the work in stages. It returns when the log is through or, if ctx ends
// first, when what was read until then is: the run drains, it is not cancelled.
//
// A line takes about a microsecond to parse, which is little beside handing it to
// another goroutine and getting it back in order. So lines go in batches, which the
// goroutine that reads them makes, and each worker adds its batch up by itself: what
// comes out is small, and a single goroutine can add up all of it. That is this one,
// with count, split and window fused into the loop, so that none of them needs a lock.
//
// A malformed line must not cost the batch that it is in. It comes out of parse as a
// value and fails in the first stage that sees it alone.
func (a *analysis) pipeline(ctx context.Context, from *input, opts ...pipeline.RunOption) {
	lines := pipeline.Lines(from.open(ctx))
	batches := pipeline.Batch(lines, a.batch, 0)
	tallies := pipeline.Map(batches, a.tally, pipeline.Named("parse"),
		pipeline.Workers(a.workers), pipeline.Ordered(inWindow*a.workers), pipeline.Buffer(waiting*a.workers))
	counted := tallies.Tap(a.count, pipeline.Named("count"))
	parts := pipeline.FlatMap(counted, split, pipeline.Named("split"))
	byTime := pipeline.GroupBy(parts, openWindows, part.start, add, pipeline.Named("window"),
		pipeline.OnError(pipeline.DeadLetter(a.deadLetter)))

	// The run itself is not cancelled: Drain ends its input, and what was read is counted.
	for r := range byTime.Results(context.WithoutCancel(ctx), append(opts, pipeline.Drain(ctx))...) {
		if r.Err != nil {
			a.fail(r.Err)
		} else if !a.keep(r.Value.Value) {
			break
		}
	}
}

// tally is the stage parse: it adds up a batch of lines.
func (a *analysis) tally(_ context.Context, lines []string) (*tally, error) {
	t := newTally(len(lines))
	for i, line := range lines {
		if r, err := parse(line); err != nil {
			t.bad = append(t.bad, badLine{i, line, err})
		} else {
			t.add(r, a.window)
		}
	}
	return t, nil
}

// count is the stage of that name: it adds up what does not belong to a window.
func (a *analysis) count(t *tally) {
	a.linesRead += t.lines
	a.totals.merge(t.counts)
}

// A part is what a batch has for one window of time, or one of its malformed lines.
type part struct {
	window *window
	bad    badLine
}

// split makes parts of a batch.
func split(_ context.Context, t *tally) (iter.Seq[part], error) {
	return func(yield func(part) bool) {
		for _, bad := range t.bad {
			if !yield(part{bad: bad}) {
				return
			}
		}
		for _, w := range t.windows {
			if !yield(part{window: w}) {
				return
			}
		}
	}, nil
}

// start is the key of the stage window.
func (p part) start() int64 {
	if p.window == nil {
		return 0 // of a malformed line, which will not get into a window anyway
	}
	return p.window.start
}

// add is the stage window: it adds a part to its window, which is nil at first.
func add(_ context.Context, sum *window, p part) (*window, error) {
	switch {
	case p.window == nil:
		return nil, p.bad.err
	case sum == nil:
		return p.window, nil
	}
	sum.merge(p.window)
	return sum, nil
}

// deadLetter takes a malformed line. The letter knows where its batch began.
func (a *analysis) deadLetter(l pipeline.Letter) {
	if p, ok := l.Input.(part); ok {
		a.bad.add(l.Index+p.bad.place, p.bad.text, p.bad.err)
	}
}

// plainLoop does the same work without a pipeline, line by line.
func (a *analysis) plainLoop(ctx context.Context, from *input) {
	lines := bufio.NewScanner(from.open(ctx))
	lines.Buffer(nil, maxLine)
	var now *window // the one of the line before, which mostly is that of the next one
	for ctx.Err() == nil && lines.Scan() {
		r, err := parse(lines.Text())
		a.linesRead++
		if err != nil {
			a.bad.add(a.linesRead-1, lines.Text(), err)
			continue
		}
		a.totals.add(r)
		if start := startOf(r.at, a.window); now == nil || now.start != start {
			if now = a.windows[start]; now == nil {
				now = &window{start: start}
				if !a.keep(now) {
					return
				}
			}
		}
		now.add(r)
	}
	if err := lines.Err(); err != nil {
		a.fail(err)
	}
}

// maxLine is how long a line may be for both; that of pipeline.Lines.
const maxLine = 1 << 20

// keep takes a window in. It reports whether there is room for more.
func (a *analysis) keep(w *window) bool {
	if sum := a.windows[w.start]; sum != nil {
		sum.merge(w) // of lines that came when openWindows others had come between
		return true
	}
	if len(a.windows) == maxWindows {
		a.fail(fmt.Errorf("more than %s windows of %s; choose a longer -window", show.Commas(maxWindows), brief(a.window)))
		return false
	}
	a.windows[w.start] = w
	return true
}

// maxWindows bounds the memory for windows, to about 200 MB. By the minute it is five weeks.
const maxWindows = 50_000

// fail notes what has ended the reading.
func (a *analysis) fail(err error) {
	if e, ok := errors.AsType[*pipeline.StageError](err); ok {
		err = e.Err
	}
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("line %s is longer than 1 MiB", show.Commas(a.linesRead+1))
	}
	if a.failed == nil {
		a.failed = show.Reason(err)
	}
}

// requests is how many lines were counted.
func (a *analysis) requests() int { return a.linesRead - a.bad.count }

func (a *analysis) close() { a.bad.close() }
