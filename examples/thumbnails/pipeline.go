package main

import (
	"context"
	"hash/fnv"
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
	walk   func(context.Context) iter.Seq[entry]
	read   func(context.Context, entry) (source, error)
	shrink func(context.Context, source) (thumbnail, error)
	write  func(context.Context, thumbnail) (thumbnail, error)
}

// How much may be under way; see the method pipeline.
const (
	readAhead  = 2  // files a worker, in the read stage
	shrunkWait = 16 // thumbnails a worker, in each of the stages behind it
)

// A pass is one way through all pictures, and what came of it. Use it once.
type pass struct {
	do    steps
	names sync.Map // index to path, of the pictures that are on their way

	album    album
	totals   totals
	problems problems
	pictures result.Summary // what became of each picture, waiting included
	digest   uint64         // of all thumbnails, whatever their order
	tick     func()         // called after each picture
}

func newPass(t tree, s shrinker, a album, p problems) *pass {
	return &pass{
		do:       steps{t.walk, t.read, s.shrink, a.gallery.write},
		album:    a,
		totals:   totals{},
		problems: p,
		tick:     func() {},
	}
}

// pipeline does the work in stages. It returns when all pictures are through or, if
// ctx ends first, when the calls that had begun are; no goroutine is left then.
//
// Each stage has workers of its own, since read and write wait for a disk and shrink
// for a processor. All keep the order, so that the contact sheets are filled row by
// row and no more than one is held: a picture that takes long holds up those behind
// it only when as many as the window are through.
//
// Memory follows from the numbers. A decoded picture lives in one call of shrink, so
// there are as many as workers. A file that was read is in the window of read, in
// the Buffer of one before shrink, or in the hands of a worker of shrink. Behind
// that there are thumbnails only, which are small, and may wait in greater number.
func (p *pass) pipeline(ctx context.Context, workers int, opts ...pipeline.RunOption) {
	found := pipeline.From(p.named(p.do.walk(ctx)))
	sources := pipeline.Map(found, p.do.read, pipeline.Named("read"),
		pipeline.Workers(workers), pipeline.Ordered(readAhead*workers))
	small := pipeline.Map(sources, p.do.shrink, pipeline.Named("shrink"),
		pipeline.Workers(workers), pipeline.Ordered(shrunkWait*workers), pipeline.Buffer(1))
	written := pipeline.Map(small, p.do.write, pipeline.Named("write"),
		pipeline.Workers(workers), pipeline.Ordered(shrunkWait*workers), pipeline.Buffer(shrunkWait))

	for r := range written.Results(ctx, opts...) {
		p.collect(p.name(r.Index), r)
	}
	p.album.finish()
}

// plainLoop does the same work without a pipeline.
func (p *pass) plainLoop(ctx context.Context) {
	for e := range p.do.walk(ctx) {
		r := result.Result[thumbnail]{Attempt: 1, Timing: result.Timing{Queued: time.Now()}}
		r.Value, r.Err = p.one(ctx, e)
		r.Timing.Run = time.Since(r.Timing.Queued)
		p.collect(e.path, r)
	}
	p.album.finish()
}

// one takes one picture through the steps.
func (p *pass) one(ctx context.Context, e entry) (t thumbnail, err error) {
	defer func() { // a pipeline does this by itself
		if v := recover(); v != nil {
			err = &result.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	src, err := p.do.read(ctx, e)
	if err != nil {
		return t, err
	}
	if t, err = p.do.shrink(ctx, src); err != nil {
		return t, err
	}
	return p.do.write(ctx, t)
}

// collect adds the result for one picture to what is known, and to the contact
// sheet. Results come in the order of the pictures.
func (p *pass) collect(name string, r result.Result[thumbnail]) {
	defer p.tick()
	p.pictures.Add(r.Status(), r.Timing)
	switch {
	case r.Err == nil:
		p.totals.add(r.Value, r.Timing.Run)
		p.digest += r.Value.digest()
		p.album.add(r.Value.tile())
	case r.Status() == result.Canceled:
		// Not done any more, because we were told to stop: nothing is wrong with the picture.
	default:
		if kind := p.problems.add(name, r.Err); kind != lockedFolder {
			p.album.add(placeholder(name, kind))
		}
	}
}

// digest stands for name and content of a thumbnail.
func (t thumbnail) digest() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.path + "\x00"))
	_, _ = h.Write(t.png)
	return h.Sum64()
}

// named notes the path of each entry. A failed result has no value that could
// tell which picture it was, and a panic knows nothing of pictures; what each
// result has is its Index, the place of its input in the source.
func (p *pass) named(entries iter.Seq[entry]) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		i := 0
		for e := range entries {
			p.names.Store(i, e.path)
			i++
			if !yield(e) {
				return
			}
		}
	}
}

// name returns the path of the entry with that index, and forgets it: only what
// is on its way is held, not the whole tree.
func (p *pass) name(index int) string {
	path, _ := p.names.LoadAndDelete(index)
	name, _ := path.(string)
	return name
}
