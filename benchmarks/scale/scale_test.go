package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShortRunWritesAll(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	require.NoError(t, run([]string{"-short", "-out", dir}, &out, &errs))
	md, err := os.ReadFile(filepath.Join(dir, "scale.md"))
	require.NoError(t, err)
	for _, a := range axes {
		svg, err := os.ReadFile(filepath.Join(dir, "scale-"+a.name+".svg"))
		require.NoError(t, err)
		assert.Contains(t, string(svg), "<svg")
		assert.Contains(t, string(md), "## "+a.title)
		assert.Contains(t, string(md), "](scale-"+a.name+".svg)")
	}
	parts, err := load(filepath.Join(dir, "scale.json"))
	require.NoError(t, err)
	require.Len(t, parts, len(axes))
	for i, p := range parts {
		assert.Equal(t, axes[i].name, p.Name)
		assert.Len(t, p.Points, len(axes[i].lines)*len(axes[i].few))
		for _, pt := range p.Points {
			assert.Positive(t, pt.NS, pt.Line)
		}
	}

	// One part again replaces that one.
	stages := parts[3].Points[0]
	require.NoError(t, run([]string{"-short", "-part", "workers", "-out", dir}, &out, &errs))
	again, err := load(filepath.Join(dir, "scale.json"))
	require.NoError(t, err)
	require.Len(t, again, len(axes))
	assert.Equal(t, stages, again[3].Points[0])
	assert.NotEqual(t, parts[0].Points[0].Samples, again[0].Points[0].Samples)
}

func TestShortRunPrints(t *testing.T) {
	var out, errs bytes.Buffer
	require.NoError(t, run([]string{"-short", "-part", "stages"}, &out, &errs))
	assert.Contains(t, out.String(), "| fused | 8 |")
	assert.NotContains(t, out.String(), ".svg")
}

// The committed results have the whole range, each line of it.
func TestCommittedResultsAreWhole(t *testing.T) {
	parts, err := load(filepath.Join("..", "results", "scale.json"))
	require.NoError(t, err)
	require.Len(t, parts, len(axes))
	for _, p := range parts {
		a := axisOf(p.Name)
		assert.Len(t, p.Points, len(a.lines)*len(a.xs), p.Name)
	}
}

func TestWrongArguments(t *testing.T) {
	var out, errs bytes.Buffer
	require.ErrorContains(t, run([]string{"-part", "nonsense"}, &out, &errs), `no part "nonsense"`)
	require.ErrorContains(t, run([]string{"all"}, &out, &errs), "unexpected argument")
	assert.ErrorContains(t, run(nil, &out, &errs), "run it in the root of the repository")
}

func TestNumbers(t *testing.T) {
	assert.Equal(t, []string{"1.23", "12.3", "123", "1,235"}, []string{number(1.23), number(12.34), number(123.4), number(1234.6)})
	assert.Equal(t, []string{"1 KiB", "10 MiB", "1,024 MiB"}, []string{size(1024), size(10 << 20), size(1 << 30)})
	assert.InDelta(t, 2, median([]float64{3, 1, 2}), 0)
	assert.InDelta(t, 2.5, median([]float64{3, 1, 2, 4}), 0)
}
