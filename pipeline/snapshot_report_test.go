package pipeline_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
	"github.com/millstream-go/millstream/result"
)

// Not "update", which is another golden file's.
var updateReports = flag.Bool("update-reports", false, "rewrite the golden files in testdata/reports")

// statCounts sets how many items came in, went out and failed.
func statCounts(in, out, errors uint64) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.In, s.Out, s.Errors = in, out, errors }
}

// statWaits sets median and extreme of waits and runs.
func statWaits(wait50, wait99, run50, run99 time.Duration) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) {
		s.Wait = result.Quantiles{P50: wait50, P90: wait99, P99: wait99, Max: wait99}
		s.Run = result.Quantiles{P50: run50, P90: run99, P99: run99, Max: run99}
	}
}

func statQueue(now, peak, buffer int) func(*pipeline.StageStats) {
	return func(s *pipeline.StageStats) { s.Queue, s.PeakQueue, s.Buffer = now, peak, buffer }
}

// reportSamples are what the golden files show.
func reportSamples() map[string]pipeline.Snapshot {
	const (
		us = time.Microsecond
		ms = time.Millisecond
	)
	done := statChain(
		stat("from:lines", 0, 9, 0, 91, statIn(1), statCounts(0, 1_000_000, 0)),
		stat("filter", 0, 3, 9, 88, statIn(1), statCounts(1_000_000, 912_345, 0), statWaits(0, 0, 120, 900)),
		stat("map:parse", 4, 96.2, 1.8, 2, statCounts(912_345, 912_340, 5), statWaits(3*ms, 8126*us, 51300, 1230*us), statQueue(0, 256, 256)),
		stat("map:measure", 2, 12, 88, 0, statCounts(912_340, 912_340, 0), statWaits(15*us, 203*us, 3210, 18*us), statQueue(0, 14, 256)),
		stat("batch", 0, 0.1, 98.9, 1, statIn(2), statCounts(912_340, 9124, 0)),
		stat("all", 0, 1, 99, 0, statIn(2), statCounts(9124, 9124, 0), statWaits(0, 0, 11*us, 95*us)),
	)
	done.Elapsed = 12_345 * ms

	running := statChain(
		stat("from", 0, 1, 0, 99, statCounts(0, 18_400, 0)),
		stat("map:fetch", 16, 15, 1, 4, statLimited(80), statAuto(32), statChoice("held: 20 workers were no faster than 16"), statCounts(18_000, 17_203, 797), statWaits(ms, 2300*ms, 85*ms, 4*time.Second), statQueue(255, 256, 256)),
		stat("foreach:store", 1, 40, 60, 0, statCounts(17_203, 17_100, 103), statWaits(30*us, ms, 300*us, 2*ms), statQueue(0, 3, 64)),
	)
	running.Done, running.Elapsed = false, 83*time.Second
	running.Stages[1].Retries, running.Stages[1].Skipped, running.Stages[2].Dead = 2310, 797, 103

	branches := statChain(
		stat("from:events", 0, 9, 0, 91, statCounts(0, 50_000, 0)),
		stat("broadcast", 0, 0, 0, 0, statFrom(0), statCounts(50_000, 100_000, 0)),
		stat("map:index", 2, 97, 3, 0, statFrom(1), statOrdered(128), statCounts(50_000, 50_000, 0), statWaits(ms, 2*ms, 380*us, 2*ms), statQueue(0, 256, 256)),
		stat("map:count", 2, 4, 96, 0, statFrom(1), statLanes(8), statCounts(50_000, 50_000, 0), statWaits(us, 2*us, 20*us, 40*us), statQueue(0, 1, 256)),
		stat("tap:log", 0, 5, 95, 0, statFrom(1), statLanes(8), statCounts(50_000, 50_000, 0), statWaits(0, 0, 2*us, 4*us)),
		stat("merge", 0, 0, 0, 0, statFrom(2, 3, 4), statCounts(150_000, 150_000, 0)),
		stat("collect", 0, 1, 99, 0, statCounts(150_000, 150_000, 0)),
	)

	hostile := statChain(
		stat("from", 0, 2, 0, 98, statCounts(0, math.MaxUint64, 0)),
		stat("map:"+strings.Repeat("parse the lines of ", 11), 4, 94, 4, 2, statCounts(1, 1, 0)),
		stat("map:\x1b[2J\r\nDROP\ttable\x00\xff\u202e", 4, 5, 95, 0, statCounts(1, 1, 0)),
		stat("map:"+strings.Repeat("長い名前", 50), 4, 5, 95, 0, statCounts(1, 1, 0)),
		stat("map:cafe\u0301 ☕ naïve", 4, 5, 95, 0, statCounts(1, 1, 0)),
		pipeline.StageStats{Name: "", Kind: strings.Repeat("kind", 20), From: []int{4}, Group: 9, Starved: 1, Wait: result.Quantiles{Max: math.MaxInt64, P99: math.MaxInt64, P50: -1}},
	)
	hostile.Elapsed = 1

	trickle := statChain(
		stat("from", 0, 0.2, 99.6, 0.2, statCounts(0, 37, 0)),
		stat("map:resize", 0, 24, 75.6, 0.4, statIn(3), statCounts(37, 36, 1), statWaits(0, 0, 1200*ms, 9*time.Second)),
		stat("results", 0, 0.4, 99.6, 0, statIn(3), statCounts(37, 37, 0), statWaits(0, 0, 3*ms, 20*ms)),
	)
	trickle.Elapsed = 185 * time.Second

	begun := statChain(stat("from", 0, 0, 0, 0), stat("map:fetch", 8, 0, 0, 0, statQueue(0, 0, 256)), stat("run", 0, 0, 0, 0))
	begun.Done, begun.Elapsed = false, 0

	return map[string]pipeline.Snapshot{
		"done": done, "running": running, "branches": branches, "hostile": hostile, "trickle": trickle, "begun": begun, "empty": {},
	}
}

