// Load sends jobs to a server as fast as it takes them and keeps the ledger: what was sent is what was
// taken and what was refused, and no job is taken twice.
//
//	go run ./examples/jobserver/load -url http://127.0.0.1:8080/work -n 200000
//
// With -serve it starts the server itself, and with -term sends it SIGTERM in the middle: then the
// server's own ledger has to have one end for each job that was taken.
//
//	go build -o jobserver ./examples/jobserver
//	go run ./examples/jobserver/load -serve ./jobserver -term 3s
//
// With -against it compares two servers in turn, by the medians of -rounds.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type options struct {
	url         string
	against     string
	rounds      int
	serve       string
	connections int
	requests    int
	atMost      time.Duration
	term        time.Duration
	body        string
}

func main() {
	var o options
	flag.StringVar(&o.url, "url", "http://127.0.0.1:8080/work", "where to post")
	flag.StringVar(&o.against, "against", "", "where to post in turn with -url, to compare")
	flag.IntVar(&o.rounds, "rounds", 10, "rounds of a comparison, each of -n requests to both")
	flag.StringVar(&o.serve, "serve", "", "the jobserver to start; -url is then its address")
	flag.IntVar(&o.connections, "c", 64, "connections")
	flag.IntVar(&o.requests, "n", 200_000, "requests, at most")
	flag.DurationVar(&o.atMost, "for", 30*time.Second, "time, at most")
	flag.DurationVar(&o.term, "term", 0, "when to send SIGTERM to the server that was started; 0: at the end")
	flag.StringVar(&o.body, "body", "name=load&delay=0s", "the form to post")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(o options, out io.Writer) error {
	if o.connections < 1 || o.requests < 1 || o.against != "" && o.rounds < 1 {
		return errors.New("want at least 1 of -c, -n and -rounds")
	}
	if o.against != "" {
		return compare(o, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.atMost)
	defer cancel()
	var s *started
	if o.serve != "" {
		var err error
		if s, err = start(o.serve); err != nil {
			return err
		}
		o.url = s.url + "/work"
		if o.term > 0 {
			time.AfterFunc(o.term, s.term)
		}
	}
	l, err := send(ctx, o, o.url)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out, l)
	err = l.check()
	if s != nil {
		s.term()
		err = errors.Join(err, s.check(out, l))
	}
	return err
}

// A ledger is what became of the requests of one connection, or of all.
type ledger struct {
	sent      int
	statuses  map[int]int
	broken    int   // without an answer
	dialErr   error // of the last connection that could not be made
	took      []time.Duration
	locations []string // of the jobs that were taken, if the server tells them
	elapsed   time.Duration
}

// send posts from all connections at once.
func send(ctx context.Context, o options, to string) (*ledger, error) {
	target, err := url.Parse(to)
	if err != nil || target.Scheme != "http" {
		return nil, fmt.Errorf("%s: want a URL of http", to)
	}
	var left atomic.Int64
	left.Store(int64(o.requests))
	ledgers := make([]ledger, o.connections)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range ledgers {
		wg.Go(func() {
			ledgers[i].statuses = make(map[int]int)
			ledgers[i].fill(ctx, target, o.body, func() bool { return ctx.Err() == nil && left.Add(-1) >= 0 })
		})
	}
	wg.Wait()
	all := &ledger{statuses: make(map[int]int), elapsed: time.Since(begin)}
	for i := range ledgers {
		l := &ledgers[i]
		all.sent += l.sent
		all.broken += l.broken
		all.dialErr = cmp.Or(all.dialErr, l.dialErr)
		for status, n := range l.statuses {
			all.statuses[status] += n
		}
		all.took = append(all.took, l.took...)
		all.locations = append(all.locations, l.locations...)
	}
	slices.Sort(all.took)
	return all, nil
}

// fill posts from one connection, and from the next one when the server has closed it, while more says
// so and there is a server.
func (l *ledger) fill(ctx context.Context, target *url.URL, form string, more func() bool) {
	for {
		w, err := dial(ctx, target, form)
		if err != nil {
			l.dialErr = err
			return
		}
		again := l.post(w, more)
		_ = w.conn.Close()
		if !again {
			return
		}
	}
}

// post makes requests until the server closes the connection: then it returns true.
func (l *ledger) post(w *wire, more func() bool) bool {
	for more() {
		l.sent++
		begin := time.Now()
		a, err := w.post()
		if err != nil {
			l.broken++
			return true
		}
		l.took = append(l.took, time.Since(begin))
		l.statuses[a.status]++
		if a.location != "" && a.status < 300 {
			l.locations = append(l.locations, a.location)
		}
		if a.last {
			return true
		}
	}
	return false
}

// taken is the number of jobs that were taken. The answer is OK if it waited for the end of the job.
func (l *ledger) taken() int {
	return l.statuses[http.StatusOK] + l.statuses[http.StatusCreated] + l.statuses[http.StatusAccepted]
}

// check returns an error if the ledger does not add up, or has no job.
func (l *ledger) check() error {
	answered := 0
	for _, n := range l.statuses {
		answered += n
	}
	if answered+l.broken != l.sent {
		return fmt.Errorf("%d were sent, %d answered, %d broken", l.sent, answered, l.broken)
	}
	if l.taken() == 0 {
		return errors.Join(errors.New("no job was taken"), l.dialErr)
	}
	if len(l.locations) > 0 {
		unique := slices.Clone(l.locations)
		slices.Sort(unique)
		if unique = slices.Compact(unique); len(unique) != l.taken() {
			return fmt.Errorf("%d were taken, under %d numbers", l.taken(), len(unique))
		}
	}
	return nil
}

func (l *ledger) String() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "sent %d: ", l.sent)
	statuses := make([]int, 0, len(l.statuses))
	for status := range l.statuses {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		_, _ = fmt.Fprintf(&b, "%d %s, ", l.statuses[status], http.StatusText(status))
	}
	_, _ = fmt.Fprintf(&b, "%d broken off\n", l.broken)
	_, _ = fmt.Fprintf(&b, "%.0f answers a second, p50 %v, p99 %v, max %v, in %v",
		l.rate(), l.quantile(50), l.quantile(99), l.quantile(100), l.elapsed.Round(time.Millisecond))
	return b.String()
}

// rate is in answers a second.
func (l *ledger) rate() float64 { return float64(len(l.took)) / l.elapsed.Seconds() }

// quantile returns the time that so many percent of the requests took at most.
func (l *ledger) quantile(percent int) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[min(len(l.took)-1, len(l.took)*percent/100)].Round(time.Microsecond)
}
