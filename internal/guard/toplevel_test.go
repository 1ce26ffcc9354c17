package guard

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// toplevel names what may stand in the root of the repository, dot files aside: it is the first page that a visitor
// sees.
var toplevel = []string{
	"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md",
	"go.mod", "go.sum", "go.work", "go.work.sum",
	"benchmarks", "docs", "examples", "internal",
	"pipeline", "pool", "ratelimit", "result",
}

func TestNothingStraysIntoTheRoot(t *testing.T) {
	stray, err := strayEntries(os.DirFS(root))
	require.NoError(t, err)
	// What git does not know is the user's own, such as a chart that an example has written.
	stray = slices.DeleteFunc(stray, func(name string) bool {
		tracked, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "--", name).Output() //nolint:gosec // a file of ours
		return err == nil && len(tracked) == 0
	})
	assert.Empty(t, stray, "these have no place in the root of the repository")

	_, err = os.Stat(filepath.Join(root, "go.mod"))
	require.NoError(t, err, "%s is not the root of the repository", root)
}

// strayEntries returns the entries of a root that are neither allowed, nor hidden, nor named by .gitignore.
func strayEntries(tree fs.FS) ([]string, error) {
	var ignored []string
	if text, err := fs.ReadFile(tree, ".gitignore"); err == nil {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				ignored = append(ignored, strings.Trim(line, "/"))
			}
		}
	}
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	var stray []string
	for _, e := range entries {
		name := e.Name()
		matches := func(pattern string) bool {
			ok, _ := path.Match(pattern, name) // a malformed pattern ignores nothing
			return ok
		}
		if strings.HasPrefix(name, ".") || slices.Contains(toplevel, name) || slices.ContainsFunc(ignored, matches) {
			continue
		}
		stray = append(stray, name)
	}
	return stray, nil
}

func TestStrayEntries(t *testing.T) {
	stray, err := strayEntries(fstest.MapFS{
		".gitignore":   {Data: []byte("# output\n*.prof\n/bin/\n")},
		".ci/run":      {},
		"pool/pool.go": {},
		"pools/p.go":   {},
		"README.md":    {},
		"NOTES.md":     {},
		"cpu.prof":     {},
		"bin/tool":     {},
		"main.go":      {},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"NOTES.md", "main.go", "pools"}, stray)
}
