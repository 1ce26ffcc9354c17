package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
)

// maxFile bounds the memory that one file can take: parsed, it can be thirty times
// its size. The largest file of the standard library has 3 MB.
const maxFile = 8 << 20

var errTooLarge = fmt.Errorf("larger than %d MiB", maxFile>>20)

// A tree is a folder of source. The zero all keeps to what ./... means to the go
// command.
type tree struct {
	fsys fs.FS
	all  bool
}

// An entry is a Go file that the walk has found, or, with err, a folder that it
// could not read. Failed folders travel with the files, so that there is one
// place where problems are reported, and no second channel for them.
type entry struct {
	path string
	err  error
}

// A folderError is the error of an entry that is a folder.
type folderError struct{ err error }

func (e *folderError) Error() string { return e.err.Error() }
func (e *folderError) Unwrap() error { return e.err }

// walk finds the Go files, in the order of their names. It is lazy: folders are
// read as the files are asked for, so a tree of any size takes the same memory.
// It ends early when ctx does.
func (t tree) walk(ctx context.Context) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		_ = fs.WalkDir(t.fsys, ".", func(name string, d fs.DirEntry, err error) error {
			switch {
			case ctx.Err() != nil:
				return fs.SkipAll
			case err != nil:
				if !yield(entry{path: name, err: &folderError{err}}) {
					return fs.SkipAll
				}
			case d.IsDir():
				if t.skips(name) {
					return fs.SkipDir
				}
			// A link, a device or a pipe is not regular. The last two could hang the
			// read, and a link may lead back to where we are.
			case d.Type().IsRegular() && path.Ext(name) == ".go" && !t.skips(name):
				if !yield(entry{path: name}) {
					return fs.SkipAll
				}
			}
			return nil
		})
	}
}

// skips tells whether the go command leaves name out of ./... patterns.
func (t tree) skips(name string) bool {
	if t.all || name == "." {
		return false
	}
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "vendor"
}

// A source is a file that was read.
type source struct {
	path string
	text []byte
}

// read reads the file of e.
func (t tree) read(_ context.Context, e entry) (source, error) {
	if e.err != nil {
		return source{}, e.err
	}
	f, err := t.fsys.Open(e.path)
	if err != nil {
		return source{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return source{}, err
	case !info.Mode().IsRegular():
		return source{}, errors.New("not a regular file any more")
	case info.Size() > maxFile:
		return source{}, errTooLarge
	}

	// The size is where the file was a moment ago; it may have grown.
	var text bytes.Buffer
	text.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := text.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return source{}, err
	}
	if text.Len() > maxFile {
		return source{}, errTooLarge
	}
	return source{e.path, text.Bytes()}, nil
}
