package main

import (
	"bytes"
	"image/color"
	"math"
	"os"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

var (
	sans    = font.Font{Typeface: "Liberation", Variant: "Sans"}
	ink     = color.RGBA{R: 36, G: 41, B: 47, A: 255}
	palette = []color.Color{
		color.RGBA{R: 9, G: 105, B: 218, A: 255}, color.RGBA{R: 207, G: 108, B: 10, A: 255},
		color.RGBA{R: 26, G: 127, B: 55, A: 255}, color.RGBA{R: 110, G: 119, B: 129, A: 255},
	}
)

// picture writes the chart of a part: a line for each line, both axes logarithmic. Where calls wait it is the processor's time.
func picture(part *part, file string) error {
	a := axisOf(part.Name)
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.Title.TextStyle.Font, p.Title.TextStyle.Color = a.title, font.From(sans, 14), ink
	p.X.Label.Text, p.X.Label.TextStyle.Font = a.unit, font.From(sans, 10)
	p.Y.Label.Text, p.Y.Label.TextStyle.Font = "ns an item", font.From(sans, 10)
	if a.name == "waiting" {
		p.Y.Label.Text = "ns of the processor an item"
	}
	for _, ax := range []*plot.Axis{&p.X, &p.Y} {
		ax.Tick.Label.Font, ax.Tick.Label.Color = font.From(sans, 10), ink
		ax.Scale, ax.Tick.Marker = plot.LogScale{}, decades{}
	}
	p.Legend.TextStyle.Font = font.From(sans, 10)
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	low, high := math.Inf(1), 0.0
	for i, l := range a.lines {
		var xys plotter.XYs
		for _, pt := range part.Points {
			if pt.Line != l.name {
				continue
			}
			y := pt.NS
			if a.name == "waiting" && pt.Processor > 0 {
				y = pt.Processor
			}
			low, high = min(low, y), max(high, y)
			xys = append(xys, plotter.XY{X: float64(pt.X), Y: y})
		}
		if len(xys) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.6)
		dots.Color, dots.Shape, dots.Radius = palette[i%len(palette)], draw.CircleGlyph{}, vg.Points(2.4)
		p.Add(line, dots)
		p.Legend.Add(l.name, line)
	}
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(low))), 3*math.Pow(10, math.Ceil(math.Log10(high)))

	c := vgsvg.New(760, 380)
	area := draw.New(c)
	c.SetColor(color.White)
	c.Fill(area.Path())
	p.Draw(draw.Crop(area, 10, -16, 24, -8))
	note := strings.ReplaceAll(part.Measure, "`", "")
	area.FillText(draw.TextStyle{Color: ink, Font: font.From(sans, 8), Handler: plot.DefaultTextHandler}, vg.Point{X: 12, Y: 8}, note)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	text := strings.ReplaceAll(b.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
	return os.WriteFile(file, []byte(text), 0o644)
}

// decades are the ticks of a logarithmic axis: labels at 1, 10, 100 and so on.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for d := math.Pow(10, math.Floor(math.Log10(low))); d <= high*1.0001; d *= 10 {
		for i := 1.0; i < 10; i++ {
			if v := i * d; v >= low*0.9999 && v <= high*1.0001 {
				label := ""
				if i == 1 {
					label = commas(int(v + 0.5))
				}
				ticks = append(ticks, plot.Tick{Value: v, Label: label})
			}
		}
	}
	return ticks
}
