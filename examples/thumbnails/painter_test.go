package main

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The same seed draws the same, another one something else, and the pictures that
// are not asked to be spoilt do not depend on those that are.
func TestSeed(t *testing.T) {
	draw := func(args ...string) map[string]string {
		folder := filepath.Join(t.TempDir(), "new")
		got := command(t, append(args, "-keep", folder, "-n", "8", "-side", "200", "-out", t.TempDir())...)
		require.Equal(t, exitOK, got.status, got.stderr)
		return listing(t, folder)
	}
	first := draw("-seed", "5")
	assert.Len(t, first, 8)
	assert.Equal(t, first, draw("-seed", "5", "-workers", "1"))
	other, spoilt := draw("-seed", "6"), draw("-seed", "5", "-spoil", "3")
	same := 0
	for name := range first {
		assert.NotEqual(t, first[name], other[name], name)
		if first[name] == spoilt[name] {
			same++
		}
	}
	assert.Equal(t, 5, same)
}

// Many pictures have names of their own, in every folder, kind and shape.
func TestCommissions(t *testing.T) {
	all := commissions(options{count: 1000, side: 1600, seed: 1})
	paths, bases := map[string]bool{}, map[string]bool{}
	for _, c := range all {
		paths[c.path], bases[path.Base(c.path)] = true, true
		assert.GreaterOrEqual(t, min(c.size.X, c.size.Y), 100)
	}
	assert.Len(t, paths, 1000)
	assert.Less(t, len(bases), 300, "names are used again in other folders")
}

// What was drawn for the run only is gone behind it.
func TestDrawnPicturesAreTemporary(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	got := command(t, "-n", "1", "-side", "100")
	require.Equal(t, exitOK, got.status, got.stderr)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Len(t, left, 1, "the output, as nobody said where to put it")
	assert.Contains(t, got.stdout, filepath.Join(temp, left[0].Name()))
	assert.Equal(t, []string{".thumbnails.json", "contact.png", "thumbs/autumn/dunes-1.jpg.png"},
		slices.Sorted(maps.Keys(listing(t, filepath.Join(temp, left[0].Name())))))
}
