// Jobserver is a queue of jobs behind HTTP. It answers what such servers leave open: what a client
// is told when the queue is full, how it learns what became of its job, and what happens to the jobs
// when the server is stopped.
//
//	go run ./examples/jobserver
//	curl -i -d 'name=report' -d 'delay=2s' 'http://127.0.0.1:8080/work?wait=5s'
//
// The pool is made in server.go, which has the routes as well. What a client may send is in request.go
// and keyring.go, who may steer the pool in guard.go, the stop in serve.go. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// The exit statuses, as the usage text gives them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// gcPercent is how much garbage there may be before it is collected, by what is in use: a few megabytes,
// which the flags bound. At the usual 100 the collector would come sixty times a second under load.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on a second one has its usual effect and kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without what is global to a process. It serves until ctx ends, drains, and
// returns the exit status. stdout gets the address and, at the end, the report; stderr the log.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err != nil:
		complain(stderr, err)
		complain(stderr, errors.New("for the flags, run jobserver -h"))
		return exitUsage
	}
	var ledger *os.File
	if opts.ledger != "" { // now, so that a wrong path is known before there are jobs
		if ledger, err = os.Create(opts.ledger); err != nil {
			complain(stderr, err)
			return exitUsage
		}
		defer ledger.Close()
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: opts.level}))
	listener, err := listen(ctx, opts)
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	_, _ = fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	s := newServer(opts, log)
	rep, err := serve(ctx, s, listener)
	_, _ = fmt.Fprintln(stdout, rep)
	if ledger != nil {
		err = errors.Join(err, s.book.writeLedger(ledger), ledger.Close())
	}
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

func complain(stderr io.Writer, err error) { _, _ = fmt.Fprintln(stderr, "jobserver:", err) }
