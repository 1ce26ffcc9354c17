package main

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"

	"golang.org/x/image/draw"
)

// A scene is a kind of picture that can be drawn in any size.
type scene struct {
	name   string
	format string // and extension of the file
	paint  func(*rand.Rand, image.Point) image.Image
}

// An ink is a color with parts from 0 to 1; what is beyond is cut.
type ink struct{ r, g, b, a float64 }

func (k ink) mix(o ink, t float64) ink {
	t = min(max(t, 0), 1)
	return ink{k.r + (o.r-k.r)*t, k.g + (o.g-k.g)*t, k.b + (o.b-k.b)*t, k.a + (o.a-k.a)*t}
}

func (k ink) scale(f float64) ink { return ink{k.r * f, k.g * f, k.b * f, k.a} }

func (k ink) nrgba() color.NRGBA {
	part := func(v float64) uint8 { return uint8(min(max(v, 0), 1)*255 + 0.5) }
	return color.NRGBA{part(k.r), part(k.g), part(k.b), part(k.a)}
}

// rainbow returns a color of a soft palette that repeats with every whole t.
func rainbow(t float64, phase ink) ink {
	wave := func(p float64) float64 { return 0.55 + 0.45*math.Cos(2*math.Pi*(t+p)) }
	return ink{wave(phase.r), wave(phase.g), wave(phase.b), 1}
}

// shade makes a picture of what at says of each pixel. The coordinates have their
// origin in the middle, and the shorter side goes from -1 to 1, downwards.
func shade(size image.Point, at func(x, y float64) ink) *image.NRGBA {
	picture := image.NewNRGBA(image.Rectangle{Max: size})
	unit := float64(min(size.X, size.Y)) / 2
	for py := range size.Y {
		y := (float64(py) + 0.5 - float64(size.Y)/2) / unit
		for px := range size.X {
			x := (float64(px) + 0.5 - float64(size.X)/2) / unit
			picture.SetNRGBA(px, py, at(x, y).nrgba())
		}
	}
	return picture
}

// edge is 1 where d is well below 0, 0 where it is well above, and soft in between.
func edge(d float64) float64 { return min(max(0.5-d*150, 0), 1) }

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// paintDunes has a sky with a sun, and ridges that get darker towards the front.
func paintDunes(rng *rand.Rand, size image.Point) image.Image {
	mood := pick(rng,
		[3]ink{{0.16, 0.20, 0.45, 1}, {0.98, 0.62, 0.38, 1}, {0.45, 0.16, 0.26, 1}},
		[3]ink{{0.25, 0.52, 0.82, 1}, {0.93, 0.93, 0.82, 1}, {0.20, 0.42, 0.30, 1}},
		[3]ink{{0.36, 0.22, 0.48, 1}, {0.97, 0.74, 0.70, 1}, {0.22, 0.22, 0.44, 1}})
	tall := float64(size.Y) / float64(min(size.X, size.Y))
	sunX, sunY := rng.Float64()*1.2-0.6, -0.35*tall+rng.Float64()*0.3
	type ridge struct{ height, f1, f2, p1, p2, a float64 }
	var ridges [5]ridge
	for i := range ridges {
		ridges[i] = ridge{tall * (0.05 + 0.2*float64(i)), 1 + rng.Float64()*2, 4 + rng.Float64()*4,
			rng.Float64() * 7, rng.Float64() * 7, 0.12 + 0.1*rng.Float64()}
	}
	return shade(size, func(x, y float64) ink {
		c := mood[0].mix(mood[1], (y/tall+1)/1.15)
		d := math.Hypot(x-sunX, y-sunY)
		c = c.mix(ink{1, 0.95, 0.8, 1}, 0.55*math.Exp(-d*d*5)).mix(ink{1, 0.98, 0.9, 1}, edge(d-0.2))
		for i, r := range ridges {
			top := r.height + r.a*math.Sin(r.f1*x+r.p1) + r.a/5*math.Sin(r.f2*x+r.p2)
			c = c.mix(mood[1].mix(mood[2], 0.3+0.2*float64(i)).scale(1-0.13*float64(i)+0.15*(y-top)), edge(top-y))
		}
		return c
	})
}

