package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
)

// minutes are those of the day that is drawn.
const minutes = 24 * 60

// midnight is when that day begins. It is fixed: the same seed draws the same log always.
var midnight = time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC)

// drawInto writes a log and returns its size. The flow is fail-fast: if the disk is full
// after a second, nothing more is drawn. A minute depends on the seed and its own number
// only, so minutes can be drawn at the same time; in the file they are in order.
func drawInto(ctx context.Context, w io.Writer, o options, opts ...pipeline.RunOption) (size int64, err error) {
	t := newTraffic(o.seed, o.lines)
	drawn := pipeline.Map(pipeline.From(upTo(minutes)), t.minute, pipeline.Named("draw"),
		pipeline.Workers(o.workers), pipeline.Ordered(inWindow*o.workers), pipeline.Buffer(waiting*o.workers))

	out := bufio.NewWriterSize(w, 1<<20)
	for text, err := range drawn.All(ctx, opts...) {
		if err != nil {
			return 0, err
		}
		n, err := out.Write(text)
		if size += int64(n); err != nil {
			return 0, show.Reason(err)
		}
	}
	return size, show.Reason(out.Flush())
}

func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// traffic is a model of a day on a web site.
type traffic struct {
	seed      uint64
	begin     [minutes + 1]int // lines before each minute
	incidents []incident
}

// An incident is a time in which one part of the site is in trouble.
type incident struct {
	from, to int // minutes
	page     int // the first of those concerned
	failing  float64
	slower   float64
}

// A page is one kind of request.
type page struct {
	method, path string // %d becomes the number of an item
	latency      float64
	bytes        float64
}

// pages are in the order of their frequency.
var pages = []page{
	{"GET", "/", 0.018, 14_000},
	{"GET", "/static/app.js", 0.001, 210_000},
	{"GET", "/products/%d", 0.032, 22_000},
	{"GET", "/static/style.css", 0.001, 38_000},
	{"GET", "/api/v1/prices/%d", 0.006, 320},
	{"GET", "/search?q=item%d", 0.140, 31_000},
	{"GET", "/static/img/%d.webp", 0.002, 64_000},
	{"POST", "/cart/items", 0.045, 410},
	{"GET", "/cart", 0.038, 9_000},
	{"GET", "/api/v1/stock/%d?site=2", 0.009, 180},
	{"GET", "/users/%d/orders", 0.085, 12_000},
	{"POST", "/login", 0.110, 640},
	{"GET", "/healthz", 0.001, 2},
	{"POST", "/checkout", 0.310, 2_100},
	{"GET", "/orders/%d/invoice.pdf", 0.420, 95_000},
	{"DELETE", "/cart/items/%d", 0.040, 120},
	{"GET", "/wp-login.php", 0.001, 150},
}

const (
	agents = 20_000 // clients
	goods  = 5_000
)

func newTraffic(seed uint64, lines int) *traffic {
	t := &traffic{seed: seed}
	rng := rand.New(rand.NewPCG(seed, minutes))
	for range 3 {
		from := rng.IntN(minutes - 40)
		t.incidents = append(t.incidents, incident{
			from: from, to: from + 4 + rng.IntN(20), page: rng.IntN(len(pages) - 6),
			failing: 0.2 + 0.5*rng.Float64(), slower: 3 + 9*rng.Float64(),
		})
	}

	// Least before dawn, most in the evening, a little less at lunch, and never quite even.
	var upTo [minutes + 1]float64
	for m := range minutes {
		hour := float64(m) / 60
		weight := 1 - 0.75*math.Cos(2*math.Pi*(hour-3.5)/24) + 0.2*math.Cos(4*math.Pi*(hour-8)/24)
		upTo[m+1] = upTo[m] + weight*(0.93+0.14*rng.Float64())
	}
	for m := range t.begin {
		t.begin[m] = int(math.Round(float64(lines) * upTo[m] / upTo[minutes]))
	}
	return t
}

// minute is the stage draw: it returns the lines of a minute.
func (t *traffic) minute(_ context.Context, m int) ([]byte, error) {
	n := t.begin[m+1] - t.begin[m]
	rng := rand.New(rand.NewPCG(t.seed, uint64(m)))
	d := pen{
		rng:    rng,
		pages:  rand.NewZipf(rng, 1.15, 2, uint64(len(pages)-1)),
		agents: rand.NewZipf(rng, 1.1, 12, agents-1),
		goods:  rand.NewZipf(rng, 1.2, 4, goods-1),
	}
	at := make([]time.Duration, n)
	for i := range at {
		at[i] = time.Duration(rng.Int64N(int64(time.Minute)))
	}
	slices.Sort(at)

	text := make([]byte, 0, n*112)
	for _, offset := range at {
		text = d.line(text, time.Duration(m)*time.Minute+offset, t.trouble(m))
	}
	return text, nil
}

