package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/millstream-go/millstream/examples/internal/show"
)

const usage = `usage: codestats [flags] [folder]

Measures the Go files below the folder, test files included: packages, files,
lines, functions, the longest function, and where the time went. Without
a folder it measures the standard library of the go command in your PATH.

flags:
  -workers n  files to read, and files to parse, at the same time (default: GOMAXPROCS)
  -top n      rows in the table of packages, those with the most lines; 0 for all (default 20)
  -compare    do the same work in a plain loop too, and show the speed-up
  -all        also enter the folders and files that the go command leaves out of ./...:
              testdata, vendor, and names that begin with . or _
  -plan       print the pipeline that would run, as text and as a Mermaid diagram, and end
  -json       print one JSON document instead of tables; README.md describes its fields

A package is a folder. Functions are declared functions and methods, not function
literals; their lines go from the word func to the closing brace.

Symbolic links are not followed, so there are no cycles and nothing is counted
twice. Files beyond 8 MiB are left out. What is left out, because it is too
large, broken or unreadable, is named on standard error and counted; the rest is
measured all the same. While it works, codestats draws a progress bar on standard
error if that is a terminal.

exit status: 0 done; 1 nothing could be measured, -compare found a difference, or
the output could not be written; 2 wrong usage; 130 interrupted by Ctrl-C, and
what is printed is partial.
`

// options are what the command line says.
type options struct {
	root    string // the folder, "" for the standard library
	title   string // what the tables call it
	workers int
	top     int
	compare bool
	all     bool
	plan    bool
	json    bool
}

// parseArgs reads the command line. Its error is flag.ErrHelp or one for the user.
func parseArgs(args []string) (o options, err error) {
	flags := flag.NewFlagSet("codestats", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the usage text is ours, and errors are for the caller to print
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "")
	flags.IntVar(&o.top, "top", 20, "")
	flags.BoolVar(&o.compare, "compare", false, "")
	flags.BoolVar(&o.all, "all", false, "")
	flags.BoolVar(&o.plan, "plan", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.root = flags.Arg(0)
	o.title = o.root

	switch {
	case flags.NArg() > 1 && strings.HasPrefix(flags.Arg(1), "-"):
		return o, fmt.Errorf("flag %s must stand before the folder", flags.Arg(1))
	case flags.NArg() > 1:
		return o, fmt.Errorf("one folder at most, not %d", flags.NArg())
	case flags.NArg() == 1 && o.root == "":
		return o, errors.New("the name of the folder is empty")
	case o.workers < 1:
		return o, fmt.Errorf("-workers must be at least 1, not %d", o.workers)
	case o.top < 0:
		return o, fmt.Errorf("-top must not be negative: %d", o.top)
	}
	return o, nil
}

// standardLibrary asks the go command where its standard library is. It does so
// at run time, because a program may be run far from where it was built.
func standardLibrary(ctx context.Context) (root, title string, err error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return "", "", fmt.Errorf("cannot ask the go command for its standard library, name a folder instead: %w", err)
	}
	goroot, version, _ := strings.Cut(string(out), "\n")
	return filepath.Join(strings.TrimSpace(goroot), "src"), "standard library of " + strings.TrimSpace(version), nil
}

// checkFolder finds the mistakes in the name of the root that deserve a message
// of their own; what else goes wrong shows when the walk begins.
func checkFolder(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return fmt.Errorf("%s: %w", root, show.Reason(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a folder", root)
	}
	return nil
}
