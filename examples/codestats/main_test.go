package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestCommandLine(t *testing.T) {
	root := write(t, sampleTree())
	empty := t.TempDir()
	plain := filepath.Join(root, "a", "README.md")
	for name, tt := range map[string]struct {
		args   []string
		status int
		stderr string // "" for nothing at all
	}{
		"a folder":            {[]string{root}, exitOK, ""},
		"help":                {[]string{"-h"}, exitOK, ""},
		"workers 0":           {[]string{"-workers", "0", root}, exitUsage, "-workers must be at least 1, not 0"},
		"workers -1":          {[]string{"-workers=-1", root}, exitUsage, "-workers must be at least 1, not -1"},
		"workers x":           {[]string{"-workers", "x"}, exitUsage, `invalid value "x" for flag -workers`},
		"top -1":              {[]string{"-top", "-1", root}, exitUsage, "-top must not be negative"},
		"unknown flag":        {[]string{"-nope"}, exitUsage, "not defined: -nope"},
		"two folders":         {[]string{root, root}, exitUsage, "one folder at most"},
		"flag behind folder":  {[]string{root, "-json"}, exitUsage, "flag -json must stand before the folder"},
		"no name":             {[]string{""}, exitUsage, "the name of the folder is empty"},
		"missing folder":      {[]string{filepath.Join(root, "no")}, exitFailed, filepath.Join(root, "no") + ": " + syscall.ENOENT.Error()},
		"a file":              {[]string{plain}, exitFailed, plain + ": not a folder"},
		"a folder without Go": {[]string{empty}, exitFailed, empty + ": no Go files"},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, tt.args...)
			assert.Equal(t, tt.status, got.status)
			if tt.stderr == "" {
				assert.Empty(t, got.stderr)
				assert.NotEmpty(t, got.stdout)
				return
			}
			assert.Contains(t, got.stderr, tt.stderr)
			assert.Empty(t, got.stdout)
			for line := range strings.Lines(got.stderr) {
				assert.True(t, strings.HasPrefix(line, "codestats: "), "%q", line)
			}
		})
	}
}

// Without a folder it is the standard library of the go command.
func TestDefaultIsTheStandardLibrary(t *testing.T) {
	root, title, err := standardLibrary(t.Context())
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(root, "fmt", "print.go"))
	assert.Regexp(t, `^standard library of go1\.`, title)

	t.Setenv("PATH", t.TempDir())
	got := command(t)
	assert.Equal(t, exitFailed, got.status)
	assert.Contains(t, got.stderr, "name a folder instead")
}

// What fails is named, one line each, and counted; the rest is measured.
func TestTroubleIsNamedAndTheRestIsDone(t *testing.T) {
	files := sampleTree()
	files["b/broken.go"] = file("package b\n\nfunc {\n")
	files["b/worse.go"] = file("func\n)\n(\n")
	files["b/empty.go"] = file("")
	files["b/esc\x1b[31m.go"] = file("package")
	files["b/huge.go"] = file(strings.Repeat(" ", maxFile+1))
	files["b/burnt.go"] = file("package b\n")
	files["b/panics.go"] = file("package b\n")
	files["locked/in.go"] = file("package locked\n")
	fsys := hookFS{failing(files, "b/burnt.go", "locked"), func(name string) error {
		if name == "b/panics.go" {
			panic("boom\nsecond line")
		}
		return nil
	}}

	got := execute(t.Context(), fsys, options{}, false)
	assert.Equal(t, exitOK, got.status)

	want := []string{
		filepath.FromSlash("codestats: tree/b/broken.go:3:6: expected 'IDENT', found '{'"),
		filepath.FromSlash("codestats: tree/b/worse.go:1:1: expected 'package', found 'func'"),
		filepath.FromSlash("codestats: tree/b/empty.go:1:1: expected 'package', found 'EOF'"),
		filepath.FromSlash(`codestats: tree/b/esc\x1b[31m.go:1:8: expected 'IDENT', found 'EOF'`),
		filepath.FromSlash("codestats: tree/b/huge.go: larger than 8 MiB"),
		filepath.FromSlash("codestats: tree/b/burnt.go: the disk is on fire"),
		filepath.FromSlash(`codestats: tree/b/panics.go: read: panic: boom\nsecond line`),
		filepath.FromSlash("codestats: tree/locked: the disk is on fire"),
	}
	lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
	for i, line := range lines { // how many more errors a parser sees is its own business
		lines[i] = regexp.MustCompile(` \(and \d+ more\)$`).ReplaceAllString(line, "")
	}
	assert.ElementsMatch(t, want, lines)
	assert.Contains(t, got.stdout, "left out: broken files 4, unreadable files 1, files that are too large 1, "+
		"files that made a stage panic 1, unreadable folders 1\n")
	assert.Contains(t, got.stdout, "tree: 3 files, 35 lines in ")
	assert.Contains(t, got.stdout, "\nlongest function: (*T).Long, 7 lines, a/first.go:12\n")
	assert.Regexp(t, `(?m)^a +2 +32 +5  \(\*T\)\.Long +7  first\.go:12 +\S+s$`, got.stdout)
	assert.Regexp(t, `(?m)^  read \(map\) +3 +11 +7 +4 +4 `, got.stdout, "in, out, errors, dead letters")
	assert.Regexp(t, `(?m)^  parse \(map\) +3 +7 +3 +4 +4 `, got.stdout)
	assert.Regexp(t, `(?m)^└ results +- +3 +0 +0 +0 `, got.stdout)
}

