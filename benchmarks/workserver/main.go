// Workserver is a queue of jobs behind HTTP as it is often written by hand, in three forms:
//
//   - dispatcher: a channel of jobs, a channel of channels on which idle workers offer themselves, and
//     between the two a dispatcher that starts a goroutine for each job. Four lines tell of each job.
//   - channel: the workers read the channel of jobs themselves, and each request starts a goroutine
//     that sends to it. Three lines tell of each job.
//   - lean: the same without goroutines and lines, as little as can be had. A full queue blocks the
//     handlers.
//
// It is what examples/jobserver is measured against, and no example: the first two have a queue that
// no flag bounds, nobody learns what became of a job, and nothing is finished when it stops.
//
//	go run ./benchmarks/workserver -port 8081 -max_queue_size 1000 -form channel
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	_ "expvar"         // at /debug/vars
	_ "net/http/pprof" //nolint:gosec // at /debug/pprof, on loopback
)

type job struct {
	name  string
	delay time.Duration
}

func work(worker int, j job) {
	fmt.Printf("worker %d: started %s, for %f seconds\n", worker, j.name, j.delay.Seconds())
	time.Sleep(j.delay)
	fmt.Printf("worker %d: finished %s\n", worker, j.name)
}

// A worker offers its own channel, takes one job from it, and offers it again.
type worker struct {
	id   int
	jobs chan job
	idle chan<- chan job
	quit chan struct{} // nobody closes it
}

func (w worker) run() {
	for {
		w.idle <- w.jobs
		select {
		case j := <-w.jobs:
			work(w.id, j)
		case <-w.quit:
			fmt.Printf("worker %d: stopped\n", w.id)
			return
		}
	}
}

// dispatch gives each job of the queue to the next idle worker.
func dispatch(queue <-chan job, idle <-chan chan job) {
	for j := range queue {
		go func() {
			fmt.Printf("waiting for a worker: %s\n", j.name)
			jobs := <-idle
			fmt.Printf("handing over: %s\n", j.name)
			jobs <- j
		}()
	}
}

// A form starts workers and returns what hands a job to them.
type form func(queue chan job, workers int) func(job)

var forms = map[string]form{
	"dispatcher": func(queue chan job, workers int) func(job) {
		idle := make(chan chan job, workers)
		for i := range workers {
			go worker{i + 1, make(chan job), idle, make(chan struct{})}.run()
		}
		go dispatch(queue, idle)
		return func(j job) { queue <- j }
	},
	"channel": func(queue chan job, workers int) func(job) {
		for i := range workers {
			go func() {
				for j := range queue {
					work(i+1, j)
				}
			}()
		}
		return func(j job) {
			go func() {
				fmt.Printf("added: %s, for %v\n", j.name, j.delay)
				queue <- j
			}()
		}
	},
	"lean": func(queue chan job, workers int) func(job) {
		for range workers {
			go func() {
				for j := range queue {
					time.Sleep(j.delay)
				}
			}()
		}
		return func(j job) { queue <- j }
	},
}

func handler(add func(job), shortest time.Duration) http.HandlerFunc {
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
		add(job{name, delay})
		w.WriteHeader(http.StatusCreated)
	}
}

func main() {
	workers := flag.Int("max_workers", 5, "workers")
	queueSize := flag.Int("max_queue_size", 100, "jobs that may wait")
	port := flag.Int("port", 8080, "port, on loopback")
	shortest := flag.Duration("min-delay", time.Second, "shortest delay of a job")
	name := flag.String("form", "dispatcher", "dispatcher, channel or lean")
	flag.Parse()

	start, ok := forms[*name]
	if !ok {
		log.Fatalf("no such form: %s", *name)
	}
	add := start(make(chan job, *queueSize), *workers)
	http.Handle("/work", handler(add, *shortest))
	//nolint:gosec // without timeouts, as it is often written
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), nil))
}
