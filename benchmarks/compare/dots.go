package main

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millstream-go/millstream/benchmarks/subject"
)

// strip is a line of the overview: what others take in one scenario, as a multiple of what ours takes.
type strip struct {
	label string
	dots  []dot
}

type dot struct {
	subject string
	times   float64
}

// strips draws a line for each, the first one on top, a dot for each subject, and names the best one of a line.
type strips []strip

// Plot draws the lines.
func (s strips) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	for i, line := range s {
		y := toY(float64(len(s) - 1 - i))
		c.StrokeLine2(draw.LineStyle{Color: faint, Width: vg.Points(0.5)}, c.Min.X, y, c.Max.X, y)
		for _, d := range line.dots {
			if library(d.subject) {
				continue
			}
			c.DrawGlyph(draw.GlyphStyle{Color: grey, Radius: vg.Points(3.4), Shape: draw.CircleGlyph{}}, vg.Point{X: toX(d.times), Y: y})
		}
		for _, d := range line.dots { // on top
			if library(d.subject) {
				c.DrawGlyph(draw.GlyphStyle{Color: blue, Radius: vg.Points(4.4), Shape: draw.CircleGlyph{}}, vg.Point{X: toX(d.times), Y: y})
			}
		}
	}
	one := toX(1)
	c.StrokeLine2(draw.LineStyle{Color: orange, Width: vg.Points(2)}, one, c.Min.Y, one, c.Max.Y)
	for i, line := range s {
		best := -1
		for j, d := range line.dots {
			if library(d.subject) && (best < 0 || d.times < line.dots[best].times) {
				best = j
			}
		}
		if best < 0 {
			continue
		}
		label := p.X.Tick.Label
		label.Font.Size = vg.Points(8.5)
		label.XAlign, label.YAlign = draw.XCenter, draw.YBottom
		at := vg.Point{X: toX(line.dots[best].times), Y: toY(float64(len(s)-1-i)) + vg.Points(5)}
		c.FillText(label, at, line.dots[best].subject+" "+trimmed(line.dots[best].times))
	}
}

// trimmed is a number with two digits, or all before the point.
func trimmed(x float64) string {
	if x >= 10 {
		return count(x)
	}
	digits := max(0, 1-int(math.Floor(math.Log10(x))))
	return strconv.FormatFloat(math.Round(x*math.Pow10(digits))/math.Pow10(digits), 'f', -1, 64)
}

// overviewStrips are the scenarios of the overview that were measured. Loops and limits are left out: they have no hand-over.
func overviewStrips(rep *report) strips {
	var lines strips
	for _, line := range overview {
		s, ok := rep.find(line.scenario)
		if !ok {
			continue
		}
		us, ok := s.of(subject.Name)
		if !ok {
			continue
		}
		st := strip{label: line.label}
		for _, r := range s.Rows {
			if library(r.Subject) || byHand(r.Subject) {
				st.dots = append(st.dots, dot{r.Subject, r.NS / us.NS})
			}
		}
		if len(st.dots) > 0 {
			lines = append(lines, st)
		}
	}
	return lines
}
