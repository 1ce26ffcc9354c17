// Codestats measures a tree of Go source with a pipeline: it walks the folders,
// reads, parses and measures each file, adds the files up by package, and shows
// where the time went.
//
//	go run ./examples/codestats                  # the standard library of the go command
//	go run ./examples/codestats -compare folder  # a folder, and the speed-up over a plain loop
//
// The pipeline is in survey.go; everything around it is what a program for
// people needs: flags, messages, a progress bar, tables. See README.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on a second one has its usual effect and kills: a
	// read that hangs in the kernel cannot be cancelled from here.
	context.AfterFunc(ctx, stop)

	terminal := isatty.IsTerminal(os.Stderr.Fd()) && os.Getenv("TERM") != "dumb"
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, terminal))
}

// run is the program without what is global to a process, so that a test can
// call it. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, terminal bool) int {
	opts, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err != nil:
		complain(stderr, err.Error())
		complain(stderr, "for the flags, run codestats -h")
		return exitUsage
	}
	if opts.plan {
		return opts.printPlan(ctx, stdout, stderr)
	}
	if opts.root == "" {
		if opts.root, opts.title, err = standardLibrary(ctx); err != nil {
			if ctx.Err() != nil {
				return exitInterrupted
			}
			complain(stderr, err.Error())
			return exitFailed
		}
	}
	if err := checkFolder(opts.root); err != nil {
		complain(stderr, err.Error())
		return exitFailed
	}
	return opts.execute(ctx, os.DirFS(opts.root), stdout, stderr, terminal)
}

// execute does the work on the files of fsys and prints what came of it.
func (o options) execute(ctx context.Context, fsys fs.FS, stdout, stderr io.Writer, terminal bool) int {
	t := tree{fsys: fsys, all: o.all}

	// While the bar is drawn, messages wait: the two would overwrite each other.
	var held bytes.Buffer
	var bar *progress
	notes := stderr
	if terminal && !o.json {
		bar = startProgress(ctx, stderr, t)
		notes = &held
	}
	s := newSurvey(t, o.root, notes)
	var ran pipeline.Report
	s.pipeline(ctx, o.workers, append(bar.options(), pipeline.ReportTo(&ran))...)
	rep := newReport(o, s, ran.Snapshot())
	rep.Partial = ctx.Err() != nil
	s.problems.close()

	if o.compare && !rep.Partial && rep.Totals.Files > 0 {
		rep.Compare = compare(ctx, t, o.workers, s, bar)
	}
	bar.end()
	_, _ = held.WriteTo(stderr)
	return o.publish(rep, ctx.Err() != nil, stdout, stderr)
}

// printPlan prints what the pipeline would do, for people and as a diagram.
func (o options) printPlan(ctx context.Context, stdout, stderr io.Writer) int {
	plan := newSurvey(tree{}, "", io.Discard).flow(ctx, o.workers).Plan()
	text := bytes.NewBufferString(plan.String() + "\n\n" + plan.Mermaid() + "\n")
	if !written(text, stdout, stderr) {
		return exitFailed
	}
	return exitOK
}

// written writes text to stdout and reports whether that went well.
func written(text *bytes.Buffer, stdout, stderr io.Writer) bool {
	_, err := text.WriteTo(stdout)
	if err != nil && !show.ClosedPipe(err) {
		complain(stderr, "write: "+err.Error())
		return false
	}
	return true
}

// publish writes the report, and picks the exit status that goes with it.
func (o options) publish(rep report, interrupted bool, stdout, stderr io.Writer) int {
	var text bytes.Buffer
	switch {
	case o.json:
		rep.writeJSON(&text)
	case rep.Totals.Files > 0:
		rep.writeTables(&text)
	}
	if !written(&text, stdout, stderr) {
		return exitFailed
	}

	switch {
	case rep.Partial:
		complain(stderr, fmt.Sprintf("interrupted; %s files were measured until then", show.Commas(rep.Totals.Files)))
		return exitInterrupted
	case interrupted:
		complain(stderr, "interrupted; all files were measured, but not compared to the end")
		return exitInterrupted
	case rep.Totals.Files == 0 && rep.LeftOut.none():
		complain(stderr, o.root+": no Go files")
		return exitFailed
	case rep.Totals.Files == 0:
		complain(stderr, o.root+": no Go file could be measured: "+rep.LeftOut.String())
		return exitFailed
	case rep.Compare != nil && !rep.Compare.Same:
		complain(stderr, "the plain loop and the pipeline counted differently; did the files change meanwhile?")
		return exitFailed
	}
	return exitOK
}
