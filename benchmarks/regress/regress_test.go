package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// printed is what ten runs of some benchmarks print, with a time that varies by a hundredth.
func printed(ns, allocs float64, names ...string) string {
	var b strings.Builder
	b.WriteString("goos: linux\ngoarch: amd64\npkg: example.com/x\n")
	for i := range 10 {
		for _, name := range names {
			fmt.Fprintf(&b, "Benchmark%s-2\t1000\t%.3f ns/op\t64 B/op\t%.0f allocs/op\n", name, ns*(1+float64(i%5)/500), allocs)
		}
	}
	b.WriteString("PASS\n")
	return b.String()
}

func compared(t *testing.T, old, now string) (string, int) {
	t.Helper()
	a, err := parse(strings.NewReader(old), "old")
	require.NoError(t, err)
	b, err := parse(strings.NewReader(now), "new")
	require.NoError(t, err)
	var out bytes.Buffer
	worse := report(&out, compare(a, b))
	return out.String(), worse
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		name     string
		old, now string
		worse    int
		says     string
	}{
		{"slower", printed(100, 1, "Do"), printed(110, 1, "Do"), 1, "WORSE"},
		{"slower, but within the tolerance", printed(100, 1, "Do"), printed(104, 1, "Do"), 0, "+4.0%"},
		{"faster", printed(100, 1, "Do"), printed(50, 1, "Do"), 0, "-50.0%"},
		{"the same", printed(100, 1, "Do"), printed(100, 1, "Do"), 0, "~"},
		{"an allocation more", printed(100, 1, "Do"), printed(100, 2, "Do"), 1, "+100.0%"},
		{"an allocation where there was none", printed(100, 0, "Do"), printed(100, 1, "Do"), 1, "+Inf%"},
		{"not ours", printed(100, 1, "Do/subject=channels"), printed(200, 1, "Do/subject=channels"), 0, "control"},
		{"only one of two", printed(100, 1, "Do", "Map"), printed(200, 1, "Do"), 1, "WORSE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, worse := compared(t, test.old, test.now)
			assert.Equal(t, test.worse, worse, out)
			assert.Contains(t, out, test.says)
		})
	}
}

// TestNoiseIsNotFlagged has medians that differ by more than the tolerance, and samples that lie in each other.
func TestNoiseIsNotFlagged(t *testing.T) {
	sample := func(values ...int) string {
		var b strings.Builder
		for _, v := range values {
			fmt.Fprintf(&b, "BenchmarkDo-2\t10\t%d ns/op\n", v)
		}
		return b.String()
	}
	out, worse := compared(t, sample(80, 90, 100, 120, 150), sample(85, 95, 110, 118, 149))
	assert.Zero(t, worse, out)
}

// TestTwoCommits makes a repository whose second commit does a thousand times the work, and compares them.
func TestTwoCommits(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	git := func(args ...string) {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	file := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	source := func(loops int) string {
		return fmt.Sprintf("package x\nimport \"testing\"\nvar sum int\nfunc BenchmarkX(b *testing.B) { for b.Loop() { for i := range %d { sum += i } } }\n", loops)
	}
	t.Setenv("GOWORK", "off")
	git("init", "-q")
	file("go.mod", "module example.com/x\n\ngo 1.26\n")
	file("x_test.go", source(100))
	git("add", ".")
	git("commit", "-q", "-m", "fast")
	file("x_test.go", source(100_000))
	git("commit", "-q", "-a", "-m", "slow")

	args := func(commits ...string) []string {
		return append([]string{"-pkg", ".", "-rounds", "5", "-benchtime", "20x"}, commits...)
	}
	var out bytes.Buffer
	require.ErrorIs(t, run(context.Background(), args("HEAD~1", "HEAD"), &out, io.Discard), errWorse, out.String())
	assert.Contains(t, out.String(), "WORSE")
	require.NoError(t, run(context.Background(), args("HEAD", "HEAD~1"), &out, io.Discard), "the other way round it is faster")
	require.ErrorIs(t, run(context.Background(), args("HEAD~1"), &out, io.Discard), errWorse, "the working tree is slow")

	list, err := exec.Command("git", "worktree", "list").Output()
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(list), "\n"), "no worktree is left")

	require.ErrorContains(t, run(context.Background(), args("no-such-commit"), io.Discard, io.Discard), "git worktree")
	require.ErrorContains(t, run(context.Background(), nil, io.Discard, io.Discard), "commits are needed")
}
