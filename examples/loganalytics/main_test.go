package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestCommandLine(t *testing.T) {
	log := write(t, good+"\n")
	folder := filepath.Dir(log)
	for name, tt := range map[string]struct {
		args   []string
		status int
		stderr string // "" for nothing at all
	}{
		"a file":             {[]string{log}, exitOK, ""},
		"drawn":              {[]string{"-n", "10"}, exitOK, ""},
		"no rows":            {[]string{"-n", "10", "-top", "0"}, exitOK, ""},
		"help":               {[]string{"-h"}, exitOK, ""},
		"window 0":           {[]string{"-window", "0s", log}, exitUsage, "-window must be whole seconds that divide a day, such as 10s, 1m or 1h, not 0s"},
		"window 7s":          {[]string{"-window", "7s", log}, exitUsage, "-window must be whole seconds"},
		"window 1.5s":        {[]string{"-window", "1.5s", log}, exitUsage, "-window must be whole seconds"},
		"window 48h":         {[]string{"-window", "48h", log}, exitUsage, "not 48h"},
		"top -1":             {[]string{"-top", "-1", log}, exitUsage, "-top must be from 0 to 1000, not -1"},
		"workers 0":          {[]string{"-workers", "0", log}, exitUsage, "-workers must be from 1 to 1024, not 0"},
		"workers x":          {[]string{"-workers", "x"}, exitUsage, `invalid value "x" for flag -workers`},
		"batch 0":            {[]string{"-batch", "0", log}, exitUsage, "-batch must be from 1 to 65536, not 0"},
		"n -1":               {[]string{"-n", "-1"}, exitUsage, "-n must be from 0 to 100000000, not -1"},
		"n and a file":       {[]string{"-n", "3", log}, exitUsage, "-n is for a log that is drawn"},
		"keep without name":  {[]string{"-keep", ""}, exitUsage, "-keep: the name of the file is empty"},
		"compare and stdin":  {[]string{"-compare", "-"}, exitUsage, "which standard input does not allow"},
		"unknown flag":       {[]string{"-nope"}, exitUsage, "not defined: -nope"},
		"two files":          {[]string{log, log}, exitUsage, "one file at most"},
		"flag behind file":   {[]string{log, "-json"}, exitUsage, "flag -json must stand before the file"},
		"no name":            {[]string{""}, exitUsage, "the name of the file is empty"},
		"missing file":       {[]string{log + "x"}, exitFailed, log + "x: " + syscall.ENOENT.Error()},
		"a folder":           {[]string{folder}, exitFailed, folder + ": is a folder"},
		"keep is there":      {[]string{"-n", "1", "-keep", log}, exitFailed, "-keep " + log + ": " + syscall.EEXIST.Error()},
		"empty file":         {[]string{write(t, "")}, exitFailed, ": no lines"},
		"empty input":        {[]string{"-"}, exitFailed, "standard input: no lines"},
		"nothing drawn":      {[]string{"-n", "0"}, exitFailed, "drawn log, seed 1: no lines"},
		"nothing understood": {[]string{write(t, "a\nb\n")}, exitFailed, ": none of 2 lines is one of an access log"},
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
				assert.True(t, strings.HasPrefix(line, "loganalytics: "), "%q", line)
			}
		})
	}
}

// golden compares a text with the file of that name.
func golden(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), text)
}

// What a seed gives is the same always, but for the times that the work took.
func TestTables(t *testing.T) {
	got := command(t, "-n", "20000", "-seed", "7", "-workers", "3", "-batch", "100")
	assert.Equal(t, exitOK, got.status)
	title, rest, ok := strings.Cut(got.stdout, "\n\n")
	require.True(t, ok)
	assert.Regexp(t, `^drawn log, seed 7: 20,000 lines in \S+ with 3 workers, [0-9,]+ a second$`, title)
	findings, flow, ok := strings.Cut(rest, "\ndone in ")
	require.True(t, ok)
	golden(t, "findings.txt", findings)
	for _, stage := range []string{`lines +- `, `batch +- `, `parse \(map\) +3 +200 +200 `, `count \(tap\)`, `split \(flatmap\)`, `window \(groupby\)`} {
		assert.Regexp(t, stage, flow)
	}
	assert.NotContains(t, flow, "plain loop")
}

func TestJSON(t *testing.T) {
	log := write(t, drawn(t, 1, 500)+"malformed \x00\xff\n")
	got := execute(t.Context(), nil, true, "-json", "-window", "6h", "-workers", "2", log)
	assert.Equal(t, exitOK, got.status)
	assert.NotContains(t, got.stderr, "\r", "no progress beside a document")

	dec := json.NewDecoder(strings.NewReader(got.stdout))
	var document map[string]any
	require.NoError(t, dec.Decode(&document))
	require.ErrorIs(t, dec.Decode(&document), io.EOF, "one document, and nothing behind it")
	flow, _ := document["pipeline"].(map[string]any)
	assert.Equal(t, true, flow["done"])
	assert.Len(t, flow["stages"], 7)

	delete(document, "pipeline") // times differ from run to run
	document["elapsed_ns"], document["log"] = 0, "log"
	text, err := json.MarshalIndent(document, "", "  ")
	require.NoError(t, err)
	golden(t, "report.json", string(text)+"\n")
}

