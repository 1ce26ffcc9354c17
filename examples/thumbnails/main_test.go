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
	root := write(t, sampleTree(t))
	empty := t.TempDir()
	plain := filepath.Join(root, "b", "notes.txt")
	out := filepath.Join(t.TempDir(), "out")
	for name, tt := range map[string]struct {
		args   []string
		status int
		stderr string // "" for nothing at all
	}{
		"a folder":            {[]string{"-out", out, root}, exitOK, ""},
		"drawn":               {[]string{"-n", "2", "-side", "100", "-out", t.TempDir()}, exitOK, ""},
		"help":                {[]string{"-h"}, exitOK, ""},
		"size 31":             {[]string{"-size", "31", root}, exitUsage, "-size must be from 32 to 1024, not 31"},
		"size 1025":           {[]string{"-size", "1025", root}, exitUsage, "-size must be from 32 to 1024, not 1025"},
		"columns 0":           {[]string{"-columns", "0", root}, exitUsage, "-columns must be from 1 to 50, not 0"},
		"sheet 0":             {[]string{"-sheet", "0", root}, exitUsage, "-sheet must be from 1 to 100000, not 0"},
		"megapixels 0":        {[]string{"-megapixels", "0", root}, exitUsage, "-megapixels must be from 1 to 1000, not 0"},
		"workers 0":           {[]string{"-workers", "0", root}, exitUsage, "-workers must be from 1 to 1024, not 0"},
		"workers x":           {[]string{"-workers", "x"}, exitUsage, `invalid value "x" for flag -workers`},
		"n 0":                 {[]string{"-n", "0"}, exitUsage, "-n must be from 1 to 10000, not 0"},
		"side 99":             {[]string{"-side", "99"}, exitUsage, "-side must be from 100 to 8000, not 99"},
		"spoil more than all": {[]string{"-n", "3", "-spoil", "4"}, exitUsage, "-spoil must be from 0 to 3, not 4"},
		"seed -1":             {[]string{"-seed", "-1"}, exitUsage, `invalid value "-1" for flag -seed`},
		"n and a folder":      {[]string{"-n", "3", root}, exitUsage, "-n is for pictures that are drawn"},
		"keep and a folder":   {[]string{"-keep", "x", root}, exitUsage, "-keep is for pictures that are drawn"},
		"out without a name":  {[]string{"-out", "", root}, exitUsage, "-out: the name of the folder is empty"},
		"keep without a name": {[]string{"-keep", ""}, exitUsage, "-keep: the name of the folder is empty"},
		"unknown flag":        {[]string{"-nope"}, exitUsage, "not defined: -nope"},
		"two folders":         {[]string{root, root}, exitUsage, "one folder at most"},
		"flag behind folder":  {[]string{root, "-json"}, exitUsage, "flag -json must stand before the folder"},
		"no name":             {[]string{""}, exitUsage, "the name of the folder is empty"},
		"missing folder":      {[]string{filepath.Join(root, "no")}, exitFailed, filepath.Join(root, "no") + ": " + syscall.ENOENT.Error()},
		"a file":              {[]string{plain}, exitFailed, plain + ": not a folder"},
		"out is a file":       {[]string{"-out", filepath.Join(write(t, fstest.MapFS{"f": text("")}), "f"), root}, exitFailed, syscall.ENOTDIR.Error()},
		"no pictures":         {[]string{"-out", t.TempDir(), empty}, exitFailed, empty + ": no pictures"},
		"out is the folder":   {[]string{"-force", "-out", root, root}, exitFailed, "must lie apart"},
		"out in the folder":   {[]string{"-force", "-out", filepath.Join(root, "new", "x"), root}, exitFailed, "must lie apart"},
		"the folder in out":   {[]string{"-force", "-out", root, filepath.Join(root, "a")}, exitFailed, "must lie apart"},
		"keep in out":         {[]string{"-keep", filepath.Join(empty, "x"), "-out", empty}, exitFailed, "must lie apart"},
		"keep is not empty":   {[]string{"-keep", root}, exitFailed, "the folder must be empty"},
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
				assert.True(t, strings.HasPrefix(line, "thumbnails: "), "%q", line)
			}
		})
	}
	assert.NoDirExists(t, filepath.Join(root, "new"), "what is refused leaves nothing behind")
}

