package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

const usage = `usage: politecrawl [flags]

Crawls a site of many hosts that it serves itself on the loopback interface. It keeps to a
rate for each host and to a number of requests in flight that it finds by itself, waits when
a host says so, and prints what it kept to.

flags:
  -hosts n      hosts of the site, 1 to 1000 (default 8)
  -pages n      pages of each, 1 to 100000 (default 60)
  -rate x       requests a second to one host (default 20)
  -burst n      that may come at once (default 5)
  -inflight n   to one host, at most (default 16)
  -lanes n      of the pipeline; each works on some of the hosts (default 32)
  -most n       addresses to follow in all (default 100000)
  -patience d   for one page, with all waiting (default 1m)
  -h            this text

exit status: 0 done; 1 pages were lost, or nothing could be served or written; 2 wrong
usage; 130 interrupted by Ctrl-C: what was begun then is finished and printed.
`

// options are what the command line says.
type options struct {
	siteHosts, sitePages int
	rate                 float64
	burst                int
	inFlight             int
	lanes                int
	most                 int
	patience             time.Duration
}

func parseArgs(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("politecrawl", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.siteHosts, "hosts", 8, "")
	flags.IntVar(&o.sitePages, "pages", 60, "")
	flags.Float64Var(&o.rate, "rate", 20, "")
	flags.IntVar(&o.burst, "burst", 5, "")
	flags.IntVar(&o.inFlight, "inflight", 16, "")
	flags.IntVar(&o.lanes, "lanes", 32, "")
	flags.IntVar(&o.most, "most", 100_000, "")
	flags.DurationVar(&o.patience, "patience", time.Minute, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q: it takes flags alone", flags.Arg(0))
	}
	for _, n := range []struct {
		name    string
		n, most int
	}{
		{"hosts", o.siteHosts, 1000}, {"pages", o.sitePages, 100_000}, {"burst", o.burst, 1_000_000},
		{"inflight", o.inFlight, 1000}, {"lanes", o.lanes, 1000}, {"most", o.most, 100_000_000},
	} {
		if n.n < 1 || n.n > n.most {
			return o, fmt.Errorf("-%s %d: want 1 to %d", n.name, n.n, n.most)
		}
	}
	if !(o.rate > 0 && o.rate <= 1e6) {
		return o, fmt.Errorf("-rate %v: want above 0, to 1e6", o.rate)
	}
	if o.patience <= 0 {
		return o, errors.New("-patience: want more than 0")
	}
	return o, nil
}
