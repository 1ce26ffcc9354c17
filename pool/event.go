package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/millstream-go/millstream/result"
)

// EventKind says what an [Event] is about. The zero value is JobQueued.
type EventKind uint8

// Of one job, JobQueued comes first and JobFinished or JobDropped last; of one
// worker, WorkerStarted comes first and WorkerStopped last.
const (
	JobQueued     EventKind = iota // the pool has accepted a job
	JobStarted                     // a worker calls the function for the job, for the first time
	JobRetried                     // a call failed and is to be repeated after a pause
	JobFinished                    // the job has ended; see Status
	JobDropped                     // the job was taken from the queue to make room, and never started
	WorkerStarted                  // a worker has started
	WorkerHalted                   // the worker was asked to stop after its current call
	WorkerStopped                  // the worker has stopped
	QueueFull                      // a submit has found the queue full, the first one since there was room
)

var eventNames = [...]string{
	JobQueued:     "job queued",
	JobStarted:    "job started",
	JobRetried:    "job retried",
	JobFinished:   "job finished",
	JobDropped:    "job dropped",
	WorkerStarted: "worker started",
	WorkerHalted:  "worker halted",
	WorkerStopped: "worker stopped",
	QueueFull:     "queue full",
}

// String returns the kind in lower case, such as "job queued", or something like
// "event kind 99" for an unknown kind.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "event kind " + strconv.Itoa(int(k))
}

// MarshalText returns the same text as String. It returns an error for a number that is
// not a kind.
func (k EventKind) MarshalText() ([]byte, error) {
	if int(k) >= len(eventNames) {
		return nil, fmt.Errorf("pool: cannot marshal unknown %v", k)
	}
	return []byte(eventNames[k]), nil
}

// Event is something that happened in a pool, as told to its observer. It is a plain
// value that may be copied and kept, and no longer changes. Fields that do not apply
// to its kind are zero, or -1 for Worker.
type Event struct {
	Kind EventKind
	Time time.Time // when it happened, not when it is told
	Pool string    // name of the pool; "" if it has none

	Job     uint64 // number of the job; 0: none
	Worker  int    // number of the worker; -1: none
	Attempt int    // JobStarted, JobRetried, JobFinished: calls so far, including one that is starting

	Status result.Status // JobFinished, JobDropped: how the job ended
	Err    error         // JobRetried: of the call; JobFinished, JobDropped: of the job; WorkerStopped: of closing its state

	// Wait is the time from being accepted to being started for JobFinished, and the
	// pause before the next call for JobRetried.
	Wait time.Duration
	Run  time.Duration // JobFinished: from being started to its end, including all pauses

	Lost int // events lost right before this one because the observer was too slow
}

// String returns the event on one line, without its time and the fields that are not
// set:
//
//	job retried job=7 worker=2 attempt=1 wait=80ms err="connection refused"
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(e.Kind.String())
	for _, a := range e.attrs() {
		b.WriteString(" " + a.Key + "=" + quoted(a.Value.String()))
	}
	return b.String()
}

// quoted quotes a text that would not read as one word.
func quoted(text string) string {
	split := func(r rune) bool { return r == '=' || r == '"' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if text == "" || strings.ContainsFunc(text, split) {
		return strconv.Quote(text)
	}
	return text
}

// LogValue returns the event as a group of its kind, its time, and the fields that
// are set. err is the error's message; for a [*result.PanicError], stack is its stack.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String()), slog.Time("time", e.Time)}
	return slog.GroupValue(append(attrs, e.logged()...)...)
}

// MarshalJSON returns the event as a JSON object with lower-case names, the error as its
// text and durations in seconds. It leaves out the fields that are not set.
func (e Event) MarshalJSON() ([]byte, error) {
	var status *result.Status
	if e.ended() {
		status = &e.Status
	}
	return json.Marshal(struct {
		Kind    EventKind      `json:"kind"`
		Time    time.Time      `json:"time,omitzero"`
		Pool    string         `json:"pool,omitempty"`
		Job     uint64         `json:"job,omitempty"`
		Worker  *int           `json:"worker,omitempty"`
		Attempt int            `json:"attempt,omitempty"`
		Status  *result.Status `json:"status,omitempty"`
		Err     *string        `json:"err,omitempty"`
		Wait    float64        `json:"wait_seconds,omitempty"`
		Run     float64        `json:"run_seconds,omitempty"`
		Lost    int            `json:"lost,omitempty"`
	}{
		e.Kind, e.Time, e.Pool, e.Job, number(e.Worker), e.Attempt, status, text(e.Err),
		e.Wait.Seconds(), e.Run.Seconds(), e.Lost,
	})
}