// troubled is a tree with all that can go wrong, and how it is read.
func troubled(t *testing.T) hookFS {
	t.Helper()
	files := sampleTree(t)
	files["a/cut.png"] = text(string(cutOff(files["a/one.png"].Data)))
	files["a/esc\x1b[31m.jpg"] = text("no picture")
	files["a/empty.gif"] = text("")
	files["b/bomb.png"] = text(string(claimHuge(nil)))
	files["b/endless.png"] = picture(t, "endless.png", red, 1, maxSide+1)
	files["b/huge.png"] = text(strings.Repeat(" ", maxFile+1))
	files["b/burnt.png"] = files["a/one.png"]
	files["b/panics.png"] = files["a/one.png"]
	files["locked/in.png"] = files["a/one.png"]
	return hookFS{files, func(name string) error {
		switch name {
		case "b/burnt.png", "locked":
			return errDisk
		case "b/panics.png":
			panic("boom\nsecond line")
		}
		return nil
	}}
}

// What fails is named, one line each, in the order of the names, and counted; the
// rest is done.
func TestTroubleIsNamedAndTheRestIsDone(t *testing.T) {
	got := execute(t.Context(), t, troubled(t), settings(t), false)
	assert.Equal(t, exitOK, got.status)
	assert.Equal(t, []string{
		filepath.FromSlash("thumbnails: tree/a/cut.png: png: invalid format: not enough pixel data"),
		filepath.FromSlash("thumbnails: tree/a/empty.gif: image: unknown format"),
		filepath.FromSlash(`thumbnails: tree/a/esc\x1b[31m.jpg: image: unknown format`),
		filepath.FromSlash("thumbnails: tree/b/bomb.png: too large: 100000 x 100000 pixels"),
		filepath.FromSlash("thumbnails: tree/b/burnt.png: the disk is on fire"),
		filepath.FromSlash("thumbnails: tree/b/endless.png: too large: 1 x 65536 pixels"),
		filepath.FromSlash("thumbnails: tree/b/huge.png: too large: the file has more than 64 MiB"),
		filepath.FromSlash(`thumbnails: tree/b/panics.png: read: panic: boom\nsecond line`),
		filepath.FromSlash("thumbnails: tree/locked: the disk is on fire"),
	}, strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n"))
	assert.Contains(t, got.stdout, "left out: broken pictures 3, pictures that are too large 3, unreadable files 1, "+
		"pictures that made a stage panic 1, unreadable folders 1\n")
	assert.Contains(t, got.stdout, "\n  b/bomb.png: too large: 100000 x 100000 pixels\n", "in the report too")
	assert.Contains(t, got.stdout, "tree: 3 thumbnails in ")
	for _, row := range []string{`from +- +- +12 +0 `, `read \(map\) +\d+ +12 +12 +4 `, `shrink \(map\) +\d+ +12 +12 +5 `, `write \(map\) +\d+ +12 +12 +0 `} {
		assert.Regexp(t, row, got.stdout)
	}

	// Eleven pictures, in two rows: cut empty esc one two, bomb burnt endless huge one panics.
	sheet := decoded(t, filepath.Join(got.out, "contact.png"))
	var row strings.Builder
	for i := range 11 {
		step := 160 + 2*padding + gap
		x, y := margin+i%8*step+padding+20, margin+i/8*(step+captions)+padding+80
		switch sheet.At(x, y) {
		case badWell:
			row.WriteByte('x')
		case well:
			row.WriteByte('.') // beside a picture that is narrow or small
		default:
			row.WriteByte('o')
		}
	}
	assert.Equal(t, "xxxo.xxxx.x", row.String())
}

func TestManyProblemsAreCounted(t *testing.T) {
	files := sampleTree(t)
	for i := range maxMessages + 1234 {
		files["bad/"+show.Commas(i)+".png"] = text("broken")
	}
	got := execute(t.Context(), t, files, settings(t, "-size", "32"), false)
	assert.Equal(t, exitOK, got.status)
	assert.Equal(t, maxMessages+1, strings.Count(got.stderr, "\n"))
	assert.True(t, strings.HasSuffix(got.stderr, "\nthumbnails: and 1,234 more that were left out\n"), got.stderr)
	assert.Contains(t, got.stdout, "left out: broken pictures 1,254\n")
	assert.Contains(t, got.stdout, "  ... 1,234 more (-json has all)\n")
	assert.Contains(t, got.stdout, "contact.png, contact-2.png, contact-3.png, contact-4.png\n")
}

func TestNoThumbnailIsAFailure(t *testing.T) {
	got := execute(t.Context(), t, fstest.MapFS{"a.png": text("broken")}, settings(t), false)
	assert.Equal(t, exitFailed, got.status)
	assert.Empty(t, got.stdout)
	assert.Equal(t, "thumbnails: "+filepath.FromSlash("tree/a.png")+": image: unknown format\n"+
		"thumbnails: tree: no thumbnail could be made: broken pictures 1\n", got.stderr)
}

func TestJSON(t *testing.T) {
	got := execute(t.Context(), t, troubled(t), settings(t, "-json", "-workers", "3"), true)
	assert.Equal(t, exitOK, got.status)
	assert.NotContains(t, got.stderr, "\r", "no bar beside a document")

	dec := json.NewDecoder(strings.NewReader(got.stdout))
	var document report
	require.NoError(t, dec.Decode(&document))
	require.ErrorIs(t, dec.Decode(&document), io.EOF, "one document, and nothing behind it")
	assert.Equal(t, got.out, document.Out)

	// Times differ from run to run, and sizes with the encoder; everything else is golden.
	text := regexp.MustCompile(`("(\w+_ns|\w+_bytes)": )[0-9]+`).ReplaceAllString(got.stdout, "${1}0")
	text = regexp.MustCompile(`("out": )".*"`).ReplaceAllString(text, `${1}"out"`)
	assert.Contains(t, text, `"verdict": "`)
	text = regexp.MustCompile(`(?s)("pipeline": )\{.*?\n  \}`).ReplaceAllString(text, `${1}{}`) // all of it is timing
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
	got := execute(t.Context(), t, fstest.MapFS{}, settings(t, "-json", "-compare"), false)
	assert.Equal(t, exitFailed, got.status)
	for _, list := range []string{"formats", "sheets", "problems"} {
		assert.Contains(t, got.stdout, `"`+list+`": []`)
	}
	assert.NotContains(t, got.stdout, `"compare"`)
	assert.Equal(t, "thumbnails: tree: no pictures\n", got.stderr)
}

// Files that take a second each are interrupted after three and a half, with two
// readers: what was in hand is finished, the contact sheet has what is there, and
// nothing is left running, which the bubble that the test runs in insists on.
func TestInterrupted(t *testing.T) {
	for name, terminal := range map[string]bool{"piped": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			one := picture(t, "one.png", red, 50, 50)
			testkit.Bubble(t, func(t *testing.T) {
				files := fstest.MapFS{}
				for i := range 2000 {
					files["p/"+show.Commas(i)+".png"] = one
				}
				slow := hookFS{files, func(name string) error {
					if strings.HasSuffix(name, ".png") {
						time.Sleep(time.Second)
					}
					return nil
				}}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(3500*time.Millisecond, cancel)

				start := time.Now()
				got := execute(ctx, t, slow, settings(t, "-workers", "2", "-compare"), terminal)
				assert.Equal(t, exitInterrupted, got.status)
				assert.Equal(t, 4*time.Second, time.Since(start), "as soon as the reads in flight are done")
				assert.Contains(t, got.stdout, "PARTIAL: ")
				assert.Contains(t, got.stdout, "tree: 6 thumbnails in 4s")
				assert.Contains(t, got.stdout, "left out: nothing\n")
				assert.NotContains(t, got.stdout, "plain loop")
				assert.True(t, strings.HasSuffix(got.stderr, "thumbnails: interrupted; 6 thumbnails were made until then\n"), got.stderr)

				assert.Equal(t, 6*(160+2*padding+gap)-gap+2*margin, decoded(t, filepath.Join(got.out, "contact.png")).Bounds().Dx())
				assert.Len(t, listing(t, got.out), 6+1+1, "thumbnails, contact sheet, manifest")
			})
		})
	}
}

