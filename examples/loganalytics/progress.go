package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
)

// often is how often the progress is drawn again.
const often = 200 * time.Millisecond

// A progress is a line that says how far the work is. A nil one says nothing.
type progress struct {
	out  io.Writer
	last int // runes that the line has
}

func startProgress(c console, o options) *progress {
	if !c.terminal || o.json {
		return nil
	}
	return &progress{out: c.stderr}
}

// say replaces the line. One goroutine at a time calls it.
func (p *progress) say(text string) {
	if p == nil {
		return
	}
	n := utf8.RuneCountInString(text)
	_, _ = io.WriteString(p.out, "\r"+text+strings.Repeat(" ", max(0, p.last-n)))
	p.last = n
}

// drawing are the options of a run that draws a log.
func (p *progress) drawing(o options) []pipeline.RunOption {
	if p == nil {
		return nil
	}
	return []pipeline.RunOption{pipeline.Progress(func(s pipeline.Snapshot) {
		written := s.Stages[len(s.Stages)-1].In
		p.say(fmt.Sprintf("drawing %s lines: %d%%", show.Commas(o.lines), 100*written/minutes))
	}, often)}
}

// reading are the options of a run that reads a log.
func (p *progress) reading(from *input) []pipeline.RunOption {
	if p == nil {
		return nil
	}
	return []pipeline.RunOption{pipeline.Progress(func(s pipeline.Snapshot) {
		lines := s.Stages[0].Out
		text := fmt.Sprintf("%s lines, %s/s", show.Commas(int(lines)), show.Commas(int(float64(lines)/max(s.Elapsed.Seconds(), 1e-3))))
		if from.size > 0 {
			text += fmt.Sprintf(", %d%%", 100*from.read.Load()/from.size)
		}
		p.say(text)
	}, often)}
}

// end wipes the line away.
func (p *progress) end() {
	if p != nil {
		p.say("")
		_, _ = io.WriteString(p.out, "\r")
	}
}
