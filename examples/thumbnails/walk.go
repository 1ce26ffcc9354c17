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

// maxFile bounds the memory that one file can take before it is decoded.
const maxFile = 64 << 20

var errTooLarge = errors.New("too large")

// A tree is a folder of pictures.
type tree struct{ fsys fs.FS }

// An entry is a picture that the walk has found, or, with err, a folder that it
// could not read. Failed folders travel with the pictures, so that there is one
// place where problems are reported, and no second channel for them.
type entry struct {
	path string
	err  error
}

// A folderError is the error of an entry that is a folder.
type folderError struct{ err error }

func (e *folderError) Error() string { return e.err.Error() }
func (e *folderError) Unwrap() error { return e.err }

// walk finds the pictures, in the order of their names. It is lazy: folders are
// read as the pictures are asked for, so a tree of any size takes the same memory.
// It ends early when ctx does.
func (t tree) walk(ctx context.Context) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		_ = fs.WalkDir(t.fsys, ".", func(name string, d fs.DirEntry, err error) error {
			hidden := name != "." && strings.HasPrefix(path.Base(name), ".")
			switch {
			case ctx.Err() != nil:
				return fs.SkipAll
			case err != nil:
				if !yield(entry{path: name, err: &folderError{err}}) {
					return fs.SkipAll
				}
			case d.IsDir():
				if hidden {
					return fs.SkipDir
				}
			// A link, a device or a pipe is not regular. The last two could hang the
			// read, and a link may lead back to where we are.
			case d.Type().IsRegular() && !hidden && isPicture(name):
				if !yield(entry{path: name}) {
					return fs.SkipAll
				}
			}
			return nil
		})
	}
}

// isPicture goes by the name; what the file holds shows when it is decoded.
func isPicture(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif":
		return true
	}
	return false
}

// A source is a file that was read.
type source struct {
	path string
	data []byte
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
		return source{}, fileTooLarge()
	}

	// The size is where the file was a moment ago; it may have grown.
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return source{}, err
	}
	if data.Len() > maxFile {
		return source{}, fileTooLarge()
	}
	return source{e.path, data.Bytes()}, nil
}

func fileTooLarge() error {
	return fmt.Errorf("%w: the file has more than %d MiB", errTooLarge, maxFile>>20)
}
