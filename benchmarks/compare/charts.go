package main

import (
	"bytes"
	"fmt"
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
		if err := save(barChart(rep, s), barHeight(s), filepath.Join(dir, chartName(s))); err != nil {
			return err
		}
	}
	lines := overviewStrips(rep)
	if len(lines) == 0 {
		return nil
	}
	return save(overviewChart(rep, lines), vg.Length(len(lines))*24+120, filepath.Join(dir, "overview.svg"))
}

const width = 760 // points

// newPlot is an empty chart with our colours, and below it where the figures are from.
func newPlot(rep *report, title, axis string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = paper
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	p.Title.Text = title
	p.Title.TextStyle.Font, p.Title.TextStyle.Color = font.From(sans, 14), ink
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = axis + "\n" + fmt.Sprintf("%s, %s, %s; %s, commit %s", rep.Host.CPU, cores(rep.Host.Cores), rep.Host.Go, rep.Date, rep.Host.Commit) +
		"\n" + rep.Command
	p.X.Label.TextStyle.Font, p.X.Label.TextStyle.Color = font.From(sans, 9), ink
	p.X.Label.Padding = vg.Points(4)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font, a.Tick.Label.Color = font.From(sans, 10), ink
		a.LineStyle.Color, a.Tick.LineStyle.Color = faint, faint
	}
	p.Y.Tick.Length, p.Y.LineStyle.Width = 0, 0
	p.Y.Padding = vg.Points(4)
	return p
}

func cores(n int) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}

// barChart compares the subjects of a scenario, the fastest one on top.
func barChart(rep *report, s *scenarioResult) *plot.Plot {
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
	p := newPlot(rep, s.Title, axis)
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

func barHeight(s *scenarioResult) vg.Length { return vg.Length(len(s.Rows))*barWidth + 110 }

// overviewChart has a line for each scenario.
func overviewChart(rep *report, lines strips) *plot.Plot {
	low, high := 0.5, 2.0
	labels := make([]string, len(lines))
	for i, line := range lines {
		labels[i] = line.label
		for _, d := range line.dots {
			low, high = min(low, d.times), max(high, d.times)
		}
	}
	p := newPlot(rep, "What others take, as a multiple of what Millstream takes",
		"left of the line: faster than Millstream; right: slower (logarithmic). Blue: libraries, the best one named. Grey: by hand.")
	p.Add(lines)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
	p.X.Min, p.X.Max = low/1.3, high*1.3
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

// save writes a chart as SVG whose text is text, in whatever sans-serif font there is.
func save(p *plot.Plot, height vg.Length, file string) error {
	c := vgsvg.New(width, height)
	area := draw.New(c)
	c.SetColor(paper)
	c.Fill(area.Rectangle.Path())
	p.Draw(draw.Crop(area, 10, -24, 8, -8))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	text := strings.ReplaceAll(b.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
	return os.WriteFile(file, []byte(text), 0o644)
}
