package ratesim

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Dimensions of the picture, in its own units.
const (
	pictureWidth = 960
	marginLeft   = 64
	marginRight  = 24
	marginTop    = 64
	laneHeight   = 150 // of the highest bars of a limit, in both directions
	laneGap      = 56
	columns      = 150 // at most
)

// WriteSVG writes the timeline of all limits, one below the other. Bars upwards are what was
// granted, at the time when it was granted; bars downwards are what was denied; an outline shows
// what arrived. WriteSVG returns the first error of w.
func (r Report) WriteSVG(w io.Writer) error {
	step := roundStep(r.For, columns)
	lanes := make([]lane, len(r.Runs))
	most, sum := 1, 0 // of the lanes, in both directions: all have the same scale
	for i, run := range r.Runs {
		lanes[i] = newLane(r.slicesOf(run, step))
		most = max(most, lanes[i].height())
		sum += lanes[i].height()
	}
	unit := float64(laneHeight) / float64(most)
	height := marginTop + float64(sum)*unit + float64(len(r.Runs)*laneGap)

	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img">
<style>
text { font: 13px system-ui, sans-serif; fill: #334155; }
.name { font-weight: 600; font-size: 15px; fill: #0f172a; }
.small { font-size: 11px; fill: #64748b; }
.granted { fill: #2563eb; } .denied { fill: #dc2626; }
.offered { fill: none; stroke: #94a3b8; }
.axis { stroke: #334155; } .grid { stroke: #e2e8f0; }
</style>
<rect width="100%%" height="100%%" fill="#fff"/>
`, pictureWidth, height, pictureWidth, height)
	legend(&out, step)
	top := float64(marginTop)
	for i, run := range r.Runs {
		r.draw(&out, run, lanes[i], top, unit, step)
		top += float64(lanes[i].height())*unit + laneGap
	}
	out.WriteString("</svg>\n")
	_, err := io.WriteString(w, out.String())
	return err
}

func legend(out *strings.Builder, step time.Duration) {
	x := marginLeft
	for _, entry := range []struct{ class, text string }{
		{"granted", "granted"}, {"denied", "denied"}, {"offered", "arrived"},
	} {
		fmt.Fprintf(out, `<rect class="%s" x="%d" y="18" width="12" height="12"/><text x="%d" y="29">%s</text>`+"\n",
			entry.class, x, x+18, entry.text)
		x += 90
	}
	fmt.Fprintf(out, `<text class="small" x="%d" y="29" text-anchor="end">tokens in each %s</text>`+"\n",
		pictureWidth-marginRight, brief(step))
}

// lane is what happened to one limit, with the largest columns in both directions.
type lane struct {
	parts    []slice
	up, down int
}

func newLane(parts []slice) lane {
	l := lane{parts: parts, up: 1}
	for _, s := range parts {
		l.up, l.down = max(l.up, s.Offered, s.granted), max(l.down, s.Denied)
	}
	return l
}

func (l lane) height() int { return l.up + l.down }

// draw draws one limit; unit is the height of one token.
func (r Report) draw(out *strings.Builder, run Outcomes, l lane, top, unit float64, step time.Duration) {
	zero := top + float64(l.up)*unit
	fmt.Fprintf(out, `<text class="name" x="%d" y="%.2f">%s</text><text x="%d" y="%.2f" text-anchor="end">%s</text>`+"\n",
		marginLeft, top-8, escape(run.Limit.Name), pictureWidth-marginRight, top-8, escape(run.summary()))
	r.grid(out, top, zero+float64(l.down)*unit)

	width := (pictureWidth - marginLeft - marginRight) * float64(step) / float64(r.For)
	for i, s := range l.parts {
		x := marginLeft + float64(i)*width
		column := func(class string, y float64, n int) {
			if n > 0 {
				fmt.Fprintf(out, `<rect class="%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`+"\n",
					class, x+0.5, y, width-1, float64(n)*unit)
			}
		}
		column("granted", zero-float64(s.granted)*unit, s.granted)
		column("denied", zero, s.Denied)
		column("offered", zero-float64(s.Offered)*unit, s.Offered)
	}
	fmt.Fprintf(out, `<line class="axis" x1="%d" x2="%d" y1="%.2f" y2="%.2f"/>`+"\n",
		marginLeft, pictureWidth-marginRight, zero, zero)
	label := func(y float64, n int) {
		fmt.Fprintf(out, `<text class="small" x="%d" y="%.2f" text-anchor="end">%s</text>`+"\n", marginLeft-6, y, thousands(n))
	}
	label(top+8, l.up)
	label(zero+4, 0)
	if float64(l.down)*unit > 14 {
		label(zero+float64(l.down)*unit, l.down)
	}
}

// grid draws the ticks of the time axis.
func (r Report) grid(out *strings.Builder, top, bottom float64) {
	step := roundStep(r.For, 10)
	for at := time.Duration(0); at <= r.For; at += step {
		x := marginLeft + float64(at)/float64(r.For)*(pictureWidth-marginLeft-marginRight)
		fmt.Fprintf(out, `<line class="grid" x1="%.2f" x2="%.2f" y1="%.2f" y2="%.2f"/>`, x, x, top, bottom+4)
		fmt.Fprintf(out, `<text class="small" x="%.2f" y="%.2f" text-anchor="middle">%s</text>`+"\n", x, bottom+17, brief(at))
	}
}

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text)) // a strings.Builder returns no error
	return out.String()
}
