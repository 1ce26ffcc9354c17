package main

import (
	"fmt"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// An observer tells of what happens in the pool: a line for each event, or, where
// status lines are drawn, for those only that need attention.
type observer struct {
	s      *session
	halted map[int]bool // workers that will stop, though not just because of the end
}

func (o observer) observe(e pool.Event) {
	if e.Lost > 0 {
		o.s.tell(fmt.Sprintf("too fast to tell: %s", plural(e.Lost, "event")))
	}
	if text, urgent := o.text(e); text != "" && (urgent || !o.s.live) {
		o.s.tell(text)
	}
}

// text returns what to say of an event.
func (o observer) text(e pool.Event) (text string, urgent bool) {
	job := fmt.Sprintf("job %d: ", e.Job)
	if e.Job > 0 {
		job += o.s.book.task(e.Job).text + ": "
	}
	switch e.Kind {
	case pool.JobStarted:
		delete(o.halted, e.Worker) // it was kept by a Resize; there is no event of that
		return fmt.Sprintf("%sstarted on worker %d", job, e.Worker), false
	case pool.JobRetried:
		return fmt.Sprintf("%scall %d failed, again in %s: %v", job, e.Attempt, show.Short(e.Wait), e.Err), true
	case pool.JobFinished:
		switch {
		case e.Status == result.Succeeded:
			return fmt.Sprintf("%ssucceeded in %s", job, show.Short(e.Run)), false
		case e.Attempt == 0:
			return fmt.Sprintf("%s%v", job, e.Err), true
		default:
			return fmt.Sprintf("%s%s after %s: %v", job, e.Status, show.Short(e.Run), e.Err), true
		}
	case pool.JobDropped:
		return job + "dropped to make room", true
	case pool.WorkerHalted:
		o.halted[e.Worker] = true
	case pool.WorkerStopped:
		if o.halted[e.Worker] {
			delete(o.halted, e.Worker)
			return fmt.Sprintf("worker %d: stopped", e.Worker), true
		}
	case pool.QueueFull:
		if o.s.full == pool.Block || o.s.full == pool.CallerRuns {
			return "the queue is full", false
		}
	default:
	}
	return "", false
}
