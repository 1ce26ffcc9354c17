package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/result"
)

// soakFor runs the program.
func soakFor(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestASecondOfEverything(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "soak.svg")
	status, out, errs := soakFor(t, "-for", "1500ms", "-load", "1", "-every", "500ms", "-out", picture)
	assert.Equal(t, exitOK, status, out)
	assert.Empty(t, errs)
	assert.Contains(t, out, "ledger: exact, each of ")
	assert.Contains(t, out, "at rest heap")
	for _, l := range newSoak(options{}).loads {
		assert.Contains(t, out, l.name)
	}
	text, err := os.ReadFile(picture)
	require.NoError(t, err)
	assert.Contains(t, string(text), "<svg")
	assert.Contains(t, string(text), "Goroutines")
}

// Each load on its own, so that none hides behind others by chance.
func TestEachLoad(t *testing.T) {
	s := newSoak(options{})
	for i, l := range s.loads {
		r := rand.New(rand.NewPCG(rand.Uint64(), 0))
		for range 10 {
			l.round(t.Context(), r, s.books[i])
		}
	}
	s.service.close()
	for _, b := range s.books {
		b.check(true)
		assert.Positive(t, b.accepted.Load(), b.name)
		assert.Empty(t, b.firsts, b.name)
	}
}

func TestWhatIsWrongIsSeen(t *testing.T) {
	for want, wrong := range map[string]func(r *rand.Rand, b *book){
		"2 accepted, 2 of them live": func(_ *rand.Rand, b *book) { b.accepted.Add(2) },
		"ended twice": func(_ *rand.Rand, b *book) {
			b.accepted.Add(2)
			t := &task{book: b, do: works}
			t.end(output{}, context.Canceled, 0)
			t.end(output{}, context.Canceled, 0)
		},
		"was called 1 times, and 2 were counted": func(_ *rand.Rand, b *book) {
			b.accepted.Add(1)
			t := &task{book: b, do: works}
			o, err := call(context.Background(), t)
			t.end(o, err, 2)
		},
		"has the output {1 1}": func(_ *rand.Rand, b *book) {
			b.accepted.Add(1)
			t := &task{book: b, do: works}
			_, err := call(context.Background(), t)
			t.end(output{1, 1}, err, 1)
		},
		"and succeeded: <nil>": func(_ *rand.Rand, b *book) {
			b.accepted.Add(1)
			t := &task{book: b, do: fails}
			_, _ = call(context.Background(), t)
			t.end(output{}, nil, 1)
		},
		"was taken, and has no result": func(r *rand.Rand, b *book) {
			ins := tasks(r, b, 1, nil)
			for range given(b, func(yield func(*task) bool) { yield(ins[0]) }) {
			}
			readResults(b, func(func(result.Result[output]) bool) {}, ins, -1)
		},
		"a result of input 3, of 1": func(r *rand.Rand, b *book) {
			readResults(b, func(yield func(result.Result[output]) bool) { yield(result.Result[output]{Index: 3}) }, tasks(r, b, 1, nil), -1)
		},
	} {
		var b book
		wrong(rand.New(rand.NewPCG(1, 2)), &b)
		b.check(true)
		require.NotEmpty(t, b.firsts, want)
		assert.Contains(t, b.firsts[0], want)
	}
}

// A program whose rounds keep memory and goroutines does not pass.
func TestLeaksAreSeen(t *testing.T) {
	var kept [][]byte
	stop := make(chan struct{})
	defer close(stop)
	s := newSoak(options{length: 2 * time.Second, every: time.Hour, load: 1})
	s.loads = []load{{"leaks", func(context.Context, *rand.Rand, *book) {
		go func() { <-stop }()
	}}}
	s.drivers = 1
	s.loads = append(s.loads, load{"keeps", func(context.Context, *rand.Rand, *book) { kept = append(kept, make([]byte, 64<<10)) }})
	var out, errs bytes.Buffer
	assert.Equal(t, exitFailed, s.run(t.Context(), &out, &errs))
	assert.Contains(t, out.String(), "heap at rest: RISES by")
	assert.Contains(t, out.String(), "goroutines at rest: RISES by")
	assert.Contains(t, out.String(), "are LEFT")
	assert.NotEmpty(t, kept)
}

func TestTrends(t *testing.T) {
	series := func(n int, value func(i int, r *rand.Rand) float64) trend {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		at, values := make([]float64, n), make([]float64, n)
		for i := range at {
			at[i], values[i] = float64(i), value(i, r)
		}
		return trendOf(at, values)
	}
	const least = 5
	for name, c := range map[string]struct {
		value func(i int, r *rand.Rand) float64
		rises bool
	}{
		"constant":            {func(int, *rand.Rand) float64 { return 100 }, false},
		"noise":               {func(_ int, r *rand.Rand) float64 { return 100 + 20*r.NormFloat64() }, false},
		"outliers":            {func(i int, r *rand.Rand) float64 { return 100 + 1000*float64(r.IntN(10)/9) }, false},
		"fills up, then flat": {func(i int, r *rand.Rand) float64 { return min(float64(i)*10, 300) + r.NormFloat64() }, false},
		"falls":               {func(i int, _ *rand.Rand) float64 { return 1000 - float64(i) }, false},
		"steady, but tiny":    {func(i int, _ *rand.Rand) float64 { return 1000 + float64(i)/100 }, false},
		"a leak in noise":     {func(i int, r *rand.Rand) float64 { return 100 + float64(i)/4 + 20*r.NormFloat64() }, true},
		"steps":               {func(i int, _ *rand.Rand) float64 { return 100 + 20*float64(i/50) }, true},
	} {
		got := series(200, c.value)
		assert.Equal(t, c.rises, got.rises(least), "%s: %+v", name, got)
	}
	assert.False(t, series(24, func(i int, _ *rand.Rand) float64 { return float64(i) }).enough())
	assert.True(t, series(25, func(i int, _ *rand.Rand) float64 { return float64(i) }).enough())
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		assert.Equal(t, want, grouped(n))
	}
}

func TestWrongArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"unexpected argument \"10m\"": {"10m"},
		"flag provided but not":       {"-nonsense"},
		"-for 0s: want more than 0":   {"-for", "0s"},
		"-every -1s":                  {"-every", "-1s"},
		"-load 0":                     {"-load", "0"},
		"-load NaN":                   {"-load", "NaN"},
	} {
		status, out, errs := soakFor(t, args...)
		assert.Equal(t, exitUsage, status)
		assert.Empty(t, out)
		assert.Contains(t, errs, want)
	}
	status, _, errs := soakFor(t, "-for", "100ms", "-out", filepath.Join(t.TempDir(), "no", "such.svg"))
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, errs, "soak: ")
}

func TestHelp(t *testing.T) {
	status, out, _ := soakFor(t, "-h")
	assert.Equal(t, exitOK, status)
	assert.Contains(t, out, "usage: soak")
}
