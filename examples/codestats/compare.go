package main

import (
	"context"
	"io"
	"runtime"
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
	Same     bool          `json:"same"` // all runs gave the same packages, counts and problems
}

// compare runs both in turns, so that a machine which warms up or slows down
// treats them alike. The first pass has been through all files already: they are
// in the cache of the file system, for both. Neither is watched on the way: no report,
// and a bar that counts passes only. It returns nil if ctx ends before the first round
// does.
func compare(ctx context.Context, t tree, workers int, first *survey, bar *progress) *comparison {
	c := comparison{Same: true}
	bar.begin("comparing", "passes", 2*rounds)
	for c.Rounds < rounds {
		plain := c.race(first, t, bar, func(s *survey) { s.plainLoop(ctx) })
		piped := c.race(first, t, bar, func(s *survey) { s.pipeline(ctx, workers) })
		if ctx.Err() != nil {
			break
		}
		if c.Rounds == 0 || plain.took < c.Plain {
			c.Plain = plain.took
		}
		if c.Rounds == 0 || piped.took < c.Pipeline {
			c.Pipeline = piped.took
		}
		c.Same = c.Same && plain.same && piped.same
		c.Rounds++
	}
	if c.Rounds == 0 {
		return nil
	}
	c.Speedup = float64(c.Plain) / float64(max(c.Pipeline, 1))
	return &c
}

// A lap is one timed pass.
type lap struct {
	took time.Duration
	same bool
}

// race times one pass over the tree, and checks that it finds what the first did.
func (comparison) race(first *survey, t tree, bar *progress, pass func(*survey)) lap {
	defer bar.tick()
	s := newSurvey(t, "", io.Discard) // the first pass has named the problems
	runtime.GC()                      // what the one left behind is not the next one's to clean up

	start := time.Now()
	pass(s)
	took := time.Since(start)
	return lap{took, s.packages.same(first.packages) && s.problems.counts == first.problems.counts}
}