// number returns the number of a worker as JSON has it: nil if there is none.
func number(worker int) *int {
	if worker < 0 {
		return nil
	}
	return &worker
}

// text returns the text of an error or a key as JSON has it: nil if there is none.
func text(v any) *string {
	if v == nil {
		return nil
	}
	s := fmt.Sprint(v) // which catches a panic of v's own method
	return &s
}

// attrs returns the fields that are set, except kind and time.
func (e Event) attrs() []slog.Attr {
	var attrs []slog.Attr
	add := func(says bool, a slog.Attr) {
		if says {
			attrs = append(attrs, a)
		}
	}
	add(e.Pool != "", slog.String("pool", e.Pool))
	add(e.Job != 0, slog.Uint64("job", e.Job))
	add(e.Worker >= 0, slog.Int("worker", e.Worker))
	add(e.Attempt > 0, slog.Int("attempt", e.Attempt))
	add(e.ended(), slog.String("status", e.Status.String()))
	add(e.Wait != 0, slog.Duration("wait", e.Wait))
	add(e.Run != 0, slog.Duration("run", e.Run))
	if e.Err != nil {
		// Not the error itself: a TextHandler would format it with %+v.
		attrs = append(attrs, slog.String("err", fmt.Sprint(e.Err)))
	}
	add(e.Lost > 0, slog.Int("lost", e.Lost))
	return attrs
}

// logged returns attrs, and the stack of a panic.
func (e Event) logged() []slog.Attr {
	attrs := e.attrs()
	if caught, ok := errors.AsType[*result.PanicError](e.Err); ok && caught != nil && len(caught.Stack) > 0 {
		attrs = append(attrs, slog.String("stack", string(caught.Stack)))
	}
	return attrs
}

// ended reports whether the event is the end of a job.
func (e Event) ended() bool { return e.Kind == JobFinished || e.Kind == JobDropped }

// LogTo returns an observer that logs each event to l, with the event's own time, its
// kind as the message, and the other fields that are set as attributes, as in
// [Event.LogValue]. A job that panicked is logged as an error; one that failed or was
// dropped, a full queue, a worker that stopped with an error, and a loss of events as
// warnings; a retry, a halt and a job that was canceled at the info level; the rest at
// the debug level. The observer may be used by several pools at once. LogTo panics if l
// is nil.
func LogTo(l *slog.Logger) func(Event) {
	if l == nil {
		panic("pool: LogTo: nil logger")
	}
	return func(e Event) {
		if at := level(&e); l.Enabled(context.Background(), at) {
			e.logTo(l, at)
		}
	}
}

// logTo logs the event. It is a separate function because a record is large: most
// events are not logged, and should not grow the stack of the goroutine that tells
// them.
//
//go:noinline
func (e Event) logTo(l *slog.Logger, level slog.Level) {
	// Built by hand: a Logger would stamp the record with the current time and with
	// this place in the source.
	record := slog.NewRecord(e.Time, level, e.Kind.String(), 0)
	record.AddAttrs(e.logged()...)
	_ = l.Handler().Handle(context.Background(), record) // a Logger drops the error too
}

// level returns how serious an event is. A loss is reported by whatever event comes
// next, and would often go unseen at that event's own level. It takes a pointer because an
// event is large, and a copy per call would grow the stack of the goroutine that delivers it.
func level(e *Event) slog.Level {
	if e.Lost > 0 {
		return max(ownLevel(e), slog.LevelWarn)
	}
	return ownLevel(e)
}

func ownLevel(e *Event) slog.Level {
	switch {
	case e.Kind == JobFinished && e.Status == result.Panicked:
		return slog.LevelError
	case e.Kind == JobFinished && e.Status == result.Failed,
		e.Kind == JobDropped, e.Kind == QueueFull,
		e.Kind == WorkerStopped && e.Err != nil:
		return slog.LevelWarn
	case e.Kind == JobRetried, e.Kind == WorkerHalted,
		e.Kind == JobFinished && e.Status == result.Canceled:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}
