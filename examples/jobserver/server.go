package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratehttp"
)

// A server is the pool and what HTTP makes of it. It is used by any number of requests at once. Its
// end is drain, which is called once.
type server struct {
	opts    options
	log     *slog.Logger
	started time.Time
	// client tells clients apart, for their rates and their streams. Behind a proxy all have the proxy's address,
	// unless you pass that to ByIP, which then trusts the proxy's X-Forwarded-For.
	client   func(*http.Request) (netip.Prefix, bool)
	pool     *pool.Pool[*record, string]
	book     *book
	events   *hub
	metrics  *metrics
	fullLog  *ratelimit.Limiter // of the log of a full queue
	logEvent func(pool.Event)
	handler  http.Handler
	draining atomic.Bool
	advice   advice
}

func newServer(opts options, log *slog.Logger) *server {
	s := &server{
		opts: opts, log: log, started: time.Now().UTC(), client: ratehttp.ByIP(),
		logEvent: pool.LogTo(log), fullLog: ratelimit.NewLimiter(1, 1),
	}
	s.events = newHub(opts.streams, s.snapshot)
	s.metrics = newMetrics(s)
	s.pool = pool.New(runTask,
		pool.Name("jobserver"),
		pool.Workers(opts.workers),
		pool.Queue(opts.queue),
		pool.Track(opts.keep),
		// No pool.Timeout, which would cost each job a context and a timer: a task ends when its context does, and by
		// itself after its delay, which -max-delay bounds; see task.do. Work of yours that may hang wants one here,
		// such as pool.Timeout(time.Minute), and has to heed its context.
		pool.Retry(pool.RetryPolicy{
			Attempts: opts.attempts, Base: 200 * time.Millisecond, Steady: 0.5,
			// This one alone: say which errors of yours another call may change.
			If: func(err error) bool { return errors.Is(err, errAskedFor) },
		}),
		pool.Observe(s.observe),
	)
	s.book = newBook(s.pool, newKeyring(opts.keys))
	s.handler = s.routes()
	s.events.start()
	return s
}

// ServeHTTP makes the server a handler, for tests and for whoever mounts it elsewhere.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// routes returns all that the server answers, with what stands in front of it.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h handler) {
		s.metrics.addRoute(pattern)
		mux.Handle(pattern, s.answer(h))
	}

	handle("POST /work", s.postWork)
	handle("GET /work", s.listWork)
	handle("GET /work/{id}", s.getWork)
	handle("DELETE /work/{id}", s.admin(s.deleteWork))

	handle("GET /workers", s.getWorkers)
	handle("POST /workers/{id}/halt", s.admin(s.haltWorker))
	handle("POST /pool/resize", s.admin(s.resizePool))
	handle("POST /pool/pause", s.admin(s.pausePool))
	handle("POST /pool/resume", s.admin(s.resumePool))

	handle("GET /stats", s.getStats)
	handle("GET /events", s.getEvents)
	handle("GET /metrics", s.metrics.answer)
	handle("GET /healthz", s.getHealth)
	handle("GET /readyz", s.getReady)
	handle("GET /debug/vars", s.admin(s.getVars))
	handle("GET /debug/pprof", s.admin(profileIndex)) // else ServeMux redirects it
	handle("GET /debug/pprof/{$}", s.admin(profileIndex))
	handle("GET /debug/pprof/{name}", s.admin(profile))
	for path, file := range pageFiles {
		handle("GET "+path, file.serve)
	}
	return s.guard(s.limited(mux))
}

// limited puts the rate of one client in front of h. What watches the server is not told that it
// asks too often.
func (s *server) limited(h http.Handler) http.Handler {
	if s.opts.rate == 0 {
		return h
	}
	clients := ratelimit.NewKeyed[netip.Prefix](ratelimit.Limit(s.opts.rate), max(1, int(2*s.opts.rate)),
		ratelimit.MaxKeys(10_000))
	return ratehttp.Middleware(ratehttp.PerKey("per-client", clients, func(r *http.Request) (netip.Prefix, bool) {
		if slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, r.URL.Path) {
			return netip.Prefix{}, false
		}
		return s.client(r)
	}))(h)
}

// A handler answers a request, or returns why not: a *problem, or an error that is the server's own.
type handler func(http.ResponseWriter, *http.Request) error

// answer makes h an http.Handler.
func (s *server) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		p, ok := errors.AsType[*problem](err)
		if !ok {
			s.log.Error("request failed", "method", r.Method, "route", r.Pattern, "error", err)
			p = newProblem(http.StatusInternalServerError, "")
		}
		p.write(w)
	})
}

// observe is told of each event of the pool, by one goroutine.
func (s *server) observe(e pool.Event) {
	s.metrics.observe(e)
	if e.Kind != pool.QueueFull || s.fullLog.Allow() { // a full queue may be found full all the time
		s.logEvent(e)
	}
	s.events.publish(e, s.book)
}