// paintMarbles has balls with light and shadow; half of these pictures are
// transparent between them.
func paintMarbles(rng *rand.Rand, size image.Point) image.Image {
	wide, tall := float64(size.X)/float64(min(size.X, size.Y)), float64(size.Y)/float64(min(size.X, size.Y))
	ground := pick(rng, ink{0.96, 0.94, 0.89, 1}, ink{0.13, 0.17, 0.24, 1}, ink{}, ink{})
	phase := ink{rng.Float64(), rng.Float64(), rng.Float64(), 1}
	type ball struct {
		x, y, r float64
		c       ink
	}
	balls := make([]ball, 9+rng.IntN(12))
	for i := range balls {
		balls[i] = ball{(rng.Float64()*2 - 1) * wide, (rng.Float64()*2 - 1) * tall, 0.12 + rng.Float64()*0.38, rainbow(rng.Float64(), phase)}
	}
	return shade(size, func(x, y float64) ink {
		c := ground
		for _, b := range balls {
			dx, dy := (x-b.x)/b.r, (y-b.y)/b.r
			d := math.Hypot(dx, dy)
			if d > 1.1 {
				continue
			}
			depth := math.Sqrt(max(0, 1-d*d))
			light := 0.35 + 0.75*max(0, -0.5*dx-0.6*dy+0.62*depth)
			shine := math.Exp(-14 * ((dx+0.36)*(dx+0.36) + (dy+0.42)*(dy+0.42)))
			body := b.c.scale(light).mix(ink{1, 1, 1, 1}, 0.8*shine)
			in := edge((d - 1) * b.r)
			if c.a == 0 {
				body.a = in
				if in > 0 {
					c = body
				}
				continue
			}
			a := max(c.a, in)
			c = c.mix(body, in)
			c.a = a
		}
		return c
	})
}

// paintJulia has a Julia set.
func paintJulia(rng *rand.Rand, size image.Point) image.Image {
	c := pick(rng, complex(-0.8, 0.156), complex(0.285, 0.01), complex(-0.4, 0.6), complex(-0.70176, -0.3842), complex(-0.835, -0.2321))
	phase, turn := ink{rng.Float64(), rng.Float64(), rng.Float64(), 1}, rng.Float64()*math.Pi
	sin, cos := math.Sincos(turn)
	const rounds = 140
	return shade(size, func(x, y float64) ink {
		z := complex(1.25*(x*cos-y*sin), 1.25*(x*sin+y*cos))
		for n := range rounds {
			z = z*z + c
			if m := real(z)*real(z) + imag(z)*imag(z); m > 256 {
				smooth := float64(n) - math.Log2(math.Log2(m)/8)
				return rainbow(0.22*math.Sqrt(max(smooth, 0)), phase).scale(min(1, 0.3+smooth/20))
			}
		}
		return ink{0.05, 0.05, 0.1, 1}
	})
}

// noise returns a smooth random function of the plane, from 0 to 1.
func noise(rng *rand.Rand) func(x, y float64) float64 {
	var lattice [64][64]float64
	for i := range lattice {
		for j := range lattice[i] {
			lattice[i][j] = rng.Float64()
		}
	}
	value := func(x, y float64) float64 {
		fx, fy := math.Floor(x), math.Floor(y)
		i, j := int(fx), int(fy)
		x, y = x-fx, y-fy
		x, y = x*x*(3-2*x), y*y*(3-2*y)
		top := lattice[i&63][j&63]*(1-x) + lattice[(i+1)&63][j&63]*x
		low := lattice[i&63][(j+1)&63]*(1-x) + lattice[(i+1)&63][(j+1)&63]*x
		return top*(1-y) + low*y
	}
	return func(x, y float64) float64 {
		sum, weight := 0.0, 0.5
		for range 6 {
			sum += weight * value(x, y)
			x, y, weight = x*2+17.3, y*2+5.7, weight/2
		}
		return sum
	}
}

