package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/benchmarks/scenario"
	"github.com/millstream-go/millstream/benchmarks/subject"
)

func TestQuantiles(t *testing.T) {
	xs := []float64{5, 1, 4, 2, 3}
	assert.InDelta(t, 3, median(xs), 0)
	assert.InDelta(t, 1, quantile(xs, 0), 0)
	assert.InDelta(t, 5, quantile(xs, 1), 0)
	assert.InDelta(t, 2.5, median([]float64{1, 4, 2, 3}), 1e-9)
	assert.InDelta(t, 1.0/3, spread(xs), 1e-9, "quartiles 2 and 4 around 3")
	assert.Equal(t, []float64{5, 1, 4, 2, 3}, xs, "left as it was")
	assert.Zero(t, spread([]float64{0, 0}))
	assert.InDelta(t, 7, median([]float64{7}), 0)
}

func TestNumbers(t *testing.T) {
	assert.Equal(t, []string{"1.24", "12.3", "123", "1,235", "1,234,568"},
		[]string{nanos(1.236), nanos(12.34), nanos(123.4), nanos(1234.6), nanos(1234567.8)})
	assert.Equal(t, []string{"1.50 ×", "15.0 ×", "150 ×"}, []string{times(1.5), times(15), times(150)})
	assert.Equal(t, []string{"0 B", "2 KiB", "3.0 MiB"}, []string{size(0), size(2048), size(3 << 20)})
	assert.Equal(t, []string{"999ns", "1.23µs", "12.3µs", "123µs", "1.23ms", "1.5s", "0s"},
		[]string{short(999), short(1234), short(12_345), short(123_456), short(1_234_567), short(1_500_000_000), short(0)})
	assert.Equal(t, []string{"0.17", "1.9", "12", "1,234"}, []string{trimmed(0.168), trimmed(1.87), trimmed(12.4), trimmed(1234)})
}

func TestRatioKnowsNoise(t *testing.T) {
	us := row{NS: 100, Spread: 0.05}
	assert.Equal(t, "≈", ratio(row{NS: 108, Spread: 0.05}, us))
	assert.Equal(t, "≈", ratio(row{NS: 93, Spread: 0.05}, us))
	assert.Equal(t, "2.00 × faster", ratio(row{NS: 200, Spread: 0.05}, us))
	assert.Equal(t, "**2.00 × slower**", ratio(row{NS: 50, Spread: 0.05}, us))
}

// TestOverviewIsOfScenarios finds labels of scenarios that are gone.
func TestOverviewIsOfScenarios(t *testing.T) {
	names := map[string]bool{}
	for _, s := range scenario.All() {
		names[s.Name()] = true
	}
	for _, line := range overview {
		assert.True(t, names[line.scenario], line.scenario)
	}
	for _, c := range named {
		_, _, err := c.field()
		assert.NoError(t, err)
	}
}

// made is a report of two scenarios with figures that are made up.
func made() *report {
	s := scenarioResult{Name: "submit/noop", Title: "Submit: no-op", Form: "submit", Work: "noop", Stages: 1, Workers: 8, Callers: 1, Rounds: 3, Rows: []row{
		{Subject: "loop", NS: 4}, {Subject: "one channel", NS: 50, Spread: 0.1}, {Subject: subject.Name, NS: 100, Spread: 0.01},
		{Subject: "conc/pool", NS: 110}, {Subject: "ants", NS: 600}, {Subject: "pond/result", NS: 1200},
	}}
	f := scenarioResult{Name: "flow/3x4/any/noop", Title: "3 stages", Form: "flow", Work: "noop", Stages: 3, Workers: 4, Callers: 1, Rounds: 3, Rows: []row{
		{Subject: subject.Name, NS: 60}, {Subject: "channels", NS: 140}, {Subject: "rill", NS: 800},
	}}
	return &report{Host: host{CPU: "Some CPU", Cores: 2, Go: "go1.26", Commit: "abc"}, Date: "2026-01-02", Command: "go run ./benchmarks/compare", Rounds: 3, Scenarios: []scenarioResult{s, f}}
}

// What is measured again takes the place of what was there, and the header tells of it.
func TestMeasuredAgain(t *testing.T) {
	rep, newer := made(), made()
	newer.Command, newer.Date, newer.Host.Commit = "compare -run=submit", "2026-02-03", "def"
	newer.Scenarios = newer.Scenarios[:1]
	newer.Scenarios[0].Rows[2].NS = 77
	require.NoError(t, rep.renew(newer))
	assert.InDelta(t, 77, rep.Scenarios[0].Rows[2].NS, 0)
	assert.InDelta(t, 60, rep.Scenarios[1].Rows[0].NS, 0)
	assert.Contains(t, rep.measured(), "some again with `compare -run=submit` on 2026-02-03 at commit def")

	newer.Scenarios[0].Rows = newer.Scenarios[0].Rows[1:]
	require.ErrorContains(t, rep.renew(newer), "submit/noop", "not of a part of the subjects")
	newer.Scenarios[0].Name = "other"
	require.ErrorContains(t, rep.renew(newer), "other")
}

