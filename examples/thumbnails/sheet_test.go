package main

import (
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The whole program, seen: drawn pictures, some spoilt, on one contact sheet.
func TestContactSheet(t *testing.T) {
	out := t.TempDir()
	got := command(t, "-n", "14", "-seed", "7", "-spoil", "3", "-side", "300", "-size", "96", "-columns", "5", "-out", out)
	require.Equal(t, exitOK, got.status, got.stderr)
	sheet := filepath.Join(out, "contact.png")
	golden := filepath.Join("testdata", "contact.png")
	if *update {
		data, err := os.ReadFile(sheet)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(golden, data, 0o644))
	}
	want, have := decoded(t, golden), decoded(t, sheet)
	require.Equal(t, want.Bounds(), have.Bounds())

	// Encoders change from one release of Go to the next, and processors round in
	// different ways, which a fractal makes visible. A picture in the wrong place, a
	// missing caption or another color is far beyond that.
	far := differing(want, have)
	assert.Less(t, far, want.Bounds().Dx()*want.Bounds().Dy()/500, "pixels that differ")
}

// differing counts the pixels that are clearly not the same.
func differing(a, b image.Image) (far int) {
	const enough = 24 << 8
	differ := func(v, w uint32) bool { return max(v, w)-min(v, w) > enough }
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			if differ(r1, r2) || differ(g1, g2) || differ(b1, b2) {
				far++
			}
		}
	}
	return far
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		name  string
		chars int
		want  string
	}{
		{"a/b.png", 22, "a/b.png"},
		{"holiday/beach.jpg", 14, "..ay/beach.jpg"},
		{"a/beach.jpg", 10, "beach.jpg"},
		{"a-very-long-name-of-a-picture.jpg", 16, "a-very-..ure.jpg"},
		{"größenwahn.png", 8, "grö..png"},
		{"abcdef.png", 4, "abcd"},
	} {
		assert.Equal(t, tt.want, shorten(tt.name, tt.chars))
	}
}

func TestFit(t *testing.T) {
	for in, want := range map[image.Point]image.Point{
		{320, 160}: {160, 80}, {160, 320}: {80, 160}, {100, 20}: {100, 20}, {160, 160}: {160, 160}, {9000, 3}: {160, 1}, {3, 9000}: {1, 160},
	} {
		assert.Equal(t, want, fit(in, 160), in)
	}
}

// A sheet of the largest size that the flags allow stays within its memory.
func TestSheetIsBounded(t *testing.T) {
	a := newAlbum(nil, 1024, 50, 100_000)
	assert.Greater(t, a.limit, 40)
	assert.Less(t, a.limit*1024*1024, maxSheetPixels)
	assert.Equal(t, 400, newAlbum(nil, 160, 8, 400).limit)
}

// What is transparent shows a checkerboard.
func TestTransparentPicture(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 40, 40))
	m.Set(20, 20, red)
	sheet := drawSheet([]tile{{path: "a.png", image: m}}, 40, 1)
	at := func(x, y int) color.Color { return sheet.At(margin+padding+x, margin+padding+y) }
	assert.Equal(t, checkB, at(0, 0))
	assert.Equal(t, checkA, at(6, 0))
	assert.Equal(t, checkB, at(6, 6))
	assert.Equal(t, red, at(20, 20))
	assert.Equal(t, frame, at(-1, 5))
}
