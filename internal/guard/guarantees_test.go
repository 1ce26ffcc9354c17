package guard

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGuaranteesNameTheirTests holds docs/guarantees.md to the tests that show what it promises: each promise names one
// at least, and each that is named exists where the link says.
func TestGuaranteesNameTheirTests(t *testing.T) {
	wrong, err := unshown(os.DirFS(root), "docs/guarantees.md")
	require.NoError(t, err)
	for _, complaint := range wrong {
		t.Error(complaint)
	}
}

var (
	promise   = regexp.MustCompile(`^\| (.+) \| (.*) \|$`)
	namedTest = regexp.MustCompile(`\[((?:Test|Fuzz|Example)\w*)\]\(([^)\s]+)\)`)
)

// unshown returns a complaint for each promise, a row of a table of the page, without a test, and for each test that is
// not in the file that its link leads to.
func unshown(tree fs.FS, page string) ([]string, error) {
	text, err := fs.ReadFile(tree, page)
	if err != nil {
		return nil, err
	}
	var complaints []string
	for line := range strings.Lines(string(text)) {
		for _, named := range namedTest.FindAllStringSubmatch(line, -1) {
			name, file := named[1], path.Join(path.Dir(page), named[2])
			source, err := fs.ReadFile(tree, file)
			if err != nil || !regexp.MustCompile(`(?m)^func `+name+`\(`).Match(source) {
				complaints = append(complaints, fmt.Sprintf("%s: there is no %s in %s", page, name, file))
			}
		}
		row := promise.FindStringSubmatch(strings.TrimSpace(line))
		if len(row) > 0 && row[1] != "promise" && !namedTest.MatchString(row[2]) {
			complaints = append(complaints, fmt.Sprintf("%s: no test shows: %s", page, row[1]))
		}
	}
	return complaints, nil
}

func TestUnshown(t *testing.T) {
	wrong, err := unshown(fstest.MapFS{
		"docs/g.md": {Data: []byte("# G\n\n| promise | shown by |\n|---|---|\n" +
			"| a | [TestA](../p/a_test.go), [TestGone](../p/a_test.go) |\n| b | by itself |\n| c | [FuzzC](../q/c_test.go) |\n" +
			"| d | [TestA2](../p/a_test.go) |\n")},
		"p/a_test.go": {Data: []byte("package p\n\nfunc TestA(t *testing.T) {}\nfunc TestA22(t *testing.T) {}\n")},
	}, "docs/g.md")
	require.NoError(t, err)
	assert.Equal(t, []string{
		"docs/g.md: there is no TestGone in p/a_test.go",
		"docs/g.md: no test shows: b",
		"docs/g.md: there is no FuzzC in q/c_test.go",
		"docs/g.md: there is no TestA2 in p/a_test.go",
	}, wrong)
	_, err = unshown(fstest.MapFS{}, "docs/g.md")
	assert.Error(t, err, "a page that is gone promises nothing")
}

// Each package that a program may import is mentioned with a test of its own, so that none is forgotten.
func TestGuaranteesCoverThePackages(t *testing.T) {
	text, err := os.ReadFile(path.Join(root, "docs/guarantees.md"))
	require.NoError(t, err)
	var covered []string
	for _, named := range namedTest.FindAllStringSubmatch(string(text), -1) {
		covered = append(covered, strings.TrimPrefix(path.Dir(named[2]), "../"))
	}
	for _, want := range []string{"pool", "pipeline", "result", "ratelimit", "ratelimit/ratehttp"} {
		assert.True(t, slices.Contains(covered, want), want)
	}
}
