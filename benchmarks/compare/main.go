package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "compare:", err)
		}
		os.Exit(1)
	}
}

// results is where the tables and charts of the repository are.
const results = "benchmarks/results"

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		pattern = flags.String("run", "", "measure what matches this `regexp`, which sees scenario/subject, such as flow/3x4/any/noop/rill")
		rounds  = flags.Int("rounds", 5, "rounds; scenarios whose runs take seconds have 2 or 3")
		short   = flags.Bool("short", false, "short rounds, few scenarios, and an error if Millstream is not ahead where the README says so")
		out     = flags.String("out", "", "`directory` for tables and charts; the default is "+results+", or with -run and -short the terminal")
		from    = flags.String("from", "", "do not measure, but write the tables and charts of this JSON `file`; with -run, measure that again")
		readme  = flags.String("readme", "", "also put the overview between the marks in this `file`")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *rounds < 1 {
		return errors.New("-rounds must be positive")
	}
	match, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if *from != "" {
		rep, err := load(*from)
		if err != nil {
			return err
		}
		if *pattern != "" {
			b := bench{match: match, rounds: *rounds, shorten: 1, log: stderr}
			newer, failed := b.run(allScenarios())
			newer.Command = command(flags)
			if err := errors.Join(failed, rep.renew(newer)); err != nil {
				return err
			}
		}
		return write(rep, orElse(*out, filepath.Dir(*from)), *readme)
	}
	if *short {
		return runShort(match, filepath.Join(results, "results.json"), stdout, stderr)
	}
	whole := *pattern == ""
	if whole && *out == "" {
		if _, err := os.Stat("go.work"); err != nil {
			return errors.New("run it in the root of the repository, or say -out")
		}
		*out = results
	}

	b := bench{match: match, rounds: *rounds, shorten: 1, log: stderr}
	rep, failed := b.run(allScenarios())
	rep.Command = command(flags)
	if len(rep.Scenarios) == 0 {
		return errors.Join(failed, errors.New("nothing matches -run"))
	}
	if *out == "" {
		printTables(stdout, rep)
		return failed
	}
	return errors.Join(failed, write(rep, *out, *readme))
}

// write makes the tables and charts of a directory.
func write(rep *report, dir, readme string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := rep.save(filepath.Join(dir, "results.json")); err != nil {
		return err
	}
	if err := writeTables(rep, dir); err != nil {
		return err
	}
	if err := writeCharts(rep, dir); err != nil {
		return err
	}
	if readme == "" {
		return nil
	}
	return updateReadme(readme, rep)
}

// command is how one repeats it: the flags that were set, without where the files go.
func command(flags *flag.FlagSet) string {
	words := "go run ./benchmarks/compare"
	flags.Visit(func(f *flag.Flag) {
		if f.Name == "out" || f.Name == "readme" {
			return
		}
		value := f.Value.String()
		if strings.ContainsAny(value, " |*?()[]$'\"\\") {
			value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
		}
		words += " -" + f.Name + "=" + value
	})
	return words
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// since is how long it is, for people.
func since(start time.Time) string { return time.Since(start).Round(100 * time.Millisecond).String() }

// say prints a line for people. If it cannot, there is nobody to tell.
func say(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...) //nolint:errcheck // see above
}
