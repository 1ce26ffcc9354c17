package ratesim_test

import (
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratesim"
)

func limit(t *testing.T, text string) ratesim.Limit {
	t.Helper()
	l, err := ratesim.ParseLimit(text)
	require.NoError(t, err)
	return l
}

func traffic(t *testing.T, text string) iter.Seq[ratesim.Arrival] {
	t.Helper()
	seq, err := ratesim.ParseTraffic(text)
	require.NoError(t, err)
	return seq
}

func TestRun(t *testing.T) {
	for _, test := range []struct {
		limit, traffic string
		d              time.Duration
		want           ratesim.Count
		longest        time.Duration
	}{
		{"100/s burst 20", "50 every 1s", 10 * time.Second, ratesim.Count{Offered: 500, Admitted: 200, Denied: 300}, 0},
		{"20/s burst 50", "50 every 1s", 10 * time.Second, ratesim.Count{Offered: 500, Admitted: 230, Denied: 270}, 0},
		{"100/s burst 20 wait 2s", "50 every 1s", 10 * time.Second, ratesim.Count{Offered: 500, Admitted: 500}, 300 * time.Millisecond},
		{"100/s burst 20 wait 100ms", "50 every 1s", 10 * time.Second, ratesim.Count{Offered: 500, Admitted: 300, Denied: 200}, 100 * time.Millisecond},
		{"1/d", "1/h", 366 * 24 * time.Hour, ratesim.Count{Offered: 366 * 24, Admitted: 366, Denied: 366 * 23}, 0},
	} {
		t.Run(test.limit, func(t *testing.T) {
			report := ratesim.Run(test.d, traffic(t, test.traffic), limit(t, test.limit))
			require.Len(t, report.Runs, 1)
			got := report.Runs[0]
			assert.Equal(t, test.want, got.Tokens)
			assert.Equal(t, test.longest, got.MaxWait)
			assert.Len(t, got.Fates, len(report.Arrivals))
		})
	}
}

// Two limits under one traffic do not disturb each other.
func TestRunComparesLimits(t *testing.T) {
	report := ratesim.Run(time.Minute, traffic(t, "poisson 30/s"), limit(t, "20/s"), limit(t, "20/s"), limit(t, "1000/s burst 1000"))
	assert.Equal(t, report.Runs[0].Fates, report.Runs[1].Fates)
	assert.Zero(t, report.Runs[2].Tokens.Denied)
	assert.InDelta(t, 1800, report.Runs[2].Tokens.Offered, 150)
}

type allower func(time.Time, int) bool

func (f allower) AllowN(t time.Time, n int) bool { return f(t, n) }

func TestRunTakesAnyLimiter(t *testing.T) {
	asked := 0
	all := allower(func(_ time.Time, n int) bool { asked += n; return n == 1 })
	arrivals := slices.Values([]ratesim.Arrival{{0, 1}, {0, 3}, {time.Second, 1}, {time.Hour, 1}})
	report := ratesim.Run(time.Minute, arrivals, ratesim.Limit{Name: "all", Limiter: all})
	assert.Equal(t, 5, asked)
	assert.Equal(t, ratesim.Count{Offered: 5, Admitted: 2, Denied: 3}, report.Runs[0].Tokens)
}

func TestRunRefusesWhatMakesNoSense(t *testing.T) {
	l := limit(t, "1/s")
	steady := ratesim.Steady(1)
	for want, f := range map[string]func(){
		"ratesim: Run for 0s: want more than 0": func() { ratesim.Run(0, steady, l) },
		"ratesim: Run: no limit":                func() { ratesim.Run(1, steady) },
		"ratesim: Run: no traffic":              func() { ratesim.Run(1, nil, l) },
		"ratesim: Run: nil limiter":             func() { ratesim.Run(1, steady, ratesim.Limit{}) },
		`ratesim: Run: limit "x": nobody can wait 1s for it`: func() {
			ratesim.Run(1, steady, ratesim.Limit{Name: "x", Limiter: allower(nil), Patience: time.Second})
		},
		"ratesim: Run: an arrival at 1ns comes after one at 2ns": func() {
			ratesim.Run(5, slices.Values([]ratesim.Arrival{{2, 1}, {1, 1}}), l)
		},
		"ratesim: Run: an arrival of 0":                           func() { ratesim.Run(5, slices.Values([]ratesim.Arrival{{2, 0}}), l) },
		"ratesim: Bursts(0, 1s): want more than 0":                func() { ratesim.Bursts(0, time.Second) },
		"ratesim: Bursts(1, 0s): want more than 0":                func() { ratesim.Bursts(1, 0) },
		"ratesim: Steady(0): want more than 0 and at most 1e9":    func() { ratesim.Steady(0) },
		"ratesim: Poisson(NaN): want more than 0 and at most 1e9": func() { ratesim.Poisson(math.NaN(), 1) },
	} {
		assert.PanicsWithValue(t, want, f)
	}
}

