package main

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/cheggaaa/pb/v3"

	"github.com/millstream-go/millstream/pipeline"
)

// A progress draws a bar while the work goes on. A nil one draws nothing.
type progress struct {
	bar  *pb.ProgressBar
	stop context.CancelFunc
	wait sync.WaitGroup
}

const barTemplate = `{{string . "what"}} {{counters . "%s of %s" "%s"}} {{string . "unit"}} {{bar . "[" "=" ">" " " "]"}} {{percent . "%.0f%%" " "}} {{rtime . "%s left" "%s" " "}}`

// tellEvery is how often the bar learns how far the pipeline is: as often as it is drawn.
const tellEvery = 200 * time.Millisecond

// startProgress begins to draw on w. Who wants a bar needs to know its end, which
// the pipeline learns last of all, since it walks the tree only as fast as it
// works. So the files are counted beside it; until then the bar shows a number
// only. That costs a walk, and a walk costs next to nothing beside the parsing.
func startProgress(ctx context.Context, w io.Writer, t tree) *progress {
	ctx, stop := context.WithCancel(ctx)
	p := &progress{bar: pb.New(0), stop: stop}
	p.bar.Set(pb.Terminal, true).Set(pb.ReturnSymbol, "\r").Set(pb.CleanOnFinish, true)
	p.bar.SetTemplateString(barTemplate).SetWriter(w)
	p.bar.Set("what", "measuring").Set("unit", "files")
	p.bar.Start()

	p.wait.Go(func() {
		n := int64(0)
		for range t.walk(ctx) {
			n++
		}
		if ctx.Err() == nil {
			p.bar.SetTotal(n)
		}
	})
	return p
}

// options are what the run of a pipeline needs for the bar to move.
func (p *progress) options() []pipeline.RunOption {
	if p == nil {
		return nil
	}
	return []pipeline.RunOption{pipeline.Progress(p.show, tellEvery)}
}

// show moves the bar to where the pipeline is: the files at its end, and those that
// were left out on the way.
func (p *progress) show(s pipeline.Snapshot) {
	through := s.Stages[len(s.Stages)-1].In
	for _, stage := range s.Stages {
		through += stage.Dead
	}
	p.bar.SetCurrent(int64(through))
}

// begin starts over with something else to count.
func (p *progress) begin(what, unit string, total int) {
	if p != nil {
		p.stop()
		p.wait.Wait()
		p.bar.Set("what", what).Set("unit", unit).SetCurrent(0).SetTotal(int64(total))
	}
}

// tick moves the bar on by one.
func (p *progress) tick() {
	if p != nil {
		p.bar.Increment()
	}
}

// end wipes the bar away. It returns when nothing draws any more.
func (p *progress) end() {
	if p != nil {
		p.stop()
		p.wait.Wait()
		p.bar.Finish()
	}
}
