package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Equal base names, in whatever way they are equal, do not meet.
func TestSameNamesDoNotOverwriteEachOther(t *testing.T) {
	files := fstest.MapFS{
		"a/x.png":          picture(t, "x.png", red, 9, 9),
		"b/x.png":          picture(t, "x.png", green, 9, 9),
		"x.gif":            picture(t, "x.gif", blue, 9, 9),
		"x.png":            picture(t, "x.png", blue, 9, 9),
		"x.png.png":        picture(t, "x.png", red, 9, 9),
		"y.jpg":            picture(t, "y.jpg", red, 9, 9),
		"y.jpg.png/x.png":  picture(t, "x.png", green, 9, 9), // the thumbnail of y.jpg has the name of this folder
		"y.jpg.png_/x.png": picture(t, "x.png", blue, 9, 9),
	}
	got := execute(t.Context(), t, files, settings(t), false)
	assert.Equal(t, exitOK, got.status)
	assert.Empty(t, got.stderr)
	for name, color := range map[string]any{
		"a/x.png.png": red, "b/x.png.png": green, "x.gif.png": blue, "x.png.png": blue, "x.png.png.png": red,
		"y.jpg.png_/x.png.png": green, "y.jpg.png__/x.png.png": blue,
	} {
		if name != "x.gif.png" { // whose colors are those of a palette
			assert.EqualValues(t, color, decoded(t, filepath.Join(got.out, thumbs, name)).At(4, 4), name)
		}
	}
	assert.Len(t, listing(t, filepath.Join(got.out, thumbs)), len(files))
}

// Nothing but what earlier runs have made goes unasked.
func TestForeignFilesAreRefusedUnlessForced(t *testing.T) {
	root := write(t, sampleTree(t))
	before := listing(t, root)
	out := write(t, fstest.MapFS{"deep/notes.txt": text("mine"), "contact.png": text("mine"), "thumbs/a/one.png.png": text("mine")})
	foreign := listing(t, out)

	got := command(t, "-out", out, root)
	assert.Equal(t, exitFailed, got.status)
	assert.Contains(t, got.stderr, "-out "+out+" has files that are not from an earlier run, such as contact.png; name another folder, or use -force")
	assert.Equal(t, foreign, listing(t, out), "nothing was touched")

	got = command(t, "-force", "-out", out, root)
	assert.Equal(t, exitOK, got.status, got.stderr)
	now := listing(t, out)
	assert.Equal(t, []string{
		".thumbnails.json", "contact.png", "deep/notes.txt",
		"thumbs/a/one.png.png", "thumbs/a/two.jpg.png", "thumbs/b/one.gif.png",
	}, slices.Sorted(maps.Keys(now)))
	assert.Equal(t, "mine", now["deep/notes.txt"], "what is not in the way stays")
	assert.NotEqual(t, "mine", now["contact.png"])

	got = command(t, "-out", out, root)
	assert.Equal(t, exitFailed, got.status, "the notes are still foreign")
	assert.Contains(t, got.stderr, "such as deep/notes.txt;")
	assert.Equal(t, now, listing(t, out))
	assert.Equal(t, before, listing(t, root), "the inputs are as they were")
}

// A run replaces what an earlier one has made, and asks no question.
func TestRunAgain(t *testing.T) {
	root, out := write(t, sampleTree(t)), t.TempDir()
	require.Equal(t, exitOK, command(t, "-out", out, "-sheet", "1", root).status)
	assert.Len(t, listing(t, out), 3+3+1)
	require.NoError(t, os.Remove(filepath.Join(root, "a", "one.png")))
	got := command(t, "-out", out, root)
	assert.Equal(t, exitOK, got.status, got.stderr)
	assert.Equal(t, []string{".thumbnails.json", "contact.png", "thumbs/a/two.jpg.png", "thumbs/b/one.gif.png"},
		slices.Sorted(maps.Keys(listing(t, out))), "of the earlier one nothing is left")

	require.NoError(t, os.WriteFile(filepath.Join(out, manifest), []byte("{"), 0o644))
	assert.Equal(t, exitFailed, command(t, "-out", out, root).status, "a damaged manifest proves nothing")
}

// A manifest is a file that anybody can write.
func TestManifestCannotLeadOut(t *testing.T) {
	root := write(t, sampleTree(t))
	around := write(t, fstest.MapFS{"precious.txt": text("mine"), "out/.thumbnails.json": text(`["../precious.txt", ".thumbnails.json"]`)})
	got := command(t, "-force", "-out", filepath.Join(around, "out"), root)
	assert.Equal(t, exitFailed, got.status)
	assert.Contains(t, got.stderr, "escapes")
	assert.Equal(t, "mine", listing(t, around)["precious.txt"])
}

// Links in the output lead nowhere, and a second name of an input is only a name.
func TestLinksInTheOutput(t *testing.T) {
	root := write(t, sampleTree(t))
	before := listing(t, root)
	out, elsewhere := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(out, thumbs, "b"), 0o755))
	if err := errorsOf(
		os.Symlink(elsewhere, filepath.Join(out, thumbs, "a")),
		os.Symlink(filepath.Join(root, "a", "two.jpg"), filepath.Join(out, "contact.png")),
		os.Link(filepath.Join(root, "b", "one.gif"), filepath.Join(out, thumbs, "b", "one.gif.png")),
	); err != nil {
		t.Skipf("no links here: %v", err)
	}
	got := command(t, "-force", "-out", out, root)
	assert.Equal(t, exitOK, got.status)
	assert.Equal(t, 2, strings.Count(got.stderr, "cannot write the thumbnail: "), got.stderr)
	assert.Empty(t, listing(t, elsewhere))
	assert.Equal(t, before, listing(t, root))
	assert.Equal(t, 9+1, decoded(t, filepath.Join(out, thumbs, "b", "one.gif.png")).Bounds().Dx())
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// What goes wrong when a file is written costs that file, and leaves no half of it.
func TestThumbnailThatCannotBeWritten(t *testing.T) {
	files := sampleTree(t)
	files[strings.Repeat("n", 253)+".gif"] = files["b/one.gif"] // the thumbnail's name is too long
	got := execute(t.Context(), t, files, settings(t), false)
	assert.Equal(t, exitOK, got.status)
	assert.Contains(t, got.stderr, ": cannot write the thumbnail: ")
	assert.Contains(t, got.stdout, "left out: thumbnails that could not be written 1\n")

	out := t.TempDir()
	g, err := openGallery(out)
	require.NoError(t, err)
	defer g.close()
	require.NoError(t, os.Mkdir(filepath.Join(out, "contact.png"), 0o755))
	o := settings(t)
	o.out = out
	var stderr strings.Builder
	assert.Equal(t, exitFailed, o.execute(t.Context(), sampleTree(t), g, &strings.Builder{}, &stderr, false))
	assert.Contains(t, stderr.String(), "thumbnails: contact.png: ")
}

func TestApartSeesThroughLinks(t *testing.T) {
	root := write(t, fstest.MapFS{"pics/deep/a.png": text("")})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(root, "pics"), link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{filepath.Join(root, "pics"), filepath.Join(root, "picsmall"), true},
		{filepath.Join(root, "pics"), filepath.Join(link, "new"), false},
		{filepath.Join(link, "deep"), filepath.Join(root, "pics"), false},
		{link, filepath.Join(root, "out"), true},
		{filepath.Join(root, "new"), filepath.Join(root, "new", "er"), false},
	} {
		got, err := apart(tt.a, tt.b)
		require.NoError(t, err)
		assert.Equal(t, tt.want, got, "%s and %s", tt.a, tt.b)
	}
}
