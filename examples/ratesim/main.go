// Ratesim shows what limits do to traffic, as tables and as a picture, without sending any:
//
//	go run ./examples/ratesim -traffic '50 every 1s' '100/s burst 20' '100/s burst 20 wait 2s'
//
// It is a few flags around package ratelimit/ratesim. See README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/millstream-go/millstream/ratelimit/ratesim"
)

// The exit statuses, as the usage text gives them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `usage: ratesim [flags] limit...

Shows which requests of some traffic each limit admits, and when. Time is virtual.

limits:
  '100/s burst 20'           100 a second with a burst of 20; s, m, h, d or a duration
  '100/s burst 20 wait 2s'   the same, and requests wait for up to 2 s
traffic:
  '50 every 1s'              50 at once, every second
  '80/s'                     one after the other
  'poisson 80/s seed 7'      by chance; the same seed, the same traffic
  '80/s from 2s to 5s'       in this time only
  '30/s + 50 every 10s'      both

flags:
  -traffic text   what arrives (default '50 every 1s')
  -for duration   for how long (default 10s)
  -svg file       write a timeline there
  -h              this text

exit status: 0 done, 1 the file could not be written, 2 wrong arguments
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program without what is global to a process. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("ratesim", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	text := flags.String("traffic", "50 every 1s", "")
	d := flags.Duration("for", 10*time.Second, "")
	picture := flags.String("svg", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err != nil:
		return complain(stderr, exitUsage, err)
	case *d <= 0:
		return complain(stderr, exitUsage, fmt.Errorf("-for %v: want more than 0", *d))
	case flags.NArg() == 0:
		return complain(stderr, exitUsage, errors.New("want a limit, such as '100/s burst 20'"))
	}
	traffic, err := ratesim.ParseTraffic(*text)
	if err != nil {
		return complain(stderr, exitUsage, err)
	}
	var limits []ratesim.Limit
	for _, arg := range flags.Args() {
		limit, err := ratesim.ParseLimit(arg)
		if err != nil {
			return complain(stderr, exitUsage, err)
		}
		limits = append(limits, limit)
	}
	report := ratesim.Run(*d, traffic, limits...)
	if *picture != "" {
		if err := draw(*picture, report); err != nil {
			return complain(stderr, exitFailed, err)
		}
	}
	if _, err := fmt.Fprint(stdout, report); err != nil {
		return complain(stderr, exitFailed, err)
	}
	return exitOK
}

func draw(name string, report ratesim.Report) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteSVG(file), file.Close())
}

func complain(stderr io.Writer, status int, err error) int {
	_, _ = fmt.Fprintln(stderr, "ratesim:", err)
	if status == exitUsage {
		_, _ = fmt.Fprintln(stderr, "for the flags, run ratesim -h")
	}
	return status
}
