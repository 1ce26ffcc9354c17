package main

import (
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// control logs what was done to the pool, and by whom.
func (s *server) control(r *http.Request, action string, args ...any) {
	s.log.Info("control", append([]any{"action", action, "remote", r.RemoteAddr}, args...)...)
}

// A workerView is a worker as clients see it.
type workerView struct {
	ID    int        `json:"id"`
	State string     `json:"state"`
	Job   uint64     `json:"job,omitempty"`
	Name  string     `json:"name,omitempty"` // of the job
	Since *time.Time `json:"since,omitempty"`
	Done  uint64     `json:"done"`
}

func (s *server) workers() []workerView { return s.viewsOf(s.pool.Workers()) }

func (s *server) viewsOf(infos []pool.WorkerInfo) []workerView {
	views := make([]workerView, len(infos))
	for i, info := range infos {
		views[i] = workerView{ID: info.ID, State: info.State.String(), Job: info.Job, Done: info.Done}
		if !info.Since.IsZero() {
			views[i].Since = new(info.Since.UTC())
		}
		if rec := s.book.find(info.Job); rec != nil {
			views[i].Name = rec.task.Name
		}
	}
	return views
}

// A snapshot is the pool at one instant, but for its jobs.
type snapshot struct {
	Stats    pool.Stats   `json:"stats"`
	Workers  []workerView `json:"workers"` // the first of them; Stats has their number, and /workers all
	Draining bool         `json:"draining"`
	Started  time.Time    `json:"started"` // of the server: another one numbers its jobs anew
}

// snapshotWorkers is how many workers a snapshot has: it is sent up to four times a second.
const snapshotWorkers = 200

func (s *server) snapshot() snapshot {
	infos := s.pool.Workers()
	return snapshot{
		Stats: s.pool.Stats(), Workers: s.viewsOf(infos[:min(snapshotWorkers, len(infos))]),
		Draining: s.draining.Load(), Started: s.started,
	}
}

func (s *server) getWorkers(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"workers": s.workers()})
	return nil
}

func (s *server) getStats(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.pool.Stats())
	return nil
}

// haltWorker stops a worker behind the job in hand; with ?now=1 it cancels that job as well.
func (s *server) haltWorker(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "now")
	if err != nil {
		return err
	}
	id, err := readNumber("id", r.PathValue("id"), 1_000_000)
	if err != nil {
		return err
	}
	halt := s.pool.Halt
	if text, ok := query["now"]; ok {
		if text != "1" {
			return badField("now", "want 1, or leave it out")
		}
		halt = s.pool.HaltNow
	}
	if err := halt(int(id)); err != nil {
		return s.steered(err)
	}
	s.control(r, "halt", "worker", id, "now", query["now"] == "1")
	return s.answerSnapshot(w)
}

const maxWorkers = 10_000

// resizePool sets the number of workers to the one of the query.
func (s *server) resizePool(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "workers")
	if err != nil {
		return err
	}
	text, ok := query["workers"]
	if !ok {
		return badField("workers", "is missing in the query")
	}
	n, err := readNumber("workers", text, maxWorkers)
	if err != nil {
		return err
	}
	if err := s.pool.Resize(int(n)); err != nil {
		return s.steered(err)
	}
	s.control(r, "resize", "workers", n)
	return s.answerSnapshot(w)
}

func (s *server) pausePool(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	if s.draining.Load() {
		return newProblem(http.StatusConflict, "the server is stopping")
	}
	s.pool.Pause()
	s.control(r, "pause")
	return s.answerSnapshot(w)
}

func (s *server) resumePool(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	s.pool.Resume()
	s.control(r, "resume")
	return s.answerSnapshot(w)
}

// steered is the answer to an error of the pool.
func (s *server) steered(err error) error {
	switch {
	case errors.Is(err, pool.ErrNoWorker):
		return newProblem(http.StatusNotFound, "no such worker")
	case errors.Is(err, pool.ErrClosed):
		return newProblem(http.StatusConflict, "the server is stopping")
	}
	return err
}

func (s *server) answerSnapshot(w http.ResponseWriter) error {
	writeJSON(w, http.StatusOK, s.snapshot())
	return nil
}

func (s *server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	return nil
}

// getReady tells whether to send work here.
func (s *server) getReady(w http.ResponseWriter, _ *http.Request) error {
	if s.draining.Load() {
		return s.refuse(w)
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

// getVars is /debug/vars. It is not the handler of package expvar, which shows the command line, and
// so the token.
func (s *server) getVars(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	return s.metrics.writeVars(w)
}

const maxProfile = 60 // seconds

// profile is /debug/pprof/NAME. The command line has no page, as it may have the token.
func profile(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "seconds", "debug", "gc")
	if err != nil {
		return err
	}
	for name, text := range query {
		if _, err := readNumber(name, text, maxProfile); err != nil {
			return err
		}
	}
	serve := pprof.Handler(r.PathValue("name")).ServeHTTP
	switch r.PathValue("name") {
	case "profile":
		serve = pprof.Profile
	case "trace":
		serve = pprof.Trace
	case "goroutine", "heap", "allocs", "block", "mutex", "threadcreate":
	default:
		return newProblem(http.StatusNotFound, "no such profile")
	}
	stay(w, maxProfile*time.Second)
	serve(w, r)
	return nil
}

func profileIndex(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string][]string{
		"profiles": {"profile", "trace", "goroutine", "heap", "allocs", "block", "mutex", "threadcreate"},
	})
	return nil
}
