package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// first and second are measured by hand: see sampleTree.
const (
	first = `package a

import "fmt"

// Hello is not part of the function's lines.
func Hello() {
	fmt.Println("hello")
}

type T[K comparable] struct{}

func (t *T[K]) Long() {
	_ = func() {
		// a literal is no function of its own
	}

	_ = 1
}

func asm(x int) int
`
	second = `package a

func (T2) Short() {}

type T2 struct{}

//line elsewhere.go:500
func Five() {
	_ = 1
	_ = 2
	_ = 3
}` // without a newline at the end
)

// sampleTree has two packages whose counts were counted by hand:
//
//	a       2 files, 20+12 lines, 3+2 functions; (*T).Long has 7 lines, from line 12
//	a/deep  1 file,  3 lines,     1 function;    main has 1 line, on line 3
func sampleTree() fstest.MapFS {
	return fstest.MapFS{
		"a/first.go":                file(first),
		"a/second_test.go":          file(second),
		"a/deep/main.go":            file("package main\n\nfunc main() {}\n"),
		"a/README.md":               file("no Go"),
		"empty/.keep":               file(""),
		"a/testdata/skipped.go":     file("package skipped\n"),
		"vendor/v/skipped.go":       file("package skipped\n"),
		"_old/skipped.go":           file("package skipped\n"),
		".git/skipped.go":           file("package skipped\n"),
		"a/_skipped.go":             file("package skipped\n"),
		"a/.skipped.go":             file("package skipped\n"),
		"a/deep/generated.go/x.txt": file("a folder with the name of a file"),
	}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// write puts the files of a tree on disk.
func write(t *testing.T, files fstest.MapFS) string {
	t.Helper()
	root := t.TempDir()
	for name, f := range files {
		full := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, f.Data, 0o644))
	}
	return root
}

// A hookFS calls open before a file or folder of the FS below is opened.
type hookFS struct {
	fs.FS
	open func(name string) error
}

func (h hookFS) Open(name string) (fs.File, error) {
	if err := h.open(name); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return h.FS.Open(name)
}

var errDisk = errors.New("the disk is on fire")

// failing returns fsys without the named files and folders being readable.
func failing(fsys fs.FS, names ...string) fs.FS {
	return hookFS{fsys, func(name string) error {
		if slices.Contains(names, name) {
			return errDisk
		}
		return nil
	}}
}

// An outcome is what a run of the program left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

// execute runs the program on a tree in memory, whose root is called "tree".
func execute(ctx context.Context, fsys fs.FS, o options, terminal bool) outcome {
	var stdout, stderr bytes.Buffer
	o.root, o.title = "tree", "tree"
	if o.workers == 0 {
		o.workers = 3
	}
	status := o.execute(ctx, fsys, &stdout, &stderr, terminal)
	return outcome{status, stdout.String(), stderr.String()}
}

// command runs the program with a command line.
func command(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), args, &stdout, &stderr, false)
	return outcome{status, stdout.String(), stderr.String()}
}

// surveyed returns what the pipeline finds in a tree.
func surveyed(t *testing.T, fsys fs.FS) *survey {
	t.Helper()
	s := newSurvey(tree{fsys: fsys}, "tree", &strings.Builder{})
	s.pipeline(t.Context(), 3)
	return s
}

// untimed returns the packages without their times.
func untimed(p packages) packages {
	q := packages{}
	for path, row := range p {
		row.Run = time.Duration(0)
		q[path] = row
	}
	return q
}
