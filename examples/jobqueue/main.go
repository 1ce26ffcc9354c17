// Jobqueue works off tasks with a pool: it sleeps, hashes files and counts their
// lines, a bounded number at a time, shows what each worker does meanwhile, lets
// workers be halted, and prints a table of all jobs at the end.
//
//	go run ./examples/jobqueue -jobs 'sleep 2s; hash go.mod; count README.md'
//	ls -d *.md | sed 's/^/count /' | go run ./examples/jobqueue -workers 4
//
// What a queue needs is in session.go, intake.go and command.go; the tasks are in
// task.go, and the rest shows what happens.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"github.com/mattn/go-isatty"
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
	signals        <-chan os.Signal
	typed          bool // somebody types on stdin
	live           bool // stderr is a terminal that can move its cursor
}

func main() {
	ignoreBrokenPipe()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, slices.Concat([]os.Signal{os.Interrupt, syscall.SIGTERM}, haltSignals)...)

	os.Exit(run(context.Background(), os.Args[1:], console{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		signals: signals,
		typed:   isatty.IsTerminal(os.Stdin.Fd()),
		// Older consoles of Windows print the sequences instead of obeying them.
		live: isatty.IsTerminal(os.Stderr.Fd()) && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows",
	}))
}

// run is the program without what is global to a process, so that a test can
// call it. It returns the exit status. When ctx ends, all that is left is canceled.
func run(ctx context.Context, args []string, c console) int {
	opts, err := parseArgs(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(c.stdout, usage)
		return exitOK
	case err != nil:
		complain(c.stderr, err.Error())
		complain(c.stderr, "for the flags, run jobqueue -h")
		return exitUsage
	}
	return newSession(opts, c, do).run(ctx)
}
