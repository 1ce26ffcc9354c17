// Command regress compares the speed of two commits of this repository, and says what has become slower.
//
// In the root of the repository:
//
//	go run ./benchmarks/regress main            # the working tree against main
//	go run ./benchmarks/regress v0.1.0 main     # main against v0.1.0
//	go run ./benchmarks/regress -bench 'Submit|Do$' -benchtime 0.5s HEAD~1
//
// It builds the benchmarks of package benchmarks (or -pkg) at both commits, in worktrees of git that it takes away again,
// and runs the two binaries in turn, ten times by default, so that a machine which warms up or slows down treats them
// alike. The figures are compared as benchstat does it, with its library: medians, and the Mann-Whitney U test. Time,
// bytes and allocations count. What is worse by more than 5 % at p < 0.05 is flagged, and the exit status is then 1; it is
// 2 if there was no comparison.
//
// Subjects that are not ours (loops, channels) are shown as a control and not flagged: if they differ, it is the machine.
// Of a hundred comparisons that are equal, some are flagged by chance; run what was flagged again, with -bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

var errWorse = errors.New("something is worse")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errWorse):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "regress:", err)
		os.Exit(2)
	}
}

// job is what the command line asks for.
type job struct {
	old, new         string // commits; new "": the working tree
	pkg              string
	bench, benchtime string
	rounds           int
	keep             string // directory for what the binaries printed; "": none
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var j job
	flags := flag.NewFlagSet("regress", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		say(stderr, "usage: regress [flags] old-commit [new-commit]")
		flags.PrintDefaults()
	}
	flags.StringVar(&j.pkg, "pkg", "./benchmarks", "the `package` with the benchmarks")
	flags.StringVar(&j.bench, "bench", ".", "run the benchmarks that match this `regexp`")
	flags.StringVar(&j.benchtime, "benchtime", "0.1s", "for each benchmark in each round")
	flags.IntVar(&j.rounds, "rounds", 10, "rounds; below 4 nothing can be significant")
	flags.StringVar(&j.keep, "keep", "", "keep what the benchmarks printed in this `directory`, as old.txt and new.txt")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch flags.NArg() {
	case 2:
		j.new = flags.Arg(1)
		fallthrough
	case 1:
		j.old = flags.Arg(0)
	default:
		flags.Usage()
		return errors.New("one or two commits are needed")
	}
	if j.rounds < 1 {
		return errors.New("-rounds must be positive")
	}
	return j.compare(ctx, stdout, stderr)
}

func (j job) compare(ctx context.Context, stdout, stderr io.Writer) error {
	tmp, err := os.MkdirTemp("", "regress")
	if err != nil {
		return err
	}
	return errors.Join(j.compareIn(ctx, tmp, stdout, stderr), os.RemoveAll(tmp))
}

// compareIn has its files in a directory that is empty.
func (j job) compareIn(ctx context.Context, tmp string, stdout, stderr io.Writer) error {
	names := [2]string{"old", "new"}
	var binaries [2]string
	for i, commit := range [2]string{j.old, j.new} {
		say(stderr, "building %s", described(commit))
		binaries[i] = filepath.Join(tmp, names[i]+".test")
		if err := j.build(ctx, commit, filepath.Join(tmp, names[i]), binaries[i]); err != nil {
			return err
		}
	}

	dir := j.keep
	if dir == "" {
		dir = tmp
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var files [2]string
	for i, name := range names {
		files[i] = filepath.Join(dir, name+".txt")
		if err := os.WriteFile(files[i], nil, 0o644); err != nil {
			return err
		}
	}
	for round := range j.rounds {
		say(stderr, "round %d of %d", round+1, j.rounds)
		for i := range binaries {
			which := (i + round) % 2 // who is first has what the other has warmed up, in turn
			if err := j.measure(ctx, binaries[which], tmp, files[which]); err != nil {
				return err
			}
		}
	}

	old, err := read(files[0])
	if err != nil {
		return err
	}
	now, err := read(files[1])
	if err != nil {
		return err
	}
	lines := compare(old, now)
	if len(lines) == 0 {
		return errors.New("the two have no benchmark in common")
	}
	say(stdout, "old: %s\nnew: %s\n", described(j.old), described(j.new))
	if worse := report(stdout, lines); worse > 0 {
		return errWorse
	}
	return nil
}

func described(commit string) string {
	if commit == "" {
		return "the working tree"
	}
	return commit
}

// build makes the test binary of a commit, in a worktree that is gone afterwards, or of the working tree.
func (j job) build(ctx context.Context, commit, tree, binary string) error {
	if commit == "" {
		return command(ctx, ".", "go", "test", "-c", "-o", binary, j.pkg)
	}
	if err := command(ctx, ".", "git", "worktree", "add", "--quiet", "--detach", tree, commit); err != nil {
		return err
	}
	built := command(ctx, tree, "go", "test", "-c", "-o", binary, j.pkg)
	// Also when the build was interrupted.
	removed := command(context.WithoutCancel(ctx), ".", "git", "worktree", "remove", "--force", tree)
	return errors.Join(built, removed)
}

// measure runs a binary once and adds what it prints to a file.
func (j job) measure(ctx context.Context, binary, dir, file string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench="+j.bench, "-test.benchtime="+j.benchtime, "-test.benchmem")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, f, os.Stderr
	ran := cmd.Run()
	if ran != nil {
		ran = fmt.Errorf("%s: %w", filepath.Base(binary), ran)
	}
	return errors.Join(ran, f.Close())
}

// command runs a command and has what it says in its error.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, out)
	}
	return nil
}

// say prints a line for people. If it cannot, there is nobody to tell.
func say(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...) //nolint:errcheck // see above
}
