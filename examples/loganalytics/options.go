package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
)

const usage = `usage: loganalytics [flags] [file]

Adds up a web access log by the minute, by request and by client: requests, errors,
bytes, latency. The file - is standard input. Without a file it draws a log of one day,
with rush hours, incidents and malformed lines, and takes that.

A line is in the common log format, with the latency in seconds as its last field:

  198.18.4.7 - - [02/Mar/2026:08:15:04 +0000] "GET /cart HTTP/1.1" 200 5123 0.013

What stands between the bytes and the latency is skipped. For nginx, append
$request_time to the log_format. Requests are counted without their query and with :id
for numbers in the path. Errors are statuses from 500 on. Times are in UTC.

flags:
  -window d   width of a window of time: seconds that divide a day (default 1m)
  -top n      rows in the tables of requests, clients and windows, 0 to 1000 (default 5)
  -workers n  batches that are parsed at the same time, 1 to 1024 (default: GOMAXPROCS)
  -batch n    lines that are handed over together, 1 to 65536 (default 1024)
  -compare    do the same work in a plain loop too, and show the speed-up; not with -
  -json       print one JSON document instead of tables; README.md describes its fields

without a file:
  -n count    lines to draw, 0 to 100000000 (default 2000000)
  -seed n     which ones: the same number draws the same log (default 1)
  -keep file  draw them there, and leave them; there must be no such file

A malformed line is counted; the first 5 are shown on standard error. A line beyond
1 MiB ends the reading. While it works, loganalytics shows on standard error how far it
is, if that is a terminal.

exit status: 0 done; 1 no line could be read, reading failed, -compare found a
difference, or the output could not be written; 2 wrong usage; 130 interrupted by
Ctrl-C: what was read until then is counted and printed.
`

// options are what the command line says.
type options struct {
	file    string // "" to draw a log, "-" for standard input
	title   string // what messages and tables call it
	window  time.Duration
	top     int
	workers int
	batch   int
	compare bool
	json    bool

	lines int
	seed  uint64
	keep  string
}

// parseArgs reads the command line. Its error is flag.ErrHelp or one for the user.
func parseArgs(args []string) (o options, err error) {
	flags := flag.NewFlagSet("loganalytics", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the usage text is ours, and errors are for the caller to print
	flags.DurationVar(&o.window, "window", time.Minute, "")
	flags.IntVar(&o.top, "top", 5, "")
	flags.IntVar(&o.workers, "workers", min(runtime.GOMAXPROCS(0), maxWorkers), "")
	flags.IntVar(&o.batch, "batch", 1024, "")
	flags.BoolVar(&o.compare, "compare", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.IntVar(&o.lines, "n", 2_000_000, "")
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.StringVar(&o.keep, "keep", "", "")
	if failed := flags.Parse(args); failed != nil {
		return o, failed
	}
	o.file = flags.Arg(0)
	switch o.file {
	case "":
		o.title = fmt.Sprintf("drawn log, seed %d", o.seed)
	case "-":
		o.title = "standard input"
	default:
		o.title = o.file
	}

	switch {
	case flags.NArg() > 1 && strings.HasPrefix(flags.Arg(1), "-"):
		return o, fmt.Errorf("flag %s must stand before the file", flags.Arg(1))
	case flags.NArg() > 1:
		return o, fmt.Errorf("one file at most, not %d", flags.NArg())
	case flags.NArg() == 1 && o.file == "":
		return o, errors.New("the name of the file is empty")
	case o.compare && o.file == "-":
		return o, errors.New("-compare reads the log several times, which standard input does not allow")
	}
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "n", "seed", "keep":
			if o.file != "" {
				err = fmt.Errorf("-%s is for a log that is drawn, and goes without a file", f.Name)
			} else if f.Value.String() == "" {
				err = fmt.Errorf("-%s: the name of the file is empty", f.Name)
			}
		}
	})
	if err != nil {
		return o, err
	}
	return o, o.checkRanges()
}

const maxWorkers = 1024

const day = 24 * time.Hour

func (o options) checkRanges() error {
	for _, r := range []struct {
		flag            string
		value, from, to int
	}{
		{"top", o.top, 0, 1000},
		{"workers", o.workers, 1, maxWorkers},
		{"batch", o.batch, 1, 1 << 16},
		{"n", o.lines, 0, 100_000_000},
	} {
		if r.value < r.from || r.value > r.to {
			return fmt.Errorf("-%s must be from %d to %d, not %d", r.flag, r.from, r.to, r.value)
		}
	}
	if o.window < time.Second || o.window%time.Second != 0 || day%o.window != 0 {
		return fmt.Errorf("-window must be whole seconds that divide a day, such as 10s, 1m or 1h, not %s", brief(o.window))
	}
	return nil
}