// paintClouds has noise upon noise, which looks like clouds, or smoke.
func paintClouds(rng *rand.Rand, size image.Point) image.Image {
	n := noise(rng)
	mood := pick(rng,
		[3]ink{{0.13, 0.33, 0.66, 1}, {0.55, 0.73, 0.92, 1}, {1, 1, 1, 1}},
		[3]ink{{0.08, 0.03, 0.12, 1}, {0.80, 0.26, 0.20, 1}, {1, 0.88, 0.45, 1}},
		[3]ink{{0.03, 0.14, 0.16, 1}, {0.12, 0.52, 0.47, 1}, {0.92, 0.97, 0.76, 1}})
	return shade(size, func(x, y float64) ink {
		bend := n(1.5*x+40, 1.5*y+40)
		v := n(2*x+2.5*bend, 2*y+2.5*bend)
		v = (v - 0.25) * 2
		return mood[0].mix(mood[1], 2*v).mix(mood[2], 2*v-1)
	})
}

// paintPage has a page with a heading, columns of lines and a chart.
func paintPage(rng *rand.Rand, size image.Point) image.Image {
	paint := color.Palette{
		color.RGBA{0xfb, 0xf9, 0xf3, 0xff}, color.RGBA{0x33, 0x36, 0x3d, 0xff}, color.RGBA{0x9a, 0x9d, 0xa3, 0xff},
		pick(rng, color.RGBA{0xc2, 0x3b, 0x33, 0xff}, color.RGBA{0x1f, 0x6f, 0xb5, 0xff}, color.RGBA{0x1e, 0x86, 0x5c, 0xff}),
		color.RGBA{0xea, 0xe4, 0xd6, 0xff}, color.RGBA{0xe2, 0xa3, 0x3d, 0xff},
	}
	page := image.NewPaletted(image.Rectangle{Max: size}, paint)
	bar := func(r image.Rectangle, ink int) {
		draw.Draw(page, r, image.NewUniform(paint[ink]), image.Point{}, draw.Src)
	}
	unit := max(4, min(size.X, size.Y)/44)
	area := page.Bounds().Inset(3 * unit)
	heading := image.Rect(area.Min.X, area.Min.Y, area.Min.X+area.Dx()*(50+rng.IntN(40))/100, area.Min.Y+3*unit)
	bar(heading, 1)
	bar(image.Rect(area.Min.X, heading.Max.Y+unit, area.Max.X, heading.Max.Y+unit+max(2, unit/3)), 3)
	area.Min.Y = heading.Max.Y + 3*unit

	columns := max(1, area.Dx()/(26*unit))
	width := (area.Dx() - (columns-1)*2*unit) / columns
	for col := range columns {
		left := area.Min.X + col*(width+2*unit)
		chart := area.Min.Y + rng.IntN(max(1, area.Dy()-12*unit))
		for y := area.Min.Y; y+unit <= area.Max.Y; y += 2 * unit {
			if y >= chart && y+11*unit <= area.Max.Y {
				chartAt(rng, image.Rect(left, y, left+width, y+10*unit), unit, bar)
				y += 10 * unit
				chart = size.Y
				continue
			}
			text := image.Rect(left, y, left+width, y+unit)
			if rng.IntN(6) == 0 { // the end of a paragraph
				text.Max.X = left + width*(20+rng.IntN(60))/100
			}
			words(rng, text, unit, bar)
		}
	}
	return page
}

