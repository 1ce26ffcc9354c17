package main

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"path"
	"strings"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/millstream-go/millstream/examples/internal/show"
)

// maxSheetPixels bounds the memory of a contact sheet, 4 bytes a pixel, whatever
// sizes and numbers the flags ask for.
const maxSheetPixels = 64 << 20

// The measures of a sheet, in pixels.
const (
	margin     = 20 // around all
	gap        = 12 // between cards
	padding    = 8  // between the edge of a card and its picture
	lineHeight = 14
	charWidth  = 7 // of basicfont, whose characters are all as wide
	captions   = 2*lineHeight + 6
)

var (
	paper    = color.RGBA{0x1d, 0x1f, 0x23, 0xff}
	card     = color.RGBA{0x2a, 0x2d, 0x33, 0xff}
	cardEdge = color.RGBA{0x3b, 0x3f, 0x47, 0xff}
	well     = color.RGBA{0x22, 0x24, 0x29, 0xff} // behind a picture that does not fill its square
	frame    = color.RGBA{0xe8, 0xe8, 0xe4, 0xff}
	bright   = color.RGBA{0xe2, 0xe4, 0xe8, 0xff}
	dim      = color.RGBA{0x8d, 0x94, 0xa0, 0xff}
	checkA   = color.RGBA{0xff, 0xff, 0xff, 0xff}
	checkB   = color.RGBA{0xd4, 0xd4, 0xd8, 0xff}
	badWell  = color.RGBA{0x3a, 0x23, 0x26, 0xff}
	badLine  = color.RGBA{0x6e, 0x37, 0x3c, 0xff}
	badText  = color.RGBA{0xff, 0xa8, 0xa2, 0xff}
)

// A tile is one place on a contact sheet.
type tile struct {
	path   string
	detail string      // the second line of its caption
	image  *image.RGBA // nil for a picture that has no thumbnail
	fault  string      // why not
}

func (t thumbnail) tile() tile {
	return tile{path: t.path, image: t.image, detail: fmt.Sprintf("%dx%d %s", t.width, t.height, t.format)}
}

// placeholder returns the tile of a picture that failed.
func placeholder(name string, k kind) tile {
	return tile{path: name, detail: "no thumbnail", fault: k.label()}
}

// An album collects tiles and writes a contact sheet as soon as it is full, so that
// it holds the thumbnails of one sheet at most.
type album struct {
	gallery *gallery
	size    int // of the longer side of a thumbnail
	columns int
	limit   int // tiles on a sheet

	tiles  []tile
	sheets []string // names of those written
	digest uint64   // of all sheets
	err    error    // the first of those that came up when they were written
}

func newAlbum(g *gallery, size, columns, limit int) album {
	fits := max(1, maxSheetPixels/((size+2*padding+gap)*(size+2*padding+gap+captions)))
	return album{gallery: g, size: size, columns: columns, limit: min(limit, fits)}
}

// add puts a tile behind the last one.
func (a *album) add(t tile) {
	a.tiles = append(a.tiles, t)
	if len(a.tiles) == a.limit {
		a.finish()
	}
}

// finish writes the sheet that has been begun, if there is one.
func (a *album) finish() {
	if len(a.tiles) == 0 {
		return
	}
	name := "contact.png"
	if n := len(a.sheets) + 1; n > 1 {
		name = fmt.Sprintf("contact-%d.png", n)
	}
	var encoded bytes.Buffer
	// The best compression takes seven times as long for a tenth less.
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	err := enc.Encode(&encoded, drawSheet(a.tiles, a.size, a.columns))
	if err == nil {
		err = a.gallery.put(name, encoded.Bytes())
	}
	if err != nil {
		a.err = cmp.Or(a.err, fmt.Errorf("%s: %w", name, show.Reason(err)))
	}
	h := fnv.New64a()
	_, _ = h.Write(encoded.Bytes())
	a.digest += h.Sum64()
	a.sheets = append(a.sheets, name)
	clear(a.tiles) // let go of the images
	a.tiles = a.tiles[:0]
}

