package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"time"
)

// rounds is how often each contender runs. The fastest counts: what else the
// machine does can only make a run slower.
const rounds = 3

// A comparison is the same work done by a plain loop and by the pipeline.
type comparison struct {
	Rounds   int           `json:"rounds"` // how many were completed
	Plain    time.Duration `json:"plain_ns"`
	Pipeline time.Duration `json:"pipeline_ns"`
	Speedup  float64       `json:"speedup"`
	Same     bool          `json:"same"` // all passes found the same
}

// A contest is what all passes of a comparison have in common.
type contest struct {
	options
	from  *input
	first *analysis
	bar   *progress
}

// compare runs both in turns, so that a machine which warms up or slows down treats
// them alike. The first pass has been through the log already: it is in the cache of
// the file system, for both. Here nobody watches the pipeline, since a report costs
// time for each line. It returns nil if ctx ends before the first round does.
func (c contest) compare(ctx context.Context) (*comparison, error) {
	sum := comparison{Same: true}
	for sum.Rounds < rounds {
		plain := c.race(fmt.Sprintf("plain loop, %d of %d", sum.Rounds+1, rounds),
			func(a *analysis) { a.plainLoop(ctx, c.from) })
		piped := c.race(fmt.Sprintf("pipeline, %d of %d", sum.Rounds+1, rounds),
			func(a *analysis) { a.pipeline(ctx, c.from) })
		if ctx.Err() != nil {
			break
		}
		for _, l := range []lap{plain, piped} {
			if l.err != nil {
				return nil, l.err
			}
		}
		if sum.Rounds == 0 || plain.took < sum.Plain {
			sum.Plain = plain.took
		}
		if sum.Rounds == 0 || piped.took < sum.Pipeline {
			sum.Pipeline = piped.took
		}
		sum.Same = sum.Same && plain.same && piped.same
		sum.Rounds++
	}
	if sum.Rounds == 0 {
		return nil, nil
	}
	sum.Speedup = float64(sum.Plain) / float64(max(sum.Pipeline, 1))
	return &sum, nil
}

// A lap is one timed pass.
type lap struct {
	took time.Duration
	same bool
	err  error
}

// race times one pass, and checks that it finds what the first one did.
func (c contest) race(what string, run func(*analysis)) lap {
	c.bar.say(what)
	a := newAnalysis(c.options, io.Discard) // the first pass has shown the malformed lines
	runtime.GC()                            // what the one left behind is not the next one's to clean up

	start := time.Now()
	run(a)
	took := time.Since(start)
	return lap{took, a.same(c.first), a.failed}
}

// same tells whether two passes have found the same.
func (a *analysis) same(b *analysis) bool {
	return a.linesRead == b.linesRead &&
		maps.EqualFunc(a.windows, b.windows, func(v, w *window) bool { return *v == *w }) &&
		a.totals.requests.same(&b.totals.requests) && a.totals.clients.same(&b.totals.clients) &&
		maps.Equal(a.bad.why, b.bad.why) && slices.Equal(a.bad.first, b.bad.first)
}

func (c *counter) same(o *counter) bool {
	return slices.Equal(c.rows, o.rows) && c.others == o.others
}
