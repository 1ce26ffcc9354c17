package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

const usage = `usage: soak [flags]

Keeps pools, pipelines and limits under a mixed load with faults injected, and checks that every input that was
accepted ends exactly once, as it should, and that memory and goroutines do not grow.

flags:
  -for duration    how long (default 1m)
  -seed n          of the random choices (default: a new one, which is printed)
  -load share      of one processor core to use, about (default 0.5)
  -every duration  between two lines of progress (default 10s)
  -out file        write heap and goroutines over time there, as SVG
  -h               this text

Ctrl-C ends it early, with the ledger of what was done until then.

exit status: 0 all is well, 1 the ledger does not add up, or memory or goroutines rise, or the file could not be
written, 2 wrong arguments
`

type options struct {
	length, every time.Duration
	seed          uint64
	load          float64
	out           string
}

func parseArgs(args []string) (o options, err error) {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.length, "for", time.Minute, "")
	flags.DurationVar(&o.every, "every", 10*time.Second, "")
	flags.Uint64Var(&o.seed, "seed", rand.Uint64(), "")
	flags.Float64Var(&o.load, "load", 0.5, "")
	flags.StringVar(&o.out, "out", "", "")
	if wrong := flags.Parse(args); wrong != nil {
		return o, wrong
	}
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.length <= 0:
		err = fmt.Errorf("-for %v: want more than 0", o.length)
	case o.every <= 0:
		err = fmt.Errorf("-every %v: want more than 0", o.every)
	case !(o.load > 0 && o.load <= 64):
		err = fmt.Errorf("-load %v: want more than 0 and at most 64", o.load)
	}
	return o, err
}