// What people and programs read is in golden files: look at their diffs.
func TestReportsMatchGolden(t *testing.T) {
	dir := filepath.Join("testdata", "reports")
	for name, s := range reportSamples() {
		t.Run(name, func(t *testing.T) {
			reportGolden(t, filepath.Join(dir, name+".txt"), s.String()+"\n")
			text, err := json.MarshalIndent(s, "", "  ")
			require.NoError(t, err)
			// Go 1.27 writes the replacement character as it is.
			same := strings.ReplaceAll(string(text), "\ufffd", `\ufffd`)
			reportGolden(t, filepath.Join(dir, name+".json"), same+"\n")
		})
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 2*len(reportSamples()), "a golden file belongs to no report")
}

func reportGolden(t *testing.T, file, got string) {
	t.Helper()
	if *updateReports {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test ./pipeline -run Reports -update-reports writes it")
	assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got, "if that is wanted: go test ./pipeline -run Reports -update-reports")
}

// A terminal of 120 columns shows a normal report, and names cannot break its lines.
func TestReportsAreTables(t *testing.T) {
	for name, s := range reportSamples() {
		lines := strings.Split(s.String(), "\n")
		for _, line := range lines {
			assert.Equal(t, strings.TrimRight(line, " "), line, name)
			for _, r := range line {
				if r < ' ' || r == 0x7f || r == utf8.RuneError {
					assert.Fail(t, "a control character", "%s: %q", name, line)
				}
			}
			if name != "running" && name != "hostile" { // which have columns that are rare, or names
				assert.LessOrEqual(t, utf8.RuneCountInString(line), 120, "%s: %s", name, line)
			}
		}
		if len(s.Stages) > 0 {
			assert.Empty(t, lines[1], name)
			assert.Empty(t, lines[3+len(s.Stages)], "%s: one line a stage", name)
		}
	}
}

// Columns that say nothing are left out.
func TestReportColumnsThatAreRare(t *testing.T) {
	all := reportSamples()
	for _, title := range []string{"retries", "skipped", "dead", "limited", "now/"} {
		assert.NotContains(t, all["done"].String(), title)
		assert.Contains(t, all["running"].String(), title)
	}
}

