package main

import (
	"context"
	"io"
	"iter"
	"runtime/debug"
	"time"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// steps are the functions that do the work, whoever calls them: the pipeline and
// the plain loop must differ in nothing else.
type steps struct {
	walk    func(context.Context) iter.Seq[entry]
	read    func(context.Context, entry) (source, error)
	parse   func(context.Context, source) (syntax, error)
	measure func(context.Context, syntax) (measured, error)
}

// A survey is one pass over a tree, and what was found. Use it once.
type survey struct {
	do steps

	packages packages
	problems problems
	files    result.Summary // how the files that were measured fared, waiting included
}

func newSurvey(t tree, root string, notes io.Writer) *survey {
	return &survey{
		do:       steps{t.walk, t.read, parse, measure},
		packages: packages{}, problems: problems{root: root, out: notes},
	}
}

// flow is the work in stages.
//
// Reading and parsing have workers of their own, since one waits for the disk and
// the other for a processor. The Buffer keeps few texts and trees waiting, as they
// may be large. Measuring is quick and has no workers, so it runs in the loop of
// whoever reads the flow. What fails in a stage leaves the flow there, as a letter
// that says which file it was.
func (s *survey) flow(ctx context.Context, workers int) pipeline.Flow[measured] {
	leftOut := pipeline.OnError(pipeline.DeadLetter(s.leaveOut))
	found := pipeline.From(s.do.walk(ctx)).Named("walk")
	sources := pipeline.Map(found, s.do.read, pipeline.Named("read"), pipeline.Workers(workers), leftOut)
	parsed := pipeline.Map(sources, s.do.parse, pipeline.Named("parse"), pipeline.Workers(workers), pipeline.Buffer(16), leftOut)
	return pipeline.Map(parsed, s.do.measure, pipeline.Named("measure"), leftOut)
}

// pipeline does the work in stages. It returns when all files are through or, if
// ctx ends first, when the calls that had begun are; no goroutine is left then. What
// the loop adds up needs no lock, since the loop is on this goroutine.
func (s *survey) pipeline(ctx context.Context, workers int, opts ...pipeline.RunOption) {
	for r := range s.flow(ctx, workers).Results(ctx, opts...) {
		switch {
		case r.Err == nil:
			s.add(r.Value, r.Timing)
		case ctx.Err() != nil:
			// Not done any more, because we were told to stop: nothing is wrong with the file.
		default: // no letter: it is the walk itself that failed
			s.problems.add(".", "walk", r.Err)
		}
	}
}

// plainLoop does the same work without a pipeline.
func (s *survey) plainLoop(ctx context.Context) {
	for e := range s.do.walk(ctx) {
		start := time.Now()
		m, err := s.one(ctx, e)
		if err != nil {
			s.problems.add(e.path, "", err)
			continue
		}
		s.add(m, result.Timing{Queued: start, Run: time.Since(start)})
	}
}

// one takes one file through the steps.
func (s *survey) one(ctx context.Context, e entry) (m measured, err error) {
	defer func() { // a pipeline does this by itself
		if v := recover(); v != nil {
			err = &result.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	src, err := s.do.read(ctx, e)
	if err != nil {
		return m, err
	}
	tree, err := s.do.parse(ctx, src)
	if err != nil {
		return m, err
	}
	return s.do.measure(ctx, tree)
}

// add adds a file to what is known.
func (s *survey) add(m measured, timing result.Timing) {
	s.files.Add(result.Succeeded, timing)
	s.packages.add(m, timing.Run)
}

// leaveOut notes what could not be measured. The workers of the stages call it.
func (s *survey) leaveOut(l pipeline.Letter) {
	name := ""
	switch in := l.Input.(type) {
	case entry:
		name = in.path
	case source:
		name = in.path
	case syntax:
		name = in.path
	}
	s.problems.add(name, l.Stage, l.Err)
}