// trouble returns what goes wrong in a minute; nil if nothing does.
func (t *traffic) trouble(m int) *incident {
	for i, in := range t.incidents {
		if in.from <= m && m < in.to {
			return &t.incidents[i]
		}
	}
	return nil
}

// A pen draws lines.
type pen struct {
	rng                  *rand.Rand
	pages, agents, goods *rand.Zipf
}

// line appends a line that is written at that time of the day.
func (d *pen) line(text []byte, at time.Duration, trouble *incident) []byte {
	begin := len(text)
	which := int(d.pages.Uint64())
	p := pages[which]
	status := d.status(p)
	latency := p.latency * math.Exp(0.5*d.rng.NormFloat64())
	if trouble != nil && which >= trouble.page && which < trouble.page+6 {
		latency *= trouble.slower
		if d.rng.Float64() < trouble.failing {
			status = 502 + d.rng.IntN(3)
		}
	}
	// A line is written when the request has ended, and says when it began: so the times
	// of a log are not quite in order.
	began := midnight.Add(max(0, at-time.Duration(latency*float64(time.Second))))

	text = appendClient(text, d.agents.Uint64())
	text = append(text, " - - ["...)
	text = began.AppendFormat(text, timeLayout)
	text = append(text, `] "`...)
	text = append(append(text, p.method...), ' ')
	text = d.appendPath(text, p.path)
	text = append(text, ` HTTP/1.1" `...)
	text = strconv.AppendInt(text, int64(status), 10)
	text = append(text, ' ')
	text = d.appendBytes(text, p, status)
	text = append(text, ' ')
	text = strconv.AppendFloat(text, latency, 'f', 3, 64)
	if d.rng.IntN(4000) == 0 {
		text = d.spoil(text, begin)
	}
	return append(text, '\n')
}

func (d *pen) status(p page) int {
	chance := d.rng.Float64()
	switch {
	case p.path == "/wp-login.php":
		return 404 // who asks for that is no customer
	case chance < 0.0008:
		return 500
	case chance < 0.012:
		return 404
	case chance < 0.016:
		return 403
	case chance < 0.03:
		return 302
	case chance < 0.09 && p.method == "GET":
		return 304
	case p.method == "POST" && chance < 0.5:
		return 201
	}
	return 200
}

func (d *pen) appendPath(text []byte, path string) []byte {
	for i := range len(path) {
		switch {
		case path[i] == '%':
			text = strconv.AppendUint(text, 1000+d.goods.Uint64(), 10)
		case path[i] == 'd' && i > 0 && path[i-1] == '%':
		default:
			text = append(text, path[i])
		}
	}
	return text
}

func (d *pen) appendBytes(text []byte, p page, status int) []byte {
	switch {
	case status == 304:
		return append(text, '-')
	case status >= 300:
		return append(text, "162"...)
	}
	return strconv.AppendInt(text, int64(p.bytes*(0.8+0.4*d.rng.Float64())), 10)
}

// appendClient appends the address of a client. All are from the ranges for tests and
// for documents, and belong to nobody.
func appendClient(text []byte, n uint64) []byte {
	n = n * 40_503 % (1 << 17) // spread over the range
	if n%11 == 0 {
		return fmt.Appendf(text, "2001:db8::%x", n)
	}
	return fmt.Appendf(text, "198.%d.%d.%d", 18+n>>16, n>>8&255, n&255)
}

// spoil makes a line one that no parser should take: cut off, as by a full disk, or what
// a server writes of a client that does not speak HTTP.
func (d *pen) spoil(text []byte, begin int) []byte {
	line := text[begin:]
	switch d.rng.IntN(4) {
	case 0:
		return text[:begin+d.rng.IntN(len(line))]
	case 1:
		return append(text[:begin], "\x00\x00\x00\x00\x00\x00\x00\x00"...)
	case 2:
		return append(text[:begin], `198.18.0.1 - - [02/Mar/2026:00:00:00 +0000] "\x16\x03\x01" 400 162 0.000`...)
	}
	return append(text[:len(text)-5], "-"...)
}
