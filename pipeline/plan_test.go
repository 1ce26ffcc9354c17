package pipeline_test

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type planned = pipeline.PlannedStage

// plans are those that have golden files.
var plans = map[string]pipeline.Plan{
	"linear": {Stages: []planned{
		{Name: "from", Kind: "from", Group: 0, Holds: 65},
		{Name: "fetch", Kind: "map", From: []int{0}, Group: 1, Workers: 8, Ordered: true, Window: 512, Buffer: 256,
			Policies: []string{"retry 3", "timeout 5s"}, Holds: 768},
		{Name: "store", Kind: "foreach", From: []int{1}, Group: 2, Workers: 1, Buffer: 16, Holds: 17},
	}},
	"fused": {Stages: []planned{
		{Name: "from", Kind: "from", Group: 0, Holds: 1},
		{Name: "parse", Kind: "map", From: []int{0}, Group: 0},
		{Name: "filter", Kind: "filter", From: []int{1}, Group: 0, Policies: []string{"skip errors"}},
		{Name: "fetch", Kind: "map", From: []int{2}, Group: 1, Workers: 4, Buffer: 256, Holds: 260},
		{Name: "batch", Kind: "batch", From: []int{3}, Group: 2, Buffer: 256, Holds: 356},
		{Name: "store", Kind: "foreach", From: []int{4}, Group: 2},
	}},
	"broadcast": {Stages: []planned{
		{Name: "from", Kind: "from", Group: 0, Holds: 1},
		{Name: "broadcast", Kind: "broadcast", From: []int{0}, Group: 0},
		{Name: "thumbnail", Kind: "map", From: []int{1}, Group: 1, Workers: 4, Buffer: 32, Holds: 36},
		{Name: "index", Kind: "map", From: []int{1}, Group: 2, Buffer: 32, Holds: 33},
		{Name: "log", Kind: "tap", From: []int{3}, Group: 2},
		{Name: "count", Kind: "batch", From: []int{1}, Group: 3, Buffer: 32, Holds: -1},
		{Name: "merge", Kind: "merge", From: []int{2, 4, 5}, Group: 4, Buffer: 256, Holds: 256},
		{Name: "collect", Kind: "collect", From: []int{6}, Group: 4},
	}},
	"partition": {Stages: []planned{
		{Name: "from", Kind: "from", Group: 0, Holds: 1},
		{Name: "by user", Kind: "partition", From: []int{0}, Group: 0},
		{Name: "session", Kind: "through", From: []int{1}, Group: 1, Copies: 16, Buffer: 64, Holds: 1040},
		{Name: "total", Kind: "map", From: []int{2}, Group: 1, Copies: 16},
		{Name: "enrich", Kind: "map", From: []int{3}, Group: 2, Workers: 2, Copies: 16, Buffer: 64, Holds: 1056},
		{Name: "merge", Kind: "merge", From: []int{4}, Group: 3, Buffer: 256, Holds: 256},
	}},
	"merge": {Stages: []planned{
		{Name: "live", Kind: "from", Group: 0, Holds: 1},
		{Name: "backlog", Kind: "from", Group: 1, Holds: 1},
		{Name: "decode", Kind: "map", From: []int{1}, Group: 1},
		{Name: "merge", Kind: "merge", From: []int{0, 2}, Group: 2},
		{Name: "deliver", Kind: "map", From: []int{3}, Group: 3, Workers: 2, MaxWorkers: 16, Buffer: 128,
			Policies: []string{"limit", "retry 3", "timeout 5s", "dead letters"}, Holds: 144},
		{Name: "run", Kind: "run", From: []int{4}, Group: 4, Buffer: 256, Holds: 256},
	}},
	// Branches within a branch, whose lines have to pass under that of another one.
	"nested": {Stages: []planned{
		{Name: "from", Kind: "from", Group: 0, Holds: 1},
		{Name: "broadcast", Kind: "broadcast", From: []int{0}, Group: 0},
		{Name: "route", Kind: "route", From: []int{1}, Group: 1, Buffer: 8, Holds: 8},
		{Name: "even", Kind: "filter", From: []int{2}, Group: 2, Buffer: 8, Holds: 8},
		{Name: "odd", Kind: "map", From: []int{2}, Group: 3, Workers: 2, Buffer: 8, Holds: 10},
		{Name: "audit", Kind: "tap", From: []int{1}, Group: 4, Buffer: 8, Holds: 8},
		{Name: "other", Kind: "from", Group: 5, Holds: 1},
		{Name: "merge", Kind: "merge", From: []int{3, 4, 6}, Group: 6, Holds: 8},
		{Name: "zip", Kind: "zip", From: []int{5, 7}, Group: 7, Holds: 1},
		{Name: "collect", Kind: "collect", From: []int{8}, Group: 7},
	}},
}

