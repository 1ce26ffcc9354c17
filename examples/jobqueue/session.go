package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pool"
)

var (
	// What jobs that are cut off have as their cause.
	errInterrupted = errors.New("interrupted")
	errDrain       = errors.New("not done within the time of -drain")
	errCommand     = errors.New("by command")

	errLastWorker = errors.New("the last worker stays: no command can come that would make another one")
)

// A session is one run of the queue.
type session struct {
	options
	console
	screen *screen
	pool   *pool.Pool[task, string]
	book   book
	intake *intake
	start  time.Time

	open   context.Context // ends when no more tasks are taken
	close  context.CancelFunc
	cancel context.CancelCauseFunc // cancels all jobs that are left

	stopOnce    sync.Once
	over        atomic.Bool // the table is being printed
	interrupted atomic.Bool
	badLines    atomic.Int64
	refused     atomic.Int64 // tasks that were not taken

	// steering guards the number of workers against being halted to 0 by a signal
	// while deaf: when no command can come that would make new ones.
	steering sync.Mutex
	deaf     bool
}

func newSession(o options, c console, do func(context.Context, task) (string, error)) *session {
	s := &session{options: o, console: c, start: time.Now(), screen: newScreen(c)}
	s.intake = &intake{submit: s.submit, room: s.room}
	watch := observer{s: s, halted: map[int]bool{}}
	s.pool = pool.New(do, append(o.pool(), pool.Track(maxJobs), pool.Observe(watch.observe))...)
	return s
}

// maxJobs is how many jobs the table can have.
const maxJobs = 1 << 24

// run works off all tasks, prints the table, and returns the exit status. Only the
// goroutine that reads standard input may be left: nothing can end a read.
func (s *session) run(ctx context.Context) int {
	ctx, s.cancel = context.WithCancelCause(ctx)
	defer s.cancel(nil)
	s.open, s.close = context.WithCancel(ctx)
	defer s.close()

	helpers, stopHelpers := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { s.heed(helpers) })
	if s.live {
		wait.Go(func() { s.screen.keep(helpers, s.status) })
	}

	s.awaitTasks()
	s.close()
	s.intake.close()
	err := s.pool.Shutdown(ctx)
	if _, stuck := errors.AsType[*pool.StuckError](err); !stuck {
		<-s.intake.fed() // it may run a job itself
	}
	s.over.Store(true)
	stopHelpers()
	wait.Wait()
	s.screen.end()
	return s.publish(err)
}

// awaitTasks returns when all tasks have been handed to the pool, or no more are to
// be taken.
func (s *session) awaitTasks() {
	listed, read := make(chan struct{}), make(chan struct{})
	go func() { // ends with its input
		defer close(read)
		if s.inline {
			for i, line := range splitTasks(s.jobs) {
				s.line(fmt.Sprintf("task %d", i+1), line, nil)
			}
		}
		close(listed)
		if !s.inline || s.typed {
			s.readInput()
		}
	}()

	if s.inline && s.typed {
		// Whoever sits there should not have to end the input, too.
		idle := make(chan struct{})
		go func() { // ends with s.open
			defer close(idle)
			<-listed
			s.awaitJobs()
		}()
		select {
		case <-read:
		case <-idle:
			return
		}
	}
	if s.wait(read) {
		s.release()
		s.wait(s.intake.fed())
	}
}

// awaitJobs waits until every task that was taken has ended, those included that are
// taken meanwhile.
func (s *session) awaitJobs() {
	for busy := true; busy; {
		busy = false
		if !s.wait(s.intake.fed()) {
			return
		}
		for _, info := range s.pool.Jobs() {
			if info.Status.Terminal() {
				continue
			}
			busy = true
			if job, ok := s.pool.Job(info.ID); ok && !s.wait(job.Done()) {
				return
			}
		}
	}
}

// wait waits for done; false if no more tasks are taken.
func (s *session) wait(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-s.open.Done():
		return false
	}
}

