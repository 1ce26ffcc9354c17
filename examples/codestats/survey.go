package main

import (
	"context"
	"io"
	"iter"
	"runtime/debug"
	"sync"
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
	do     steps
	stages stopwatches
	names  sync.Map // index to path, of the files that are on their way

	packages packages
	problems problems
	files    result.Summary // what became of each file, waiting included
	tick     func()         // called after each file
}

func newSurvey(t tree, root string, notes io.Writer) *survey {
	s := &survey{packages: packages{}, problems: problems{root: root, out: notes}, tick: func() {}}
	s.do = steps{
		walk:    func(ctx context.Context) iter.Seq[entry] { return timedSeq(&s.stages.walk, t.walk(ctx)) },
		read:    timed(&s.stages.read, t.read),
		parse:   timed(&s.stages.parse, parse),
		measure: timed(&s.stages.measure, measure),
	}
	return s
}

// pipeline does the work in stages. It returns when all files are through or, if
// ctx ends first, when the calls that had begun are; no goroutine is left then.
//
// Reading and parsing have workers of their own, since one waits for the disk and
// the other for a processor. The Buffer keeps few texts and trees waiting, as they
// may be large. Measuring is quick and has no workers, so it runs in the loop below,
// on this goroutine: what the loop adds up needs no lock.
func (s *survey) pipeline(ctx context.Context, workers int) {
	found := pipeline.From(s.named(s.do.walk(ctx)))
	sources := pipeline.Map(found, s.do.read, pipeline.Named("read"), pipeline.Workers(workers))
	parsed := pipeline.Map(sources, s.do.parse, pipeline.Named("parse"), pipeline.Workers(workers), pipeline.Buffer(16))
	files := pipeline.Map(parsed, s.do.measure, pipeline.Named("measure"))

	for r := range files.Results(ctx) {
		s.aggregate(s.name(r.Index), r)
	}
}

// plainLoop does the same work without a pipeline.
func (s *survey) plainLoop(ctx context.Context) {
	for e := range s.do.walk(ctx) {
		r := result.Result[measured]{Attempt: 1, Timing: result.Timing{Queued: time.Now()}}
		r.Value, r.Err = s.one(ctx, e)
		r.Timing.Run = time.Since(r.Timing.Queued)
		s.aggregate(e.path, r)
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

// aggregate adds the result for one file to what is known.
func (s *survey) aggregate(name string, r result.Result[measured]) {
	defer s.tick()
	s.files.Add(r.Status(), r.Timing)
	switch {
	case r.Err == nil:
		start := time.Now()
		s.packages.add(r.Value, r.Timing.Run)
		s.stages.aggregate.add(result.Succeeded, time.Since(start))
	case r.Status() == result.Canceled:
		// Not done any more, because we were told to stop: nothing is wrong with the file.
	default:
		s.problems.add(name, r.Err)
	}
}

// named notes the path of each entry. A failed result has no value that could
// tell which file it was, and a panic knows nothing of files; what each result
// has is its Index, the place of its input in the source.
func (s *survey) named(entries iter.Seq[entry]) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		i := 0
		for e := range entries {
			s.names.Store(i, e.path)
			i++
			if !yield(e) {
				return
			}
		}
	}
}

// name returns the path of the entry with that index, and forgets it: only what
// is on its way is held, not the whole tree.
func (s *survey) name(index int) string {
	path, _ := s.names.LoadAndDelete(index)
	name, _ := path.(string)
	return name
}
