package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
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
	Same     bool          `json:"same"` // all passes made the same thumbnails and sheets, and left out the same
}

// A contest is what all passes of a comparison have in common.
type contest struct {
	options
	fsys  fs.FS
	first *pass
	bar   *progress
}

// compare runs both in turns, so that a machine which warms up or slows down
// treats them alike. The first pass has been through all pictures already: they are
// in the cache of the file system, for both. It returns nil if ctx ends before the
// first round does.
func (c contest) compare(ctx context.Context) (*comparison, error) {
	sum := comparison{Same: true}
	for sum.Rounds < rounds {
		var laps [2]lap
		for i, runner := range []struct {
			name string
			run  func(*pass)
		}{
			{"plain loop", func(p *pass) { p.plainLoop(ctx) }},
			{"pipeline", func(p *pass) { p.pipeline(ctx, c.workers) }},
		} {
			c.bar.begin(fmt.Sprintf("%s, %d of %d:", runner.name, sum.Rounds+1, rounds))
			var err error
			if laps[i], err = c.race(runner.run); err != nil {
				return nil, err
			}
		}
		if ctx.Err() != nil {
			break
		}
		plain, piped := laps[0], laps[1]
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
}

// race times one pass, and checks that it makes what the first one did. It writes
// to a folder inside that of the first pass and wipes it away.
func (c contest) race(run func(*pass)) (l lap, err error) {
	g, err := c.first.album.gallery.scratch()
	if err != nil {
		return l, err
	}
	defer g.wipe()
	p := c.newPass(c.fsys, g, io.Discard) // the first pass has named the problems
	p.tick = c.bar.tick
	runtime.GC() // what the one left behind is not the next one's to clean up

	start := time.Now()
	run(p)
	l.took = time.Since(start)
	l.same = p.digest == c.first.digest && p.album.digest == c.first.album.digest && p.album.err == nil &&
		slices.EqualFunc(p.problems.list, c.first.problems.list, func(a, b problem) bool { return a.Path == b.Path && a.Kind == b.Kind })
	return l, nil
}