// drawSheet draws tiles in rows, the first one at the top left.
func drawSheet(tiles []tile, size, columns int) *image.RGBA {
	columns = min(columns, len(tiles))
	rows := (len(tiles) + columns - 1) / columns
	step := image.Pt(size+2*padding+gap, size+2*padding+captions+gap)
	sheet := image.NewRGBA(image.Rect(0, 0, 2*margin+columns*step.X-gap, 2*margin+rows*step.Y-gap))
	fill(sheet, sheet.Bounds(), paper)
	for i, t := range tiles {
		at := image.Pt(margin+i%columns*step.X, margin+i/columns*step.Y)
		t.drawOn(sheet, image.Rectangle{at, at.Add(step).Sub(image.Pt(gap, gap))})
	}
	return sheet
}

// drawOn draws the card of a tile: the picture in the middle of a square, with a
// frame, and two lines below.
func (t tile) drawOn(sheet *image.RGBA, r image.Rectangle) {
	fill(sheet, r, cardEdge)
	fill(sheet, r.Inset(1), card)
	square := image.Rect(r.Min.X+padding, r.Min.Y+padding, r.Max.X-padding, r.Max.Y-padding-captions)
	if t.image != nil {
		t.drawPicture(sheet, square)
	} else {
		t.drawFault(sheet, square)
	}
	chars := square.Dx() / charWidth
	baseline := r.Max.Y - padding - lineHeight
	letter(sheet, square.Min.X, baseline, bright, shorten(t.path, chars))
	letter(sheet, square.Min.X, baseline+lineHeight, dim, firstFields(t.detail, chars))
}

func (t tile) drawPicture(sheet *image.RGBA, square image.Rectangle) {
	fill(sheet, square, well)
	size := t.image.Bounds().Size()
	at := square.Min.Add(square.Size().Sub(size).Div(2))
	r := image.Rectangle{at, at.Add(size)}
	fill(sheet, r.Inset(-1), frame)
	if !t.image.Opaque() {
		checker(sheet, r)
	}
	draw.Draw(sheet, r, t.image, image.Point{}, draw.Over)
}

func (t tile) drawFault(sheet *image.RGBA, square image.Rectangle) {
	fill(sheet, square, badWell)
	for i := range square.Dx() {
		for _, y := range []int{square.Min.Y + i, square.Max.Y - 1 - i} {
			fill(sheet, image.Rect(square.Min.X+i, y, square.Min.X+i+1, y+1), badLine)
		}
	}
	text := cut(t.fault, square.Dx()/charWidth-1)
	middle := square.Min.Add(square.Size().Div(2))
	half := image.Pt((len(text)*charWidth)/2+5, 10)
	fill(sheet, image.Rectangle{middle.Sub(half), middle.Add(half)}.Intersect(square), badWell)
	letter(sheet, middle.X-len(text)*charWidth/2, middle.Y+4, badText, text)
}

func fill(dst *image.RGBA, r image.Rectangle, c color.RGBA) {
	draw.Draw(dst, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// checker draws what shows through a picture that is transparent.
func checker(dst *image.RGBA, r image.Rectangle) {
	const side = 6
	fill(dst, r, checkA)
	for y := r.Min.Y; y < r.Max.Y; y += side {
		for x := r.Min.X + (y-r.Min.Y)%(2*side); x < r.Max.X; x += 2 * side {
			fill(dst, image.Rect(x, y, x+side, y+side).Intersect(r), checkB)
		}
	}
}

// letter writes a line of text. The font has ASCII; for what it has not it shows a box.
func letter(dst *image.RGBA, x, baseline int, c color.RGBA, text string) {
	d := font.Drawer{Dst: dst, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, baseline)}
	d.DrawString(text)
}

// shorten makes a path fit into so many characters. The name matters more than the
// folders, and its beginning and end more than what is between.
func shorten(name string, chars int) string {
	if len([]rune(name)) <= chars {
		return name
	}
	base := []rune(path.Base(name))
	if len(base) <= chars-5 {
		whole := []rune(name)
		return ".." + string(whole[len(whole)-(chars-2):])
	}
	if len(base) <= chars {
		return string(base)
	}
	if chars < 5 {
		return cut(string(base), chars)
	}
	head := (chars - 2) / 2
	return string(base[:head]) + ".." + string(base[len(base)-(chars-2-head):])
}

// firstFields makes a text fit by leaving out words at its end.
func firstFields(text string, chars int) string {
	for len(text) > chars {
		i := strings.LastIndexByte(text, ' ')
		if i < 0 {
			return cut(text, chars)
		}
		text = text[:i]
	}
	return text
}

// cut makes a text fit into so many characters.
func cut(text string, chars int) string {
	runes := []rune(text)
	return string(runes[:max(0, min(len(runes), chars))])
}
