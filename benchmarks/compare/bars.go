package main

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The colours of the charts. They are told apart in print and by who does not see red and green.
var (
	paper  = color.RGBA{R: 0xfd, G: 0xfd, B: 0xfc, A: 0xff} // charts bring their own background, for white and dark pages
	ink    = color.RGBA{R: 0x24, G: 0x29, B: 0x2f, A: 0xff}
	faint  = color.RGBA{R: 0xd8, G: 0xdc, B: 0xe0, A: 0xff}
	grey   = color.RGBA{R: 0x8c, G: 0x95, B: 0x9f, A: 0xff} // by hand
	blue   = color.RGBA{R: 0x6b, G: 0x9a, B: 0xc4, A: 0xff} // libraries
	orange = color.RGBA{R: 0xe0, G: 0x6c, B: 0x1f, A: 0xff} // ours
)

// colour is that of a subject.
func colour(name string) color.RGBA {
	switch {
	case ours(name):
		return orange
	case library(name):
		return blue
	default:
		return grey
	}
}

// bars draws a horizontal bar for each row, the first one on top, with its figure behind it and its spread as a line.
type bars struct {
	rows []row
	base float64 // where the bars begin, which on a logarithmic axis cannot be 0
}

// Plot draws the bars.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	half := barWidth * 0.36
	for i, r := range b.rows {
		y := toY(float64(len(b.rows) - 1 - i))
		left, right := toX(b.base), toX(r.NS)
		c.FillPolygon(colour(r.Subject), []vg.Point{{X: left, Y: y - half}, {X: right, Y: y - half}, {X: right, Y: y + half}, {X: left, Y: y + half}})
		low, high := toX(max(b.base, r.NS*(1-r.Spread))), toX(r.NS*(1+r.Spread))
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: vg.Points(1)}, low, y, high, y)
		label := p.X.Tick.Label
		label.XAlign, label.YAlign = draw.XLeft, draw.YCenter
		c.FillText(label, vg.Point{X: max(right, high) + vg.Points(5), Y: y}, nanos(r.NS))
	}
}

// barWidth is how much room a bar takes.
const barWidth = vg.Length(17)

// logTicks are powers of ten with a label, and the rest without.
type logTicks struct{}

// Ticks returns the ticks between two values.
func (logTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for m := 1.0; m < 10; m++ {
			at := m * math.Pow(10, e)
			if at < low*0.999 || at > high*1.001 {
				continue
			}
			label := ""
			if m == 1 {
				label = tick(at)
			}
			ticks = append(ticks, plot.Tick{Value: at, Label: label})
		}
	}
	return ticks
}

// tick is a round number, large or small.
func tick(x float64) string {
	if x < 1 {
		return trimmed(x)
	}
	return count(x)
}
