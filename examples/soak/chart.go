package main

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

var (
	paper = color.RGBA{R: 255, G: 255, B: 255, A: 255}
	ink   = color.RGBA{R: 36, G: 41, B: 47, A: 255}
	blue  = color.RGBA{R: 9, G: 105, B: 218, A: 255}
	faint = color.RGBA{R: 190, G: 200, B: 210, A: 255}

	sans = font.Font{Typeface: "Liberation", Variant: "Sans"}
)

// draw writes heap and goroutines over time, one above the other.
func (s *soak) draw(file string, elapsed time.Duration) error {
	const width, height = 760, 460
	unit, name := time.Second, "s"
	if elapsed >= 5*time.Minute {
		unit, name = time.Minute, "min"
	}
	var heapBusy, heapRest, busy, rest plotter.XYs
	for _, at := range s.watch.samples {
		x := at.at.Seconds() / unit.Seconds()
		heapBusy = append(heapBusy, plotter.XY{X: x, Y: mib(at.busyHeap)})
		heapRest = append(heapRest, plotter.XY{X: x, Y: mib(at.restHeap)})
		busy = append(busy, plotter.XY{X: x, Y: float64(at.busyRoutines)})
		rest = append(rest, plotter.XY{X: x, Y: float64(at.restRoutines)})
	}
	upper, err := panel("Heap, MiB of objects", "", heapBusy, heapRest)
	if err != nil {
		return err
	}
	lower, err := panel("Goroutines", name, busy, rest)
	if err != nil {
		return err
	}

	c := vgsvg.New(width, height)
	area := draw.New(c)
	c.SetColor(paper)
	c.Fill(area.Path())
	canvases := plot.Align([][]*plot.Plot{{upper}, {lower}},
		draw.Tiles{Rows: 2, Cols: 1, PadY: vg.Points(10), PadTop: 8, PadBottom: 22, PadLeft: 10, PadRight: 16}, area)
	upper.Draw(canvases[0][0])
	lower.Draw(canvases[1][0])
	area.FillText(draw.TextStyle{Color: ink, Font: font.From(sans, 8), Handler: plot.DefaultTextHandler}, vg.Point{X: 12, Y: 8},
		fmt.Sprintf("%v, seed %d, %s inputs; blue: at rest, garbage collected; grey: under load; %s, %s/%s, %s",
			elapsed.Round(time.Second), s.opts.seed, grouped(s.ledger.accepted()), runtime.Version(), runtime.GOOS, runtime.GOARCH,
			s.watch.start.UTC().Format(time.DateOnly)))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	text := strings.ReplaceAll(b.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
	return os.WriteFile(file, []byte(text), 0o644)
}

// panel is one of the two charts, from 0 on.
func panel(title, axis string, busy, rest plotter.XYs) (*plot.Plot, error) {
	p := plot.New()
	p.BackgroundColor = paper
	p.Title.Text, p.Title.TextStyle.Font, p.Title.TextStyle.Color = title, font.From(sans, 12), ink
	p.X.Label.Text, p.X.Label.TextStyle.Font = axis, font.From(sans, 10)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font, a.Tick.Label.Color = font.From(sans, 10), ink
	}
	p.Add(plotter.NewGrid())
	for _, l := range []struct {
		xys   plotter.XYs
		color color.Color
		width vg.Length
	}{{busy, faint, 1}, {rest, blue, 1.6}} {
		if len(l.xys) == 0 {
			continue
		}
		line, err := plotter.NewLine(l.xys)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = l.color, l.width
		p.Add(line)
	}
	p.Y.Min = 0
	return p, nil
}
