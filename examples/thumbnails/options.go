package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/millstream-go/millstream/examples/internal/show"
)

const usage = `usage: thumbnails [flags] [folder]

Makes a small PNG of each picture (PNG, JPEG, GIF) in the folder and those below, and
contact sheets with all of them, in the order of the names. Without a folder it draws
pictures and takes these.

flags:
  -out folder    where thumbs/ and contact.png go; it must lie apart from the pictures
                 (default: a new temporary folder, which the report names)
  -force         use -out though it has files that are not from an earlier run, and
                 replace those that are in the way
  -size n        longer side of a thumbnail in pixels, 32 to 1024 (default 160)
  -columns n     thumbnails in a row of the contact sheet, 1 to 50 (default 8)
  -sheet n       thumbnails on a contact sheet; more go to contact-2.png and so on (default 400)
  -megapixels n  pictures with more are too large to be decoded, 1 to 1000 (default 40)
  -workers n     pictures in each stage at the same time, 1 to 1024 (default: GOMAXPROCS)
  -compare       do the same work in a plain loop too, and show the speed-up
  -json          print one JSON document instead of tables; README.md describes its fields

without a folder:
  -n count       pictures to draw, 1 to 10000 (default 24)
  -side n        longer side of the largest ones in pixels, 100 to 8000 (default 1600)
  -seed n        which ones: the same number draws the same pictures (default 1)
  -spoil n       damage so many of them: cut off, falsely huge, not a picture (default 0)
  -keep folder   draw them there, and leave them; it must be empty or new

Names that begin with a dot are skipped, and symbolic links are not followed. A picture
that is too large, broken or unreadable is named on standard error and in the report,
and has a placeholder on the contact sheet; the rest is done all the same. So is a file
beyond 64 MiB. What an earlier run has put in -out is removed first. While it works,
thumbnails draws a progress bar on standard error if that is a terminal.

exit status: 0 done; 1 no thumbnail could be made, -compare found a difference, or
something could not be written; 2 wrong usage; 130 interrupted by Ctrl-C: what was in
hand is finished, and the contact sheet has what is there.
`

// options are what the command line says.
type options struct {
	root       string // the folder, "" to draw pictures
	shown      string // the root in messages and reports: "" if it is temporary
	title      string // what the tables call it
	out        string // "" for a temporary one
	force      bool
	size       int
	columns    int
	sheet      int
	megapixels int
	workers    int
	compare    bool
	json       bool

	count int
	side  int
	seed  uint64
	spoil int
	keep  string
}

// parseArgs reads the command line. Its error is flag.ErrHelp or one for the user.
func parseArgs(args []string) (o options, err error) {
	flags := flag.NewFlagSet("thumbnails", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the usage text is ours, and errors are for the caller to print
	flags.StringVar(&o.out, "out", "", "")
	flags.BoolVar(&o.force, "force", false, "")
	flags.IntVar(&o.size, "size", 160, "")
	flags.IntVar(&o.columns, "columns", 8, "")
	flags.IntVar(&o.sheet, "sheet", 400, "")
	flags.IntVar(&o.megapixels, "megapixels", 40, "")
	flags.IntVar(&o.workers, "workers", min(runtime.GOMAXPROCS(0), maxWorkers), "")
	flags.BoolVar(&o.compare, "compare", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.IntVar(&o.count, "n", 24, "")
	flags.IntVar(&o.side, "side", 1600, "")
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.IntVar(&o.spoil, "spoil", 0, "")
	flags.StringVar(&o.keep, "keep", "", "")
	if failed := flags.Parse(args); failed != nil {
		return o, failed
	}
	o.root = flags.Arg(0)
	o.shown, o.title = o.root, o.root
	if o.root == "" {
		o.shown, o.title = o.keep, fmt.Sprintf("%s drawn pictures, seed %d", show.Commas(o.count), o.seed)
	}

	switch {
	case flags.NArg() > 1 && strings.HasPrefix(flags.Arg(1), "-"):
		return o, fmt.Errorf("flag %s must stand before the folder", flags.Arg(1))
	case flags.NArg() > 1:
		return o, fmt.Errorf("one folder at most, not %d", flags.NArg())
	case flags.NArg() == 1 && o.root == "":
		return o, errors.New("the name of the folder is empty")
	}
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "out", "keep":
			if f.Value.String() == "" {
				err = fmt.Errorf("-%s: the name of the folder is empty", f.Name)
			}
		}
		switch f.Name {
		case "n", "side", "seed", "spoil", "keep":
			if o.root != "" {
				err = fmt.Errorf("-%s is for pictures that are drawn, and goes without a folder", f.Name)
			}
		}
	})
	if err != nil {
		return o, err
	}
	return o, o.checkRanges()
}

const maxWorkers = 1024

func (o options) checkRanges() error {
	for _, r := range []struct {
		flag            string
		value, from, to int
	}{
		{"size", o.size, 32, 1024},
		{"columns", o.columns, 1, 50},
		{"sheet", o.sheet, 1, 100_000},
		{"megapixels", o.megapixels, 1, 1000},
		{"workers", o.workers, 1, maxWorkers},
		{"n", o.count, 1, 10_000},
		{"side", o.side, 100, 8000},
		{"spoil", o.spoil, 0, o.count},
	} {
		if r.value < r.from || r.value > r.to {
			return fmt.Errorf("-%s must be from %d to %d, not %d", r.flag, r.from, r.to, r.value)
		}
	}
	return nil
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

// apart tells whether none of two folders is, or lies in, the other. They need not
// exist yet. Links and other ways to name a folder do not deceive it.
func apart(a, b string) (bool, error) {
	a, err := resolve(a)
	if err != nil {
		return false, err
	}
	if b, err = resolve(b); err != nil {
		return false, err
	}
	return !holds(a, b) && !holds(b, a), nil
}

// holds tells whether inner is outer or lies in it.
func holds(outer, inner string) bool {
	there, err := os.Stat(outer)
	for dir := inner; ; dir = filepath.Dir(dir) {
		if dir == outer {
			return true
		}
		if err == nil {
			if info, err := os.Stat(dir); err == nil && os.SameFile(info, there) {
				return true
			}
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// resolve returns the absolute path of a folder, without links as far as it exists.
func resolve(folder string) (string, error) {
	full, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	rest := ""
	for dir := full; ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest), nil
		}
		if dir == filepath.Dir(dir) {
			return full, nil
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}
