package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// postWork takes a job: 202 once it is in the queue, or 200 if it has ended by the time of the answer: the
// client waited for that, or repeats an earlier request.
func (s *server) postWork(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() && r.Header["Idempotency-Key"] == nil { // with a key it may be a replay
		return s.refuse(w)
	}
	wait, err := readWait(r)
	if err != nil {
		return err
	}
	key, err := readKey(r.Header)
	if err != nil {
		return err
	}
	t, err := readTask(w, r, s.opts.minDelay, s.opts.maxDelay)
	if err != nil {
		return err
	}
	rec, replay, err := s.book.submit(t, key)
	switch {
	case errors.Is(err, pool.ErrFull):
		w.Header().Set("Retry-After", strconv.Itoa(s.retryAfter()))
		return newProblem(http.StatusTooManyRequests, "the queue is full")
	case errors.Is(err, pool.ErrClosed):
		return s.refuse(w)
	case errors.Is(err, errKeyReused):
		return badFieldStatus(http.StatusUnprocessableEntity, "Idempotency-Key", err.Error())
	case err != nil:
		return err
	}
	w.Header().Set("Location", "/work/"+strconv.FormatUint(rec.job.ID(), 10))
	if replay {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	if wait == 0 && !replay { // by far the most
		w.Header()["Content-Type"] = jsonContent
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(rec.appendQueued(make([]byte, 0, 256))) // a client that is gone needs no answer
		return nil
	}
	if wait > 0 {
		stay(w, wait)
		await(r.Context(), rec, wait)
	}
	writeEnd(w, rec)
	return nil
}

// writeEnd answers with a job: 200 if it has ended, and 202 if not.
func writeEnd(w http.ResponseWriter, rec *record) {
	view, status := rec.view(), http.StatusAccepted
	if view.Status.Terminal() {
		status = http.StatusOK
	}
	writeJSON(w, status, view)
}

// refuse says that the server stops.
func (s *server) refuse(w http.ResponseWriter) error {
	w.Header().Set("Retry-After", "5")
	return newProblem(http.StatusServiceUnavailable, "the server is stopping and takes no more jobs")
}

// await waits for the end of a job, up to d or until ctx ends.
func await(ctx context.Context, rec *record, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-rec.job.Done():
	case <-ctx.Done():
	}
}

// stay lets the answer to a request take as long as d. Else the server's WriteTimeout would cut it, and
// its ReadTimeout would end the request's context. Reading keeps a deadline, since package net/http reads
// a body that the handler did not want before it answers. A ResponseWriter that has no deadlines, of a
// test, needs none.
func stay(w http.ResponseWriter, d time.Duration) {
	control := http.NewResponseController(w)
	end := time.Now().Add(d)
	_ = control.SetReadDeadline(end.Add(readTimeout))
	_ = control.SetWriteDeadline(end.Add(writeTimeout))
}

// find returns the job that the path names.
func (s *server) find(r *http.Request) (*record, error) {
	id, err := readNumber("id", r.PathValue("id"), 1<<63)
	if err != nil {
		return nil, err
	}
	rec := s.book.find(id)
	if rec == nil {
		return nil, newProblem(http.StatusNotFound, "no such job, or it ended too long ago")
	}
	return rec, nil
}

func (s *server) getWork(w http.ResponseWriter, r *http.Request) error {
	wait, err := readWait(r)
	if err != nil {
		return err
	}
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	if wait > 0 {
		stay(w, wait)
		await(r.Context(), rec, wait)
	}
	writeJSON(w, http.StatusOK, rec.view())
	return nil
}

// cancelWait is how long a job that was canceled may take to notice, so that the answer has its end. It is far
// below the server's timeouts.
const cancelWait = 100 * time.Millisecond

// deleteWork cancels a job: 200 if it has ended by that, 202 if it runs and is yet to heed it.
func (s *server) deleteWork(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	rec, err := s.find(r)
	if err != nil {
		return err
	}
	if rec.job.Status().Terminal() {
		return newProblem(http.StatusConflict, "the job has ended already")
	}
	rec.job.Cancel(errCanceledByClient)
	s.control(r, "cancel", "job", rec.job.ID())
	await(r.Context(), rec, cancelWait)
	writeEnd(w, rec)
	return nil
}

var errCanceledByClient = errors.New("by request")

const (
	defaultPage = 100
	maxPage     = 1000
)

// A jobList is a page of the jobs, the newest first.
type jobList struct {
	Jobs []jobView `json:"jobs"`
	Next string    `json:"next,omitempty"` // where the next page is
}

// listWork lists the jobs that the pool tracks, those with a status if the query has one.
func (s *server) listWork(w http.ResponseWriter, r *http.Request) error {
	query, err := readQuery(r, "status", "limit", "before")
	if err != nil {
		return err
	}
	var status result.Status
	text, filtered := query["status"]
	if filtered && status.UnmarshalText([]byte(text)) != nil {
		return badField("status", "want queued, running, succeeded, failed, panicked or canceled, not "+quote(text))
	}
	limit, before := uint64(defaultPage), ^uint64(0)
	if text, ok := query["limit"]; ok {
		if limit, err = readNumber("limit", text, maxPage); err != nil {
			return err
		}
		if limit == 0 { // whose next page would be the same
			return badField("limit", "want at least 1")
		}
	}
	if text, ok := query["before"]; ok {
		if before, err = readNumber("before", text, 1<<63); err != nil {
			return err
		}
	}
	list := jobList{Jobs: []jobView{}}
	for _, job := range slices.Backward(s.pool.Jobs()) {
		if job.ID >= before {
			continue
		}
		rec := s.book.find(job.ID)
		if rec == nil { // its POST is not answered yet
			continue
		}
		// The job may have gone on since, so the status that counts is that of the view.
		view := rec.view()
		if filtered && view.Status != status {
			continue
		}
		if uint64(len(list.Jobs)) == limit {
			list.Next = fmt.Sprintf("/work?limit=%d&before=%d", limit, job.ID+1)
			if filtered {
				list.Next += "&status=" + status.String()
			}
			break
		}
		list.Jobs = append(list.Jobs, view)
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// advice is what those are told who found the queue full. It is worked out once a second at most, since
// that takes longer than to turn somebody away.
type advice struct {
	mu      sync.Mutex
	until   time.Time
	seconds int
}

// retryAfter estimates in how many seconds there will be room: when a tenth of the queue has been
// worked off, at the pace of late.
func (s *server) retryAfter() int {
	s.advice.mu.Lock()
	defer s.advice.mu.Unlock()
	if now := time.Now(); now.After(s.advice.until) {
		stats := s.pool.Stats()
		s.advice.until, s.advice.seconds = now.Add(time.Second), maxRetryAfter
		if !stats.Paused && stats.Workers > 0 {
			run := max(stats.Run.P50, s.opts.minDelay).Seconds()
			s.advice.seconds = min(maxRetryAfter, 1+int(run*float64(stats.Capacity)/10/float64(stats.Workers)))
		}
	}
	return s.advice.seconds
}

const maxRetryAfter = 60
