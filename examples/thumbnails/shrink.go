package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the formats that image.Decode knows
	_ "image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

// maxSide is what the other formats allow. A PNG may be longer, but scaling takes
// memory for each of its rows, however narrow it is.
const maxSide = 1<<16 - 1

// A shrinker makes thumbnails.
type shrinker struct {
	size      int   // of the longer side, in pixels
	maxPixels int64 // of a picture; one with more is not decoded
}

// A thumbnail is what is kept of a picture: not the picture, which is large.
type thumbnail struct {
	path          string // of the picture
	format        string
	width, height int // of the picture
	bytes         int // of its file
	image         *image.RGBA
	png           []byte // image, encoded
}

// A brokenError is the error of a picture that does not decode.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// shrink decodes a picture, scales it and encodes the thumbnail. That is one stage,
// not three, so that no decoded picture waits anywhere for its turn: there are never
// more of them than calls.
func (s shrinker) shrink(_ context.Context, src source) (t thumbnail, err error) {
	// The header first: a small file can claim, and take, any amount of memory.
	config, format, err := image.DecodeConfig(bytes.NewReader(src.data))
	if err != nil {
		return t, &brokenError{err}
	}
	if n := int64(config.Width) * int64(config.Height); n > s.maxPixels || max(config.Width, config.Height) > maxSide {
		return t, fmt.Errorf("%w: %d x %d pixels", errTooLarge, config.Width, config.Height)
	}
	picture, _, err := image.Decode(bytes.NewReader(src.data))
	if err != nil {
		return t, &brokenError{err}
	}
	bounds := picture.Bounds() // of the first frame, in a GIF
	if bounds.Empty() {
		return t, &brokenError{errors.New("no pixels")}
	}

	t = thumbnail{path: src.path, format: format, width: config.Width, height: config.Height, bytes: len(src.data)}
	t.image = image.NewRGBA(image.Rectangle{Max: fit(bounds.Size(), s.size)})
	draw.CatmullRom.Scale(t.image, t.image.Bounds(), picture, bounds, draw.Src, nil)

	var encoded bytes.Buffer
	if err := png.Encode(&encoded, t.image); err != nil {
		return t, err
	}
	t.png = encoded.Bytes()
	return t, nil
}

// fit returns the size that a picture has when it must not exceed limit on either
// side. Small pictures stay as they are, and no side vanishes.
func fit(p image.Point, limit int) image.Point {
	longer := max(p.X, p.Y)
	if longer <= limit {
		return p
	}
	scaled := func(side int) int { return max(1, (side*limit+longer/2)/longer) }
	return image.Pt(scaled(p.X), scaled(p.Y))
}