// Whoever reads the document gets one even if there is nothing in it.
func TestJSONOfNothing(t *testing.T) {
	got := command(t, "-json", "-compare", write(t, ""))
	assert.Equal(t, exitFailed, got.status)
	for _, list := range []string{"windows", "top", "first"} {
		assert.Contains(t, got.stdout, `"`+list+`": []`)
	}
	assert.NotContains(t, got.stdout, `"compare"`)
}

// Malformed lines are counted, and the first ones shown with their numbers, however
// the lines are batched. The others are counted all the same.
func TestMalformedLines(t *testing.T) {
	lines := strings.Repeat(good+"\n", 1000)
	for i := range maxMessages + 1234 {
		lines += "esc\x1b[31m " + show.Commas(i) + " " + strings.Repeat("x", 100) + "\n" + good + "\n"
	}
	for _, batch := range []string{"1", "7", "65536"} {
		got := execute(t.Context(), strings.NewReader(lines), false, "-batch", batch, "-")
		assert.Equal(t, exitOK, got.status)
		messages := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
		require.Len(t, messages, maxMessages+1)
		assert.Equal(t, `loganalytics: standard input:1003: not the fields of an access log: esc\x1b[31m 1 `+strings.Repeat("x", 69)+"...", messages[1])
		assert.Equal(t, "loganalytics: and 1,234 more malformed lines", messages[maxMessages])
		assert.Contains(t, got.stdout, "malformed lines: not the fields of an access log 1,239\n")
		assert.Contains(t, got.stdout, "\n  ... 1,234 more\n")
		assert.Contains(t, got.stdout, "standard input: 3,478 lines in ")
		assert.Regexp(t, `(?m)^all +2,239 `, got.stdout)
		assert.Regexp(t, `window \(groupby\) .* 1,239 +1,239 `, got.stdout, "they are in the report of the flow, too")
	}
}

// A log that ends without a newline, or with the lines of another system, is one too.
func TestEndsOfLines(t *testing.T) {
	for name, text := range map[string]string{"none": good, "newline": good + "\n", "other": good + "\r\n"} {
		got := execute(t.Context(), strings.NewReader(text), false, "-")
		assert.Equal(t, exitOK, got.status, name)
		assert.Contains(t, got.stdout, "standard input: 1 lines in ", name)
		assert.Empty(t, got.stderr, name)
	}
}

var errDisk = errors.New("the disk is on fire")

// What was read before the reading failed is counted.
func TestReadingFails(t *testing.T) {
	hundred := strings.Repeat(good+"\n", 100)
	for name, tt := range map[string]struct {
		log  io.Reader
		want string
	}{
		"error":    {io.MultiReader(strings.NewReader(hundred), brokenReader{errDisk}), "the disk is on fire"},
		"too long": {strings.NewReader(hundred + strings.Repeat("x", 2*maxLine) + "\n" + hundred), "line 101 is longer than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			got := execute(t.Context(), tt.log, false, "-")
			assert.Equal(t, exitFailed, got.status)
			assert.Contains(t, got.stdout, "PARTIAL: ")
			assert.Contains(t, got.stdout, "standard input: 100 lines in ")
			assert.True(t, strings.HasSuffix(got.stderr, "loganalytics: standard input: "+tt.want+"\n"), got.stderr)
		})
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

// An idler gives a text, and then nothing for an hour.
type idler struct{ text *strings.Reader }

func (r idler) Read(p []byte) (int, error) {
	if r.text.Len() == 0 {
		time.Sleep(time.Hour)
	}
	return r.text.Read(p)
}

// Ctrl-C while standard input has nothing to read: what was read is counted at once,
// but not the line that has no end yet. Nothing is left running, which the bubble that
// the test runs in insists on.
func TestInterruptedWhileNothingComes(t *testing.T) {
	for name, terminal := range map[string]bool{"piped": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			testkit.Bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				start := time.Now()
				got := execute(ctx, idler{strings.NewReader(strings.Repeat(good+"\n", 2500) + "198.18")}, terminal, "-")
				assert.Equal(t, time.Second, time.Since(start))
				assert.Equal(t, exitInterrupted, got.status)
				assert.Contains(t, got.stdout, "PARTIAL: ")
				assert.Regexp(t, `(?m)^all +2,500 `, got.stdout)
				assert.True(t, strings.HasSuffix(got.stderr, "loganalytics: interrupted; 2,500 lines were read until then\n"), got.stderr)
				time.Sleep(2 * time.Hour) // the read that hung returns
			})
		})
	}
}

