// Package model_test runs the model of the engine's queue, where spin is installed.
package model_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	for _, tool := range []string{"spin", "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: see README.md", tool)
		}
	}
	model, err := filepath.Abs("queue.pml")
	require.NoError(t, err)
	dir := t.TempDir()
	command(t, dir, "spin", append(append([]string{"-a"}, strings.Fields(flags)...), model)...)
	command(t, dir, "cc", "-DSAFETY", "-DCOLLAPSE", "-w", "-o", "pan", "pan.c")
	return func(t *testing.T, bug int) string {
		t.Helper()
		t.Setenv("BUG", fmt.Sprint(bug))
		return command(t, dir, "./pan", "-m200000", "-w22", "-x")
	}
}

// command runs a program in dir and returns what it writes. Its exit status does not count: pan's
// is 0 whatever it finds.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
	return string(out)
}
