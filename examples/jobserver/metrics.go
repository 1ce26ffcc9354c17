package main

import (
	"expvar"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// metrics are what /metrics and /debug/vars tell. They belong to one server and not to the process, so
// that a test can have many.
type metrics struct {
	vars     expvar.Map
	page     http.Handler
	routes   map[string]*routeMetrics // by pattern; complete before the first request
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	wait     prometheus.Histogram
	run      *prometheus.HistogramVec
	lost     prometheus.Counter
	panics   prometheus.Counter
}

// buckets fit jobs that take seconds, and requests that take less.
var buckets = []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(s *server) *metrics {
	m := &metrics{
		routes: make(map[string]*routeMetrics),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jobserver_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jobserver_http_request_seconds", Help: "Time to answer, by route.", Buckets: buckets,
		}, []string{"route"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "jobserver_job_wait_seconds", Help: "Time of a job from being accepted to being started.", Buckets: buckets,
		}),
		run: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jobserver_job_run_seconds", Help: "Time of a job from being started to its end, by outcome.", Buckets: buckets,
		}, []string{"outcome"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "jobserver_events_lost_total", Help: "Events that the histograms of jobs have missed.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "jobserver_http_panics_total", Help: "Requests whose handler has panicked.",
		}),
	}
	m.addRoute(noRoute)
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.requests, m.took, m.wait, m.run, m.lost, m.panics, &poolCollector{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.page = promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})

	m.vars.Init()
	m.vars.Set("pool", expvar.Func(func() any { return s.pool.Stats() }))
	m.vars.Set("workers", expvar.Func(func() any { return s.workers() }))
	m.vars.Set("records", expvar.Func(func() any { return s.book.size() }))
	m.vars.Set("streams", expvar.Func(func() any { return s.events.size() }))
	m.vars.Set("goroutines", expvar.Func(func() any { return runtime.NumGoroutine() }))
	m.vars.Set("memstats", expvar.Get("memstats"))
	return m
}

// answer is /metrics.
func (m *metrics) answer(w http.ResponseWriter, r *http.Request) error {
	m.page.ServeHTTP(w, r)
	return nil
}

// writeVars writes /debug/vars.
func (m *metrics) writeVars(w io.Writer) error {
	_, err := io.WriteString(w, m.vars.String()+"\n")
	return err
}

// noRoute is the route of requests that reach no handler.
const noRoute = "none"

// routeMetrics are the metrics of one route. To find them by their labels anew for each request would take
// longer than to count it.
type routeMetrics struct {
	took     prometheus.Observer
	statuses sync.Map // prometheus.Counter, by status
}

// addRoute makes the metrics of a route. The route is the pattern, of which there are few, and not the path,
// which is the client's.
func (m *metrics) addRoute(pattern string) {
	m.routes[pattern] = &routeMetrics{took: m.took.WithLabelValues(pattern)}
}

// request counts a request that was answered.
func (m *metrics) request(pattern string, status int, took time.Duration) {
	route := m.routes[pattern]
	if route == nil { // no handler was asked
		pattern, route = noRoute, m.routes[noRoute]
	}
	counter, ok := route.statuses.Load(status)
	if !ok {
		counter, _ = route.statuses.LoadOrStore(status, m.requests.WithLabelValues(pattern, strconv.Itoa(status)))
	}
	counter.(prometheus.Counter).Inc() //nolint:forcetypeassert // nothing else is stored
	route.took.Observe(took.Seconds())
}

// observe measures the jobs that have ended. Counts of jobs do not come from here, since events can be
// lost, but from the pool.
func (m *metrics) observe(e pool.Event) {
	m.lost.Add(float64(e.Lost))
	if e.Kind != pool.JobFinished {
		return
	}
	if e.Attempt > 0 { // else it was canceled in the queue
		m.wait.Observe(e.Wait.Seconds())
	}
	m.run.WithLabelValues(e.Status.String()).Observe(e.Run.Seconds())
}

// A poolCollector reads one [pool.Stats] for each scrape, so that its numbers add up.
type poolCollector struct{ s *server }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("jobserver_"+name, help, labels, nil)
}

var (
	descAccepted = desc("jobs_accepted_total", "Jobs that were taken.")
	descEnded    = desc("jobs_ended_total", "Jobs that have ended, by outcome.", "outcome")
	descRetried  = desc("calls_retried_total", "Calls that were made again.")
	descQueued   = desc("jobs_queued", "Jobs that wait.")
	descRunning  = desc("jobs_running", "Jobs that were started and have not ended.")
	descCapacity = desc("queue_capacity", "Jobs that may wait.")
	descWorkers  = desc("workers", "Workers, by what they do.", "state")
	descPaused   = desc("paused", "1 while the pool is paused.")
	descRecords  = desc("records", "Jobs that are remembered.")
	descStreams  = desc("event_streams", "Clients of /events.")
)

// Describe implements [prometheus.Collector].
func (c *poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAccepted, descEnded, descRetried, descQueued, descRunning,
		descCapacity, descWorkers, descPaused, descRecords, descStreams} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *poolCollector) Collect(out chan<- prometheus.Metric) {
	s := c.s.pool.Stats()
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	count(descAccepted, s.Accepted)
	count(descEnded, s.Succeeded, result.Succeeded.String())
	count(descEnded, s.Failed, result.Failed.String())
	count(descEnded, s.Panicked, result.Panicked.String())
	count(descEnded, s.Canceled, result.Canceled.String())
	count(descRetried, s.Retried)
	gauge(descQueued, s.Queued)
	gauge(descRunning, s.Running)
	gauge(descCapacity, s.Capacity)
	gauge(descWorkers, s.Busy, "busy")
	gauge(descWorkers, s.Idle, "idle")
	paused := 0
	if s.Paused {
		paused = 1
	}
	gauge(descPaused, paused)
	gauge(descRecords, c.s.book.size())
	gauge(descStreams, c.s.events.size())
}
