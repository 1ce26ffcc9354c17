package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// isCommand tells a command from a task. There is no task of one character.
func isCommand(line string) bool { return line[0] == ':' || len(line) == 1 }

// commands are what a line with a colon can ask for.
var commands map[string]func(s *session, arg string) error

func init() { // for the two refer to each other
	commands = map[string]func(*session, string) error{
		"halt":    func(s *session, arg string) error { return s.haltNamed(arg, false) },
		"haltnow": func(s *session, arg string) error { return s.haltNamed(arg, true) },
		"resize":  (*session).resize,
		"pause":   bare((*session).pause),
		"resume":  bare((*session).resume),
		"workers": bare((*session).tellWorkers),
		"jobs":    bare((*session).tellJobs),
		"cancel":  (*session).cancelJob,
		"stop":    bare(func(s *session) { s.stop("stopped") }),
		"help":    bare((*session).help),
	}
}

// bare makes a command of what takes no argument.
func bare(f func(*session)) func(*session, string) error {
	return func(s *session, arg string) error {
		if arg != "" {
			return fmt.Errorf("it takes no argument: %q", arg)
		}
		f(s)
		return nil
	}
}

const help = `:halt N|all  :haltnow N|all  :resize N  :pause  :resume  :cancel ID  :workers  :jobs  :stop  :help
short forms, each with Enter: 0 to 9 halt that worker, + and - resize by one, p pause or resume, h halt all, q stop, ? help`

func (s *session) help() {
	for line := range strings.Lines(help) {
		s.tell(strings.TrimSuffix(line, "\n"))
	}
}

// command acts on a line that is one.
func (s *session) command(line string) error {
	if len(line) == 1 {
		full, ok := s.spell(line[0])
		if !ok {
			return fmt.Errorf("no such command: %s; try :help", line)
		}
		line = full
	}
	name, arg, _ := strings.Cut(line[1:], " ")
	act, ok := commands[name]
	if !ok {
		return fmt.Errorf("no such command: %s; try :help", line)
	}
	if err := act(s, strings.TrimSpace(arg)); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

// spell returns the command that a single character stands for.
func (s *session) spell(key byte) (string, bool) {
	stats := s.pool.Stats()
	switch {
	case '0' <= key && key <= '9':
		return ":halt " + string(key), true
	case key == '+':
		return ":resize " + strconv.Itoa(stats.Workers+1), true
	case key == '-':
		return ":resize " + strconv.Itoa(max(stats.Workers-1, 0)), true
	case key == 'p' && stats.Paused:
		return ":resume", true
	case key == 'p':
		return ":pause", true
	case key == 'h':
		return ":halt all", true
	case key == 'q':
		return ":stop", true
	case key == '?':
		return ":help", true
	}
	return "", false
}

func (s *session) haltNamed(arg string, now bool) error {
	if arg != "all" {
		id, err := strconv.Atoi(arg)
		if err != nil {
			return fmt.Errorf("want the number of a worker, or all, not %q", arg)
		}
		return s.halt(id, now)
	}
	for _, w := range s.pool.Workers() {
		// One that has gone meanwhile is what was asked for.
		if err := s.halt(w.ID, now); err != nil && !errors.Is(err, pool.ErrNoWorker) {
			return err
		}
	}
	return nil
}

// maxWorkers is a bound for typing errors.
const maxWorkers = 10_000

func (s *session) resize(arg string) error {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 0 || n > maxWorkers {
		return fmt.Errorf("want a number from 0 to %s, not %q", show.Commas(maxWorkers), arg)
	}
	if err := s.pool.Resize(n); err != nil {
		return err
	}
	s.tell(plural(n, "worker"))
	return nil
}

func (s *session) pause() {
	s.pool.Pause()
	if s.pool.Stats().Paused {
		s.tell("paused")
	} else {
		s.tell("no pause: the jobs that are left are being finished")
	}
}

func (s *session) resume() {
	s.pool.Resume()
	s.tell("resumed")
}

func (s *session) tellWorkers() {
	workers := s.pool.Workers()
	for _, w := range workers {
		s.tell(s.describe(w))
	}
	if len(workers) == 0 {
		s.tell("no workers")
	}
}

// describe tells what a worker does.
func (s *session) describe(w pool.WorkerInfo) string {
	text := fmt.Sprintf("worker %d: %s", w.ID, w.State)
	if w.Job == 0 {
		return text
	}
	return fmt.Sprintf("%s, since %s on job %d: %s", text, age(w.Since), w.Job, s.book.task(w.Job).text)
}

func (s *session) tellJobs() {
	n := 0
	for _, j := range s.pool.Jobs() {
		took := j.Timing.Wait
		switch {
		case j.Status.Terminal():
			continue
		case j.Status == result.Running:
			took = j.Timing.Run
		}
		n++
		s.tell(fmt.Sprintf("job %d: %s for %s: %s", j.ID, j.Status, show.Short(took), s.book.task(j.ID).text))
	}
	if waiting, _ := s.intake.counts(); waiting > 0 {
		s.tell(plural(waiting, "task") + " in front of the queue")
	} else if n == 0 {
		s.tell("no jobs")
	}
}

func (s *session) cancelJob(arg string) error {
	id, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return fmt.Errorf("want the number of a job, not %q", arg)
	}
	job, ok := s.pool.Job(id)
	switch {
	case !ok:
		return errors.New("no such job")
	case job.Status().Terminal():
		return fmt.Errorf("it has %s already", job.Status())
	}
	job.Cancel(errCommand)
	return nil
}
