package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/millstream-go/millstream/benchmarks/scenario"
)

// charted tells whether a scenario has a chart of its own: of the flows, those of three stages.
func charted(s *scenarioResult) bool {
	return s.Form != string(scenario.Flow) || s.Stages == 3 && s.Workers == 4
}

// chartName is the name of its file.
func chartName(s *scenarioResult) string { return strings.ReplaceAll(s.Name, "/", "-") + ".svg" }

func writeCharts(rep *report, dir string) error {
	for i := range rep.Scenarios {
		s := &rep.Scenarios[i]
		if !charted(s) || len(s.Rows) == 0 {
			continue
		}
		if err := save(rep, barChart(s), barHeight(s), filepath.Join(dir, chartName(s))); err != nil {
			return err
		}
	}
	lines := overviewStrips(rep)
	if len(lines) == 0 {
		return nil
	}
	return save(rep, overviewChart(lines), vg.Length(len(lines))*24+110, filepath.Join(dir, "overview.svg"))
}

const width = 760 // points

// sans is the font that text is measured with. The page shows it in whatever sans-serif font it has.
var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

// newPlot is an empty chart with our colours.
func newPlot(title, axis string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = paper
	p.Title.Text = title
	p.Title.TextStyle.Font, p.Title.TextStyle.Color = font.From(sans, 14), ink
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = axis
	p.X.Label.TextStyle.Font, p.X.Label.TextStyle.Color = font.From(sans, 10), ink
	p.X.Label.Padding = vg.Points(4)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font, a.Tick.Label.Color = font.From(sans, 10), ink
		a.LineStyle.Color, a.Tick.LineStyle.Color = faint, faint
	}
	p.Y.Tick.Length, p.Y.LineStyle.Width = 0, 0
	p.Y.Padding = vg.Points(4)
	return p
}

// barChart compares the subjects of a scenario, the fastest one on top.
func barChart(s *scenarioResult) *plot.Plot {
	axis := "ns an item, less is better"
	slowest, fastest := 0.0, math.Inf(1)
	for _, r := range s.Rows {
		slowest, fastest = max(slowest, r.NS*(1+r.Spread)), min(fastest, r.NS)
	}
	b := bars{rows: s.Rows}
	logarithmic := slowest > 20*fastest
	if logarithmic {
		axis += " (logarithmic)"
		b.base = fastest / 2
	}
	p := newPlot(s.Title, axis)
	p.Add(b)
	p.X.Min, p.X.Max = b.base, slowest*1.12
	if logarithmic {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
		p.X.Max = slowest * math.Pow(slowest/b.base, 0.1)
	} else {
		p.X.Tick.Marker = plot.TickerFunc(linearTicks)
	}
	names := make([]string, len(s.Rows))
	for i, r := range s.Rows {
		names[i] = r.Subject
	}
	lined(p, names)
	return p
}

func barHeight(s *scenarioResult) vg.Length { return vg.Length(len(s.Rows))*barWidth + 105 }

// overviewChart has a line for each scenario.
func overviewChart(lines strips) *plot.Plot {
	low, high := 0.5, 2.0
	labels := make([]string, len(lines))
	for i, line := range lines {
		labels[i] = line.label
		for _, d := range line.dots {
			low, high = min(low, d.times), max(high, d.times)
		}
	}
	p := newPlot("What others take, as a multiple of what Millstream takes",
		"left of 1 faster, right of it slower than Millstream; blue: libraries, grey: by hand")
	p.Add(lines)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
	p.X.Min, p.X.Max = low/2, high*1.3
	lined(p, labels)
	return p
}

// lined labels the lines of a chart from the top.
func lined(p *plot.Plot, labels []string) {
	ticks := make([]plot.Tick, len(labels))
	for i, l := range labels {
		ticks[i] = plot.Tick{Value: float64(len(labels) - 1 - i), Label: l}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = -0.6, float64(len(labels))-0.4
}

// linearTicks has commas in its labels.
func linearTicks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = tick(t.Value)
			if t.Value == 0 {
				ticks[i].Label = "0"
			}
		}
	}
	return ticks
}

// save writes a chart as SVG, with a line below it on where the figures are from. Its text is text.
func save(rep *report, p *plot.Plot, height vg.Length, file string) error {
	c := vgsvg.New(width, height)
	area := draw.New(c)
	c.SetColor(paper)
	c.Fill(area.Path())
	p.Draw(draw.Crop(area, 10, -16, 30, -8))
	note := draw.TextStyle{Color: grey, Font: font.From(sans, 8), Handler: plot.DefaultTextHandler}
	for i, line := range []string{clipped(rep.Command, 150), rep.Date + ": " + rep.Host.String()} {
		area.FillText(note, vg.Point{X: 12, Y: vg.Length(8 + 11*i)}, line)
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	text := strings.ReplaceAll(b.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
	return os.WriteFile(file, []byte(text), 0o644)
}

// clipped is the beginning of what is too long for a line.
func clipped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most-3] + "..."
}
