// Load sends jobs to a server as fast as it takes them and keeps the ledger: what was sent is what was
// taken and what was refused, and no job is taken twice.
//
//	go run ./examples/jobserver/load -url http://127.0.0.1:8080/work -n 200000
//
// With -serve it starts the server itself, and with -term sends it SIGTERM in the middle: then the
// server's own report of all ends has to agree with the ledger.
//
//	go build -o jobserver ./examples/jobserver
//	go run ./examples/jobserver/load -serve ./jobserver -term 3s
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type options struct {
	url         string
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
	l := send(ctx, o)
	_, _ = fmt.Fprintln(out, l)
	err := l.check()
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
	broken    int // without an answer
	took      []time.Duration
	locations []string // of the jobs that were taken, if the server tells them
	elapsed   time.Duration
}

// send posts from all connections at once.
func send(ctx context.Context, o options) *ledger {
	client := &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: o.connections, MaxConnsPerHost: o.connections},
		Timeout:   10 * time.Second,
	}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(o.requests))
	var gone atomic.Bool // a connection was refused: the server is not there any more
	ledgers := make([]ledger, o.connections)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range ledgers {
		wg.Go(func() {
			l := &ledgers[i]
			l.statuses = make(map[int]int)
			for ctx.Err() == nil && !gone.Load() && left.Add(-1) >= 0 {
				if !l.post(ctx, client, o) {
					gone.Store(true)
				}
			}
		})
	}
	wg.Wait()
	all := &ledger{statuses: make(map[int]int), elapsed: time.Since(begin)}
	for i := range ledgers {
		l := &ledgers[i]
		all.sent += l.sent
		all.broken += l.broken
		for status, n := range l.statuses {
			all.statuses[status] += n
		}
		all.took = append(all.took, l.took...)
		all.locations = append(all.locations, l.locations...)
	}
	slices.Sort(all.took)
	return all
}

// post makes one request, and reports false when there was no answer.
func (l *ledger) post(ctx context.Context, client *http.Client, o options) bool {
	// Without the context of the run: what was sent is to be answered.
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, o.url, strings.NewReader(o.body))
	if err != nil {
		return false
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	l.sent++
	begin := time.Now()
	response, err := client.Do(request)
	if err != nil {
		l.broken++
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	l.took = append(l.took, time.Since(begin))
	l.statuses[response.StatusCode]++
	if location := response.Header.Get("Location"); location != "" && response.StatusCode < 300 {
		l.locations = append(l.locations, location)
	}
	return true
}

// taken is the number of jobs that were taken.
func (l *ledger) taken() int { return l.statuses[http.StatusAccepted] + l.statuses[http.StatusCreated] }

// check returns an error if the ledger does not add up.
func (l *ledger) check() error {
	answered := 0
	for _, n := range l.statuses {
		answered += n
	}
	if answered+l.broken != l.sent {
		return fmt.Errorf("%d were sent, %d answered, %d broken", l.sent, answered, l.broken)
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
	at := func(p int) time.Duration {
		if len(l.took) == 0 {
			return 0
		}
		return l.took[min(len(l.took)-1, len(l.took)*p/100)].Round(time.Microsecond)
	}
	_, _ = fmt.Fprintf(&b, "%.0f answers a second, p50 %v, p99 %v, max %v, in %v",
		float64(len(l.took))/l.elapsed.Seconds(), at(50), at(99), at(100), l.elapsed.Round(time.Millisecond))
	return b.String()
}

// started is a server that was started here.
type started struct {
	command *exec.Cmd
	url     string
	report  chan string // its last line
	once    sync.Once
}

func start(path string) (*started, error) {
	//nolint:gosec,noctx // the path is the user's; it ends by SIGTERM, and that is what is to be seen
	command := exec.Command(path, "-port", "0", "-rate", "0", "-min-delay", "0s", "-max_queue_size", "1000", "-log", "warn")
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return nil, errors.Join(errors.New("the server does not listen"), command.Wait())
	}
	s := &started{command: command, report: make(chan string, 1)}
	s.url = strings.TrimPrefix(lines.Text(), "listening on ")
	go func() {
		last := ""
		for lines.Scan() {
			last = lines.Text()
		}
		s.report <- last
	}()
	return s, nil
}

// term sends SIGTERM, the first time.
func (s *started) term() { s.once.Do(func() { _ = s.command.Process.Signal(syscall.SIGTERM) }) }

// check waits for the end of the server, and holds its report against the ledger.
func (s *started) check(out io.Writer, l *ledger) error {
	report := <-s.report
	_, _ = fmt.Fprintln(out, "server:", report)
	err := s.command.Wait()
	var accepted, succeeded, failed, panicked, canceled, unended, left int
	if _, scanErr := fmt.Sscanf(report, "report accepted=%d succeeded=%d failed=%d panicked=%d canceled=%d unended=%d left=%d",
		&accepted, &succeeded, &failed, &panicked, &canceled, &unended, &left); scanErr != nil {
		return errors.Join(scanErr, err)
	}
	ended := succeeded + failed + panicked + canceled
	switch {
	case ended != accepted || unended != 0:
		err = errors.Join(err, fmt.Errorf("of %d jobs %d have ended", accepted, ended))
	case l.taken() > accepted, l.taken()+l.broken < accepted:
		// A request that was broken off may have been taken.
		err = errors.Join(err, fmt.Errorf("%d were told that their job was taken, and %d were", l.taken(), accepted))
	}
	return err
}
