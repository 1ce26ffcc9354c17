// Package model_test runs the model of the engine's queue, where spin is installed.
package model_test

import (
	"flag"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var full = flag.Bool("full", false, "run also the cases of the model that take long")

// found is what pan says of the first fault.
var found = regexp.MustCompile(`pan:1: (.*) \(at depth`)

// pan builds the verifier of a case and returns a function that runs it on the model with
// one bug, 0 for none. It returns what pan says.
func pan(t *testing.T, flags string) func(t *testing.T, bug int) string {
	t.Helper()
	model, err := filepath.Abs("queue.pml")
	require.NoError(t, err)
	dir := t.TempDir()
	command(t, dir, "spin", append(append([]string{"-a"}, strings.Fields(flags)...), model)...)
	command(t, dir, "cc", "-DSAFETY", "-DCOLLAPSE", "-w", "-o", "pan", "pan.c")
	return func(t *testing.T, bug int) string {
		t.Helper()
		t.Setenv("BUG", strconv.Itoa(bug))
		return command(t, dir, "./pan", "-m200000", "-w22")
	}
}

// command runs a program in dir and returns what it writes. Its exit status does not count: pan's
// is 0 whatever it finds.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
	return string(out)
}

// cases are what is to be whole, and the bugs that are to be found there. See README.md for
// their numbers.
var cases = []struct {
	name, flags string
	long        bool // the whole model takes more than a few seconds
	bugs        []int
	longBugs    []int
}{
	{name: "one place", flags: "-DLIMIT=1"},
	{name: "two places", flags: "-DLIMIT=2", long: true, bugs: []int{2, 3, 10, 16, 17}, longBugs: []int{1, 4, 11, 12}},
	{name: "an outbox and Put", flags: "-DLIMIT=2 -DPUTTERS=1 -DCANCELS=1", long: true},
	{name: "Close at any time", flags: "-DLIMIT=1 -DPUTTERS=2 -DCANCELS=1 -DEARLY=1 -DITEMS0=1", long: true, bugs: []int{9}},
	{name: "crew", flags: "-DLIMIT=2 -DPUTTERS=2 -DSPARE=1", long: true, bugs: []int{6, 13}},
	{name: "window", flags: "-DLIMIT=2 -DPUTTERS=2 -DWINDOW=1", long: true},
	{name: "window, one place", flags: "-DLIMIT=1 -DPUTTERS=2 -DWINDOW=1", long: true, longBugs: []int{14}},
	{name: "held", flags: "-DLIMIT=1 -DPUTTERS=2 -DHOLDS=1 -DITEMS0=1 -DSLOW=0", long: true, longBugs: []int{5, 7, 15}},
	{name: "timeout", flags: "-DLIMIT=2 -DPUTTERS=2 -DTIMEOUTS=1", long: true},
}

func TestTheQueueOnAllInterleavings(t *testing.T) {
	for _, tool := range []string{"spin", "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: see README.md", tool)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bugs := slices.Clone(c.bugs)
			if *full {
				bugs = append(bugs, c.longBugs...)
			}
			if len(bugs) == 0 && c.long && !*full {
				t.Skip("with -full only")
			}
			run := pan(t, c.flags)
			for _, bug := range bugs {
				assert.Regexp(t, found, run(t, bug), "bug %d is not found", bug)
			}
			if c.long && !*full {
				return
			}
			out := run(t, 0)
			assert.Contains(t, out, "errors: 0")
			assert.NotContains(t, out, "max search depth too small")
			t.Log(strings.TrimSpace(figures.FindString(out)))
		})
	}
}

var figures = regexp.MustCompile(`\d+ states, stored`)
