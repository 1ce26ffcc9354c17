package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/millstream-go/millstream/examples/internal/show"
)

// An intake hands tasks to the pool in their order, and does not hold up who reads
// them: what finds no room waits here, so that a command behind it is heard. That may
// take memory for each line, as does the table at the end.
type intake struct {
	submit func(task)  // may wait
	room   func() bool // false: submit would wait

	mu      sync.Mutex
	backlog []task
	feeding chan struct{} // closed when the backlog is worked off; nil if there is none
	closed  bool
	refused int // tasks that came, or were here, when it was closed
}

// put takes a task. One goroutine at a time calls it.
func (q *intake) put(t task) {
	q.mu.Lock()
	switch {
	case q.closed:
		q.refused++
	case q.feeding != nil:
		q.backlog = append(q.backlog, t)
	case q.room():
		q.mu.Unlock()
		q.submit(t)
		return
	default:
		q.backlog = append(q.backlog, t)
		q.feeding = make(chan struct{})
		go q.feed() // ends with the backlog, or when it is closed
	}
	q.mu.Unlock()
}

func (q *intake) feed() {
	for {
		q.mu.Lock()
		if q.closed || len(q.backlog) == 0 {
			q.refused += len(q.backlog)
			q.backlog = nil
			close(q.feeding)
			q.feeding = nil
			q.mu.Unlock()
			return
		}
		t := q.backlog[0]
		q.backlog = q.backlog[1:]
		q.mu.Unlock()
		q.submit(t)
	}
}

// close takes no more tasks.
func (q *intake) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// nothing is what there is to wait for if there is nothing.
var nothing = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// fed is closed when no task waits here.
func (q *intake) fed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.feeding == nil {
		return nothing
	}
	return q.feeding
}

// counts tells how many tasks wait here, and how many were turned away.
func (q *intake) counts() (waiting, refused int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.backlog), q.refused
}

// readInput reads tasks and commands from standard input.
func (s *session) readInput() {
	n := 0
	err := readLines(s.stdin, func(line string, err error) bool {
		n++
		s.screen.entered()
		if s.over.Load() || s.open.Err() != nil && !s.typed {
			return false
		}
		s.line(fmt.Sprintf("line %d", n), line, err)
		return true
	})
	if err != nil {
		s.bad("standard input", err)
	}
}

// line acts on a line, which err says could not be read.
func (s *session) line(where, text string, err error) {
	text = strings.TrimSpace(text)
	switch {
	case err != nil:
		s.bad(where, err)
	case text == "" || strings.HasPrefix(text, "#"):
	case isCommand(text):
		if err := s.command(text); err != nil {
			s.bad(where, err)
		}
	default:
		t, err := parseTask(text)
		if err != nil {
			s.bad(where, err)
			return
		}
		t.where = where
		s.intake.put(t)
	}
}

// bad tells of a line that could not be acted on.
func (s *session) bad(where string, err error) {
	s.badLines.Add(1)
	s.tell(where + ": " + err.Error())
}

// key is what jobs on the same file have in common.
func (t task) key() string {
	if abs, err := filepath.Abs(t.file); err == nil {
		return abs
	}
	return filepath.Clean(t.file)
}

// maxLine bounds the length of a line.
const maxLine = 64 << 10

var errLongLine = fmt.Errorf("longer than %d KiB", maxLine>>10)

// readLines calls each with the lines of r, which may be errLongLine instead, until
// each returns false. It returns what stopped the reading, if that was not the end.
func readLines(r io.Reader, each func(line string, err error) bool) error {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		text, more, err := in.ReadLine()
		line, long := string(text), more
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
		switch {
		case long && !each("", errLongLine):
			return nil
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return show.Reason(err)
		case !long && !each(line, nil):
			return nil
		}
	}
}
