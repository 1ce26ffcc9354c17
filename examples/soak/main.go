// Soak keeps pools, pipelines and limits under a mixed load with faults injected for as long as one likes, and says
// whether every input that was accepted has ended exactly once, and whether memory and goroutines have grown.
//
//	go run ./examples/soak -for 30m -out soak.svg
//
// What runs is in poolload.go, service.go, flowload.go and limitload.go, what an input does and how it is held against
// what the library says in task.go. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// The exit statuses, as the usage text gives them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on a second one has its usual effect and kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without what is global to a process. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err != nil:
		say(stderr, "soak: %v", err)
		say(stderr, "for the flags, run soak -h")
		return exitUsage
	}
	s := newSoak(opts)
	return s.run(ctx, stdout, stderr)
}

// soak is one run.
type soak struct {
	opts    options
	ledger  ledger
	watch   watch
	service *service
	loads   []load
	books   []*book // of the loads, by place
	drivers int     // rounds at once
	before  int     // goroutines before it all began
}

// drivers is how many rounds run at once, so that loads disturb each other. Most of a round is waiting.
const drivers = 16

func newSoak(opts options) *soak {
	s := &soak{opts: opts, drivers: drivers, before: runtime.NumGoroutine()}
	s.service = newService(nil)
	s.loads = []load{
		{"pool: a service", s.service.round},
		{"pool: submit, steer, end", submitRound},
		{"pool: do", doRound},
		{"pool: map", mapRound},
		{"pool: stream", streamRound},
		{"pool: stateful", statefulRound},
		{"flow: ordered", orderedRound},
		{"flow: fan-out", fanRound},
		{"flow: batch, dead letters", batchRound},
		{"flow: fail-fast", failFastRound},
		{"flow: through the service", s.service.throughRound},
		{"limit: keyed", keyedRound},
		{"limit: multi", multiRound},
		{"limit: concurrency", concurrencyRound},
	}
	for _, l := range s.loads {
		s.books = append(s.books, s.ledger.open(l.name))
	}
	s.service.book = s.books[0]
	return s
}

func (s *soak) run(ctx context.Context, stdout, stderr io.Writer) int {
	say(stdout, "soak: %v with seed %d, %s, %d processors, load %v", s.opts.length, s.opts.seed, runtime.Version(), runtime.GOMAXPROCS(0), s.opts.load)
	ctx, cancel := context.WithTimeout(ctx, s.opts.length)
	defer cancel()
	s.watch.start = time.Now()
	used := processorTime()

	turn := ratelimit.NewLimiter(startRate, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		p := pacer{share: s.opts.load, rate: startRate, set: func(r float64) { turn.SetLimit(ratelimit.Limit(r)) }}
		p.run(ctx)
	})
	for i := range s.drivers {
		wg.Go(func() { s.drive(ctx, turn, rand.New(rand.NewPCG(s.opts.seed, uint64(i)))) })
	}
	s.look(ctx, stdout)
	wg.Wait()

	s.service.close()
	for _, b := range s.books {
		b.check(true)
	}
	elapsed := time.Since(s.watch.start)
	after, _ := settled()
	return s.report(stdout, stderr, elapsed, processorTime()-used, after)
}

// startRate is how many rounds a second there are before anything is known of their cost.
const startRate = 50

// drive runs rounds of random loads, one after the other, until ctx ends. A round that has begun is finished: it has a
// context of its own.
func (s *soak) drive(ctx context.Context, turn *ratelimit.Limiter, r *rand.Rand) {
	for turn.Wait(ctx) == nil {
		i := r.IntN(len(s.loads))
		s.watch.gate.RLock()
		s.loads[i].round(context.WithoutCancel(ctx), r, s.books[i])
		s.watch.gate.RUnlock()
		s.books[i].rounds.Add(1)
	}
}

// samples is about how many there are in a run.
const samples = 200

// look takes samples until ctx ends, and prints a line now and then.
func (s *soak) look(ctx context.Context, stdout io.Writer) {
	tick := time.NewTicker(min(max(s.opts.length/samples, 20*time.Millisecond), 10*time.Second))
	defer tick.Stop()
	told := s.watch.start
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		live := s.ledger.live()
		now, ok := s.watch.take(ctx, func() {
			s.service.rest()
			for _, b := range s.books {
				b.check(true) // at rest nothing is live
			}
		})
		if ok && time.Since(told) >= s.opts.every {
			told = time.Now()
			_, wrong := s.ledger.faults()
			say(stdout, "%8v  accepted %s, live %s; at rest heap %.2f MiB, %d goroutines; under load %.2f MiB, %d; wrong %d",
				now.at.Round(time.Second), grouped(s.ledger.accepted()), grouped(live),
				mib(now.restHeap), now.restRoutines, mib(now.busyHeap), now.busyRoutines, wrong)
		}
	}
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// The least growth over a run that counts: what a runtime does for itself stays below.
const (
	leastBytes    = 256 << 10
	leastRoutines = 1
)

// report prints the ledger and the verdicts, and returns the exit status.
func (s *soak) report(stdout, stderr io.Writer, elapsed, used time.Duration, after int) int {
	status := exitOK
	say(stdout, "")
	if err := s.ledger.print(stdout); err != nil {
		return exitFailed
	}
	say(stdout, "")
	firsts, wrong := s.ledger.faults()
	for _, f := range firsts {
		say(stdout, "wrong: %s", f)
	}
	if wrong > 0 {
		say(stdout, "ledger: WRONG in %d places", wrong)
		status = exitFailed
	} else {
		say(stdout, "ledger: exact, each of %s inputs has ended once, as it should", grouped(s.ledger.accepted()))
	}
	bytes, routines := s.watch.trends()
	say(stdout, "%s", bytes.verdict("heap at rest", "MiB", 1<<20, leastBytes))
	say(stdout, "%s", routines.verdict("goroutines at rest", "goroutines", 1, leastRoutines))
	if bytes.rises(leastBytes) || routines.rises(leastRoutines) {
		status = exitFailed
	}
	say(stdout, "goroutines: %d before, %d after", s.before, after)
	if after > s.before {
		say(stdout, "goroutines: %d are LEFT", after-s.before)
		status = exitFailed
	}
	if used > 0 {
		say(stdout, "took %v, %.2f of a core", elapsed.Round(time.Second), used.Seconds()/elapsed.Seconds())
	}
	if s.opts.out != "" {
		if err := s.draw(s.opts.out, elapsed); err != nil {
			say(stderr, "soak: %v", err)
			status = exitFailed
		}
	}
	return status
}

// say prints a line for people. If it cannot, there is nobody to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
