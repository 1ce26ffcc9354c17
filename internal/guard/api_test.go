package guard

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files in docs/api")

// TestAPIMatchesGolden compares the exported API of each public package with its golden file, so that no change of it
// goes unseen. Files of the preview release have a golden file of their own, which only that release can check.
func TestAPIMatchesGolden(t *testing.T) {
	dir := filepath.Join(root, "docs", "api")
	expected := map[string]bool{}
	for _, p := range loadPublic(t) {
		var stable, ahead []goFile
		for _, f := range p.sources {
			if f.preview {
				ahead = append(ahead, f)
			} else {
				stable = append(stable, f)
			}
		}
		name := strings.ReplaceAll(p.dir, "/", "-")
		expected[name+".txt"] = true
		t.Run(p.dir, func(t *testing.T) {
			compareGolden(t, filepath.Join(dir, name+".txt"), page(p, "", stable))
		})
		if len(ahead) == 0 {
			continue
		}
		suffix := "-" + strings.ReplaceAll(preview, ".", "")
		expected[name+suffix+".txt"] = true
		t.Run(p.dir+suffix, func(t *testing.T) {
			if !previewRuns() {
				t.Skipf("needs %s to parse", preview)
			}
			compareGolden(t, filepath.Join(dir, name+suffix+".txt"), page(p, " ("+preview+" and newer)", ahead))
		})
	}

	t.Run("no stale files", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		require.NoError(t, err)
		for _, f := range files {
			if expected[filepath.Base(f)] {
				continue
			}
			if *update {
				require.NoError(t, os.Remove(f))
				continue
			}
			t.Errorf("%s belongs to no package; -update removes it", filepath.Base(f))
		}
	})
}

func page(p goPackage, note string, files []goFile) string {
	return fmt.Sprintf("package %s%s\n\n%s", p.importPath(), note, renderAPI(files))
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	// A checkout on Windows may have rewritten the line ends.
	if diff := diffLines(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("the exported API is not what docs/api/%s says (- golden, + source):\n\n%s\n"+
			"If the change is wanted, run `go test ./internal/guard -update`, with GOTOOLCHAIN=%s.x too where\n"+
			"that release has a file of its own, read the diff, and note the change in CHANGELOG.md.",
			filepath.Base(file), diff, preview)
	}
}

// diffLines returns the lines that differ, marked with - and +, each run of them under the last line that both
// have in common. It is empty if and only if the texts have the same lines.
func diffLines(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	// longest[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i, want := range slices.Backward(a) {
		for j, got := range slices.Backward(b) {
			if want == got {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var out strings.Builder
	common := "" // the last common line, until it is printed
	line := func(mark, text string) {
		if common != "" {
			fmt.Fprintf(&out, "  %s\n", common)
			common = ""
		}
		fmt.Fprintf(&out, "%s %s\n", mark, text)
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			common = a[i]
			i++
			j++
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			line("-", a[i])
			i++
		default:
			line("+", b[j])
			j++
		}
	}
	return out.String()
}

func TestDiffLines(t *testing.T) {
	for _, test := range []struct{ name, want, got, diff string }{
		{"same", "a\nb\n", "a\nb\n", ""},
		{"both empty", "", "", ""},
		{"changed", "a\nb\nc\nd\n", "a\nx\nc\nd\n", "  a\n- b\n+ x\n"},
		{"added", "a\nc\n", "a\nb\nc\n", "  a\n+ b\n"},
		{"removed at the start", "a\nb\n", "b\n", "- a\n"},
		{"only the end differs", "a", "a\n", "  a\n+ \n"},
		{"two places", "a\nb\nc\nd\n", "b\nc\ne\n", "- a\n  c\n- d\n+ e\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.diff, diffLines(test.want, test.got))
		})
	}
}
