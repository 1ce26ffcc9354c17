package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pool"
)

// A screen is standard error: messages, and on a terminal the status lines below
// them, with a prompt as the last line if somebody types there.
type screen struct {
	w      io.Writer
	prompt string
	live   bool

	mu    sync.Mutex
	lines []string // status lines that stand there now
	drawn bool     // they do, even if there are none
	ended bool
}

func newScreen(c console) *screen {
	s := &screen{w: c.stderr, live: c.live}
	if c.typed && c.live {
		s.prompt = "> "
	}
	return s
}

// What a terminal is told.
const (
	saveCursor    = "\x1b7"
	restoreCursor = "\x1b8"
	clearLine     = "\x1b[K"
	clearBelow    = "\x1b[J"
	wrapOff       = "\x1b[?7l" // a line that is too long is cut, and stays one line
	wrapOn        = "\x1b[?7h"
)

// redraws is how often the status lines are drawn anew.
const redraws = 250 * time.Millisecond

// keep draws status lines until ctx ends.
func (s *screen) keep(ctx context.Context, status func() []string) {
	ticker := time.NewTicker(redraws)
	defer ticker.Stop()
	for {
		s.draw(status())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// draw draws the status lines. As long as they are as many as before, what somebody
// has typed so far stays in sight.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	var out bytes.Buffer
	if s.drawn && len(lines) == len(s.lines) {
		out.WriteString(saveCursor)
		s.home(&out)
		s.lines = lines
		s.block(&out)
		out.WriteString(restoreCursor)
	} else {
		s.wipe(&out)
		s.lines, s.drawn = lines, true
		s.block(&out)
		out.WriteString(s.prompt)
	}
	_, _ = out.WriteTo(s.w)
}

// say writes a message above the status lines.
func (s *screen) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	var out bytes.Buffer
	again := s.drawn
	s.wipe(&out)
	complain(&out, text)
	if s.drawn = again; again {
		s.block(&out)
		out.WriteString(s.prompt)
	}
	_, _ = out.WriteTo(s.w)
}

// entered is told that somebody has typed a line, at which the terminal has gone on
// to the next one.
func (s *screen) entered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !s.drawn || s.prompt == "" {
		return
	}
	var out bytes.Buffer
	out.WriteString("\x1b[A")
	s.wipe(&out)
	s.drawn = true
	s.block(&out)
	out.WriteString(s.prompt)
	_, _ = out.WriteTo(s.w)
}

// end takes the status lines away, and says nothing any more.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out bytes.Buffer
	s.wipe(&out)
	s.ended = true
	_, _ = out.WriteTo(s.w)
}

// home goes to the first of the status lines.
func (s *screen) home(out *bytes.Buffer) {
	out.WriteString("\r")
	if n := len(s.lines); n > 0 {
		fmt.Fprintf(out, "\x1b[%dA", n)
	}
}

// wipe takes the status lines away, if they are there.
func (s *screen) wipe(out *bytes.Buffer) {
	if s.drawn {
		s.home(out)
		out.WriteString(clearBelow)
		s.drawn = false
	}
}

func (s *screen) block(out *bytes.Buffer) {
	out.WriteString(wrapOff)
	for _, line := range s.lines {
		out.WriteString(show.Printable(line) + clearLine + "\n")
	}
	out.WriteString(wrapOn)
}

// maxLines is how many workers have a status line: the lines must fit on a terminal.
const maxLines = 12

// status returns the status lines.
func (s *session) status() []string {
	var lines []string
	workers := s.pool.Workers()
	for i, w := range workers {
		if i == maxLines {
			lines = append(lines, fmt.Sprintf("... %d more workers", len(workers)-maxLines))
			break
		}
		lines = append(lines, s.describe(w))
	}
	return append(lines, s.summary(s.pool.Stats()))
}

// summary returns the last status line.
func (s *session) summary(stats pool.Stats) string {
	parts := []string{fmt.Sprintf("queued %d of %d", stats.Queued, stats.Capacity)}
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, what+" "+show.Commas(n))
		}
	}
	waiting, _ := s.intake.counts()
	add(waiting, "in front of the queue")
	parts = append(parts, fmt.Sprintf("running %d", stats.Running), fmt.Sprintf("succeeded %s", show.Commas(int(stats.Succeeded))))
	add(int(stats.Failed+stats.Panicked), "failed")
	add(int(stats.Canceled), "canceled")
	add(int(stats.Dropped), "dropped")
	switch {
	case s.open.Err() != nil:
		parts = append(parts, "finishing")
	case stats.Paused:
		parts = append(parts, "PAUSED")
	case stats.Workers == 0:
		parts = append(parts, "NO WORKERS")
	}
	return age(s.start) + "  " + strings.Join(parts, ", ")
}