// words fills a line with bars of the length of words.
func words(rng *rand.Rand, line image.Rectangle, unit int, bar func(image.Rectangle, int)) {
	for x := line.Min.X; x < line.Max.X; {
		end := min(x+unit*(1+rng.IntN(6)), line.Max.X)
		bar(image.Rect(x, line.Min.Y, end, line.Max.Y), 2)
		x = end + max(2, unit*2/3)
	}
}

// chartAt draws a bar chart.
func chartAt(rng *rand.Rand, r image.Rectangle, unit int, bar func(image.Rectangle, int)) {
	bar(r, 4)
	for x := r.Min.X + unit; x+2*unit < r.Max.X; x += 3 * unit {
		bar(image.Rect(x, r.Max.Y-unit-rng.IntN(max(1, r.Dy()-2*unit))-2, x+2*unit, r.Max.Y-unit), pick(rng, 3, 3, 5))
	}
}

// paintWeave has bands that cross over and under each other.
func paintWeave(rng *rand.Rand, size image.Point) image.Image {
	phase, per := ink{rng.Float64(), rng.Float64(), rng.Float64(), 1}, 3+rng.Float64()*4
	sin, cos := math.Sincos(rng.Float64() * math.Pi)
	return shade(size, func(x, y float64) ink {
		u, v := per*(x*cos-y*sin), per*(x*sin+y*cos)
		iu, iv := math.Floor(u), math.Floor(v)
		across, along, band := u-iu-0.5, v-iv-0.5, iu
		if (int(iu)+int(iv))&1 == 0 { // here the other band is above
			across, along, band = along, across, iv+10
		}
		if math.Abs(across) > 0.44 {
			return ink{0.1, 0.1, 0.12, 1}
		}
		round := 1 - 1.1*across*across
		over := 1 - 1.6*along*along
		return rainbow(0.045*band, phase).mix(ink{0.93, 0.89, 0.8, 1}, 0.25).scale(round * over)
	})
}

// paintPlanet has a planet with bands, lit from one side, before stars.
func paintPlanet(rng *rand.Rand, size image.Point) image.Image {
	n := noise(rng)
	phase := ink{rng.Float64(), 0.15 + rng.Float64()/4, 0.3 + rng.Float64()/3, 1}
	cx, cy, r := rng.Float64()*0.5-0.25, rng.Float64()*0.4-0.2, 0.5+rng.Float64()*0.25
	tilt := rng.Float64() - 0.5
	picture := shade(size, func(x, y float64) ink {
		glow := n(1.2*x+9, 1.2*y+9)
		c := ink{0.02, 0.02, 0.06, 1}.mix(rainbow(0.4, phase), 0.55*max(0, glow-0.35))
		dx, dy := (x-cx)/r, (y-cy)/r
		d := math.Hypot(dx, dy)
		c = c.mix(rainbow(0.1, phase), 0.5*math.Exp(-9*max(0, d-1)))
		z := math.Sqrt(max(0, 1-d*d))
		band := dy + tilt*dx + 0.18*n(3*dx+20, 5*dy+20)
		body := rainbow(0.35*math.Sin(5*band)+0.2*n(2*dx+1.5*z, 9*band+30), phase).mix(ink{0.85, 0.78, 0.68, 1}, 0.4)
		light := max(0.04, 0.15-0.62*dx-0.45*dy+0.64*z)
		return c.mix(body.scale(light), edge((d-1)*r))
	})
	for range size.X * size.Y / 3000 {
		x, y := rng.IntN(size.X), rng.IntN(size.Y)
		unit := float64(min(size.X, size.Y)) / 2
		dx, dy := (float64(x)-float64(size.X)/2)/unit-cx, (float64(y)-float64(size.Y)/2)/unit-cy
		if math.Hypot(dx, dy) > r+0.02 {
			v := uint8(120 + rng.IntN(136))
			draw.Draw(picture, image.Rect(x, y, x+1+rng.IntN(3), y+1+rng.IntN(3)), image.NewUniform(color.NRGBA{v, v, v, 255}), image.Point{}, draw.Src)
		}
	}
	return picture
}