// release lets all that was taken come to its end though no command can come any more.
func (s *session) release() {
	s.steering.Lock()
	defer s.steering.Unlock()
	s.deaf = true
	stats := s.pool.Stats()
	if stats.Paused {
		s.tell("no more commands can come: resumed")
		s.pool.Resume()
	}
	if stats.Workers == 0 {
		s.tell("no more commands can come: one worker is back")
		_ = s.pool.Resize(1) // fails only if the pool has ended
	}
}

// room tells whether a task would be taken without waiting for room.
func (s *session) room() bool {
	if s.full == pool.Reject || s.full == pool.DropOldest {
		return true
	}
	stats := s.pool.Stats()
	return stats.Queued < stats.Capacity
}

// submit hands a task to the pool. One goroutine at a time calls it.
func (s *session) submit(t task) {
	var opts []pool.JobOption
	if s.byFile && t.file != "" {
		opts = append(opts, pool.Key(t.key()))
	}
	s.book.submitting(t)
	job, err := s.pool.Submit(s.open, t, opts...)
	switch {
	case err == nil:
		s.book.accepted(job.ID(), t)
	case errors.Is(err, pool.ErrClosed), s.open.Err() != nil:
		s.refused.Add(1)
	default:
		s.refused.Add(1)
		s.tell(fmt.Sprintf("%s: not taken: %v: %s", t.where, err, t.text))
	}
}

// heed acts on signals.
func (s *session) heed(ctx context.Context) {
	for {
		select {
		case sig := <-s.signals:
			if slices.Contains(haltSignals, sig) {
				s.haltLast()
			} else {
				s.interrupt()
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) interrupt() {
	if s.interrupted.Swap(true) {
		s.cancel(errInterrupted)
		return
	}
	s.stop("interrupted; once more cancels the jobs that are left")
}

// stop takes no more tasks, and gives those that were taken time to end.
func (s *session) stop(why string) {
	s.stopOnce.Do(func() {
		s.close()
		stats := s.pool.Stats()
		s.tell(fmt.Sprintf("%s: %s to end within %s", why, plural(stats.Queued+stats.Running, "job"), s.drain))
		time.AfterFunc(s.drain, func() { s.cancel(errDrain) }) // changes nothing if all have ended
	})
}

// haltLast halts the worker with the highest number.
func (s *session) haltLast() {
	workers := s.pool.Workers()
	for _, w := range slices.Backward(workers) {
		if w.State != pool.WorkerHalting {
			if err := s.halt(w.ID, false); err != nil {
				s.tell(err.Error())
			}
			return
		}
	}
	s.tell("there is no worker to halt")
}

// halt halts a worker, and with now also cancels the job in hand.
func (s *session) halt(id int, now bool) error {
	s.steering.Lock()
	defer s.steering.Unlock()
	if s.deaf && s.pool.Stats().Workers <= 1 {
		return errLastWorker
	}
	halt := s.pool.Halt
	if now {
		halt = s.pool.HaltNow
	}
	if err := halt(id); err != nil {
		return err
	}
	s.tell(fmt.Sprintf("worker %d: halted", id))
	return nil
}

// tell says something on standard error.
func (s *session) tell(text string) { s.screen.say(text) }

// A book knows the task of each job: the pool tells of jobs by number.
type book struct {
	mu    sync.Mutex
	tasks map[uint64]task
	next  task // is being submitted: its number is not known yet
}

func (b *book) submitting(t task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = t
}

func (b *book) accepted(id uint64, t task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tasks == nil {
		b.tasks = map[uint64]task{}
	}
	b.tasks[id] = t
}

// task returns what job id does. A job may be seen, and even have ended, before who
// submitted it knows its number; since one at a time is submitted, it is that one.
func (b *book) task(id uint64) task {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t, ok := b.tasks[id]; ok {
		return t
	}
	return b.next
}