func TestManyProblemsAreCounted(t *testing.T) {
	files := fstest.MapFS{"good.go": file("package a\n")}
	for i := range maxMessages + 1234 {
		files["bad/"+show.Commas(i)+".go"] = file("broken")
	}
	got := execute(t.Context(), files, options{}, false)
	assert.Equal(t, exitOK, got.status)
	assert.Equal(t, maxMessages+1, strings.Count(got.stderr, "\n"))
	assert.True(t, strings.HasSuffix(got.stderr, "\ncodestats: and 1,234 more that could not be measured\n"), got.stderr)
	assert.Contains(t, got.stdout, "left out: broken files 1,254\n")
}

func TestNothingMeasuredIsAFailure(t *testing.T) {
	for name, fsys := range map[string]hookFS{
		"all broken":      {fstest.MapFS{"a.go": file("broken")}, func(string) error { return nil }},
		"unreadable file": {fstest.MapFS{"a.go": file("package a")}, func(name string) error { return map[string]error{"a.go": errDisk}[name] }},
		"unreadable root": {fstest.MapFS{"a.go": file("package a")}, func(string) error { return errDisk }},
	} {
		t.Run(name, func(t *testing.T) {
			got := execute(t.Context(), fsys, options{}, false)
			assert.Equal(t, exitFailed, got.status)
			assert.Empty(t, got.stdout)
			assert.Contains(t, got.stderr, "codestats: tree: no Go file could be measured: ")
			assert.Equal(t, 2, strings.Count(got.stderr, "\n"), got.stderr)
		})
	}
}

// One file that makes the parser panic costs that file and no other.
func TestPanicInParse(t *testing.T) {
	for name, pass := range map[string]func(*survey){
		"pipeline":   func(s *survey) { s.pipeline(t.Context(), 2) },
		"plain loop": func(s *survey) { s.plainLoop(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			var notes bytes.Buffer
			s := newSurvey(tree{fsys: sampleTree()}, "tree", &notes)
			parse := s.do.parse
			s.do.parse = func(ctx context.Context, src source) (syntax, error) {
				if src.path == "a/second_test.go" {
					panic("boom")
				}
				return parse(ctx, src)
			}
			pass(s)
			assert.Equal(t, counts{2, 23, 4, function{"(*T).Long", 7, "a/first.go", 12}}, s.packages.total().counts)
			assert.Equal(t, leftOut{Crashed: 1}, s.problems.counts)
			said := "codestats: " + filepath.FromSlash("tree/a/second_test.go: ") + strings.Repeat("parse: ", 1-strings.Count(name, "plain")) + "panic: boom\n"
			assert.Equal(t, said, notes.String())
		})
	}
}

