package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"
)

const usage = `usage: jobserver [flags]

Serves a queue of jobs over HTTP: POST /work takes one, GET /work/ID tells what became of it,
and the page at / shows all of them live.

flags:
  -addr host         address to listen on (default 127.0.0.1)
  -port n            port to listen on; 0: a free one (default 8080)
  -hosts a,b         names that clients may call this server by, besides -addr and localhost. On
                     loopback, or if there are some, requests for other names are refused
  -max_workers n     jobs that run at once, 1 to 10000 (default 5)
  -max_queue_size n  jobs that may wait, 1 to 1000000 (default 100)
  -min-delay d       shortest delay of a job (default 1s)
  -max-delay d       longest delay of a job, up to 10m (default 10s)
  -attempts n        calls made for a job that fails, 1 to 10 (default 2)
  -keep n            jobs to remember after their end, 0 to 10000000 (default 1000)
  -keys n            idempotency keys to remember, for 10 minutes each (default 10000)
  -rate x            requests a second of one client; 0: any number (default 50)
  -streams n         clients of /events at once; one client may be a quarter of them (default 100)
  -drain d           time for the jobs that were taken, after SIGTERM (default 30s)
  -ledger file       file to write at the end: a line of JSON for each job that is remembered
                     (see -keep)
  -admin-token t     what control routes want as "Authorization: Bearer t", at least 16
                     characters; $JOBSERVER_ADMIN_TOKEN does the same, and ps does not show it.
                     Without one they answer on loopback only. Set one behind a proxy on the same
                     host: what it passes on comes from loopback, too, and is only recognized by
                     fields such as X-Forwarded-For, which not every proxy adds
  -log level         debug, info, warn or error; requests are logged at debug (default info)
  -h                 this text

exit status: 0 drained, nothing left; 1 jobs had to be canceled, or it could not serve;
2 wrong usage. Ctrl-C and SIGTERM drain; a second one kills.
`

// tokenVariable is the environment variable for -admin-token.
const tokenVariable = "JOBSERVER_ADMIN_TOKEN" //nolint:gosec // a name, not a secret

// options are what the command line says.
type options struct {
	addr     string
	port     int
	hosts    []string
	workers  int
	queue    int
	minDelay time.Duration
	maxDelay time.Duration
	attempts int
	keep     int
	keys     int
	rate     float64
	streams  int
	drain    time.Duration
	ledger   string
	token    string
	level    slog.Level
}

func (o *options) address() string { return net.JoinHostPort(o.addr, fmt.Sprint(o.port)) }

func parseArgs(args []string) (options, error) {
	var o options
	var hosts string
	flags := flag.NewFlagSet("jobserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.addr, "addr", "127.0.0.1", "")
	flags.IntVar(&o.port, "port", 8080, "")
	flags.StringVar(&hosts, "hosts", "", "")
	flags.IntVar(&o.workers, "max_workers", 5, "")
	flags.IntVar(&o.queue, "max_queue_size", 100, "")
	flags.DurationVar(&o.minDelay, "min-delay", time.Second, "")
	flags.DurationVar(&o.maxDelay, "max-delay", 10*time.Second, "")
	flags.IntVar(&o.attempts, "attempts", 2, "")
	flags.IntVar(&o.keep, "keep", 1000, "")
	flags.IntVar(&o.keys, "keys", 10_000, "")
	flags.Float64Var(&o.rate, "rate", 50, "")
	flags.IntVar(&o.streams, "streams", 100, "")
	flags.DurationVar(&o.drain, "drain", 30*time.Second, "")
	flags.StringVar(&o.ledger, "ledger", "", "")
	flags.StringVar(&o.token, "admin-token", os.Getenv(tokenVariable), "")
	flags.TextVar(&o.level, "log", slog.LevelInfo, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q: it takes flags alone", flags.Arg(0))
	}
	for _, n := range []struct {
		name         string
		n, min, most int
	}{
		{"port", o.port, 0, 65535},
		{"max_workers", o.workers, 1, 10_000},
		{"max_queue_size", o.queue, 1, 1_000_000},
		{"attempts", o.attempts, 1, 10},
		{"keep", o.keep, 0, 10_000_000},
		{"keys", o.keys, 1, 1_000_000},
		{"streams", o.streams, 0, 10_000},
	} {
		if n.n < n.min || n.n > n.most {
			return o, fmt.Errorf("-%s %d: want %d to %d", n.name, n.n, n.min, n.most)
		}
	}
	switch {
	case o.minDelay < 0 || o.maxDelay < o.minDelay || o.maxDelay > 10*time.Minute:
		return o, fmt.Errorf("-min-delay %v and -max-delay %v: want 0 up to 10m, in this order", o.minDelay, o.maxDelay)
	case !(o.rate >= 0 && o.rate <= 1e6): // a NaN is neither
		return o, fmt.Errorf("-rate %v: want 0 to 1e6", o.rate)
	case o.drain < 0 || o.drain > time.Hour:
		return o, fmt.Errorf("-drain %v: want 0 to 1h", o.drain)
	case o.token != "" && len(o.token) < 16:
		return o, errors.New("-admin-token: want at least 16 characters")
	}
	if n := len(o.addr); n > 2 && o.addr[0] == '[' && o.addr[n-1] == ']' { // as an IPv6 address is in a URL
		o.addr = o.addr[1 : n-1]
	}
	for name := range strings.SplitSeq(hosts, ",") {
		if name = strings.TrimSpace(name); name != "" {
			o.hosts = append(o.hosts, hostOf(name))
		}
	}
	return o, nil
}
