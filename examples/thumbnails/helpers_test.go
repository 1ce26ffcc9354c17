package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"
)

var (
	red   = color.RGBA{200, 30, 30, 255}
	green = color.RGBA{30, 160, 30, 255}
	blue  = color.RGBA{30, 30, 200, 255}
)

// picture returns the file of a picture of one color, in the format of the name.
func picture(t *testing.T, name string, c color.Color, width, height int) *fstest.MapFile {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(m, m.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	var file bytes.Buffer
	var err error
	switch path.Ext(name) {
	case ".gif":
		err = gif.Encode(&file, m, nil)
	case ".jpg":
		err = jpeg.Encode(&file, m, &jpeg.Options{Quality: 100})
	default:
		err = png.Encode(&file, m)
	}
	require.NoError(t, err)
	return &fstest.MapFile{Data: file.Bytes()}
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// sampleTree has three pictures, in folders, and a file that is none.
func sampleTree(t *testing.T) fstest.MapFS {
	t.Helper()
	return fstest.MapFS{
		"a/one.png":   picture(t, "one.png", red, 300, 200),
		"a/two.jpg":   picture(t, "two.jpg", green, 100, 400),
		"b/one.gif":   picture(t, "one.gif", blue, 10, 10),
		"b/notes.txt": text("no picture"),
	}
}

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

// listing returns the files below a folder, with what they hold.
func listing(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(root, name))
		files[name] = string(data)
		return err
	}))
	return files
}

// decoded reads a PNG.
func decoded(t *testing.T, file string) image.Image {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	m, err := png.Decode(f)
	require.NoError(t, err)
	return m
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

// An outcome is what a run of the program left behind.
type outcome struct {
	status         int
	stdout, stderr string
	out            string // the folder
}

// settings returns what the flags say.
func settings(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parseArgs(append(args, "tree"))
	require.NoError(t, err)
	return o
}

// execute runs the program on a tree in memory, whose root is called "tree".
func execute(ctx context.Context, t *testing.T, fsys fs.FS, o options, terminal bool) outcome {
	t.Helper()
	o.out = t.TempDir()
	g, err := openGallery(o.out)
	require.NoError(t, err)
	defer g.close()
	var stdout, stderr bytes.Buffer
	status := o.execute(ctx, fsys, g, &stdout, &stderr, terminal)
	return outcome{status, stdout.String(), stderr.String(), o.out}
}

// command runs the program with a command line.
func command(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), args, &stdout, &stderr, false)
	return outcome{status, stdout.String(), stderr.String(), ""}
}