// A reader that interrupts the program when it has given so many bytes.
type interrupter struct {
	io.Reader
	left   int
	cancel context.CancelFunc
}

func (r *interrupter) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.left -= n; r.left < 0 {
		r.cancel()
	}
	return n, err
}

// Wherever it is interrupted, each line that was read is counted, and none is cut.
func TestInterruptedInTheMiddle(t *testing.T) {
	log := strings.Repeat(good+"\n", 50_000)
	for left := 1; left < len(log); left += len(log) / 7 {
		ctx, cancel := context.WithCancel(t.Context())
		o := settings(t, "-batch", "64", "-workers", "3", "-")
		a := analyzed(o, &interrupter{strings.NewReader(log), left, cancel}, func(a *analysis, in *input) { a.pipeline(ctx, in) })
		cancel()
		require.NoError(t, a.failed)
		assert.Zero(t, a.bad.count)
		assert.Less(t, a.linesRead, 50_000)
		assert.EqualValues(t, a.linesRead, sumOf(a.windows.sorted()).requests())
	}
}

func TestInterruptedBeforeItBegins(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := execute(ctx, nil, false)
	assert.Equal(t, outcome{exitInterrupted, "", "loganalytics: interrupted before the log was drawn\n"}, got)
	got = execute(ctx, nil, false, write(t, good))
	assert.Equal(t, outcome{exitInterrupted, "", "loganalytics: interrupted; 0 lines were read until then\n"}, got)
	got = execute(ctx, nil, false, "-json", write(t, good))
	assert.Contains(t, got.stdout, `"partial": true,`)
}

// A log that is kept can be read again, and a temporary one is gone.
func TestDrawnLogIsKeptIfAsked(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	kept := filepath.Join(t.TempDir(), "kept.log")
	assert.Equal(t, exitOK, command(t, "-n", "100", "-keep", kept).status)
	text, err := os.ReadFile(kept)
	require.NoError(t, err)
	assert.Equal(t, drawn(t, 1, 100), string(text))

	assert.Equal(t, exitOK, command(t, "-n", "100").status)
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestCompare(t *testing.T) {
	got := command(t, "-compare", "-n", "30000", "-seed", "3")
	assert.Equal(t, exitOK, got.status)
	assert.Regexp(t, `plain loop \S+, pipeline \S+: speed-up \d+\.\d\d, best of 3; both gave the same answer\n$`, got.stdout)
	assert.Equal(t, 1, strings.Count(got.stdout, "done in "))
}

// A difference must not go unseen.
func TestCompareSeesADifference(t *testing.T) {
	o := settings(t, "-compare", write(t, good+"\n"))
	in, err := openInput(t.Context(), o, nil, nil)
	require.NoError(t, err)
	defer in.close()
	first := newAnalysis(o, io.Discard)
	first.pipeline(t.Context(), in)
	first.windows[startOf(midnight, time.Minute)] = &window{}

	c, err := contest{o, in, first, nil}.compare(t.Context())
	require.NoError(t, err)
	assert.False(t, c.Same)
	rep := newReport(o, first, 0)
	rep.Compare = c
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitFailed, o.publish(rep, nil, false, console{nil, &stdout, &stderr, false}))
	assert.Contains(t, stdout.String(), "THE ANSWERS DIFFER")
	assert.Contains(t, stderr.String(), "counted differently")
}

// The progress is drawn on a terminal, and wiped away before anything else is printed.
func TestProgress(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		got := execute(t.Context(), idler{strings.NewReader(good + "\n" + "malformed\n")}, true, "-")
		assert.Equal(t, exitOK, got.status)
		assert.NotContains(t, got.stdout, "\r")
		assert.Contains(t, got.stderr, "\r2 lines, 10/s\r", "after 200 ms")
		i := strings.LastIndex(got.stderr, "\r")
		assert.Equal(t, "loganalytics: standard input:2: not the fields of an access log: malformed\n", got.stderr[i+1:])
	})
	got := execute(t.Context(), nil, true, "-n", "1000", "-compare")
	for _, text := range []string{`drawing 1,000 lines: 100%`, `1,000 lines, [0-9,]+/s, 100%`, `plain loop, 1 of 3`, `pipeline, 3 of 3`} {
		assert.Regexp(t, `\r`+text, got.stderr)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestClosedAndFullOutput(t *testing.T) {
	var stderr bytes.Buffer
	pipe := &os.PathError{Op: "write", Path: "stdout", Err: syscall.EPIPE}
	assert.Equal(t, exitOK, run(t.Context(), []string{"-n", "10"}, console{nil, brokenWriter{pipe}, &stderr, false}))
	assert.Empty(t, stderr.String(), "whoever closed the pipe knows")

	assert.Equal(t, exitFailed, run(t.Context(), []string{"-n", "10"}, console{nil, brokenWriter{errDisk}, &stderr, false}))
	assert.Equal(t, "loganalytics: write: the disk is on fire\n", stderr.String())
}
