// Loganalytics aggregates a web access log with a pipeline: it reads lines, parses
// them in batches on several workers, and adds them up by the minute, by request and
// by client. Given no log, it draws one first.
//
//	go run ./examples/loganalytics                      # a drawn log of 2,000,000 lines
//	go run ./examples/loganalytics -compare access.log  # a file, and the speed-up over a plain loop
//	zcat access.log.gz | go run ./examples/loganalytics -
//
// The pipeline is in pipeline.go; everything around it is what a program for
// people needs: flags, messages, a progress line, tables. See README.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
)

// The exit statuses, as the usage text gives them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // what a shell reports for a program ended by Ctrl-C
)

// A console is what the program has of the world around it.
type console struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on a second one has its usual effect and kills.
	context.AfterFunc(ctx, stop)

	terminal := isatty.IsTerminal(os.Stderr.Fd()) && os.Getenv("TERM") != "dumb"
	os.Exit(run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr, terminal}))
}

// run is the program without what is global to a process, so that a test can
// call it. It returns the exit status. When ctx ends, it takes no more input and
// reports on what it has.
func run(ctx context.Context, args []string, c console) int {
	opts, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(c.stdout, usage)
		return exitOK
	case err != nil:
		complain(c.stderr, err.Error())
		complain(c.stderr, "for the flags, run loganalytics -h")
		return exitUsage
	}

	bar := startProgress(c, opts)
	from, err := openInput(ctx, opts, c.stdin, bar)
	if err != nil {
		bar.end()
		if ctx.Err() != nil {
			complain(c.stderr, "interrupted before the log was drawn")
			return exitInterrupted
		}
		complain(c.stderr, err.Error())
		return exitFailed
	}
	defer from.close()
	return opts.execute(ctx, from, bar, c)
}

// execute does the work on a log and prints what came of it.
func (o options) execute(ctx context.Context, from *input, bar *progress, c console) int {
	// While the progress is drawn, messages wait: the two would overwrite each other.
	var held bytes.Buffer
	notes := c.stderr
	if bar != nil {
		notes = &held
	}
	a := newAnalysis(o, notes)
	var flow pipeline.Report

	start := time.Now()
	a.pipeline(ctx, from, append(bar.reading(from), pipeline.ReportTo(&flow))...)
	rep := newReport(o, a, time.Since(start))
	rep.Partial = ctx.Err() != nil || a.failed != nil
	rep.Flow = flow.Snapshot()
	a.close()

	failed := a.failed
	if o.compare && !rep.Partial && a.requests() > 0 {
		rep.Compare, failed = contest{o, from, a, bar}.compare(ctx)
	}
	bar.end()
	_, _ = held.WriteTo(c.stderr)
	return o.publish(rep, failed, ctx.Err() != nil, c)
}

// publish writes the report, and picks the exit status that goes with it.
func (o options) publish(rep report, failed error, interrupted bool, c console) int {
	var text bytes.Buffer
	switch {
	case o.json:
		rep.writeJSON(&text)
	case rep.Totals.Requests > 0:
		rep.writeTables(&text)
	}
	if _, err := text.WriteTo(c.stdout); err != nil && !show.ClosedPipe(err) {
		complain(c.stderr, "write: "+err.Error())
		return exitFailed
	}

	switch {
	case failed != nil:
		complain(c.stderr, o.title+": "+failed.Error())
		return exitFailed
	case rep.Partial:
		complain(c.stderr, fmt.Sprintf("interrupted; %s lines were read until then", show.Commas(rep.Lines)))
		return exitInterrupted
	case interrupted:
		complain(c.stderr, "interrupted; the whole log was read, but not compared to the end")
		return exitInterrupted
	case rep.Lines == 0:
		complain(c.stderr, o.title+": no lines")
		return exitFailed
	case rep.Totals.Requests == 0:
		complain(c.stderr, fmt.Sprintf("%s: none of %s lines is one of an access log", o.title, show.Commas(rep.Lines)))
		return exitFailed
	case rep.Compare != nil && !rep.Compare.Same:
		complain(c.stderr, "the plain loop and the pipeline counted differently; did the file change meanwhile?")
		return exitFailed
	}
	return exitOK
}

// complain prints a message as one line.
func complain(w io.Writer, message string) {
	show.Complain(w, "loganalytics", message)
}