// TestWriteWritesAll checks what is in the directory: each table and chart says where it is from, and shows losses.
func TestWriteWritesAll(t *testing.T) {
	dir := t.TempDir()
	readme := filepath.Join(dir, "TOP.md")
	require.NoError(t, os.WriteFile(readme, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o600))
	require.NoError(t, write(made(), dir, readme))

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	texts := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		texts[filepath.Base(f)] = string(text)
	}
	for _, name := range []string{"README.md", "submit.md", "flow.md", "flow-noop.md", "submit-noop.svg", "flow-3x4-any-noop.svg", "overview.svg", "TOP.md"} {
		require.Contains(t, texts, name)
		for _, part := range []string{"Some CPU", "2 cores", "go1.26", "commit abc", "2026-01-02", "go run ./benchmarks/compare"} {
			assert.Contains(t, texts[name], part, name)
		}
	}
	assert.Contains(t, texts["TOP.md"], "**2.00 × slower**", "the loss to the channel")
	assert.Contains(t, texts["TOP.md"], "1.10 × faster", "the best library")
	assert.NotContains(t, texts["TOP.md"], "old")
	assert.True(t, strings.HasPrefix(texts["TOP.md"], "before\n"))
	assert.True(t, strings.HasSuffix(texts["TOP.md"], "\nafter\n"))
	assert.Contains(t, texts["submit.md"], "| **millstream** | 100 | ±1.0 % | – |")
	assert.Contains(t, texts["submit.md"], "| pond/result | 1,200 | ±0.0 % | 12.0 × |")
	assert.Less(t, strings.Index(texts["submit-noop.svg"], ">loop<"), strings.Index(texts["submit-noop.svg"], ">pond/result<"))

	again, err := load(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	assert.Equal(t, made(), again)
}

func TestClaimsAreWhatTheResultsSay(t *testing.T) {
	got := claims(made())
	assert.Equal(t, []claim{
		{"submit/noop", "ants", 6},
		{"submit/noop", "pond/result", 12},
		{"flow/3x4/any/noop", "rill", 800.0 / 60},
		{"flow/3x4/any/noop", "channels", 140.0 / 60},
	}, got, "ahead by a tenth, or behind, is no claim")
}

func TestTheLeadsHoldTogether(t *testing.T) {
	assert.NoError(t, together([]float64{0.3, 0.4, 0.55, 2, 0.9}, io.Discard), "two have swung")
	assert.ErrorContains(t, together([]float64{0.3, 0.4, 0.45, 2, 0.9}, io.Discard), "0.45")
	assert.NoError(t, together([]float64{0.1, 0.1}, io.Discard), "two are too few")
	assert.NoError(t, together(nil, io.Discard))
}

// TestSmallRun measures something for real, with a filter, to the terminal.
func TestSmallRun(t *testing.T) {
	var out, log bytes.Buffer
	require.NoError(t, run([]string{"-run", "^(fan/1us|do/64/noop)/(millstream|channels)$", "-rounds", "1"}, &out, &log))
	assert.Contains(t, out.String(), "## Fan out and in: 1 µs of computing (fan/1us)")
	assert.Contains(t, out.String(), "| **millstream** |")
	assert.Contains(t, out.String(), "`go run ./benchmarks/compare -rounds=1 -run='^(fan/1us|do/64/noop)/(millstream|channels)$'`")
	assert.NotContains(t, out.String(), "rill")

	for args, wants := range map[string]string{
		"-run=(": "-run", "-rounds=0": "-rounds", "extra": "unexpected argument", "-run=nothing-like-it": "nothing matches",
	} {
		assert.ErrorContains(t, run([]string{args}, &out, &log), wants)
	}
}

// Of stages whose work is about a microsecond other libraries take longer than a plain loop does. The committed results
// have to show that ours do not, in any order and in the order of the input.
func TestFineGrainedStagesBeatAPlainLoop(t *testing.T) {
	rep, err := load(filepath.Join("..", "results", "results.json"))
	require.NoError(t, err)
	for _, name := range []string{"flow/3x4/any/1us", "flow/3x4/ordered/1us", "flow/3x4/any/skewed", "flow/3x4/ordered/skewed"} {
		s, ok := rep.find(name)
		require.True(t, ok, name)
		us, ok := s.of(subject.Name)
		require.True(t, ok, name)
		loop, ok := s.of("loop")
		require.True(t, ok, name)
		assert.Less(t, us.NS*1.25, loop.NS, name)
	}
}