func TestJSON(t *testing.T) {
	files := sampleTree()
	files["b/broken.go"] = file("package b\n\nfunc {\n")
	got := execute(t.Context(), files, options{json: true, top: 1}, true)
	assert.Equal(t, exitOK, got.status)
	assert.NotContains(t, got.stderr, "\r", "no bar beside a document")

	dec := json.NewDecoder(strings.NewReader(got.stdout))
	var document report
	require.NoError(t, dec.Decode(&document))
	require.ErrorIs(t, dec.Decode(&document), io.EOF, "one document, and nothing behind it")
	for _, s := range document.Pipeline.Stages {
		assert.InDelta(t, 1, s.Busy+s.Starved+s.Blocked+s.Limited, 1e-3, s.Name)
	}

	// Times differ from run to run, and what is said of them; everything else is golden.
	text := regexp.MustCompile(`("(\w+_ns|busy|starved|blocked|peak_queue)": )[0-9.e-]+`).ReplaceAllString(got.stdout, "${1}0")
	text = regexp.MustCompile(`("(verdict|bottleneck|bottleneck_stage)": ).*,`).ReplaceAllString(text, "${1}null,")
	golden := filepath.Join("testdata", "report.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), text)
}

// Whoever reads the document gets one even if there is nothing in it.
func TestJSONOfNothing(t *testing.T) {
	got := execute(t.Context(), fstest.MapFS{}, options{json: true, compare: true}, false)
	assert.Equal(t, exitFailed, got.status)
	assert.Contains(t, got.stdout, `"packages": [],`)
	assert.NotContains(t, got.stdout, `"compare"`)
	assert.Contains(t, got.stderr, "no Go files")
}

// A reader whose files take a second each is interrupted after three and a half:
// what was measured until then is printed, marked, and nothing is left running,
// which the bubble that the test runs in insists on.
func TestInterrupted(t *testing.T) {
	for name, terminal := range map[string]bool{"piped": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				files := fstest.MapFS{}
				for i := range 2000 {
					files["p/"+show.Commas(i)+".go"] = file("package p\n")
				}
				slow := hookFS{files, func(name string) error {
					if strings.HasSuffix(name, ".go") {
						time.Sleep(time.Second)
					}
					return nil
				}}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(3500*time.Millisecond, cancel)

				start := time.Now()
				got := execute(ctx, slow, options{workers: 2, compare: true}, terminal)
				assert.Equal(t, exitInterrupted, got.status)
				assert.Equal(t, 4*time.Second, time.Since(start), "as soon as the reads in flight are done")
				assert.Contains(t, got.stdout, "PARTIAL: ")
				assert.Contains(t, got.stdout, "tree: 6 files, 6 lines in 4s")
				assert.Contains(t, got.stdout, "left out: nothing\n")
				assert.NotContains(t, got.stdout, "plain loop")
				assert.True(t, strings.HasSuffix(got.stderr, "codestats: interrupted; 6 files were measured until then\n"), got.stderr)
			})
		})
	}
}

func TestInterruptedJSONSaysPartial(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := execute(ctx, sampleTree(), options{json: true}, false)
	assert.Equal(t, exitInterrupted, got.status)
	assert.Contains(t, got.stdout, `"partial": true,`)
}

func TestCompare(t *testing.T) {
	files := sampleTree()
	files["b/broken.go"] = file("broken")
	got := execute(t.Context(), files, options{compare: true}, false)
	assert.Equal(t, exitOK, got.status)
	assert.Regexp(t, `plain loop \S+, pipeline \S+: speed-up \d+\.\d\d, best of 3; both gave the same totals\n$`, got.stdout)
	assert.Equal(t, 1, strings.Count(got.stderr, "\n"), "a problem is named once, not once per pass")
}

// A file that changes between the passes must not go unseen.
func TestCompareSeesADifference(t *testing.T) {
	files := sampleTree()
	opened := 0
	fsys := hookFS{files, func(name string) error {
		if name == "a/deep/main.go" {
			if opened++; opened == 4 { // in the second round
				return errDisk
			}
		}
		return nil
	}}
	got := execute(t.Context(), fsys, options{compare: true}, false)
	assert.Equal(t, exitFailed, got.status)
	assert.Contains(t, got.stdout, "THE TOTALS DIFFER")
	assert.Contains(t, got.stderr, "counted differently")
}

func TestCompareInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	opened := 0
	fsys := hookFS{sampleTree(), func(name string) error {
		if name == "a/deep/main.go" {
			if opened++; opened == 4 { // in the second round
				cancel()
			}
		}
		return nil
	}}
	got := execute(ctx, fsys, options{compare: true}, false)
	assert.Equal(t, exitInterrupted, got.status)
	assert.NotContains(t, got.stdout, "PARTIAL", "the table itself is whole")
	assert.Contains(t, got.stdout, "best of 1; both gave the same totals")
	assert.Contains(t, got.stderr, "not compared to the end")
}

// A bar is drawn on a terminal, wiped away before anything else is printed, and
// never seen in what is piped.
func TestProgress(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		files := sampleTree()
		files["b/broken.go"] = file("broken")
		slow := hookFS{files, func(name string) error {
			if strings.HasSuffix(name, ".go") {
				time.Sleep(time.Second)
			}
			return nil
		}}
		got := execute(t.Context(), slow, options{workers: 1}, true)
		assert.NotContains(t, got.stdout, "\r")
		assert.NotContains(t, got.stdout, "\x1b")

		assert.Regexp(t, `\rmeasuring 2 of 4 files \[=+> +\] 50%`, got.stderr)
		i := strings.LastIndex(got.stderr, "\r")
		assert.Equal(t, filepath.FromSlash("codestats: tree/b/broken.go:1:1: expected 'package', found broken\n"), got.stderr[i+1:])
		before := strings.LastIndex(got.stderr[:i], "\r")
		assert.Empty(t, strings.TrimSpace(got.stderr[before:i]), "the line is blank before the message stands there")

		got = execute(t.Context(), slow, options{workers: 1}, false)
		assert.NotContains(t, got.stderr, "\r")
		assert.NotContains(t, got.stdout+got.stderr, "\x1b")
	})
}

