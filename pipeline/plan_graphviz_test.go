package pipeline_test

import (
	"bytes"
	"encoding/xml"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/pipeline"
)

// Graphviz takes what DOT gives without a warning, and draws every stage under its
// title, and every connection.
func TestGraphvizReadsDOT(t *testing.T) {
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Skip("Graphviz is not installed: ", err)
	}
	all := maps.Clone(plans)
	all["hostile"] = hostilePlan()
	all["empty"] = pipeline.Plan{}
	for name, plan := range all {
		t.Run(name, func(t *testing.T) {
			var warnings bytes.Buffer
			cmd := exec.CommandContext(t.Context(), dot, "-Tsvg")
			cmd.Stdin = strings.NewReader(plan.DOT())
			cmd.Stderr = &warnings
			svg, err := cmd.Output()
			require.NoError(t, err, warnings.String())
			assert.Empty(t, warnings.String())

			classes, texts := readSVG(t, svg)
			edges := 0
			for _, s := range plan.Stages {
				edges += len(s.From)
				alone := pipeline.Plan{Stages: []planned{{Name: s.Name, Kind: s.Kind, Copies: s.Copies}}}
				title, _, _ := strings.Cut(strings.TrimPrefix(alone.String(), "○ "), "\n")
				assert.Contains(t, texts, title)
			}
			assert.Equal(t, len(plan.Stages), classes["node"])
			assert.Equal(t, edges, classes["edge"])
		})
	}
}

// readSVG returns how often each class occurs in a drawing, and the texts in it.
func readSVG(t *testing.T, svg []byte) (classes map[string]int, texts []string) {
	t.Helper()
	var groups struct {
		Groups []struct {
			Class string   `xml:"class,attr"`
			Texts []string `xml:"text"`
		} `xml:"g>g"`
	}
	require.NoError(t, xml.Unmarshal(svg, &groups))
	classes = map[string]int{}
	for _, g := range groups.Groups {
		classes[g.Class]++
		for _, text := range g.Texts {
			texts = append(texts, strings.ReplaceAll(text, "\u00a0", " "))
		}
	}
	slices.Sort(texts)
	return classes, texts
}