func TestReportMarksWhatIsFused(t *testing.T) {
	s := statChain(
		stat("from", 0, 1, 99, 0, statIn(1)), stat("map:a", 0, 1, 99, 0, statIn(1)), stat("map:b", 0, 1, 99, 0, statIn(1)),
		stat("map:c", 2, 1, 99, 0), stat("map:d", 2, 1, 99, 0), stat("map:e", 0, 1, 99, 0, statIn(2)), stat("run", 0, 1, 99, 0, statIn(2)),
	)
	s.Stages[4].Group = s.Stages[3].Group // pools are never fused
	var marks []string
	for _, line := range strings.Split(s.String(), "\n")[2:10] {
		marks = append(marks, string([]rune(line)[:3]))
	}
	assert.Equal(t, []string{"  s", "┌ f", "│ a", "└ b", "  c", "  d", "┌ e", "└ r"}, marks)

	alone := statChain(stat("from", 0, 1, 99, 0), stat("map:a", 2, 1, 99, 0))
	assert.Contains(t, alone.String(), "\nstage  ", "no room is left for marks that nobody needs")
}

func TestReportFigures(t *testing.T) {
	s := statChain(stat("from", 0, 99.7, 0.3, 0, statCounts(0, 25, 0)), stat("map:a", 2, 0, 100, 0, statCounts(25, 25, 0), statWaits(1234567, 1234567890, 0, 12345*time.Second)))
	s.Elapsed = time.Minute
	assert.Contains(t, s.String(), "done in 1m0s: 25 from the source (0.417/s), 25 at the end (0.417/s)")
	assert.Regexp(t, `from +- +- +25 +0 +>99% +<1% +0% +- +- +-\n`, s.String())
	assert.Regexp(t, `a \(map\) +2 +25 +25 +0 +0% +100% +0% +1.23ms/1.23s +0s/3h25m45s +-\n`, s.String())
}

// The JSON can be read by a program that knows nothing of the types.
func TestSnapshotJSON(t *testing.T) {
	s := reportSamples()["done"]
	s.Stages[0].Busy, s.Stages[1].Busy, s.Stages[2].Busy = math.NaN(), math.Inf(1), 2.0/3
	text, err := json.Marshal(map[string]any{"report": s, "at": &s})
	require.NoError(t, err)
	var got map[string]struct {
		Elapsed    int64   `json:"elapsed_ns"`
		Bottleneck *string `json:"bottleneck"`
		Place      *int    `json:"bottleneck_stage"`
		Verdict    string  `json:"verdict"`
		Stages     []map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, got["report"], got["at"])
	r := got["report"]
	assert.EqualValues(t, s.Elapsed, r.Elapsed)
	assert.Equal(t, "filter", *r.Bottleneck)
	assert.Equal(t, 1, *r.Place)
	assert.Equal(t, s.Verdict(), r.Verdict)
	busy := []any{r.Stages[0]["busy"], r.Stages[1]["busy"], r.Stages[2]["busy"]}
	assert.Equal(t, []any{0.0, 1.0, 0.6667}, busy)
	assert.Equal(t, []any{}, r.Stages[0]["from"], "never null")
	assert.Len(t, r.Stages[0], reflect.TypeFor[pipeline.StageStats]().NumField(), "a field of StageStats is missing in the JSON")

	text, err = json.Marshal(pipeline.Snapshot{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"elapsed_ns":0,"done":false,"bottleneck":null,"bottleneck_stage":null,"verdict":"There is nothing to judge: no stages.","stages":[]}`, string(text))
}

// A report leaves what it was made from as it was.
func TestReportsChangeNothing(t *testing.T) {
	for name, s := range reportSamples() {
		before := fmt.Sprintf("%#v", s)
		_ = s.String()
		_, err := json.Marshal(s)
		require.NoError(t, err)
		assert.Equal(t, before, fmt.Sprintf("%#v", s), name)
	}
}

// What Auto chose is told once: by the verdict if it speaks of that stage, else below the table.
func TestReportTellsWhatAutoChose(t *testing.T) {
	s := statChain(
		stat("from", 0, 5, 0, 95),
		stat("map:fetch", 3, 98, 1, 1, statAuto(16), statChoice("held: 6 workers were no faster than 3")),
		stat("map:store", 1, 10, 90, 0, statAuto(8), statChoice("held: the input is the limit\x00")),
	)
	text := s.String()
	assert.Equal(t, 1, strings.Count(text, "6 workers were no faster than 3"))
	assert.Contains(t, text, "\n\nAuto gave store 1 worker of at most 8: held: the input is the limit\\x00.\n\nfetch holds")
	assert.NotContains(t, text, "Auto gave fetch")
}
