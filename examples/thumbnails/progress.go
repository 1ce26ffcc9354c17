package main

import (
	"context"
	"io"
	"sync"

	"github.com/cheggaaa/pb/v3"
)

// A progress draws a bar while the work goes on. A nil one draws nothing.
type progress struct {
	bar  *pb.ProgressBar
	stop context.CancelFunc
	wait sync.WaitGroup
}

const barTemplate = `{{string . "what"}} {{counters . "%s of %s pictures" "%s pictures"}} {{bar . "[" "=" ">" " " "]"}} {{percent . "%.0f%%" " "}} {{rtime . "%s left" "%s" " "}}`

// startProgress begins to draw on w. Who wants a bar needs to know its end, which
// the pipeline learns last of all, since it walks the tree only as fast as it
// works. So the pictures are counted beside it; until then the bar shows a number
// only. That costs a walk, and a walk costs next to nothing beside the decoding.
func startProgress(ctx context.Context, w io.Writer, t tree) *progress {
	ctx, stop := context.WithCancel(ctx)
	p := &progress{bar: pb.New(0), stop: stop}
	p.bar.Set(pb.Terminal, true).Set(pb.ReturnSymbol, "\r").Set(pb.CleanOnFinish, true)
	p.bar.SetTemplateString(barTemplate).SetWriter(w)
	p.begin("shrinking")
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

// begin starts over for another pass.
func (p *progress) begin(what string) {
	if p != nil {
		p.bar.Set("what", what).SetCurrent(0)
	}
}

// tick moves the bar on by a picture.
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
