package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/millstream-go/millstream/pool"
)

const usage = `usage: jobqueue [flags]

Works off tasks, a bounded number at a time, and prints a table of them at the end.
The tasks come from -jobs, or one a line from standard input, and are started
while more are read:

  sleep DURATION  does nothing for so long, such as 2s or 150ms
  hash FILE       gives the SHA-256 of a regular file
  count FILE      counts its lines, words and bytes, as wc does

FILE is the rest of the line, or quoted, as "a\tb" or 'a b'. There is no shell
behind it. Empty lines, and lines that begin with #, are skipped.

Lines may also be commands, which act as soon as they are read, and stand above
tasks that wait in front of a full queue:

  :halt N       halt worker N behind its job; "all" halts all of them
  :haltnow N    the same, and cancel the job in hand
  :resize N     have N workers
  :pause        start no more jobs; go on with :resume
  :cancel ID    cancel a job
  :workers      tell what each worker does
  :jobs         tell of the jobs that have not ended
  :stop         take no more tasks, and finish those that were taken
  :help         tell of these, and of their short forms: 0 to 9 + - p h q ?

flags:
  -jobs TASKS   the tasks, with semicolons or newlines between them; standard input is then
                read too if it is a terminal, until the jobs have ended
  -workers n    jobs to run at the same time (default: GOMAXPROCS)
  -queue n      jobs that may wait for a worker (default 1024)
  -full what    what to do with a task when they are that many: block (the default: it waits
                for room), reject, drop (the oldest in the queue) or caller (it runs at once,
                beside the queue, as soon as a worker is free)
  -timeout d    how long one call may take (default: as long as it wants)
  -retry n      how often a call that failed is made again (default 0)
  -by-file      jobs on the same file run one at a time, in order
  -drain d      how long jobs may go on after the first Ctrl-C or :stop (default 10s)
  -json         print one JSON document instead of the table

What happens is told on standard error: as lines that are drawn anew a few times a
second if it is a terminal, else as one line for each event. Ctrl-C takes no more
tasks and finishes those that were taken; again, it cancels them. The signal
USR1, where there is one, halts the worker with the highest number. When no more
commands can come, a pause ends, and the last worker stays.

exit status: 0 all jobs succeeded; 1 one did not, a line was bad, or the output could
not be written; 2 wrong usage; 130 interrupted.
`

// policies are what -full can be.
var policies = map[string]pool.Policy{
	"block": pool.Block, "reject": pool.Reject, "drop": pool.DropOldest, "caller": pool.CallerRuns,
}

// options are what the command line says.
type options struct {
	jobs    string
	inline  bool // the tasks come from jobs
	workers int
	queue   int
	full    pool.Policy
	timeout time.Duration
	retry   int
	byFile  bool
	drain   time.Duration
	json    bool
}

// parseArgs reads the command line. Its error is flag.ErrHelp or one for the user.
func parseArgs(args []string) (o options, err error) {
	flags := flag.NewFlagSet("jobqueue", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the usage text is ours, and errors are for the caller to print
	flags.Func("jobs", "", func(text string) error {
		o.jobs, o.inline = text, true
		return nil
	})
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "")
	flags.IntVar(&o.queue, "queue", 1024, "")
	full := flags.String("full", "block", "")
	flags.DurationVar(&o.timeout, "timeout", 0, "")
	flags.IntVar(&o.retry, "retry", 0, "")
	flags.BoolVar(&o.byFile, "by-file", false, "")
	flags.DurationVar(&o.drain, "drain", 10*time.Second, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}

	policy, known := policies[*full]
	o.full = policy
	switch {
	case flags.NArg() > 0:
		return o, errors.New("no arguments beside flags: tasks come from -jobs or standard input")
	case o.workers < 1:
		return o, fmt.Errorf("-workers must be at least 1, not %d", o.workers)
	case o.queue < 1:
		return o, fmt.Errorf("-queue must be at least 1, not %d", o.queue)
	case !known:
		return o, fmt.Errorf("-full must be one of %s, not %q",
			strings.Join(slices.Sorted(maps.Keys(policies)), ", "), *full)
	case o.timeout < 0:
		return o, fmt.Errorf("-timeout must not be negative: %s", o.timeout)
	case o.retry < 0:
		return o, fmt.Errorf("-retry must not be negative: %d", o.retry)
	case o.drain < 0:
		return o, fmt.Errorf("-drain must not be negative: %s", o.drain)
	}
	return o, nil
}

// pool returns the options of the pool.
func (o options) pool() []pool.Option {
	opts := []pool.Option{pool.Workers(o.workers), pool.Queue(o.queue), pool.WhenFull(o.full)}
	if o.timeout > 0 {
		opts = append(opts, pool.Timeout(o.timeout))
	}
	if o.retry > 0 {
		// Steady, since there is no server that all jobs would come back to at once.
		opts = append(opts, pool.Retry(pool.RetryPolicy{Attempts: o.retry + 1, Steady: 1}))
	}
	return opts
}