func TestTrafficIsInOrderAndOfItsRate(t *testing.T) {
	for _, test := range []struct {
		text string
		want int // in 100 s
		off  float64
	}{
		{"80/s", 8000, 0}, {"1/250ms", 400, 0}, {"50 every 1s", 5000, 0}, {"poisson 80/s", 8000, 300},
		{"80/s from 10s to 20s", 800, 0}, {"10/s + 50 every 10s + poisson 20/s seed 7", 1000 + 500 + 2000, 150},
	} {
		t.Run(test.text, func(t *testing.T) {
			last, n := time.Duration(0), 0
			for a := range traffic(t, test.text) {
				if a.At >= 100*time.Second {
					break
				}
				require.GreaterOrEqual(t, a.At, last)
				last = a.At
				n += a.N
			}
			assert.InDelta(t, test.want, n, test.off)
		})
	}
	second := func(seed uint64) []ratesim.Arrival {
		return slices.Collect(ratesim.Between(0, time.Second, ratesim.Poisson(50, seed)))
	}
	first := second(3)
	assert.Equal(t, first, second(3))
	assert.NotEqual(t, first, second(4))
}

func TestTrafficEndsWithTime(t *testing.T) {
	n := 0
	for range ratesim.Bursts(1, math.MaxInt64/3) {
		n++
	}
	assert.Equal(t, 4, n)
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "100", "/s", "100/", "x/s", "0/s", "-1/s", "NaN/s", "Inf/s", "1/w", "1/-1s", "1e12/s", "100/s burst", "100/s burst 0",
		"100/s burst x", "100/s burst 2 burst 3", "100/s wait 0s", "100/s wait soon", "100/s for 2",
	} {
		_, err := ratesim.ParseLimit(text)
		assert.ErrorContains(t, err, "ratesim: limit ", "%q", text)
	}
	for _, text := range []string{
		"", "+", "50", "0 every 1s", "x every 1s", "50 every 0s", "50 every", "poisson", "poisson 0/s", "poisson 1/s seed x", "80/s from 1s",
		"80/s from 2s to 1s", "80/s from x to 1s", "80/s from 1s to x", "80/s from -1s to 1s", "80/s until 1s to 2s", "80/s + ", "80/s extra",
	} {
		_, err := ratesim.ParseTraffic(text)
		assert.ErrorContains(t, err, "ratesim: traffic ", "%q", text)
	}
	l := limit(t, "  5000/h   burst 50 wait 3s ")
	assert.Equal(t, "5000/h burst 50 wait 3s", l.Name)
	assert.Equal(t, 3*time.Second, l.Patience)
	r, ok := l.Limiter.(*ratelimit.Limiter)
	require.True(t, ok)
	assert.InDelta(t, 5000.0/3600, float64(r.Limit()), 1e-12)
	assert.Equal(t, 50, r.Burst())
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"100/s burst 20", "50 every 1s", "poisson 80/s seed 7 from 1s to 2s", "1/d + 2/h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ratesim.ParseLimit(text)
		seq, err := ratesim.ParseTraffic(text)
		if err != nil {
			return
		}
		n, last := 0, time.Duration(0)
		for a := range seq {
			require.GreaterOrEqual(t, a.At, last)
			require.Positive(t, a.N)
			if last, n = a.At, n+1; n == 100 {
				return
			}
		}
	})
}

func TestTheTableAddsUp(t *testing.T) {
	for _, d := range []time.Duration{7, 999, time.Millisecond, 1234 * time.Millisecond, time.Minute, 25 * time.Hour, 400 * 24 * time.Hour} {
		every := d/50 + 1
		text := ratesim.Run(d, ratesim.Bursts(3, every), limit(t, "1/s burst 40")).String()
		lines := strings.Split(strings.TrimSpace(text), "\n")
		assert.LessOrEqual(t, len(lines), 15, "for %v", d)
		offered := 0
		for _, line := range lines[2:] {
			fields := strings.Fields(line)
			require.GreaterOrEqual(t, len(fields), 4)
			n := 0
			for _, c := range fields[1] {
				n = 10*n + int(c-'0')
			}
			offered += n
		}
		want := 3 * int((d+every-1)/every)
		assert.Equal(t, want, offered, "for %v", d)
	}
}

func TestSVGIsWellFormed(t *testing.T) {
	evil := limit(t, "3/s burst 2 wait 1s")
	evil.Name = `<script>"&'`
	report := ratesim.Run(10*time.Second, traffic(t, "poisson 9/s"), evil, limit(t, "9/s burst 9"))
	var out strings.Builder
	require.NoError(t, report.WriteSVG(&out))
	assert.NotContains(t, out.String(), "<script>")
	decoder := xml.NewDecoder(strings.NewReader(out.String()))
	kinds := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			for _, a := range start.Attr {
				assert.NotContains(t, a.Value, "NaN")
				assert.NotContains(t, a.Value, "-")
				if a.Name.Local == "class" {
					kinds[a.Value]++
				}
			}
		}
	}
	assert.Equal(t, 2, kinds["name"])
	assert.Equal(t, 2, kinds["axis"])
	assert.Greater(t, kinds["granted"], 50)
	assert.Greater(t, kinds["denied"], 10)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestSVGReturnsTheErrorOfItsWriter(t *testing.T) {
	report := ratesim.Run(time.Second, ratesim.Steady(1), limit(t, "1/s"))
	assert.ErrorIs(t, report.WriteSVG(full{}), io.ErrShortWrite)
}