// The bar moves with what is left out too, and counts passes while it compares.
func TestProgressOfWhatIsLeftOut(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		files := fstest.MapFS{"d.go": file("package d\n"), "a.go": file("broken"), "b.go": file("broken"), "c.go": file("broken")}
		slow := hookFS{files, func(name string) error {
			if strings.HasSuffix(name, ".go") {
				time.Sleep(time.Second)
			}
			return nil
		}}
		got := execute(t.Context(), slow, options{workers: 1, compare: true}, true)
		assert.Regexp(t, `\rmeasuring 3 of 4 files \[=+> +\] 75%`, got.stderr)
		assert.Regexp(t, `\rcomparing 0 of 6 passes \[>? +\] 0%`, got.stderr)
		assert.Regexp(t, `\rcomparing 5 of 6 passes \[=+> +\] 83%`, got.stderr)
		assert.NotContains(t, got.stderr, "codestats: tree/a.go:1:1: expected 'package', found broken\ncodestats: tree/a.go")
	})
}

// The plan is the pipeline's own, and needs no files.
func TestPlan(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no go command to ask
	got := command(t, "-plan", "-workers", "3")
	assert.Equal(t, exitOK, got.status)
	assert.Empty(t, got.stderr)
	for _, line := range []string{`(?m)^● read \(map\) +3 workers, buffer 256, dead letters$`, `(?m)^● parse \(map\) +3 workers, buffer 16, dead letters$`, `(?m)^flowchart LR$`, `(?m)^at most \d+ items under way$`} {
		assert.Regexp(t, line, got.stdout)
	}

	var stderr bytes.Buffer
	assert.Equal(t, exitFailed, run(t.Context(), []string{"-plan"}, brokenWriter{errors.New("disk full")}, &stderr, false))
	assert.Equal(t, "codestats: write: disk full\n", stderr.String())
}

// A walk that panics ends there; what it had found is measured.
func TestPanicInWalk(t *testing.T) {
	var notes bytes.Buffer
	s := newSurvey(tree{fsys: sampleTree()}, "tree", &notes)
	walk := s.do.walk
	s.do.walk = func(ctx context.Context) iter.Seq[entry] {
		return func(yield func(entry) bool) {
			for e := range walk(ctx) {
				if !yield(e) {
					return
				}
				if e.path == "a/first.go" {
					panic("boom")
				}
			}
		}
	}
	s.pipeline(t.Context(), 2)
	assert.Equal(t, leftOut{Crashed: 1}, s.problems.counts)
	assert.Equal(t, "codestats: tree: walk: panic: boom\n", notes.String())
	assert.Equal(t, 2, s.packages.total().Files)
}

// A file that fails because all ends is not named.
func TestFailuresOfTheEndAreNone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fsys := hookFS{sampleTree(), func(name string) error {
		if strings.HasSuffix(name, "a/first.go") {
			cancel()
			return errDisk
		}
		return nil
	}}
	got := execute(ctx, fsys, options{workers: 1}, false)
	assert.Equal(t, exitInterrupted, got.status)
	assert.NotContains(t, got.stderr, "fire")
}

func TestTop(t *testing.T) {
	files := fstest.MapFS{}
	for i := range 30 {
		files["p"+show.Commas(i)+"/a.go"] = file("package p\n" + strings.Repeat("\n", i))
	}
	got := execute(t.Context(), files, options{top: 2}, false)
	assert.Regexp(t, `(?m)^p29 +1 +30 .*\np28 +1 +29 .*\n\.\.\. 28 more \(-top 0 shows all\)\ntotal \(30\) +30 +465 `, got.stdout)

	got = execute(t.Context(), files, options{top: 0}, false)
	assert.Contains(t, got.stdout, "\np0 ")
	assert.NotContains(t, got.stdout, "more (")
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestClosedAndFullOutput(t *testing.T) {
	root := write(t, sampleTree())
	var stderr bytes.Buffer
	pipe := &os.PathError{Op: "write", Path: "stdout", Err: syscall.EPIPE}
	assert.Equal(t, exitOK, run(t.Context(), []string{root}, brokenWriter{pipe}, &stderr, false))
	assert.Empty(t, stderr.String(), "whoever closed the pipe knows")

	assert.Equal(t, exitFailed, run(t.Context(), []string{root}, brokenWriter{errors.New("disk full")}, &stderr, false))
	assert.Equal(t, "codestats: write: disk full\n", stderr.String())
}
