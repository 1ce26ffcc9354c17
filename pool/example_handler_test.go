package pool_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/millstream-go/millstream/pool"
)

// reports is a web service that takes orders for reports, which take a while to write,
// and serves them later.
type reports struct {
	pool *pool.Pool[string, string]

	mu   sync.Mutex
	jobs map[string]*pool.Job[string]
}

// order accepts an order, or says at once that there are too many.
func (s *reports) order(w http.ResponseWriter, r *http.Request) {
	// The end of the request does not end the job.
	job, err := s.pool.TrySubmit(r.FormValue("subject"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	id := strconv.FormatUint(job.ID(), 10)
	s.mu.Lock()
	s.jobs[id] = job
	s.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, id)
}

// fetch serves a finished report, or its status.
func (s *reports) fetch(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	job := s.jobs[r.FormValue("id")]
	s.mu.Unlock()
	if job == nil {
		http.NotFound(w, r)
		return
	}
	res, ended := job.Result()
	switch {
	case !ended:
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, job.Status().String())
	case res.Err != nil:
		http.Error(w, res.Err.Error(), http.StatusInternalServerError)
	default:
		_, _ = io.WriteString(w, res.Value)
	}
}

// A handler submits a job and returns; a later request asks for its result.
func Example_handler() {
	written := make(chan struct{})
	s := &reports{
		pool: pool.New(func(_ context.Context, subject string) (string, error) {
			<-written
			return "All about " + subject, nil
		}, pool.Workers(2), pool.Queue(10)),
		jobs: map[string]*pool.Job[string]{},
	}
	ask := func(handle http.HandlerFunc, query string) (answer string) {
		w := httptest.NewRecorder()
		handle(w, httptest.NewRequest(http.MethodGet, "/?"+query, http.NoBody))
		return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
	}

	fmt.Println(ask(s.order, "subject=mills"))
	close(written)
	<-s.jobs["1"].Done() // or come back later
	fmt.Println(ask(s.fetch, "id=1"))
	fmt.Println(ask(s.fetch, "id=2"))

	// When the server stops, the reports already ordered are still written.
	fmt.Println(s.pool.Shutdown(context.Background()))
	fmt.Println(ask(s.order, "subject=streams"))
	// Output:
	// 202 1
	// 200 All about mills
	// 404 404 page not found
	// <nil>
	// 503 pool: closed
}
