// Workserver is a queue of jobs behind HTTP as it is often written by hand: a channel of jobs, a
// channel of channels on which idle workers offer themselves, and a dispatcher between the two. It is
// what examples/jobserver is measured against, and no example: a full queue blocks its handlers, nobody
// learns what became of a job, and nothing is finished when it stops.
//
//	go run ./benchmarks/workserver -port 8081 -max_queue_size 1000
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	_ "expvar"         // at /debug/vars
	_ "net/http/pprof" //nolint:gosec // at /debug/pprof, on loopback
)

type job struct {
	name  string
	delay time.Duration
}

// A worker offers its own channel, takes one job from it, and offers it again.
type worker struct {
	id    int
	jobs  chan job
	idle  chan<- chan job
	quiet bool
}

func (w worker) run() {
	for {
		w.idle <- w.jobs
		j := <-w.jobs
		if !w.quiet {
			fmt.Printf("worker %d: started %s, for %v\n", w.id, j.name, j.delay)
		}
		time.Sleep(j.delay)
		if !w.quiet {
			fmt.Printf("worker %d: finished %s\n", w.id, j.name)
		}
	}
}

// dispatch gives each job of the queue to the next idle worker.
func dispatch(queue <-chan job, idle <-chan chan job) {
	for j := range queue {
		(<-idle) <- j
	}
}

func handler(queue chan<- job, shortest time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		delay, err := time.ParseDuration(r.FormValue("delay"))
		if err != nil {
			http.Error(w, "bad delay: "+err.Error(), http.StatusBadRequest)
			return
		}
		if delay < shortest || delay > 10*time.Second {
			http.Error(w, "the delay must be 1s to 10s", http.StatusBadRequest)
			return
		}
		name := r.FormValue("name")
		if name == "" {
			http.Error(w, "a name is needed", http.StatusBadRequest)
			return
		}
		queue <- job{name, delay}
		w.WriteHeader(http.StatusCreated)
	}
}

func main() {
	workers := flag.Int("max_workers", 5, "workers")
	queueSize := flag.Int("max_queue_size", 100, "jobs that may wait")
	port := flag.Int("port", 8080, "port, on loopback")
	shortest := flag.Duration("min-delay", time.Second, "shortest delay of a job")
	quiet := flag.Bool("quiet", false, "no line for each job")
	flag.Parse()

	queue := make(chan job, *queueSize)
	idle := make(chan chan job, *workers)
	for i := range *workers {
		go worker{i + 1, make(chan job), idle, *quiet}.run()
	}
	go dispatch(queue, idle)
	http.Handle("/work", handler(queue, *shortest))
	log.SetOutput(os.Stderr)
	//nolint:gosec // without timeouts, as it is often written
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), nil))
}