func TestPlanGoldens(t *testing.T) {
	for name, plan := range plans {
		for kind, draw := range map[string]func(pipeline.Plan) string{
			"txt": func(p pipeline.Plan) string { return p.String() + "\n" },
			"mmd": pipeline.Plan.Mermaid,
			"dot": pipeline.Plan.DOT,
		} {
			t.Run(name+"."+kind, func(t *testing.T) {
				got := draw(plan)
				for range 3 {
					require.Equal(t, got, draw(plan), "it is the same each time")
				}
				golden := filepath.Join("testdata", "plans", name+"."+kind)
				if *update {
					require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				// A checkout on Windows may have rewritten the line ends.
				assert.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
			})
		}
	}
}

// Each golden file belongs to a plan.
func TestPlanGoldensAreOfPlans(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "plans", "*"))
	require.NoError(t, err)
	require.Len(t, files, 3*len(plans))
	for _, f := range files {
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		assert.Contains(t, plans, name)
	}
}

func TestPlanInFlight(t *testing.T) {
	for name, tt := range map[string]struct {
		holds   []int
		n       int
		bounded bool
		text    string
	}{
		"none":              {nil, 0, true, ""},
		"one":               {[]int{0, 1}, 1, true, "at most 1 item under way"},
		"several":           {[]int{1, 20, 300}, 321, true, "at most 321 items under way"},
		"too many to count": {[]int{1, math.MaxInt - 2, 5, 1}, math.MaxInt - 1, false, "no bound on items under way"},
		"unbounded":         {[]int{1, -1, 300, -1}, 301, false, "no bound on items under way"},
	} {
		t.Run(name, func(t *testing.T) {
			var p pipeline.Plan
			for _, h := range tt.holds {
				p.Stages = append(p.Stages, planned{Name: "map", Kind: "map", Holds: h})
			}
			n, bounded := p.InFlight()
			assert.Equal(t, tt.n, n)
			assert.Equal(t, tt.bounded, bounded)
			if tt.text != "" {
				assert.Equal(t, tt.text, lastLine(p.String()))
				assert.Contains(t, p.Mermaid(), "%% "+tt.text+"\n")
				assert.Contains(t, p.DOT(), "label=\""+tt.text+"\"\n")
			}
		})
	}
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

func TestZeroPlan(t *testing.T) {
	var p pipeline.Plan
	assert.Equal(t, "no stages", p.String())
	assert.Equal(t, "flowchart LR\n    %% at most 0 items under way\n", p.Mermaid())
	assert.True(t, strings.HasPrefix(p.DOT(), "digraph plan {\n"))
	assert.True(t, strings.HasSuffix(p.DOT(), "}\n"))
}

// What is said of one stage, in the order in which it matters.
func TestPlanTraits(t *testing.T) {
	for want, s := range map[string]planned{
		"○ map\n":                        {Name: "map", Kind: "map"},
		"○ parse (map)\n":                {Name: "parse", Kind: "map"},
		"○ map x 4  buffer 8\n":          {Name: "map", Kind: "map", Copies: 4, Buffer: 8},
		"● map  1 worker\n":              {Name: "map", Kind: "map", Workers: 1, MaxWorkers: 1, Copies: 1},
		"● map  1 to 2 workers\n":        {Name: "map", Kind: "map", Workers: 1, MaxWorkers: 2},
		"○ map  ordered\n":               {Name: "map", Kind: "map", Ordered: true},
		"○ \"a  limit\" (tap)\n":         {Name: "a  limit", Kind: "tap"},
		"○ tap  limit, unbounded\n":      {Name: "tap", Kind: "tap", Policies: []string{"limit"}, Holds: -1},
		"○ tap  \"a\\nb\"\n":             {Name: "tap", Kind: "tap", Policies: []string{"a\nb"}},
		"○ \"\" (\"\\x00\")  buffer 1\n": {Name: "", Kind: "\x00", Buffer: 1},
	} {
		got, _, _ := strings.Cut(pipeline.Plan{Stages: []planned{s}}.String(), "\n\n")
		assert.Equal(t, want, got+"\n")
	}
}

// One long name does not move what is said of the others out of sight.
func TestALongNameDoesNotMoveTheRest(t *testing.T) {
	long := strings.Repeat("long ", 30) + "name"
	got := pipeline.Plan{Stages: []planned{
		{Name: "from", Kind: "from", Buffer: 1},
		{Name: long, Kind: "map", From: []int{0}, Buffer: 2},
	}}.String()
	assert.Contains(t, got, "○ from  buffer 1\n")
	assert.Contains(t, got, "○ "+long+" (map)  fused with from, buffer 2\n")
}

// A plan that was made by hand may be wrong: what does not exist is left out.
func TestBrokenPlans(t *testing.T) {
	p := pipeline.Plan{Stages: []planned{
		{Name: "a", Kind: "a", From: []int{0, 1, -1, 7}, Group: -3},
		{Name: "b", Kind: "b", Group: 9},
		{Name: "c", Kind: "c", From: []int{0, 0}, Group: -3},
	}}
	assert.Equal(t, "○ a\n├─╮\n│ │ ○ b\n├─╯\n○ c  fused with a\n\nat most 0 items under way", p.String())
	assert.Equal(t, 2, strings.Count(p.DOT(), "s0 -> s2\n"))
	assert.Equal(t, 2, strings.Count(p.Mermaid(), "s0 --> s2\n"))
	assert.Equal(t, 2, strings.Count(p.DOT(), "->"))
	assert.Contains(t, p.DOT(), "subgraph cluster_0 {", "a negative number would be no name")
}

// What has nothing to do with each other is kept apart.
func TestPlanOfTwoParts(t *testing.T) {
	p := pipeline.Plan{Stages: []planned{
		{Name: "a", Kind: "a", Group: 0},
		{Name: "b", Kind: "b", From: []int{0}, Group: 0},
		{Name: "c", Kind: "c", Group: 1},
	}}
	assert.Equal(t, "○ a\n○ b  fused with a\n\n○ c\n\nat most 0 items under way", p.String())
}

// Lines branch to the right, also if there is room on the left.
func TestPlanBranchesToTheRight(t *testing.T) {
	p := pipeline.Plan{Stages: []planned{
		{Name: "a", Kind: "a", Group: 0},
		{Name: "b", Kind: "b", Group: 1},
		{Name: "c", Kind: "c", Group: 0, From: []int{0}},
		{Name: "d", Kind: "d", Group: 1, From: []int{1}},
		{Name: "e", Kind: "e", Group: 2, From: []int{3}},
		{Name: "f", Kind: "f", Group: 3, From: []int{3}},
	}}
	assert.Equal(t, `○ a
│ ○ b
○ │ c  fused with a
  ○ d  fused with b
  ├─╮
  ○ │ e
    ○ f

at most 0 items under way`, p.String())
}

// A stage that its group does not call says who else is in the group.
func TestPlanOfAGroupInParts(t *testing.T) {
	p := pipeline.Plan{Stages: []planned{
		{Name: "a", Kind: "a", Group: 0},
		{Name: "b", Kind: "b", Group: 1, From: []int{0}},
		{Name: "c", Kind: "c", Group: 0, From: []int{1}},
	}}
	assert.Equal(t, "○ a\n│\n○ b\n│\n○ c  fused with a\n\nat most 0 items under way", p.String())
}