func TestInterruptedWhileDrawing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitInterrupted, run(ctx, []string{"-out", t.TempDir()}, &stdout, &stderr, false))
	assert.Equal(t, "thumbnails: interrupted before any thumbnail was made\n", stderr.String())
}

func TestInterruptedJSONSaysPartial(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := execute(ctx, t, sampleTree(t), settings(t, "-json"), false)
	assert.Equal(t, exitInterrupted, got.status)
	assert.Contains(t, got.stdout, `"partial": true,`)
}

func TestCompare(t *testing.T) {
	files := sampleTree(t)
	files["b/broken.png"] = text("broken")
	got := execute(t.Context(), t, files, settings(t, "-compare"), false)
	assert.Equal(t, exitOK, got.status)
	assert.Regexp(t, `plain loop \S+, pipeline \S+: speed-up \d+\.\d\d, best of 3; both made the same pictures\n$`, got.stdout)
	assert.Equal(t, 1, strings.Count(got.stderr, "\n"), "a problem is named once, not once per pass")
	assert.NoDirExists(t, filepath.Join(got.out, scratchName))
	assert.Len(t, listing(t, got.out), 3+1+1, "what the first pass made is still there")
}

// A picture that changes between the passes must not go unseen.
func TestCompareSeesADifference(t *testing.T) {
	opened := 0
	fsys := hookFS{sampleTree(t), func(name string) error {
		if name == "b/one.gif" {
			if opened++; opened == 4 { // in the second round
				return errDisk
			}
		}
		return nil
	}}
	got := execute(t.Context(), t, fsys, settings(t, "-compare"), false)
	assert.Equal(t, exitFailed, got.status)
	assert.Contains(t, got.stdout, "THE PICTURES DIFFER")
	assert.Contains(t, got.stderr, "made different pictures")
}

func TestCompareInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	opened := 0
	fsys := hookFS{sampleTree(t), func(name string) error {
		if name == "b/one.gif" {
			if opened++; opened == 4 { // in the second round
				cancel()
			}
		}
		return nil
	}}
	got := execute(ctx, t, fsys, settings(t, "-compare"), false)
	assert.Equal(t, exitInterrupted, got.status)
	assert.NotContains(t, got.stdout, "PARTIAL", "the thumbnails are all there")
	assert.Contains(t, got.stdout, "best of 1; both made the same pictures")
	assert.Contains(t, got.stderr, "not compared to the end")
	assert.NoDirExists(t, filepath.Join(got.out, scratchName))
}

// A bar is drawn on a terminal, wiped away before anything else is printed.
func TestProgress(t *testing.T) {
	files := sampleTree(t)
	files["b/broken.png"] = text("broken")
	testkit.Bubble(t, func(t *testing.T) {
		slow := hookFS{files, func(name string) error {
			if isPicture(name) {
				time.Sleep(time.Second)
			}
			return nil
		}}
		got := execute(t.Context(), t, slow, settings(t, "-workers", "1"), true)
		assert.NotContains(t, got.stdout, "\r")
		assert.Regexp(t, `\rshrinking 2 of 4 pictures \[=+> +\] 50%`, got.stderr)
		i := strings.LastIndex(got.stderr, "\r")
		assert.Equal(t, filepath.FromSlash("thumbnails: tree/b/broken.png: image: unknown format\n"), got.stderr[i+1:])
	})
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestClosedAndFullOutput(t *testing.T) {
	root, out := write(t, sampleTree(t)), t.TempDir()
	var stderr bytes.Buffer
	pipe := &os.PathError{Op: "write", Path: "stdout", Err: syscall.EPIPE}
	assert.Equal(t, exitOK, run(t.Context(), []string{"-out", out, root}, brokenWriter{pipe}, &stderr, false))
	assert.Empty(t, stderr.String(), "whoever closed the pipe knows")

	assert.Equal(t, exitFailed, run(t.Context(), []string{"-out", out, root}, brokenWriter{errors.New("disk full")}, &stderr, false))
	assert.Equal(t, "thumbnails: write: disk full\n", stderr.String())
}
